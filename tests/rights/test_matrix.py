"""Every field of the schema as every kind of caller: who lacks a scope is told so, and which field wants it."""

from dataclasses import replace
from functools import cache

import pytest
import strawberry
from graphql import FieldNode, GraphQLObjectType, NameNode, get_named_type
from strawberry.types.base import get_object_definition

from app import schema
from app.auth.states import CUSTOMER_SCOPES, DEFAULT_SCOPES, PUBLISHABLE_SCOPES, SCOPES, ClientKind
from app.gql.execution import Graph
from app.gql.rights import Demand, denial
from app.gql.scopes import Undeclared
from app.kernel.ids import uuid7
from app.kernel.principal import ANONYMOUS, Kind, Principal
from app.kernel.settings import Settings
from app.main import create_app
from app.orders.api import Order

BOUND = uuid7()
CALLERS = {
    **{kind.value: Principal(Kind(kind.value), f"client:{kind}", DEFAULT_SCOPES[kind]) for kind in ClientKind},
    "CUSTOMER": Principal(Kind.CUSTOMER, "customer:1", CUSTOMER_SCOPES, customer_id=uuid7()),
    "ANONYMOUS": ANONYMOUS,
}
CALLERS["PARTNER bound"] = replace(CALLERS["PARTNER"], channel_id=BOUND)
CALLERS["STOREFRONT"] = replace(CALLERS["STOREFRONT"], channel_id=BOUND)
ROOTS = {"Query", "Mutation", "Subscription"}
# Types whose every field tells what lies on shelves.
ON_HAND = {"StockLevel", "StockLevelConnection", "StockMovement", "StockMovementConnection", "IntegrityReport"}


@cache
def graph() -> Graph:
    return Graph(schema.build())


def fields() -> list[tuple[str, str]]:
    return [(type_, field) for type_, declared in graph().rights.all().items() for field in declared]


def demanded(type_: str, field: str) -> tuple[Demand, ...]:
    node = FieldNode(name=NameNode(value=field))
    return tuple(Demand(scope, f"{type_}.{field}", (field,), node) for scope in graph().rights.of(type_, field))


def test_every_field_of_every_object_type_is_in_the_matrix() -> None:
    objects = [t for t in graph().schema.type_map.values() if isinstance(t, GraphQLObjectType)]
    served = {(t.name, field) for t in objects if not t.name.startswith("__") for field in t.fields}

    assert served <= set(fields())


def test_every_scope_that_a_field_needs_exists() -> None:
    assert {scope for each in fields() for scope in graph().rights.of(*each)} <= SCOPES


def test_customers_only_read() -> None:
    assert {scope.partition(":")[2] for scope in CUSTOMER_SCOPES} == {"read"}


@pytest.mark.parametrize("caller", CALLERS)
def test_without_the_scope_the_answer_names_the_field(caller: str) -> None:
    principal = CALLERS[caller]
    for type_, field in fields():
        missing = set(graph().rights.of(type_, field)) - principal.scopes
        errors = denial(demanded(type_, field), principal)

        assert {error.extensions["scope"] for error in errors} == missing
        for error in errors:
            assert error.extensions["code"] == ("UNAUTHENTICATED" if caller == "ANONYMOUS" else "FORBIDDEN")
            assert error.extensions["field"] == f"{type_}.{field}"
            assert f"{type_}.{field}" in error.message


def test_without_a_credential_only_the_declared_few_root_fields_answer() -> None:
    open_to_all = {(t, f) for t, f in fields() if t in ROOTS and not graph().rights.of(t, f)}

    assert open_to_all == {("Query", "viewer"), ("Query", "node"), ("Query", "nodes")}


def test_every_mutation_needs_a_scope_that_changes_things() -> None:
    for type_, field in fields():
        if type_ == "Mutation":
            scopes = graph().rights.of(type_, field)
            assert scopes, field
            assert not any(scope.endswith(":read") for scope in scopes), field


