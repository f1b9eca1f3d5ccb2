"""Orders that wait for stock: what they claim, when they are served, and what others may buy meanwhile."""

from uuid import UUID

from app.orders import commands as orders
from app.orders.states import CancelReason, HoldReason
from tests.builders import Shop


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
