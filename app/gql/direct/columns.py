"""How rows give fields: each is described once, and both faces follow from it.

In Python, `Reading.of` makes an object of a row; in SQL, `Reading.pieces` makes its JSON, of the selected fields alone.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import orjson
from graphql import GraphQLObjectType
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Interval,
    LargeBinary,
    Numeric,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
)
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from app.engine import Field, Selection, selection_of
from app.gql.direct.pieces import Ask, Because, NotDirect, Pieces, base64url, joined, leaf, or_null, quoted
from app.gql.money import Money
from app.gql.nodes import global_id
from app.kernel import money

T = TypeVar("T")

Get = Callable[[str], Any]
# Where an object keeps what it is read from.
_FROM = "_read_from"

# The columns that a row has in a statement, by name.
Source = Mapping[str, ColumnElement[Any]]


class Part(Protocol):
    """How one field is got."""

    def value(self, get: Get) -> Any:
        """From the columns of a row, by name."""
        ...

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        """Its JSON, which is never NULL.  Raises NotDirect."""
        ...


class Link(Protocol):
    """How a field is read whose resolver reads more than the row: its SQL face alone."""

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        """Its JSON, which is never NULL.  Raises NotDirect."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """The column of this name, as it is."""

    name: str
    kind: type[enum.Enum] | None = None

    def value(self, get: Get) -> Any:
        value = get(self.name)
        if self.kind is not None and value is not None:
            return self.kind(value)
        return value.normalize() if value.__class__ is Decimal else value

    def pieces(self, field: Field, source: Source, _: Ask) -> Pieces:
        return leaf(field.definition, source[self.name])


@dataclass(frozen=True, slots=True)
class OrNull:
    """The text of this column, null where it is empty."""

    name: str

    def value(self, get: Get) -> Any:
        return get(self.name) or None

    def pieces(self, field: Field, source: Source, _: Ask) -> Pieces:
        return leaf(field.definition, func.nullif(source[self.name], quoted("")))


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """The local time in this column, to the minute."""

    name: str

    def value(self, get: Get) -> Any:
        time = get(self.name)
        return f"{time:%H:%M}" if time is not None else None

    def pieces(self, _: Field, source: Source, __: Ask) -> Pieces:
        column = source[self.name]
        return [or_null(column, ['"', func.to_char(cast(column, Interval), quoted("HH24:MI")), '"'])]


class Id:
    """An id unique among all types, of a key that these columns make up: UUIDs and whole numbers, then texts."""

    def __init__(self, type_: str, *names: str) -> None:
        self._type = type_
        self._names = names

    def value(self, get: Get) -> Any:
        values = [get(name) for name in self._names]
        if values[0] is None:
            return None
        return global_id(self._type, b"".join(map(_key_bytes, values)))

    def pieces(self, _: Field, source: Source, __: Ask) -> Pieces:
        columns = [source[name] for name in self._names]
        raw: ColumnElement[bytes] = func.convert_to(quoted(f"{self._type}:"), quoted("UTF8"), type_=LargeBinary)
        for column in columns:
            raw = raw.op("||")(_sent(column))
        pieces: Pieces = ['"', base64url(raw), '"']
        return [or_null(columns[0], pieces)] if getattr(columns[0], "nullable", True) else pieces


def _key_bytes(value: UUID | int | str) -> bytes:
    match value:
        case UUID():
            return value.bytes
        case int():
            return value.to_bytes(8)
    return value.encode()


def _sent(column: ColumnElement[Any]) -> ColumnElement[bytes]:
    match column.type:
        case Text():
            return func.convert_to(column, quoted("UTF8"))
        case BigInteger():
            return func.int8send(column)
    return func.uuid_send(column)


class InMoney:
    """Money of the minor units in this column and the row's currency."""

    def __init__(self, minor_units: str, currency: str = "currency") -> None:
        self._minor_units = minor_units
        self._currency = currency

    def value(self, get: Get) -> Any:
        return Money.of(get(self._minor_units), get(self._currency))

    def pieces(self, field: Field, source: Source, _: Ask) -> Pieces:
        minor_units, currency = source[self._minor_units], source[self._currency]
        written: dict[str, Callable[[], Pieces]] = {
            "amount": lambda: ['"', cast(minor_units, Numeric) * unit_of(currency), '"'],
            "currency_code": lambda: ['"', currency, '"'],
            "minor_units": lambda: [minor_units],
        }
        return in_braces(selection_of(field), lambda each: written[python_name(each)]())


