"""Orders in Orderwire's own formats: from cells or a JSON object to what `orders.place` takes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.imports.files import BadRow
from app.imports.formats import cells
from app.imports.formats.cells import Given
from app.orders.requests import (
    AddressRequest,
    DiscountRequest,
    LineRequest,
    OrderRequest,
    ShippingRequest,
    TaxRequest,
)

PPM_A_PERCENT = 10_000


def order_of_rows(rows: Sequence[Given], channel: str | None) -> OrderRequest:
    """An order from one row a line; what belongs to the whole order is the same in every row, or empty after the first.

    Raises BadRow where two rows disagree.
    """
    whole: dict[str, Any] = {}
    for given in rows:
        for name, value in given.items():
            if name not in LINE_COLUMNS and whole.setdefault(name, value) != value:
                raise BadRow(f"{name} is {whole[name]!r} in one row of the order and {value!r} in another.")
    return order({**whole, **_nested(whole)}, [_line_of_cells(given) for given in rows], channel)


LINE_COLUMNS = frozenset(
    (
        "sku",
        "quantity",
        "unit_price",
        "discount",
        "discount_code",
        "tax_name",
        "tax_percent",
        "tax_included",
        "tax_amount",
    )
)


ORDER_COLUMNS = frozenset(
    (
        "external_ref",
        "channel",
        "currency",
        "customer",
        "placed_at",
        "shipping_amount",
        "order_discount",
        "order_discount_code",
        "expected_total",
        "priority",
        "note",
    )
)


def _nested(whole: Given) -> dict[str, Any]:
    """What JSON writes as objects and lists, from cells that name them flat."""
    found: dict[str, Any] = {}
    for kind in ("shipping", "billing"):
        prefix = f"{kind}_"
        place = {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}
        place.pop("amount", None)
        if place:
            place["lines"] = [place.pop(f"line{n}") for n in range(1, 6) if f"line{n}" in place]
            found[f"{kind}_address"] = place
    if "shipping_amount" in whole:
        found["shipping"] = {"amount": whole["shipping_amount"]}
    if "order_discount" in whole:
        found["discounts"] = [{"amount": whole["order_discount"], "code": whole.get("order_discount_code")}]
    return found


def _line_of_cells(given: Given) -> LineRequest:
    discount, tax = given.get("discount"), given.get("tax_name")
    nested: dict[str, Any] = {}
    if discount:
        nested["discounts"] = [{"amount": discount, "code": given.get("discount_code")}]
    if tax:
        nested["taxes"] = [
            {
                "name": tax,
                "percent": given.get("tax_percent"),
                "included": given.get("tax_included"),
                "amount": given.get("tax_amount"),
            }
        ]
    return line({**given, **nested})


def lines_of(given: Given) -> list[LineRequest]:
    lines = cells.things(given, "lines")
    if not lines:
        raise BadRow("lines is missing: an order needs at least one.")
    return [line(each) for each in lines]


def order(given: Given, lines: Sequence[LineRequest], channel: str | None) -> OrderRequest:
    """An order from the fields of an object.  Raises BadRow."""
    code = cells.text(given, "channel") or channel
    if code is None:
        raise BadRow("channel is missing: give the column, or name one channel for all with --channel.")
    return OrderRequest(
        channel=code,
        lines=lines,
        currency=cells.text(given, "currency"),
        external_ref=cells.wanted(given, "external_ref").strip(),
        customer=cells.text(given, "customer"),
        shipping_address=_address(given, "shipping_address"),
        billing_address=_address(given, "billing_address"),
        discounts=_discounts(given),
        shipping=_shipping(given),
        expected_total=cells.decimal(given, "expected_total"),
        priority=cells.whole(given, "priority") or 0,
        note=cells.text(given, "note"),
        placed_at=cells.instant(given, "placed_at"),
    )


def line(given: Given) -> LineRequest:
    quantity = cells.whole(given, "quantity")
    if quantity is None:
        raise BadRow("quantity is missing: give it.")
    return LineRequest(
        sku=cells.wanted(given, "sku"),
        quantity=quantity,
        unit_price=cells.decimal(given, "unit_price"),
        discounts=_discounts(given),
        taxes=_taxes(given),
    )


def _discounts(given: Given) -> list[DiscountRequest]:
    return [
        DiscountRequest(
            amount=_amount(each, "discount"), code=cells.text(each, "code"), description=cells.text(each, "description")
        )
        for each in cells.things(given, "discounts") or ()
    ]


def _taxes(given: Given) -> list[TaxRequest] | None:
    taxes = cells.things(given, "taxes")
    if taxes is None:
        return None
    return [
        TaxRequest(
            name=cells.wanted(each, "name"),
            rate_ppm=_rate_ppm(each),
            included=bool(cells.flag(each, "included")),
            amount=cells.decimal(each, "amount"),
        )
        for each in taxes
    ]


def _rate_ppm(given: Given) -> int:
    ppm = (cells.decimal(given, "percent") or Decimal(0)) * PPM_A_PERCENT
    if ppm != int(ppm):
        raise BadRow(f"percent is {given['percent']!r}: it has up to 4 decimals, round it.")
    return int(ppm)


def _shipping(given: Given) -> ShippingRequest | None:
    value = given.get("shipping")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRow("shipping is to be an object with an amount.")
    return ShippingRequest(amount=_amount(value, "shipping"), taxes=_taxes(value))


def _amount(given: Given, what: str) -> Decimal:
    amount = cells.decimal(given, "amount")
    if amount is None:
        raise BadRow(f"A {what} has no amount: give it.")
    return amount


def _address(given: Given, name: str) -> AddressRequest | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRow(f"{name} is to be an object.")
    lines = value.get("lines") or []
    if not isinstance(lines, list):
        raise BadRow(f"lines of {name} is to be a list of texts.")
    if cells.text(value, "country") is None:
        raise BadRow(f"{name} has no country: an address needs its country as two letters.")
    return AddressRequest(
        country=cells.wanted(value, "country"),
        lines=cells.texts(lines),
        **{
            each: cells.text(value, each)
            for each in ("name", "company", "city", "region", "postcode", "phone", "email")
        },
        latitude=cells.number(value, "latitude"),
        longitude=cells.number(value, "longitude"),
    )
