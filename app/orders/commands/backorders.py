"""What an order waits for, as stock knows it: units against the SKU's limit, and a claim on what arrives."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.kernel.work import Work
from app.orders.commands.lock import Row
from app.orders.models import OrderLine


async def waiting_units(work: Work, order_id: UUID) -> dict[UUID, int]:
    """Units of the order that wait for stock, by SKU."""
    statement = (
        select(OrderLine.sku_id, func.sum(OrderLine.backordered).label("units"))
        .where(OrderLine.order_id == order_id, OrderLine.takes_stock, OrderLine.backordered > 0)
        .group_by(OrderLine.sku_id)
    )
    return {row.sku_id: row.units for row in await work.db.execute(statement)}


async def give_back(work: Work, order: Row, units: Mapping[UUID, int]) -> None:
    """Take units that wait no more, by SKU, off the SKUs' limits and off the order's claims.

    Locks: backorder levels, then claims, by SKU; after the balances of the same transaction.
    """
    less = {sku: -each for sku, each in units.items()}
    await work.db.execute(_BACKORDER, {"skus": list(less), "units": list(less.values()), "limits": [0] * len(less)})
    await claim(work, order, less)


async def claim(work: Work, order: Row, units: Mapping[UUID, int]) -> None:
    """Change what the order's channel claims of stock that arrives, by SKU. An order on hold claims nothing."""
    if units and not order["is_on_hold"]:
        given = {"channel": order["channel_id"], "skus": list(units), "units": list(units.values())}
        await work.db.execute(_CLAIM, given)


_BACKORDER = select(
    func.inventory_backorder(
        bindparam("skus", type_=ARRAY(Uuid)),
        bindparam("units", type_=ARRAY(Integer)),
        bindparam("limits", type_=ARRAY(Integer)),
    )
)
_CLAIM = select(
    func.inventory_claim(
        bindparam("channel", type_=Uuid),
        bindparam("skus", type_=ARRAY(Uuid)),
        bindparam("units", type_=ARRAY(Integer)),
    )
)
