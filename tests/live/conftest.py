"""A log to write to and to watch, on real stores. Tests that kill a store have stores of their own."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded import StoreOptions, Stores
from app.kernel.migrate import migrate
from tests.live.scene import Scene

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "autovacuum_naptime": "10min"}


@pytest.fixture
async def scene(database_url: str, redis_url: str) -> AsyncIterator[Scene]:
    """A log on the shared stores."""
    async with Scene(database_url, redis_url) as scene:
        yield scene


@pytest.fixture(scope="session")
def mortal() -> Iterator[Stores]:
    """Stores that tests of this folder may kill; they are up again when a test begins."""
    folder = Path(tempfile.mkdtemp(prefix="orderwire-live-"))
    stores = Stores(folder / "state", StoreOptions(postgresql=QUICK))
    stores.start()
    yield stores
    stores.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def mortal_scene(mortal: Stores) -> AsyncIterator[Scene]:
    for child in (mortal.postgresql, mortal.valkey):
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(child.wait_ready)
    connection = await asyncpg.connect(mortal.database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    await migrate(mortal.database_url)
    async with Scene(mortal.database_url, mortal.redis_url) as scene:
        yield scene
    for child in (mortal.postgresql, mortal.valkey):
        await asyncio.to_thread(child.start)
