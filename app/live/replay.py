"""Going on from a position: the events since then, from the node's ring or from PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from enum import StrEnum

from app.live.events import LoggedEvent, Position
from app.live.hub import Hub

PAGE = 200


class ResetReason(StrEnum):
    """Why a stream cannot go on from where the client was, and starts over with a snapshot."""

    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    LOG_RENUMBERED = "LOG_RENUMBERED"
    TOO_MANY_CHANGES = "TOO_MANY_CHANGES"


class CannotResume(Exception):
    """The log does not go back as far, or not to that epoch."""

    def __init__(self, reason: ResetReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Expired(CannotResume):
    """What came after the position has been pruned."""

    def __init__(self) -> None:
        super().__init__(ResetReason.CURSOR_EXPIRED)


class Renumbered(CannotResume):
    """The position belongs to another epoch of the log, or lies beyond its head."""

    def __init__(self) -> None:
        super().__init__(ResetReason.LOG_RENUMBERED)


async def require_reachable(hub: Hub, position: Position) -> None:
    """Make sure that the position is one of this log; whether it is still retained shows when replaying.

    Raises Renumbered.
    """
    head = hub.head()
    if (position.epoch, position.shard) != (head.epoch, head.shard):
        raise Renumbered
    if position.pos > head.pos:
        # Ahead of this node: another one was faster, or the log was set back.
        logged = await hub.log.head()
        if position.epoch != logged.epoch or position.pos > logged.pos:
            raise Renumbered


async def replay(
    hub: Hub, topics: Collection[str], *, after: Position, upto: int
) -> AsyncGenerator[list[LoggedEvent], None]:
    """Events of any of the topics with after < pos <= upto, in order, each once, in pages.

    upto  at most the hub's head
    Raises Expired or Renumbered, also half-way when the log is pruned or numbered anew meanwhile.
    """
    last = after.pos
    while True:
        if hub.head().epoch != after.epoch:
            raise Renumbered
        if last >= upto:
            return
        if hub.ring.covers(last):
            events = hub.ring.page(topics, after=last, upto=upto, limit=PAGE)
            hub.stats.from_ring += len(events)
        else:
            page = await hub.log.matching(topics, after=last, upto=upto, limit=PAGE)
            if page.head.epoch != after.epoch:
                raise Renumbered
            if page.head.pruned_pos > last:
                raise Expired
            events = page.events
            hub.stats.from_log += len(events)
        if events:
            yield events
        if len(events) < PAGE:
            return
        last = events[-1].pos
