from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.gql.toy import ToyShop, serving


@pytest.fixture
async def shop() -> AsyncIterator[ToyShop]:
    async with serving() as running:
        yield running


@pytest.fixture
async def http(shop: ToyShop) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=shop.url, timeout=20) as client:
        yield client
