"""Orders that wait for stock: what they claim, when they are served, and what others may buy meanwhile."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from app import jobs
from app.figures import TimerFigures
from app.inventory.refusals import InsufficientStock
from app.jobs import allocate_backorders
from app.kernel.db import Database
from app.kernel.telemetry import Telemetry
from app.kernel.work import Runner
from app.orders import commands as orders
from app.orders import queries
from app.orders.requests import AddressRequest, LineRequest
from app.orders.states import CancelReason, HoldReason
from tests.builders import Shop


async def serve(shop: Shop) -> int:
    """What the worker's timer does; units allocated."""
    return await allocate_backorders(shop.runner, TimerFigures(Telemetry()))


async def allocated(shop: Shop, *order_ids: UUID) -> list[int]:
    """Units allocated to each of these orders' stocked lines."""
    rows = await shop.rows("SELECT order_id, sum(allocated) AS units FROM order_line WHERE takes_stock GROUP BY 1")
    units = {row.order_id: row.units for row in rows}
    return [units[order_id] for order_id in order_ids]


async def state(shop: Shop, order_id: UUID) -> tuple[str, int]:
    row = await shop.one("SELECT fulfillment_status, version FROM orders WHERE id = :id", id=order_id)
    return row.fulfillment_status, row.version


async def lines(shop: Shop, order_id: UUID) -> Sequence[tuple[str, int, int]]:
    """Code, allocated and backordered units of the order's lines."""
    sql = "SELECT sku_code, allocated, backordered FROM order_line WHERE order_id = :id ORDER BY line_no"
    return [tuple(row) for row in await shop.rows(sql, id=order_id)]


async def backordered(shop: Shop) -> int:
    return int((await shop.one("SELECT coalesce(sum(units), 0) AS n FROM backorder_level")).n)


async def claimed(shop: Shop, code: str = "MUG") -> int:
    """Units of the SKU that orders wait for, over all channels."""
    sql = (
        "SELECT coalesce(sum(c.units), 0) AS n FROM backorder_claim c JOIN sku s ON s.id = c.sku_id WHERE code = :code"
    )
    return int((await shop.one(sql, code=code)).n)


async def hold(shop: Shop, order_id: UUID) -> UUID:
    return UUID((await shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD))["holdId"])


async def test_an_order_on_hold_claims_nothing_until_its_last_hold_is_released(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=10)
    await shop.place({"MUG": 3})
    order_id = await shop.place({"MUG": 4})
    assert await claimed(shop) == 7

    holds = [await hold(shop, order_id), await hold(shop, order_id)]
    assert await claimed(shop) == 3
    await shop.run(orders.hold_release, order_id=order_id, hold_id=holds[0])
    assert await claimed(shop) == 3
    await shop.run(orders.hold_release, order_id=order_id, hold_id=holds[1])
    assert await claimed(shop) == 7

    await hold(shop, order_id)
    await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.FRAUD)
    assert await claimed(shop) == 3
    assert (await shop.one("SELECT units FROM backorder_level")).units == 3


async def test_stock_that_comes_goes_to_the_most_urgent_then_to_the_oldest(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=20)
    old = await shop.place({"MUG": 2})
    shop.clock.advance(timedelta(seconds=1))
    young = await shop.place({"MUG": 3})
    urgent = await shop.place({"MUG": 4}, priority=1)
    await shop.stock("MUG", 7)

    assert await serve(shop) == 7
    assert await allocated(shop, urgent, old, young) == [4, 2, 1]
    assert await backordered(shop) == await claimed(shop) == 2
    assert await state(shop, urgent) == ("SCHEDULED", 2)
    assert await state(shop, young) == ("BACKORDERED", 2)

    await shop.stock("MUG", 5)
    assert await serve(shop) == 2
    assert await state(shop, young) == ("SCHEDULED", 3)
    assert ((await shop.level("MUG")).allocated, await backordered(shop)) == (9, 0)


