"""Mutations in turn, events of subscriptions, scalars of one's own, and all that an object may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    build_schema,
)

from tests.engine.awkward import later, streamed
from tests.engine.examples import data, outcome, problems

counter = build_schema("""
type Query { count: Count }
type Mutation { add(n: Int!): Count, addAlways(n: Int!): Count!, reset: Count }
type Count { now: Int!, later: Int!, at: Int }
""")


class Broken(Exception):
    pass


class Counter:
    """Adds, and shows for every sum whether it was read when it stood so."""

    def __init__(self) -> None:
        self.sum = 0

    def reset(self, info: Any) -> Any:
        self.sum = 0
        return self.shown()

    def shown(self) -> Any:
        return {"now": lambda info: self.sum, "later": lambda info: self.after(), "at": self.sum}

    async def after(self) -> int:
        await later(None, 3)
        return self.sum

    def add(self, info: Any, n: int) -> Any:
        if n < 0:
            raise Broken(f"not less: {n}")
        return self.added(n) if n % 2 else self.added_at_once(n)

    addAlways = add  # noqa: N815 (the name of the field)

    def added_at_once(self, n: int) -> Any:
        self.sum += n
        if n > 90:
            raise Broken(f"too much: {n}")
        return self.shown()

    async def added(self, n: int) -> Any:
        await later(None, n % 5)
        return self.added_at_once(n)


RESET = "reset { at }"


async def test_mutations_run_one_after_the_other() -> None:
    text = f"""mutation {{ {RESET} a: add(n: 1) {{ now later }} b: add(n: 2) {{ now later }} c: add(n: 4) {{ later at }}
      d: add(n: 3) {{ now }} }}"""

    assert await data(counter, text, root=Counter()) == {
        "reset": {"at": 0},
        "a": {"now": 1, "later": 1},
        "b": {"now": 3, "later": 3},
        "c": {"later": 7, "at": 7},
        "d": {"now": 10},
    }


async def test_mutations_go_on_after_one_that_fails() -> None:
    text = f"""mutation {{ {RESET} a: add(n: -1) {{ now }} b: add(n: 2) {{ now }} c: add(n: 91) {{ now }}
      d: add(n: -3) {{ now }} e: add(n: 92) {{ now }} f: add(n: 1) {{ now }} }}"""
    found = await outcome(counter, text, root=Counter())

    assert found["data"] == {
        "reset": {"at": 0}, "a": None, "b": {"now": 2}, "c": None, "d": None, "e": None, "f": {"now": 186},
    }  # fmt: skip
    assert [error["path"] for error in found["errors"]] == [["a"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize("n", [-1, -2, 91, 92])
@pytest.mark.parametrize("before", ["add(n: 1) { now }", "add(n: 2) { now }", "add(n: -1) { now }", "__typename"])
async def test_mutations_stop_at_one_that_may_not_be_null(before: str, n: int) -> None:
    root = Counter()
    text = f"mutation {{ {RESET} before: {before} bad: addAlways(n: {n}) {{ now }} after: add(n: 1000) {{ now }} }}"
    found = await outcome(counter, text, root=root)

    assert found["data"] is None
    assert found["errors"][-1]["path"] == ["bad"]
    assert root.sum < 1000, "what came after it was not begun"


async def test_a_mutation_asked_for_twice_runs_once() -> None:
    text = f"mutation {{ {RESET} add(n: 2) {{ now }} ...more }} fragment more on Mutation {{ add(n: 2) {{ at }} }}"

    assert await data(counter, text, root=Counter()) == {"reset": {"at": 0}, "add": {"now": 2, "at": 2}}


async def test_the_fields_of_a_query_do_not_wait_for_each_other() -> None:
    seen: list[str] = []

    def told(name: str, turns: int) -> Callable[[Any], Any]:
        async def tell(info: Any) -> str:
            await later(None, turns)
            seen.append(name)
            return name

        return tell

    schema = build_schema("type Query { a: String b: String c: String }")
    await outcome(schema, "{ a b c }", root={"a": told("a", 6), "b": told("b", 1), "c": told("c", 3)})
    assert seen == ["b", "c", "a"] * 7


news = build_schema("""
type Query { a: String }
type Subscription { news(of: String): News, newsAlways: News!, many: [News!], text: String }
type News { text: String!, by: String }
""")


@pytest.mark.parametrize(
    "event",
    [
        {"news": {"text": "t", "by": None}, "newsAlways": {"text": "t"}, "many": [{"text": "t"}], "text": "t"},
        {"news": None, "newsAlways": None, "many": None},
        {"news": {"text": None}, "newsAlways": {"text": None}, "many": [{"text": None}]},
        {"news": lambda info, of=None: {"text": of}, "many": lambda info: streamed({"text": "a"}, {"text": "b"})},
        {
            "news": lambda info, of=None: later({"text": later("x")}),
            "many": lambda info: [later({"text": "x"}), later(Broken("x"))],
        },
        SimpleNamespace(news=SimpleNamespace(text="t"), newsAlways=Broken("no news"), text=Broken("no text")),
        None,
        7,
        Broken("no event"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "subscription($of: String) { news(of: $of) { text by } }",
        "subscription { newsAlways { text __typename } }",
        "subscription { many { by text } }",
        "subscription { t: text }",
    ],
)
async def test_an_event_of_a_subscription_is_told_with_the_event_as_root(event: Any, text: str) -> None:
    await outcome(news, text, {"of": "x"} if "$of" in text else {}, root=event)


async def test_events_of_one_subscription_one_after_the_other() -> None:
    text = "subscription { news { text by } }"
    for number in range(3):
        event = {"news": {"text": f"event {number}"}}
        assert await data(news, text, root=event) == {"news": {"text": f"event {number}", "by": None}}


class Color(Enum):
    RED = 1
    BLUE = 2


def spoken(value: Any) -> Any:
    if isinstance(value, Exception):
        raise AssertionError("errors are raised, not spoken")
    if value == "raise":
        raise Broken("not this word")
    if value == "refuse":
        raise GraphQLError("not that word", extensions={"code": "RUDE"})
    return {"null": None, "undefined": Undefined}.get(value, value) if isinstance(value, str) else [value]


Word = GraphQLScalarType("Word", coerce_output_value=spoken)
Hue = GraphQLEnumType("Hue", {"RED": 1, "BLUE": 2, "LIST": (1, 2)})
Shade = GraphQLEnumType("Shade", Color)


LEAVES = {
    **{each.name: each for each in (GraphQLInt, GraphQLFloat, GraphQLString, GraphQLBoolean, GraphQLID)},
    **{each.name: each for each in (Word, Hue, Shade)},
}


def of_leaves(name: str) -> GraphQLSchema:
    leaf: Any = LEAVES[name]
    always = GraphQLNonNull(leaf)
    types = {"it": leaf, "always": always, "its": GraphQLList(leaf), "many": GraphQLList(always)}
    return GraphQLSchema(GraphQLObjectType("Query", {name: GraphQLField(type_) for name, type_ in types.items()}))


class Odd:
    def __str__(self) -> str:
        return "odd"

    def __repr__(self) -> str:
        return "<Odd>"


VALUES: list[Any] = [
    None, Undefined, True, False, 0, 1, -1, 2**31, -(2**31), 1.0, 1.5, 1e100, float("inf"), float("nan"),
    "", "word", "1", "1.5", "RED", "raise", "refuse", "null", "undefined", b"bytes", [], [1], {}, {"a": 1}, (1, 2), Odd,
    Odd(), Color.RED, Color, Broken("returned"), GraphQLError("returned", extensions={"code": "X"}), {1, 2}.__class__,
]  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
async def test_leaves_of_every_value(name: str) -> None:
    schema = of_leaves(name)
    for value in VALUES:
        root = {
            "it": lambda info, value=value: value,
            "always": lambda info, value=value: later(value),
            "its": lambda info, value=value: [value, later(value)],
            "many": lambda info, value=value: [value],
        }
        await outcome(schema, "{ it its many }", root=root)
        await outcome(schema, "{ always }", root=root)


async def test_a_scalar_that_raises_or_has_nothing_to_say() -> None:
    schema = of_leaves("Word")
    told = [await problems(schema, "{ it }", root={"it": word}) for word in ("raise", "refuse", "null", "word")]

    assert told == [
        [("it", "not this word")],
        [("it", "not that word")],
        [("it", "Expected `Word.coerce_output_value('null')` to return non-nullable value, returned: None")],
        [],
    ]


@dataclass
class Person:
    name: str
    age: int | None = None

    @property
    def greeting(self) -> str:
        return f"I am {self.name}"

    @property
    def secret(self) -> str:
        raise Broken("not told")

    def friend(self, info: Any) -> Person:
        return Person(f"friend of {self.name}")

    def called(self, info: Any, how: str = "hey") -> str:
        return f"{how} {self.name} {info.field_name} {info.path.as_list()}"

    @staticmethod
    def fixed(info: Any) -> str:
        return "fixed"

    async def awaited(self, info: Any) -> str:
        return await later(self.name)  # type: ignore[no-any-return]


PEOPLE = """
type Query { person: Person, people: [Person] }
type Person { name: String!, age: Int, greeting: String, secret: String, friend: Person, called(how: String): String,
  fixed: String, awaited: String, lacking: String }
