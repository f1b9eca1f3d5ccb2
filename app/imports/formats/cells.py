"""From the text of a cell, or a value of a JSON object, to what a command takes.  Each raises BadRow by name."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from app.imports.files import BadRow

Given = Mapping[str, Any]
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(given: Given, name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool | list | dict):
        raise BadRow(f"{name} is {value!r}: a text is wanted.")
    return str(value)


def wanted(given: Given, name: str) -> str:
    if (value := text(given, name)) is None:
        raise BadRow(f"{name} is missing: give it.")
    return value


def whole(given: Given, name: str) -> int | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
        if isinstance(value, bool) or number != int(number):
            raise ValueError
    except (ArithmeticError, ValueError):
        raise BadRow(f"{name} is {value!r}: a whole number is wanted.") from None
    return int(number)


def decimal(given: Given, name: str) -> Decimal | None:
    """A number with a point for its decimals, no signs for thousands."""
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise BadRow(f"{name} is {value!r}: a number such as 1234.50 is wanted.")
    return number


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
    return found


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
