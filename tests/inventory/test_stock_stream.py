"""Stock as it changes: the state first, then the latest figures, resumed without a gap."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.live.cursor import CursorRefused
from tests.builders import Shop
from tests.inventory.watching import Stage, staged

WATCH = """
subscription($skus: [String!], $locations: [String!], $channel: String, $after: Cursor, $throttle: Int! = 0) {
  stockChanges(skus: $skus, locations: $locations, channel: $channel, after: $after, throttleMs: $throttle) {
    __typename
    ... on StockSnapshot { cursor count stockLevels { onHand sku { code } } }
    ... on StockChange { cursor version stockLevel { onHand available sku { code } location { code } } }
    ... on Reset { cursor reason }
  }
}
"""


@pytest.fixture
async def stage(shop: Shop, redis_url: str) -> AsyncIterator[Stage]:
    await shop.location("YORK")
    await shop.channel()
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 10)
    async with staged(shop, redis_url) as stage:
        yield stage


def last(items: list[dict[str, Any]]) -> Any:
    level = items[-1].get("stockLevel")
    return level and (level["sku"]["code"], level["location"]["code"], level["onHand"], level["available"])


async def test_a_snapshot_comes_first_then_every_kind_of_change(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, skus=["MUG"]) as watcher:
        await watcher.until(lambda items: items[0]["__typename"] == "StockSnapshot")
        assert (watcher.items[0]["count"], watcher.items[0]["stockLevels"]) == (
            1,
            [{"onHand": 10, "sku": {"code": "MUG"}}],
        )

        await shop.stock("CUP", 1)
        await shop.stock("MUG", 1)
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 11))
        token = await shop.reserve({"MUG": 4}, seconds=60)
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 7))
        await shop.place({"MUG": 2}, reservation_token=token)
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 9))
        await shop.reserve({"MUG": 4}, seconds=60)
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 5))
        shop.clock.advance(timedelta(seconds=60))
        await shop.database.call("SELECT inventory_reservations_expire($1, 9, 'system:timer')", shop.clock.now())
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 9))
        await shop.stock("MUG", 3, at="YORK")
        await watcher.until(lambda items: last(items) == ("MUG", "YORK", 3, 3))

    versions = [item["version"] for item in watcher.items[1:-1]]
    assert versions == sorted(set(versions))
    assert len({item["cursor"] for item in watcher.items}) == len(watcher.items)


async def test_what_changed_while_away_comes_with_its_latest_figures(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, skus=["MUG", "CUP"]) as watcher:
        await watcher.until(lambda items: items)
        cursor = watcher.cursor
    for _ in range(5):
        await shop.stock("MUG", 1)
    await stage.settled()

    async with stage.watching(WATCH, skus=["MUG", "CUP"], after=cursor) as watcher:
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 15, 15))
        assert len(watcher.items) == 1
        cursor = watcher.cursor
    async with stage.watching(WATCH, skus=["MUG", "CUP"], after=cursor) as watcher:
        await shop.stock("CUP", 1)
        await watcher.until(lambda items: last(items) == ("CUP", "LEEDS", 11, 11))
        assert len(watcher.items) == 1


async def test_a_burst_arrives_as_one_change(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, skus=["MUG"], throttle=1_500) as watcher:
        await watcher.until(lambda items: items)
        for _ in range(8):
            await shop.stock("MUG", 1)
            await stage.settled()
        await watcher.until(lambda items: last(items) == ("MUG", "LEEDS", 18, 18))

    assert len(watcher.items) <= 4


async def test_without_skus_all_stock_is_watched_as_far_as_locations_and_channel_let_it(
    shop: Shop, stage: Stage
) -> None:
    leeds = [{"location": "LEEDS", "priority": 1, "safety_stock": 0}]
    await shop.channel("LOCAL", locations=leeds)
    async with (
        stage.watching(WATCH) as everything,
        stage.watching(WATCH, locations=["YORK"]) as york,
        stage.watching(WATCH, channel="LOCAL") as local,
        stage.watching(WATCH, channel="LOCAL", locations=["YORK"]) as nothing,
    ):
        for watcher in (everything, york, local, nothing):
            await watcher.until(lambda items: items)
        assert [w.items[0]["count"] for w in (everything, york, local, nothing)] == [2, 0, 2, 0]
        assert everything.items[0]["stockLevels"] == []

        await shop.stock("MUG", 2, at="YORK")
        await york.until(lambda items: last(items) == ("MUG", "YORK", 2, 2))
        await shop.stock("MUG", 1)
        await local.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 11))
        await everything.until(lambda items: last(items) == ("MUG", "LEEDS", 11, 11))

    assert (len(york.items), len(local.items), len(nothing.items)) == (2, 2, 1)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"skus": []}, ValidationRefused),
        ({"skus": ["MUG"] * 101}, ValidationRefused),
        ({"skus": ["MUG", "NONE"]}, NotFound),
        ({"skus": ["\u0000"]}, NotFound),
        ({"locations": ["NONE"]}, NotFound),
        ({"locations": []}, ValidationRefused),
        ({"channel": "NONE"}, NotFound),
        ({"throttle": -1}, ValidationRefused),
        ({"throttle": 60_001}, ValidationRefused),
        ({"after": "nonsense"}, CursorRefused),
    ],
)
async def test_what_cannot_be_watched_is_refused_at_once(
    stage: Stage, variables: dict[str, Any], problem: type[Refusal]
) -> None:
    async with stage.watching(WATCH, **variables) as watcher:
        assert await watcher.refused() == problem.code
        assert watcher.items == []
    assert stage.hub.mailboxes == 0


async def test_a_stream_that_is_left_lets_go_of_its_mailbox(stage: Stage) -> None:
    async with stage.watching(WATCH, skus=["MUG"]) as watcher:
        await watcher.until(lambda items: items)
        assert stage.hub.mailboxes == 1

    assert stage.hub.mailboxes == 0