async def test_an_allocated_order_tells_of_it_once(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=20)
    order_id = await shop.place({"MUG": 2})
    assert await serve(shop) == 0
    await shop.stock("MUG", 5)
    await serve(shop)
    await serve(shop)
    await shop.run(orders.allocate, order_id=order_id)

    told = await shop.rows("SELECT * FROM event_log WHERE subject = :id ORDER BY version", id=order_id)
    assert [(event.type, event.version) for event in told] == [("OrderPlaced", 1), ("OrderAllocated", 2)]
    event, level = told[1], await shop.level("MUG")
    line = await shop.one("SELECT * FROM order_line")
    assert event.actor == "system:allocator"
    assert event.payload["was"] == {"fulfillmentStatus": "BACKORDERED"}
    assert event.payload["details"] == {"lines": [{"lineId": str(line.id), "units": 2}]}
    assert event.payload["stock"] == [[str(level.sku_id), str(level.location_id), ""]]
    assert {"orders", "stock", f"order:{order_id}", f"sku:{level.sku_id}"} <= set(event.topics)


async def test_an_order_on_hold_is_passed_over_and_takes_its_place_again(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=20)
    held = await shop.place({"MUG": 3})
    shop.clock.advance(timedelta(seconds=1))
    other = await shop.place({"MUG": 3})
    hold_id = await hold(shop, held)
    await shop.stock("MUG", 2)

    assert [row.id for row in await queries.servable(shop.reads, after=None, limit=9)] == [other]
    assert (await shop.run(orders.allocate, order_id=held))["units"] == 0
    await serve(shop)
    assert await allocated(shop, held, other) == [0, 2]

    await shop.run(orders.hold_release, order_id=held, hold_id=hold_id)
    await shop.stock("MUG", 2)
    await serve(shop)
    assert await allocated(shop, held, other) == [2, 2]


