"""What a request costs against the size of what is asked: SKUs of an availability, lines of an order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.figures import Incomplete
from bench.load import Request, Round, asked
from bench.peers import Peer
from bench.plots import Panel, Plot, Points
from bench.reading import (
    AVAILABILITY,
    KEPT,
    MERCURIUS,
    OF_STOREFRONTS,
    ORDER,
    ORM,
    OURS,
    RAW,
    Pace,
    Question,
    answering,
    availability_seen,
    compare,
    furnish,
    order_seen,
    skus_drawn,
    together,
)
from bench.stage import Stage
from tests.builders import Shop

PACE = Pace(rounds=3, seconds=0.5, warm_seconds=0.5)
SEED = 21
AT_ONCE = (1, 5, 25, 100, 250)  # the schema takes no more
LINES = (1, 5, 20, 100, 1_000)
LINES_OF_A_PAGE = 100  # the schema gives no more at once
VARIED = 20
ORDERS_OF_A_SIZE = 4

PAGE = ORDER.replace(
    "query OrderByNumber($number: String)", "query OrderByNumber($number: String, $after: Cursor)"
).replace("lines(first: 20) {", "lines(first: 100, after: $after) { pageInfo { endCursor }")
WHOLE = ORDER.replace("first: 20", "first: 100")

# Rounds by side, by size.
Found = Mapping[int, Mapping[str, Sequence[Round]]]


async def measure(stage: Stage) -> list[Plot]:
    """Raises Incomplete where a reference can't be had."""
    await furnish(stage)
    async with answering(stage, (MERCURIUS, ORM, RAW)) as (sides, left_out):
        availability = {size: await compare(stage, _availability(size), sides, PACE) for size in AT_ONCE}
        orders = {size: await compare(stage, await _order(stage, size, sides[OURS]), sides, PACE) for size in LINES}
    plots = [
        _plot("availability", "Availability at 5 locations", "SKUs", availability),
        _plot("order", "One order with all its lines", "lines", orders, requests=_pages),
    ]
    if left_out:
        raise Incomplete(" ".join(left_out), plots)
    return plots


def _availability(skus: int) -> Question:
    dice = random.Random(SEED)
    return Question(
        name="Availability",
        documents={**dict.fromkeys((OURS, MERCURIUS, ORM, RAW), AVAILABILITY), KEPT: OF_STOREFRONTS},
        variables=[{"skus": skus_drawn(dice, skus), "channel": "WEB"} for _ in range(VARIED)],
        seen=availability_seen,
    )


async def _order(stage: Stage, lines: int, ours: Peer) -> Question:
    """Orders of so many lines, which ours gives in pages where they are too many for one."""
    numbers = await _placed(stage, lines)
    if lines <= LINES_OF_A_PAGE:
        documents = {OURS: WHOLE, MERCURIUS: WHOLE, RAW: ORDER}
        variables: list[dict[str, object]] = [{"number": number} for number in numbers]
        return Question("OrderByNumber", documents, variables, lambda data: order_seen(data["order"]))
    documents = {OURS: PAGE, MERCURIUS: ORDER, RAW: ORDER}
    variables = [page for number in numbers for page in await _cursors(number, lines, stage.key, ours)]
    return Question("OrderByNumber", documents, variables, lambda data: data["order"]["totals"])


async def _placed(stage: Stage, lines: int) -> list[str]:
    """The numbers of new orders of so many lines."""
    shop, dice = Shop(stage.database), random.Random(SEED)
    shop.runner = stage.runner
    ids = [await shop.place(dict.fromkeys(skus_drawn(dice, lines), 1)) for _ in range(ORDERS_OF_A_SIZE)]
    await stage.settled()
    return [(await shop.one("SELECT number FROM orders WHERE id = :id", id=id_)).number for id_ in ids]


async def _cursors(number: str, lines: int, key: str, ours: Peer) -> list[dict[str, object]]:
    """The variables of each page of the order."""
    pages: list[dict[str, object]] = []
    after, found = None, 0
    while found < lines:
        pages.append({"number": number, "after": after})
        answer = (await asked(ours.port, Request.of(PAGE, "OrderByNumber", pages[-1], key)))["order"]["lines"]
        after, found = answer["pageInfo"]["endCursor"], found + len(answer["nodes"])
    return pages


def _pages(lines: int) -> int:
    return -(-lines // LINES_OF_A_PAGE)


def _plot(name: str, title: str, size: str, found: Found, requests: Callable[[int], int] = lambda _: 1) -> Plot:
    """requests  that ours takes where the references take one"""

    def curves(cost: Callable[[Round], float]) -> dict[str, Points]:
        sides: Iterable[str] = dict.fromkeys(side for rounds in found.values() for side in rounds)
        return {
            side: {
                at: [cost(each) * (requests(at) if side == OURS else 1) for each in rounds[side]]
                for at, rounds in found.items()
            }
            for side in sides
        }

    process, both = curves(lambda each: each.cpu_us), curves(together)
    return Plot(name, title, size, [Panel("µs CPU of the process", process), Panel("µs with PostgreSQL's", both)])
