"""Shopify's export of orders: one row a line item, what belongs to the whole order in the first of its rows.

Shopify writes what an order came to, not how: whether taxes are part of the prices, and which discounts are on lines,
follow from its totals. An order whose totals do not add up is rejected, never placed with others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from app.imports.files import BadRow, File, Row, cells_of
from app.imports.formats import cells
from app.imports.items import Entry, Item, Kept, Outcome, Target, grouped, kept
from app.kernel import money
from app.orders.requests import (
    AddressRequest,
    DiscountRequest,
    LineRequest,
    OrderRequest,
    ShippingRequest,
    TaxRequest,
)

COLUMNS = ("Name", "Currency", "Created at", "Lineitem quantity", "Lineitem price", "Lineitem sku", "Subtotal", "Total")
TAXES_MAX = 5
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_OFFSET = re.compile(r" ([+-]\d\d)(\d\d)$")

Given = Mapping[str, str]


def orders(file: File, target: Target) -> Iterator[Entry]:
    """Every order that has not been cancelled; those that have are set aside."""
    assert target.channel is not None
    rows = file.rows(COLUMNS)
    name = file.header.index("Name")
    keyed = ((row, row.cells[name].strip() if len(row.cells) > name else "") for row in rows)
    for group in grouped(keyed):
        if isinstance(group, Kept):
            yield group
            continue
        ref, lines = group
        try:
            yield _entry(ref, lines, [cells_of(file.header, row) for row in lines], target.channel)
        except BadRow as problem:
            yield kept(lines, problem)


def _entry(ref: str, rows: Sequence[Row], given: Sequence[Given], channel: str) -> Entry:
    if not ref:
        raise BadRow("Name is missing: it says which order the row belongs to.")
    head = given[0]
    if cancelled := head.get("Cancelled at"):
        return Kept(rows, f"cancelled in Shopify on {cancelled}: there is nothing left to place", Outcome.ASIDE)
    order = _order(ref, head, given, channel)
    return Item(rows, order, sum(line.quantity for line in order.lines))


def _order(ref: str, head: Given, given: Sequence[Given], channel: str) -> OrderRequest:
    currency = cells.wanted(head, "Currency")
    if not money.is_currency(currency):
        raise BadRow(f"Currency is {currency!r}: a currency of ISO 4217 is wanted.")
    lines = [_line(each) for each in given if each.get("Lineitem quantity")]
    if not lines:
        raise BadRow(f"{ref} has no line items.")
    lines, discounts = _discounted(head, given, lines)
    shipping = cells.decimal(head, "Shipping") or Decimal(0)
    lines = _taxed(head, given, lines, discounts, shipping, currency)
    status = ", ".join(text.lower() for name in ("Financial Status", "Fulfillment Status") if (text := head.get(name)))
    return OrderRequest(
        channel=channel,
        external_ref=ref,
        currency=currency,
        lines=lines,
        discounts=discounts,
        shipping=ShippingRequest(amount=shipping, taxes=()) if shipping else None,
        expected_total=_total(head, "Total"),
        shipping_address=_address(head, "Shipping"),
        billing_address=_address(head, "Billing"),
        note="\n".join(filter(None, (head.get("Notes"), f"Shopify: {status}" if status else None))) or None,
        placed_at=_instant(head),
    )


def _line(given: Given) -> LineRequest:
    quantity, price = cells.whole(given, "Lineitem quantity"), cells.decimal(given, "Lineitem price")
    if quantity is None or price is None:
        raise BadRow("A line item has no quantity or no price: export the orders anew.")
    sku = given.get("Lineitem sku")
    if sku is None:
        raise BadRow(f"Lineitem sku is missing for {given.get('Lineitem name')!r}: give the product a SKU in Shopify.")
    return LineRequest(sku=sku, quantity=quantity, unit_price=price, taxes=())


def _discounted(
    head: Given, given: Sequence[Given], lines: Sequence[LineRequest]
) -> tuple[list[LineRequest], list[DiscountRequest]]:
    """The lines with their own discounts, and what is left as the order's.

    What is taken off the lines is what they come to less the subtotal; a discount beyond that was on shipping, whose
    amount has it off already.
    """
    own = [cells.decimal(each, "Lineitem discount") or Decimal(0) for each in given if each.get("Lineitem quantity")]
    gross = sum((_price(line) * line.quantity for line in lines), Decimal(0))
    off = gross - _total(head, "Subtotal")
    said = (cells.decimal(head, "Discount Amount") or Decimal(0)) + sum(own)
    if not 0 <= off <= said:
        raise BadRow(
            f"The line items come to {gross}, the subtotal is {head['Subtotal']} and the discounts are {said}: they do"
            " not agree, so the order cannot be placed as it was."
        )
    if sum(own) > off:  # more than came off: Shopify counts them in the discount of the order
        own = [Decimal(0)] * len(own)
    code = head.get("Discount Code")
    discounted = [
        replace(line, discounts=[DiscountRequest(amount=amount)]) if amount else line
        for line, amount in zip(lines, own, strict=True)
    ]
    rest = off - sum(own)
    return discounted, [DiscountRequest(amount=rest, code=code)] if rest else []


def _taxed(
    head: Given,
    given: Sequence[Given],
    lines: Sequence[LineRequest],
    discounts: Sequence[DiscountRequest],
    shipping: Decimal,
    currency: str,
) -> list[LineRequest]:
    """The lines with the order's taxes spread over those that are taxable, by what they come to."""
    taxes, total = cells.decimal(head, "Taxes") or Decimal(0), _total(head, "Total")
    before = _total(head, "Subtotal") + shipping
    if total not in (before, before + taxes):
        raise BadRow(
            f"The subtotal and shipping are {before}, the taxes {taxes} and the total {total}: they do not agree, so"
            " the order cannot be placed as it was."
        )
    if not taxes:
        return list(lines)
    named = [
        (head.get(f"Tax {n} Name") or "tax", cells.decimal(head, f"Tax {n} Value")) for n in range(1, TAXES_MAX + 1)
    ]
    parts = [(name, value) for name, value in named if value]
    if sum((value for _, value in parts), Decimal(0)) != taxes:
        parts = [(parts[0][0] if parts else "tax", taxes)]
    taxable = [
        each.get("Lineitem taxable", "true").lower() != "false" for each in given if each.get("Lineitem quantity")
    ]
    weights = [
        max(0, money.minor(_price(line) * line.quantity - sum(d.amount for d in line.discounts), currency))
        * (yes or not any(taxable))
        for line, yes in zip(lines, taxable, strict=True)
    ]
    spread = [_spread(value, weights, currency) for _, value in parts]
    return [
        replace(
            line,
            taxes=[
                TaxRequest(name=name, rate_ppm=_rate(name), included=total == before, amount=amounts[place])
                for (name, _), amounts in zip(parts, spread, strict=True)
                if amounts[place]
            ],
        )
        for place, line in enumerate(lines)
    ]


