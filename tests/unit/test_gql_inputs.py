"""Inputs build themselves to what strawberry would make of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional, get_object_definition

from app import schema

SCHEMA = schema.build()
INPUTS = {
    concrete.definition.name: concrete.definition
    for concrete in SCHEMA.schema_converter.type_map.values()
    if isinstance(concrete.definition, StrawberryObjectDefinition) and concrete.definition.is_input
}
NESTING = 3


def converted(definition: StrawberryObjectDefinition, value: Any) -> Any:
    return convert_argument(value, definition.origin, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)


def values(type_: Any, nesting: int) -> Iterator[Any]:
    """Of a field: what it may hold, null and the empty list among it."""
    if isinstance(type_, StrawberryOptional):
        yield None
        yield from values(type_.of_type, nesting)
    elif isinstance(type_, StrawberryList):
        yield []
        yield list(values(type_.of_type, nesting))
    elif (inner := get_object_definition(type_)) is None:
        yield f"a leaf of {type_}"
    elif nesting:
        yield from inputs(inner, nesting - 1)


def inputs(definition: StrawberryObjectDefinition, nesting: int = NESTING) -> Iterator[dict[str, Any]]:
    """Nothing given, each field with each of its values, and all fields at once."""
    yield {}
    whole = {}
    for field in definition.fields:
        name = SCHEMA.config.name_converter.from_field(field)
        for value in values(field.resolve_type(type_definition=definition), nesting):
            whole[name] = value
            if nesting == NESTING:
                yield {name: value}
    yield whole


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_an_input_is_built_as_strawberry_builds_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = list(inputs(INPUTS[name]))
    ours = [converted(INPUTS[name], value) for value in given]
    for definition in INPUTS.values():
        monkeypatch.setattr(definition, "from_input", None)

    assert len(given) > 2
    assert ours == [converted(INPUTS[name], value) for value in given]


def test_a_list_is_not_the_callers_own() -> None:
    lines: list[Any] = []

    assert converted(INPUTS["OrderPlaceInput"], {"lines": lines}).lines is not lines
