"""Inputs are built by functions made once for each type; strawberry finds out anew for each value how to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

import strawberry
from strawberry.relay import GlobalID
from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.lazy_type import LazyType

Build = Callable[[Any], Any]


class Inputs:
    """Makes what resolvers take out of what graphql-core has coerced."""

    def __init__(self, names: NameConverter) -> None:
        self._names = names
        self._made: dict[type, Build] = {}

    def builder(self, type_: Any) -> Build | None:
        """Builds values of this type; None where they are what graphql-core has made of them.

        Raises TypeError for types that are left to strawberry: Maybe, lazy types, global ids, inputs that build
        themselves.
        """
        if isinstance(type_, StrawberryMaybe | LazyType):
            raise TypeError(f"{type_} is left to strawberry: UNSET serves for Maybe, and strings for lazy types")
        if type_ is GlobalID:
            raise TypeError("a GlobalID is left to strawberry: what is none is refused in its words")
        if isinstance(type_, StrawberryOptional):
            inner = self.builder(type_.of_type)
            return inner and (lambda value: None if value is None else inner(value))
        if isinstance(type_, StrawberryList):
            item = self.builder(type_.of_type)
            # Copied even so: the default of an argument is one list for all requests.
            return list if item is None else (lambda values: [item(value) for value in values])
        definition = get_object_definition(type_)
        return self._object(type_, definition) if definition is not None else None

    def _object(self, type_: Any, definition: StrawberryObjectDefinition) -> Build:
        if type_ in self._made:
            return self._made[type_]
        if definition.from_input is not None and not getattr(definition.from_input, "by_inputs", False):
            raise TypeError(f"{definition.name} builds itself")
        absent: dict[str, Any] = {}
        fields: dict[str, tuple[str, Build | None]] = {}

        def build(value: Mapping[str, Any]) -> Any:
            given = absent.copy()
            for name, each in value.items():
                python_name, inner = fields[name]
                given[python_name] = each if inner is None or each is None else inner(each)
            return type_(**given)

        self._made[type_] = build  # before its fields are looked at: inputs may contain themselves
        try:
            for field in definition.fields:
                if field.default_value is MISSING and field.default_factory is MISSING:
                    absent[field.python_name] = None
                inner = self.builder(field.resolve_type(type_definition=definition))
                fields[self._names.from_field(field)] = field.python_name, inner
        except TypeError:
            del self._made[type_]
            raise
        return build


def prepare(schema: strawberry.Schema) -> None:
    """Let strawberry too build every input type of the schema so, to the same result as before."""
    inputs = Inputs(schema.config.name_converter)
    for concrete in schema.schema_converter.type_map.values():
        definition = concrete.definition
        if isinstance(definition, StrawberryObjectDefinition) and definition.is_input:
            definition.from_input = _from_input(inputs.builder(definition.origin))


def _from_input(build: Build | None) -> Callable[[type, Any, Any], Any]:
    assert build is not None, "an input type is built"

    def from_input(_: type, value: Any, __: object) -> Any:
        return build(value)

    from_input.by_inputs = True  # type: ignore[attr-defined]
    return from_input
