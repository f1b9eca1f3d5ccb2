"""What can be promised: the facts of a channel, read in one statement."""

from collections.abc import Sequence

from app.kernel.db import Reads
from app.sourcing import promise
from app.sourcing.promise import Facts

FACTS = "SELECT sourcing_facts($1, $2, $3)"


async def facts(reads: Reads, *, channel: str, codes: Sequence[str]) -> Facts:
    """What the channel can promise of these SKUs.  Raises NotFound."""
    raw = await reads.value(FACTS, channel, None, list(dict.fromkeys(codes)))
    return promise.seen_by(reads.principal, raw, channel)
