from collections.abc import AsyncIterator

import pytest

from app.kernel.db import Database
from tests import running
from tests.builders import Shop
from tests.rights.scene import Scene, set_up
from tests.running import Api


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    given = running.settings(database_url, redis_url)
    async with running.worker(given), running.api(given) as api:
        yield api


@pytest.fixture
async def scene(api: Api) -> Scene:
    return await set_up(api)


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """A shop that nobody asks over HTTP."""
    database = Database(database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    yield shop
    await database.close()