def test_nothing_a_storefront_may_read_leads_to_what_is_on_hand() -> None:
    seen: set[str] = set()
    waiting = ["Query", "Subscription", "Mutation", *(t.name for t in possible_nodes())]
    reached: set[tuple[str, str]] = set()
    while waiting:
        name = waiting.pop()
        type_ = graph().schema.type_map[name]
        if name in seen or (not hasattr(type_, "fields") and not hasattr(type_, "types")):
            continue
        seen.add(name)
        if hasattr(type_, "types"):
            waiting += [member.name for member in type_.types]
            continue
        for field, definition in type_.fields.items():
            if set(graph().rights.of(name, field)) <= PUBLISHABLE_SCOPES:
                reached.add((name, field))
                inner = definition.type
                while hasattr(inner, "of_type"):
                    inner = inner.of_type
                waiting.append(inner.name)

    figures = {"onHand", "allocated", "damaged", "qualityControl", "onHandChange"}
    assert ("Availability", "available") in reached
    assert [(t, f) for t, f in reached if f in figures or (t in ON_HAND and f != "id")] == []


def possible_nodes() -> list[GraphQLObjectType]:
    return list(graph().schema.get_possible_types(graph().schema.type_map["Node"]))


# Conditions on an id: whoever asks was given it before, by somebody who may read the field.
BY_ID = {"OrderWhere.channelId": "channel", "OrderWhere.customerId": "customer"}
BY_ID |= {
    f"{where}.{name}Id": name for where in ("StockLevelWhere", "StockMovementWhere") for name in ("sku", "location")
}
# Named after nothing that is read by itself, with the field that tells the same.
NAMED = {"OrderWhere.currency": "currencyCode", "OrderWhere.totalMinor": "totals"}
SORTED = {"Order by TOTAL": "totals", "StockLevel by SKU": "id"}


def test_nobody_filters_or_sorts_by_what_they_may_not_read() -> None:
    """Or else a bisection would read it all the same."""
    types = graph().schema.type_map
    asked = set()
    for name, field in types["Query"].fields.items():  # type: ignore[attr-defined]
        if "where" not in field.args:
            continue
        enough = set(graph().rights.of("Query", name))
        row = types[get_named_type(get_named_type(field.type).fields["nodes"].type).name]  # type: ignore[union-attr]
        inputs = {
            argument: get_named_type(field.args[argument].type)
            for argument in ("where", "orderBy")
            if argument in field.args
        }
        readable = {each for each in row.fields if set(graph().rights.of(row.name, each)) <= enough}  # type: ignore[attr-defined]
        for condition in set(inputs["where"].fields) - {"AND", "OR", "NOT"}:  # type: ignore[union-attr]
            place = f"{inputs['where'].name}.{condition}"
            asked.add(place)
            if place in BY_ID:
                assert BY_ID[place] in row.fields  # type: ignore[attr-defined]
            else:
                assert NAMED.get(place, condition) in readable, f"{place} asks about what {name} does not show"
        if "orderBy" in inputs:
            for key in get_named_type(inputs["orderBy"].fields["field"].type).values:  # type: ignore[union-attr]
                first, *others = key.lower().split("_")
                column = SORTED.get(f"{row.name} by {key}", first + "".join(map(str.title, others)))
                assert column in readable, f"{name} sorts by {key}, which it does not show"
    assert asked >= BY_ID.keys() | NAMED.keys()


@pytest.mark.parametrize("metadata", [{}, {"scopes": ()}, {"other": "x"}])
def test_the_product_does_not_start_with_a_field_that_declares_nothing(
    monkeypatch: pytest.MonkeyPatch, metadata: dict[str, object]
) -> None:
    """On the real application, at the place where it starts."""
    definition = get_object_definition(Order, strict=True)
    late = strawberry.field(resolver=lambda: "x", graphql_type=str, metadata=metadata)
    late.python_name = late.name = "late"
    monkeypatch.setattr(definition, "fields", [*definition.fields, late])
    given = Settings(database_url="postgresql://nowhere/x", redis_url="redis://nowhere", secret_key="x" * 40)

    with pytest.raises(Undeclared, match=r"Order\.late"):
        create_app(given)
