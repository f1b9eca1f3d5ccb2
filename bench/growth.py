"""`make bench-growth`: what reads cost when a hundred times as many orders and movements lie in the tables.

Numbers of orders on the command line take the place of the usual ones; the table is written when none is named.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from bench import history, report
from bench.figures import Figure, spread
from bench.load import Request, Round, asked, round_of
from bench.reading import AVAILABILITY, ORDER, ORDERS_PAGE, STOCK_LEVELS, skus_drawn, together
from bench.stage import Stage, stage
from tests.builders import NOON, Shop

ORDERS = (10_000, 100_000, 1_000_000)
ROUNDS = 5
SECONDS = 1.5
WARM_SECONDS = 2.0
VARIED = 40
SEED = 22

OPEN_ORDERS = ORDERS_PAGE.replace("first: 50", "first: 50, where: {lifecycle: {eq: PLACED}}")
ORDERS_BEFORE = ORDERS_PAGE.replace("query Orders", "query Orders($before: DateTime!)").replace(
    "first: 50", "first: 50, where: {placedAt: {range: {lt: $before}}}"
)
MOVEMENTS = """
query Movements($skus: [String!]) {
  stockMovements(first: 50, skus: $skus) {
    nodes { type onHandChange allocatedChange reason causeId occurredAt sku { code } location { code } }
  }
}
"""


@dataclass(frozen=True)
class Read:
    """variables  by turns; what they find lies all over the tables"""

    work: str
    document: str
    variables: Sequence[dict[str, object]]

    def requests(self, key: str) -> list[Request]:
        name = self.document.split("(")[0].split("{")[0].split()[1]
        return [Request.of(self.document, name, each, key) for each in self.variables]


def reads(orders: int) -> list[Read]:
    """Of a shop with so many orders."""
    dice = random.Random(SEED)
    drawn = sorted(dice.sample(range(1, orders + 1), VARIED))
    skus = [skus_drawn(dice, 50) for _ in range(VARIED)]
    instants = [(NOON + timedelta(seconds=max(n, 200))).isoformat() for n in drawn]
    return [
        Read("one order", ORDER, [{"number": f"OW-{history.FIRST_NUMBER + n}"} for n in drawn]),
        Read("the newest 50 orders", ORDERS_PAGE, [{}]),
        Read("50 of the orders that are open", OPEN_ORDERS, [{}]),
        Read("50 of the orders placed before an instant", ORDERS_BEFORE, [{"before": at} for at in instants]),
        Read("100 stock levels", STOCK_LEVELS, [{"skus": each[:20], "first": 100} for each in skus]),
        Read("availability of 50 SKUs", AVAILABILITY, [{"skus": each, "channel": "WEB"} for each in skus]),
        Read("the newest 50 movements", MOVEMENTS, [{}]),
        Read("the newest 50 movements of a SKU", MOVEMENTS, [{"skus": each[:1]} for each in skus]),
    ]


async def measure(sizes: Sequence[int]) -> list[Figure]:
    """All sizes stand beside each other and are asked in turns: what else the machine does falls on each alike."""
    async with AsyncExitStack() as standing:
        stages = {orders: await standing.enter_async_context(stage()) for orders in sizes}
        for orders, on in stages.items():
            shop = Shop(on.database)
            shop.runner = on.runner
            await history.write(shop, on.stores.database_url, orders)
            await on.drained()
            await _is_consistent(on, orders)
        names = [read.work for read in reads(sizes[0])]
        return [_figure(name, await _compare(number, stages)) for number, name in enumerate(names)]


async def _is_consistent(on: Stage, orders: int) -> None:
    """Every invariant holds, or what is measured is no shop."""
    began = time.monotonic()
    connection = await asyncpg.connect(on.stores.database_url)
    try:
        views = await connection.fetch(
            "SELECT table_name FROM information_schema.views WHERE table_name LIKE 'integrity\\_%'"
        )
        for (view,) in views:
            violated = await connection.fetch(f"SELECT * FROM {view} LIMIT 3")
            assert not violated, f"{view}: {violated}"
    finally:
        await connection.close()
    print(
        f"  {len(views)} invariants hold with {orders:,} orders, {time.monotonic() - began:.0f} s",
        file=sys.stderr,
        flush=True,
    )


async def _compare(number: int, stages: Mapping[int, Stage]) -> dict[int, list[Round]]:
    """Rounds of one read by size, in turns."""
    found: dict[int, list[Round]] = {orders: [] for orders in stages}
    sent = {orders: reads(orders)[number].requests(on.key) for orders, on in stages.items()}
    postmasters = {orders: await on.postmaster() for orders, on in stages.items()}
    ports = {orders: on.port for orders, on in stages.items()}
    for orders, requests in sent.items():
        for request in requests[:: VARIED // 8]:
            assert _has_rows(await asked(ports[orders], request)), request
    for turn in range(ROUNDS + 1):
        for orders, on in stages.items():
            seconds = SECONDS if turn else WARM_SECONDS
            measured = await round_of(ports[orders], on.api_pid, postmasters[orders], sent[orders], seconds)
            if turn:
                found[orders].append(measured)
    return found


def _has_rows(data: dict[str, Any]) -> bool:
    (answer,) = data.values()
    return bool(answer["nodes"] if isinstance(answer, dict) and "nodes" in answer else answer)


def _figure(work: str, rounds: Mapping[int, Sequence[Round]]) -> Figure:
    costs = {orders: [together(each) for each in found] for orders, found in rounds.items()}
    least, most = min(costs), max(costs)
    ratio = statistics.median(costs[most]) / statistics.median(costs[least])
    of_postgresql = {
        orders: statistics.median(each.postgresql_us for each in found) for orders, found in rounds.items()
    }
    told = (
        f"{spread(found)} µs at {orders:,}, PostgreSQL's {of_postgresql[orders]:,.0f}"
        for orders, found in costs.items()
    )
    return Figure(
        work=f"{work}: CPU of process and PostgreSQL",
        value=ratio,
        shown=f"{ratio:.2f} : " + "; ".join(told),
        reach=1.3,
        aim=1.1,
        less=True,
        detail={str(orders): [asdict(each) for each in found] for orders, found in rounds.items()},
    )


async def main(sizes: Sequence[int]) -> None:
    figures = await measure(sizes or ORDERS)
    for figure in figures:
        print(orjson.dumps(figure.as_dict()).decode(), flush=True)
    if not sizes:
        report.write(figures, part="growth")
        print("docs/performance.md has the table of growth.", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main([int(size) for size in sys.argv[1:]]))
