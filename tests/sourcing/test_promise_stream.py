"""A cart that is watched: told again whenever what can be promised changes, and only then."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.figures import TimerFigures
from app.inventory.commands import safety_stock_set
from app.inventory.commands.safety_stock import SafetyStock
from app.jobs import allocate_backorders
from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.kernel.telemetry import Telemetry
from app.live.cursor import CursorRefused
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.builders import Shop
from tests.inventory.watching import Stage, Watcher, staged

WATCH = """
subscription($lines: [CartLineInput!]!, $channel: String = "WEB", $after: Cursor) {
  availabilityChanges(lines: $lines, channel: $channel, after: $after) {
    __typename
    ... on AvailabilitySnapshot { cursor cart { ...Cart } }
    ... on AvailabilityChange { cursor cart { ...Cart } }
    ... on Reset { cursor reason }
  }
}
fragment Cart on CartAvailability { promisable orderable lines { sku promised status sources { locationCode units } } }
"""


@pytest.fixture
async def stage(shop: Shop, redis_url: str) -> AsyncIterator[Stage]:
    await shop.location("YORK")
    await shop.channel()
    for sku in ("MUG", "CUP", "JAR"):
        await shop.sku(sku)
        await shop.stock(sku, 5)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "CUP", "units": 2}])
    async with staged(shop, redis_url) as stage:
        yield stage


def lines(**units: int) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]


def promised(items: list[dict[str, Any]]) -> list[int]:
    return [line["promised"] for line in items[-1]["cart"]["lines"]]


async def told(watcher: Watcher, stage: Stage, *units: int) -> None:
    """Wait until these units of the lines are promised."""
    await stage.settled()
    await watcher.until(lambda items: promised(items) == list(units))


async def quiet(watcher: Watcher, stage: Stage) -> None:
    """Make sure that nothing more is told of what has happened so far."""
    before = len(watcher.items)
    await stage.settled()
    await asyncio.sleep(0.4)
    assert len(watcher.items) == before, watcher.items[before:]


async def test_it_is_told_when_others_buy_reserve_give_back_and_run_out_of_time(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, lines=lines(MUG=4)) as watcher:
        await told(watcher, stage, 4)
        assert watcher.items[0]["__typename"] == "AvailabilitySnapshot"
        assert watcher.items[0]["cart"]["promisable"]

        await shop.place({"MUG": 1})
        await quiet(watcher, stage)
        await shop.place({"MUG": 1})
        await told(watcher, stage, 3)
        assert watcher.items[1]["__typename"] == "AvailabilityChange"
        assert not watcher.items[1]["cart"]["promisable"]
        await shop.reserve({"MUG": 2}, seconds=60)
        await told(watcher, stage, 1)
        shop.clock.advance(timedelta(seconds=60))
        await shop.database.call("SELECT inventory_reservations_expire($1, 9, 'system:timer')", shop.clock.now())
        await told(watcher, stage, 3)
        await shop.stock("MUG", 9, at="YORK")
        await told(watcher, stage, 4)
        assert watcher.items[-1]["cart"]["lines"][0]["sources"] == [{"locationCode": "YORK", "units": 4}]
        await shop.stock("JAR", 1)
        await shop.stock("CUP", 1)
        await quiet(watcher, stage)

    assert len({item["cursor"] for item in watcher.items}) == len(watcher.items)


async def test_supply_that_is_late_is_no_news_every_second(shop: Shop, stage: Stage) -> None:
    await shop.supply("MUG", 20, due_in=timedelta(seconds=-60))
    async with stage.watching(WATCH, lines=lines(MUG=9)) as watcher:
        await told(watcher, stage, 5)
        shop.clock.advance(timedelta(seconds=5))
        await shop.run(safety_stock_set, changes=[SafetyStock(sku="MUG", location="LEEDS", units=0)])
        await quiet(watcher, stage)


async def test_it_is_told_when_a_preorder_is_released(shop: Shop, redis_url: str) -> None:
    later = timedelta(seconds=0.2)
    for sku, wait in (("NEW", later), ("NEWER", 2 * later)):
        await shop.sku(sku, preorder_release_at=shop.clock.now() + wait, backorder_limit=9)
        await shop.stock(sku, 5)
    await shop.sku("SET", components=[{"sku": "NEWER", "units": 1}])
    async with (
        staged(shop, redis_url, shop.clock) as stage,
        stage.watching(WATCH, lines=lines(NEW=1, SET=1)) as watcher,
    ):
        await told(watcher, stage, 0, 0)
        await quiet(watcher, stage)

        shop.clock.advance(later)
        await told(watcher, stage, 1, 0)
        await quiet(watcher, stage)
        shop.clock.advance(later)
        await told(watcher, stage, 1, 1)
        await quiet(watcher, stage)


async def test_parts_of_bundles_count_also_those_it_gets_later(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, lines=lines(SET=2)) as watcher:
        await told(watcher, stage, 2)
        await shop.place({"CUP": 2})
        await told(watcher, stage, 1)

        await shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "JAR", "units": 1}])
        await told(watcher, stage, 2)
        await shop.place({"JAR": 4})
        await told(watcher, stage, 1)
        await shop.place({"CUP": 3})
        await quiet(watcher, stage)


async def test_catalog_and_channel_count(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, lines=lines(NEW=1, MUG=3)) as watcher:
        await told(watcher, stage, 0, 3)
        assert watcher.items[0]["cart"]["lines"][0]["status"] == "UNKNOWN"

        await shop.sku("OTHER")
        await quiet(watcher, stage)
        await shop.sku("NEW")
        await watcher.until(lambda items: items[-1]["cart"]["lines"][0]["status"] == "SHORT")
        await shop.stock("NEW", 1)
        await told(watcher, stage, 1, 3)
        await shop.channel("WEB", safety_stock=3)
        await told(watcher, stage, 0, 2)
        await shop.sku("MUG", active=False)
        await told(watcher, stage, 0, 0)


async def test_what_comes_for_those_who_wait_is_no_news_to_others(shop: Shop, stage: Stage) -> None:
    await shop.sku("PAN", backorder_limit=20)
    await shop.place({"PAN": 6})
    async with stage.watching(WATCH, lines=lines(PAN=5)) as watcher:
        await told(watcher, stage, 0)
        await shop.stock("PAN", 6)
        await quiet(watcher, stage)
        assert await allocate_backorders(shop.runner, TimerFigures(Telemetry())) == 6
        await quiet(watcher, stage)

        await shop.stock("PAN", 2)
        await told(watcher, stage, 2)


async def test_what_was_kept_for_an_order_is_free_while_it_is_held(shop: Shop, stage: Stage) -> None:
    await shop.sku("PAN", backorder_limit=20)
    order_id = await shop.place({"PAN": 6})
    async with stage.watching(WATCH, lines=lines(PAN=5)) as watcher:
        await told(watcher, stage, 0)
        await shop.stock("PAN", 6)
        await quiet(watcher, stage)
        held = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD)
        await told(watcher, stage, 5)
        await shop.run(orders.hold_release, order_id=order_id, hold_id=UUID(held["holdId"]))
        await told(watcher, stage, 0)


async def test_it_goes_on_from_a_cursor(shop: Shop, stage: Stage) -> None:
    async with stage.watching(WATCH, lines=lines(MUG=5)) as watcher:
        await told(watcher, stage, 5)
        cursor = watcher.cursor
    await shop.place({"MUG": 2})
    await stage.settled()

    async with stage.watching(WATCH, lines=lines(MUG=5), after=cursor) as watcher:
        await told(watcher, stage, 3)
        assert [item["__typename"] for item in watcher.items] == ["AvailabilityChange"]
        cursor = watcher.cursor
    async with stage.watching(WATCH, lines=lines(MUG=5), after=cursor) as watcher:
        await asyncio.sleep(0.3)
        assert watcher.items == []
        await shop.place({"MUG": 1})
        await told(watcher, stage, 2)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"lines": []}, ValidationRefused),
        ({"lines": lines(MUG=0)}, ValidationRefused),
        ({"lines": lines(MUG=1) * 251}, ValidationRefused),
        ({"channel": "NONE"}, NotFound),
        ({"channel": None}, ValidationRefused),
        ({"after": "nonsense"}, CursorRefused),
    ],
)
async def test_what_cannot_be_watched_is_refused_at_once(
    stage: Stage, variables: dict[str, Any], problem: type[Refusal]
) -> None:
    async with stage.watching(WATCH, **{"lines": lines(MUG=1), **variables}) as watcher:
        assert await watcher.refused() == problem.code
    assert stage.hub.mailboxes == 0
