"""From an order as asked for and the world as it is to the rows that placing writes. Pure: no database, no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.inventory.refusals import ReservationClosed
from app.kernel import money, search
from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.orders import allocating, rules
from app.orders.allocating import Allocated, Wanted
from app.orders.cleaning import whole_minor
from app.orders.refusals import (
    ChannelClosed,
    CustomerNotActive,
    ExternalRefTaken,
    NoPrice,
    SkuNotSellable,
    TotalMismatch,
    UnknownSku,
)
from app.orders.requests import AddressRequest, DiscountRequest, LineRequest, OrderRequest, TaxRequest
from app.orders.rules import Tax
from app.orders.states import LineKind
from app.sourcing import promise
from app.sourcing.promise import Facts
from app.sourcing.rules import Destination

# As many as one statement writes within its time.
LINES_WITH_PARTS_MAX = 20_000
MONEY_MAX = 2**63 - 1
# Whoever took the order reads another clock.
CLOCKS_APART = timedelta(minutes=5)
NO_MONEY = rules.PricedLine(0, 0, (), 0, 0)


@dataclass(slots=True)
class Line:
    """One line to be: a request's own, or a component of its bundle. Money is in minor units."""

    id: UUID
    line_no: int
    kind: LineKind
    sku: Mapping[str, Any]
    ordered: int
    unit_price: Decimal
    path: list[str]
    parent: "Line | None" = None
    units_per_parent: int | None = None
    money: rules.PricedLine = NO_MONEY
    taxes: Sequence[Tax] = ()
    allocated: int = 0
    backordered: int = 0
    cancelled: int = 0
    unallocated: int = 0
    shipped: int = 0
    delivered: int = 0

    @property
    def takes_stock(self) -> bool:
        return self.kind in (LineKind.GOODS, LineKind.COMPONENT) and bool(self.sku["stockTracked"])


@dataclass(frozen=True, slots=True)
class Buyer:
    """The customer whose order it is.

    shipping_address, billing_address  where an order goes, and who pays, that names none; None where the caller may not
                                       read customers
    """

    id: str
    active: bool
    name: str
    company_name: str | None = None
    shipping_address: AddressRequest | None = None
    billing_address: AddressRequest | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What placing decides from.

    buyer     None for a guest, and where there is no such customer
    existing  number of the order that has the external reference already
    """

    facts: Facts
    reservation: Mapping[str, Any] | None
    buyer: Buyer | None
    existing: str | None


@dataclass(frozen=True, slots=True)
class Placement:
    """All that is decided: the SQL function writes it as it stands."""

    order_id: UUID
    order: dict[str, Any]
    lines: Sequence[Line]
    taxes: list[dict[str, Any]]
    discounts: list[dict[str, Any]]
    addresses: list[dict[str, Any]]
    allocations: Sequence[Allocated]
    reservation: Mapping[str, Any] | None


def plan(request: OrderRequest, world: World, now: datetime, new_id: Callable[[], UUID]) -> Placement:
    """Price, explode, allocate and total an order.

    Raises ChannelClosed, ExternalRefTaken, NotFound, CustomerNotActive, UnknownSku, SkuNotSellable, NoPrice,
    ReservationClosed, InsufficientStock, TotalMismatch, ValidationRefused.
    """
    facts, buyer = world.facts, world.buyer
    channel = facts.channel
    if not channel["active"]:
        raise ChannelClosed(request.channel)
    if world.existing is not None and request.external_ref is not None:
        raise ExternalRefTaken(external_ref=request.external_ref, number=world.existing)
    if request.customer is not None and buyer is None:
        raise NotFound("customer", request.customer, path=["input", "customer"])
    if buyer is not None and not buyer.active:
        raise CustomerNotActive
    if request.placed_at is not None and request.placed_at > now + CLOCKS_APART:
        raise ValidationRefused(
            "This order was placed in the future: leave `placedAt` out, or give the time that it was taken.",
            path=["input", "placedAt"],
        )
    currency = request.currency or channel["currency"]
    if buyer is not None:
        request = _addressed(request, buyer)

    reservation = _usable_reservation(request, world, now)
    lines = _explode(request, facts, currency, new_id)
    order_discount = _order_discount(request, lines, currency)
    _price(request, lines, order_discount, channel, currency)
    allocations = _allocate(request, facts, lines, reservation, now)

    path = ["input", "shipping", "taxes"]
    shipping_taxes = _taxes(request.shipping.taxes, channel, currency, path) if request.shipping else []
    shipping = (
        whole_minor(request.shipping.amount, currency, ["input", "shipping", "amount"]) if request.shipping else 0
    )
    totals = rules.totals([line.money for line in lines], shipping, shipping_taxes)
    if max(totals.total_minor, totals.subtotal_minor, totals.tax_minor) > MONEY_MAX:
        raise ValidationRefused("The order comes to more than can be counted: split it.", path=["input", "lines"])
    _compare_total(request, totals.total_minor, currency)

    order_id = new_id()
    address = request.shipping_address
    return Placement(
        order_id=order_id,
        order={
            "id": order_id,
            "channel_id": channel["id"],
            "external_ref": request.external_ref,
            "customer_id": buyer.id if buyer else None,
            "currency": currency,
            "fulfillment_status": rules.fulfillment_status(line for line in lines if line.kind != LineKind.BUNDLE),
            "payment_status": rules.payment_status(channel["paymentPolicy"]),
            "priority": request.priority,
            "destination_country": address.country if address else None,
            "subtotal_minor": totals.subtotal_minor,
            "discount_minor": totals.discount_minor,
            "shipping_minor": totals.shipping_minor,
            "tax_minor": totals.tax_minor,
            "total_minor": totals.total_minor,
            "note": request.note,
            "placed_at": request.placed_at or now,
            "search": _search_document(request, buyer, lines),
        },
        lines=lines,
        taxes=_tax_rows(lines, shipping, shipping_taxes),
        discounts=_discount_rows(request, lines, currency),
        addresses=_address_rows(request),
        allocations=allocations,
        reservation=reservation,
    )


def _addressed(request: OrderRequest, buyer: Buyer) -> OrderRequest:
    """The request with the customer's own addresses where it names none."""
    return replace(
        request,
        shipping_address=request.shipping_address or buyer.shipping_address,
        billing_address=request.billing_address or buyer.billing_address,
    )