"""


@pytest.mark.parametrize(
    "person",
    [
        Person("Ann", 30),
        {"name": "Ann", "age": lambda info: 30, "friend": Person("Bob"), "called": lambda info, **given: str(given)},
        SimpleNamespace(name=lambda info: "Ann", age=30, friend=lambda info: {"name": "Bob"}),
        SimpleNamespace(age=30),
        {"name": Odd()},
        {"name": lambda info: later("Ann"), "called": lambda info: "takes no arguments"},
        Person,
        "Ann",
        7,
        [],
    ],
)
async def test_objects_are_dicts_attributes_and_what_can_be_called(person: Any) -> None:
    schema = build_schema(PEOPLE)
    text = """{ person { name age greeting secret friend { name called } called hey: called(how: "ho") fixed awaited
      lacking } people { name } p: person { age lacking } }"""

    await outcome(schema, text, root={"person": lambda info: person, "people": lambda info: [person]})


async def test_errors_with_extensions_and_causes_of_their_own() -> None:
    extended = GraphQLError("mine", extensions={"code": "MINE", "of": [1, {"a": None}]})

    class Coded(Broken):
        extensions = {"code": "CODED"}  # noqa: RUF012 (as graphql-core reads it)

    def raised(error: Exception) -> Callable[[Any], Any]:
        def resolve(info: Any) -> Any:
            raise error

        return resolve

    schema = build_schema("type Query { a: String b: String c: String! d: [String] e: String }")
    root = {
        "a": raised(extended),
        "b": raised(Coded("coded")),
        "d": lambda info: [GraphQLError("item", extensions={"n": 1}), later(Coded("later"))],
        "e": raised(GraphQLError("elsewhere", path=["some", "where"])),
    }
    found = await outcome(schema, "{ a b d e }", root=root)

    assert [error.get("extensions") for error in found["errors"]] == [
        {"code": "MINE", "of": [1, {"a": None}]},
        {"code": "CODED"},
        {"n": 1},
        None,
        {"code": "CODED"},
    ]
    assert (await outcome(schema, "{ a c }", root={"a": "a", "c": raised(extended)}))["data"] is None


async def test_resolvers_are_told_all_of_where_they_stand() -> None:
    def resolve(source: Any, info: Any) -> str:
        return repr(
            (
                info.field_name,
                [node.loc.start for node in info.field_nodes],
                str(info.return_type),
                str(info.parent_type),
                info.path.as_list(),
                sorted(info.fragments),
                info.root_value,
                info.operation.name.value,
                info.variable_values.coerced,
                info.context,
                info.schema is schema,
            )
        )

    told = GraphQLField(GraphQLString, resolve=resolve)
    inner = GraphQLObjectType("Inner", {"told": told})
    own = GraphQLObjectType("Query", {"told": told, "inner": GraphQLField(inner, resolve=lambda *_: 1)})
    schema = GraphQLSchema(own)
    text = """query Q($v: Boolean! = false, $w: Boolean!) { told @skip(if: $v) @include(if: $w) ...f i: inner { told } }
      fragment f on Query { told }"""

    await data(schema, text, {"w": True}, root="root", context={"a": 1})
