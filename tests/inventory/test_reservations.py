"""Reservations: racing for the last units, ending in time, being used and given back exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import product
from typing import Any

import asyncpg
import pytest

from app.inventory import commands as inventory
from app.inventory.refusals import InsufficientStock, ReservationClosed, StockTaken
from app.inventory.states import RESERVATION_EDGES, ReservationStatus
from app.kernel.errors import NotFound, Refusal
from app.kernel.principal import Kind, Principal
from tests.builders import Shop
from tests.inventory.area import Desk

HELD = "reservation { token status expiresAt version lines { units location { code } sku { code } } }"
EXPIRE = "SELECT inventory_reservations_expire($1, 100, 'system:timer')"


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


def wanted(seconds: int = 60, **units: int) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]
    return {"channel": "WEB", "lines": lines, "seconds": seconds}


@asynccontextmanager
async def connections(shop: Shop, number: int) -> AsyncIterator[list[asyncpg.Connection]]:
    async with AsyncExitStack() as open_:
        found = [await asyncpg.connect(shop.database.dsn) for _ in range(number)]
        for connection in found:
            open_.push_async_callback(connection.close)
        yield found


async def outcome(work: Any) -> str:
    try:
        await work
    except Refusal as refusal:
        return refusal.code
    return "DONE"


async def test_of_twenty_who_race_for_seven_units_seven_get_one(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 7)

    outcomes = await asyncio.gather(*(outcome(shop.reserve({"MUG": 1})) for _ in range(20)))

    assert outcomes.count("DONE") == 7
    assert set(outcomes) <= {"DONE", InsufficientStock.code, StockTaken.code}
    level = await shop.level("MUG")
    assert (level.on_hand, level.reserved) == (7, 7)


async def test_what_is_held_is_shown_with_its_token(shop: Shop, desk: Desk) -> None:
    await shop.location("YORK")
    await shop.channel()
    for sku, at in (("MUG", "LEEDS"), ("CUP", "YORK")):
        await shop.sku(sku)
        await shop.stock(sku, 5, at=at)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 2}, {"sku": "CUP", "units": 1}])
    await shop.sku("POST", stock_tracked=False)

    payload = await desk.do("stockReserve", HELD, wanted(SET=2, MUG=1, POST=1))

    held = payload["reservation"]
    assert (held["status"], held["version"], payload["userErrors"]) == ("OPEN", 1, [])
    assert {(line["sku"]["code"], line["location"]["code"], line["units"]) for line in held["lines"]} == {
        ("MUG", "LEEDS", 5),
        ("CUP", "YORK", 2),
    }
    await shop.place({"SET": 2, "MUG": 1}, reservation_token=held["token"])
    assert (await shop.level("MUG")).allocated == 5
    assert (await desk.ask("query($t: String!) { reservation(token: $t) { status } }", t=held["token"])) == {
        "reservation": {"status": "CONSUMED"}
    }


async def test_one_sku_short_holds_nothing_and_says_where_the_rest_is(shop: Shop, desk: Desk) -> None:
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 3)
    await shop.supply("CUP", 10, due_in=timedelta(days=2))

    refused = await desk.do("stockReserve", HELD, wanted(MUG=1, CUP=5))

    (error,) = refused["userErrors"]
    assert refused["reservation"] is None
    assert (error["__typename"], error["path"]) == ("InsufficientStock", ["input", "lines", "1"])
    assert (error["sku"], error["requested"], error["available"]) == ("CUP", 5, 3)
    assert error["byLocation"] == [{"location": "LEEDS", "units": 3}]
    assert error["nextAvailableAt"] == "2026-03-04T12:00:00Z"
    assert (await shop.level("MUG")).reserved == 0


async def test_no_stock_is_held_for_a_preorder_or_a_service(shop: Shop, desk: Desk) -> None:
    await shop.sku("NEW", preorder_release_at=shop.clock.now() + timedelta(days=9))
    await shop.stock("NEW", 3)
    await shop.sku("POST", stock_tracked=False)

    for sku in ("NEW", "POST", "NONE"):
        refused = await desk.do("stockReserve", HELD, wanted(**{sku: 1}))
        assert refused["reservation"] is None
        assert refused["userErrors"][0]["path"][:2] == ["input", "lines"]


async def test_a_dry_run_holds_nothing(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 3)

    payload = await desk.do("stockReserve", HELD, wanted(MUG=3), dryRun=True)

    assert payload["reservation"]["lines"][0]["units"] == 3
    assert (await shop.level("MUG")).reserved == 0


async def test_an_extension_counts_from_now_and_knows_versions(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 3)
    token = await shop.reserve({"MUG": 1}, seconds=60)
    shop.clock.advance(timedelta(seconds=59))

    stale = await desk.do("stockReservationExtend", HELD, {"token": token, "seconds": 30}, version=2)
    done = await desk.do("stockReservationExtend", HELD, {"token": token, "seconds": 30}, version=1)

    assert (stale["userErrors"][0]["__typename"], stale["userErrors"][0]["actual"]) == ("VersionConflict", 1)
    assert (done["reservation"]["expiresAt"], done["reservation"]["version"]) == ("2026-03-02T12:01:29Z", 2)
    for seconds in (0, 86_401):
        refused = await desk.do("stockReservationExtend", HELD, {"token": token, "seconds": seconds})
        assert refused["userErrors"][0]["path"] == ["input", "seconds"]


async def test_a_visitor_reserves_for_half_an_hour_at_a_time_and_two_hours_in_all(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 3)
    visitor = await storefront(shop)

    refused = await visitor.do("stockReserve", HELD, wanted(1_801, MUG=1))
    held = (await visitor.do("stockReserve", HELD, wanted(1_800, MUG=1)))["reservation"]

    (error,) = refused["userErrors"]
    assert (error["code"], error["path"]) == ("VALIDATION", ["input", "seconds"])
    assert "1,800 seconds at a time at most, not 1,801" in error["message"]
    assert (await shop.level("MUG")).reserved == 1

    async def extend(seconds: int) -> dict[str, Any]:
        return await visitor.do("stockReservationExtend", HELD, {"token": held["token"], "seconds": seconds})

    assert (await extend(1_801))["userErrors"][0]["code"] == "VALIDATION"
    for _ in range(3):
        shop.clock.advance(timedelta(minutes=29))
        assert (await extend(1_800))["userErrors"] == []
    shop.clock.advance(timedelta(minutes=29))  # 4 minutes are left of the two hours
    (error,) = (await extend(241))["userErrors"]
    assert (error["__typename"], error["expiresAtMax"]) == ("ReservationTooLong", "2026-03-02T14:00:00Z")
    assert error["path"] == ["input", "seconds"]
    assert "this one ends by 14:00:00 UTC" in error["message"]
    assert (await extend(240))["reservation"]["expiresAt"] == "2026-03-02T14:00:00Z"
    longer = await desk.do("stockReservationExtend", HELD, {"token": held["token"], "seconds": 86_400})
    assert longer["userErrors"] == []  # somebody who runs the shop
    assert (await extend(1_800))["reservation"]["expiresAt"] == "2026-03-02T14:26:00Z"  # brought forward


async def test_a_visitor_holds_a_thousand_units_of_a_sku_over_all_lines_and_bundles(shop: Shop, desk: Desk) -> None:
    for sku in ("CUP", "MUG"):
        await shop.sku(sku)
        await shop.stock(sku, 5_000)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 100}])
    visitor = await storefront(shop)
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in (("CUP", 1_000), ("MUG", 1), ("SET", 10))]

    refused = await visitor.do("stockReserve", HELD, {**wanted(), "lines": lines})

    (error,) = refused["userErrors"]
    assert (error["code"], error["path"]) == ("VALIDATION", ["input", "lines", "1", "quantity"])
    assert error["message"].startswith("1,001 of MUG: a storefront reserves 1,000 units of a SKU at most.")
    assert (await shop.level("CUP")).reserved == 0
    assert (await desk.do("stockReserve", HELD, {**wanted(), "lines": lines}))["userErrors"] == []
    assert (await visitor.do("stockReserve", HELD, wanted(SET=10)))["userErrors"] == []


async def storefront(shop: Shop) -> Desk:
    channel_id = (await shop.one("SELECT id FROM channel WHERE code = 'WEB'")).id
    scopes = frozenset({"stock:reserve", "catalog:read", "network:read"})
    return Desk(shop, Principal(Kind.STOREFRONT, "client:shop", scopes, channel_id=channel_id))


@pytest.mark.parametrize("end", ["expire", "release", "consume"])
async def test_what_has_ended_can_neither_be_extended_nor_released_nor_used(shop: Shop, desk: Desk, end: str) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 3)
    token = await shop.reserve({"MUG": 2}, seconds=60)
    status = {"expire": "EXPIRED", "release": "RELEASED", "consume": "CONSUMED"}[end]
    match end:
        case "expire":
            shop.clock.advance(timedelta(seconds=60))  # the timer has not run
        case "release":
            released = await desk.do("stockReservationRelease", HELD, {"token": token})
            assert released["reservation"]["status"] == "RELEASED"
        case "consume":
            await shop.place({"MUG": 2}, reservation_token=token)

    extended = await desk.do("stockReservationExtend", HELD, {"token": token, "seconds": 60})
    released = await desk.do("stockReservationRelease", HELD, {"token": token})

    for refused in (extended, released):
        assert refused["userErrors"][0]["__typename"] == "ReservationClosed"
        assert refused["userErrors"][0]["status"] == status
        assert refused["reservation"] is None
    with pytest.raises(ReservationClosed):
        await shop.place({"MUG": 1}, reservation_token=token)
    assert (await shop.level("MUG")).reserved == (2 if end == "expire" else 0)
    await shop.database.call(EXPIRE, shop.clock.now())
    assert (await shop.level("MUG")).reserved == 0


async def test_another_channels_key_does_not_find_the_token(shop: Shop) -> None:
    await shop.channel("SHOP")
    await shop.sku("MUG")
    await shop.stock("MUG", 3)
    token = await shop.reserve({"MUG": 1})
    shop_id = (await shop.one("SELECT id FROM channel WHERE code = 'SHOP'")).id
    other = Principal(Kind.STOREFRONT, "client:shop", frozenset({"stock:reserve"}), channel_id=shop_id)

    with pytest.raises(NotFound):
        await shop.run(inventory.release, principal=other, token=token)
    asked = await Desk(shop, other).ask("query($t: String!) { reservation(token: $t) { status } }", t=token)
    assert asked == {"reservation": None}


async def test_two_timers_at_once_release_each_reservation_once(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 60)
    for _ in range(30):
        await shop.reserve({"MUG": 2}, seconds=60)
    shop.clock.advance(timedelta(seconds=60))

    async with connections(shop, 2) as timers:
        closed = await asyncio.gather(*(timer.fetchval(EXPIRE, shop.clock.now()) for timer in timers))
        while more := sum([await timer.fetchval(EXPIRE, shop.clock.now()) for timer in timers]):
            closed.append(more)

    assert sum(closed) == 30
    assert (await shop.level("MUG")).reserved == 0
    assert (await shop.one("SELECT count(*) AS n FROM event_log WHERE type = 'ReservationExpired'")).n == 30


async def test_closing_what_is_closed_gives_nothing_back(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 9)
    for _ in range(2):
        await shop.reserve({"MUG": 2}, seconds=60)
    ids = [row.id for row in await shop.rows("SELECT id FROM reservation")]
    close = "SELECT inventory_reservations_close($1, 'RELEASED', $2, 'system:test')"

    async with connections(shop, 4) as callers:
        closed = await asyncio.gather(*(caller.fetchval(close, ids, shop.clock.now()) for caller in callers))

    assert sorted(closed) == [0, 0, 0, 2]
    assert (await shop.level("MUG")).reserved == 0


async def test_a_timer_passes_over_what_another_holds_and_closes_the_rest(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    first = await shop.reserve({"MUG": 1}, seconds=60)
    await shop.reserve({"MUG": 3}, seconds=60)
    shop.clock.advance(timedelta(seconds=60))

    async with connections(shop, 2) as (holder, timer):
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM reservation WHERE token = $1 FOR UPDATE", first)
            assert await timer.fetchval(EXPIRE, shop.clock.now()) == 1
        assert await timer.fetchval(EXPIRE, shop.clock.now()) == 1


async def test_released_expired_and_used_at_the_same_moment_it_ends_once(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 20)
    tokens = [await shop.reserve({"MUG": 2}, seconds=60) for _ in range(10)]
    expiring = shop.clock.now() + timedelta(seconds=60)  # the timer's clock is ahead of the shop's

    async with connections(shop, 1) as (timer,):
        outcomes = await asyncio.gather(
            *(outcome(shop.place({"MUG": 2}, reservation_token=token)) for token in tokens),
            *(outcome(shop.run(inventory.release, token=token)) for token in tokens),
            timer.fetchval(EXPIRE, expiring),
        )

    placed, released, expired = outcomes[:10].count("DONE"), outcomes[10:20].count("DONE"), outcomes[20]
    assert placed + released + expired == 10
    assert (await shop.level("MUG")).allocated == placed * 2
    assert (await shop.level("MUG")).reserved == 0


async def test_every_action_leads_from_every_state_where_its_edge_says(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 99)

    async def expire(_: str) -> None:
        shop.clock.advance(timedelta(seconds=60))
        await shop.database.call(EXPIRE, shop.clock.now())

    actions: dict[str, Callable[[str], Awaitable[Any]]] = {
        "extend": lambda token: shop.run(inventory.extend, token=token, seconds=60),
        "release": lambda token: shop.run(inventory.release, token=token),
        "expire": expire,
        "consume": lambda token: shop.place({"MUG": 1}, reservation_token=token),
    }
    ways = {target: actions[action] for action, (_, target) in RESERVATION_EDGES.items()}
    for state, (action, (sources, target)) in product(ReservationStatus, RESERVATION_EDGES.items()):
        token = await shop.reserve({"MUG": 1}, seconds=60)
        await ways[state](token)
        assert await _status(shop, token) == state

        told = await outcome(actions[action](token))

        assert await _status(shop, token) == (target if state in sources else state), (state, action)
        # The timer has nobody to refuse: it passes over what is closed.
        assert (told == "DONE") == (state in sources or action == "expire"), (state, action)


async def _status(shop: Shop, token: str) -> str:
    return str((await shop.one("SELECT status FROM reservation WHERE token = :token", token=token)).status)
