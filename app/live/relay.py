"""The relay: gives committed events their positions and publishes them.

Any number of workers run one; the holder of an advisory lock leads. The lock belongs to the session that also assigns
the positions, so a leader that lost its session has lost both. A leader that hangs is ended by PostgreSQL after
`idle_session_timeout`; what it publishes late is dropped by the hubs, because its positions are old.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from redis.exceptions import RedisError

from app.kernel.clock import Clock
from app.kernel.db import PLANNING
from app.live import channel
from app.live.outage import give_way, is_outage
from app.live.publisher import Publisher

_LOCK = 0x4F57  # first half of the advisory lock's key; the second is the shard
_BATCH = 1_000
_STANDBY_SECONDS = 0.25
_POLL_MIN, _POLL_MAX = 0.010, 0.050
# A nudge may follow each commit. Waiting this long after a batch lets those of a burst share one transaction.
_GATHER_SECONDS = 0.002

_LOOK = """
    SELECT s.pos, s.epoch,
        (SELECT occurred_at FROM event_log WHERE shard = $1 AND pos IS NULL ORDER BY id LIMIT 1) AS oldest
    FROM relay_shard s WHERE s.shard = $1
"""
# Two statements in one message. The shard is a number of ours, never input.
_BEGIN_FENCED = "BEGIN; SELECT FROM relay_shard WHERE shard = {shard:d} FOR UPDATE"
# A statement of its own after the fence: only then does its snapshot see what an earlier leader committed.
# The order of ids is safe because an aggregate's versions take theirs under its row lock (the sequence caches none).
_ASSIGN = """
    WITH batch AS (
        SELECT id, s.epoch, s.pos + row_number() OVER (ORDER BY id) AS pos
        FROM (SELECT id FROM event_log WHERE shard = $1 AND pos IS NULL ORDER BY id LIMIT $2) waiting, relay_shard s
        WHERE s.shard = $1
    ), placed AS (
        UPDATE event_log e SET pos = batch.pos FROM batch WHERE e.id = batch.id
        RETURNING batch.epoch, e.pos, e.id, e.aggregate, e.subject, e.version, e.type, e.topics,
            e.payload::text AS body, e.actor, e.occurred_at
    ), moved AS (
        UPDATE relay_shard SET pos = pos + (SELECT count(*) FROM batch) WHERE shard = $1
    )
    SELECT * FROM placed ORDER BY pos
