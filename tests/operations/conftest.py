from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from app.kernel.clock import Clock
from app.kernel.db import Database
from app.wiring import Services
from tests import running
from tests.conftest import Administrator
from tests.operations import world
from tests.operations.desk import Desk
from tests.operations.documents import new_graph

FEW, MANY = 5, 50


@dataclass(frozen=True)
class Furnished:
    """A database to copy that has `size` of everything, with the API keys of its callers by kind."""

    size: int
    template: str
    keys: dict[str, str]


def _furnished(administrator: Administrator, template_database: str, size: int) -> Furnished:
    template = administrator.create(template_database)

    async def furnish() -> dict[str, str]:
        database = Database(administrator.url(template))
        await database.open()
        try:
            return await world.furnish(world.open_shop(database), size)
        finally:
            await database.close()

    return Furnished(size, template, asyncio.run(furnish()))


@pytest.fixture(scope="session")
def few(administrator: Administrator, template_database: str) -> Furnished:
    return _furnished(administrator, template_database, FEW)


@pytest.fixture(scope="session")
def many(administrator: Administrator, template_database: str) -> Furnished:
    return _furnished(administrator, template_database, MANY)


OpenDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def opened(administrator: Administrator, redis_url: str) -> OpenDesk:
    """Opens a desk on a copy of a furnished database, at the time of the clock if one is given."""

    @asynccontextmanager
    async def opened(furnished: Furnished, clock: Clock | None = None) -> AsyncIterator[Desk]:
        name = administrator.create(furnished.template)
        services = Services(running.settings(administrator.url(name), redis_url), clock)
        await services.database.open()
        try:
            yield Desk(services, furnished.keys, furnished.size)
        finally:
            await services.database.close()
            administrator.drop(name)

    return opened


@pytest.fixture
def live(administrator: Administrator, redis_url: str) -> OpenDesk:
    """The same with all that subscriptions need: a worker, and a hub that listens to it."""

    @asynccontextmanager
    async def live(furnished: Furnished) -> AsyncIterator[Desk]:
        name = administrator.create(furnished.template)
        given = running.settings(administrator.url(name), redis_url)
        services = Services(given)
        async with running.worker(given):
            await services.open()
            try:
                desk = Desk(services, furnished.keys, furnished.size).with_graph(new_graph())
                await desk.settled()
                yield desk
            finally:
                await services.close()
        administrator.drop(name)

    return live
