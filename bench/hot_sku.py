"""One hot SKU: 32 clients sell it out, over HTTP and by one call, beside pgbench's statements in a transaction."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from app.kernel.ids import uuid7
from bench import sent
from bench.distance import far
from bench.driver import CLIENTS, driving, made, pgbench
from bench.figures import Figure, spread
from bench.load import Request, once_each
from bench.placing import MUTATION
from bench.stage import CALL_POOL, Stage, another_api
from tests.builders import Shop

ROUNDS = 3
# Enough that a round takes seconds on the slower side; a multiple of the clients, whose shares are alike.
UNITS, UNITS_FAR = 3_200, 960
BEYOND = 2 * CLIENTS  # attempts after the last unit, which must all be refused

RESERVE = """
mutation Reserve($input: StockReserveInput!, $key: String!) {
  stockReserve(input: $input, idempotencyKey: $key) { reservation { token } userErrors { code } }
}
"""

# What sells one unit of each of these SKUs.
Calls = Callable[[Stage, Sequence[str]], Awaitable[sent.Sent]]

THEIRS = """
BEGIN;
UPDATE stock_level SET allocated = allocated + 1, updated_at = now()
WHERE sku_id = '{sku}' AND on_hand - allocated - reserved - damaged - quality_control >= 1;
INSERT INTO stock_movement (sku_id, location_id, owner, type, d_allocated, cause_id, actor, occurred_at)
VALUES ('{sku}', '{location}', '', 'ALLOCATE', 1, '{cause}', 'bench', now());
COMMIT;
"""


async def measure(stage: Stage) -> list[Figure]:
    """Units a second, ours and pgbench's, in turns; medians over the rounds."""
    near = await _compare(stage, stage.stores.database_url, stage.port, stage.api_pid, UNITS)
    async with (
        far(stage.stores.database_url) as url,
        another_api(stage, {"ORDERWIRE_DATABASE_URL": url}) as (port, pid),
    ):
        away = await _compare(stage, url, port, pid, UNITS_FAR)
    work = "one hot SKU, 32 clients, exactly the stock is sold"
    distant = "the same, with 1 ms added to every round trip to PostgreSQL on both sides"
    return [
        *_figures(f"{work}: over HTTP", "over HTTP", near, 5, 12),
        *_figures(f"{work}: at the driver, sharing commits", "together", near, 12, 25),
        *_figures(f"{work}: at the driver, a commit each", "apart", near, 1.2, 3),
        *_figures(f"{distant}: over HTTP", "over HTTP", away, 5, 12),
        *_figures(f"{distant}: at the driver, sharing commits", "together", away, 12, 25),
        *_figures(f"{distant}: at the driver, a commit each", "apart", away, 5, 10),
    ]


def _figures(work: str, how: str, found: Mapping[str, Any], reach: float, aim: float) -> list[Figure]:
    return [
        _figure(f"{work}, reserving", f"reserving {how}", found, reach, aim),
        _figure(f"{work}, placing an order", f"placing {how}", found, reach, aim),
    ]


def _figure(work: str, ours: str, found: Mapping[str, Any], reach: float, aim: float) -> Figure:
    rate, reference = statistics.median(found[ours]), statistics.median(found["pgbench"])
    shown = (
        f"{rate / reference:.1f}× : {spread(found[ours])}/s against {spread(found['pgbench'])}/s,"
        f" or {spread(found['pgbench_few'])}/s over {CALL_POOL} connections; round trip {found['round_trip_ms']} ms"
    )
    return Figure(work=work, value=rate / reference, unit="×", shown=shown, reach=reach, aim=aim, detail=dict(found))


