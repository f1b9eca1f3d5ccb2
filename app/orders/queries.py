"""What is true now of orders. Every read goes through `visible_to`, also that of a node, a loader or an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    Text,
    Uuid,
    and_,
    bindparam,
    column,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.kernel import search
from app.kernel.db import Reads
from app.kernel.filters import any_of, bind, same_as_any
from app.kernel.pagination import Listing, OrderTerm
from app.kernel.prepared import Prepared
from app.kernel.principal import Kind, Principal
from app.network.queries import id_of_code
from app.orders.models import Order, OrderAddress, OrderDiscount, OrderHold, OrderLine, TaxLine
from app.orders.states import OPEN

OrderRow = Row[Any]


def visible_to(principal: Principal) -> ColumnElement[bool]:
    """The row rule: a customer sees own orders, a key bound to a channel that channel's, a shop's visitor none."""
    if principal.kind is Kind.CUSTOMER:
        return Order.customer_id == principal.customer_id if principal.customer_id is not None else false()
    if principal.kind in (Kind.STOREFRONT, Kind.ANONYMOUS):
        return false()
    return Order.channel_id == principal.channel_id if principal.channel_id is not None else true()


def may_see(principal: Principal, channel_id: str | None, customer_id: str | None) -> bool:
    """The same rule for an event, from the facts it carries."""
    if principal.kind is Kind.CUSTOMER:
        return principal.customer_id is not None and customer_id == str(principal.customer_id)
    if principal.kind in (Kind.STOREFRONT, Kind.ANONYMOUS):
        return False
    return principal.channel_id is None or channel_id == str(principal.channel_id)


_COLUMNS = [column for column in Order.__table__.c if column.name != "search"]
ALL = select(*_COLUMNS)

# Fields that `where` may name, for lists and for live events alike.
FIELDS: Mapping[str, ColumnElement[Any]] = {
    "id": Order.id.expression,
    "number": Order.number.expression,
    "external_ref": Order.external_ref.expression,
    "channel_id": Order.channel_id.expression,
    "customer_id": Order.customer_id.expression,
    "lifecycle": Order.lifecycle.expression,
    "fulfillment_status": Order.fulfillment_status.expression,
    "payment_status": Order.payment_status.expression,
    "return_status": Order.return_status.expression,
    "is_on_hold": Order.is_on_hold.expression,
    "priority": Order.priority.expression,
    "currency": Order.currency.expression,
    "total_minor": Order.total_minor.expression,
    "destination_country": Order.destination_country.expression,
    "placed_at": Order.placed_at.expression,
    "updated_at": Order.updated_at.expression,
}

ORDERS = Listing(
    name="orders",
    select=ALL,
    key=Order.id.expression,
    columns=FIELDS,
    orders={
        "PLACED_AT": [OrderTerm(Order.placed_at.expression)],
        "NUMBER": [OrderTerm(Order.number.expression)],
        "UPDATED_AT": [OrderTerm(Order.updated_at.expression)],
        "TOTAL": [OrderTerm(Order.total_minor.expression)],
    },
    visible=visible_to,
    search=lambda text: search.found(Order.search.expression, text),
)


_BY_ID = Prepared(lambda sees: ALL.where(any_of(Order.id.expression, "ids")).where(visible_to(sees)))
_ANY_BY_ID = Prepared(lambda _: ALL.where(any_of(Order.id.expression, "ids")))
_BY_NUMBER = Prepared(lambda sees: ALL.where(any_of(Order.number.expression, "numbers")).where(visible_to(sees)))


async def orders_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, OrderRow]:
    own = frozenset(ids)
    return {row.id: row for row in await _BY_ID.together(reads, "ids", ids) if row.id in own}


async def any_orders_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, OrderRow]:
    """Whoever's they are: for callers that judge the right to each by `may_see`."""
    return {row.id: row for row in await _ANY_BY_ID.all(reads, ids=ids)}


async def orders_by_number(reads: Reads, numbers: Sequence[str]) -> Mapping[str, OrderRow]:
    return {row.number: row for row in await _BY_NUMBER.all(reads, numbers=numbers)}


async def orders_by_external_ref(reads: Reads, keys: Sequence[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], OrderRow]:
    """By (channel, external reference)."""
    wanted = func.unnest(
        bindparam(None, [channel for channel, _ in keys], type_=ARRAY(Uuid), unique=True),
        bindparam(None, [ref for _, ref in keys], type_=ARRAY(Text), unique=True),
    )
    named = wanted.table_valued(column("channel_id", Uuid), column("external_ref", Text)).render_derived(name="named")
    statement = ALL.join(
        named, and_(Order.channel_id == named.c.channel_id, Order.external_ref == named.c.external_ref)
    ).where(visible_to(reads.principal))
    return {(row.channel_id, row.external_ref): row for row in await reads.all(statement)}


