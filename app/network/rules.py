"""What channels and locations may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.kernel import inputs, search, texts
from app.kernel.errors import ValidationRefused
from app.kernel.inputs import Field
from app.kernel.upserts import Item
from app.network.states import ChannelKind, LocationType, PaymentPolicy

LOCATIONS_MAX = 250
ORIGINS_MAX = 50
ADDRESS_LINES_MAX = 5

Assignments = dict[str, tuple[int, int]]
"""Location code → (priority, safety stock)."""


def channel(given: Mapping[str, Any], path: tuple[str, ...]) -> Item:
    """A cleaned channel.  Raises ValidationRefused."""
    return inputs.item(given, CHANNEL_FIELDS, clearable=frozenset(), path=path)


def location(given: Mapping[str, Any], path: tuple[str, ...]) -> Item:
    """A cleaned location.  Raises ValidationRefused."""
    return inputs.item(given, LOCATION_FIELDS, clearable=LOCATION_CLEARABLE, path=path)


def origins(values: list[str], path: list[str]) -> list[str]:
    """Web origins, each as browsers send it; sorted, each once."""
    return sorted({_origin(each, [*path, str(place)]) for place, each in enumerate(_few(values, path))})


def _few(values: list[str], path: list[str]) -> list[str]:
    inputs.at_most(values, ORIGINS_MAX, path)
    return values


def _origin(value: str, path: list[str]) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname
    if (
        parts.scheme not in ("http", "https")
        or not host
        or not host.isascii()
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username is not None
        or any(char.isspace() or char == "*" for char in value)
    ):
        raise ValidationRefused(
            f"{value!r} is not a web origin: give scheme and host as browsers send them,"
            " such as https://shop.example (international names in their xn-- form).",
            path=path,
        )
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port and port != usual else "")


def assignments(values: list[Mapping[str, Any]], path: list[str]) -> Assignments:
    """The locations that serve a channel."""
    inputs.at_most(values, LOCATIONS_MAX, path)
    found: Assignments = {}
    for place, each in enumerate(values):
        at = [*path, str(place)]
        code = texts.code(each["location"], [*at, "location"])
        if code in found:
            raise ValidationRefused(f"The location {code!r} stands twice: give it once.", path=[*at, "location"])
        found[code] = (
            inputs.whole(0)(each.get("priority", 0), [*at, "priority"]),
            inputs.whole(0)(each.get("safety_stock", 0), [*at, "safetyStock"]),
        )
    return found


def address(value: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    """A postal address without its country."""
    lines = inputs.at_most(value.get("lines") or [], ADDRESS_LINES_MAX, [*path, "lines"])
    cleaned: dict[str, Any] = {
        "lines": [texts.line(each, [*path, "lines", str(place)]) for place, each in enumerate(lines)]
    }
    for name in ("city", "region", "postcode"):
        given = value.get(name)
        cleaned[name] = None if given is None else texts.line(given, [*path, name])
    return cleaned


def check_location(facts: Mapping[str, Any], item: Item) -> None:
    """Coordinates come in pairs.  Raises ValidationRefused."""
    if (facts["latitude"] is None) != (facts["longitude"] is None):
        missing = "latitude" if facts["latitude"] is None else "longitude"
        raise ValidationRefused(
            f"The location {item.code!r} would have half a coordinate: give `{missing}` too, or clear both.",
            path=item.at(missing),
        )


def sort_and_search(facts: Mapping[str, Any]) -> dict[str, str]:
    """The columns that follow from code and name."""
    return {"name_key": texts.key(facts["name"]), "search": search.document((facts["code"], facts["name"]))}


CHANNEL_FIELDS: dict[str, Field] = {
    "name": inputs.line(),
    "kind": inputs.one_of(ChannelKind),
    "currency": inputs.currency,
    "time_zone": inputs.time_zone,
    "tax_rate_ppm": inputs.whole(0, 1_000_000),
    "prices_include_tax": inputs.flag,
    "payment_policy": inputs.one_of(PaymentPolicy),
    "origins": origins,
    "active": inputs.flag,
    "locations": assignments,
}
CHANNEL_REQUIRED = ("name", "kind", "currency")
CHANNEL_DEFAULTS: dict[str, Any] = {
    "time_zone": "UTC",
    "tax_rate_ppm": 0,
    "prices_include_tax": True,
    "payment_policy": PaymentPolicy.NONE.value,
    "origins": [],
    "active": True,
    "locations": {},
}

LOCATION_FIELDS: dict[str, Field] = {
    "name": inputs.line(),
    "type": inputs.one_of(LocationType),
    "latitude": inputs.number(-90, 90),
    "longitude": inputs.number(-180, 180),
    "country": inputs.country,
    "time_zone": inputs.time_zone,
    "address": address,
    "daily_order_capacity": inputs.whole(0),
    "daily_unit_capacity": inputs.whole(0),
    "cutoff": inputs.clock_time,
    "active": inputs.flag,
}
LOCATION_REQUIRED = ("name", "type", "country")
LOCATION_CLEARABLE = frozenset(
    {"latitude", "longitude", "address", "daily_order_capacity", "daily_unit_capacity", "cutoff"}
)
LOCATION_DEFAULTS: dict[str, Any] = {**dict.fromkeys(LOCATION_CLEARABLE), "time_zone": "UTC", "active": True}
