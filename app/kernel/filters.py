"""Predicates as data: one condition that PostgreSQL answers for lists and Python answers for live events.

Two-valued: a NULL fact satisfies `IsNull` and nothing else, and `Not` turns every false into true, also one that came
from a NULL. `to_sql` and `matches` agree on every row; a property test holds them to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Numeric,
    String,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    collate,
    false,
    func,
    not_,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from app.kernel.errors import ValidationRefused

CONDITIONS_MAX = 50
NESTING_MAX = 5
LIST_MAX = 250
TEXT_MAX = 255

Scalar = str | int | bool | Decimal | datetime | date | UUID


@dataclass(frozen=True, slots=True)
class Eq:
    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class OneOf:
    """An empty list matches nothing."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """All given bounds hold; with none, every fact that is not NULL. Text compares by code point, whatever the
    database's collation."""

    field: str
    gte: Scalar | None = None
    gt: Scalar | None = None
    lte: Scalar | None = None
    lt: Scalar | None = None

    def bounds(self) -> Iterator[tuple[str, Scalar]]:
        for name in ("gte", "gt", "lte", "lt"):
            if (bound := getattr(self, name)) is not None:
                yield name, bound


@dataclass(frozen=True, slots=True)
class Prefix:
    """Case-sensitive; the empty prefix matches every text that is not NULL."""

    field: str
    start: str


@dataclass(frozen=True, slots=True)
class IsNull:
    field: str
    null: bool = True


@dataclass(frozen=True, slots=True)
class And:
    """True without parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """False without parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


Filter = Eq | OneOf | Range | Prefix | IsNull | And | Or | Not

ALL = And(())


def check(predicate: Filter, *, path: Sequence[str] = ("where",)) -> Filter:
    """The predicate itself, when it is small and its values can exist in PostgreSQL.  Raises ValidationRefused."""

    def refuse(problem: str) -> ValidationRefused:
        return ValidationRefused(problem, path=list(path))

    conditions = 0
    level: list[Filter] = [predicate]
    nesting = 0
    while level:
        inner: list[Filter] = []
        for each in level:
            match each:
                case And(parts) | Or(parts):
                    inner.extend(parts)
                case Not(part):
                    inner.append(part)
                case _:
                    conditions += 1
                    for value in _values(each):
                        if (problem := _impossible(value)) is not None:
                            raise refuse(problem)
                    if isinstance(each, OneOf) and len(each.values) > LIST_MAX:
                        raise refuse(
                            f"oneOf takes up to {LIST_MAX} values, this one has {len(each.values)}: ask twice."
                        )
        if any(isinstance(each, And | Or | Not) for each in level):
            nesting += 1
        if nesting > NESTING_MAX:
            raise refuse(f"AND, OR and NOT may be nested {NESTING_MAX} deep, this filter is deeper: flatten it.")
        if conditions > CONDITIONS_MAX:
            raise refuse(f"A filter has up to {CONDITIONS_MAX} conditions, this one has more: use oneOf, or ask twice.")
        level = inner
    return predicate


def _values(condition: Filter) -> Iterator[Scalar]:
    match condition:
        case Eq(_, value):
            yield value
        case OneOf(_, values):
            yield from values
        case Range():
            for _, bound in condition.bounds():
                yield bound
        case Prefix(_, start):
            yield start


def _impossible(value: Scalar) -> str | None:
    """Why PostgreSQL could not take the value, or None."""
    if isinstance(value, str):
        if len(value) > TEXT_MAX:
            return f"A text to compare with has up to {TEXT_MAX} characters, this one has {len(value)}: shorten it."
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            return "A text to compare with cannot hold NUL or half a surrogate pair: leave it out."
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "A number to compare with has 64 bits, this one is larger: use a smaller bound."
    return None


def matches(predicate: Filter, facts: Mapping[str, Any]) -> bool:
    """Whether the facts satisfy the predicate; a fact that is missing counts as NULL."""
    match predicate:
        case And(parts):
            return all(matches(part, facts) for part in parts)
        case Or(parts):
            return any(matches(part, facts) for part in parts)
        case Not(part):
            return not matches(part, facts)
        case IsNull(field, null):
            return (facts.get(field) is None) == null
    fact = facts.get(predicate.field)
    if fact is None:
        return False
    match predicate:
        case Eq(_, value):
            return bool(fact == value)
        case OneOf(_, values):
            return fact in values
        case Prefix(_, start):
            return bool(fact.startswith(start))
        case Range():
            return all(_COMPARE[name](fact, bound) for name, bound in predicate.bounds())


_COMPARE: dict[str, Any] = {
    "gte": lambda fact, bound: fact >= bound,
    "gt": lambda fact, bound: fact > bound,
    "lte": lambda fact, bound: fact <= bound,
    "lt": lambda fact, bound: fact < bound,
}