def _usable_reservation(request: OrderRequest, world: World, now: datetime) -> Mapping[str, Any] | None:
    if request.reservation_token is None:
        return None
    path = ["input", "reservationToken"]
    reservation = world.reservation
    if reservation is None or reservation["channelId"] != world.facts.channel["id"]:
        raise NotFound("reservation", request.reservation_token, path=path)
    expires_at = datetime.fromisoformat(reservation["expiresAt"])
    if reservation["status"] != "OPEN" or expires_at <= now:
        status = "EXPIRED" if reservation["status"] == "OPEN" else reservation["status"]
        raise ReservationClosed(status=status, expires_at=expires_at, path=path)
    return reservation


def _explode(request: OrderRequest, facts: Facts, currency: str, new_id: Callable[[], UUID]) -> list[Line]:
    """Lines in the request's order, each bundle followed by its components."""
    refusals: list[Refusal] = []
    lines: list[Line] = []
    for i, asked in enumerate(request.lines):
        path = ["input", "lines", str(i)]
        sku = facts.skus.get(asked.sku)
        if sku is None:
            refusals.append(UnknownSku(asked.sku, path=[*path, "sku"]))
            continue
        if (inactive := promise.retired(sku, facts)) is not None:
            refusals.append(SkuNotSellable(asked.sku, inactive, path=[*path, "sku"]))
            continue
        unit_price = asked.unit_price
        if unit_price is None:
            if sku["price"] is None:
                refusals.append(NoPrice(asked.sku, request.channel, currency, path=[*path, "sku"]))
                continue
            unit_price = Decimal(sku["price"])
        line = Line(new_id(), len(lines) + 1, _kind(sku), sku, asked.quantity, unit_price, path)
        lines.append(line)
        if line.kind == LineKind.BUNDLE:
            lines.extend(_components(line, facts, len(lines), new_id))
            if len(lines) > LINES_WITH_PARTS_MAX:
                raise ValidationRefused(
                    f"With the parts of its bundles the order has more than {LINES_WITH_PARTS_MAX:,} lines: split it.",
                    path=["input", "lines"],
                )
    units: dict[str, int] = {}
    for line in lines:
        code = line.sku["code"]
        units[code] = units.get(code, 0) + line.ordered
        if units[code] > promise.UNITS_MAX:
            refusals.append(promise.beyond_counting(code, units[code], [*line.path, "quantity"]))
    if refusals:
        raise Refusal.together(refusals)
    return lines


def _kind(sku: Mapping[str, Any]) -> LineKind:
    if sku["bundle"]:
        return LineKind.BUNDLE
    return LineKind.GOODS if sku["stockTracked"] else LineKind.SERVICE


