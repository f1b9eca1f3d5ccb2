"""The first act of every command on an order: take its lock and see what it is now."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from app.kernel.errors import NotFound
from app.kernel.work import Work
from app.orders import queries, rules
from app.orders.models import Order
from app.orders.states import FulfillmentStatus, Lifecycle, PaymentStatus

Row = dict[str, Any]


async def lock(work: Work, order_id: UUID) -> Row:
    """The order's columns, its row locked.  Raises NotFound (also for orders of others), VersionConflict."""
    statement = (
        select(*Order.__table__.c)
        .where(Order.id == order_id)
        .where(queries.visible_to(work.principal))
        .with_for_update()
    )
    row = (await work.db.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound("order", str(order_id), path=["input", "order"])
    work.expect("order", row["version"])
    return dict(row)


def allowed(order: Row) -> list[str]:
    """What may be done with the order as it is, for a refusal to tell."""
    return list(
        rules.allowed_actions(
            Lifecycle(order["lifecycle"]),
            PaymentStatus(order["payment_status"]),
            FulfillmentStatus(order["fulfillment_status"]),
            on_hold=order["is_on_hold"],
        )
    )


async def change(work: Work, before: Row, **columns: Any) -> Row:
    """Give the locked order its next version; returns its columns after."""
    statement = (
        update(Order)
        .where(Order.id == before["id"])
        .values(**columns, version=Order.version + 1, updated_at=work.now)
        .returning(*Order.__table__.c)
    )
    return dict((await work.db.execute(statement)).mappings().one())
