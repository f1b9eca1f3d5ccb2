"""`orderwire serve`: how long until it is ready, and what memory it takes at rest."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import orjson

from bench.figures import Figure
from bench.stage import API_CORE, Stage, cpu_seconds_now, environment, free_port, memory_mb, on_core

STARTS = 5
REST_SECONDS = 5.0
_READY_SECONDS = 60.0
_PAUSE_SECONDS = 0.01

# CPU seconds of a process that only loads: until the application is imported, and until its schema is built as well.
LOADING = """
import json, time
from app.kernel import garbage
with garbage.loading():
    import app.commandline.running, app.main, app.schema
    imported = time.process_time()
    app.schema.build()
    built = time.process_time()
print(json.dumps([imported, built - imported]))
"""


async def measure(stage: Stage) -> list[Figure]:
    """The first start writes bytecode, as after an installation, and does not count."""
    starts = [await _start(stage) for _ in range(STARTS + 1)][1:]
    loading = [await asyncio.to_thread(_load) for _ in range(STARTS)]
    await asyncio.sleep(REST_SECONDS)
    seconds, cpu = (statistics.median(each) for each in zip(*starts, strict=True))
    imports, building = (statistics.median(each) for each in zip(*loading, strict=True))
    megabytes = memory_mb(stage.api_pid)
    slowest = max(took for took, _ in starts)
    return [
        Figure(
            work="start of an API process, until it is ready",
            value=seconds,
            unit=" s",
            shown=f"{seconds:.2f} s (up to {slowest:.2f}), {cpu:.2f} s of it CPU: {imports:.2f} for imports,"
            f" {building:.2f} to build the schema",
            reach=3,
            aim=1.5,
            less=True,
            detail={"starts": starts, "loading": loading},
        ),
        Figure(
            work="API process at rest",
            value=megabytes,
            unit=" MB",
            shown=f"{megabytes:.0f} MB",
            reach=200,
            aim=120,
            less=True,
        ),
    ]


async def _start(stage: Stage) -> tuple[float, float]:
    """Seconds until it answers that it is ready, and its CPU until then."""
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
        return await _started(environment(stage.stores, free_port(), Path(folder)))


def _serve(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        preexec_fn=on_core(API_CORE),
        env=_writing_bytecode(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def _started(variables: dict[str, str]) -> tuple[float, float]:
    url = f"http://127.0.0.1:{variables['ORDERWIRE_PORT']}"
    began = time.monotonic()
    process = _serve(variables)
    try:
        async with asyncio.timeout(_READY_SECONDS), httpx2.AsyncClient(base_url=url) as http:
            while not await _is_ready(http):
                await asyncio.sleep(_PAUSE_SECONDS)
        return time.monotonic() - began, cpu_seconds_now(process.pid)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _is_ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def _load() -> tuple[float, float]:
    command = [sys.executable, "-c", LOADING]
    loaded = subprocess.run(
        command, preexec_fn=on_core(API_CORE), env=_writing_bytecode(dict(os.environ)), capture_output=True, check=True
    )
    imported, built = orjson.loads(loaded.stdout)
    return imported, built


def _writing_bytecode(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name != "PYTHONDONTWRITEBYTECODE"}
