"""No field without a declaration is ever served, however it came into the schema."""

import pytest
import strawberry
from strawberry.types.base import get_object_definition

from app.gql.execution import Graph
from app.gql.scopes import ANYONE, Undeclared, contribute, needs, scoped


def graph(query, *types):
    return Graph(strawberry.Schema(query=query, types=types))


def make(query_scopes=("a:read",)):
    @scoped("b:read")
    @strawberry.type
    class Thing:
        name: str

    @scoped(*query_scopes)
    @strawberry.type
    class Query:
        thing: Thing | None = None

    return Query, Thing


def test_declared_fields_pass():
    query, _ = make()
    assert graph(query).rights.all() == {"Query": {"thing": ("a:read",)}, "Thing": {"name": ("b:read",)}}


def test_a_type_without_declaration_is_refused_by_name():
    @strawberry.type
    class Query:
        one: str = ""
        two: str = strawberry.field(default="", metadata=needs(ANYONE))

    with pytest.raises(Undeclared, match=r"Query\.one\."):
        graph(Query)


def test_a_contributed_field_declares_for_itself():
    query, thing = make()
    late = strawberry.field(resolver=lambda: "x", graphql_type=str)
    late.python_name = late.name = "late"
    get_object_definition(thing).fields.append(late)
    with pytest.raises(Undeclared, match=r"Thing\.late"):
        graph(query)


def test_contribute_wants_scopes():
    query, thing = make()
    with pytest.raises(Undeclared, match="late"):
        contribute(thing, "late", strawberry.field(resolver=lambda: "x", graphql_type=str))
    contribute(thing, "late", strawberry.field(resolver=lambda: "x", graphql_type=str, metadata=needs("c:read")))
    assert graph(query).rights.of("Thing", "late") == ("c:read",)


def test_a_subclass_declares_what_it_adds():
    @scoped("a:read")
    @strawberry.type
    class Base:
        name: str = ""

    @strawberry.type
    class Query(Base):
        more: str = ""

    with pytest.raises(Undeclared, match=r"scopes: Query\.more\."):
        graph(Query)


def test_empty_lists_are_refused():
    for wrong in (lambda: needs(), lambda: scoped(), lambda: needs(""), lambda: needs(ANYONE, "a:read")):
        with pytest.raises(ValueError, match="scope"):
            wrong()


def test_metadata_without_scopes_is_no_declaration():
    @strawberry.type
    class Query:
        one: str = strawberry.field(default="", metadata={"scopes": ()})

    with pytest.raises(Undeclared, match=r"Query\.one"):
        graph(Query)


def test_an_interface_may_not_ask_for_less_than_its_members():
    @scoped(ANYONE)
    @strawberry.interface
    class Named:
        name: str

    @scoped("a:read")
    @strawberry.type
    class Secret(Named):
        name: str = strawberry.field(metadata=needs("a:read"))

    @scoped(ANYONE)
    @strawberry.type
    class Query:
        named: Named | None = None

    with pytest.raises(Undeclared, match=r"Secret\.name needs a:read, Named\.name does not"):
        graph(Query, Secret)


def test_the_decorator_stands_above_the_type():
    with pytest.raises(TypeError, match="above"):
        scoped("a:read")(type("Plain", (), {}))