def has_external_ref(principal: Principal) -> ColumnElement[bool]:
    """The order of an external reference in a channel that the caller sees, both by the names of parameters."""
    channel = id_of_code(principal, bindparam("channel_code", type_=Text)).scalar_subquery()
    return and_(Order.channel_id == channel, Order.external_ref == bindparam("external_ref", type_=Text))


# The newest orders of a customer: (customer, orders to give, (placed at, id) of the last one given before).
CustomerKey = tuple[UUID, int, tuple[datetime, UUID] | None]


async def newest_of_customers(reads: Reads, keys: Sequence[CustomerKey]) -> Mapping[CustomerKey, Sequence[OrderRow]]:
    """Newest first, one more than asked for; one statement for each distinct page."""
    pages: dict[CustomerKey, list[OrderRow]] = {key: [] for key in keys}
    sizes: dict[tuple[int, tuple[datetime, UUID] | None], list[UUID]] = {}
    for customer_id, size, place in keys:
        sizes.setdefault((size, place), []).append(customer_id)
    for (size, place), customer_ids in sizes.items():
        wanted = func.unnest(bindparam(None, customer_ids, type_=ARRAY(Uuid), unique=True))
        named = wanted.table_valued(column("customer_id", Uuid)).render_derived(name="named")
        orders = ALL.where(Order.customer_id == named.c.customer_id).where(visible_to(reads.principal))
        if place is not None:
            orders = orders.where(tuple_(Order.placed_at, Order.id) < tuple_(bind(place[0]), bind(place[1])))
        newest = orders.order_by(Order.placed_at.desc(), Order.id.desc()).limit(size + 1).lateral("newest")
        for row in await reads.all(select(newest).select_from(named.join(newest, true()))):
            pages[(row.customer_id, size, place)].append(row)
    return pages


# A page of an order's lines: (order, lines to skip, lines to give); one more is read to know whether there is a next.
LinesKey = tuple[UUID, int, int]


LINES = select(*OrderLine.__table__.c)
TAXES = select(*TaxLine.__table__.c)
DISCOUNTS = select(*OrderDiscount.__table__.c)
ADDRESSES = select(*OrderAddress.__table__.c)
HOLDS = select(*OrderHold.__table__.c)


def is_address_of(kind: str) -> ColumnElement[bool]:
    """Whether an address is of this kind."""
    return OrderAddress.kind == literal_column(f"'{kind}'", Text)


_LINES = Prepared(
    lambda _: (
        LINES.where(any_of(OrderLine.order_id.expression, "order_ids"))
        .where(OrderLine.line_no > bindparam("skip"), OrderLine.line_no <= bindparam("upto"))
        .order_by(OrderLine.order_id, OrderLine.line_no)
    )
)


async def lines_pages(reads: Reads, keys: Sequence[LinesKey]) -> Mapping[LinesKey, Sequence[Row[Any]]]:
    """Lines by number, for orders the caller has been shown already; one statement for each distinct page size."""
    pages: dict[LinesKey, list[Row[Any]]] = {key: [] for key in keys}
    sizes: dict[tuple[int, int], list[UUID]] = {}
    for order_id, skip, size in keys:
        sizes.setdefault((skip, size), []).append(order_id)
    for (skip, size), order_ids in sizes.items():
        for row in await _LINES.all(reads, order_ids=order_ids, skip=skip, upto=skip + size + 1):
            pages[(row.order_id, skip, size)].append(row)
    return pages


async def lines_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    statement = (
        select(*OrderLine.__table__.c, Order.currency)
        .join(Order, Order.id == OrderLine.order_id)
        .where(same_as_any(OrderLine.id.expression, ids))
        .where(visible_to(reads.principal))
    )
    return {row.id: row for row in await reads.all(statement)}


async def taxes_by_line(reads: Reads, keys: Sequence[tuple[UUID, UUID | None]]) -> Mapping[Any, Sequence[Row[Any]]]:
    """Tax lines by (order, line); those of shipping under (order, None)."""
    return await _by_line(reads, TaxLine, keys)


async def discounts_by_line(reads: Reads, keys: Sequence[tuple[UUID, UUID | None]]) -> Mapping[Any, Sequence[Row[Any]]]:
    """Discounts by (order, line); those on the whole order under (order, None)."""
    return await _by_line(reads, OrderDiscount, keys)


