"""What an operation selects: aliases, fragments, conditions, names of types, and the schema itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import strawberry
from graphql import build_schema, get_introspection_query

from app.engine import NotCovered, Reason
from tests.engine.awkward import schema as awkward
from tests.engine.compare import by_engine, compiled
from tests.engine.examples import data, outcome, problems

SDL = """
"A page."
type Query { page: Page, pages(first: Int = 2): [Page!]!, a: String, b: String, c: String }
interface Leaf { text: String }
type Page implements Leaf {
  text: String
  number(plus: Int! = 0): Int
  next: Page
  "Old." old: Int @deprecated(reason: "Torn.")
}
enum Ink { BLACK, RED @deprecated }
input Stamp { ink: Ink = BLACK, times: [Int!] = [1], stamp: Stamp }
directive @bound(with: Stamp) on FIELD_DEFINITION
type Mutation { stamp(with: Stamp!): Page }
type Subscription { page: Page }
"""
book = build_schema(SDL)


class Page:
    def __init__(self, count: int) -> None:
        self.count = count
        self.text = f"page {count}"

    def number(self, info: Any, plus: int = 0) -> int:
        return self.count + plus

    def next(self, info: Any) -> Page:
        return Page(self.count + 1)


ROOT = {
    "page": Page(1),
    "pages": lambda info, first: [Page(n) for n in range(first)],
    "a": "a",
    "b": "b",
    "c": "c",
}


@strawberry.type(name="Page")
class Sheet:
    text: str
    count: int

    @strawberry.field
    def next(self) -> Sheet:
        return Sheet(text=f"page {self.count + 1}", count=self.count + 1)

    @strawberry.field
    def number(self, plus: int = 0) -> int:
        return self.count + plus


@strawberry.type(name="Query")
class Sheets:
    a: str = "a"

    @strawberry.field
    def page(self) -> Sheet:
        return Sheet(text="page 1", count=1)


sheets = strawberry.Schema(Sheets)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ page { x: text text y: text } }", {"page": {"x": "page 1", "text": "page 1", "y": "page 1"}}),
        (
            "{ page { one: number(plus: 1) two: number(plus: 2) number } }",
            {"page": {"one": 2, "two": 3, "number": 1}},
        ),
        ("{ page { text } page { number } page { text } }", {"page": {"text": "page 1", "number": 1}}),
        (
            (
                "{ page { next { text } } ...f ... { page { next { next { text } } } } }"
                " fragment f on Query { page { number next { number } } }"
            ),
            {"page": {"next": {"text": "page 2", "number": 2, "next": {"text": "page 3"}}, "number": 1}},
        ),
        (
            (
                "{ ...f ...g } fragment f on Query { page { ...h } } fragment g on Query { page { ...h number } }"
                " fragment h on Page { text next { text } }"
            ),
            {"page": {"text": "page 1", "next": {"text": "page 2"}, "number": 1}},
        ),
        ("{ page { ... { text } ... on Page { number } } }", {"page": {"text": "page 1", "number": 1}}),
        ("{ __typename page { __typename t: __typename next { __typename } } }", None),
        ("{ t: __typename }", None),
        ("{ page { number text next { text number } } }", None),
        ("{ page { text @skip(if: true) number @include(if: false) } }", {"page": {}}),
        ("{ page { text @skip(if: false) number @include(if: true) } }", {"page": {"text": "page 1", "number": 1}}),
        ("{ page { text @skip(if: false) @include(if: false) number @skip(if: true) @include(if: true) } }", None),
        (
            "{ page { ... @skip(if: true) { text } ... on Page @include(if: true) { number } } }",
            {"page": {"number": 1}},
        ),
        (
            (
                "{ page { ...t @include(if: false) ...n @skip(if: false) ...t @include(if: true) } }"
                " fragment t on Page { text } fragment n on Page { number }"
            ),
            {"page": {"number": 1, "text": "page 1"}},
        ),
        ("{ page @skip(if: true) { text } }", {}),
        ("{ page { text } page @skip(if: true) { number } }", {"page": {"text": "page 1"}}),
        ("{ page { text __typename @skip(if: true) } }", {"page": {"text": "page 1"}}),
    ],
)
async def test_what_is_selected(text: str, expected: Any) -> None:
    found = await data(book, text, root=ROOT)
    if expected is not None:
        assert found == expected
        assert list(found) == list(expected)
        assert await data(sheets, text, root=Sheets()) == expected
    await outcome(sheets, text, root=Sheets())


async def test_keys_come_in_the_order_of_their_first_mention() -> None:
    text = "{ c ...f a ... { d: b } } fragment f on Query { b a: a page { number text } }"

    found = await data(book, text, root=ROOT)
    assert list(found) == ["c", "b", "a", "page", "d"]
    assert list(found["page"]) == ["number", "text"]


CONDITIONAL = """
query($x: Boolean!, $y: Boolean = false, $z: Boolean! = true) {
  a @skip(if: $x)
  b @include(if: $y) @skip(if: $z)
  ... @include(if: $x) { c page { text @include(if: $y) number } }
  ...f @skip(if: $y)
  page { ... on Page @include(if: $z) { next { text @skip(if: $x) } } }
}
fragment f on Query { page { text next @include(if: $x) { number } } f: a @skip(if: $z) }
"""


async def test_conditions_by_variables_on_fields_fragments_and_spreads() -> None:
    operation = compiled(book, CONDITIONAL, at_once=False)
    for x, y, z in itertools.product((True, False), (True, False, None), (True, False, None)):
        given = {"x": x} | {name: value for name, value in (("y", y), ("z", z)) if value is not None}
        expected = await outcome(book, CONDITIONAL, given, root=ROOT)
        # One operation for all: what one combination has found must not serve for another.
        for _ in "twice":
            answer = await by_engine(operation, given, None, ROOT)
            assert {"data": answer.data, "errors": []} == expected
    assert await data(book, CONDITIONAL, {"x": True, "y": False, "z": True}, root=ROOT) == {
        "c": "c",
        "page": {"number": 1, "text": "page 1", "next": {"number": 2}},
    }


async def test_conditions_below_a_type_that_is_only_met_later() -> None:
    schema = build_schema("""
    type Query { leaf: Leaf }
    interface Leaf { text: String }
    type A implements Leaf { text: String a: Int }
    type B implements Leaf { text: String b: Int }
    """)
    text = """query($x: Boolean!) {
      leaf { text @skip(if: $x) ... on A @include(if: $x) { a } ... on B { b @skip(if: $x) } } }"""
    operation = compiled(schema, text)
    leaves = {"A": {"__typename": "A", "text": "t", "a": 1}, "B": {"__typename": "B", "text": "t", "b": 2}}
    for x, name in itertools.product((True, False), "AB"):
        expected = await data(schema, text, {"x": x}, root={"leaf": leaves[name]})
        assert (await by_engine(operation, {"x": x}, None, {"leaf": leaves[name]})).data == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{ page { ... @defer { text } } }", Reason.DIRECTIVE),
        ("{ pages @stream(initialCount: 1) { text } }", Reason.DIRECTIVE),
        ("{ ...f @defer } fragment f on Query { page { text } }", Reason.DIRECTIVE),
        ("query @own { a }", Reason.DIRECTIVE),
    ],
)
async def test_directives_of_its_own_are_handed_on(text: str, reason: Reason) -> None:
    schema = build_schema(
        SDL + "directive @own on QUERY"
        " directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT"
        " directive @stream(if: Boolean! = true, label: String, initialCount: Int = 0) on FIELD"
    )
    with pytest.raises(NotCovered) as not_covered:
        compiled(schema, text)

    assert not_covered.value.reason is reason


async def test_conditions_by_more_variables_than_plans_are_kept_for() -> None:
    def text(count: int) -> str:
        names = [f"v{n}" for n in range(count)]
        return (
            f"query({' '.join(f'${name}: Boolean!' for name in names)})"
            f" {{ {' '.join(f'{name}: a @skip(if: ${name})' for name in names)} }}"
        )

    six = {f"v{n}": n % 2 == 0 for n in range(6)}
    assert await data(book, text(6), six, root=ROOT) == {"v1": "a", "v3": "a", "v5": "a"}
    with pytest.raises(NotCovered) as not_covered:
        compiled(book, text(7))
    assert not_covered.value.reason is Reason.CONDITIONS


async def test_a_condition_that_is_null_is_handed_on_and_the_operation_runs_again_when_it_is_not() -> None:
    operation = compiled(book, "query($x: Boolean = true) { a @include(if: $x) b }")
    for _ in "twice":
        with pytest.raises(NotCovered) as not_covered:
            await by_engine(operation, {"x": None}, None, ROOT)
        assert not_covered.value.reason is Reason.NO_CONDITION
        assert (await by_engine(operation, {}, None, ROOT)).data == {"a": "a", "b": "b"}


@pytest.mark.parametrize("schema", [book, sheets, awkward], ids=["core", "strawberry", "awkward"])
async def test_the_schema_tells_all_of_itself(schema: Any) -> None:
    for text in (
        get_introspection_query(),
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
    ):
        assert "__schema" in await data(schema, text)


async def test_the_schema_tells_of_a_single_type() -> None:
    text = """query($name: String!, $all: Boolean) {
      __type(name: $name) { name kind fields(includeDeprecated: $all) { name isDeprecated deprecationReason }
        enumValues(includeDeprecated: $all) { name } inputFields { name defaultValue type { name ofType { name } } } }
      none: __type(name: "Nothing") { name }
      __schema { __typename queryType { __typename name } directives { name args { name defaultValue } } }
    }"""
    for name, all_ in itertools.product(("Page", "Ink", "Stamp", "Leaf", "Int"), (True, False)):
        found = await data(book, text, {"name": name, "all": all_})
        assert found["none"] is None
    ink = await data(book, text, {"name": "Ink", "all": False})
    assert ink["__type"]["enumValues"] == [{"name": "BLACK"}]
    assert await data(book, '{ __type(name: "Page") { fields { name } } }') == {
        "__type": {"fields": [{"name": "text"}, {"name": "number"}, {"name": "next"}]}
    }


async def test_no_type_of_a_null_name_is_an_error_at_its_place() -> None:
    # Valid by its default, and refused by graphql-core and by the engine in the same words.
    found = await problems(book, 'query($name: String = "Page") { __type(name: $name) { name } }', {"name": None})

    assert found[0][0] == "__type"


def nested(levels: int) -> str:
    return "{ page " + "{ next " * levels + "{ text }" + " }" * levels + " }"


async def test_selections_nested_deeply() -> None:
    assert await data(book, nested(40), root=ROOT)
    await outcome(sheets, nested(40), root=Sheets())


@pytest.mark.parametrize("at_once", [True, False])
async def test_selections_nested_too_deeply_are_handed_on(at_once: bool) -> None:
    operation = compiled(sheets._schema, nested(197), at_once=at_once)
    for _ in "twice":
        with pytest.raises(NotCovered) as not_covered:
            await by_engine(operation, {}, None, Sheets())
        assert not_covered.value.reason is Reason.DEPTH
