"""Reads over HTTP: what a request costs our API and PostgreSQL, beside what it costs the peers on the same database."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.main import OPERATIONS
from bench import peers
from bench.figures import Figure, Incomplete, spread
from bench.load import Request, Round, asked, round_of
from bench.peers import LeftOut, Peer
from bench.stage import SKUS, Stage
from tests.builders import Shop

VARIED = 40  # so many different requests, in turns
ORDERS = 200
LINES = 5
SEED = 20

KEPT = "ours, by GET from memory"
OURS, MERCURIUS, POSTGRAPHILE, ORM, RAW = "ours", "Mercurius", "PostGraphile", "strawberry + ORM", "raw asyncpg"

AVAILABILITY = """
query Availability($skus: [String!]!, $channel: String) {
  availability(skus: $skus, channel: $channel) {
    sku status available backorderable byLocation { locationCode units }
  }
}
"""
OF_STOREFRONTS = (OPERATIONS / "storefront" / "Availability.graphql").read_text(encoding="utf-8")
STOCK_LEVELS = """
query StockLevels($skus: [String!], $first: Int) {
  stockLevels(skus: $skus, first: $first) {
    nodes { onHand available reserved updatedAt sku { code } location { code } }
  }
}
"""
ORDER = """
query OrderByNumber($number: String) {
  order(number: $number) {
    id number lifecycle fulfillmentStatus paymentStatus
    totals { subtotal { minorUnits } tax { minorUnits } total { minorUnits } }
    lines(first: 20) { nodes { skuCode quantities { ordered allocated shipped } total { minorUnits } } }
  }
}
"""
ORDERS_PAGE = """
query Orders {
  orders(first: 50) {
    nodes {
      id number lifecycle fulfillmentStatus paymentStatus totals { total { minorUnits } }
      lines(first: 20) { nodes { skuCode quantities { ordered allocated shipped } total { minorUnits } } }
    }
  }
}
"""
ORDERS_PAGE_OF_POSTGRAPHILE = """
query Orders {
  allOrders(first: 50, orderBy: [PLACED_AT_DESC, ROW_ID_DESC]) {
    nodes {
      id number lifecycle fulfillmentStatus paymentStatus totalMinor
      orderLinesByOrderId(first: 20, orderBy: LINE_NO_ASC) {
        nodes { skuCode ordered allocated shipped totalMinor }
      }
    }
  }
}
"""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often and how long each side is asked, after some seconds that do not count."""

    rounds: int = 3
    seconds: float = 4.0
    warm_seconds: float = 2.0


@dataclass(frozen=True)
class Question:
    """What is asked of several sides.

    documents  by the side, which answers it; `variables` are the same for all
    seen       what of an answer must be equal on every side
    """

    name: str
    documents: Mapping[str, str]
    variables: Sequence[dict[str, object]]
    seen: Callable[[Any], object]

    def requests(self, side: str, key: str) -> list[Request]:
        document = self.documents[side]
        if side == KEPT:
            return [Request.by_id(document, each, key) for each in self.variables]
        return [Request.of(document, self.name, each, key if side == OURS else None) for each in self.variables]


async def measure(stage: Stage) -> list[Figure]:
    """Raises Incomplete where a reference can't be had."""
    numbers = await furnish(stage)
    async with answering(stage, COMMANDS) as (sides, left_out):
        found = {question.name: await compare(stage, question, sides, Pace()) for question in questions(numbers)}
    figures = list(_figures(found))
    if left_out:
        raise Incomplete(" ".join(left_out), figures)
    return figures


COMMANDS: dict[str, Callable[[], list[str]]] = {
    MERCURIUS: lambda: peers.by_node("mercurius.js"),
    POSTGRAPHILE: lambda: peers.by_node("postgraphile.js"),
    ORM: lambda: peers.by_uvicorn("orm"),
    RAW: lambda: peers.by_uvicorn("raw"),
}


@asynccontextmanager
async def answering(stage: Stage, names: Iterable[str]) -> AsyncIterator[tuple[dict[str, Peer], list[str]]]:
    """Our API and these peers, ready to be asked; and why those that are not among them can't be had."""
    ours = Peer(OURS, stage.port, stage.api_pid)
    sides, left_out = {OURS: ours, KEPT: ours}, []
    async with AsyncExitStack() as running:
        for name in names:
            try:
                peer = peers.started(name, COMMANDS[name](), stage.stores.database_url)
                sides[name] = await running.enter_async_context(peer)
            except LeftOut as absent:
                left_out.append(f"{name} is left out: {absent}.")
        yield sides, left_out


