"""Confirming an order: from here on it may be fulfilled."""

from uuid import UUID

from app.kernel.errors import InvalidTransition
from app.kernel.work import Result, Work, command
from app.orders import events
from app.orders.commands.lock import Row, allowed, change, lock
from app.orders.states import EDGES, Lifecycle, OrderAction


@command(scope="orders:write")
async def confirm(work: Work, *, order_id: UUID) -> Result:
    """Release an order to fulfilment.  Raises NotFound, VersionConflict, InvalidTransition."""
    before = await lock(work, order_id)
    now_allowed = allowed(before)
    if OrderAction.CONFIRM not in now_allowed:
        raise InvalidTransition(
            f"Order {before['number']} cannot be confirmed: {_why(before)}.",
            state=before["lifecycle"],
            command=OrderAction.CONFIRM,
            allowed=now_allowed,
        )
    _, target = EDGES[OrderAction.CONFIRM]
    after = await change(work, before, lifecycle=target, confirmed_at=work.now)
    work.record(events.changed("OrderConfirmed", before=before, after=after))
    return {"orderId": order_id}


def _why(order: Row) -> str:
    if order["lifecycle"] != Lifecycle.PLACED:
        return f"it is {order['lifecycle']}, only a PLACED order can be"
    if order["is_on_hold"]:
        return "it is on hold, release its holds first"
    return f"its channel's payment policy is not met (payment is {order['payment_status']})"
