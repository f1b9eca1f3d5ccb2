"""`where` inputs: one filter input for each kind of field, turned into the predicates of kernel.filters.

An area's where input is a `@strawberry.input` whose fields bear the names of its listing's columns, each `… | None =
condition("…")`, beside `all_of`, `any_of` and `none_of` made with `every()`, `either()` and `neither()`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from unicodedata import normalize

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from app.gql.nodes import uuid_of
from app.gql.scalars import Long
from app.kernel import filters
from app.kernel.errors import ValidationRefused
from app.kernel.filters import And, Eq, Filter, IsNull, Not, OneOf, Or, Prefix, Range

E = TypeVar("E", bound=enum.Enum)

_EQ = "Equal to this."
_ONE_OF = "Equal to one of these, up to 250. An empty list matches nothing."
_IS_NULL = "True: has no value. False: has one."


def _operator(description: str) -> Any:
    return strawberry.field(default=strawberry.UNSET, description=description)


@strawberry.input(description="Conditions on a text; all that are given must hold.")
class StringFilter:
    eq: str | None = _operator("Equal to this, case included.")
    one_of: list[str] | None = _operator(_ONE_OF)
    starts_with: str | None = _operator("Begins with this, case included.")
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(description="Conditions on an id; all that are given must hold.")
class IdFilter:
    eq: strawberry.ID | None = _operator(_EQ)
    one_of: list[strawberry.ID] | None = _operator(_ONE_OF)
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(description="Bounds; all that are given must hold.")
class IntRange:
    gte: int | None = _operator("This or more.")
    gt: int | None = _operator("More than this.")
    lte: int | None = _operator("This or less.")
    lt: int | None = _operator("Less than this.")


@strawberry.input(description="Conditions on a whole number; all that are given must hold.")
class IntFilter:
    eq: int | None = _operator(_EQ)
    one_of: list[int] | None = _operator(_ONE_OF)
    range: IntRange | None = _operator("Within these bounds.")
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(description="Bounds; all that are given must hold.")
class LongRange:
    gte: Long | None = _operator("This or more.")
    gt: Long | None = _operator("More than this.")
    lte: Long | None = _operator("This or less.")
    lt: Long | None = _operator("Less than this.")


@strawberry.input(description="Conditions on a whole number of 64 bits; all that are given must hold.")
class LongFilter:
    eq: Long | None = _operator(_EQ)
    one_of: list[Long] | None = _operator(_ONE_OF)
    range: LongRange | None = _operator("Within these bounds.")
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(description="Bounds; all that are given must hold.")
class DateTimeRange:
    gte: datetime | None = _operator("At this instant or later.")
    gt: datetime | None = _operator("Later than this.")
    lte: datetime | None = _operator("At this instant or earlier.")
    lt: datetime | None = _operator("Earlier than this.")


@strawberry.input(description="Conditions on an instant; all that are given must hold.")
class DateTimeFilter:
    eq: datetime | None = _operator(_EQ)
    range: DateTimeRange | None = _operator("Within these bounds.")
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(description="A condition on a flag.")
class BooleanFilter:
    eq: bool | None = _operator(_EQ)
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(name="Filter", description="Conditions on a kind; all that are given must hold.")
class EnumFilter(Generic[E]):
    """`EnumFilter[ChannelKind]` is ChannelKindFilter in the schema."""

    eq: E | None = _operator(_EQ)
    one_of: list[E] | None = _operator(_ONE_OF)
    is_null: bool | None = _operator(_IS_NULL)


def condition(description: str, *, node: str | None = None) -> Any:
    """A field of a where input.

    node  for an IdFilter: the type whose ids it takes
    """
    return strawberry.field(default=strawberry.UNSET, description=description, metadata={"node": node})


def every() -> Any:
    return strawberry.field(
        name="AND", default=strawberry.UNSET, description="All of these hold. An empty list matches everything."
    )


def either() -> Any:
    return strawberry.field(
        name="OR", default=strawberry.UNSET, description="At least one of these holds. An empty list matches nothing."
    )


def neither() -> Any:
    return strawberry.field(
        name="NOT",
        default=strawberry.UNSET,
        description="This does not hold. A field without a value fails each condition but `isNull`, so its NOT holds.",
    )


def as_filter(where: Any, path: Sequence[str] = ("where",)) -> Filter | None:
    """The predicate of a where input: its fields all hold.  Raises ValidationRefused."""
    if where is None or where is strawberry.UNSET:
        return None
    return filters.check(_group(where, list(path), 1), path=path)


def _group(where: Any, path: list[str], level: int) -> Filter:
    if level > filters.NESTING_MAX + 1:
        raise ValidationRefused(
            f"AND, OR and NOT may be nested {filters.NESTING_MAX} deep, this filter is deeper: flatten it.", path=path
        )
    parts: list[Filter] = []
    for name, field, value, at in _given(where, path):
        if name == "all_of":
            parts.append(And(tuple(_group(each, [*at, str(i)], level + 1) for i, each in enumerate(value))))
        elif name == "any_of":
            parts.append(Or(tuple(_group(each, [*at, str(i)], level + 1) for i, each in enumerate(value))))
        elif name == "none_of":
            parts.append(Not(_group(value, at, level + 1)))
        else:
            parts.extend(_conditions(name, value, field.metadata.get("node"), at))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _conditions(field: str, given: Any, node: str | None, path: list[str]) -> Iterator[Filter]:
    for name, _, value, at in _given(given, path):
        match name:
            case "eq":
                yield Eq(field, _plain(value, node, at))
            case "one_of":
                if len(value) > filters.LIST_MAX:
                    raise ValidationRefused(
                        f"`oneOf` takes up to {filters.LIST_MAX} values, not {len(value)}: ask twice.", path=at
                    )
                yield OneOf(field, tuple(_plain(each, node, at) for each in value))
            case "starts_with":
                yield Prefix(field, normalize("NFC", value))
            case "is_null":
                yield IsNull(field, value)
            case "range":
                yield Range(field, **{bound: each for bound, _, each, _ in _given(value, at)})


def _given(value: Any, path: list[str]) -> Iterator[tuple[str, Any, Any, list[str]]]:
    """The fields that the caller gave: name, definition, value, path.  Raises ValidationRefused for null."""
    for field in get_object_definition(type(value), strict=True).fields:
        if (each := getattr(value, field.python_name)) is strawberry.UNSET:
            continue
        at = [*path, field.graphql_name or to_camel_case(field.python_name)]
        if each is None:
            # Most often a variable that was not set; to drop the condition silently would show everything.
            raise ValidationRefused(
                f"`{at[-1]}` is null: leave it out for no condition, or use `isNull` to look for no value.", path=at
            )
        yield field.python_name, field, each, at


def _plain(value: Any, node: str | None, path: list[str]) -> Any:
    if node is not None:
        return uuid_of(value, node, path)
    if isinstance(value, enum.Enum):
        return value.value
    return normalize("NFC", value).strip() if isinstance(value, str) else value  # as texts are stored


def described(kind: type[enum.Enum], description: str, *, name: str | None = None, **values: str) -> None:
    """Make an enum of an area a GraphQL enum, with a description of each member."""
    found = strawberry.enum(kind, name=name, description=description)
    definition = found.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values.pop(value.name)
    assert not values, f"{kind.__name__} has no {', '.join(values)}"
