"""Answers that many get in the same words, and what HTTP caches may do with them.

Who may have the answer was decided before, for this caller; here it is decided who may hand it on, and for how long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.gql.context import Context
from app.gql.documents import Operation
from app.kernel.principal import Kind, Principal

# For so long a shop may show what was true a moment ago; its checkout decides on what is true then.
FRESH_SECONDS = 5
VARY = b"Origin, Accept, Authorization, X-Orderwire-Key"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer without errors.

    body        as it is sent
    tag         an entity tag: the same as long as the answer is, less what differs from one moment to the next. It is
                weak for that, and lest a proxy that compresses has to drop it
    told_at     when it was true
    changes_at  when it changes by the passing of time alone
    shareable   the request names all that it depends on, credentials aside
    """

    body: bytes
    tag: str
    told_at: datetime
    changes_at: datetime | None
    shareable: bool


class Keeper(Protocol):
    """Knows operations whose answers it can give without running them."""

    def keeps(self, operation: Operation) -> bool: ...

    async def answer(
        self, operation: Operation, variables: dict[str, Any], context: Context, cost: int
    ) -> KeptAnswer | None:
        """The answer for this caller; None where running the operation is to say what is wrong."""
        ...


def cache_control(answer: KeptAnswer, principal: Principal) -> str:
    """Who may keep it, and for how many seconds.

    Keys of storefronts are published with their pages, so what they see is for everybody; a customer's is for the
    customer's own browser. Whoever runs the shop may see more than its visitors, and asks again each time.
    """
    if principal.kind not in (Kind.STOREFRONT, Kind.CUSTOMER):
        return "private, no-cache"
    ends = [each for each in (answer.changes_at, principal.expires_at) if each is not None]
    left = int(min((each - answer.told_at).total_seconds() for each in ends)) if ends else FRESH_SECONDS
    # A cache that takes no heed of Vary would give one channel's answer to another, were the channel not named.
    whose = "public" if principal.kind is Kind.STOREFRONT and answer.shareable else "private"
    return f"{whose}, max-age={max(0, min(FRESH_SECONDS, left))}"


def is_known(if_none_match: str, tag: str) -> bool:
    """Whether the client has this very answer, by the tags that it sent."""
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