async def furnish(stage: Stage) -> list[str]:
    """Give every balance units of its own, and some of them a safety stock; place orders. Their numbers."""
    shop, dice = Shop(stage.database), random.Random(SEED)
    shop.runner = stage.runner
    units = "10 + abs(hashtext(sku_id::text || location_id)) % 5000"
    await shop.execute(
        "INSERT INTO stock_movement (sku_id, location_id, owner, type, d_on_hand, reason, cause_id, actor, occurred_at)"
        f" SELECT sku_id, location_id, '', 'ADJUST', {units} - on_hand, 'COUNTED', sku_id, 'bench', now()"
        " FROM stock_level"
    )
    await shop.execute(f"UPDATE stock_level SET on_hand = {units}, safety_stock = abs(hashtext(sku_id::text)) % 8")
    await shop.execute("UPDATE channel_location SET safety_stock = priority")
    for _ in range(ORDERS):
        await shop.place({sku: dice.randint(1, 2) for sku in skus_drawn(dice, LINES)})
    await stage.settled()
    return [row.number for row in await shop.rows("SELECT number FROM orders ORDER BY id LIMIT :n", n=VARIED)]


def skus_drawn(dice: random.Random, count: int) -> list[str]:
    return [f"SKU-{number}" for number in dice.sample(range(10_000, 10_000 + SKUS), count)]


def questions(numbers: Sequence[str]) -> list[Question]:
    dice = random.Random(SEED)
    return [
        Question(
            name="Availability",
            documents={**dict.fromkeys((OURS, MERCURIUS, ORM, RAW), AVAILABILITY), KEPT: OF_STOREFRONTS},
            variables=[{"skus": skus_drawn(dice, 50), "channel": "WEB"} for _ in range(VARIED)],
            seen=availability_seen,
        ),
        Question(
            name="StockLevels",
            documents=dict.fromkeys((OURS, MERCURIUS, RAW), STOCK_LEVELS),
            variables=[{"skus": skus_drawn(dice, 20), "first": 100} for _ in range(VARIED)],
            seen=_levels_seen,
        ),
        Question(
            name="OrderByNumber",
            documents=dict.fromkeys((OURS, MERCURIUS, RAW), ORDER),
            variables=[{"number": number} for number in numbers],
            seen=lambda data: order_seen(data["order"]),
        ),
        Question(
            name="Orders",
            documents={OURS: ORDERS_PAGE, POSTGRAPHILE: ORDERS_PAGE_OF_POSTGRAPHILE, RAW: ORDERS_PAGE},
            variables=[{}],
            seen=_page_seen,
        ),
    ]


def availability_seen(data: Any) -> object:
    """What every side is asked for; storefronts ask for more."""
    return [
        (
            *(each[name] for name in ("sku", "status", "available", "backorderable")),
            sorted((at["locationCode"], at["units"]) for at in each["byLocation"]),
        )
        for each in data["availability"]
    ]


def _levels_seen(data: Any) -> object:
    rows = data["stockLevels"]["nodes"]
    told = [{**row, "updatedAt": datetime.fromisoformat(row["updatedAt"])} for row in rows]
    return sorted(told, key=lambda row: (row["sku"]["code"], row["location"]["code"]))


def _page_seen(data: Any) -> object:
    return [order_seen(order) for order in (data.get("orders") or data["allOrders"])["nodes"]]


def order_seen(order: dict[str, Any]) -> object:
    """An order without its id, which every side spells in its own way; PostGraphile nests less."""
    lines = order.get("lines") or order["orderLinesByOrderId"]
    statuses = [order[name] for name in ("number", "lifecycle", "fulfillmentStatus", "paymentStatus")]
    totals = order["totals"].values() if "totals" in order else [order["totalMinor"]]
    return statuses, [_minor(total) for total in totals], [_line_seen(line) for line in lines["nodes"]]


def _line_seen(line: dict[str, Any]) -> object:
    quantities = line.get("quantities", line)
    counted = [quantities[name] for name in ("ordered", "allocated", "shipped")]
    return line["skuCode"], counted, _minor(line.get("total", line.get("totalMinor")))


def _minor(money: Any) -> int:
    return int(money["minorUnits"] if isinstance(money, dict) else money)


