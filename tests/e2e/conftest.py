from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests import running
from tests.builders import Shop
from tests.e2e.devices import Device, device
from tests.running import Api


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """API and worker on an empty database of their own."""
    given = running.settings(database_url, redis_url)
    async with running.worker(given), running.api(given) as api:
        yield api


@pytest.fixture
async def shop(api: Api) -> Shop:
    """A shop on the API's database, changed beside the API."""
    shop = Shop(api.services.database)
    await shop.open()
    return shop


@pytest.fixture
async def open_(api: Api) -> AsyncIterator[Callable[..., Any]]:
    """Opens devices that stay open until the test ends."""
    async with AsyncExitStack() as stack:

        async def opened(key: str, id_: str = "1", **given: Any) -> Device:
            return await stack.enter_async_context(device(api, key, id_, **given))

        yield opened
