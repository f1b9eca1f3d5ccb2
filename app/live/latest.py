"""Following values of which only the latest counts: stock, availability. Bursts conflate; the last always comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Generic, TypeVar

from app.kernel.clock import Alarm
from app.kernel.db import Reads
from app.live.attachment import Attachment, Ended, Reset, Settled, Snapshot, State, Viewer
from app.live.events import LoggedEvent, Position
from app.live.hub import Hub
from app.live.mailbox import BEYOND, LatestMailbox
from app.live.outage import give_way, patiently
from app.live.replay import CannotResume, Renumbered, ResetReason, replay, require_reachable

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEYS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LatestChange(Generic[K, V]):
    """What a key is worth now. Several changes, or none that is visible, may lie between two of these.

    pos   where in the log the key changed last; beyond all positions where time alone changed it
    told  with this, all that changed up to here has been told
    """

    key: K
    value: V
    cursor: str
    pos: int
    told: int


async def follow_latest(
    hub: Hub,
    viewer: Viewer,
    *,
    topics: Collection[str],
    keys: Callable[[LoggedEvent], Iterable[K]],
    snapshot: Callable[[Reads], Awaitable[State[T]]],
    read: Callable[[Reads, Collection[K]], Awaitable[Mapping[K, V]]],
    throttle_seconds: float = 0.0,
    after: str | None = None,
    keys_max: int = KEYS_MAX,
    due: Callable[[], tuple[K, datetime] | None] = lambda: None,
    settling: bool = False,
) -> AsyncGenerator[Snapshot[T] | LatestChange[K, V] | Settled | Reset | Ended, None]:
    """Snapshot, then the present value of each key that changed, no more often than the throttle allows.

    keys      what an event touches, of what this caller watches; called while events are handed out, so quick
    read      present values of the keys in one batch; a key left out is not shown (gone, or not the caller's to see)
    due       the key that will next change by the passing of time alone, and when; asked again after each read
    after     a cursor of any earlier item: what changed since comes with its present value
    settling  say so whenever there is nothing left to tell
    Raises CursorRefused. A caller too far behind gets Reset(TOO_MANY_CHANGES) and a snapshot.
    """
    start = hub.cursors.open(after) if after is not None else None
    mailbox = LatestMailbox(keys, keys_max=keys_max)
    async with Attachment(hub, viewer, topics, mailbox) as attached:
        reader = _Reader(hub, viewer, attached, keys, read, due, keys_max=keys_max, throttle_seconds=throttle_seconds)
        settled = Settled(hub, reader.told)
        reset: ResetReason | None = None
        while mailbox.ended is None:
            try:
                if start is None:
                    if reset is not None:
                        # Of a log that starts anew, what it told of the caller's rights may be gone as well.
                        await attached.renew()
                        if mailbox.has_ended():
                            continue
                        yield Reset(reset, reader.cursor)
                    mailbox.rearm()
                    place, state = await attached.snapshot(snapshot)
                    reader.place = replace(place, ahead=())  # told again, a value does no harm
                    yield Snapshot(state.items, reader.place, reader.cursor)
                else:
                    reader.place = start
                async with aclosing(reader.changes(resuming=start is not None)) as changes:
                    async for change in changes:
                        if change is not None:
                            yield change
                        elif settling and reader.told() is not None:
                            yield settled
            except CannotResume as lost:
                start, reset = None, lost.reason
        yield Ended(mailbox.ended)


class _Reader(Generic[K, V]):
    """Where one stream stands: `place` is the position up to which every touched key has been shown."""

    place: Position

    def __init__(
        self,
        hub: Hub,
        viewer: Viewer,
        attached: Attachment[LatestMailbox[K]],
        keys: Callable[[LoggedEvent], Iterable[K]],
        read: Callable[[Reads, Collection[K]], Awaitable[Mapping[K, V]]],
        due: Callable[[], tuple[K, datetime] | None],
        *,
        keys_max: int,
        throttle_seconds: float,
    ) -> None:
        self._hub = hub
        self._viewer = viewer
        self._attached = attached
        self._mailbox = attached.mailbox
        self._keys = keys
        self._read = read
        self._due = due
        self._keys_max = keys_max
        self._throttle_seconds = throttle_seconds

    @property
    def cursor(self) -> str:
        return self._hub.cursors.seal(self.place)

    def told(self) -> Position | None:
        """Up to where everything has been told; None where something waits."""
        return None if self._overdue() else self._attached.told(self.place)

    async def changes(self, *, resuming: bool) -> AsyncGenerator[LatestChange[K, V] | None, None]:
        """Present values of the keys touched after `place`, until the mailbox ends; None before it waits for more.

        Raises CannotResume.
        """
        loop = asyncio.get_running_loop()
        shown_at = -self._throttle_seconds
        if resuming:
            await patiently(lambda: require_reachable(self._hub, self.place))
            async with aclosing(self._show(*await patiently(self._touched_since))) as changes:
                async for change in changes:
                    yield change
        while True:
            give_way()
            if self._mailbox.is_quiet:
                yield None
            with self._alarm():
                await self._mailbox.ready()
            if (early := shown_at + self._throttle_seconds - loop.time()) > 0 and not self._mailbox.has_ended():
                await asyncio.sleep(early)
            await self._attached.check_rights()
            if self._mailbox.has_ended():
                return
            if self._mailbox.renumbered:
                raise Renumbered
            if self._mailbox.overflowed:
                raise CannotResume(ResetReason.TOO_MANY_CHANGES)

            # In one step: what the mailbox holds is all that was touched up to the head.
            head, taken = self._hub.head(), self._mailbox.take()
            touched = {key: pos for key, pos in taken.items() if pos > self.place.pos} | self._overdue()
            shown_at = loop.time()
            async with aclosing(self._show(touched, head)) as changes:
                async for change in changes:
                    yield change

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        """Touches the key that is due next, when it is."""
        if (next_ := self._due()) is None:
            yield
            return
        key, at = next_
        alarm = Alarm(self._hub.clock, at, partial(self._mailbox.touch, key))
        try:
            yield
        finally:
            alarm.cancel()

    def _overdue(self) -> dict[K, int]:
        """What time has changed, where no alarm was set when it did."""
        next_ = self._due()
        return {next_[0]: BEYOND} if next_ is not None and next_[1] <= self._hub.clock.now() else {}

    async def _touched_since(self) -> tuple[Mapping[K, int], Position]:
        """Keys touched between `place` and the head, from where the mailbox goes on.  Raises CannotResume."""
        if self._mailbox.renumbered:
            raise Renumbered
        head = self._hub.head()
        self._mailbox.rearm()
        touched: dict[K, int] = {}
        async for page in replay(self._hub, self._attached.topics, after=self.place, upto=head.pos):
            for event in page:
                touched.update(dict.fromkeys(self._keys(event), event.pos))
            if len(touched) > self._keys_max:
                raise CannotResume(ResetReason.TOO_MANY_CHANGES)
        return touched | self._overdue(), head

    async def _show(self, touched: Mapping[K, int], head: Position) -> AsyncGenerator[LatestChange[K, V], None]:
        """Read and yield the values, in the order in which they changed last: a cursor says up to where all is told.

        touched  by key, the position of its last change
        """
        values = await patiently(lambda: self._read(self._viewer.reads, list(touched))) if touched else {}
        told, end = self.place, head if head.pos > self.place.pos else self.place
        found = sorted(values, key=touched.__getitem__)
        for key, following in zip_longest(found, found[1:]):
            if following is None:
                self.place = told = end
            elif touched[key] < min(touched[following], end.pos):  # one event may touch several
                told = replace(self.place, pos=touched[key])
            yield LatestChange(key, values[key], self._hub.cursors.seal(told), touched[key], told.pos)
        self.place = end
