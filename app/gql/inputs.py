"""Inputs are built by functions made once for each type; strawberry finds out anew for each value how to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

import strawberry
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.lazy_type import LazyType

Build = Callable[[Any], Any]
# What strawberry would hand to a builder that asks for it.
_NOTHING: Any = None


def prepare(schema: strawberry.Schema) -> None:
    """Let every input type of the schema build itself, to the same result as before."""
    for concrete in schema.schema_converter.type_map.values():
        if isinstance(concrete.definition, StrawberryObjectDefinition) and concrete.definition.is_input:
            _prepare(concrete.definition, schema)


def _prepare(definition: StrawberryObjectDefinition, schema: strawberry.Schema) -> None:
    names = schema.config.name_converter
    absent: dict[str, Any] = {}
    fields: dict[str, tuple[str, Build | None]] = {}
    for field in definition.fields:
        if field.default_value is MISSING and field.default_factory is MISSING:
            absent[field.python_name] = None
        fields[names.from_field(field)] = (field.python_name, _builder(field.resolve_type(type_definition=definition)))

    def from_input(type_: type, value: Mapping[str, Any], _: object) -> Any:
        given = absent.copy()
        for name, each in value.items():
            python_name, build = fields[name]
            given[python_name] = each if build is None else build(each)
        return type_(**given)

    definition.from_input = from_input


def _builder(type_: Any) -> Build | None:
    """Makes what resolvers take out of what graphql-core has coerced; None where that is the same."""
    if isinstance(type_, StrawberryMaybe | LazyType):
        raise TypeError(f"{type_} is not used here: no Maybe but strawberry.UNSET, no lazy types but strings")
    if isinstance(type_, StrawberryOptional):
        inner = _builder(type_.of_type)
        return inner and (lambda value: None if value is None else inner(value))
    if isinstance(type_, StrawberryList):
        item = _builder(type_.of_type)
        # Copied even so: the default of an argument is one list for all requests.
        return list if item is None else (lambda values: [item(value) for value in values])
    if (definition := get_object_definition(type_)) is None:
        return None

    def build(value: Any) -> Any:
        # Looked up when called: inputs may contain themselves.
        assert definition.from_input is not None, f"{definition.name} is no input of the schema"
        return definition.from_input(type_, value, _NOTHING)

    return build