def _components(bundle: Line, facts: Facts, lines_before: int, new_id: Callable[[], UUID]) -> list[Line]:
    components = []
    for n, component in enumerate(bundle.sku["components"], start=1):
        sku = facts.skus[component["code"]]
        units = bundle.ordered * component["units"]
        components.append(
            Line(
                new_id(),
                lines_before + n,
                LineKind.COMPONENT,
                sku,
                units,
                Decimal(0),
                bundle.path,
                parent=bundle,
                units_per_parent=component["units"],
            )
        )
    return components


def _sum(discounts: Sequence[DiscountRequest], currency: str, path: Sequence[str]) -> int:
    """What discounts come to in minor units.  Raises ValidationRefused."""
    return sum(
        whole_minor(discount.amount, currency, [*path, "discounts", str(i), "amount"])
        for i, discount in enumerate(discounts)
    )


def _order_discount(request: OrderRequest, lines: Sequence[Line], currency: str) -> int:
    """The order's own discounts together, checked against what the lines come to."""
    if not request.discounts and not any(line.discounts for line in request.lines):
        return 0
    left = 0
    for asked, line in _with_requests(request, lines):
        gross, own = (
            rules.gross_minor(line.unit_price, line.ordered, currency),
            _sum(asked.discounts, currency, line.path),
        )
        if own > gross:
            raise ValidationRefused(
                f"The discounts on {asked.sku} come to {money.major(own, currency)}, more than the line's"
                f" {money.major(gross, currency)}: lower them.",
                path=[*line.path, "discounts"],
            )
        left += gross - own
    given = _sum(request.discounts, currency, ["input"])
    if given > left:
        raise ValidationRefused(
            f"The order's discounts come to {money.major(given, currency)}, its lines to"
            f" {money.major(left, currency)}: lower them.",
            path=["input", "discounts"],
        )
    return given


def _with_requests(request: OrderRequest, lines: Sequence[Line]) -> list[tuple[LineRequest, Line]]:
    """Each request with the line it became; components have none of their own."""
    return list(zip(request.lines, (line for line in lines if line.parent is None), strict=True))


def _price(
    request: OrderRequest, lines: Sequence[Line], order_discount: int, channel: Mapping[str, Any], currency: str
) -> None:
    pairs = _with_requests(request, lines)
    taxes = [_taxes(asked.taxes, channel, currency, [*line.path, "taxes"]) for asked, line in pairs]
    priced = rules.price_lines(
        [rules.gross_minor(line.unit_price, line.ordered, currency) for _, line in pairs],
        [_sum(asked.discounts, currency, line.path) for asked, line in pairs],
        order_discount,
        taxes,
    )
    for (_, line), line_money, line_taxes in zip(pairs, priced, taxes, strict=True):
        line.money, line.taxes = line_money, line_taxes


def _taxes(
    asked: Sequence[TaxRequest] | None, channel: Mapping[str, Any], currency: str, path: Sequence[str]
) -> list[Tax]:
    """The caller's taxes, or the channel's rate where the caller names none."""
    if asked is None:
        rate = channel["taxRatePpm"]
        return [Tax("tax", rate, channel["pricesIncludeTax"])] if rate else []
    return [
        Tax(
            tax.name,
            tax.rate_ppm,
            tax.included,
            None if tax.amount is None else whole_minor(tax.amount, currency, [*path, str(i), "amount"]),
        )
        for i, tax in enumerate(asked)
    ]


