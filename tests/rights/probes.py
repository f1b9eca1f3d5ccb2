"""Questions about what is somebody else's, each beside the same question about what never was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import httpx2
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
)

from app import schema
from app.gql.execution import Graph
from tests.rights.scene import Scene, nobodys

PAGING = {"first", "last", "after", "before", "orderBy"}


@cache
def graph() -> Graph:
    return Graph(schema.build())


@dataclass(frozen=True)
class Probe:
    """One road to a row: a document with the variable $it, whose value finds the row, or nothing.

    theirs, nobodys  the value that finds it, and one of the same form that finds nothing
    shown_to         who sees the row by this road; the answer then holds `mark`
    """

    document: str
    theirs: Callable[[Scene], Any]
    nobodys: Callable[[Scene], Any]
    shown_to: str
    mark: Callable[[Scene], str]


def by_id(document: str, name: str, shown_to: str, mark: Callable[[Scene], str] | None = None) -> Probe:
    """A probe by global id. `%` in the document stands for where the id goes."""
    return Probe(
        document,
        lambda scene: scene.ids[name],
        lambda scene: nobodys(scene.ids[name]),
        shown_to,
        mark or (lambda scene: scene.ids[name]),
    )


def root_arguments() -> set[str]:
    """`field.argument` for each argument of a root query by which rows are picked."""
    fields = graph().schema.type_map["Query"].fields
    return {f"{name}.{argument}" for name, field in fields.items() for argument in field.args if argument not in PAGING}


def node_types() -> set[str]:
    return {type_.name for type_ in graph().schema.get_possible_types(graph().schema.type_map["Node"])}


def everything(type_name: str, scopes: frozenset[str], depth: int, without: frozenset[str] = frozenset()) -> str:
    """All that a caller with these scopes can select of a type, down to a depth; lists of two."""
    type_ = graph().schema.type_map[type_name]
    if isinstance(type_, GraphQLUnionType):
        members = [(t.name, everything(t.name, scopes, depth, without)) for t in type_.types]
        return "__typename " + " ".join(f"... on {name} {{ {inner} }}" for name, inner in members)
    if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    parts = ["__typename"]
    for name, field in type_.fields.items():
        if not set(graph().rights.of(type_name, name)) <= scopes or f"{type_name}.{name}" in without:
            continue
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        arguments = "(first: 2)" if "first" in field.args else ""
        inner_type = get_named_type(field.type)
        if not hasattr(inner_type, "fields") and not hasattr(inner_type, "types"):
            parts.append(name)
        elif depth and (inner := everything(inner_type.name, scopes, depth - 1, without)):
            parts.append(f"{name}{arguments} {{ {inner} }}")
    return " ".join(parts)


def conditions(where: str, facts: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each condition that a where input offers on each of its fields, filled with these facts.

    facts  a value for every field of the input, so that a new field without one is noticed
    """
    input_ = graph().schema.type_map[where]
    assert isinstance(input_, GraphQLInputObjectType)
    fields = {name: field for name, field in input_.fields.items() if name not in ("AND", "OR", "NOT")}
    assert set(fields) == set(facts), "give a fact for each field of the filter"
    for name, field in fields.items():
        operators = get_named_type(field.type)
        assert isinstance(operators, GraphQLInputObjectType)
        for operator, each in operators.fields.items():
            match operator:
                case "oneOf":
                    yield f"{name}.{operator}", {name: {operator: [facts[name]]}}
                case "isNull":
                    yield f"{name}.{operator}", {name: {operator: facts[name] is None}}
                case "startsWith":
                    yield f"{name}.{operator}", {name: {operator: facts[name][:3]}}
                case "range":
                    yield f"{name}.{operator}", {name: {operator: {"gte": facts[name], "lte": facts[name]}}}
                case _:
                    assert operator == "eq", f"{each} is new: say how to ask"
                    yield f"{name}.{operator}", {name: {operator: facts[name]}}


def around(condition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The condition, and in every company that might widen it."""
    yield condition
    yield {"NOT": {"NOT": condition}}
    yield {"NOT": condition}
    yield {"OR": [condition, {"NOT": condition}]}
    yield {"OR": [{"AND": [condition]}, {"AND": []}]}
    yield {"AND": [condition, {"OR": [condition, {"AND": []}]}], "NOT": {"OR": []}}


def required_inputs() -> dict[str, str]:
    """A valid document for each mutation, with the least input that its types allow."""
    documents = {}
    for name, field in graph().schema.type_map["Mutation"].fields.items():
        arguments = ", ".join(f"{a}: {_least(arg.type)}" for a, arg in field.args.items() if is_required_argument(arg))
        documents[name] = f"mutation {{ {name}({arguments}) {{ userErrors {{ code }} }} }}"
    return documents


_LEAST = {"String": '"x"', "Int": "1", "Long": "1", "ID": '"x"', "Boolean": "true", "Decimal": '"1"'}
_LEAST |= {"CountryCode": '"GB"', "CurrencyCode": '"GBP"', "TimeZone": '"UTC"', "Float": "1.0"}


def _least(type_: Any) -> str:
    if isinstance(type_, GraphQLNonNull):
        return _least(type_.of_type)
    if isinstance(type_, GraphQLList):
        return f"[{_least(type_.of_type)}]"
    if isinstance(type_, GraphQLInputObjectType):
        given = (f"{name}: {_least(field.type)}" for name, field in type_.fields.items() if is_required_argument(field))
        return "{" + ", ".join(given) + "}"
    return _LEAST.get(type_.name) or next(iter(type_.values))


async def change(
    scene: Scene, who: str, name: str, input_: Any, dry_run: bool = False, expected: int | None = None
) -> httpx2.Response:
    """Send a mutation with a key of its own."""
    mutation = graph().schema.type_map["Mutation"].fields[name]
    versioned = ", expectedVersion: $expected" if "expectedVersion" in mutation.args else ""
    declared = ", $expected: Int" if versioned else ""
    document = f"mutation($input: {mutation.args['input'].type}, $key: String!, $dry: Boolean{declared}) {{ {name}"
    document += f"(input: $input, idempotencyKey: $key, dryRun: $dry{versioned})"
    document += " { userErrors { __typename code message path } } }"
    variables = {"input": input_, "key": str(uuid4()), "dry": dry_run}
    return await scene.send(who, document, variables | ({"expected": expected} if versioned and expected else {}))
