"""JSON that PostgreSQL writes: texts and columns in turns, which `concat` joins in one pass.

The texts are the same to the byte as what the schema's scalars write, which a test compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from graphql import GraphQLField, get_named_type, is_enum_type, is_list_type, is_non_null_type
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, Numeric, Text, bindparam, case, cast, func, literal_column
from sqlalchemy.types import TypeEngine

from app.engine import Field, Plan, shown_as
from app.gql.context import Context
from app.kernel.principal import ANONYMOUS, Principal

# What a request gives for parameters.
Value = Callable[[Context, VariableValues], Sequence[Any]]

# A text is JSON as it stands; a column is shown as PostgreSQL shows it, and is never NULL.
Piece = str | ColumnElement[Any]
Pieces = list[Piece]

_ARGUMENTS_MAX = 90  # PostgreSQL's functions take 100
_SECOND = """'YYYY-MM-DD"T"HH24:MI:SS"Z"'"""
_MICROSECOND = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""


class Because(StrEnum):
    """Why the engine answers a query, and not one statement. docs/decisions/0029 says more of each."""

    ROOT = "root"  # no statement is written for one of its root fields
    FIELD = "field"  # one of the fields below is not written in SQL
    ARGUMENTS = "arguments"  # a field has arguments that its statement does not take
    MEMORY = "memory"  # it asks of resolvers what memory is to keep
    REFUSED = "refused"  # the answer has an error, which the engine tells at its place
    FAILED = "failed"  # the statement failed: the engine tries, and tells what is wrong
    SWITCHED_OFF = "switched_off"


class NotDirect(Exception):
    """The engine is to answer: the selection or the request needs more than one statement gives."""

    def __init__(self, because: Because = Because.ARGUMENTS) -> None:
        super().__init__(because)
        self.because = because


class Ask:
    """What a statement is asked with beside the arguments of its root: parameters, by name.

    A request gives each its value; a value that cannot be had raises NotDirect, or a refusal that the engine then finds
    again and tells at its place.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._values: dict[tuple[str, ...], Value] = {}
        self._next = 0
        self.principal = ANONYMOUS

    def begin(self, principal: Principal) -> None:
        """Make the pieces of a statement for those who see the same as this caller: the same pieces each time."""
        self.principal = principal
        self._next = 0

    def given(self, field: Field) -> Callable[[VariableValues], Mapping[str, Any]]:
        """Makes of variables what the resolver of a field would take.  Raises NotDirect."""
        try:
            return self._plan.given(field)
        except TypeError:
            raise NotDirect(Because.ARGUMENTS) from None

    def shown(self, field: Field, context: Any, value: Any) -> Any:
        """A value of Python's as the engine would show it in the place of a root field.  Raises NotDirect."""
        shown, errors = shown_as(self._plan, field, context, value)
        if errors:
            raise NotDirect(Because.REFUSED)
        return shown

    def parameters(self, value: Value, *types: TypeEngine[Any]) -> list[ColumnElement[Any]]:
        """Parameters of these types, for which a request gives values together."""
        names = tuple(f"asked_{self._next + n}" for n in range(len(types)))
        self._next += len(types)
        self._values[names] = value
        return [bindparam(name, type_=type_) for name, type_ in zip(names, types, strict=True)]

    def values(self, context: Context, variables: VariableValues) -> dict[str, Any]:
        """What a request gives, by the names of parameters.  Raises NotDirect, or a refusal."""
        found: dict[str, Any] = {}
        for names, value in self._values.items():
            found.update(zip(names, value(context, variables), strict=True))
        return found


def quoted(text: str) -> ColumnElement[str]:
    """A text of ours as SQL. What callers send is a parameter, never this."""
    return literal_column("'" + text.replace("'", "''") + "'", Text)


def joined(pieces: Sequence[Piece]) -> ColumnElement[str]:
    """All pieces as one text."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    arguments = [quoted(piece) if isinstance(piece, str) else piece for piece in merged]
    while len(arguments) > _ARGUMENTS_MAX:
        parts = range(0, len(arguments), _ARGUMENTS_MAX)
        arguments = [func.concat(*arguments[at : at + _ARGUMENTS_MAX], type_=Text) for at in parts]
    return func.concat(*arguments, type_=Text)


def leaf(definition: GraphQLField, column: ColumnElement[Any]) -> Pieces:
    """A scalar or an enum as the field's type writes it.  Raises NotDirect."""
    if is_list_type(definition.type) or is_list_type(getattr(definition.type, "of_type", None)):
        if get_named_type(definition.type).name != "String" or not is_non_null_type(definition.type):
            raise NotDirect(Because.FIELD)
        return [func.to_json(column)]
    type_ = get_named_type(definition.type)
    if is_enum_type(type_):
        pieces: Pieces = ['"', column, '"']
    elif (write := _SCALARS.get(type_.name)) is not None:
        pieces = write(column)
    else:
        raise NotDirect(Because.FIELD)
    if is_non_null_type(definition.type) or getattr(column, "nullable", True) is False:
        return pieces
    return [or_null(column, pieces)]


def or_null(column: ColumnElement[Any], pieces: Pieces) -> ColumnElement[str]:
    """The pieces, or null where the column is."""
    return case((column.is_(None), quoted("null")), else_=joined(pieces))


def base64url(raw: ColumnElement[bytes]) -> ColumnElement[str]:
    """Without padding, as ids are written; PostgreSQL breaks lines, which goes too."""
    return func.translate(func.encode(raw, quoted("base64")), literal_column("E'+/\\n='"), quoted("-_"), type_=Text)


def _instant(column: ColumnElement[Any]) -> Pieces:
    whole = func.date_trunc(quoted("second"), column) == column
    shape = case((whole, literal_column(_SECOND)), else_=literal_column(_MICROSECOND))
    return ['"', func.to_char(func.timezone(quoted("UTC"), column), shape), '"']


def _float(text: ColumnElement[str]) -> ColumnElement[str]:
    """Below 10^15, as Python has it: whole numbers with a decimal, and other exponents than PostgreSQL's."""
    is_whole, is_small = text.op("~")(quoted("^-?[0-9]+$")), text.op("~")(quoted("e-05$"))
    return case(
        (is_whole, func.concat(text, quoted(".0"))),
        (is_small, cast(cast(text, Numeric), Text)),
        else_=func.replace(text, quoted("e-0"), quoted("e-")),
    )


_SCALARS: dict[str, Callable[[ColumnElement[Any]], Pieces]] = {
    "Int": lambda column: [column],
    "Long": lambda column: [column],
    "Boolean": lambda column: [cast(column, Text)],
    "DateTime": _instant,
    "Float": lambda column: [_float(cast(column, Text))],
    "Decimal": lambda column: ['"', func.trim_scale(column), '"'],
    "UUID": lambda column: ['"', column, '"'],
    **dict.fromkeys(
        ("String", "ID", "CountryCode", "CurrencyCode", "TimeZone"), lambda column: [func.to_json(cast(column, Text))]
    ),
}