def unit_of(currency: ColumnElement[str]) -> ColumnElement[Decimal]:
    """A minor unit in major ones, with as many decimals as the currency has."""
    unusual: dict[int, list[str]] = {}
    for code in money.currencies():
        if (decimals := money.exponent(code)) != 2:
            unusual.setdefault(decimals, []).append(code)
    return case(
        *(
            (
                currency.in_([quoted(code) for code in codes]),
                literal_column(f"{Decimal(1).scaleb(-decimals):f}", Numeric),
            )
            for decimals, codes in sorted(unusual.items())
        ),
        else_=literal_column("0.01", Numeric),
    )


class Nested:
    """An object made of columns of the same row.

    unless_null  where all of these are, there is no object
    """

    def __init__(self, reading: Reading[Any], *, unless_null: Sequence[str] = ()) -> None:
        self._reading = reading
        self._unless_null = unless_null

    def value(self, get: Get) -> Any:
        if self._unless_null and all(get(name) is None for name in self._unless_null):
            return None
        return self._reading.by(get)

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        pieces = self._reading.pieces(selection_of(field), source, ask)
        if not self._unless_null:
            return pieces
        nothing = and_(*(source[name].is_(None) for name in self._unless_null))
        return [case((nothing, quoted("null")), else_=joined(pieces))]


class InJson:
    """An object of texts and lists of texts that one column holds as JSON, null where that is."""

    def __init__(self, reading: Reading[Any], name: str) -> None:
        self._reading = reading
        self._name = name

    def value(self, get: Get) -> Any:
        kept = get(self._name)
        return self._reading.by(kept.__getitem__) if kept is not None else None

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        column = source[self._name]
        texts: dict[str, ColumnElement[Any]] = {}
        for each in get_object_definition(self._reading.type, strict=True).fields:
            if isinstance(each.type, StrawberryList):
                listed = func.jsonb_array_elements_text(column[each.python_name]).column_valued("listed")
                texts[each.python_name] = func.array(select(listed).scalar_subquery())
            else:
                texts[each.python_name] = column[each.python_name].astext
        return [or_null(column, self._reading.pieces(selection_of(field), texts, ask))]


@dataclass(frozen=True, slots=True)
class Percent:
    """A rate in percent of one in millionths."""

    name: str

    def value(self, get: Get) -> Any:
        return Decimal(get(self.name)) / 10_000

    def pieces(self, field: Field, source: Source, _: Ask) -> Pieces:
        return leaf(field.definition, cast(source[self.name], Numeric) / literal_column("10000", Numeric))


class InPython:
    """What a function makes of columns, and SQL does not."""

    def __init__(self, function: Callable[..., Any], *names: str) -> None:
        self._function = function
        self._names = names

    def value(self, get: Get) -> Any:
        return self._function(*(get(name) for name in self._names))

    def pieces(self, _: Field, __: Source, ___: Ask) -> Pieces:
        raise NotDirect(Because.FIELD)


class Derived:
    """What a pure function makes of columns that have few values: in SQL, the table of all that it can say.

    over  by column, all its values
    """

    def __init__(self, function: Callable[..., Any], **over: Iterable[Any]) -> None:
        self._function = function
        self._over = {name: tuple(values) for name, values in over.items()}

    def value(self, get: Get) -> Any:
        return self._function(*(_member(get(name), values) for name, values in self._over.items()))

    def pieces(self, _: Field, source: Source, __: Ask) -> Pieces:
        said: dict[str, list[str]] = {}
        for values in product(*self._over.values()):
            answer = orjson.dumps(self._function(*values)).decode()
            said.setdefault(answer, []).append(" ".join(_shown(value) for value in values))
        key: Pieces = []
        for name in self._over:
            key += [" " if key else "", source[name]]
        usual, *others = sorted(said.items(), key=lambda item: -len(item[1]))
        return [
            case(
                *((joined(key).in_([quoted(each) for each in keys]), quoted(answer)) for answer, keys in others),
                else_=quoted(usual[0]),
            )
        ]


