"""Every field says which scopes it needs; nothing is served from a schema with a silent field.

A field declares by itself (`metadata=needs("orders:read")`) or through `@scoped` on its class, which speaks for the
fields that the class has at that moment. A field that another area contributes later is therefore on its own: without
a declaration the schema is refused at start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from graphql import GraphQLInterfaceType, GraphQLNamedType, GraphQLObjectType, GraphQLSchema
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition

ANYONE = "anyone"

T = TypeVar("T", bound=type)

_KEY = "scopes"
_OWN = "__scopes_of_fields__"
_TYPE = "__scopes_of_type__"
_BACKREF = "strawberry-definition"


class Undeclared(RuntimeError):
    """The schema may not be served: these fields do not say who may read them."""


def needs(*scopes: str) -> dict[str, tuple[str, ...]]:
    """Metadata for one field: the caller needs all of these scopes."""
    return {_KEY: _checked(scopes, "needs()")}


def scoped(*scopes: str) -> Callable[[T], T]:
    """The scopes of every field that the class itself defines and that declares none of its own.

    Stands above @strawberry.type. Fields inherited from an interface keep the interface's declaration.
    """
    wanted = _checked(scopes, "@scoped()")

    def declare(cls: T) -> T:
        definition = vars(cls).get("__strawberry_definition__")
        if definition is None:
            raise TypeError(f"@scoped stands above @strawberry.type on {cls.__name__}, not below it")
        inherited = {field.python_name for base in definition.interfaces for field in base.fields}
        own = {field.python_name for field in definition.fields} - inherited
        setattr(cls, _OWN, dict.fromkeys(own, wanted))
        setattr(cls, _TYPE, wanted)
        return cls

    return declare


def scopes_of_type(cls: type) -> tuple[str, ...]:
    """What `@scoped` says of the class: the scopes a caller needs before an id may be looked up as this type."""
    found: tuple[str, ...] = vars(cls).get(_TYPE, ())
    return found


class Rights:
    """Which scopes each field of a schema needs. Building it is the start-up pass.

    Raises Undeclared, naming every field without a declaration and every field that asks for more than the interface
    through which it can be reached.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._needs: dict[str, dict[str, tuple[str, ...]]] = {}
        silent: list[str] = []
        for type_, name, scopes in _declarations(schema):
            if scopes:
                self._needs.setdefault(type_.name, {})[name] = scopes
            else:
                silent.append(f"{type_.name}.{name}")
        if silent:
            raise Undeclared(
                "These fields declare no scopes: " + ", ".join(sorted(silent)) + ". Put @scoped(...) above the type,"
                " metadata=needs(...) on the field, or ANYONE where every caller may read it."
            )
        self._refuse_ways_around(schema)

    def of(self, type_name: str, field_name: str) -> tuple[str, ...]:
        """The scopes that this field needs, ANYONE left out. Introspection needs none."""
        if field_name.startswith("__") or type_name.startswith("__"):
            return ()
        return tuple(scope for scope in self._needs[type_name][field_name] if scope != ANYONE)

    def all(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Type name → field name → scopes, for the tests that try every field as every kind of caller."""
        return self._needs

    def _refuse_ways_around(self, schema: GraphQLSchema) -> None:
        """A selection on an interface is judged by the interface's field, so no member may ask for more."""
        laxer = [
            f"{member.name}.{name} needs {'+'.join(extra)}, {interface.name}.{name} does not"
            for interface in schema.type_map.values()
            if isinstance(interface, GraphQLInterfaceType)
            for member in schema.get_possible_types(interface)
            for name in interface.fields
            if (extra := set(self.of(member.name, name)) - set(self.of(interface.name, name)))
        ]
        if laxer:
            raise Undeclared("Reachable through an interface that asks for less: " + "; ".join(sorted(laxer)))


def _declarations(schema: GraphQLSchema) -> Iterator[tuple[GraphQLNamedType, str, tuple[str, ...]]]:
    for type_ in schema.type_map.values():
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) or type_.name.startswith("__"):
            continue
        definition = type_.extensions.get(_BACKREF)
        for name, field in type_.fields.items():
            yield type_, name, _declared(definition, field.extensions.get(_BACKREF))


def _declared(definition: Any, field: Any) -> tuple[str, ...]:
    """The declaration of one field: its own, its class's, or that of the interface it comes from."""
    if definition is None or field is None:
        return ()
    if _KEY in field.metadata:
        return tuple(field.metadata[_KEY])
    for owner in _owners(definition, field):
        if field.python_name in (own := vars(owner).get(_OWN, {})):
            return tuple(own[field.python_name])
    return ()


def _owners(definition: StrawberryObjectDefinition, field: Any) -> Iterator[type]:
    """The classes that may speak for the field: the type's own, the one it is inherited from, its interfaces."""
    yield definition.origin
    if definition.concrete_of is not None:
        yield definition.concrete_of.origin
    if field.origin is not None and issubclass(definition.origin, field.origin):
        yield field.origin
    for base in definition.interfaces:
        yield from _owners(base, field)


def _checked(scopes: tuple[str, ...], where: str) -> tuple[str, ...]:
    if not scopes or not all(scopes):
        raise ValueError(f"{where} with no scope would let everybody in: name one, or ANYONE")
    if ANYONE in scopes and len(scopes) > 1:
        raise ValueError(f"{where}: ANYONE beside other scopes contradicts them")
    return scopes


def contribute(cls: type, field_name: str, field: Any) -> None:
    """Append a strawberry field to a lower area's type, before the schema is built.

    The field must carry metadata=needs(...): the type's own @scoped does not speak for it.
    """
    definition = get_object_definition(cls, strict=True)
    field.python_name = field.name = field_name
    field.origin = field.origin or cls
    if _KEY not in field.metadata:
        raise Undeclared(f"{definition.name}.{field_name} is contributed without scopes: add metadata=needs(...)")
    definition.fields.append(dataclasses.replace(field) if field in definition.fields else field)
