"""What the worker does by the clock. Any number of workers may do it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import uniform

import structlog
from sqlalchemy import text

from app.figures import TimerFigures
from app.kernel.clock import Clock
from app.kernel.db import Database, Reads
from app.kernel.errors import Refusal
from app.kernel.principal import system
from app.kernel.settings import Settings
from app.kernel.work import CommandArguments, Runner, Unavailable
from app.live.outage import give_way, is_outage
from app.live.prune import prune
from app.orders import commands as orders
from app.orders import queries

RELEASE_SECONDS = 0.5
ALLOCATE_SECONDS = 0.5
FORGET_SECONDS = 60.0
PRUNE_SECONDS = 3600.0
# A batch is one transaction: small enough not to keep sellers of the same SKUs waiting.
RELEASE_BATCH = 500
FORGET_BATCH = 1_000
# Orders looked up at once; each is a transaction of its own.
ALLOCATE_BATCH = 50
_BACKOFF_MAX = 5.0

_EXPIRE = "SELECT inventory_reservations_expire($1, $2, $3)"
_FORGET = text(
    """
    DELETE FROM idempotency_key k USING (
        SELECT principal, key FROM idempotency_key WHERE expires_at <= :now
        ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ) old
    WHERE k.principal = old.principal AND k.key = old.key
    """
)

_ALLOCATOR = system("allocator", "orders:write")

log = structlog.get_logger("orderwire.jobs")


@dataclass(frozen=True, slots=True)
class Timer:
    """run  safe to repeat and to run in several workers at once; returns when there is nothing left to do"""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


async def run_timers(database: Database, clock: Clock, settings: Settings, figures: TimerFigures) -> None:
    """Release expired reservations, allocate backorders, forget old idempotency keys and events, until cancelled."""
    retention = timedelta(days=settings.event_retention_days)
    runner = Runner(database, clock, watching=figures.telemetry)

    async def prune_events() -> None:
        figures.events_pruned.inc(await prune(database, clock, retention=retention))

    timers = [
        Timer("release reservations", RELEASE_SECONDS, lambda: release_expired(database, clock, figures)),
        Timer("allocate backorders", ALLOCATE_SECONDS, lambda: allocate_backorders(runner, figures)),
        Timer("forget idempotency keys", FORGET_SECONDS, lambda: forget_keys(database, clock, figures)),
        Timer("prune events", PRUNE_SECONDS, prune_events),
    ]
    async with asyncio.TaskGroup() as tasks:
        for timer in timers:
            tasks.create_task(keep(timer, figures))


async def release_expired(database: Database, clock: Clock, figures: TimerFigures) -> int:
    """Give back what reservations hold whose time is over; how many were released."""
    released = 0
    while count := int(await database.call(_EXPIRE, clock.now(), RELEASE_BATCH, "system:timer")):
        released += count
        figures.reservations_expired.inc(count)
    return released


async def allocate_backorders(runner: Runner, figures: TimerFigures) -> int:
    """Allocate stock that has come to the orders that wait for it, in their turn; how many units were.

    An order that cannot be served now is passed over, so that nobody waits behind it, and looked at again next time.
    """
    reads = Reads(runner.database, _ALLOCATOR, runner.clock)
    allocated = 0
    after: queries.WaitingPlace | None = None
    faults: list[Exception] = []
    while waiting := await queries.servable(reads, after=after, limit=ALLOCATE_BATCH):
        for order in waiting:
            try:
                result = await runner.run(_ALLOCATOR, orders.allocate, CommandArguments(None), order_id=order.id)
            except Unavailable:
                raise
            except Refusal:
                continue
            except Exception as problem:
                give_way()
                faults.append(problem)
                continue
            allocated += result["units"]
            figures.backorders_allocated.inc(result["units"])
        after = (waiting[-1].priority, waiting[-1].placed_at, waiting[-1].id)
    if faults:
        raise faults[0]
    return allocated


async def forget_keys(database: Database, clock: Clock, figures: TimerFigures) -> int:
    """Delete idempotency records whose time is over; how many went."""
    forgotten = 0
    while True:
        async with database.transaction() as db:
            deleted = (await db.execute(_FORGET, {"now": clock.now(), "batch": FORGET_BATCH})).rowcount
        forgotten += deleted
        figures.keys_pruned.inc(deleted)
        if deleted < FORGET_BATCH:
            return forgotten


async def keep(timer: Timer, figures: TimerFigures) -> None:
    """Run the timer again and again, whatever happens to PostgreSQL; a failure is told once, and so is its end."""
    failures = 0
    await asyncio.sleep(timer.every_seconds * uniform(0, 0.1))
    while True:
        try:
            await timer.run()
        except Exception as problem:
            figures.failures.labels(timer.name).inc()
            if not failures:
                _tell(timer, problem)
            failures += 1
        else:
            if failures:
                log.info("timer runs again", timer=timer.name, failures=failures)
            failures = 0
        give_way()
        await asyncio.sleep(_pause(timer, failures))


def _pause(timer: Timer, failures: int) -> float:
    """Sooner after a failure than usual for the slow ones, later for the quick ones."""
    if not failures:
        return timer.every_seconds
    return float(min(RELEASE_SECONDS * 2 ** min(failures, 10), _BACKOFF_MAX) * uniform(0.5, 1.0))


def _tell(timer: Timer, problem: Exception) -> None:
    if is_outage(problem) or isinstance(problem, Unavailable):
        log.warning("timer waits for PostgreSQL", timer=timer.name, error=repr(problem))
    else:
        log.error("timer failed; it goes on", timer=timer.name, exc_info=problem)
