"""Interfaces and unions: which type a value turns out to be of, and which it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from tests.engine.awkward import later
from tests.engine.examples import data, outcome, problems

SDL = """
type Query { carrier: Carrier, carriers: [Carrier], vehicle: Vehicle!, van: Van, vehicles: [Vehicle!] }
interface Carrier { name: String, wheels: Int! }
interface Motored implements Carrier { name: String, wheels: Int!, power: Float }
union Vehicle = Van | Bike
type Van implements Carrier & Motored { name: String, wheels: Int!, power: Float, load: Int, next: Carrier }
type Bike implements Carrier { name: String, wheels: Int!, bell: Boolean, next: Vehicle }
type Boat { name: String }
"""

VAN = {"name": "Van", "wheels": 4, "power": 70, "load": 900}
BIKE = {"name": "Bike", "wheels": 2, "bell": True}
TEXT = """{
  carriers { __typename name wheels ... on Motored { power } ... on Van { load } ...bike }
  vehicle { ... on Carrier { wheels } ... on Van { load } ...bike __typename }
}
fragment bike on Bike { bell }
"""
EXPECTED = {
    "carriers": [
        {"__typename": "Van", "name": "Van", "wheels": 4, "power": 70.0, "load": 900},
        {"__typename": "Bike", "name": "Bike", "wheels": 2, "bell": True},
    ],
    "vehicle": {"wheels": 2, "bell": True, "__typename": "Bike"},
}

Name = Callable[[Any, Any, Any], Any]


def schema_by(name: Name | None = None, **is_type_of: Any) -> GraphQLSchema:
    """Whose types are told by a function, or by asking each."""
    schema = build_schema(SDL)
    types: dict[str, Any] = dict(schema.type_map)
    for abstract in "Carrier", "Motored", "Vehicle":
        types[abstract].resolve_type = name
    for concrete, asked in is_type_of.items():
        types[concrete].is_type_of = asked
    return schema


def named(value: Any, info: Any, type_: Any) -> str:
    return "Bike" if value["wheels"] == 2 else "Van"


def named_later(value: Any, info: Any, type_: Any) -> Any:
    return later(named(value, info, type_), value["wheels"])


def is_van(value: Any, info: Any) -> bool:
    return bool(value["wheels"] == 4)


def is_bike(value: Any, info: Any) -> bool:
    return bool(value["wheels"] == 2)


def asked_later(asked: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    return lambda value, info: later(asked(value, info))


def refuses(value: Any, info: Any) -> bool:
    raise ValueError("nobody asks me")


def refuses_later(value: Any, info: Any) -> Any:
    return later(ValueError("nobody asks me"))


@pytest.mark.parametrize(
    "schema",
    [
        schema_by(named),
        schema_by(named_later),
        schema_by(Van=is_van, Bike=is_bike),
        schema_by(Van=asked_later(is_van), Bike=asked_later(is_bike)),
        schema_by(Van=is_van, Bike=asked_later(is_bike)),
        schema_by(Van=asked_later(is_van), Bike=is_bike),
        schema_by(named, Van=is_van, Bike=is_bike),
        schema_by(named_later, Van=asked_later(is_van), Bike=asked_later(is_bike)),
    ],
)
@pytest.mark.parametrize("wrapped", [lambda value: value, later])
async def test_types_are_told_by_a_function_or_by_asking(schema: GraphQLSchema, wrapped: Any) -> None:
    root = {
        "carriers": lambda info: wrapped([wrapped(VAN), wrapped(BIKE)]),
        "vehicle": lambda info: wrapped(BIKE),
    }

    assert await data(schema, TEXT, root=root) == EXPECTED


async def test_types_are_told_by_what_the_value_says_of_itself() -> None:
    root = {"carriers": [{"__typename": "Van", **VAN}, {"__typename": "Bike", **BIKE}]}

    assert await data(schema_by(), "{ carriers { __typename ... on Van { load } } }", root=root) == {
        "carriers": [{"__typename": "Van", "load": 900}, {"__typename": "Bike"}]
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "must resolve to an Object type at runtime for field 'Query."),
        ("Tram", "was resolved to a type 'Tram' that does not exist inside the schema."),
        ("Boat", "Runtime Object type 'Boat' is not a possible type for "),
        ("Carrier", "was resolved to a non-object type 'Carrier'."),
        ("String", "was resolved to a non-object type 'String'."),
        ("Query", "Runtime Object type 'Query' is not a possible type for "),
        (7, "received '7', which is not a valid Object type name."),
        ([], "received '[]', which is not a valid Object type name."),
        (ValueError("no idea"), "no idea"),
    ],
)
async def test_a_name_that_is_none(answer: Any, said: str) -> None:
    def at_once(*_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for name in at_once, lambda *_: later(answer):
        schema = schema_by(name)
        root = {"carrier": VAN, "carriers": [VAN, BIKE], "vehicle": BIKE, "vehicles": [VAN]}
        found = await outcome(schema, "{ carrier { name } carriers { wheels } vehicles { __typename } }", root=root)
        assert found["data"] == {"carrier": None, "carriers": [None, None], "vehicles": None}
        assert all(said in error["message"] for error in found["errors"])
        assert len(found["errors"]) == 4
        assert (await outcome(schema, "{ vehicle { __typename } }", root=root))["data"] is None


async def test_a_type_that_the_value_is_not_of_after_all() -> None:
    message = "Expected value of type 'Bike' but got: {'name': 'Van', 'wheels': 4, 'power': 70, 'load': 900}."
    for asked in is_bike, asked_later(is_bike):
        schema = schema_by(lambda *_: "Bike", Bike=asked)
        assert await problems(schema, "{ carrier { name } }", root={"carrier": VAN}) == [("carrier", message)]
    for asked in is_bike, asked_later(is_bike):
        schema = schema_by(Van=asked)
        found = await outcome(schema, "{ van { __typename } }", root={"van": VAN})
        assert found["errors"][0]["locations"] == [{"line": 1, "column": 3}]


async def test_none_of_the_types_asked_says_yes() -> None:
    def never(value: Any, info: Any) -> bool:
        return False

    for schema in (
        schema_by(Van=never, Bike=never),
        schema_by(Van=asked_later(never), Bike=never),
        schema_by(Van=asked_later(never), Bike=asked_later(never)),
        schema_by(),
    ):
        assert (await problems(schema, "{ carriers { name } }", root={"carriers": [VAN, None]}))[0][0] == "carriers.0"


@pytest.mark.parametrize("van", [is_van, asked_later(is_van), refuses, refuses_later])
@pytest.mark.parametrize("bike", [is_bike, asked_later(is_bike), refuses, refuses_later])
async def test_asking_that_fails(van: Any, bike: Any) -> None:
    root = {"carriers": [VAN, BIKE], "vehicle": BIKE}

    await outcome(schema_by(Van=van, Bike=bike), "{ carriers { __typename name } vehicle { __typename } }", root=root)


async def test_nothing_and_errors_are_of_no_type() -> None:
    lost = ValueError("lost")
    root = {"carrier": lambda info: lost, "carriers": [None, lost], "van": None}
    found = await outcome(schema_by(named), "{ carrier { name } carriers { name } van { name } }", root=root)

    assert found["data"] == {"carrier": None, "carriers": [None, None], "van": None}
    assert [error["path"] for error in found["errors"]] == [["carrier"], ["carriers", 1]]


async def test_what_is_selected_of_one_type_only_fails_for_that_type_only() -> None:
    bad = {**VAN, "load": ValueError("overloaded"), "next": BIKE}
    text = "{ carriers { name ... on Van { load next { name wheels __typename } } } }"
    found = await outcome(schema_by(named), text, root={"carriers": [bad, BIKE, bad]})

    assert found["data"]["carriers"][1] == {"name": "Bike"}
    assert [error["path"] for error in found["errors"]] == [["carriers", 0, "load"], ["carriers", 2, "load"]]


async def test_fragments_on_an_interface_that_an_interface_implements() -> None:
    text = "{ carriers { ... on Motored { __typename ... on Carrier { name ... on Bike { bell } } } } }"

    assert await data(schema_by(named), text, root={"carriers": [VAN, BIKE]}) == {
        "carriers": [{"__typename": "Van", "name": "Van"}, {}]
    }


async def test_a_resolver_of_types_is_told_where_it_stands() -> None:
    def name(value: Any, info: Any, type_: Any) -> str:
        value["seen"].append((info.path.as_list(), info.field_name, str(info.return_type), str(type_)))
        return named(value, info, type_)

    seen: list[Any] = []
    root = {"carriers": [{**VAN, "seen": seen}], "vehicle": {**BIKE, "seen": seen}}
    await outcome(schema_by(name), "{ carriers { name } vehicle { __typename } }", root=root)

    told = [(["carriers"], "carriers", "[Carrier]", "Carrier"), (["vehicle"], "vehicle", "Vehicle!", "Vehicle")]
    assert seen == told * 7
