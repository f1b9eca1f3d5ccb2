"""32 clients at PostgreSQL itself: ours by asyncpg, as the API sends its calls, and pgbench with a script."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg

from app.kernel.combiner import Combiner, call_alone
from app.kernel.db import Database
from app.kernel.errors import REFUSED_IN_SQL
from bench.sent import Sent
from bench.stage import API_CORE, CALL_POOL, OTHER_CORE, PGBENCH

CLIENTS = 32


@contextmanager
def driving() -> Iterator[None]:
    """No API takes part: the driver has its core."""
    os.sched_setaffinity(0, {API_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {OTHER_CORE})


async def made(url: str, calls: Sequence[Sent], run: str, *, together: bool) -> tuple[int, float]:
    """How many took effect, and how many a second until the last of them; over the product's few connections.

    run  of the keys;  together  with those that wait, or each with a commit of its own
    """
    database = Database(url, read_pool=1, call_pool=CALL_POOL)
    await database.open()
    send = Combiner(database).call if together else partial(call_alone, database)
    left = enumerate(calls)
    now = datetime.now(UTC)
    count, last = 0, 0.0

    async def client() -> None:
        nonlocal count, last
        for number, call in left:
            try:
                await send(call.function, call.under(f"{run} {number}", now))
            except asyncpg.PostgresError as refused:
                if refused.sqlstate != REFUSED_IN_SQL:
                    raise
            else:
                count, last = count + 1, time.monotonic()

    gc.collect()
    gc.freeze()  # the calls were made before: looking through them for garbage is no part of sending them
    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await database.close()
    return count, count / (last - began)


async def pgbench(url: str, script: str, *options: str, clients: int = CLIENTS) -> float:
    """Transactions a second.  options  how long or how many"""
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        process = await asyncio.create_subprocess_exec(
            str(PGBENCH),
            *("-n", "-c", str(clients), "-j", "1", "-f", str(file), *options, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return next(float(line.split()[2]) for line in out.decode().splitlines() if line.startswith("tps ="))