async def test_nobody_waits_behind_an_order_that_cannot_be_served(
    shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ALLOCATE_BATCH", 1)
    await shop.sku("MUG", backorder_limit=20)
    stuck = await shop.place({"MUG": 2}, priority=9)
    waiting = [await shop.place({"MUG": 2}) for _ in range(3)]
    await shop.stock("MUG", 6)
    hasty = Database(database_url, session={"lock_timeout": "20"})
    await hasty.open()
    async with shop.database.engine.begin() as other:
        await other.exec_driver_sql(f"SELECT 1 FROM orders WHERE id = '{stuck}' FOR UPDATE")
        assert await allocate_backorders(Runner(hasty, shop.clock), TimerFigures(Telemetry())) == 6
    await hasty.close()

    assert await allocated(shop, stuck, *waiting) == [0, 2, 2, 2]
    await shop.stock("MUG", 1)
    await serve(shop)
    assert await allocated(shop, stuck) == [1]


async def test_many_workers_allocate_every_unit_once_and_in_turn(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ALLOCATE_BATCH", 4)
    await shop.sku("MUG", backorder_limit=100)
    waiting = []
    for _ in range(12):
        waiting.append(await shop.place({"MUG": 3}))
        shop.clock.advance(timedelta(seconds=1))
    await shop.stock("MUG", 20)

    served = await asyncio.gather(*(serve(shop) for _ in range(4)))

    assert sum(served) == 20
    assert await allocated(shop, *waiting) == [3, 3, 3, 3, 3, 3, 2, 0, 0, 0, 0, 0]


async def test_a_preorder_is_served_from_its_release_on(shop: Shop) -> None:
    release = shop.clock.now() + timedelta(days=9)
    await shop.sku("GAME", backorder_limit=5, preorder_release_at=release)
    await shop.sku("MUG", backorder_limit=5)
    order_id = await shop.place({"GAME": 2, "MUG": 1})
    await shop.stock("GAME", 10)
    await shop.stock("MUG", 10)

    await serve(shop)
    assert await lines(shop, order_id) == [("GAME", 0, 2), ("MUG", 1, 0)]

    shop.clock.advance(timedelta(days=9))
    with pytest.raises(InsufficientStock):
        await shop.place({"GAME": 9 + 5})
    await serve(shop)
    assert await lines(shop, order_id) == [("GAME", 2, 0), ("MUG", 1, 0)]
    await shop.place({"GAME": 8})


async def test_a_bundle_that_waits_is_whole_when_its_last_part_has_come(shop: Shop) -> None:
    for sku in ("MUG", "SPOON"):
        await shop.sku(sku, backorder_limit=20)
    await shop.sku("CARD", stock_tracked=False)
    parts = [{"sku": "MUG", "units": 1}, {"sku": "SPOON", "units": 2}, {"sku": "CARD", "units": 1}]
    await shop.sku("SET", components=parts)
    await shop.stock("MUG", 1)
    order_id = await shop.place({"SET": 3, "SPOON": 1})

    await shop.stock("MUG", 2)
    await shop.stock("SPOON", 5)
    await serve(shop)
    assert await lines(shop, order_id) == [
        ("SET", 2, 1),
        ("CARD", 3, 0),
        ("MUG", 3, 0),
        ("SPOON", 5, 1),
        ("SPOON", 0, 1),
    ]

    await shop.stock("SPOON", 2)
    await serve(shop)
    assert [line[2] for line in await lines(shop, order_id)] == [0, 0, 0, 0, 0]
    assert await state(shop, order_id) == ("SCHEDULED", 3)


async def test_safety_stock_is_kept_from_those_who_wait_too(shop: Shop) -> None:
    await shop.channel(safety_stock=4)
    await shop.sku("MUG", backorder_limit=20)
    order_id = await shop.place({"MUG": 3})
    await shop.stock("MUG", 4)
    assert await serve(shop) == 0

    await shop.stock("MUG", 2)
    assert await serve(shop) == 2
    assert await allocated(shop, order_id) == [2]


async def test_stock_serves_the_channels_of_its_location_alone(shop: Shop) -> None:
    await shop.location("BERLIN", country="DE")
    berlin = [{"location": "BERLIN", "priority": 1, "safety_stock": 0}]
    await shop.channel("SHOP", locations=berlin)
    prices = [{"channel": channel, "currency": "GBP", "amount": Decimal(5)} for channel in ("WEB", "SHOP")]
    await shop.sku("MUG", backorder_limit=20, prices=prices)
    order_id = await shop.place({"MUG": 3}, channel="SHOP")
    await shop.stock("MUG", 5, at="LEEDS")

    assert await serve(shop) == 0
    await shop.place({"MUG": 5})

    await shop.stock("MUG", 3, at="BERLIN")
    assert await serve(shop) == 3
    assert await allocated(shop, order_id) == [3]


async def test_until_it_is_allocated_what_has_come_is_not_sold_to_newcomers(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=6)
    waiting = await shop.place({"MUG": 4})
    await shop.stock("MUG", 6)

    newcomer = await shop.place({"MUG": 3})
    with pytest.raises(InsufficientStock) as refused:
        await shop.place({"MUG": 2})
    with pytest.raises(InsufficientStock):
        await shop.reserve({"MUG": 1})

    assert refused.value.available == 0
    assert await allocated(shop, waiting, newcomer) == [0, 2]
    await serve(shop)
    assert await allocated(shop, waiting, newcomer) == [4, 2]


async def test_nothing_is_kept_for_those_who_cannot_have_it(shop: Shop) -> None:
    """An order on hold, and one whose channel keeps back more than there is."""
    prices = [{"channel": channel, "currency": "GBP", "amount": Decimal(5)} for channel in ("WEB", "SHOP")]
    leeds = [{"location": "LEEDS", "priority": 1, "safety_stock": 10}]
    await shop.channel("SHOP", locations=leeds)
    await shop.sku("MUG", backorder_limit=20, prices=prices)
    await hold(shop, await shop.place({"MUG": 4}))
    await shop.place({"MUG": 4}, channel="SHOP")
    await shop.stock("MUG", 10)

    await shop.reserve({"MUG": 10})
    assert await serve(shop) == 0


async def test_an_order_with_a_sku_on_several_lines_is_served_line_by_line(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=20)
    order_id = await shop.place_lines(*(LineRequest(sku="MUG", quantity=2) for _ in range(3)))
    await shop.stock("MUG", 3)

    assert await serve(shop) == 3
    assert [line[1:] for line in await lines(shop, order_id)] == [(2, 0), (1, 1), (0, 2)]


async def test_units_come_from_the_nearest_location_of_the_fewest(shop: Shop) -> None:
    await shop.location("PARIS", country="FR", latitude=48.86, longitude=2.35)
    await shop.location("LYON", country="FR", latitude=45.76, longitude=4.84)
    await shop.channel()
    await shop.sku("MUG", backorder_limit=9)
    await shop.place({"MUG": 3}, shipping_address=AddressRequest(country="FR", latitude=48.85, longitude=2.29))
    for at, units in (("LEEDS", 3), ("PARIS", 3), ("LYON", 3)):
        await shop.stock("MUG", units, at=at)

    await serve(shop)

    assert (await shop.level("MUG", "PARIS")).allocated == 3
