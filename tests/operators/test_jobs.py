"""The worker's timers: reservations let go, backorders served, old keys and events forgotten, outages outlived."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from app import jobs
from app.figures import TimerFigures
from app.inventory import commands as inventory
from app.inventory.refusals import ReservationClosed
from app.jobs import Timer, forget_keys, keep, release_expired, run_timers
from app.kernel.clock import Clock, SystemClock
from app.kernel.settings import Settings
from app.kernel.telemetry import Telemetry
from app.live.prune import prune
from tests.builders import Shop
from tests.operators.conftest import Lines


@asynccontextmanager
async def timers(shop: Shop, figures: TimerFigures, clock: Clock | None = None) -> AsyncIterator[None]:
    task = asyncio.create_task(run_timers(shop.database, clock or shop.clock, Settings(), figures))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def count(figures: TimerFigures, name: str) -> float:
    return figures.telemetry.registry.get_sample_value(f"orderwire_{name}_total") or 0


async def test_an_expired_reservation_gives_its_units_back_within_two_seconds(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    shop.runner.clock = clock = SystemClock()
    figures = TimerFigures(Telemetry())
    async with timers(shop, figures, clock), timers(shop, figures, clock):
        await shop.reserve({"MUG": 4}, seconds=1)
        assert (await shop.level("MUG")).reserved == 4

        async with asyncio.timeout(3):
            while (await shop.level("MUG")).reserved:
                await asyncio.sleep(0.02)

    assert count(figures, "reservations_expired") == 1


async def test_stock_that_comes_is_allocated_to_those_who_wait_within_two_seconds(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=5)
    await shop.place({"MUG": 4})
    figures = TimerFigures(Telemetry())
    async with timers(shop, figures), timers(shop, figures):
        await shop.stock("MUG", 3)
        async with asyncio.timeout(2):
            while not (await shop.level("MUG")).allocated:
                await asyncio.sleep(0.02)

    assert (await shop.level("MUG")).allocated == count(figures, "backordered_units_allocated") == 3


async def test_before_the_timer_has_run_an_expired_reservation_is_refused_by_its_token(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    token = await shop.reserve({"MUG": 4}, seconds=60)
    shop.clock.advance(timedelta(seconds=61))

    for command, given in ((inventory.extend, {"seconds": 60}), (inventory.release, {})):
        with pytest.raises(ReservationClosed):
            await shop.run(command, token=token, **given)
    with pytest.raises(ReservationClosed):
        await shop.place({"MUG": 1}, reservation_token=token)

    assert (await shop.level("MUG")).reserved == 4


async def test_many_workers_release_each_reservation_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RELEASE_BATCH", 3)
    await shop.sku("MUG")
    await shop.stock("MUG", 100)
    for _ in range(20):
        await shop.reserve({"MUG": 2}, seconds=60)
    lasting = await shop.reserve({"MUG": 5}, seconds=600)
    shop.clock.advance(timedelta(seconds=61))
    figures = TimerFigures(Telemetry())

    released = await asyncio.gather(*(release_expired(shop.database, shop.clock, figures) for _ in range(4)))
    released.append(await release_expired(shop.database, shop.clock, figures))

    assert sum(released) == count(figures, "reservations_expired") == 20
    assert (await shop.level("MUG")).reserved == 5
    await shop.run(inventory.release, token=lasting)


async def test_keys_are_forgotten_after_their_time_in_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FORGET_BATCH", 10)
    figures = TimerFigures(Telemetry())
    await shop.execute("DELETE FROM idempotency_key")
    await shop.execute(
        "INSERT INTO idempotency_key (principal, key, request_sha256, created_at, expires_at)"
        " SELECT 'p', n::text, '', :now, CAST(:now AS timestamptz) + (n - 35) * interval '1 day'"
        " FROM generate_series(1, 60) n",
        now=shop.clock.now(),
    )

    forgotten = await asyncio.gather(*(forget_keys(shop.database, shop.clock, figures) for _ in range(3)))

    assert sum(forgotten) == count(figures, "idempotency_keys_pruned") == 35
    kept = await shop.rows("SELECT key::int AS n FROM idempotency_key ORDER BY 1")
    assert [row.n for row in kept] == list(range(36, 61))


async def test_old_events_go_and_are_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "prune", partial(prune, keep=0))
    await shop.execute(
        "WITH numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS pos FROM event_log)"
        " UPDATE event_log e SET pos = n.pos FROM numbered n WHERE n.id = e.id"
    )
    await shop.execute("UPDATE relay_shard SET pos = (SELECT max(pos) FROM event_log)")
    events = (await shop.one("SELECT count(*) AS n FROM event_log")).n
    shop.clock.advance(timedelta(days=31))
    figures = TimerFigures(Telemetry())

    monkeypatch.setattr(jobs, "PRUNE_SECONDS", 0.1)
    async with timers(shop, figures), asyncio.timeout(5):
        while count(figures, "events_pruned") < events:
            await asyncio.sleep(0.05)

    assert await shop.rows("SELECT 1 FROM event_log") == []


async def test_a_timer_outlives_an_outage_and_tells_of_it_once(shop: Shop, lines: Lines) -> None:
    figures, runs = TimerFigures(Telemetry()), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs <= 2:
            raise ConnectionRefusedError("no PostgreSQL")
        if runs == 4:
            raise ValueError("a mistake of ours")

    task = asyncio.create_task(keep(Timer("try", 0.05, run), figures))
    async with asyncio.timeout(10):
        while runs < 6:
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [line["event"] for line in lines.all()] == [
        "timer waits for PostgreSQL",
        "timer runs again",
        "timer failed; it goes on",
        "timer runs again",
    ]
    failures = figures.telemetry.registry.get_sample_value("orderwire_timer_failures_total", {"timer": "try"})
    assert failures == 3


async def test_the_timers_go_on_when_postgresql_comes_back(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    figures = TimerFigures(Telemetry())
    async with timers(shop, figures):
        await asyncio.sleep(0.2)
        await shop.reserve({"MUG": 4}, seconds=60)
        await shop.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        shop.clock.advance(timedelta(seconds=61))
        async with asyncio.timeout(10):
            while not count(figures, "reservations_expired"):
                await asyncio.sleep(0.05)

    assert (await shop.level("MUG")).reserved == 0
