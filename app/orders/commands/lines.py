"""An order's lines while units move between their buckets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.kernel.rows import update_rows
from app.kernel.work import Work
from app.orders.allocating import whole_bundles
from app.orders.models import OrderLine
from app.orders.states import LineKind


@dataclass(slots=True)
class Line:
    """A line's buckets; deallocated and unbackordered tell what `cancel` took out of two of them."""

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

    @property
    def is_bundle(self) -> bool:
        return bool(self.row["kind"] == LineKind.BUNDLE)

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

    def allocate(self, units: int) -> None:
        """Units that waited for stock have got it."""
        self.backordered -= units
        self.allocated += units

    def is_touched(self) -> bool:
        buckets = (self.cancelled, self.backordered, self.unallocated, self.allocated)
        return buckets != tuple(self.row[name] for name in ("cancelled", "backordered", "unallocated", "allocated"))


Lines = Mapping[UUID, Line]


async def read_lines(work: Work, order_id: UUID) -> Lines:
    """All lines of an order whose lock the caller holds, by number."""
    statement = select(*OrderLine.__table__.c).where(OrderLine.order_id == order_id).order_by(OrderLine.line_no)
    rows = (await work.db.execute(statement)).mappings().all()
    return {
        row["id"]: Line(dict(row), row["cancelled"], row["backordered"], row["unallocated"], row["allocated"])
        for row in rows
    }


def components_of(lines: Lines) -> Mapping[UUID, Sequence[Line]]:
    """The components of each bundle's line."""
    components: dict[UUID, list[Line]] = {}
    for line in lines.values():
        if line.row["parent_id"] is not None:
            components.setdefault(line.row["parent_id"], []).append(line)
    return components


def settle_bundle(bundle: Line, components: Sequence[Line]) -> None:
    """A bundle's buckets follow from those of its components."""
    left = bundle.ordered - bundle.cancelled - bundle.shipped
    bundle.allocated = whole_bundles(left, components)
    bundle.backordered = left - bundle.allocated


async def store(work: Work, touched: Iterable[Line]) -> None:
    buckets = [
        {
            "id": line.row["id"],
            "cancelled": line.cancelled,
            "backordered": line.backordered,
            "unallocated": line.unallocated,
            "allocated": line.allocated,
        }
        for line in touched
    ]
    await update_rows(work.db, OrderLine.__table__, buckets)  # type: ignore[arg-type]
