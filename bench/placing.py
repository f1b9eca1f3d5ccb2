"""Placing 3-line orders over HTTP, beside pgbench sending the very same SQL call."""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench import sent
from bench.figures import Figure, spread
from bench.stage import PGBENCH, SKU_ID, SKUS, Stage, cpu_seconds

CLIENTS = 32
ROUNDS = 3
SECONDS = 8.0
WARM_SECONDS = 3.0

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
    ours, theirs, cpu_ms = [], [], []
    await _http(stage, WARM_SECONDS)
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
        script = Path(folder) / "place.sql"
        script.write_text(await _script(stage))
        for _ in range(ROUNDS):
            cpu = cpu_seconds(stage.api_pid)
            ours.append(await _http(stage, SECONDS))
            cpu_ms.append((cpu_seconds(stage.api_pid) - cpu) * 1000 / (ours[-1] * SECONDS))
            await stage.drained()
            theirs.append(await _pgbench(stage, script))
            await stage.drained()
    ratio = statistics.median(ours) / statistics.median(theirs)
    return [
        Figure(
            work="place 3-line orders over HTTP, one API process, 32 clients, 1,000 SKUs × 5 locations",
            value=ratio,
            shown=f"{ratio:.2f} : {spread(ours)} orders/s against {spread(theirs)} of pgbench;"
            f" {statistics.median(cpu_ms):.2f} ms CPU of the API an order",
            reach=0.2,
            aim=0.4,
            detail={"orders_per_second": ours, "pgbench_per_second": theirs, "api_cpu_ms": cpu_ms},
        )
    ]


async def _http(stage: Stage, seconds: float) -> float:
    host, port = stage.url.removeprefix("http://").split(":")
    ends = time.monotonic() + seconds
    began = time.monotonic()
    counts = await asyncio.gather(*(_client(stage, host, int(port), ends, seed) for seed in range(CLIENTS)))
    return sum(counts) / (time.monotonic() - began)


async def _client(stage: Stage, host: str, port: int, ends: float, seed: int) -> int:
    """One buyer on one connection, ordering until the time is over. Speaks just enough HTTP."""
    dice = random.Random(f"{seed}{ends}")
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {stage.key}\r\n"
        "content-type: application/json\r\naccept: application/json\r\ncontent-length: "
    )
    placed = 0
    while time.monotonic() < ends:
        lines = [{"sku": f"SKU-{number}", "quantity": 1} for number in dice.sample(range(10_000, 10_000 + SKUS), 3)]
        variables = {"input": {"channel": "WEB", "lines": lines}, "key": f"{seed}-{dice.getrandbits(64):x}"}
        body = orjson.dumps({"query": MUTATION, "variables": variables})
        writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        answer = await _answer(reader)
        assert b'"userErrors":[]' in answer, answer
        placed += 1
    writer.close()
    return placed


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return await reader.readexactly(length)


async def _pgbench(stage: Stage, script: Path) -> float:
    process = await asyncio.create_subprocess_exec(
        str(PGBENCH),
        *("-n", "-c", str(CLIENTS), "-j", "1", "-T", str(int(SECONDS)), "-f", str(script)),
        stage.stores.database_url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return next(float(line.split()[2]) for line in out.decode().splitlines() if line.startswith("tps ="))


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
