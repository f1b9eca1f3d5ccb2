"""The hub's source: the log in dense order, by Redis while it is well, from PostgreSQL whenever it is not.

An own backend for broadcaster, whose Redis backend loses its listener with the first disconnect and never tells of a
gap. Nothing here trusts a message to arrive: positions are dense, so anything missing shows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from math import inf
from random import uniform
from typing import Any
from uuid import UUID

import structlog
from broadcaster import BroadcastBackend, Event
from redis.exceptions import RedisError

from app.live import channel
from app.live.events import LoggedEvent
from app.live.log import EventLog, Head
from app.live.outage import give_way, is_outage

_PAGE = 500
# Three heartbeats missed: Redis, the relay or the way between is gone, whatever the socket says.
SILENCE_SECONDS = 1.5
# How often the log is asked while Redis is silent.
POLL_SECONDS = 0.2
_BACKOFF_MIN, _BACKOFF_MAX = 0.05, 1.0
# While the log is being read, messages wait here; the oldest go first, and what went is found missing by its position.
_INBOX_MESSAGES = 200
_OUTBOX_BATCHES = 64


@dataclass
class BackendStats:
    """Counters since the start. `pushing`: Redis brings messages; otherwise PostgreSQL is polled."""

    pushing: bool = False
    gaps: int = 0
    reconnects: int = 0
    replayed: int = 0
    malformed: int = 0
    outages: int = 0
    renumbered: int = 0


class Batch(Event):
    """Events in consecutive positions."""

    def __init__(self, channel_name: str, events: list[LoggedEvent]) -> None:
        super().__init__(channel_name, "")
        self.events = events


class Stood(Event):
    """The log stands here, and what was known before is void: at the start, and when a new epoch begins."""

    def __init__(self, channel_name: str, head: Head) -> None:
        super().__init__(channel_name, "")
        self.head = head


class LogBackend(BroadcastBackend):
    """Yields Stood once, then Batches without a hole between them; Stood again when positions start anew."""

    def __init__(self, log: EventLog, redis_url: str) -> None:
        self.stats = BackendStats()
        self.log = log
        # False from when events are known to be missing until they have been read.
        self.in_step = False
        self._heard_at = -inf  # loop time of the last message
        self._asked_at = -inf  # loop time of the last answer of PostgreSQL
        self._redis_url = redis_url
        self._channel = channel.channel(log.shard)
        self._epoch: UUID | None = None
        self._last = 0
        self._inbox: deque[bytes] = deque(maxlen=_INBOX_MESSAGES)
        self._wake = asyncio.Event()
        self._outbox: asyncio.Queue[Event] = asyncio.Queue(maxsize=_OUTBOX_BATCHES)
        self._tasks: list[asyncio.Task[None]] = []
        self._logger = structlog.get_logger(__name__).bind(channel=self._channel)

    async def connect(self) -> None:
        await self.log.open()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_up())]

    async def disconnect(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.log.close()

    async def subscribe(self, group: str) -> None:
        """Nothing to do: topics are local, so subscribers cause no traffic and cannot race."""

    async def unsubscribe(self, group: str) -> None:
        """Nothing to do, as for `subscribe`."""

    async def publish(self, channel: str, message: Any) -> None:
        raise TypeError("events are published by the relay only, from the log")

    @property
    def leaderless_seconds(self) -> float:
        """Since the last sign of a relay that leads; infinite before the first."""
        return asyncio.get_running_loop().time() - self._heard_at

    @property
    def unheard_seconds(self) -> float:
        """Since the last word from either Redis or PostgreSQL."""
        return asyncio.get_running_loop().time() - max(self._heard_at, self._asked_at)

    async def next_published(self) -> Event:
        return await self._outbox.get()

    # Redis: fill the inbox while there are messages, come back when the connection breaks or falls silent.

    async def _listen(self) -> None:
        backoff = _BACKOFF_MIN
        while True:
            try:
                async with channel.listening_client(self._redis_url) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        async with asyncio.timeout(SILENCE_SECONDS):
                            message = await pubsub.get_message(timeout=None)
                        give_way()
                        # Until Redis has acknowledged the subscription there is nothing but this to come.
                        if message is None or message["type"] != "message":
                            continue
                        backoff = _BACKOFF_MIN
                        self._hear(message["data"])
            except (RedisError, OSError, TimeoutError) as error:
                if self.stats.pushing:
                    self._logger.warning("Redis is silent; polling PostgreSQL", error=repr(error))
            except Exception:
                self._logger.exception("the listener stumbled; it goes on")
            give_way()
            self.stats.pushing = False
            self.stats.reconnects += 1
            self._wake.set()
            await asyncio.sleep(backoff * uniform(0.5, 1.0))
            backoff = min(backoff * 2, _BACKOFF_MAX)

    def _hear(self, data: bytes) -> None:
        if not self.stats.pushing:
            self._logger.info("events are pushed")
        self.stats.pushing = True
        self._heard_at = asyncio.get_running_loop().time()
        self._inbox.append(data)
        self._wake.set()

    # The log: the only place that moves the position.

    async def _keep_up(self) -> None:
        away = False
        while True:
            try:
                if self._epoch is None:
                    await self._stand(await self.log.head())
                while True:
                    if await self._read_inbox() or not self.stats.pushing:
                        self.in_step = False
                        await self._catch_up()
                        self.in_step = True
                    away = False
                    give_way()
                    await self._wait()
            except Exception as error:
                if not is_outage(error):
                    self._logger.exception("keeping up with the log stumbled; it goes on")
                elif not away:
                    self._logger.warning("PostgreSQL is away; trying again", error=repr(error))
                self.stats.outages += 1
                away = True
            give_way()
            await asyncio.sleep(POLL_SECONDS)

    async def _wait(self) -> None:
        """Until there is a message, or it is time to ask the log."""
        if self.stats.pushing:
            await self._wake.wait()
        else:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def _read_inbox(self) -> bool:
        """Pass on what follows the last position; true when something is missing."""
        while self._inbox:
            try:
                message = channel.read(self._inbox.popleft())
            except channel.Malformed:
                self.stats.malformed += 1
                continue
            if message.epoch != self._epoch:
                return True
            events = [event for event in message.events if event.pos > self._last]
            # A batch must reach from the last position to its head; a heartbeat only says where the head is.
            if message.pos - self._last != len(events) if message.pos > self._last else bool(events):
                self.stats.gaps += 1
                return True
            self.in_step = True
            if events:
                await self._pass_on(events)
        return False

    async def _catch_up(self) -> None:
        """Read everything after the last position from PostgreSQL."""
        head = await self.log.head()
        while True:
            self._asked_at = asyncio.get_running_loop().time()
            # Another epoch, a log set back by a restore, or a node that slept through the retention: start anew.
            if head.epoch != self._epoch or head.pos < self._last or head.pruned_pos > self._last:
                await self._stand(head)
                return
            if self._last == head.pos:
                return
            page = await self.log.consecutive(after=self._last, upto=head.pos, limit=_PAGE)
            head = page.head
            if head.epoch == self._epoch and head.pruned_pos <= self._last:
                self.stats.replayed += len(page.events)
                await self._pass_on(page.events)

    async def _stand(self, head: Head) -> None:
        if self._epoch is not None:
            self.stats.renumbered += 1
            self._logger.warning("the log starts anew; every subscriber is reset", epoch=str(head.epoch), pos=head.pos)
        self._epoch, self._last = head.epoch, head.pos
        await self._outbox.put(Stood(self._channel, head))

    async def _pass_on(self, events: list[LoggedEvent]) -> None:
        if not events:
            raise RuntimeError(f"the log has no event after position {self._last}, although its head is further")
        if events[0].pos != self._last + 1 or events[-1].pos != self._last + len(events):
            raise RuntimeError(f"positions after {self._last} are not dense: {events[0].pos} to {events[-1].pos}")
        self._last = events[-1].pos
        await self._outbox.put(Batch(self._channel, events))
