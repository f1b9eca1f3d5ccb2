"""Importing the whole Online Retail set by the command line, into an empty database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from bench.figures import Figure, Incomplete
from bench.stage import API_CORE, bare, on_core
from tests.running import SECRET

DATA = Path(__file__).parents[2] / "shared" / "data"
CITIES = DATA / "geonames_cities" / "cities.csv"
FILE = DATA / "uci_online_retail" / "online_retail.csv.xz"
FILES = {"locations": CITIES, "skus": FILE, "customers": FILE, "stock": FILE, "orders": FILE}


class NoData(Incomplete):
    """The set is not here; the message says where it is looked for."""


async def measure() -> list[Figure]:
    """Raises NoData."""
    if absent := [str(file) for file in (CITIES, FILE) if not file.is_file()]:
        raise NoData(f"The import is left out: there is no {' and no '.join(absent)}.")
    async with bare() as stores:
        summaries = [await _import(kind, file, stores.database_url, stores.redis_url) for kind, file in FILES.items()]
    orders = summaries[-1]
    memory_mb = max(summary["peak_mb"] for summary in summaries)
    work = "import of the whole Online Retail set"
    rate = orders["rowsPerSecond"]
    return [
        Figure(
            work=f"{work}: lines/s", value=rate, shown=f"{rate:,.0f} lines/s", reach=3_000, aim=8_000, detail=orders
        ),
        Figure(
            work=f"{work}: memory",
            value=memory_mb,
            unit=" MB",
            shown=f"{memory_mb:.0f} MB",
            reach=500,
            aim=500,
            less=True,
        ),
    ]


async def _import(kind: str, file: Path, database_url: str, redis_url: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
        environment = {
            **os.environ,
            "ORDERWIRE_DATABASE_URL": database_url,
            "ORDERWIRE_REDIS_URL": redis_url,
            "ORDERWIRE_SECRET_KEY": SECRET,
            "ORDERWIRE_STATE_DIR": f"{folder}/state",
        }
        command = [
            *(sys.executable, "-m", "app.cli", "import", kind, str(file)),
            *("--format", "online-retail", "--json", "--rejects", f"{folder}/rejects.csv"),
        ]
        out, peak_mb = await asyncio.to_thread(_run, command, environment)
    summary: dict[str, Any] = orjson.loads(out)
    return {**summary, "peak_mb": peak_mb}


def _run(command: list[str], environment: dict[str, str]) -> tuple[bytes, float]:
    """What the process wrote, and the most memory it ever held, in MB."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, preexec_fn=on_core(API_CORE))
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, out.decode()
    return out, usage.ru_maxrss / 1024
