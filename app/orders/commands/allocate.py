"""Serving an order that waits: what stock has come is allocated to it, by itself."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from app.kernel.ids import uuid7
from app.kernel.work import Result, Work, command
from app.orders import allocating, events, rules
from app.orders.allocating import Allocated, Wanted
from app.orders.commands.backorders import give_back
from app.orders.commands.lines import Lines, components_of, read_lines, settle_bundle, store
from app.orders.commands.lock import Row, change, lock
from app.orders.models import OrderAddress
from app.orders.states import OPEN
from app.sourcing import queries as sourcing
from app.sourcing.rules import Destination

_PIN = "SELECT inventory_allocate_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '{}', '{}')"


@command(scope="orders:write")
async def allocate(work: Work, *, order_id: UUID) -> Result:
    """Give an order what there is of the units it waits for; the rest goes on waiting.

    Nothing happens where nothing can be had, where the order is on hold or not open: safe to repeat, and to run from
    several sides at once. Returns {orderId, units}.  Raises NotFound, StockTaken (tried again on fresh figures).
    Locks: the order, then balances by (sku, location, owner), then backorder levels and claims.
    """
    before = await lock(work, order_id)
    if before["lifecycle"] not in OPEN or before["is_on_hold"]:
        return _served(order_id, 0)
    lines = await read_lines(work, order_id)
    allocations = await _decide(work, before, lines)
    if not allocations:
        return _served(order_id, 0)

    await _pin(work, order_id, allocations)
    units = allocating.units_by_line(allocations)
    await give_back(work, before, _by_sku(lines, units))
    _move(lines, units)
    await store(work, [line for line in lines.values() if line.is_touched()])
    status = rules.fulfillment_status(line for line in lines.values() if not line.is_bundle)
    after = await change(work, before, fulfillment_status=status)
    work.record(
        events.changed(
            "OrderAllocated",
            before=before,
            after=after,
            stock=[(each.taken.sku, each.taken.location, each.taken.owner) for each in allocations],
            details={"lines": [{"lineId": str(line_id), "units": got} for line_id, got in units.items()]},
        )
    )
    return _served(order_id, sum(units.values()))


def _served(order_id: UUID, units: int) -> Result:
    return {"orderId": order_id, "units": units}


async def _decide(work: Work, order: Row, lines: Lines) -> list[Allocated]:
    waiting = [line for line in lines.values() if line.takes_stock and line.backordered]
    if not waiting:
        return []
    wanted = [Wanted(line.row["id"], str(line.row["sku_id"]), line.backordered) for line in waiting]
    codes = list(dict.fromkeys(line.row["sku_code"] for line in waiting))
    facts = await sourcing.facts_for_claims(work.reads, channel_id=order["channel_id"], codes=codes)
    return allocating.serve_waiting(wanted, facts, await _destination(work, order["id"]), work.now)


async def _destination(work: Work, order_id: UUID) -> Destination | None:
    statement = select(OrderAddress.country, OrderAddress.latitude, OrderAddress.longitude).where(
        OrderAddress.order_id == order_id, OrderAddress.kind == "SHIPPING"
    )
    address = (await work.db.execute(statement)).one_or_none()
    return Destination(*address) if address is not None else None


async def _pin(work: Work, order_id: UUID, allocations: Sequence[Allocated]) -> None:
    """Raises StockTaken where others were faster."""
    taken = [each.taken for each in allocations]
    await work.reads.value(
        _PIN,
        [order_id],
        [work.now],
        [work.principal.id],
        [uuid7() for _ in taken],
        [order_id] * len(taken),
        [each.line_id for each in allocations],
        [each.sku for each in taken],
        [each.location for each in taken],
        [each.owner for each in taken],
        [each.units for each in taken],
        [each.floor for each in taken],
    )


def _by_sku(lines: Lines, units: Mapping[UUID, int]) -> dict[UUID, int]:
    by_sku: dict[UUID, int] = {}
    for line_id, got in units.items():
        sku = lines[line_id].row["sku_id"]
        by_sku[sku] = by_sku.get(sku, 0) + got
    return by_sku


def _move(lines: Lines, units: Mapping[UUID, int]) -> None:
    for line_id, got in units.items():
        lines[line_id].allocate(got)
    for bundle_id, components in components_of(lines).items():
        if any(component.is_touched() for component in components):
            settle_bundle(lines[bundle_id], components)
