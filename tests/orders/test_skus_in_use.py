"""A SKU that has units, or for which orders wait, stays what it is; also when stock and catalog change at once."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

import app.catalog.commands as catalog
from app.catalog.refusals import SkuInUse
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta, Shift
from app.inventory.states import AdjustmentReason, StockState
from app.kernel.errors import ValidationRefused
from app.orders import commands as orders
from app.orders.states import CancelReason, HoldReason
from tests.builders import Shop

SERVICE: dict[str, Any] = {"stock_tracked": False}
WAITING = """
SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
ARRIVED = """
INSERT INTO stock_movement (sku_id, location_id, owner, type, d_on_hand, cause_id, actor, occurred_at)
SELECT sku_id, location_id, owner, 'ADJUST', 4, sku_id, 'test', now() FROM stock_level
"""
BUNDLE: dict[str, Any] = {"components": [{"sku": "CUP", "units": 1}]}


async def turn(shop: Shop, code: str, **into: Any) -> None:
    await shop.run(catalog.upsert_sku, sku={"code": code, **into})


async def version(shop: Shop, code: str) -> int:
    return int((await shop.one("SELECT version FROM sku WHERE code = :code", code=code)).version)


@pytest.mark.parametrize(("into", "field"), [(SERVICE, "stockTracked"), (BUNDLE, "components")])
async def test_units_in_stock_are_not_stranded(shop: Shop, into: dict[str, Any], field: str) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 2, owner="ACME")
    before = await version(shop, "MUG")

    with pytest.raises(SkuInUse, match="'MUG' has units in stock: adjust them to none") as refused:
        await turn(shop, "MUG", **into)

    assert (refused.value.has_stock, refused.value.is_awaited) == (True, False)
    assert refused.value.path == ["input", field]
    assert await version(shop, "MUG") == before


@pytest.mark.parametrize("into", [SERVICE, BUNDLE])
async def test_an_order_does_not_wait_for_what_never_comes(shop: Shop, into: dict[str, Any]) -> None:
    await shop.sku("MUG", backorder_limit=5)
    await shop.sku("CUP")
    waiting = await shop.place({"MUG": 1})
    await shop.run(orders.hold, order_id=waiting, reason=HoldReason.MANUAL)  # it waits on hold too

    with pytest.raises(SkuInUse, match="is waited for by orders") as refused:
        await turn(shop, "MUG", **into)
    assert (refused.value.has_stock, refused.value.is_awaited) == (False, True)

    await shop.run(orders.cancel, order_id=waiting, reason=CancelReason.STOCK)
    await turn(shop, "MUG", **into)


async def test_what_is_damaged_or_promised_is_in_stock_too(shop: Shop) -> None:
    for code in ("MUG", "JAR"):
        await shop.sku(code)
        await shop.stock(code, 1)
    shift = Shift(sku="MUG", location="LEEDS", units=1, from_state=StockState.AVAILABLE, to_state=StockState.DAMAGED)
    await shop.run(inventory.move, changes=[shift], reason=AdjustmentReason.OTHER)
    await shop.place({"JAR": 1})

    for code in ("MUG", "JAR"):
        with pytest.raises(SkuInUse):
            await turn(shop, code, **SERVICE)


async def test_a_batch_tells_of_every_sku_that_is_in_use_and_changes_none(shop: Shop) -> None:
    for code in ("MUG", "CUP", "JAR"):
        await shop.sku(code)
    await shop.stock("MUG", 1)
    await shop.stock("JAR", 1)

    with pytest.raises(SkuInUse) as refused:
        await shop.run(catalog.upsert_skus, skus=[{"code": code, **SERVICE} for code in ("MUG", "CUP", "JAR")])

    told = [refused.value, *refused.value.also]
    assert [each.path for each in told] == [["input", place, "sku", "stockTracked"] for place in ("0", "2")]
    assert await shop.rows("SELECT 1 FROM sku WHERE NOT stock_tracked") == []


async def test_what_nobody_uses_may_become_anything_and_goods_again(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=5)
    await shop.sku("CUP")
    await shop.stock("MUG", 3)
    await shop.stock("MUG", -3)  # the balance stays, empty

    for into in (SERVICE, {"stock_tracked": True}, BUNDLE, {"components": []}):
        await turn(shop, "MUG", **into)
    await shop.stock("MUG", 3)
    await turn(shop, "MUG", name="Mug with stock")


@asynccontextmanager
async def waiting_for(
    shop: Shop, db: AsyncConnection, act: Coroutine[Any, Any, Any]
) -> AsyncIterator["asyncio.Task[Any]"]:
    """What is done while a transaction of another is open, from when it waits; that one commits when the block ends."""
    task = asyncio.create_task(act)
    async with asyncio.timeout(5):
        while not await shop.rows(WAITING):
            assert not task.done(), "it did not wait"
            await asyncio.sleep(0.01)
    yield task
    await db.commit()


async def test_stock_that_is_being_written_is_waited_for_and_seen(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    await shop.stock("MUG", -1)
    async with shop.database.engine.connect() as db:
        await db.execute(text(ARRIVED))
        await db.execute(text("UPDATE stock_level SET on_hand = 4"))

        async with waiting_for(shop, db, turn(shop, "MUG", **SERVICE)) as turning:
            pass

    with pytest.raises(SkuInUse):
        await turning


async def turned_uncommitted(db: AsyncConnection, code: str) -> None:
    """As the command does it, without its end."""
    sku = await db.scalar(text("UPDATE sku SET stock_tracked = false WHERE code = :code RETURNING id"), {"code": code})
    in_use = text("SELECT sku FROM inventory_skus_in_use(ARRAY[CAST(:sku AS uuid)])")
    assert (await db.execute(in_use, {"sku": sku})).all() == []


async def test_stock_that_comes_while_its_sku_becomes_a_service_is_refused(shop: Shop) -> None:
    await shop.sku("MUG")
    async with shop.database.engine.connect() as db:
        await turned_uncommitted(db, "MUG")
        changes = [Delta(sku="MUG", location="LEEDS", units=4)]
        act = shop.run(inventory.adjust, changes=changes, reason=AdjustmentReason.RECEIVED)

        async with waiting_for(shop, db, act) as adjusting:
            pass

    with pytest.raises(ValidationRefused, match="MUG has no stock of its own"):
        await adjusting
    assert await shop.rows("SELECT 1 FROM stock_movement") == []


async def test_an_order_placed_while_its_sku_becomes_a_service_waits_for_nothing(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=5)
    async with shop.database.engine.connect() as db:
        await turned_uncommitted(db, "MUG")

        async with waiting_for(shop, db, shop.place({"MUG": 2})) as placing:
            pass

    await placing
    line = await shop.one("SELECT kind, takes_stock, allocated, backordered FROM order_line")
    assert tuple(line) == ("SERVICE", False, 2, 0)
    assert await shop.rows("SELECT 1 FROM backorder_level WHERE units > 0") == []