def _allocate(
    request: OrderRequest,
    facts: Facts,
    lines: Sequence[Line],
    reservation: Mapping[str, Any] | None,
    now: datetime,
) -> list[Allocated]:
    """Fill the lines' buckets: what stock covers is allocated, the rest backordered within each SKU's limit.

    Raises InsufficientStock, for every SKU that falls short.
    """
    stocked = [line for line in lines if line.takes_stock]
    demand: dict[str, int] = {}
    for line in stocked:
        if not promise.is_preorder(line.sku, now):
            demand[line.sku["id"]] = demand.get(line.sku["id"], 0) + line.ordered
    held = reservation["lines"] if reservation else ()
    allotment = promise.allot(demand, facts, _destination(request.shipping_address), held)

    wanted = [Wanted(line.id, line.sku["id"], line.ordered) for line in stocked]
    allocations = allocating.deal(wanted, allotment.taken)
    got = allocating.units_by_line(allocations)
    refusals: dict[str, Refusal] = {}
    beyond: dict[str, int] = {}
    for line in stocked:
        line.allocated = got.get(line.id, 0)
        line.backordered = line.ordered - line.allocated
        sku = line.sku
        beyond[sku["id"]] = beyond.get(sku["id"], 0) + line.backordered
        room = promise.backorder_room(sku, facts)
        if beyond[sku["id"]] > room:
            requested = sum(other.ordered for other in stocked if other.sku["id"] == sku["id"])
            refusals[sku["id"]] = promise.insufficient(
                facts, sku["code"], requested, now, line.path, held=held, backorderable=room
            )
    if refusals:
        raise Refusal.together(list(refusals.values()))
    components: dict[UUID, list[Line]] = {}
    for line in lines:
        if line.parent is not None:
            components.setdefault(line.parent.id, []).append(line)
    for line in lines:
        if line.kind == LineKind.SERVICE or (line.kind == LineKind.COMPONENT and not line.takes_stock):
            line.allocated = line.ordered
    for line in lines:
        if line.kind == LineKind.BUNDLE:
            line.allocated = allocating.whole_bundles(line.ordered, components.get(line.id, []))
            line.backordered = line.ordered - line.allocated
    return allocations


def _destination(address: AddressRequest | None) -> Destination | None:
    return Destination(address.country, address.latitude, address.longitude) if address else None


def _compare_total(request: OrderRequest, total_minor: int, currency: str) -> None:
    if request.expected_total is None:
        return
    if request.expected_currency not in (None, currency):
        raise ValidationRefused(
            f"The order is in {currency}, you expected a total in {request.expected_currency}: compare in {currency}.",
            path=["input", "expectedTotal", "currencyCode"],
        )
    path = ["input", "expectedTotal", "amount"]
    expected = whole_minor(request.expected_total, currency, path)
    if abs(expected) > MONEY_MAX:
        raise ValidationRefused("No order comes to so much: expect less.", path=path)
    if expected != total_minor:
        raise TotalMismatch(
            expected_minor=expected,
            actual_minor=total_minor,
            currency=currency,
            shown=str(money.major(total_minor, currency)),
        )


def _search_document(request: OrderRequest, buyer: Buyer | None, lines: Sequence[Line]) -> str:
    words: list[str | None] = [request.external_ref, request.customer]
    if buyer:
        words += [buyer.name, buyer.company_name]
    for address in (request.shipping_address, request.billing_address):
        if address:
            words += [address.name, address.company, address.email, address.phone, address.postcode, address.city]
    words += [line.sku["code"] for line in lines]
    return search.document(words)


def _tax_rows(lines: Sequence[Line], shipping: int, shipping_taxes: Sequence[Tax]) -> list[dict[str, Any]]:
    owed = [
        (line.id, tax, amount)
        for line in lines
        for tax, amount in zip(line.taxes, line.money.tax_amounts_minor, strict=True)
    ]
    shipping_amounts = rules.tax_amounts(shipping, shipping_taxes)
    rows: list[tuple[UUID | None, Tax, int]] = [
        *owed,
        *((None, tax, amount) for tax, amount in zip(shipping_taxes, shipping_amounts, strict=True)),
    ]
    return [
        {
            "position": n,
            "line_id": line_id,
            "name": tax.name,
            "rate_ppm": tax.rate_ppm,
            "amount_minor": amount,
            "included": tax.included,
        }
        for n, (line_id, tax, amount) in enumerate(rows, start=1)
    ]


def _discount_rows(request: OrderRequest, lines: Sequence[Line], currency: str) -> list[dict[str, Any]]:
    given: list[tuple[UUID | None, DiscountRequest]] = [(None, discount) for discount in request.discounts]
    for asked, line in _with_requests(request, lines):
        given += [(line.id, discount) for discount in asked.discounts]
    return [
        {
            "position": n,
            "line_id": line_id,
            "code": discount.code,
            "description": discount.description,
            "amount_minor": money.minor(discount.amount, currency),
        }
        for n, (line_id, discount) in enumerate(given, start=1)
    ]


def _address_rows(request: OrderRequest) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "name": address.name,
            "company": address.company,
            "lines": list(address.lines),
            "city": address.city,
            "region": address.region,
            "postcode": address.postcode,
            "country": address.country,
            "phone": address.phone,
            "email": address.email,
            "latitude": address.latitude,
            "longitude": address.longitude,
        }
        for kind, address in (("SHIPPING", request.shipping_address), ("BILLING", request.billing_address))
        if address is not None
    ]