"""


@dataclass
class RelayStats:
    """What the operator watches.

    in_place        it does its work, or waits for the one that leads to fall
    oldest_seconds  age of the oldest committed event without a position
    """

    in_place: bool = False
    leading: bool = False
    elections: int = 0
    pos: int = 0
    positioned: int = 0
    batch: int = 0
    oldest_seconds: float = 0.0
    outages: int = 0


class Relay:
    """Runs until cancelled; survives PostgreSQL and Redis going away.

    watched  called after each batch and each look at an idle log, with the figures
    """

    def __init__(
        self,
        dsn: str,
        redis_url: str,
        clock: Clock,
        *,
        shard: int = 0,
        watched: Callable[[RelayStats], None] | None = None,
    ) -> None:
        self.stats = RelayStats()
        self.publisher = Publisher(redis_url, channel.channel(shard))
        self._dsn = dsn
        self._redis_url = redis_url
        self._clock = clock
        self._shard = shard
        self._watched = watched
        self._nudged = asyncio.Event()
        self._ailing = False  # since its last batch or look it has failed, which has been told
        self._log = structlog.get_logger(__name__).bind(shard=shard)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            tasks.create_task(self._listen_for_nudges())
            tasks.create_task(self._lead_for_ever())

    async def _lead_for_ever(self) -> None:
        while True:
            try:
                async with self._session() as session:
                    while not await session.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK, self._shard):
                        self.stats.in_place = True
                        give_way()
                        await asyncio.sleep(_STANDBY_SECONDS)
                    self.stats.leading = True
                    self.stats.elections += 1
                    if not self._ailing:
                        self._log.info("relay leads")
                    await self._lead(session)
            except Exception as error:
                self._tell_of(error)
                self.stats.outages += 1
            finally:
                self.stats.leading = self.stats.in_place = False
            give_way()
            await asyncio.sleep(_STANDBY_SECONDS)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection]:
        session = await asyncpg.connect(
            self._dsn,
            timeout=5,
            command_timeout=10,
            server_settings={
                "application_name": "orderwire-relay",
                "lock_timeout": "2000",
                "statement_timeout": "5000",
                "idle_in_transaction_session_timeout": "3000",
                # The loop below speaks every 50 ms: a session silent for so long belongs to a process that hangs.
                "idle_session_timeout": "3000",
                # A leader behind a cut network must not keep the lock for the system's usual two hours.
                "tcp_keepalives_idle": "2",
                "tcp_keepalives_interval": "1",
                "tcp_keepalives_count": "3",
                # Positions are published, so they must not come back different after a crash of the server.
                "synchronous_commit": "on",
                **PLANNING,
            },
        )
        try:
            yield session
        finally:
            # Cancelled or broken: do not wait for a server that may not answer. The lock goes with the session.
            session.terminate()

    async def _lead(self, session: asyncpg.Connection) -> None:
        loop = asyncio.get_running_loop()
        pause, heartbeat_at = _POLL_MIN, 0.0
        while True:
            give_way()
            self._nudged.clear()
            look = await session.fetchrow(_LOOK, self._shard)
            assert look is not None, "relay_shard has no row for this shard: run the migrations"
            pos, epoch, oldest = look
            if oldest is not None and (moved := await self._assign(session)) is not None:
                pos, epoch = moved
            self._tell(pos, 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds())

            if loop.time() >= heartbeat_at:
                self.publisher.send(channel.heartbeat(epoch, pos))
                heartbeat_at = loop.time() + channel.HEARTBEAT_SECONDS

            if oldest is None:
                pause = min(pause * 1.3, _POLL_MAX)
            else:
                pause = _POLL_MIN
                if self.stats.batch == _BATCH:
                    continue
                await asyncio.sleep(_GATHER_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudged.wait()

    async def _assign(self, session: asyncpg.Connection) -> tuple[int, UUID] | None:
        """Give the waiting events the next positions and publish them; the head afterwards, None if none waited."""
        # By hand, because the driver's transaction would cost two round trips more, and each is felt by subscribers.
        await session.execute(_BEGIN_FENCED.format(shard=self._shard))
        try:
            rows = await session.fetch(_ASSIGN, self._shard, _BATCH)
            await session.execute("COMMIT")
        except asyncpg.PostgresError:
            await session.execute("ROLLBACK")
            raise
        if not rows:
            return None
        epoch = rows[0]["epoch"]
        for message in channel.batches(epoch, rows):
            self.publisher.send(message)
        self.stats.batch = len(rows)
        self.stats.positioned += len(rows)
        return rows[-1]["pos"], epoch

    def _tell_of(self, error: Exception) -> None:
        """Once, however often it is met before the next success."""
        if self._ailing:
            return
        if not is_outage(error):
            self._log.error("relay stumbled; it goes on", exc_info=error)
        elif self.stats.leading:
            self._log.warning("relay lost PostgreSQL", error=repr(error))
        else:
            return
        self._ailing = True

    def _tell(self, pos: int, oldest_seconds: float) -> None:
        if self._ailing:
            self._ailing = False
            self._log.info("relay leads again")
        self.stats.in_place = True
        self.stats.pos = pos
        self.stats.oldest_seconds = max(0.0, oldest_seconds)
        if self._watched is not None:
            self._watched(self.stats)

    async def _listen_for_nudges(self) -> None:
        """Best effort: without nudges the relay polls."""
        while True:
            try:
                async with channel.listening_client(self._redis_url) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(channel.NUDGE)
                    while True:
                        await pubsub.get_message(timeout=None)
                        give_way()
                        self._nudged.set()
            except (RedisError, OSError, TimeoutError):
                pass  # the publisher tells of it
            except Exception:
                self._log.exception("listening for nudges stumbled; it goes on")
            give_way()
            await asyncio.sleep(0.5)