async def compare(stage: Stage, question: Question, sides: Mapping[str, Peer], pace: Pace) -> dict[str, list[Round]]:
    """Rounds by side, in turns, after every side has shown that it answers the same."""
    requests = {side: question.requests(side, stage.key) for side in question.documents if side in sides}
    postmaster = await stage.postmaster()
    for number in range(0, len(question.variables), 8):
        answers = {side: question.seen(await asked(sides[side].port, sent[number])) for side, sent in requests.items()}
        for side, answer in answers.items():
            assert answer == answers[OURS], f"{side} answers {answer}, not {answers[OURS]}"
    found = defaultdict(list)
    for turn in range(pace.rounds + 1):
        for side, sent in requests.items():
            peer, seconds = sides[side], pace.seconds if turn else pace.warm_seconds
            measured = await round_of(peer.port, peer.pid, postmaster, sent, seconds)
            if turn:
                found[side].append(measured)
    return found


@dataclass(frozen=True)
class Bound:
    """What is to be reached against a reference.

    cost   of a round, which is compared
    times  the reference's cost by ours is told, not ours by the reference's
    side   which of our own is compared
    """

    question: str
    work: str
    reference: str
    reach: float
    aim: float
    cost: Callable[[Round], float] = lambda each: each.cpu_us
    times: bool = False
    side: str = OURS


def together(each: Round) -> float:
    return each.cpu_us + each.postgresql_us


_PROMISED = "availability of 50 SKUs × 5 locations"
_LEVELS = "100 stock levels"
BOUNDS = [
    Bound("Availability", f"{_PROMISED}: CPU of the process", MERCURIUS, 0.40, 0.27),
    Bound("Availability", f"{_PROMISED}: with PostgreSQL's", MERCURIUS, 0.75, 0.60, together),
    Bound("Availability", f"{_PROMISED}: times less CPU", ORM, 28, 40, times=True),
    Bound("Availability", f"{_PROMISED}: CPU of the process", RAW, 1.5, 1.15),
    Bound("Availability", f"{_PROMISED}, by GET from memory: with PostgreSQL's", RAW, 0.4, 0.25, together, side=KEPT),
    Bound("StockLevels", f"{_LEVELS}: CPU of the process", MERCURIUS, 0.40, 0.27),
    Bound("StockLevels", f"{_LEVELS}: with PostgreSQL's", MERCURIUS, 0.75, 0.60, together),
    Bound("StockLevels", f"{_LEVELS}: CPU of the process", RAW, 1.5, 1.15),
    Bound("OrderByNumber", "one order with 5 lines: CPU of the process", MERCURIUS, 1.4, 1.0),
    Bound("OrderByNumber", "one order with 5 lines: CPU of the process", RAW, 1.5, 1.15),
    Bound("Orders", "a page of 50 orders with their lines: CPU of the process", POSTGRAPHILE, 0.25, 0.15),
    Bound("Orders", "a page of 50 orders with their lines: CPU of the process", RAW, 1.5, 1.15),
]


def _figures(found: Mapping[str, Mapping[str, Sequence[Round]]]) -> Iterator[Figure]:
    for bound in BOUNDS:
        rounds = found[bound.question]
        if bound.reference in rounds:
            yield _figure(bound, rounds[bound.side], rounds[bound.reference])


def _figure(bound: Bound, ours: Sequence[Round], theirs: Sequence[Round]) -> Figure:
    our_cost, their_cost = [bound.cost(each) for each in ours], [bound.cost(each) for each in theirs]
    ratio = statistics.median(our_cost) / statistics.median(their_cost)
    value, told = (1 / ratio, f"{1 / ratio:.1f}×") if bound.times else (ratio, f"{ratio:.2f}")
    return Figure(
        work=f"{bound.work}, beside {bound.reference}",
        value=value,
        unit="×" if bound.times else "",
        shown=f"{told} : {spread(our_cost)} µs a request against {spread(their_cost)};"
        f" {_pace(ours)} against {_pace(theirs)}",
        reach=bound.reach,
        aim=bound.aim,
        less=not bound.times,
        detail={"ours": [asdict(each) for each in ours], "reference": [asdict(each) for each in theirs]},
    )


def _pace(rounds: Sequence[Round]) -> str:
    """Requests a second, and the latency of half and of nearly all of them."""
    rate, p50, p99 = (
        statistics.median(getattr(each, name) for each in rounds) for name in ("per_second", "p50_ms", "p99_ms")
    )
    return f"{rate:,.0f}/s (p50 {p50:.1f}, p99 {p99:.1f} ms)"
