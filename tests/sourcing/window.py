"""A shop seen as storefronts see it: asked by GET, from memory, beside what PostgreSQL says at the same instant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson

from app.gql.context import Context
from app.gql.kept import KeptAnswer
from app.gql.payload import GraphQLRequest
from app.kernel.db import Reads, StatementCount, statements
from app.kernel.principal import Kind, Principal
from app.live.events import Position
from app.sourcing.api.kept import KeptAvailability
from app.sourcing.recent import RecentAvailability
from tests.builders import STAFF, Shop
from tests.inventory.area import SIGNER
from tests.inventory.watching import Stage, staged
from tests.operations.documents import new_graph

ASK = """
query Ask($skus: [String!]!, $channel: String, $to: DestinationInput, $at: DateTime) {
  availability(skus: $skus, channel: $channel, destination: $to, at: $at) {
    sku status unlimited available atp { from units } byLocation { locationCode locationName units }
    nextAvailableAt backorderable preorderReleaseAt
  }
}
"""


class Window:
    """statements  SQL statements that the last answer from memory took"""

    def __init__(self, stage: Stage, recent: RecentAvailability, **graph: Any) -> None:
        self.stage = stage
        self.shop = stage.shop
        self.recent = recent
        self.statements = 0
        self.graph = new_graph(**graph)
        self.kept = KeptAvailability(self.graph, recent, stage.hub.cursors)
        self.graph.documents.trust([ASK])
        self.operation = self.graph.operation(GraphQLRequest(ASK))
        assert self.kept.keeps(self.operation)

    async def ask(self, *skus: str, principal: Principal = STAFF, **variables: Any) -> KeptAnswer | None:
        """The answer from memory; None where the operation would be run instead."""
        count = StatementCount()
        token = statements.set(count)
        try:
            return await self.kept.answer(self.operation, {"skus": list(skus), **variables}, self.context(principal), 0)
        finally:
            statements.reset(token)
            self.statements = count.value

    async def told(self, *skus: str, **asked: Any) -> list[dict[str, Any]]:
        answer = await self.ask(*skus, **asked)
        assert answer is not None
        found: list[dict[str, Any]] = orjson.loads(answer.body)["data"]["availability"]
        return found

    async def fresh(self, *skus: str, principal: Principal = STAFF, **variables: Any) -> Any:
        """The data as PostgreSQL has it, or the errors."""
        variables = {"skus": list(skus), **variables}
        body = orjson.loads((await self.graph.run(self.operation, variables, self.context(principal), 0)).encoded)
        return body.get("errors") or body["data"]["availability"]

    def position(self, answer: KeptAnswer) -> Position:
        return self.stage.hub.cursors.open(orjson.loads(answer.body)["extensions"]["asOf"])

    async def warm(self, *skus: str, **asked: Any) -> None:
        """Have the SKUs in memory."""
        await self.stage.settled()
        async with asyncio.timeout(10):  # on a busy machine the log may just not have been heard for too long
            while True:
                await self.ask(*skus, **asked)
                if await self.ask(*skus, **asked) is not None and self.statements == 0:
                    return

    def context(self, principal: Principal) -> Context:
        return Context(
            principal=principal,
            reads=Reads(self.shop.database, principal, self.shop.clock),
            runner=self.shop.runner,
            services=SimpleNamespace(signer=SIGNER, hub=self.stage.hub),
            request_id="test",
        )


async def storefront(shop: Shop, channel: str) -> Principal:
    channel_id: UUID = (await shop.one("SELECT id FROM channel WHERE code = :code", code=channel)).id
    return Principal(Kind.STOREFRONT, "client:shop", frozenset({"availability:read"}), channel_id=UUID(str(channel_id)))


@asynccontextmanager
async def opened(shop: Shop, redis_url: str, **given: Any) -> AsyncIterator[Window]:
    """Runs a relay, a hub that hears it, and a memory that follows the hub."""
    async with staged(shop, redis_url, shop.clock) as stage:
        recent = RecentAvailability(shop.database, stage.hub, shop.clock, **given)
        await recent.open()
        try:
            while given.get("enabled", True) and not recent.is_followed:
                await asyncio.sleep(0.01)
            yield Window(stage, recent)
        finally:
            await recent.close()