async def _by_line(
    reads: Reads, model: type[TaxLine] | type[OrderDiscount], keys: Sequence[tuple[UUID, UUID | None]]
) -> Mapping[Any, Sequence[Row[Any]]]:
    order_ids = sorted({order_id for order_id, _ in keys})
    lines = [line_id for _, line_id in keys if line_id is not None]
    whole = any(line_id is None for _, line_id in keys)
    wanted = same_as_any(model.line_id.expression, lines)
    statement = (
        select(*model.__table__.c)
        .where(same_as_any(model.order_id.expression, order_ids))
        .where(wanted | model.line_id.is_(None) if whole else wanted)
        .order_by(model.order_id, model.position)
    )
    found: dict[Any, list[Row[Any]]] = {key: [] for key in keys}
    for row in await reads.all(statement):
        if (row.order_id, row.line_id) in found:
            found[(row.order_id, row.line_id)].append(row)
    return found


async def addresses_by_order(reads: Reads, keys: Sequence[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], Row[Any]]:
    """Addresses by (order, kind)."""
    statement = ADDRESSES.where(
        same_as_any(OrderAddress.order_id.expression, sorted({order_id for order_id, _ in keys}))
    )
    return {(row.order_id, row.kind): row for row in await reads.all(statement)}


async def holds_by_order(reads: Reads, order_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Row[Any]]]:
    """All holds of each order, open and released, oldest first."""
    statement = HOLDS.where(same_as_any(OrderHold.order_id.expression, order_ids)).order_by(
        OrderHold.placed_at, OrderHold.id
    )
    holds: dict[UUID, list[Row[Any]]] = {order_id: [] for order_id in order_ids}
    for row in await reads.all(statement):
        holds[row.order_id].append(row)
    return holds


async def line_counts(reads: Reads, order_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many lines each order has."""
    statement = (
        select(OrderLine.order_id, func.count().label("lines"))
        .where(same_as_any(OrderLine.order_id.expression, order_ids))
        .group_by(OrderLine.order_id)
    )
    return {row.order_id: row.lines for row in await reads.all(statement)}


async def counts_of_customers(reads: Reads, customer_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many orders of each customer the caller may see."""
    statement = (
        select(Order.customer_id, func.count().label("orders"))
        .where(same_as_any(Order.customer_id.expression, customer_ids))
        .where(visible_to(reads.principal))
        .group_by(Order.customer_id)
    )
    return {row.customer_id: row.orders for row in await reads.all(statement)}


async def sizes_by_external_ref(reads: Reads, channel_id: UUID, refs: Sequence[str]) -> Mapping[str, tuple[int, int]]:
    """Lines and units of a channel's orders, by external reference; components of bundles are left out."""
    statement = (
        select(Order.external_ref, func.count().label("lines"), func.sum(OrderLine.ordered).label("units"))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(Order.channel_id == channel_id)
        .where(same_as_any(Order.external_ref.expression, refs))
        .where(OrderLine.parent_id.is_(None))
        .where(visible_to(reads.principal))
        .group_by(Order.external_ref)
    )
    return {row.external_ref: (row.lines, int(row.units)) for row in await reads.all(statement)}


# Where an order stands among those that wait for stock: the most urgent first, then the oldest.
WaitingPlace = tuple[int, datetime, UUID]


async def servable(reads: Reads, *, after: WaitingPlace | None, limit: int) -> Sequence[Row[Any]]:
    """Orders that wait for units of which their channel has some, in their turn: id, priority, placed_at.

    Left out: orders on hold, and those of whose SKUs nothing can be had now, so that nobody waits behind them.
    """
    claims = func.sourcing_servable_claims(bindparam(None, reads.now, type_=DateTime(timezone=True), unique=True))
    claim = claims.table_valued(column("sku_id", Uuid), column("channel_id", Uuid)).render_derived(name="claim")
    statement = (
        select(Order.id, Order.priority, Order.placed_at)
        .select_from(claim)
        .join(OrderLine, OrderLine.sku_id == claim.c.sku_id)
        .join(Order, and_(Order.id == OrderLine.order_id, Order.channel_id == claim.c.channel_id))
        .where(OrderLine.backordered > 0, OrderLine.takes_stock)
        .where(Order.lifecycle.in_(sorted(OPEN)), ~Order.is_on_hold)
        .where(visible_to(reads.principal))
        .group_by(Order.id)
        .order_by(Order.priority.desc(), Order.placed_at, Order.id)
        .limit(limit)
    )
    if after is not None:
        priority, placed_at, order_id = (bind(part) for part in after)
        place = tuple_(-Order.priority, Order.placed_at, Order.id)
        statement = statement.where(place > tuple_(-priority, placed_at, order_id))
    return await reads.all(statement)
