"""Following the log: a snapshot or a replay, then every change, without a gap and without a repetition.

The order of steps is what makes it hold (docs/concepts/live.md): first the mailbox, then the snapshot, which reads the
log's head in the same instant, then what the mailbox took in, less what the snapshot already showed. Resuming is the
same as having overflowed: the log is read from the last position until the mailbox can take over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from app.kernel.db import Reads
from app.kernel.principal import Principal
from app.live.attachment import Attachment, Ended, Reset, Settled, Snapshot, State, Viewer
from app.live.events import LoggedEvent, Position
from app.live.hub import Hub
from app.live.mailbox import OrderedMailbox
from app.live.outage import give_way, is_outage, patiently
from app.live.replay import CannotResume, Renumbered, ResetReason, replay, require_reachable

T = TypeVar("T")

# A reader this close to the head is pushed to again; one further behind would only overflow once more.
_NEAR = 256
_AWAY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Change:
    """One event that the caller may see and asked for."""

    event: LoggedEvent
    cursor: str


async def follow(
    hub: Hub,
    viewer: Viewer,
    *,
    topics: Collection[str],
    snapshot: Callable[[Reads], Awaitable[State[T]]],
    accept: Callable[[LoggedEvent, Principal], bool],
    after: str | None = None,
    mailbox: OrderedMailbox | None = None,
    settling: bool = False,
) -> AsyncGenerator[Snapshot[T] | Change | Settled | Reset | Ended, None]:
    """Snapshot, then Changes for ever; with a cursor the Changes since, or Reset and Snapshot where that cannot be.

    snapshot  run inside one REPEATABLE READ transaction; may run several times
    accept    rights and filter, asked for each event with the rights of the moment; pure
    after     a cursor of any earlier item; what follows it is judged by today's rights
    settling  say so whenever there is nothing left to tell
    Raises CursorRefused. PostgreSQL or Redis going away delays items, it ends nothing.
    """
    start = hub.cursors.open(after) if after is not None else None
    async with Attachment(hub, viewer, topics, OrderedMailbox() if mailbox is None else mailbox) as attached:
        reader = _Reader(hub, attached, start)
        settled = Settled(hub, reader.told)
        reset: ResetReason | None = None
        while attached.mailbox.ended is None:
            try:
                if reader.position is None:
                    if reset is not None:
                        # Of a log that starts anew, what it told of the caller's rights may be gone as well.
                        await attached.renew()
                        if attached.mailbox.has_ended():
                            continue
                        yield Reset(reset, reader.cursor)
                    attached.mailbox.rearm()
                    position, state = await attached.snapshot(snapshot)
                    reader.shown(position, state.versions)
                    yield Snapshot(state.items, position, reader.cursor)
                async with aclosing(reader.events()) as events:
                    async for event in events:
                        if event is None:
                            if settling and reader.told() is not None:
                                yield settled
                        elif reader.is_news(event) and accept(event, viewer.principal):
                            yield Change(event, reader.cursor)
            except CannotResume as lost:
                reader.position, reset = None, lost.reason
        yield Ended(attached.mailbox.ended)


class _Reader:
    """Where one stream stands: everything up to `position` has been dealt with."""

    def __init__(self, hub: Hub, attached: Attachment[OrderedMailbox], start: Position | None) -> None:
        self.position = start
        self._hub = hub
        self._attached = attached
        self._mailbox = attached.mailbox
        self._last = start
        self._versions: dict[tuple[str, UUID], int] = {}
        self._resuming = start is not None
        if self._resuming:
            self._mailbox.overflow()

    @property
    def cursor(self) -> str:
        """Of the last position dealt with."""
        position = self.position or self._last
        assert position is not None
        return self._hub.cursors.seal(position)

    def shown(self, position: Position, versions: Mapping[tuple[str, UUID], int]) -> None:
        self.position = self._last = position
        self._versions = dict(versions)
        self._resuming = False

    def is_news(self, event: LoggedEvent) -> bool:
        """Whether the event adds to what was shown; moves the position past it."""
        position = self.position
        assert position is not None
        subject = (event.aggregate, event.subject)
        shown = self._versions.get(subject)
        # For an aggregate that the snapshot showed its version decides, for all else the position.
        news = event.version > shown if shown is not None else event.pos > position.pos
        ahead = position.ahead
        if ahead and event.id in ahead:
            news = False
            ahead = tuple(each for each in ahead if each != event.id)
        if shown is not None and news:
            self._versions[subject] = event.version
        if event.pos > position.pos:
            self.position = self._last = Position(event.epoch, position.shard, event.pos, ahead)
        return news

    def told(self) -> Position | None:
        """Up to where everything has been told; None where something waits."""
        return self._attached.told(self.position) if self.position is not None else None

    async def events(self) -> AsyncGenerator[LoggedEvent | None, None]:
        """Events in order, from the mailbox or the log, until the mailbox ends; None before it waits for more.

        Raises CannotResume.
        """
        position = self.position
        assert position is not None
        if self._resuming:
            await patiently(lambda: require_reachable(self._hub, position))
        while True:
            give_way()
            if self._mailbox.is_quiet:
                yield None
            await self._mailbox.ready()
            if self._mailbox.rights_changed:
                await self._attached.check_rights()
            if self._mailbox.has_ended():
                return
            if self._mailbox.renumbered:
                raise Renumbered
            if self._mailbox.overflowed:
                async with aclosing(self._pull()) as pulled:
                    async for event in pulled:
                        yield event
                continue
            for event in self._mailbox.take():
                if self._mailbox.rights_changed:
                    await self._attached.check_rights()
                if self._mailbox.has_ended():
                    return
                yield event

    async def _pull(self) -> AsyncGenerator[LoggedEvent, None]:
        """Read the log until the mailbox, taking in again, holds all that is still to come."""
        if not self._resuming:
            self._hub.stats.overflows += 1
            # A quiet stream's position lags behind, perhaps beyond what is kept; what it was offered it need not read.
            self._skip_to(self._mailbox.untaken_after)
        self._resuming = False
        self._hub.stats.pulling += 1
        try:
            near = False
            while not near and not self._mailbox.has_ended():
                head = self._hub.head()
                assert self.position is not None
                if head.epoch != self.position.epoch or self._mailbox.renumbered:
                    raise Renumbered
                near = head.pos - self.position.pos <= _NEAR
                if near:
                    # In one step with reading the head: everything after it goes to the mailbox.
                    self._mailbox.rearm()
                try:
                    pages = replay(self._hub, self._attached.topics, after=self.position, upto=head.pos)
                    async with aclosing(pages):
                        async for page in pages:
                            for event in page:
                                if self._mailbox.rights_changed:
                                    await self._attached.check_rights()
                                if self._mailbox.has_ended():
                                    return
                                yield event
                except Exception as error:
                    if not is_outage(error):
                        raise
                    near = False
                    give_way()
                    await asyncio.sleep(_AWAY_SECONDS)
                else:
                    self._skip_to(head.pos)
        finally:
            self._hub.stats.pulling -= 1

    def _skip_to(self, pos: int) -> None:
        assert self.position is not None
        if pos > self.position.pos:
            self.position = self._last = replace(self.position, pos=pos)
