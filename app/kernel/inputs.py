"""What the fields of an input may hold. Each function returns the one spelling that is stored, or refuses by name.

A field is a function of a value and its path; the path's last part names the field in the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import available_timezones

import pycountry

from app.kernel import money, texts
from app.kernel.errors import ValidationRefused
from app.kernel.upserts import Gathering, Item, camel

Field = Callable[[Any, list[str]], Any]

INT_MAX = 2**31 - 1

_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
_ZONES = frozenset(available_timezones())
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def item(
    given: Mapping[str, Any], fields: Mapping[str, Field], *, clearable: frozenset[str], path: tuple[str, ...]
) -> Item:
    """The cleaned input of one upsert.  Raises ValidationRefused.

    given      `code`, perhaps `expected_version`, and the fields to set
    clearable  fields that None clears; for others None is refused
    """
    values: dict[str, Any] = {}
    gathering = Gathering()
    with gathering.part():
        values["code"] = texts.code(given["code"], [*path, "code"])
    for name, value in given.items():
        if name in ("code", "expected_version"):
            continue
        at = [*path, camel(name)]
        with gathering.part():
            if value is not None:
                values[name] = fields[name](value, at)
            elif name in clearable:
                values[name] = None
            else:
                raise ValidationRefused(f"`{at[-1]}` cannot be null: leave it out to keep what is stored.", path=at)
    gathering.settle()
    return Item(code=values.pop("code"), given=values, path=path, expected=given.get("expected_version"))


def line(most: int = texts.NAME_MAX) -> Field:
    return lambda value, path: texts.line(value, path, most=most)


def flag(value: bool, path: Sequence[str]) -> bool:
    return bool(value)


def whole(least: int, most: int = INT_MAX) -> Field:
    def clean(value: int, path: list[str]) -> int:
        if not least <= value <= most:
            raise ValidationRefused(f"`{path[-1]}` is {value}: give a whole number from {least} to {most}.", path=path)
        return value

    return clean


def decimal(least: Decimal, most: Decimal, decimals: int) -> Field:
    """A finite decimal within bounds that is not finer than so many decimals."""

    def clean(value: Decimal, path: list[str]) -> Decimal:
        if not value.is_finite() or not least <= value <= most:
            raise ValidationRefused(f"`{path[-1]}` is {value}: give a number from {least} to {most}.", path=path)
        if value != round(value, decimals):
            raise ValidationRefused(f"`{path[-1]}` is {value}: it has up to {decimals} decimals, round it.", path=path)
        return value

    return clean


def number(least: float, most: float) -> Field:
    def clean(value: float, path: list[str]) -> float:
        if not least <= value <= most:  # also where it is not a number
            raise ValidationRefused(f"`{path[-1]}` is {value}: give a number from {least:g} to {most:g}.", path=path)
        return float(value)

    return clean


def one_of(kinds: type[StrEnum]) -> Field:
    def clean(value: str, path: list[str]) -> str:
        try:
            return kinds(value).value
        except ValueError:
            raise ValidationRefused(f"`{path[-1]}` is {value!r}: give one of {', '.join(kinds)}.", path=path) from None

    return clean


def currency(value: str, path: list[str]) -> str:
    if not money.is_currency(value):
        raise ValidationRefused(
            f"`{path[-1]}` is {value!r}: give a currency of ISO 4217 in capitals, such as EUR.", path=path
        )
    return value


def country(value: str, path: list[str]) -> str:
    if value not in _COUNTRIES:
        raise ValidationRefused(
            f"`{path[-1]}` is {value!r}: give a country of ISO 3166-1 as two capitals, such as GB.", path=path
        )
    return value


def time_zone(value: str, path: list[str]) -> str:
    if value not in _ZONES:
        raise ValidationRefused(
            f"`{path[-1]}` is {value!r}: give a time zone of the IANA database, such as Europe/London.", path=path
        )
    return value


def clock_time(value: str, path: list[str]) -> time:
    """`HH:MM` of a day of 24 hours."""
    if not _TIME.fullmatch(value):
        raise ValidationRefused(f"`{path[-1]}` is {value!r}: give a time of day such as 16:30.", path=path)
    return time.fromisoformat(value)


def at_most(values: Sequence[Any], most: int, path: list[str]) -> Sequence[Any]:
    if len(values) > most:
        raise ValidationRefused(f"`{path[-1]}` has {len(values)} entries, {most} are kept: leave some out.", path=path)
    return values
