"""An order request in its one spelling, or a refusal of what cannot be right whatever the world looks like."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from app.customers import rules as customers
from app.kernel import inputs, money, texts
from app.kernel.errors import ValidationRefused
from app.orders.requests import AddressRequest, DiscountRequest, LineRequest, OrderRequest, TaxRequest

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
    _check_discounts(request.discounts, [*_PATH, "discounts"])
    if request.shipping is not None:
        _check_taxes(request.shipping.taxes, [*_PATH, "shipping", "taxes"])
        if not 0 <= request.shipping.amount < UNIT_PRICE_MAX:
            raise ValidationRefused("Shipping cannot cost less than nothing.", path=[*_PATH, "shipping", "amount"])
    return replace(
        request,
        channel=texts.spelled(request.channel),
        lines=[_line(line, [*_PATH, "lines", str(i)]) for i, line in enumerate(request.lines)],
        external_ref=_text(request.external_ref, "externalRef"),
        customer=None if request.customer is None else texts.spelled(request.customer),
        note=note(request.note),
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
    _check_discounts(line.discounts, [*path, "discounts"])
    _check_taxes(line.taxes, [*path, "taxes"])
    return line if line.sku.isascii() and "\0" not in line.sku else replace(line, sku=texts.spelled(line.sku))


def _check_discounts(discounts: Sequence[DiscountRequest], path: list[str]) -> None:
    inputs.at_most(list(discounts), DISCOUNTS_MAX, path)
    for i, discount in enumerate(discounts):
        if not 0 <= discount.amount < UNIT_PRICE_MAX:
            raise ValidationRefused("A discount cannot be less than nothing.", path=[*path, str(i), "amount"])
        for name, value in (("code", discount.code), ("description", discount.description)):
            if value is not None:
                texts.line(value, [*path, str(i), name])


def _check_taxes(taxes: Sequence[TaxRequest] | None, path: list[str]) -> None:
    inputs.at_most(list(taxes or ()), TAXES_MAX, path)
    for i, tax in enumerate(taxes or ()):
        texts.line(tax.name, [*path, str(i), "name"])
        if not 0 <= tax.rate_ppm <= money.PPM:
            raise ValidationRefused("A tax rate lies between 0 and 100 percent.", path=[*path, str(i), "ratePercent"])
        if tax.amount is not None and not 0 <= tax.amount < UNIT_PRICE_MAX:
            raise ValidationRefused("A tax cannot be less than nothing.", path=[*path, str(i), "amount"])


def _address(address: AddressRequest | None, path: list[str]) -> AddressRequest | None:
    if address is None:
        return None
    inputs.country(address.country, [*path, "country"])
    inputs.at_most(list(address.lines), ADDRESS_LINES_MAX, [*path, "lines"])
    for name, most, value in (("latitude", 90.0, address.latitude), ("longitude", 180.0, address.longitude)):
        if value is not None:
            inputs.number(-most, most)(value, [*path, name])
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