def to_sql(predicate: Filter, columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    """The predicate as a condition for WHERE, where an unknown counts as false.

    columns  what each field of the predicate stands for; a field without a column is a bug of the caller
    """
    match predicate:
        case And(parts):
            return and_(true(), *(to_sql(part, columns) for part in parts))
        case Or(parts):
            return or_(false(), *(to_sql(part, columns) for part in parts))
        case Not(part):
            # Only here can an unknown become true; elsewhere the bare condition lets an index serve it.
            return not_(func.coalesce(to_sql(part, columns), false()))
        case IsNull(field, null):
            return columns[field].is_(None) if null else columns[field].is_not(None)
        case Eq(field, value):
            return columns[field] == bind(value)
        case OneOf(field, (value,)):
            return columns[field] == bind(value)  # an index on it and what is sorted by then gives rows in order
        case OneOf(field, values):
            return same_as_any(columns[field], values)
        case Prefix(field, start):
            # `^@` rather than LIKE: nothing to escape, and a C-collated index serves both.
            return collate(columns[field], "C").op("^@", is_comparison=True)(bind(start))
        case Range(field):
            column = columns[field]
            comparable = collate(column, "C") if isinstance(column.type, String) else column
            bounds = [_COMPARE[name](comparable, bind(bound)) for name, bound in predicate.bounds()]
            return and_(*bounds) if bounds else column.is_not(None)


_SQL_TYPES: tuple[tuple[type, TypeEngine[Any]], ...] = (
    (bool, Boolean()),
    (int, BigInteger()),
    (str, Text()),
    (UUID, Uuid()),
    (Decimal, Numeric()),
    (datetime, DateTime(timezone=True)),
    (date, Date()),
)


def _sql_type(value: Scalar) -> TypeEngine[Any]:
    return next(sql for python, sql in _SQL_TYPES if isinstance(value, python))


def bind(value: Scalar) -> ColumnElement[Any]:
    """A parameter of the value's own type, so that no bound is too large for the column it is compared with."""
    return bindparam(None, value, type_=_sql_type(value), unique=True)


def same_as_any(column: ColumnElement[Any], values: Sequence[Scalar]) -> ColumnElement[bool]:
    """`column = ANY(array)`: one parameter, so that lists of every length share one prepared statement."""
    if not values:
        return false()
    return column == any_(bindparam(None, list(values), type_=ARRAY(_sql_type(values[0])), unique=True))


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column = ANY(array)` for a prepared read that gets the array by this name."""
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def fingerprint(predicate: Filter | None) -> bytes:
    """A hash that binds a cursor to its filter."""
    return hashlib.sha256(orjson.dumps(_plain(predicate))).digest()


def _plain(value: Any) -> Any:
    match value:
        case And() | Or() | Not() | Eq() | OneOf() | Range() | Prefix() | IsNull():
            return [type(value).__name__, *(_plain(getattr(value, name)) for name in type(value).__slots__)]
        case tuple():
            return [_plain(each) for each in value]
        case None | bool() | str():
            return value
        case _:
            return [type(value).__name__, str(value)]


# --- one statement for all conditions that differ in values alone ---------------------------------------------------

_MARKED_TEXT = "value number "
_MARKED_NUMBER = 2**62
_MARKED_DATE = date(9000, 1, 1)
_MARKED_UUID = 2**127


@dataclass(slots=True)
class Marks:
    """Values that were taken out of conditions, by the numbers of the marks in their places."""

    values: list[Any]

    def of(self, value: Any) -> Any:
        """The mark of a value; of what is as good as part of the statement (NULL, true, false) the value itself."""
        if value is None or isinstance(value, bool):
            return value
        self.values.append(value)
        return _mark(value, len(self.values) - 1)

    def within(self, predicate: Filter) -> Filter:
        """The predicate with marks for values: equal for all that differ in values alone."""
        match predicate:
            case And(parts):
                return And(tuple(self.within(part) for part in parts))
            case Or(parts):
                return Or(tuple(self.within(part) for part in parts))
            case Not(part):
                return Not(self.within(part))
            case Eq(field, value):
                return Eq(field, self.of(value))
            case Prefix(field, start):
                return Prefix(field, self.of(start))
            case OneOf(field, (value,)):  # which is compared as one value is
                return OneOf(field, (self.of(value),))
            case OneOf(field, (value, *_) as values) if not isinstance(value, bool):
                self.values.append(list(values))
                mark = _mark(value, len(self.values) - 1)
                return OneOf(field, (mark, mark))
            case Range(field):
                return Range(field, **{name: self.of(bound) for name, bound in predicate.bounds()})
        return predicate


def _mark(value: Scalar, number: int) -> Any:
    """Something of the value's type that tells the number and is no value of anybody's."""
    match value:
        case str():
            return f"{_MARKED_TEXT}{number}"
        case int():
            return _MARKED_NUMBER + number
        case Decimal():
            return Decimal(_MARKED_NUMBER + number)
        case datetime():
            return datetime.combine(_MARKED_DATE, time(), UTC) + timedelta(days=number)
        case date():
            return _MARKED_DATE + timedelta(days=number)
        case UUID():
            return UUID(int=_MARKED_UUID + number)


def number_of_mark(value: Any) -> int | None:
    """The number of the mark that a parameter is, or an array of a mark; None where it is none."""
    match value:
        case [inner, *_]:
            return number_of_mark(inner)
        case str() if value.startswith(_MARKED_TEXT):
            return int(value.removeprefix(_MARKED_TEXT))
        case int() | Decimal() if value >= _MARKED_NUMBER:
            return int(value) - _MARKED_NUMBER
        case datetime() if value.year >= _MARKED_DATE.year:
            return (value.date() - _MARKED_DATE).days
        case date() if not isinstance(value, datetime) and value >= _MARKED_DATE:
            return (value - _MARKED_DATE).days
        case UUID() if _MARKED_UUID <= value.int < _MARKED_UUID + 2**32:
            return value.int - _MARKED_UUID
    return None
