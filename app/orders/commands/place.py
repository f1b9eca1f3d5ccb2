"""Placing an order: one read, one decision, one SQL call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.inventory.refusals import BackorderLimit, StockTaken
from app.kernel.errors import Forbidden
from app.kernel.ids import uuid7
from app.kernel.principal import Principal
from app.kernel.work import Result, Work, one_call
from app.orders import events, placing
from app.orders.cleaning import cleaned
from app.orders.placing import Buyer, Placement, World
from app.orders.refusals import ExternalRefTaken
from app.orders.requests import AddressRequest, OrderRequest
from app.sourcing import promise
from app.sourcing.promise import Facts

WORLD = "SELECT orders_place_facts_all($1, $2, $3, $4, $5, $6)"


@one_call(scope="orders:place")
async def place(work: Work, *, order: OrderRequest) -> Result:
    """Place an order: its units are allocated or backordered when this returns, and only then is it an order.

    Returns {orderId, number}.  Raises what `placing.plan` raises, and on the way in: StockTaken and BackorderLimit
    (tried again on fresh figures), ReservationClosed, ExternalRefTaken.
    """
    _judge(work, order)
    order = cleaned(order)
    world = await _world(work, order)
    try:
        return await _write(work, placing.plan(order, world, work.now, uuid7))
    except StockTaken as taken:
        raise taken.named(world.facts.sku_codes(), world.facts.location_codes()) from taken
    except BackorderLimit as reached:
        raise reached.named(world.facts.sku_codes()) from reached
    except ExternalRefTaken as taken:
        if work.principal.may("orders:read"):
            raise
        raise ExternalRefTaken(external_ref=taken.external_ref, number=None) from None


def _judge(work: Work, order: OrderRequest) -> None:
    """Rights that depend on what the order says.  Raises Forbidden."""
    if order.is_priced and not work.principal.may("orders:price"):
        raise Forbidden("orders:price")
    if order.placed_at is not None and not work.principal.may("orders:backdate"):
        raise Forbidden("orders:backdate")


@dataclass(frozen=True, slots=True)
class _Told:
    """What was read for this order and those that were asked for with it: only its own is looked up.

    facts  None where there is no such channel
    """

    facts: Facts | None
    reservations: Mapping[str, Any]
    customers: Mapping[str, Any]
    existing: Mapping[str, str]

    @classmethod
    def read(cls, raw: Mapping[str, Any] | None) -> "_Told":
        if raw is None:
            return cls(None, {}, {}, {})
        facts = Facts.read(raw["sourcing"])
        return cls(facts, raw["reservations"] or {}, raw["customers"] or {}, raw["existing"] or {})


async def _world(work: Work, order: OrderRequest) -> World:
    """What the decision is made from, in one read.  Raises NotFound for the channel."""
    customer, token, external_ref = order.customer, order.reservation_token, order.external_ref
    told = await work.read(
        WORLD,
        [order.channel, order.currency],
        [
            [line.sku for line in order.lines],
            [customer] if customer is not None else [],
            [token] if token is not None else [],
            [external_ref] if external_ref is not None else [],
        ],
        _Told.read,
    )
    return World(
        promise.usable(work.principal, told.facts, order.channel),
        told.reservations.get(token) if token is not None else None,
        _buyer(work.principal, told.customers.get(customer) if customer is not None else None),
        told.existing.get(external_ref) if external_ref is not None else None,
    )


def _buyer(principal: Principal, found: Mapping[str, Any] | None) -> Buyer | None:
    """Whose order it is, as far as the caller may know. Keys bound to a channel see no customers.

    Whoever may not read customers would read their addresses in the order.
    """
    if found is None or principal.channel_id is not None:
        return None
    addresses = found["addresses"] if principal.may("customers:read") else {}
    return Buyer(
        found["id"],
        found["active"],
        found["name"],
        found["companyName"],
        *(AddressRequest(**addresses[kind]) if kind in addresses else None for kind in ("SHIPPING", "BILLING")),
    )


async def _write(work: Work, placement: Placement) -> Result:
    order = placement.order
    order_id = placement.order_id
    taken = [a.taken for a in placement.allocations]
    backordered = [line for line in placement.lines if line.takes_stock and line.backordered]
    stock: list[events.StockKey] = [(one.sku, one.location, one.owner) for one in taken]
    reservations = []
    if placement.reservation is not None:
        reservations.append(placement.reservation["id"])
        stock += [(sku, location, owner) for sku, location, owner, _ in placement.reservation["lines"]]
    heard = events.topics(
        order_id,
        order["channel_id"],
        order["customer_id"],
        [*(sku for sku, _, _ in stock), *(line.sku["id"] for line in backordered)],
    )
    return await work.call(
        "orders_place_all",
        [order_id],
        [order],
        [" ".join(heard)],
        [events.payload(events.facts({**order, **_PLACED, "updated_at": work.now}), {}, stock)],
        [_line_row(order_id, line) for line in placement.lines],
        _rows_of(order_id, placement.taxes),
        _rows_of(order_id, placement.discounts),
        _rows_of(order_id, placement.addresses),
        [uuid7() for _ in taken],
        [order_id] * len(taken),
        [a.line_id for a in placement.allocations],
        [one.sku for one in taken],
        [one.location for one in taken],
        [one.owner for one in taken],
        [one.units for one in taken],
        [one.floor for one in taken],
        reservations,
        [order_id] * len(reservations),
        [order["channel_id"]] * len(backordered),
        [line.sku["id"] for line in backordered],
        [line.backordered for line in backordered],
        [line.sku["backorderLimit"] for line in backordered],
    )


def _rows_of(order_id: UUID, rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Rows that say whose they are; None for none."""
    return [{"order_id": order_id, **row} for row in rows] or None


_PLACED: dict[str, Any] = {"number": None, "lifecycle": "PLACED", "return_status": "NONE", "is_on_hold": False}


def _line_row(order_id: UUID, line: placing.Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "order_id": order_id,
        "line_no": line.line_no,
        "kind": line.kind,
        "parent_id": line.parent.id if line.parent else None,
        "units_per_parent": line.units_per_parent,
        "sku_id": line.sku["id"],
        "sku_code": line.sku["code"],
        "name": line.sku["name"],
        "takes_stock": line.takes_stock,
        "unit_price": str(line.unit_price),
        "gross_minor": line.money.gross_minor,
        "discount_minor": line.money.discount_minor,
        "tax_minor": line.money.tax_minor,
        "total_minor": line.money.total_minor,
        "ordered": line.ordered,
        "backordered": line.backordered,
        "allocated": line.allocated,
    }


def order_id(result: Result) -> UUID:
    return UUID(result["orderId"])
