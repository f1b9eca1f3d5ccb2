"""One hub in each process: takes in the log once and hands every event to the mailboxes of its topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from broadcaster import Broadcast

from app.kernel.clock import Clock
from app.live.backend import Batch, LogBackend, Stood
from app.live.cursor import Cursors
from app.live.drain import Drain
from app.live.events import LoggedEvent, Position
from app.live.log import EventLog
from app.live.mailbox import Mailbox, OrderedMailbox
from app.live.ring import Ring
from app.live.topics import AUTH

M = TypeVar("M", bound=Mailbox)

_UNHEARD_SECONDS_MAX = 3.0


@dataclass
class HubStats:
    """Counters since the start, and how many streams read the log at the moment instead of being pushed to."""

    dispatched: int = 0
    offered: int = 0
    resets: int = 0
    overflows: int = 0
    pulling: int = 0
    from_ring: int = 0
    from_log: int = 0


class Hub(Broadcast):
    """broadcaster's Broadcast with bounded mailboxes instead of its queues, and a dispatch that never waits.

    Overrides `subscribe` and the private `_listener`: broadcaster is pinned for that reason.
    """

    def __init__(
        self,
        dsn: str,
        redis_url: str,
        *,
        cursors: Cursors,
        clock: Clock,
        shard: int = 0,
        ring: Ring | None = None,
    ) -> None:
        self.log = EventLog(dsn, shard=shard)
        self.source = LogBackend(self.log, redis_url)
        super().__init__(backend=self.source)
        self.cursors = cursors
        self.clock = clock
        self.ring = Ring() if ring is None else ring
        self.stats = HubStats()
        self.sockets = Drain()
        self.started = asyncio.Event()
        self._position: Position | None = None
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self._topics: dict[Mailbox, frozenset[str]] = {}
        self._minding_rights: set[Mailbox] = set()
        self._logger = structlog.get_logger(__name__)

    async def disconnect(self) -> None:
        self._listener_task.cancel()
        await asyncio.gather(self._listener_task, return_exceptions=True)
        await self.source.disconnect()

    async def drain(self, seconds: float) -> None:
        """Let the sockets of this process go, in random batches over the time."""
        await self.sockets.drain(seconds)

    @property
    def healthy(self) -> bool:
        """Whether events reach this process, by push or by polling."""
        return self.started.is_set() and self.source.unheard_seconds < _UNHEARD_SECONDS_MAX

    @property
    def mailboxes(self) -> int:
        return sum(bool(topics) for topics in self._topics.values())

    @property
    def depth(self) -> int:
        """Events that wait in all mailboxes together."""
        return sum(len(mailbox) for mailbox in self._topics)

    def head(self) -> Position:
        """The last position handed out on this node; every mailbox holds or has taken all up to here."""
        assert self._position is not None, "wait for Hub.started first"
        return self._position

    def attach(self, topics: Iterable[str], mailbox: M, *, rights: bool = False) -> M:
        """From now on the mailbox is offered each event of any of the topics, once.

        rights  note the clients of `auth` events as well, beside the content
        """
        self._topics[mailbox] = wanted = frozenset(topics)
        if rights:
            self._minding_rights.add(mailbox)
        for topic in wanted:
            self._mailboxes.setdefault(topic, set()).add(mailbox)
        return mailbox

    def detach(self, mailbox: Mailbox) -> None:
        self._minding_rights.discard(mailbox)
        for topic in self._topics.pop(mailbox, ()):
            listeners = self._mailboxes[topic]
            listeners.discard(mailbox)
            if not listeners:
                del self._mailboxes[topic]

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[OrderedMailbox]:  # type: ignore[override]
        """broadcaster's way in, for one topic."""
        mailbox = self.attach([channel], OrderedMailbox())
        try:
            yield mailbox
        finally:
            self.detach(mailbox)

    async def _listener(self) -> None:
        while True:
            item = await self._backend.next_published()
            if isinstance(item, Batch):
                try:
                    self._dispatch(item.events)
                except Exception:
                    self._logger.exception("dispatch stumbled; every stream reads the log instead")
                    self._skip(item.events[-1])
            elif isinstance(item, Stood):
                self._stand(Position(item.head.epoch, self.log.shard, item.head.pos))

    def _dispatch(self, events: list[LoggedEvent]) -> None:
        # Without an await: whoever reads `head()` may rely on all mailboxes having been offered everything up to it.
        for event in events:
            self.ring.append(event)
            for topic in event.topics:
                if topic == AUTH:
                    for mailbox in list(self._minding_rights):  # some go when they hear of it
                        mailbox.note_rights(event.subject)
                for mailbox in self._mailboxes.get(topic, ()):
                    mailbox.offer(event)
                    self.stats.offered += 1
        self.stats.dispatched += len(events)
        self._position = Position(events[-1].epoch, self.log.shard, events[-1].pos)

    def _skip(self, last: LoggedEvent) -> None:
        self.ring.clear()
        self._position = Position(last.epoch, self.log.shard, last.pos)
        for mailbox in list(self._topics):
            mailbox.overflow()

    def _stand(self, position: Position) -> None:
        self.ring.clear()
        self._position = position
        if self.started.is_set():
            self.stats.resets += 1
            for mailbox in list(self._topics):
                mailbox.renumber()
        self.started.set()
