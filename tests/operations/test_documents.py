"""The operations our callers send are valid, allowed and affordable to those callers, and leave nothing unused."""

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, get_nullable_type, is_list_type, validate

from app.gql.execution import cost_limit
from app.gql.payload import GraphQLRequest
from app.gql.rights import demands
from app.kernel.principal import Kind, Principal
from tests.operations.documents import ALL, Document, graph

ROOTS = ("Query", "Mutation", "Subscription")


def used() -> set[tuple[str, str]]:
    """(type, field) of everything that some operation selects; what an interface is asked for, its members are."""
    selected = {(each.parent, each.name) for document in ALL for each in document.selected(graph().schema)}
    interfaces = [each for each in graph().schema.type_map.values() if isinstance(each, GraphQLInterfaceType)]
    return selected | {
        (member.name, field)
        for interface in interfaces
        for member in graph().schema.get_possible_types(interface)
        for field in interface.fields
        if (interface.name, field) in selected
    }


def lists() -> set[tuple[str, str]]:
    """(type, field) of all lists, connections among them."""
    return {
        (type_.name, name)
        for type_ in objects()
        for name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type)) or get_named_type(field.type).name.endswith("Connection")
    }


def objects() -> list[GraphQLObjectType]:
    types = graph().schema.type_map.values()
    return [each for each in types if isinstance(each, GraphQLObjectType) and not each.name.startswith("__")]


def reading() -> set[tuple[str, str]]:
    """(type, field) of all fields that read for themselves on objects that other objects lead to."""
    led_to = {
        get_named_type(field.type).name
        for each in objects()
        if each.name not in ROOTS
        for field in each.fields.values()
    }
    return {
        (type_.name, name)
        for type_ in objects()
        if type_.name in led_to
        for name, field in type_.fields.items()
        if (resolver := field.extensions["strawberry-definition"].base_resolver) is not None and resolver.is_async
    }


def used_on_rows() -> set[tuple[str, str]]:
    """(type, field) of everything that some operation selects on the rows of a list."""
    found = set()
    for document in ALL:
        rows = document.lists(graph().schema)
        for each in document.selected(graph().schema):
            if any(".".join(each.path[:length]) in rows for length in range(1, len(each.path))):
                found.add((each.parent, each.name))
    return found


@pytest.mark.parametrize("document", ALL, ids=str)
def test_an_operation_is_valid_and_allowed_to_its_callers(document: Document) -> None:
    schema, rights = graph().schema, graph().rights

    assert validate(schema, document.ast) == []
    assert document.operation.name.value == document.name.partition("/")[2]
    needed = {demand.scope for demand in demands(schema, rights, document.operation, document.fragments)}
    assert needed <= document.scopes


@pytest.mark.parametrize("document", ALL, ids=str)
def test_an_operation_may_be_run_with_its_own_page_sizes(document: Document) -> None:
    cost = graph().operation(GraphQLRequest(document.text)).cost(graph().schema, {})

    assert cost <= cost_limit(Principal(Kind(document.sender), "caller"))


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_field_is_used_by_an_operation(root: str) -> None:
    declared = {(root, name) for name in graph().schema.type_map[root].fields}

    assert declared - used() == set()


def test_every_list_is_reached_by_an_operation() -> None:
    assert len(lists()) > 100
    assert lists() - used() == set()


def test_every_field_that_reads_for_itself_is_asked_of_the_rows_of_a_list() -> None:
    """Where reading row by row would show: tests/operations/test_statements.py counts."""
    assert len(reading()) > 30
    assert reading() - used_on_rows() == set()


def test_every_type_with_an_id_is_looked_up_by_it() -> None:
    (lookup,) = [document for document in ALL if document.name == "dashboard/Lookup"]
    looked_at = {each.parent for each in lookup.selected(graph().schema) if each.path[:1] == ("nodes",)}

    types = {each.name for each in graph().schema.get_possible_types(graph().schema.type_map["Node"])}
    assert types - looked_at == set()
