from collections.abc import AsyncIterator

import pytest

from tests import running
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
