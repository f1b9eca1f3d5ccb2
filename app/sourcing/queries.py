"""What can be promised: the facts of a channel, read in one statement."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from app.kernel.db import Reads
from app.kernel.errors import ValidationRefused
from app.kernel.principal import Principal
from app.kernel.texts import spelled
from app.sourcing import promise
from app.sourcing.promise import Facts

FACTS = "SELECT sourcing_facts($1, NULL, $2, $3)"


async def facts(
    reads: Reads, *, channel: str | None, codes: Sequence[str], path: Sequence[str] = ("input", "channel")
) -> Facts:
    """What a channel can promise of these SKUs.

    channel  its code; None for the one that the caller is bound to
    path     where the channel stands in the caller's arguments
    Raises NotFound, ValidationRefused.
    """
    code, bound_to = channel_of(reads.principal, channel, path)
    raw = await raw_facts(reads, code, bound_to, {spelled(each) for each in codes})
    return promise.seen_by(reads.principal, raw, channel, path)


def channel_of(
    principal: Principal, channel: str | None, path: Sequence[str] = ("input", "channel")
) -> tuple[str | None, UUID | None]:
    """The code of a channel, None for the one that the caller is bound to, and the id of that.

    Raises ValidationRefused.
    """
    if channel is None and principal.channel_id is None:
        raise ValidationRefused("Name the channel: your key is not bound to one.", path=list(path))
    return spelled(channel) if channel is not None else None, principal.channel_id


async def raw_facts(
    reads: Reads, channel: str | None, channel_id: UUID | None, codes: Collection[str]
) -> dict[str, Any] | None:
    """What a channel can promise of these SKUs, whoever may see it; None where there is no such channel.

    channel     its code, as it is spelled; None where its id says which
    """
    raw: dict[str, Any] | None = await reads.value(FACTS, channel, list(codes), channel_id)
    return raw


async def facts_for_claims(reads: Reads, *, channel_id: UUID, codes: Sequence[str]) -> Facts:
    """What a channel has of these SKUs for its orders that wait: nothing is kept for others, whose turn comes later."""
    raw = await reads.value(FACTS, None, list(codes), channel_id)
    assert raw is not None, "a channel with orders is never deleted"
    return Facts.read(raw, for_claims=True)
