"""A subscription as the transports run it: the items it is told, on real stores with a relay and a hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Self

from app.gql.execution import Ended
from app.kernel.clock import Clock, SystemClock
from app.kernel.principal import Principal
from app.live.cursor import Cursors
from app.live.hub import Hub
from app.live.relay import Relay
from tests.builders import STAFF, Shop
from tests.inventory.area import SIGNER, Desk, graph


class Stage:
    """A relay and a hub beside a shop."""

    def __init__(self, shop: Shop, hub: Hub) -> None:
        self.shop = shop
        self.hub = hub

    def desk(self, principal: Principal = STAFF) -> Desk:
        return Desk(self.shop, principal, hub=self.hub)

    @asynccontextmanager
    async def watching(self, document: str, principal: Principal = STAFF, **variables: Any) -> AsyncIterator[Watcher]:
        async with Watcher(self.desk(principal), document, variables) as watcher:
            yield watcher

    async def settled(self) -> None:
        """Wait until the hub has handed out every committed event."""
        async with asyncio.timeout(10):
            while True:
                row = await self.shop.one(
                    "SELECT pos, EXISTS (SELECT FROM event_log WHERE pos IS NULL) AS open FROM relay_shard"
                )
                if not row.open and self.hub.head().pos >= row.pos:
                    return
                await asyncio.sleep(0.01)


class Watcher:
    """items  what came so far, as data of the subscription's one field"""

    def __init__(self, desk: Desk, document: str, variables: dict[str, Any]) -> None:
        self.items: list[dict[str, Any]] = []
        self.errors: list[Any] = []
        self._desk, self._document, self._variables = desk, document, variables

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        operation = graph().documents.by_text(self._document).operation(None)
        try:
            async with aclosing(graph().stream(operation, self._variables, self._desk.context)) as answers:
                async for answer in answers:
                    if "errors" in answer.body:
                        self.errors += answer.body["errors"]
                        return
                    (item,) = answer.body["data"].values()
                    self.items.append(item)
        except Ended as ended:
            self.errors += ended.errors

    async def until(self, condition: Callable[[list[dict[str, Any]]], Any], seconds: float = 5) -> None:
        """Wait for items of which the condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not (self.items and condition(self.items)):
                    assert not self.errors, self.errors
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not seen: {self.items}, {self.errors}") from None

    async def refused(self) -> str:
        """The code it is refused with."""
        async with asyncio.timeout(5):
            while not self.errors:
                await asyncio.sleep(0.01)
        code: str = self.errors[0]["extensions"]["code"]
        return code

    @property
    def cursor(self) -> str:
        return str(self.items[-1]["cursor"])


@asynccontextmanager
async def staged(shop: Shop, redis_url: str, clock: Clock | None = None) -> AsyncIterator[Stage]:
    """Runs a relay and a hub."""
    clock = clock or SystemClock()
    hub = Hub(shop.database.dsn, redis_url, cursors=Cursors(SIGNER), clock=clock)
    await hub.connect()
    relay = asyncio.create_task(Relay(shop.database.dsn, redis_url, clock).run())
    await asyncio.wait_for(hub.started.wait(), 10)
    try:
        stage = Stage(shop, hub)
        await stage.settled()
        yield stage
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
        await hub.disconnect()
