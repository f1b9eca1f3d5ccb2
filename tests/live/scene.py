"""The stage of the live layer's tests: things that change, relays, hubs, and followers that note what they are sent."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.kernel.clock import SystemClock
from app.kernel.db import Database, Reads
from app.kernel.ids import uuid7
from app.kernel.principal import Kind, Principal
from app.kernel.signing import Signer
from app.live import topics as topic_names
from app.live.attachment import Ended, Reset, Snapshot, State
from app.live.cursor import Cursors
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.mailbox import OrderedMailbox
from app.live.nudge import Nudger
from app.live.relay import Relay
from app.live.ring import Ring
from app.live.stream import Change, follow

THINGS = (
    "CREATE TABLE IF NOT EXISTS thing (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 0, worth int DEFAULT 0)"
)
WRITE = """
    WITH thing AS (
        INSERT INTO thing (id, version, worth) VALUES ($1, 1, $4)
        ON CONFLICT (id) DO UPDATE SET version = thing.version + 1, worth = $4 RETURNING version
    )
    INSERT INTO event_log (aggregate, subject, version, type, topics, payload, actor, occurred_at)
    SELECT 'order', $1, version, 'ThingChanged', $2, $3::text::jsonb, 'system:test', $5 FROM thing RETURNING version
"""


class Scene:
    """A database with a log, and what runs on it. Leaving the block stops everything."""

    def __init__(self, dsn: str, redis_url: str) -> None:
        self.dsn = dsn
        self.redis_url = redis_url
        self.clock = SystemClock()
        self.cursors = Cursors(Signer(b"a secret of the tests"))
        self.committed: dict[tuple[UUID, int], float] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.pool = await self._open.enter_async_context(
            asyncpg.create_pool(self.dsn, min_size=1, max_size=26, command_timeout=30)
        )
        await self.pool.execute(THINGS)
        self.database = Database(self.dsn)
        await self.database.open()
        self._open.push_async_callback(self.database.close)
        self.nudger = Nudger(self.redis_url)
        await self.nudger.open()
        self._open.push_async_callback(self.nudger.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        # Servers may be away: closing must not wait for them.
        await asyncio.wait_for(self._open.aclose(), 30)

    async def write(
        self,
        thing: UUID,
        *,
        topics: Iterable[str] = (),
        worth: int = 0,
        payload: dict[str, Any] | None = None,
        connection: asyncpg.Connection | None = None,
    ) -> int:
        """Change a thing and log it, in the transaction of the connection or one of its own; the new version."""
        wanted = [topic_names.order(thing), topic_names.ORDERS, *topics]
        body = orjson.dumps(payload or {"facts": {"worth": worth}}).decode()
        by = connection or self.pool
        version: int = await by.fetchval(WRITE, thing, wanted, body, worth, self.clock.now())
        if connection is None:
            self.committed[thing, version] = time.monotonic()
            self.nudger.nudge()
        return version

    async def announce(self, topic: str, subject: UUID, aggregate: str) -> None:
        """An event about something else than a thing."""
        await self.pool.execute(
            "INSERT INTO event_log (aggregate, subject, version, type, topics, payload, actor, occurred_at)"
            " VALUES ($1, $2, 1, 'Announced', $3, '{}', 'system:test', $4)",
            aggregate,
            subject,
            [topic],
            self.clock.now(),
        )

    def relay(self, **options: Any) -> RunningRelay:
        relay = Relay(self.dsn, self.redis_url, self.clock, **options)
        running = RunningRelay(relay, asyncio.create_task(relay.run()))
        self._open.push_async_callback(running.stop)
        return running

    async def hub(self, *, ring: Ring | None = None, redis_url: str | None = None) -> Hub:
        hub = Hub(self.dsn, redis_url or self.redis_url, cursors=self.cursors, clock=self.clock, ring=ring)
        await hub.connect()
        self._open.push_async_callback(hub.disconnect)
        await asyncio.wait_for(hub.started.wait(), 10)
        return hub

    async def pushing(self, hub: Hub) -> None:
        await eventually(lambda: hub.source.stats.pushing)

    def viewer(self, **principal: Any) -> SceneViewer:
        return SceneViewer(self, Principal(Kind.STAFF, "client:00000000-0000-0000-0000-000000000001", **principal))

    def follow(self, hub: Hub, things: Iterable[UUID], **options: Any) -> Follower:
        """A follower of these things, started; it snapshots their versions."""
        follower = Follower(self, hub, list(things), **options)
        self._open.push_async_callback(follower.stop)
        follower.start()
        return follower

    async def settled(self) -> int:
        """Wait until every committed event has a position; the head."""
        async with asyncio.timeout(30):
            while await self.pool.fetchval("SELECT EXISTS (SELECT FROM event_log WHERE pos IS NULL)"):
                await asyncio.sleep(0.01)
        head: int = await self.pool.fetchval("SELECT pos FROM relay_shard")
        return head


@dataclass
class RunningRelay:
    relay: Relay
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@dataclass
class SceneViewer:
    scene: Scene
    principal: Principal
    admitted: bool = True
    renewals: int = 0

    @property
    def reads(self) -> Reads:
        return Reads(self.scene.database, self.principal, self.scene.clock)

    async def renew(self) -> bool:
        self.renewals += 1
        return self.admitted


@dataclass
class Follower:
    """Follows things and checks as it goes: versions of each thing rise by exactly one from what was shown.

    slow   seconds spent on each item
    gate   while it is closed, the follower reads nothing more
    """

    scene: Scene
    hub: Hub
    things: list[UUID]
    after: str | None = None
    slow: float = 0.0
    gate: asyncio.Event | None = None
    viewer: SceneViewer | None = None
    topics: list[str] | None = None
    mailbox: OrderedMailbox | None = None
    before_snapshot: Callable[[], Any] | None = None
    accept: Callable[[LoggedEvent, Principal], bool] = lambda event, principal: True
    versions: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    items: list[Any] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    last_pos: int = 0

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def reconnect(self, hub: Hub | None = None) -> None:
        """Cut the stream and come back with the last cursor, as a client does."""
        await self.stop()
        self.hub = hub or self.hub
        if self.items:
            self.after = self.items[-1].cursor
        self.start()

    @property
    def resets(self) -> list[Reset]:
        return [item for item in self.items if isinstance(item, Reset)]

    @property
    def changes(self) -> list[Change]:
        return [item for item in self.items if isinstance(item, Change)]

    async def _snapshot(self, reads: Reads) -> State[dict[UUID, int]]:
        if self.before_snapshot is not None:
            await self.before_snapshot()
        rows = await reads.all(text("SELECT id, version FROM thing WHERE id = ANY(:ids)"), {"ids": self.things})
        versions = {row.id: row.version for row in rows}
        return State(versions, {("order", thing): version for thing, version in versions.items()})

    async def _run(self) -> None:
        stream = follow(
            self.hub,
            self.viewer or self.scene.viewer(),
            topics=self.topics or [topic_names.order(thing) for thing in self.things],
            snapshot=self._snapshot,
            accept=self.accept,
            after=self.after,
            mailbox=self.mailbox,
        )
        try:
            async for item in stream:
                self._note(item)
                if self.gate is not None:
                    await self.gate.wait()
                if self.slow:
                    await asyncio.sleep(self.slow)
        finally:
            await stream.aclose()

    def _note(self, item: Any) -> None:
        self.items.append(item)
        match item:
            case Snapshot():
                for thing, version in item.items.items():
                    if version < self.versions[thing]:
                        self.faults.append(f"snapshot of {thing} went back to {version}")
                    self.versions[thing] = version
            case Change(event=event):
                if event.version != self.versions[event.subject] + 1:
                    self.faults.append(f"{event.subject}: {event.version} after {self.versions[event.subject]}")
                if event.pos <= self.last_pos:
                    self.faults.append(f"position {event.pos} after {self.last_pos}")
                self.last_pos = event.pos
                self.versions[event.subject] = event.version
                if committed := self.scene.committed.get((event.subject, event.version)):
                    self.latencies.append(time.monotonic() - committed)
            case Ended() | Reset():
                pass

    async def caught_up(self, seconds: float = 10) -> None:
        """Wait until it holds the present version of all its things, then check that nothing was odd on the way."""
        rows = await self.scene.pool.fetch("SELECT id, version FROM thing WHERE id = ANY($1)", self.things)
        expected = {row["id"]: row["version"] for row in rows}

        def there() -> bool:
            if self.task is not None and self.task.done():
                self.task.result()
            return all(self.versions[thing] >= version for thing, version in expected.items())

        try:
            await eventually(there, seconds)
        except TimeoutError:
            behind = {thing: (self.versions[thing], v) for thing, v in expected.items() if self.versions[thing] < v}
            raise AssertionError(f"missing after {seconds} s: {behind}; faults {self.faults}") from None
        assert self.faults == []


async def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def things(number: int) -> list[UUID]:
    return [uuid7() for _ in range(number)]
