"""The scalars of the schema: what is accepted, what is sent, and a message that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, NewType
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pycountry
import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from app.kernel.money import is_currency

Long = NewType("Long", int)
Cursor = NewType("Cursor", str)
CurrencyCode = NewType("CurrencyCode", str)
CountryCode = NewType("CountryCode", str)
TimeZone = NewType("TimeZone", str)

LONG_MAX = 2**63 - 1
JSON_NESTING_MAX = 32
_CURSOR = re.compile(r"[A-Za-z0-9_=.:-]{1,1024}", re.ASCII)
# Python's own parsers accept far more than RFC 3339 does: week dates, missing seconds, no offset.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,20}(\.\d{1,12})?", re.ASCII)

_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
_ZONES = frozenset(available_timezones())


def parse_date_time(value: Any) -> datetime:
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise _wrong("DateTime", value, "an instant with its offset, such as 2026-03-01T09:30:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong("DateTime", value, "an instant that exists, such as 2026-03-01T09:30:00Z") from None


def serialize_date_time(value: datetime) -> str:
    if value.tzinfo is UTC:  # as rows from the database are
        return value.isoformat()[:-6] + "Z"
    if value.tzinfo is None:
        raise ValueError("a DateTime without a time zone: take it from kernel.clock or a timestamptz column")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_date(value: Any) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _wrong("Date", value, "a day of the calendar, such as 2026-03-01")


def parse_decimal(value: Any) -> Decimal:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _DECIMAL.fullmatch(text):
        try:
            return Decimal(text)
        except InvalidOperation:
            pass
    raise _wrong("Decimal", value, 'a string of at most 20 digits and 12 decimal places, such as "19.99"')


def serialize_decimal(value: Decimal) -> str:
    """Plain digits, never an exponent."""
    return f"{value:f}"


def parse_long(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -LONG_MAX - 1 <= value <= LONG_MAX:
        return value
    raise _wrong("Long", value, "a whole number of 64 bits")


def parse_cursor(value: Any) -> str:
    if isinstance(value, str) and _CURSOR.fullmatch(value):
        return value
    raise _wrong("Cursor", value, "a cursor exactly as this API gave it")


def parse_json(value: Any) -> Any:
    """Any JSON value that can be written back: not nested too deeply, no number out of range."""
    level, nesting = [value], 0
    while level:
        if nesting > JSON_NESTING_MAX:
            raise GraphQLError(f"JSON may be nested {JSON_NESTING_MAX} levels deep, this is deeper.")
        if not all(map(_fits_json, level)):
            raise GraphQLError("JSON may hold finite numbers, and whole ones of 64 bits: this is larger.")
        nesting += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return value


def _fits_json(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return not isinstance(value, int) or -LONG_MAX - 1 <= value <= LONG_MAX


def parse_currency(value: Any) -> str:
    if isinstance(value, str) and is_currency(value):
        return value
    raise _wrong("CurrencyCode", value, "a code of ISO 4217 in capitals, such as EUR")


def parse_country(value: Any) -> str:
    if isinstance(value, str) and value in _COUNTRIES:
        return value
    raise _wrong("CountryCode", value, "a two-letter code of ISO 3166-1 in capitals, such as GB")


def parse_time_zone(value: Any) -> str:
    if isinstance(value, str) and value in _ZONES:
        return ZoneInfo(value).key
    raise _wrong("TimeZone", value, "a name of the IANA time zone database, such as Europe/London")


def parse_uuid(value: Any) -> UUID:
    if isinstance(value, str) and len(value) == 36:
        try:
            return UUID(value)
        except ValueError:
            pass
    raise _wrong("UUID", value, "a UUID such as 0195d3b0-6f3c-7d63-8e9c-2f1a5c0b7f11")


def _wrong(name: str, value: Any, wanted: str) -> GraphQLError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return GraphQLError(f"{name} cannot be {shown}: write {wanted}.")


def _scalar(
    name: str,
    description: str,
    parse: Callable[[Any], Any],
    serialize: Callable[[Any], Any] = lambda value: value,
    url: str | None = None,
) -> ScalarDefinition:
    return strawberry.scalar(
        name=name, description=description, parse_value=parse, serialize=serialize, specified_by_url=url
    )


# For StrawberryConfig(scalar_map=SCALARS).
SCALARS: dict[object, ScalarDefinition] = {
    datetime: _scalar(
        "DateTime",
        "An instant in UTC, by RFC 3339: `2026-03-01T09:30:00Z`. Input may carry any offset, never none.",
        parse_date_time,
        serialize_date_time,
        "https://scalars.graphql.org/andimarek/date-time",
    ),
    date: _scalar("Date", "A day of the calendar without a time zone: `2026-03-01`.", parse_date, date.isoformat),
    Decimal: _scalar("Decimal", 'An exact decimal number, as a string: `"19.99"`.', parse_decimal, serialize_decimal),
    Long: _scalar("Long", "A whole number of 64 bits, as a JSON number.", parse_long, parse_long),
    Cursor: _scalar(
        "Cursor",
        "An opaque, signed position in a list or in the stream of events. Keep it, send it back unchanged,"
        " read nothing into it.",
        parse_cursor,
    ),
    JSON: _scalar("JSON", f"Any JSON value, nested up to {JSON_NESTING_MAX} levels deep.", parse_json),
    UUID: _scalar("UUID", "A universally unique identifier, by RFC 9562.", parse_uuid, str),
    CurrencyCode: _scalar("CurrencyCode", "A currency by ISO 4217: `EUR`.", parse_currency),
    CountryCode: _scalar("CountryCode", "A country by ISO 3166-1, two letters: `GB`.", parse_country),
    TimeZone: _scalar("TimeZone", "A time zone of the IANA database: `Europe/London`.", parse_time_zone),
}
