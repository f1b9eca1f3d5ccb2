from collections.abc import AsyncIterator

import pytest

from app.kernel.db import Database
from tests.builders import Shop


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """A shop that sells in GBP from LEEDS; whatever a test does, every invariant holds at its end."""
    database = Database(database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    yield shop
    violations = await shop.violations()
    await database.close()
    assert violations == {}
