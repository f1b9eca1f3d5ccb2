"""An order request in its one spelling, or a refusal of what cannot be right whatever the world looks like."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from app.customers import rules as customers
from app.kernel import inputs, money, texts
from app.kernel.errors import ValidationRefused
from app.orders.requests import (
    AddressRequest,
    DiscountRequest,
    LineRequest,
    OrderRequest,
    ShippingRequest,
    TaxRequest,
)

UNITS_MAX = 1_000_000
LINES_MAX = 2_000
NOTE_MAX = 2_000
PRIORITY_MAX = 100
ADDRESS_LINES_MAX = 5
DISCOUNTS_MAX = 50
TAXES_MAX = 20
UNIT_PRICE_MAX = Decimal(10**9)
UNIT_PRICE_DECIMALS = 6
_PATH = ["input"]


def cleaned(request: OrderRequest) -> OrderRequest:
    """The request with texts in NFC and without stray spaces.  Raises ValidationRefused."""
    if not request.lines:
        raise ValidationRefused("An order needs at least one line.", path=[*_PATH, "lines"])
    if len(request.lines) > LINES_MAX:
        raise ValidationRefused(
            f"{len(request.lines):,} lines are too many, an order holds up to {LINES_MAX:,}: split it.",
            path=[*_PATH, "lines"],
        )
    if abs(request.priority) > PRIORITY_MAX:
        raise ValidationRefused(
            f"A priority lies between -{PRIORITY_MAX} and {PRIORITY_MAX}, not at {request.priority}.",
            path=[*_PATH, "priority"],
        )
    if request.currency is not None:
        inputs.currency(request.currency, [*_PATH, "currency"])
    return replace(
        request,
        channel=texts.spelled(request.channel),
        lines=[_line(line, [*_PATH, "lines", str(i)]) for i, line in enumerate(request.lines)],
        external_ref=_text(request.external_ref, "externalRef"),
        customer=None if request.customer is None else texts.spelled(request.customer),
        reservation_token=None if request.reservation_token is None else texts.spelled(request.reservation_token),
        note=note(request.note),
        discounts=_discounts(request.discounts, [*_PATH, "discounts"]),
        shipping=_shipping(request.shipping, [*_PATH, "shipping"]),
        shipping_address=_address(request.shipping_address, [*_PATH, "shippingAddress"]),
        billing_address=_address(request.billing_address, [*_PATH, "billingAddress"]),
    )


def note(value: str | None) -> str | None:
    """A note of several lines.  Raises ValidationRefused."""
    if value is None:
        return None
    if len(value) > NOTE_MAX:
        raise ValidationRefused(
            f"A note has up to {NOTE_MAX:,} characters, this one has {len(value):,}: shorten it.", path=[*_PATH, "note"]
        )
    return value.replace("\0", "").encode("utf-8", "replace").decode().strip() or None


def whole_minor(amount: Decimal, currency: str, path: list[str]) -> int:
    """An amount in minor units.  Raises ValidationRefused where it is finer than the currency."""
    if not money.is_whole_minor(amount, currency):
        raise ValidationRefused(
            f"{amount} has more decimals than {currency} has: {money.exponent(currency)} are allowed.", path=path
        )
    return money.minor(amount, currency)


def _line(line: LineRequest, path: list[str]) -> LineRequest:
    if not 1 <= line.quantity <= UNITS_MAX:
        raise ValidationRefused(
            f"{line.quantity} of {line.sku[:80]!r}: a quantity lies between 1 and {UNITS_MAX:,}.",
            path=[*path, "quantity"],
        )
    if line.unit_price is not None:
        inputs.decimal(Decimal(0), UNIT_PRICE_MAX, UNIT_PRICE_DECIMALS)(line.unit_price, [*path, "unitPrice"])
    if line.sku.isascii() and "\0" not in line.sku and not line.discounts and not line.taxes:
        return line
    return replace(
        line,
        sku=texts.spelled(line.sku),
        discounts=_discounts(line.discounts, [*path, "discounts"]),
        taxes=_taxes(line.taxes, [*path, "taxes"]),
    )


def _shipping(shipping: ShippingRequest | None, path: list[str]) -> ShippingRequest | None:
    if shipping is None:
        return None
    _amount(shipping.amount, [*path, "amount"])
    return replace(shipping, taxes=_taxes(shipping.taxes, [*path, "taxes"]))


def _discounts(discounts: Sequence[DiscountRequest], path: list[str]) -> Sequence[DiscountRequest]:
    inputs.at_most(discounts, DISCOUNTS_MAX, path)
    return [_discount(discount, [*path, str(i)]) for i, discount in enumerate(discounts)]


def _discount(discount: DiscountRequest, path: list[str]) -> DiscountRequest:
    _amount(discount.amount, [*path, "amount"])
    return replace(
        discount, code=_text(discount.code, "code", path), description=_text(discount.description, "description", path)
    )


def _taxes(taxes: Sequence[TaxRequest] | None, path: list[str]) -> Sequence[TaxRequest] | None:
    if taxes is None:
        return None
    inputs.at_most(taxes, TAXES_MAX, path)
    return [_tax(tax, [*path, str(i)]) for i, tax in enumerate(taxes)]


def _tax(tax: TaxRequest, path: list[str]) -> TaxRequest:
    if not 0 <= tax.rate_ppm <= money.PPM:
        raise ValidationRefused("A tax rate lies between 0 and 100 percent.", path=[*path, "ratePercent"])
    if tax.amount is not None:
        _amount(tax.amount, [*path, "amount"])
    return replace(tax, name=texts.line(tax.name, [*path, "name"]))


def _amount(amount: Decimal, path: list[str]) -> None:
    """How fine it may be is the currency's to say, once that is known.  Raises ValidationRefused."""
    if not amount.is_finite() or not 0 <= amount < UNIT_PRICE_MAX:
        raise ValidationRefused(f"The amount is {amount}: give 0 or more, and less than {UNIT_PRICE_MAX:,}.", path=path)


def _address(address: AddressRequest | None, path: list[str]) -> AddressRequest | None:
    if address is None:
        return None
    inputs.country(address.country, [*path, "country"])
    inputs.at_most(list(address.lines), ADDRESS_LINES_MAX, [*path, "lines"])
    for name, most, value in (("latitude", 90.0, address.latitude), ("longitude", 180.0, address.longitude)):
        if value is not None:
            inputs.number(-most, most)(value, [*path, name])
    if (address.latitude is None) != (address.longitude is None):
        raise ValidationRefused("Give `latitude` and `longitude` together, or neither.", path=path)
    return replace(
        address,
        name=_text(address.name, "name", path),
        company=_text(address.company, "company", path),
        lines=[texts.line(line, [*path, "lines", str(i)]) for i, line in enumerate(address.lines)],
        city=_text(address.city, "city", path),
        region=_text(address.region, "region", path),
        postcode=_text(address.postcode, "postcode", path),
        phone=_text(address.phone, "phone", path),
        email=None if address.email is None else customers.email(address.email, [*path, "email"]),
    )


def _text(value: str | None, name: str, path: list[str] | None = None) -> str | None:
    """One line of text; empty is as good as absent."""
    if value is None or not value.strip():
        return None
    return texts.line(value, [*(path or _PATH), name])
