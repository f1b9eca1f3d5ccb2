"""Confirming an order: from here on it may be fulfilled."""

from uuid import UUID

from app.kernel.errors import InvalidTransition
from app.kernel.work import Result, Work, command
from app.orders import events, rules
from app.orders.commands.lock import change, lock
from app.orders.states import EDGES, FulfillmentStatus, Lifecycle, OrderAction, PaymentStatus


@command(scope="orders:write")
async def confirm(work: Work, *, order_id: UUID) -> Result:
    """Release an order to fulfilment.  Raises NotFound, VersionConflict, InvalidTransition."""
    before = await lock(work, order_id)
    lifecycle, payment = Lifecycle(before["lifecycle"]), PaymentStatus(before["payment_status"])
    fulfillment = FulfillmentStatus(before["fulfillment_status"])
    allowed = rules.allowed_actions(lifecycle, payment, fulfillment, on_hold=before["is_on_hold"])
    if OrderAction.CONFIRM not in allowed:
        raise InvalidTransition(
            f"Order {before['number']} cannot be confirmed: {_why(lifecycle, payment, before['is_on_hold'])}.",
            state=lifecycle,
            command=OrderAction.CONFIRM,
            allowed=list(allowed),
        )
    _, target = EDGES[OrderAction.CONFIRM]
    after = await change(work, before, lifecycle=target, confirmed_at=work.now)
    work.record(events.changed("OrderConfirmed", before=before, after=after))
    return {"orderId": order_id}


def _why(lifecycle: Lifecycle, payment: PaymentStatus, on_hold: bool) -> str:
    if lifecycle != Lifecycle.PLACED:
        return f"it is {lifecycle}, only a PLACED order can be"
    if on_hold:
        return "it is on hold, release its holds first"
    return f"its channel's payment policy is not met (payment is {payment})"
