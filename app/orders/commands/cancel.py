"""Cancelling, by line and quantity; what was allocated goes back to stock in the same transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.kernel.errors import InvalidTransition, NotFound, ValidationRefused
from app.kernel.work import Result, Work, command
from app.orders import events, rules
from app.orders.commands.backorders import give_back
from app.orders.commands.lock import Row, change, lock
from app.orders.models import OrderLine
from app.orders.placing import whole_bundles
from app.orders.refusals import NothingToCancel
from app.orders.states import OPEN, CancelReason, FulfillmentStatus, Lifecycle, LineKind, OrderAction


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLine:
    """quantity  absent: all that is left to cancel on the line"""

    line_id: UUID
    quantity: int | None = None


@dataclass(slots=True)
class _Line:
    """A line's buckets while units move out of them."""

    row: Mapping[str, Any]
    cancelled: int
    backordered: int
    unallocated: int
    allocated: int
    deallocated: int = 0
    unbackordered: int = 0

    @property
    def ordered(self) -> int:
        return int(self.row["ordered"])

    @property
    def shipped(self) -> int:
        return int(self.row["shipped"])

    @property
    def delivered(self) -> int:
        return int(self.row["delivered"])

    @property
    def units_per_parent(self) -> int:
        return int(self.row["units_per_parent"])

    @property
    def cancellable(self) -> int:
        return self.backordered + self.unallocated + self.allocated

    @property
    def takes_stock(self) -> bool:
        return bool(self.row["takes_stock"])

    def cancel(self, units: int) -> None:
        """What is furthest from the customer goes first: backordered, unallocated, allocated."""
        self.cancelled += units
        self.unbackordered = min(units, self.backordered)
        self.backordered -= self.unbackordered
        units -= self.unbackordered
        waiting = min(units, self.unallocated)
        self.unallocated -= waiting
        self.deallocated = units - waiting
        self.allocated -= self.deallocated


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
    if before["lifecycle"] not in OPEN:
        raise InvalidTransition(
            f"Order {before['number']} is {before['lifecycle']}: nothing of it can be cancelled.",
            state=before["lifecycle"],
            command=OrderAction.CANCEL,
            allowed=[],
        )
    current = await _lines(work, order_id)
    wanted = _wanted(current, lines)
    if not wanted:
        raise InvalidTransition(
            f"All of order {before['number']} has shipped or is cancelled: nothing is left to cancel.",
            state=before["lifecycle"],
            command=OrderAction.CANCEL,
            allowed=[],
        )
    _apply(current, wanted)
    touched = [line for line in current.values() if line.cancelled != line.row["cancelled"]]

    stock = await _give_back(work, before, touched)
    await _store(work, touched)
    status = rules.fulfillment_status(line for line in current.values() if line.row["kind"] != LineKind.BUNDLE)
    ended = status == FulfillmentStatus.CANCELLED
    after = await change(
        work,
        before,
        fulfillment_status=status,
        lifecycle=Lifecycle.CANCELLED if ended else before["lifecycle"],
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


async def _lines(work: Work, order_id: UUID) -> dict[UUID, _Line]:
    statement = select(*OrderLine.__table__.c).where(OrderLine.order_id == order_id).order_by(OrderLine.line_no)
    rows = (await work.db.execute(statement)).mappings().all()
    return {
        row["id"]: _Line(dict(row), row["cancelled"], row["backordered"], row["unallocated"], row["allocated"])
        for row in rows
    }


def _wanted(current: Mapping[UUID, _Line], asked: Sequence[CancelLine] | None) -> dict[UUID, int]:
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
        left = line.cancellable - wanted.get(one.line_id, 0)
        units = left if one.quantity is None else one.quantity
        if not 1 <= units <= left:
            raise NothingToCancel(
                line_no=line.row["line_no"],
                sku=line.row["sku_code"],
                requested=units,
                cancellable=left,
                path=[*path, "quantity"],
            )
        wanted[one.line_id] = wanted.get(one.line_id, 0) + units
    return wanted


def _apply(current: Mapping[UUID, _Line], wanted: Mapping[UUID, int]) -> None:
    components: dict[UUID, list[_Line]] = {}
    for line in current.values():
        if line.row["parent_id"] is not None:
            components.setdefault(line.row["parent_id"], []).append(line)
    for line_id, units in wanted.items():
        line = current[line_id]
        parts = components.get(line_id, [])
        for part in parts:
            part.cancel(units * part.units_per_parent)
        line.cancel(units)
        if line.row["kind"] == LineKind.BUNDLE:
            left = line.ordered - line.cancelled - line.shipped
            line.allocated = whole_bundles(left, parts)
            line.backordered = left - line.allocated


async def _give_back(work: Work, order: Row, touched: Sequence[_Line]) -> list[events.StockKey]:
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


async def _store(work: Work, touched: Sequence[_Line]) -> None:
    await work.db.execute(
        update(OrderLine.__table__)  # type: ignore[arg-type]
        .where(OrderLine.id == bindparam("line_id"))
        .values(
            cancelled=bindparam("cancelled"),
            backordered=bindparam("backordered"),
            unallocated=bindparam("unallocated"),
            allocated=bindparam("allocated"),
        ),
        [
            {
                "line_id": line.row["id"],
                "cancelled": line.cancelled,
                "backordered": line.backordered,
                "unallocated": line.unallocated,
                "allocated": line.allocated,
            }
            for line in touched
        ],
    )