def _member(value: Any, values: tuple[Any, ...]) -> Any:
    return next(each for each in values if each == value)


def _shown(value: Any) -> str:
    """As `concat` shows it."""
    return "ft"[value] if isinstance(value, bool) else str(value.value if isinstance(value, enum.Enum) else value)


class _WhenAsked:
    """An attribute of objects that a reading has made. In those made in the usual way it is never in the way."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, made: Any, owner: type) -> Any:
        read = made.__dict__.get(_FROM) if made is not None else None
        if read is None:
            raise AttributeError(f"{owner.__name__} has no {self._name}")
        parts, get = read
        value = made.__dict__[self._name] = parts[self._name].value(get)
        return value


class Reading(Generic[T]):
    """How rows are read as objects of one type.

    A field without a part of its own is the column of its name; money is in minor units in `<name>_minor`; an object is
    made of columns of the same names.
    """

    def __init__(self, type_: type[T], **parts: Part | str) -> None:
        self.type = type_
        self._links: dict[str, Link] = {}
        self._parts: dict[str, Part] = {}
        for field in get_object_definition(type_, strict=True).fields:
            if field.base_resolver is None and field.python_name not in parts:
                self._parts[field.python_name] = _usual(field.python_name, field.type)
        self._parts |= {name: Column(part) if isinstance(part, str) else part for name, part in parts.items()}
        wanted = {field.name for field in dataclasses.fields(type_) if field.init}  # type: ignore[arg-type]
        assert wanted == self._parts.keys(), f"{type_.__name__} is described but for {wanted ^ self._parts.keys()}"
        for name in self._parts:
            setattr(type_, name, _WhenAsked(name))

    def link(self, name: str, link: Link) -> None:
        """Say how the field of a resolver is read in SQL."""
        self._links[name] = link

    def of(self, row: Any, **also: Any) -> T:
        """The object of a row.

        also  what its columns do not say, by name
        """
        return self.by(lambda name: also[name] if name in also else getattr(row, name))

    def by(self, get: Get) -> T:
        """The object of columns, each of which is read when it is first asked for: mostly few of them are."""
        made = object.__new__(self.type)
        made.__dict__[_FROM] = self._parts, get
        return made

    def pieces(self, selection: Selection, source: Source, ask: Ask) -> Pieces:
        """The JSON of the selected fields.  Raises NotDirect."""

        def of(field: Field) -> Pieces:
            name = python_name(field)
            part = self._links.get(name) or self._parts.get(name)
            if part is None:
                raise NotDirect(Because.FIELD)
            return part.pieces(field, source, ask)

        return in_braces(selection, of)


def _usual(name: str, type_: Any) -> Part:
    inner = type_.of_type if isinstance(type_, StrawberryOptional) else type_
    if inner is Money:
        return InMoney(f"{name}_minor")
    if isinstance(inner, StrawberryEnumDefinition):
        kind: Any = inner.wrapped_cls
        assert all(member.name == member.value for member in kind), (
            f"{kind} is stored by other names than it is told by"
        )
        return Column(name, kind)
    if has_object_definition(inner):
        assert inner is type_, f"{name} could be null: give it a part of its own"
        return Nested(Reading(inner))
    return Column(name)


def python_name(field: Field) -> str:
    """What the field is called in Python.  Raises NotDirect where strawberry has not made it."""
    known: Any = (field.definition.extensions or {}).get("strawberry-definition")
    if known is None:
        raise NotDirect(Because.FIELD)
    name: str = known.python_name
    return name


def in_braces(selection: Selection, of: Callable[[Field], Pieces]) -> Pieces:
    """An object of these fields."""
    assert isinstance(selection.type, GraphQLObjectType)
    pieces: Pieces = ["{"]
    for field in selection.fields:
        pieces.append(f'{"," if len(pieces) > 1 else ""}"{field.key}":')
        pieces += [f'"{selection.type.name}"'] if field.is_typename else of(field)
    return [*pieces, "}"]
