from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.gql.toy import ToyShop, serving


@pytest.fixture
async def shop() -> AsyncIterator[ToyShop]:
    async with serving() as running:
        yield running


class Http:
    """Posts operations and raw bodies to the toy shop."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self.client, self.url = client, url

    async def post(self, query: str | None = None, *, key: str | None = None, accept: str | None = None, **body):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= {"accept": accept} if accept else {}
        body |= {} if query is None else {"query": query}
        return await self.client.post(self.url, json=body, headers=headers)

    async def raw(self, content, **headers: str):
        given = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.post(self.url, content=content, headers=given)


@pytest.fixture
async def http(shop: ToyShop) -> AsyncIterator[Http]:
    async with httpx2.AsyncClient(timeout=20) as client:
        yield Http(client, shop.url)
