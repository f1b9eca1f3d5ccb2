"""Cancelling, by line and quantity; what was allocated goes back to stock in the same transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.kernel.errors import InvalidTransition, NotFound, ValidationRefused
from app.kernel.work import Result, Work, command
from app.orders import events, rules
from app.orders.commands.backorders import give_back
from app.orders.commands.lines import Line, Lines, components_of, read_lines, settle_bundle, store
from app.orders.commands.lock import Row, allowed, change, lock
from app.orders.refusals import NothingToCancel
from app.orders.states import EDGES, CancelReason, FulfillmentStatus, OrderAction


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLine:
    """quantity  absent: all that is left to cancel on the line"""

    line_id: UUID
    quantity: int | None = None


@command(scope="orders:write")
async def cancel(
    work: Work,
    *,
    order_id: UUID,
    reason: CancelReason,
    lines: Sequence[CancelLine] | None = None,
) -> Result:
    """Cancel lines by quantity, or all that has not shipped. With nothing left, the order is CANCELLED.

    Components follow their bundle.  Raises NotFound, VersionConflict, InvalidTransition, NothingToCancel.
    Locks: the order, then balances by (sku, location, owner), then backorder levels and claims.
    """
    before = await lock(work, order_id)
    sources, target = EDGES[OrderAction.CANCEL]
    if before["lifecycle"] not in sources:
        raise InvalidTransition(
            f"Order {before['number']} is {before['lifecycle']}: nothing of it can be cancelled.",
            state=before["lifecycle"],
            command=OrderAction.CANCEL,
            allowed=allowed(before),
        )
    if lines is not None and not lines:
        raise ValidationRefused("No line is named: leave `lines` out to cancel everything.", path=["input", "lines"])
    current = await read_lines(work, order_id)
    wanted = _wanted(current, lines)
    if not wanted:
        raise InvalidTransition(
            f"All of order {before['number']} has shipped or is cancelled: nothing is left to cancel.",
            state=before["lifecycle"],
            command=OrderAction.CANCEL,
            allowed=allowed(before),
        )
    _apply(current, wanted)
    touched = [line for line in current.values() if line.is_touched()]

    stock = await _give_back(work, before, touched)
    await store(work, touched)
    status = rules.fulfillment_status(line for line in current.values() if not line.is_bundle)
    ended = status == FulfillmentStatus.CANCELLED
    after = await change(
        work,
        before,
        fulfillment_status=status,
        lifecycle=target if ended else before["lifecycle"],
        cancelled_at=work.now if ended else None,
    )
    details = {
        "reason": reason,
        "lines": [{"lineId": str(line_id), "units": units} for line_id, units in wanted.items()],
    }
    name = "OrderCancelled" if ended else "OrderLinesCancelled"
    skus = [line.row["sku_id"] for line in touched if line.takes_stock and line.unbackordered]
    work.record(events.changed(name, before=before, after=after, stock=stock, skus=skus, details=details))
    return {"orderId": order_id}


def _wanted(current: Lines, asked: Sequence[CancelLine] | None) -> dict[UUID, int]:
    """Units to cancel by line; all of every line where none is named.

    Raises NotFound, NothingToCancel, ValidationRefused.
    """
    if asked is None:
        return {
            line_id: line.cancellable
            for line_id, line in current.items()
            if line.cancellable and line.row["parent_id"] is None
        }
    wanted: dict[UUID, int] = {}
    for i, one in enumerate(asked):
        path = ["input", "lines", str(i)]
        line = current.get(one.line_id)
        if line is None:
            raise NotFound("line of this order", str(one.line_id), path=path)
        if line.row["parent_id"] is not None:
            raise ValidationRefused(
                f"Line {line.row['line_no']} ({line.row['sku_code']}) is part of a bundle: cancel the bundle's line.",
                path=path,
            )
        if one.quantity is not None and one.quantity < 1:
            raise ValidationRefused(
                f"{one.quantity} units cannot be cancelled: give 1 or more, or none for all that are left.",
                path=[*path, "quantity"],
            )
        left = line.cancellable - wanted.get(one.line_id, 0)
        units = left if one.quantity is None else one.quantity
        if units > left or not units:
            raise NothingToCancel(
                line_no=line.row["line_no"],
                sku=line.row["sku_code"],
                requested=units,
                cancellable=left,
                path=[*path, "quantity"],
            )
        wanted[one.line_id] = wanted.get(one.line_id, 0) + units
    return wanted


def _apply(current: Lines, wanted: Mapping[UUID, int]) -> None:
    components = components_of(current)
    for line_id, units in wanted.items():
        line, parts = current[line_id], components.get(line_id, [])
        for part in parts:
            part.cancel(units * part.units_per_parent)
        line.cancel(units)
        if line.is_bundle:
            settle_bundle(line, parts)


async def _give_back(work: Work, order: Row, touched: Sequence[Line]) -> list[events.StockKey]:
    """Return allocated units to stock and backordered ones to the limit; tells which balances changed."""
    stock: list[events.StockKey] = []
    released = {line.row["id"]: line.deallocated for line in touched if line.takes_stock and line.deallocated}
    if released:
        rows = await work.db.execute(
            _DEALLOCATE,
            {
                "now": work.now,
                "actor": work.principal.id,
                "order": order["id"],
                "lines": list(released),
                "units": list(released.values()),
            },
        )
        stock = [(row.sku_id, row.location_id, row.owner) for row in rows]
    owed: Counter[UUID] = Counter()
    for line in touched:
        if line.takes_stock and line.unbackordered:
            owed[line.row["sku_id"]] += line.unbackordered
    if owed:
        await give_back(work, order, owed)
    return stock


_DEALLOCATE = text(
    "SELECT sku_id, location_id, owner FROM inventory_deallocate(:now, :actor, :order, :lines, :units)"
).bindparams(
    bindparam("actor", type_=Text),
    bindparam("order", type_=Uuid),
    bindparam("lines", type_=ARRAY(Uuid)),
    bindparam("units", type_=ARRAY(Integer)),
)
