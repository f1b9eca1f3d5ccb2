"""Holding an order, and letting it go on."""

from uuid import UUID

from sqlalchemy import func, insert, select, update

from app.kernel.errors import InvalidTransition, NotFound
from app.kernel.ids import uuid7
from app.kernel.work import Result, Work, command
from app.orders import cleaning, events
from app.orders.commands.backorders import claim, waiting_units
from app.orders.commands.lock import Row, allowed, change, lock
from app.orders.models import OrderHold
from app.orders.states import OPEN, HoldReason, OrderAction


@command(scope="orders:write")
async def hold(work: Work, *, order_id: UUID, reason: HoldReason, note: str | None = None) -> Result:
    """Stop an order from going on until the hold is released; meanwhile it has no claim on stock that arrives.

    Raises NotFound, VersionConflict, InvalidTransition.
    """
    before = await lock(work, order_id)
    if before["lifecycle"] not in OPEN:
        raise InvalidTransition(
            f"Order {before['number']} is {before['lifecycle']}: only an open order can be held.",
            state=before["lifecycle"],
            command=OrderAction.HOLD,
            allowed=allowed(before),
        )
    hold_id = uuid7()
    await work.db.execute(
        insert(OrderHold).values(
            id=hold_id,
            order_id=order_id,
            reason=reason,
            note=cleaning.note(note),
            placed_by=work.principal.id,
            placed_at=work.now,
        )
    )
    waiting = await waiting_units(work, order_id)
    await claim(work, before, {sku: -units for sku, units in waiting.items()})
    after = await change(work, before, is_on_hold=True)
    details = {"holdId": str(hold_id), "reason": reason}
    work.record(events.changed("OrderHeld", before=before, after=after, skus=waiting, details=details))
    return {"orderId": order_id, "holdId": hold_id}


@command(scope="orders:write")
async def hold_release(work: Work, *, order_id: UUID, hold_id: UUID, note: str | None = None) -> Result:
    """Release one hold; once none is open the order goes on, and takes its place again among those that wait for stock.

    Raises NotFound, VersionConflict, InvalidTransition.
    """
    before = await lock(work, order_id)
    released = await work.db.execute(
        update(OrderHold)
        .where(OrderHold.id == hold_id, OrderHold.order_id == order_id, OrderHold.released_at.is_(None))
        .values(released_by=work.principal.id, released_at=work.now, release_note=cleaning.note(note))
        .returning(OrderHold.reason)
    )
    reason = released.scalar_one_or_none()
    if reason is None:
        await _refuse_release(work, before, hold_id)
    still_open = select(func.count()).where(OrderHold.order_id == order_id, OrderHold.released_at.is_(None))
    on_hold = bool((await work.db.execute(still_open)).scalar_one())
    after = await change(work, before, is_on_hold=on_hold)
    waiting = await waiting_units(work, order_id)
    await claim(work, after, waiting)
    details = {"holdId": str(hold_id), "reason": reason}
    work.record(events.changed("OrderHoldReleased", before=before, after=after, skus=waiting, details=details))
    return {"orderId": order_id, "holdId": hold_id}


async def _refuse_release(work: Work, order: Row, hold_id: UUID) -> None:
    known = select(OrderHold.id).where(OrderHold.id == hold_id, OrderHold.order_id == order["id"])
    if (await work.db.execute(known)).first() is None:
        raise NotFound("hold", str(hold_id), path=["input", "hold"])
    raise InvalidTransition(
        "This hold was released before: nothing to do.",
        state=order["lifecycle"],
        command=OrderAction.HOLD_RELEASE,
        allowed=allowed(order),
    )