def _spread(amount: Decimal, weights: Sequence[int], currency: str) -> list[Decimal]:
    return [money.major(part, currency) for part in money.prorate(money.minor(amount, currency), weights)]


def _rate(name: str) -> int:
    """The rate that a tax's name tells, as in VAT 20%; nothing where it tells none."""
    found = _RATE.search(name)
    return int(Decimal(found[1]) * 10_000) if found else 0


def _price(line: LineRequest) -> Decimal:
    assert line.unit_price is not None
    return line.unit_price


def _total(head: Given, name: str) -> Decimal:
    amount = cells.decimal(head, name)
    if amount is None:
        raise BadRow(f"{name} is missing in the order's first row: its rows must lie together in the file.")
    return amount


def _instant(head: Given) -> datetime:
    """Created at, which Shopify writes as 2026-03-02 12:00:00 +0100."""
    written = cells.wanted(head, "Created at")
    found = cells.instant({"Created at": _OFFSET.sub(r"\1:\2", written.replace(" UTC", " +0000"))}, "Created at")
    assert found is not None
    return found


def _address(head: Given, kind: str) -> AddressRequest | None:
    country = head.get(f"{kind} Country")
    if country is None:
        return None
    lines = [head[name] for name in (f"{kind} Address1", f"{kind} Address2") if name in head]
    street = head.get(f"{kind} Street")
    return AddressRequest(
        country=country,
        name=head.get(f"{kind} Name"),
        company=head.get(f"{kind} Company"),
        lines=[part for line in lines or [street or ""] for part in line.splitlines() if part.strip()],
        city=head.get(f"{kind} City"),
        region=head.get(f"{kind} Province"),
        postcode=(head.get(f"{kind} Zip") or "").lstrip("'") or None,
        phone=(head.get(f"{kind} Phone") or "").lstrip("'") or None,
        email=head.get("Email"),
    )
