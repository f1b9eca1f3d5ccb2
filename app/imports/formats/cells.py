"""From the text of a cell, or a value of a JSON object, to what a command takes.  Each raises BadRow by name."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from app.imports.files import BadRow

Given = Mapping[str, Any]
# Far beyond any bound of a command, and small enough to count with.
NUMBER_MAX = 10**18
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(given: Given, name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool | list | dict):
        raise BadRow(f"{name} is {value!r}: a text is wanted.")
    if "\0" in (found := str(value)):
        raise BadRow(f"{name} holds the character NUL: remove it.")
    return found if found.isascii() else unicodedata.normalize("NFC", found)


def wanted(given: Given, name: str) -> str:
    if (value := text(given, name)) is None:
        raise BadRow(f"{name} is missing: give it.")
    return value


def texts(values: list[Any]) -> list[str]:
    """The texts of a JSON list, without those that are empty."""
    return [found for value in values if (found := text({"lines": value}, "lines")) is not None]


def whole(given: Given, name: str) -> int | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or number != int(number):
        raise BadRow(f"{name} is {_shown(value)}: a whole number is wanted.")
    return int(number)


def decimal(given: Given, name: str) -> Decimal | None:
    """A number with a point for its decimals, no signs for thousands."""
    value = given.get(name)
    if value is None or value == "":
        return None
    found = _number(value)
    if found is None:
        raise BadRow(f"{name} is {_shown(value)}: a number such as 1234.50 is wanted.")
    return found


def _number(value: Any) -> Decimal | None:
    """A number that can be counted with, or None."""
    try:
        found = Decimal("NaN" if isinstance(value, bool) else str(value))
    except InvalidOperation:
        return None
    # By its exponent first: to work out 1e999999 takes minutes.
    small = found.is_finite() and (not found or -30 <= found.adjusted() < 20)
    return found if small and abs(found) <= NUMBER_MAX else None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def number(given: Given, name: str) -> float | None:
    value = decimal(given, name)
    return None if value is None else float(value)


def flag(given: Given, name: str) -> bool | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    known = _FLAGS.get(str(value).lower())
    if known is None:
        raise BadRow(f"{name} is {value!r}: true or false is wanted.")
    return known


def instant(given: Given, name: str) -> datetime | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise BadRow(f"{name} is {value!r}: a time such as 2026-03-02T12:00:00Z is wanted.") from None
    if found.tzinfo is None:
        raise BadRow(f"{name} is {value!r}, without an offset: write it as 2026-03-02T12:00:00Z or +01:00.")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise BadRow(f"{name} is {value!r}: no such time can be kept.") from None


def things(given: Given, name: str) -> list[Given] | None:
    """A list of JSON objects."""
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadRow(f"{name} is to be a list of objects.")
    return list(value)


def set_fields(given: Given, readers: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that hold something."""
    found = {name: read(given, name) for name, read in readers.items() if name in given}
    return {name: value for name, value in found.items() if value is not None}
