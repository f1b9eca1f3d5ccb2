"""Orders as types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.catalog.api import Sku, sku_of
from app.customers.api import Customer, customer_of
from app.gql.connections import After, Connection, Edge, First, Info, PageInfo
from app.gql.context import Context
from app.gql.direct import Derived, Id, Nested, Numbered, Percent, Reading, Related
from app.gql.money import Money
from app.gql.nodes import Node, node_type
from app.gql.scalars import CountryCode, CurrencyCode, Cursor
from app.gql.scopes import needs, scoped
from app.gql.where import described
from app.inventory import queries as inventory
from app.inventory.api import Allocation, allocations_of
from app.kernel.errors import ValidationRefused
from app.kernel.pagination import PageArguments
from app.kernel.signing import BadSignature
from app.network.api import Channel, channel_of
from app.orders import queries, rules
from app.orders.states import (
    CancelReason,
    FulfillmentStatus,
    HoldReason,
    Lifecycle,
    LineKind,
    OrderAction,
    PaymentStatus,
    ReturnStatus,
)

described(
    Lifecycle,
    "Where the order stands as a contract.",
    name="OrderLifecycle",
    PLACED="Taken, its units allocated or backordered.",
    CONFIRMED="Released: it may be fulfilled.",
    COMPLETED="All of it has reached its end, goods and money. Nothing leads there yet.",
    CANCELLED="Nothing of it is wanted any more.",
)
described(
    FulfillmentStatus,
    "How far the units have come, derived from the quantities of the lines.",
    UNALLOCATED="Some units have no stock assigned.",
    BACKORDERED="Some units wait for stock to come.",
    SCHEDULED="All units have stock assigned.",
    PARTIALLY_SHIPPED="Some units have shipped.",
    SHIPPED="All units have shipped.",
    PARTIALLY_DELIVERED="Some units have arrived.",
    DELIVERED="All units have arrived.",
    CANCELLED="No unit is left to deliver.",
)
described(
    PaymentStatus,
    "How the money stands, derived.",
    NOT_REQUIRED="The channel asks for no payment before fulfilment.",
    PENDING="The channel's payment policy is not met.",
)
described(
    ReturnStatus,
    "What has come back, derived from the quantities of the lines.",
    NONE="Nothing, and nothing is announced.",
    REQUESTED="A return is announced.",
    PARTIALLY_RETURNED="Some units have come back.",
    RETURNED="All units have come back.",
)
described(
    LineKind,
    "What a line stands for.",
    GOODS="Goods of one SKU.",
    SERVICE="Something without stock, such as postage.",
    BUNDLE="A bundle: it has the price, the COMPONENT lines after it have the stock.",
    COMPONENT="A part of the bundle named by `parentId`; it has no price of its own.",
)
described(
    HoldReason,
    "Why an order must not go on.",
    PAYMENT="The payment needs a look.",
    FRAUD="It may be fraud.",
    ADDRESS="The address needs a look.",
    STOCK="The stock needs a look.",
    MANUAL="Somebody wants it so.",
    EDIT="It is being changed.",
)
described(
    CancelReason,
    "Why units were cancelled.",
    CUSTOMER="The customer changed their mind.",
    FRAUD="It was fraud.",
    STOCK="There is no stock.",
    PAYMENT="It was not paid.",
    ERROR="It was a mistake.",
    OTHER="Something else.",
)
described(
    OrderAction,
    "What may be done with an order now.",
    CONFIRM="`orderConfirm`.",
    HOLD="`orderHold`.",
    HOLD_RELEASE="`orderHoldRelease`.",
    CANCEL="`orderCancel`.",
)


@scoped("orders:read")
@strawberry.type(description="The price of one unit, which may be finer than the currency's smallest unit.")
class UnitPrice:
    amount: Decimal = strawberry.field(description='In major units, with up to 6 decimals: `"0.0495"`.')
    currency_code: CurrencyCode = strawberry.field(description="The currency by ISO 4217.")


@scoped("orders:read")
@strawberry.type(
    description="Where the units of a line are: `ordered` = `cancelled` + `backordered` + `unallocated` + `allocated` +"
    " `shipped`, always."
)
class LineQuantities:
    ordered: int = strawberry.field(description="Units ordered; never changes.")
    cancelled: int = strawberry.field(description="Units no longer wanted.")
    backordered: int = strawberry.field(description="Units sold beyond stock, waiting for more.")
    unallocated: int = strawberry.field(description="Units with neither stock nor a backorder.")
    allocated: int = strawberry.field(description="Units with stock assigned; of services, all that is open.")
    shipped: int = strawberry.field(description="Units handed to a carrier or the customer.")
    delivered: int = strawberry.field(description="Of those shipped, units that have arrived.")
    return_requested: int = strawberry.field(description="Of those shipped, units whose return is announced.")
    returned: int = strawberry.field(description="Of those shipped, units that have come back.")


@scoped("orders:read")
@strawberry.type(description="One tax on a line or on shipping.")
class TaxLine:
    name: str = strawberry.field(description="What the tax is called.")
    rate_percent: Decimal = strawberry.field(description='The rate in percent: `"20"`.')
    amount: Money = strawberry.field(description="What it comes to.")
    included: bool = strawberry.field(description="Whether the price contains it, or it comes on top.")

    @classmethod
    def of(cls, row: Row[Any], currency: str) -> TaxLine:
        return _TAX_LINE.of(row, currency=currency)


_TAX_LINE = Reading(TaxLine, rate_percent=Percent("rate_ppm"))


@scoped("orders:read")
@strawberry.type(description="A discount as it was given.")
class Discount:
    amount: Money = strawberry.field(description="What was taken off.")
    code: str | None = strawberry.field(description="The code the customer used.")
    description: str | None = strawberry.field(description="What it was for.")

    @classmethod
    def of(cls, row: Row[Any], currency: str) -> Discount:
        return _DISCOUNT.of(row, currency=currency)


_DISCOUNT = Reading(Discount)


@scoped("orders:read")
@strawberry.type(description="A reason not to go on with an order, open until `releasedAt`.")
class Hold:
    id: strawberry.ID = strawberry.field(description="For `orderHoldRelease`.")
    reason: HoldReason = strawberry.field(description="Why.")
    note: str | None = strawberry.field(metadata=needs("orders:write"), description="What the holder wrote.")
    placed_at: datetime = strawberry.field(description="Since when.")
    placed_by: str = strawberry.field(metadata=needs("orders:write"), description="Who held it.")
    released_at: datetime | None = strawberry.field(description="Until when; null while it is open.")
    released_by: str | None = strawberry.field(metadata=needs("orders:write"), description="Who released it.")
    release_note: str | None = strawberry.field(metadata=needs("orders:write"), description="What the releaser wrote.")

    @classmethod
    def of(cls, row: Row[Any]) -> Hold:
        return _HOLD.of(row)


_HOLD = Reading(Hold, id=Id("Hold", "id"))


@scoped("orders:read")
@strawberry.type(description="Where an order goes or who pays for it, as it was given with the order.")
class OrderAddress:
    name: str | None = strawberry.field(description="The person.")
    company: str | None = strawberry.field(description="The company.")
    lines: list[str] = strawberry.field(description="Street and house, one entry a line.")
    city: str | None = strawberry.field(description="City or town.")
    region: str | None = strawberry.field(description="State, county or province.")
    postcode: str | None = strawberry.field(description="Postal code.")
    country: CountryCode = strawberry.field(description="The country.")
    phone: str | None = strawberry.field(description="For the carrier's questions.")
    email: str | None = strawberry.field(description="For messages about the order.")
    latitude: float | None = strawberry.field(description="Degrees north.")
    longitude: float | None = strawberry.field(description="Degrees east.")

    @classmethod
    def of(cls, row: Row[Any]) -> OrderAddress:
        return _ADDRESS.of(row)


_ADDRESS = Reading(OrderAddress)


@scoped("orders:read")
@strawberry.type(
    description="What the order comes to: `total` = `subtotal` − `discount` + `shipping` + the taxes that prices do not"
    " contain, to the minor unit."
)
class OrderTotals:
    subtotal: Money = strawberry.field(description="All lines before discounts.")
    discount: Money = strawberry.field(description="All discounts, on lines and on the order.")
    shipping: Money = strawberry.field(description="Shipping, before tax on top.")
    tax: Money = strawberry.field(description="All taxes, whether prices contain them or not.")
    total: Money = strawberry.field(description="What is to be paid.")


@node_type
@scoped("orders:read")
@strawberry.type(description="A line of an order: one SKU at the price it was sold for.")
class OrderLine(Node):
    uuid: strawberry.Private[UUID]
    order_uuid: strawberry.Private[UUID]
    sku_uuid: strawberry.Private[UUID]
    currency: strawberry.Private[str]
    line_no: int = strawberry.field(description="Its place in the order, from 1.")
    kind: LineKind = strawberry.field(description="What it stands for.")
    parent_id: strawberry.ID | None = strawberry.field(description="Of a component: the line of its bundle.")
    sku_code: str = strawberry.field(description="The SKU's code when it was ordered.")
    name: str = strawberry.field(description="The SKU's name when it was ordered.")
    quantities: LineQuantities = strawberry.field(description="Where its units are.")
    unit_price: UnitPrice = strawberry.field(description="The price of one unit.")
    gross: Money = strawberry.field(description="All units before discounts, rounded once, halves up.")
    discount: Money = strawberry.field(description="Its own discounts and its share of the order's.")
    tax: Money = strawberry.field(description="All taxes on it, whether the price contains them or not.")
    total: Money = strawberry.field(description="`gross` − `discount` + the taxes that the price does not contain.")

    @strawberry.field(metadata=needs("orders:read", "catalog:read"), description="The SKU as it is now.")
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.sku_uuid)

    @strawberry.field(metadata=needs("orders:read", "stock:read"), description="Where its units are pinned.")
    async def allocations(self, info: Info) -> list[Allocation]:
        rows = await info.context.load(inventory.allocations_by_line, (self.order_uuid, self.uuid)) or []
        return [Allocation.of(row) for row in rows]

    @strawberry.field(description="The taxes on it.")
    async def tax_lines(self, info: Info) -> list[TaxLine]:
        rows = await info.context.load(queries.taxes_by_line, (self.order_uuid, self.uuid)) or []
        return [TaxLine.of(row, self.currency) for row in rows]

    @strawberry.field(description="The discounts on this line alone.")
    async def discounts(self, info: Info) -> list[Discount]:
        rows = await info.context.load(queries.discounts_by_line, (self.order_uuid, self.uuid)) or []
        return [Discount.of(row, self.currency) for row in rows]

    @classmethod
    def of(cls, row: Row[Any], currency: str) -> OrderLine:
        return _LINE.of(row, currency=currency)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> OrderLine | None:
        row = await context.load(queries.lines_by_id, uuid)
        return cls.of(row, row.currency) if row is not None else None


@node_type
@scoped("orders:read")
@strawberry.type(description="What somebody asked for: lines, prices and how far each unit has come.")
class Order(Node):
    uuid: strawberry.Private[UUID]
    channel_uuid: strawberry.Private[UUID]
    customer_uuid: strawberry.Private[UUID | None]
    currency: strawberry.Private[str]
    number: str = strawberry.field(description="The number people use, unique.")
    version: int = strawberry.field(description="Rises by one with every change.")
    external_ref: str | None = strawberry.field(description="The number in your system, unique in the channel.")
    lifecycle: Lifecycle = strawberry.field(description="Where it stands as a contract.")
    fulfillment_status: FulfillmentStatus = strawberry.field(description="How far its units have come.")
    payment_status: PaymentStatus = strawberry.field(description="How the money stands.")
    return_status: ReturnStatus = strawberry.field(description="What has come back.")
    is_on_hold: bool = strawberry.field(description="Whether a hold is open.")
    allowed_actions: list[OrderAction] = strawberry.field(
        description="What may be done with it now, by callers with the scope that the mutation needs."
    )
    currency_code: CurrencyCode = strawberry.field(description="The currency of all its amounts.")
    totals: OrderTotals = strawberry.field(description="What it comes to.")
    priority: int = strawberry.field(description="Higher is more urgent; 0 unless given.")
    destination_country: CountryCode | None = strawberry.field(description="Where it goes.")
    note: str | None = strawberry.field(metadata=needs("orders:write"), description="What was noted when placing.")
    placed_at: datetime = strawberry.field(description="When it was placed.")
    confirmed_at: datetime | None = strawberry.field(description="When it was confirmed.")
    cancelled_at: datetime | None = strawberry.field(description="When the last of it was cancelled.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(metadata=needs("orders:read", "network:read"), description="Where it came from.")
    async def channel(self, info: Info) -> Channel:
        return await Channel.referenced(info.context, self.channel_uuid)

    @strawberry.field(metadata=needs("orders:read", "customers:read"), description="Who ordered; null for a guest.")
    async def customer(self, info: Info) -> Customer | None:
        return await Customer.load(info.context, self.customer_uuid) if self.customer_uuid is not None else None

    @strawberry.field(description="Where it goes; null where nothing is sent.")
    async def shipping_address(self, info: Info) -> OrderAddress | None:
        row = await info.context.load(queries.addresses_by_order, (self.uuid, "SHIPPING"))
        return OrderAddress.of(row) if row is not None else None

    @strawberry.field(description="Who pays; null where it is whoever receives.")
    async def billing_address(self, info: Info) -> OrderAddress | None:
        row = await info.context.load(queries.addresses_by_order, (self.uuid, "BILLING"))
        return OrderAddress.of(row) if row is not None else None

    @strawberry.field(description="Its lines by number, a page at a time.")
    async def lines(self, info: Info, first: First = None, after: After = None) -> Connection[OrderLine]:
        return await _lines(self, info, first, after)

    @strawberry.field(description="All holds there have been, oldest first.")
    async def holds(self, info: Info) -> list[Hold]:
        return [Hold.of(row) for row in await info.context.load(queries.holds_by_order, self.uuid) or []]

    @strawberry.field(description="The discounts on the whole order.")
    async def discounts(self, info: Info) -> list[Discount]:
        rows = await info.context.load(queries.discounts_by_line, (self.uuid, None)) or []
        return [Discount.of(row, self.currency) for row in rows]

    @strawberry.field(description="The taxes on shipping.")
    async def shipping_tax_lines(self, info: Info) -> list[TaxLine]:
        rows = await info.context.load(queries.taxes_by_line, (self.uuid, None)) or []
        return [TaxLine.of(row, self.currency) for row in rows]

    @classmethod
    def of(cls, row: Row[Any]) -> Order:
        return ORDER.of(row)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Order | None:
        row = await context.load(queries.orders_by_id, uuid)
        return cls.of(row) if row is not None else None


_CURRENCY = ("currency",)


def _taxes(on: Mapping[str, str | None]) -> Related:
    return Related(_TAX_LINE, queries.TAXES, on, order_by=["position"], also=_CURRENCY)


def _discounts(on: Mapping[str, str | None]) -> Related:
    return Related(_DISCOUNT, queries.DISCOUNTS, on, order_by=["position"], also=_CURRENCY)


def _address(kind: str) -> Related:
    return Related(_ADDRESS, queries.ADDRESSES, {"order_id": "id"}, only=queries.is_address_of(kind))


_LINES_CURSOR = "order-lines"

_LINE = Reading(
    OrderLine,
    id=Id("OrderLine", "id"),
    uuid="id",
    order_uuid="order_id",
    sku_uuid="sku_id",
    currency="currency",
    parent_id=Id("OrderLine", "parent_id"),
    unit_price=Nested(Reading(UnitPrice, amount="unit_price", currency_code="currency")),
)
_LINE.link("sku", sku_of("sku_id"))
_LINE.link("allocations", allocations_of({"order_id": "order_id", "order_line_id": "id"}))
_LINE.link("tax_lines", _taxes({"order_id": "order_id", "line_id": "id"}))
_LINE.link("discounts", _discounts({"order_id": "order_id", "line_id": "id"}))

ORDER = Reading(
    Order,
    id=Id("Order", "id"),
    uuid="id",
    channel_uuid="channel_id",
    customer_uuid="customer_id",
    currency="currency",
    currency_code="currency",
    allowed_actions=Derived(
        lambda lifecycle, payment, fulfillment, on_hold: rules.allowed_actions(
            lifecycle, payment, fulfillment, on_hold=on_hold
        ),
        lifecycle=Lifecycle,
        payment_status=PaymentStatus,
        fulfillment_status=FulfillmentStatus,
        is_on_hold=(False, True),
    ),
)
ORDER.link("channel", channel_of("channel_id"))
ORDER.link("customer", customer_of("customer_id"))
ORDER.link("shipping_address", _address("SHIPPING"))
ORDER.link("billing_address", _address("BILLING"))
ORDER.link("holds", Related(_HOLD, queries.HOLDS, {"order_id": "id"}, order_by=["placed_at", "id"]))
ORDER.link("discounts", _discounts({"order_id": "id", "line_id": None}))
ORDER.link("shipping_tax_lines", _taxes({"order_id": "id", "line_id": None}))
ORDER.link("lines", Numbered(_LINE, queries.LINES, "order_id", "line_no", purpose=_LINES_CURSOR, also=_CURRENCY))


async def _lines(order: Order, info: Info, first: int | None, after: str | None) -> Connection[OrderLine]:
    """A page of lines. They never change places, so the cursor is a line's number, sealed with the order's id."""
    signer = info.context.services.signer
    size = PageArguments(first=first).size()
    skip = 0
    if after is not None:
        try:
            body = signer.open(_LINES_CURSOR, after)
        except BadSignature:
            body = b""
        if body[:16] != order.uuid.bytes:
            raise ValidationRefused(
                "`after` is not a cursor of this order's lines: page again from the start, without it.", path=["after"]
            )
        skip = int.from_bytes(body[16:])
    rows = await info.context.load(queries.lines_pages, (order.uuid, skip, size)) or []
    nodes = [OrderLine.of(row, order.currency) for row in rows[:size]]
    cursors = [Cursor(signer.seal(_LINES_CURSOR, order.uuid.bytes + line.line_no.to_bytes(4))) for line in nodes]

    async def count() -> int:
        return await info.context.load(queries.line_counts, order.uuid) or 0

    return Connection(
        edges=[Edge(cursor=cursor, node=line) for cursor, line in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=len(rows) > size,
            has_previous_page=skip > 0,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )
