"""One hot SKU at the driver: 32 clients sell it out, by one call of ours and by statements of their own."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import asyncpg

from app.kernel.combiner import Combiner, call_alone
from app.kernel.db import Database
from app.kernel.errors import REFUSED_IN_SQL
from app.kernel.ids import uuid7
from bench import sent
from bench.distance import far
from bench.figures import Figure, spread
from bench.stage import API_CORE, CALL_POOL, OTHER_CORE, Stage
from tests.builders import Shop

CLIENTS = 32
ROUNDS = 3
# Enough that a round takes seconds on the slower side.
UNITS, UNITS_FAR = 3_000, 1_000
BEYOND = 2 * CLIENTS  # attempts after the last unit, which must all be refused

OURS = ("reserving", "reserving together", "placing", "placing together")

# Sells one unit; true when it was there to sell.
Sell = Callable[[], Awaitable[bool]]
# What sells one unit of each of these SKUs.
Calls = Callable[[Stage, Sequence[str]], Awaitable[sent.Sent]]

_LOCK = "SELECT on_hand - allocated - reserved AS free FROM stock_level WHERE sku_id = $1 FOR UPDATE"
_TAKE = "UPDATE stock_level SET allocated = allocated + 1, updated_at = now() WHERE sku_id = $1"
_NOTE = (
    "INSERT INTO stock_movement (sku_id, location_id, owner, type, d_allocated, cause_id, actor, occurred_at)"
    " SELECT $1, location_id, '', 'ALLOCATE', 1, $2, 'bench', now() FROM stock_level WHERE sku_id = $1"
)


async def measure(stage: Stage) -> list[Figure]:
    # No API takes part: the driver has its core.
    os.sched_setaffinity(0, {API_CORE})
    try:
        return await _measure(stage)
    finally:
        os.sched_setaffinity(0, {OTHER_CORE})


async def _measure(stage: Stage) -> list[Figure]:
    near = await _compare(stage, stage.stores.database_url, UNITS)
    async with far(stage.stores.database_url) as url:
        away = await _compare(stage, url, UNITS_FAR)
    work = "one hot SKU, at the driver, 32 clients, exactly the stock is sold"
    distant = "the same, with 1 ms added to every round trip on both sides"
    return [
        _figure(f"{work}, sharing commits: reserving", "reserving together", near, 12, 25),
        _figure(f"{work}, sharing commits: placing an order", "placing together", near, 12, 25),
        _figure(f"{work}: reserving", "reserving", near, 1.2, 3),
        _figure(f"{work}: placing an order", "placing", near, 1.2, 3),
        _figure(f"{distant}: reserving", "reserving", away, 5, 10),
        _figure(f"{distant}: placing an order", "placing", away, 5, 10),
    ]


def _figure(work: str, ours: str, found: dict[str, Any], reach: float, aim: float) -> Figure:
    rate, reference = statistics.median(found[ours]), statistics.median(found["statements"])
    shown = (
        f"{rate / reference:.1f}× : {spread(found[ours])}/s against {spread(found['statements'])}/s,"
        f" or {spread(found['statements_few'])}/s over {CALL_POOL} connections; round trip {found['round_trip_ms']} ms"
    )
    return Figure(work=work, value=rate / reference, unit="×", shown=shown, reach=reach, aim=aim, detail=found)


async def _compare(stage: Stage, url: str, units: int) -> dict[str, Any]:
    """Sales a second, in turns: ours over the few connections of the product, theirs over one for each client."""
    found: dict[str, Any] = {name: [] for name in (*OURS, "statements", "statements_few")}
    for _ in range(ROUNDS):
        found["reserving"].append(await _ours(stage, url, units, sent.by_reserving))
        found["reserving together"].append(await _ours(stage, url, units, sent.by_reserving, together=True))
        found["statements"].append(await _theirs(stage, url, units, CLIENTS))
        found["placing"].append(await _ours(stage, url, units, sent.by_placing))
        found["placing together"].append(await _ours(stage, url, units, sent.by_placing, together=True))
        found["statements_few"].append(await _theirs(stage, url, units, CALL_POOL))
        await stage.drained()
    found["round_trip_ms"] = await _round_trip_ms(url)
    return found


async def _ours(stage: Stage, url: str, units: int, calls: Calls, *, together: bool = False) -> float:
    """One call a sale, as the command makes it; together with those that wait, or each with a commit of its own."""
    sku, sku_id = await _hot_sku(stage, units)
    attempts = iter([await calls(stage, [sku]) for _ in range(units + BEYOND)])
    numbers = itertools.count()
    database = Database(url, read_pool=1, call_pool=CALL_POOL)
    await database.open()
    now = stage.runner.clock.now()
    send = Combiner(database).call if together else partial(call_alone, database)

    async def sell() -> bool:
        if (call := next(attempts, None)) is None:
            raise StopAsyncIteration
        try:
            await send(call.function, call.under(f"{sku} {next(numbers)}", now))
        except asyncpg.PostgresError as refused:
            if refused.sqlstate != REFUSED_IN_SQL:
                raise
            return False
        return True

    rate = await _sold_out(sell, units)
    await database.close()
    assert await _sold(stage, sku_id) == units
    return rate


async def _theirs(stage: Stage, url: str, units: int, connections: int) -> float:
    """SELECT … FOR UPDATE, UPDATE, INSERT, each a statement of its own in one transaction."""
    _, sku_id = await _hot_sku(stage, units)
    left = iter(range(units + BEYOND))
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections, reset=_keep)

    async def sell() -> bool:
        if next(left, None) is None:
            raise StopAsyncIteration
        async with pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_LOCK, sku_id):
                return False
            await connection.execute(_TAKE, sku_id)
            await connection.execute(_NOTE, sku_id, uuid7())
            return True

    rate = await _sold_out(sell, units)
    await pool.close()
    assert await _sold(stage, sku_id) == units
    return rate


async def _keep(_: asyncpg.Connection) -> None:
    """Nothing to reset: it would cost a round trip."""


async def _sold_out(sell: Sell, units: int) -> float:
    """Units a second, from the first attempt to the last unit."""
    sold, last = 0, 0.0

    async def client() -> None:
        nonlocal sold, last
        while True:
            try:
                if await sell():
                    sold, last = sold + 1, time.monotonic()
            except StopAsyncIteration:
                return

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert sold == units, f"{sold} of {units} units were sold"
    return units / (last - began)


_codes = itertools.count(1)


async def _hot_sku(stage: Stage, units: int) -> tuple[str, Any]:
    """A new SKU with so many units at one location; its code and id."""
    code = f"HOT-{next(_codes)}"
    shop = Shop(stage.database)
    await shop.sku(code)
    await shop.stock(code, units, at="L0")
    return code, (await shop.one("SELECT id FROM sku WHERE code = :code", code=code)).id


async def _sold(stage: Stage, sku_id: Any) -> int:
    return int(await stage.database.call("SELECT sum(allocated + reserved) FROM stock_level WHERE sku_id = $1", sku_id))


async def _round_trip_ms(url: str) -> float:
    connection = await asyncpg.connect(url)
    took = []
    for _ in range(200):
        began = time.monotonic()
        await connection.fetchval("SELECT 1")
        took.append(time.monotonic() - began)
    await connection.close()
    return round(statistics.median(took) * 1000, 3)
