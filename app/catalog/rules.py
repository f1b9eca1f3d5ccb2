"""What SKUs, prices and bundles may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.kernel import inputs, search, texts
from app.kernel.errors import ValidationRefused
from app.kernel.inputs import Field
from app.kernel.upserts import Item

PRICES_MAX = 250
COMPONENTS_MAX = 100
UNIT_OF_MEASURE_MAX = 16
PRICE_MAX = Decimal("999999999999")
PRICE_DECIMALS = 6
_GTIN_LENGTHS = (8, 12, 13, 14)

Prices = dict[tuple[str, str], Decimal]
"""(channel code, currency) → amount."""

Components = dict[str, int]
"""SKU code → units in one bundle."""


def sku(given: Mapping[str, Any], path: tuple[str, ...]) -> Item:
    """A cleaned SKU.  Raises ValidationRefused."""
    item = inputs.item(given, FIELDS, clearable=CLEARABLE, path=path)
    components = item.given.get("components", {})
    if item.code in components:
        raise ValidationRefused(
            f"The bundle {item.code!r} would contain itself: name its parts by their own codes.",
            path=item.at("components", str(list(components).index(item.code)), "sku"),
        )
    if "components" in item.given:
        item = Item(code=item.code, given={**item.given, "bundle": bool(components)}, path=path, expected=item.expected)
    return item


def barcode(value: str, path: list[str]) -> str:
    """A printable code; of one with the length of a GTIN, the check digit must be right."""
    spelled = texts.code(value, path)
    if spelled.isascii() and spelled.isdigit() and len(spelled) in _GTIN_LENGTHS:
        expected = check_digit(spelled[:-1])
        if int(spelled[-1]) != expected:
            raise ValidationRefused(
                f"The barcode {spelled} ends in {spelled[-1]}, and as a GTIN-{len(spelled)} it would end in {expected}:"
                " look for a digit mistyped or left out.",
                path=path,
            )
    return spelled


def check_digit(digits: str) -> int:
    """The last digit of a GTIN whose others these are: weights 3 and 1 in turn, from the right."""
    return -sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))) % 10


def instant(value: datetime, path: list[str]) -> datetime:
    if value.tzinfo is None:
        raise ValidationRefused(f"`{path[-1]}` has no time zone: give an offset, such as Z.", path=path)
    return value


def prices(values: list[Mapping[str, Any]], path: list[str]) -> Prices:
    """A price list of one SKU."""
    inputs.at_most(values, PRICES_MAX, path)
    found: Prices = {}
    amount = inputs.decimal(Decimal(0), PRICE_MAX, PRICE_DECIMALS)
    for place, each in enumerate(values):
        at = [*path, str(place)]
        channel = texts.code(each["channel"], [*at, "channel"])
        currency = inputs.currency(each["currency"], [*at, "currency"])
        if (channel, currency) in found:
            raise ValidationRefused(
                f"The channel {channel!r} has two prices in {currency}: give one.", path=[*at, "currency"]
            )
        found[channel, currency] = amount(each["amount"], [*at, "amount"])
    return found


def components(values: list[Mapping[str, Any]], path: list[str]) -> Components:
    """The parts of a bundle; none means that the SKU is not a bundle."""
    inputs.at_most(values, COMPONENTS_MAX, path)
    found: Components = {}
    for place, each in enumerate(values):
        at = [*path, str(place)]
        code = texts.code(each["sku"], [*at, "sku"])
        if code in found:
            raise ValidationRefused(f"The component {code!r} stands twice: add up its units.", path=[*at, "sku"])
        found[code] = inputs.whole(1, 100_000)(each["units"], [*at, "units"])
    return found


def sort_and_search(facts: Mapping[str, Any]) -> dict[str, str]:
    """The columns that follow from code, name and barcode."""
    return {
        "name_key": texts.key(facts["name"]),
        "search": search.document((facts["code"], facts["name"], facts["barcode"])),
    }


FIELDS: dict[str, Field] = {
    "name": inputs.line(),
    "unit_of_measure": inputs.line(UNIT_OF_MEASURE_MAX),
    "weight_grams": inputs.whole(1),
    "length_mm": inputs.whole(1),
    "width_mm": inputs.whole(1),
    "height_mm": inputs.whole(1),
    "barcode": barcode,
    "hazardous": inputs.flag,
    "stock_tracked": inputs.flag,
    "backorder_limit": inputs.whole(0),
    "preorder_release_at": instant,
    "active": inputs.flag,
    "prices": prices,
    "components": components,
}
REQUIRED = ("name",)
CLEARABLE = frozenset({"weight_grams", "length_mm", "width_mm", "height_mm", "barcode", "preorder_release_at"})
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(sorted(CLEARABLE)),
    "unit_of_measure": "EA",
    "hazardous": False,
    "stock_tracked": True,
    "backorder_limit": 0,
    "bundle": False,
    "active": True,
    "prices": {},
    "components": {},
}
