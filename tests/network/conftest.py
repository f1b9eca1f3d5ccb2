from collections.abc import AsyncIterator

import pytest

from tests.assortment import Assortment, opened


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Assortment]:
    async with opened(database_url) as assortment:
        yield assortment
