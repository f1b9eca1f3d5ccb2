"""The clients that browsers use come back after every broken connection, and have missed nothing."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from app.gql.nodes import global_id
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests import running
from tests.builders import Shop
from tests.clients.follower import Follower, following
from tests.gql.node import node_modules
from tests.running import Api

pytestmark = pytest.mark.needs("node")

CLIENTS = ["graphql-ws", "urql-ws", "graphql-sse", "graphql-sse+id", "urql-sse", "urql-sse+id"]
BREAKS = 6
CHANGES_BETWEEN_BREAKS = 5


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    given = running.settings(database_url, redis_url)
    async with running.worker(given), running.api(given) as api:
        yield api


@pytest.fixture
async def shop(api: Api) -> Shop:
    shop = Shop(api.services.database)
    await shop.open()
    await shop.sku("MUG")
    await shop.stock("MUG", 100_000)
    return shop


async def test_every_version_is_seen_once_and_in_order(api: Api, shop: Shop) -> None:
    await node_modules()
    key = await api.key()
    async with AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(following(client, api.url, key)) for client in CLIENTS]
        await until(lambda: all(follower.snapshots for follower in followers))
        trading = asyncio.create_task(trade(shop))
        for number in range(BREAKS):
            told = {follower: len(follower.changes) + CHANGES_BETWEEN_BREAKS for follower in followers}
            await until(lambda told=told: all(len(follower.changes) >= n for follower, n in told.items()))
            break_connections(api, followers, politely=number % 2 == 0)
        trading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trading
        committed = await all_versions(shop)
        total = sum(map(len, committed.values()))
        await until(lambda: all(len(follower.changes) >= total for follower in followers), but_go_on=True)
        await asyncio.sleep(0.3)  # for what would come twice

    assert total > BREAKS * CHANGES_BETWEEN_BREAKS
    for follower in followers:
        assert (follower.client, follower.problems, follower.resets) == (follower.client, [], [])
        assert follower.versions() == committed, follower.client
        assert follower.snapshots == 1, follower.client
        assert follower.connections > BREAKS, follower.client
        behind = [change for change in follower.changes if change["order"]["version"] < change["version"]]
        assert behind == [], follower.client


def break_connections(api: Api, followers: Sequence[Follower], *, politely: bool) -> None:
    """As a server does that restarts, or as a train does that enters a tunnel."""
    if politely:
        for stream in api.services.streams:
            stream.close(1012, "This server is restarting: connect again.")
    else:
        for follower in followers:
            follower.line.cut()


async def trade(shop: Shop) -> None:
    """Place orders, and hold and release earlier ones, without end."""
    chance = random.Random(7)
    held: dict[UUID, UUID] = {}
    placed: list[UUID] = []
    for number in itertools.count():
        if number % 4 == 0:
            placed.append(await shop.place({"MUG": 1}))
        elif (order_id := chance.choice(placed)) in held:
            await shop.run(orders.hold_release, order_id=order_id, hold_id=held.pop(order_id))
        else:
            done = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
            held[order_id] = UUID(done["holdId"])
        await asyncio.sleep(0.01)


async def all_versions(shop: Shop) -> dict[str, list[int]]:
    """What has been committed, by order."""
    rows = await shop.rows(
        "SELECT subject, array_agg(version ORDER BY version) AS versions FROM event_log"
        " WHERE aggregate = 'order' GROUP BY subject"
    )
    return {global_id("Order", row.subject): list(row.versions) for row in rows}


async def until(done: Callable[[], bool], *, but_go_on: bool = False) -> None:
    """Wait for it, 20 seconds at most."""
    try:
        async with asyncio.timeout(20):
            while not done():
                await asyncio.sleep(0.02)
    except TimeoutError:
        if not but_go_on:
            raise
