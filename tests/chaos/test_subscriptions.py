"""Subscribers reconnect at random while stores and worker are killed: nothing missed, nothing twice, in order.

Over real sockets, on stores of its own. The truth is the event log itself, read when all is over.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.embedded import StoreOptions, Stores
from app.gql.nodes import global_id, uuid_of
from app.kernel.db import Database
from app.kernel.migrate import migrate
from app.kernel.work import CommandFunction, Unavailable
from app.live.prune import prune
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.builders import Shop
from tests.chaos.fleet import Fleet
from tests.chaos.follower import Follower
from tests.running import issue

EVENTS_MIN = 10_000
RECONNECTS_MIN = 200
ORDERS = 40
WRITERS = 6
SETTLE_SECONDS = 30.0

pytestmark = pytest.mark.alone


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    """Stores to be killed, as durable as in production."""
    stores = Stores(tmp_path / "stores", StoreOptions())
    await asyncio.to_thread(stores.start)
    yield stores
    await asyncio.to_thread(stores.stop)


@pytest.fixture
async def fleet(stores: Stores, tmp_path: Path) -> AsyncIterator[Fleet]:
    await migrate(stores.database_url)
    fleet = Fleet(stores.database_url, stores.redis_url, tmp_path)
    yield fleet
    await fleet.stop()


@pytest.fixture
async def shop(stores: Stores, fleet: Fleet) -> AsyncIterator[Shop]:
    database = Database(stores.database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    await shop.sku("MUG")
    await shop.stock("MUG", 1_000_000)
    yield shop
    await database.close()


async def test_every_subscriber_sees_every_version_once_in_order(
    stores: Stores, fleet: Fleet, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await issue(shop.runner)
    urls = [await fleet.api(), await fleet.api()]
    worker = await fleet.worker()
    known = [global_id("Order", await shop.place({"MUG": 1})) for _ in range(ORDERS)]
    # A snapshot taken before its versions have positions may see them repeated after a break; versions tell.
    await _settled(shop)
    everything = [Follower(urls, key, seed) for seed in range(8)]
    held = [Follower(urls, key, 100 + seed, {"where": {"isOnHold": {"eq": True}}}) for seed in range(2)]
    named = [Follower(urls, key, 200 + seed, {"ids": known[5 * seed : 5 * seed + 5]}) for seed in range(6)]
    followers = everything + held + named
    following = [asyncio.create_task(follower.run(seconds_per_connection=1.5)) for follower in followers]
    await _until(lambda: all(follower.cursor for follower in followers))

    began = time.monotonic()
    writing = [asyncio.create_task(_write(shop, known, seed)) for seed in range(WRITERS)]
    for victim in ("Valkey", "PostgreSQL", "Valkey", "worker", "Valkey"):
        await asyncio.sleep(5)
        if victim == "worker":
            worker.kill()
            await worker.wait()
            worker = await fleet.worker()
        else:
            _kill(stores, victim)
    await _until(lambda: _changes(everything) >= EVENTS_MIN or any(task.done() for task in writing), seconds=240)
    for task in writing:
        task.cancel()
    for result in await asyncio.gather(*writing, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError), result

    truth = await _settled(shop)
    on_hold, released = await _on_hold(shop)
    with suppress(TimeoutError):  # the assertions below say what is missing
        await _until(
            lambda: (
                all(_sees(follower, truth) for follower in everything)
                and all(_sees(follower, {order: truth[order] for order in follower.versions}) for follower in named)
                and all(follower.versions == on_hold for follower in held)
            ),
            seconds=SETTLE_SECONDS,
        )
    with capsys.disabled():
        print(
            f"\n{sum(truth.values()):,} versions of {len(truth)} orders in {time.monotonic() - began:.0f} s; followers"
            f" came back {sum(f.reconnects for f in followers)} times and heard {sum(f.changes for f in followers):,}"
        )
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)

    assert [f.problems for f in followers if f.problems] == []
    assert [f.resets for f in followers if f.resets] == []
    for follower in everything:
        for order, last in truth.items():
            # What was placed before they came may have got its position before or after.
            first = follower.versions[order][0] if order in known else 1
            assert follower.versions[order] == list(range(first, last + 1))
            assert first <= 2
    for follower in named:
        for order, versions in follower.versions.items():
            assert versions == list(range(versions[0], truth[order] + 1))
    for follower in held:
        assert follower.versions == on_hold
        assert follower.left == released
    assert sum(map(len, released.values())) > ORDERS
    assert sum(truth.values()) >= EVENTS_MIN
    assert sum(f.reconnects for f in followers) >= RECONNECTS_MIN
    assert await shop.violations() == {}


async def test_a_cursor_beyond_the_retention_gives_a_reset_and_a_snapshot(fleet: Fleet, shop: Shop) -> None:
    key = await issue(shop.runner)
    urls = [await fleet.api()]
    await fleet.worker()
    order = global_id("Order", await shop.place({"MUG": 1}))
    follower = Follower(urls, key, 1, {"ids": [order]})
    task = asyncio.create_task(follower.run(seconds_per_connection=1))
    await _until(lambda: follower.cursor is not None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await _hold_and_release(shop, order)
    await _settled(shop)
    shop.clock.advance(timedelta(days=40))
    assert await prune(shop.database, shop.clock, retention=timedelta(days=30), keep=0) > 0
    # The node that was up all the time still has the events in memory; one that starts now does not.
    late = Follower([await fleet.api()], key, 2, {"ids": [order]})
    late.cursor = follower.cursor
    task = asyncio.create_task(late.run(seconds_per_connection=5))
    await _until(lambda: bool(late.versions))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert late.resets[0] == "CURSOR_EXPIRED"
    assert late.versions[order] == [3]


def _kill(stores: Stores, name: str) -> None:
    pid = next(child.pid for child in stores.children if child.name == name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def _write(shop: Shop, known: list[str], seed: int) -> None:
    """Hold, release, place and cancel for ever, as a client that repeats with its key what got no answer."""
    dice = random.Random(seed)
    while True:
        if dice.random() < 0.05:
            placed = await _do(shop, orders.place, order=shop.order({"MUG": dice.randint(1, 3)}))
            if dice.random() < 0.5:
                await _do(shop, orders.cancel, order_id=UUID(placed["orderId"]), reason="CUSTOMER")
        else:
            await _hold_and_release(shop, dice.choice(known))


async def _hold_and_release(shop: Shop, order: str) -> None:
    order_id = uuid_of(order, "Order", [])
    held = await _do(shop, orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
    await _do(shop, orders.hold_release, order_id=order_id, hold_id=UUID(held["holdId"]))


async def _do(shop: Shop, command: CommandFunction, **given: Any) -> dict[str, Any]:
    key = str(uuid4())
    while True:
        try:
            return await shop.run(command, key=key, **given)
        except Unavailable:
            await asyncio.sleep(0.2)


async def _settled(shop: Shop) -> dict[str, int]:
    """The last version of each order, once every event has its position."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while await shop.rows("SELECT 1 FROM event_log WHERE pos IS NULL LIMIT 1"):
            await asyncio.sleep(0.1)
    rows = await shop.rows("SELECT subject, max(version) AS last FROM event_log WHERE aggregate = 'order' GROUP BY 1")
    return {global_id("Order", row.subject): row.last for row in rows}


async def _on_hold(shop: Shop) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """What watchers of orders on hold are to see: the versions on hold and those just after, and the latter alone.

    Whether an order was on hold before is read off its version before, not off what the event says of it.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    left: dict[str, list[int]] = defaultdict(list)
    for row in await shop.rows(
        """
        SELECT subject, version, is_on_hold, coalesce(lag(is_on_hold) OVER versions, false) AS was_on_hold
        FROM event_log, LATERAL (SELECT (payload->'facts'->>'isOnHold')::boolean AS is_on_hold) AS facts
        WHERE aggregate = 'order'
        WINDOW versions AS (PARTITION BY subject ORDER BY version)
        ORDER BY subject, version
        """
    ):
        if row.is_on_hold or row.was_on_hold:
            seen[global_id("Order", row.subject)].append(row.version)
        if row.was_on_hold and not row.is_on_hold:
            left[global_id("Order", row.subject)].append(row.version)
    return seen, left


def _changes(followers: list[Follower]) -> int:
    return min(follower.changes for follower in followers)


def _sees(follower: Follower, truth: dict[str, int]) -> bool:
    return all(follower.versions[order][-1:] == [last] for order, last in truth.items())


async def _until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)
