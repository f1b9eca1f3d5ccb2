"""Placing 3-line orders, over HTTP and at the driver, beside pgbench sending the very same SQL call."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Sequence

import orjson

from bench import sent
from bench.driver import CLIENTS, driving, made, pgbench
from bench.figures import Figure, spread
from bench.load import Request, Round, once_each
from bench.stage import SKU_ID, SKUS, Stage, another_api

ROUNDS = 3
SECONDS = 8
WARM_SECONDS = 3
CALLS = 3_000  # of a round at the driver

PLACED_A_SECOND_MAX = 4_000

MUTATION = """
mutation Place($input: OrderPlaceInput!, $key: String!) {
  orderPlace(input: $input, idempotencyKey: $key) {
    order { id number fulfillmentStatus totals { total { minorUnits } } }
    userErrors { code message }
  }
}
"""


async def measure(stage: Stage) -> list[Figure]:
    """Orders a second, ours and pgbench's, in turns; medians over the rounds."""
    together: list[Round] = []
    apart: list[Round] = []
    driven: list[float] = []
    theirs: list[float] = []
    async with another_api(stage, {"ORDERWIRE_GROUP_COMMIT": "false"}) as alone:
        for port, pid in ((stage.port, stage.api_pid), alone):
            await _http(stage, port, pid, WARM_SECONDS)
        script = await _script(stage)
        for turn in range(ROUNDS):
            together.append(await _http(stage, stage.port, stage.api_pid, SECONDS))
            await stage.drained()
            theirs.append(await pgbench(stage.stores.database_url, script, "-T", str(SECONDS)))
            await stage.drained()
            apart.append(await _http(stage, *alone, SECONDS))
            await stage.drained()
            driven.append(await _driven(stage, f"driven {turn}"))
            await stage.drained()
    work = "place 3-line orders, 32 clients, 1,000 SKUs × 5 locations"
    return [
        _over_http(f"{work}: over HTTP, one API process", together, theirs, 1.3, 2),
        _over_http(f"{work}: over HTTP, one API process, each with a commit of its own", apart, theirs, 0.6, 0.9),
        _figure(f"{work}: at the driver, sharing commits", driven, theirs, "", 2, 2),
    ]


def _over_http(work: str, rounds: Sequence[Round], theirs: Sequence[float], reach: float, aim: float) -> Figure:
    api, backends = (statistics.median(getattr(each, name) for each in rounds) for name in ("cpu_us", "postgresql_us"))
    costs = f"; {api:,.0f} µs of the API and {backends:,.0f} of PostgreSQL an order"
    return _figure(work, [each.per_second for each in rounds], theirs, costs, reach, aim)


def _figure(work: str, ours: Sequence[float], theirs: Sequence[float], costs: str, reach: float, aim: float) -> Figure:
    ratio = statistics.median(ours) / statistics.median(theirs)
    shown = f"{ratio:.2f} : {spread(ours)} orders/s against {spread(theirs)} of pgbench{costs}"
    detail = {"orders_per_second": ours, "pgbench_per_second": theirs}
    return Figure(work=work, value=ratio, shown=shown, reach=reach, aim=aim, detail=detail)


async def _http(stage: Stage, port: int, pid: int, seconds: int) -> Round:
    requests = orders(stage.key, f"{port} {time.time_ns()}", PLACED_A_SECOND_MAX * seconds)
    return await once_each(port, pid, await stage.postmaster(), requests, seconds, clients=CLIENTS, hear=placed)


def placed(answer: bytes) -> None:
    """Nothing but an order is an answer that counts."""
    assert b'"userErrors":[]' in answer, answer


def orders(key: str, run: str, count: int) -> list[Request]:
    """That many orders of three SKUs, each with an idempotency key of its own."""
    dice = random.Random(run)
    return [
        Request.of(
            MUTATION,
            "Place",
            {
                "input": {"channel": "WEB", "lines": [{"sku": sku, "quantity": 1} for sku in _skus(dice)]},
                "key": f"{run} {number}",
            },
            key,
        )
        for number in range(count)
    ]


def _skus(dice: random.Random) -> list[str]:
    return [f"SKU-{number}" for number in dice.sample(range(10_000, 10_000 + SKUS), 3)]


async def _driven(stage: Stage, run: str) -> float:
    dice = random.Random(run)
    calls = [await sent.by_placing(stage, _skus(dice)) for _ in range(CALLS)]
    with driving():
        count, rate = await made(stage.stores.database_url, calls, run, together=True)
    assert count == CALLS, f"{count} of {CALLS} orders were placed"
    return rate


async def _script(stage: Stage) -> str:
    """A real call of orders_place_all, its ids and SKUs drawn anew for each order."""
    arguments = await _captured(stage)
    lines = [
        *(f"\\set {name} random(10000, {10_000 + SKUS - 1})" for name in "abc"),
        "\\set o random(100000000000, 999999999999)",
        f"SELECT orders_place_all({', '.join(arguments)});",
    ]
    return "\n".join(lines)


async def _captured(stage: Stage) -> list[str]:
    """What placing sends for an order of three lines, as SQL literals."""
    numbers = [10_000, 10_001, 10_002]
    call = await sent.by_placing(stage, [f"SKU-{number}" for number in numbers])
    stays = await stage.database.call(
        "SELECT array_agg(id::text) FROM (SELECT id FROM channel UNION SELECT id FROM location)"
    )
    spelling = _Spelling(numbers, frozenset(stays))
    key = ["'client:bench'", "'bench-:o'", "'\\x00'::bytea", "now()", "now() + interval '30 days'"]
    return [f"ARRAY[{each}]" for each in key] + [spelling.literal(each) for each in call.columns]


class _Spelling:
    """Writes arguments as SQL, with the order's SKUs and the ids made for it as variables of the script."""

    def __init__(self, numbers: Sequence[int], stays: frozenset[str]) -> None:
        self._numbers = numbers
        self._stays = stays
        self._own: dict[str, str] = {}

    def literal(self, value: object) -> str:
        if value is None:
            return "NULL"
        assert isinstance(value, list), value
        if value and isinstance(value[0], dict):
            json = self._varied(orjson.dumps(value).decode())
            return "'" + json.replace("'", "''") + "'::jsonb"
        return "'{" + ", ".join(f'"{self._varied(str(each))}"' for each in value) + "}'"

    def _varied(self, text: str) -> str:
        for name, number in zip("abc", self._numbers, strict=True):
            text = text.replace(f"{SKU_ID}{number}", f"{SKU_ID}:{name}").replace(f"SKU-{number}", f"SKU-:{name}")
            text = text.replace(f"sku-{number}", f"sku-:{name}").replace(f"'{number}'", f"':{name}'")
        return _UUID.sub(self._own_id, text)

    def _own_id(self, found: re.Match[str]) -> str:
        id_ = found.group()
        if id_ in self._stays:
            return id_
        return self._own.setdefault(id_, f"00000000-0000-7000-9{len(self._own):03d}-:o")


_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