async def _compare(stage: Stage, url: str, port: int, pid: int, units: int) -> dict[str, Any]:
    """Sales a second, in turns: ours over the few connections of the product, pgbench's over one for each client."""
    found: dict[str, Any] = defaultdict(list)
    for _ in range(ROUNDS):
        with driving():
            for name, calls in (("reserving", sent.by_reserving), ("placing", sent.by_placing)):
                found[f"{name} apart"].append(await _ours(stage, url, units, calls, together=False))
                found[f"{name} together"].append(await _ours(stage, url, units, calls, together=True))
            found["pgbench"].append(await _theirs(stage, url, units, CLIENTS))
            found["pgbench_few"].append(await _theirs(stage, url, units, CALL_POOL))
        for name, document, given in (("reserving", RESERVE, {"seconds": 3_600}), ("placing", MUTATION, {})):
            found[f"{name} over HTTP"].append(await _over_http(stage, port, pid, units, document, given))
        await stage.drained()
    found["round_trip_ms"] = await _round_trip_ms(url)
    return found


async def _over_http(stage: Stage, port: int, pid: int, units: int, document: str, given: Mapping[str, Any]) -> float:
    """The mutation, from its text to the answer, by the API's one process."""
    sku, sku_id = await _hot_sku(stage, units)
    name = document.split("(")[0].split()[-1]
    sale = {"channel": "WEB", "lines": [{"sku": sku, "quantity": 1}], **given}
    requests = [
        Request.of(document, name, {"input": sale, "key": f"{sku} {number}"}, stage.key)
        for number in range(units + BEYOND)
    ]
    sold, last = 0, 0.0

    def hear(answer: bytes) -> None:
        nonlocal sold, last
        if b'"userErrors":[]' in answer:
            sold, last = sold + 1, time.monotonic()

    began = time.monotonic()
    await once_each(port, pid, None, requests, clients=CLIENTS, hear=hear)
    await _is_sold_out(stage, sku_id, sold, units)
    return units / (last - began)


async def _ours(stage: Stage, url: str, units: int, calls: Calls, *, together: bool) -> float:
    """One call a sale, as the command makes it; together with those that wait, or each with a commit of its own."""
    sku, sku_id = await _hot_sku(stage, units)
    attempts = [await calls(stage, [sku]) for _ in range(units + BEYOND)]
    sold, rate = await made(url, attempts, sku, together=together)
    await _is_sold_out(stage, sku_id, sold, units)
    return rate


async def _theirs(stage: Stage, url: str, units: int, connections: int) -> float:
    """A conditional UPDATE and an INSERT, each a statement of its own in one transaction, prepared."""
    _, sku_id = await _hot_sku(stage, units)
    location = await stage.database.call("SELECT location_id FROM stock_level WHERE sku_id = $1", sku_id)
    script = THEIRS.format(sku=sku_id, location=location, cause=uuid7())
    sales = units // connections
    rate = await pgbench(url, script, "-M", "prepared", "-t", str(sales), clients=connections)
    await _is_sold_out(stage, sku_id, sales * connections, sales * connections)
    return rate


async def _is_sold_out(stage: Stage, sku_id: UUID, sold: int, units: int) -> None:
    taken = await stage.database.call("SELECT sum(allocated + reserved) FROM stock_level WHERE sku_id = $1", sku_id)
    assert sold == taken == units, f"{sold} of {units} units were sold, {taken} taken"


_codes = itertools.count(1)


async def _hot_sku(stage: Stage, units: int) -> tuple[str, UUID]:
    """A new SKU with so many units at one location; its code and id."""
    code = f"HOT-{next(_codes)}"
    shop = Shop(stage.database)
    await shop.sku(code)
    await shop.stock(code, units, at="L0")
    return code, (await shop.one("SELECT id FROM sku WHERE code = :code", code=code)).id


async def _round_trip_ms(url: str) -> float:
    connection = await asyncpg.connect(url)
    took = []
    for _ in range(200):
        began = time.monotonic()
        await connection.fetchval("SELECT 1")
        took.append(time.monotonic() - began)
    await connection.close()
    return round(statistics.median(took) * 1000, 3)
