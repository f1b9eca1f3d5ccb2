"""What is sent: arguments, their defaults, variables, and what is wrong with them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema, value_from_ast_untyped

from tests.engine.examples import data, outcome, problems

SDL = """
type Query {
  int(i: Int): String
  intDefault(i: Int = 7): String
  intAlways(i: Int!): String
  intAlwaysDefault(i: Int! = 7): String
  several(a: Int, b: String = "b", c: Boolean, d: ID = "d", e: Float = 1.5): String
  ink(ink: Ink = RED, inks: [Ink!]): String
  list(of: [Int], full: [Int!]! = [1], rows: [[Int]]): String
  order(of: Order, default: Order = { units: 3 }): String
  orderAlways(of: Order!): String
  choice(of: Choice): String
  sum(of: Sum, default: Sum = [1, 2]): String
  said(word: Word, always: Word!): String
  packed(of: Packed): String
}
enum Ink { RED, BLACK }
input Order { note: String = "none", units: Int!, inks: [Ink!] = [BLACK], inner: Order, sum: Sum, chosen: Choice }
input Choice @oneOf { text: String, number: Int, order: Order }
input Packed { a: Int = 1, b: Int }
scalar Sum
scalar Word
"""


def told(source: Any, info: Any, **arguments: Any) -> str:
    """All that the resolver gets, in its order."""
    return repr(arguments)


def summed(value: Any) -> int:
    return sum(value)


def summed_literal(node: Any, variables: Any = None) -> int:
    return summed(each or 0 for each in value_from_ast_untyped(node, variables))


def word(value: Any) -> Any:
    if value == "unspeakable":
        raise GraphQLError("this cannot be said", extensions={"code": "RUDE"})
    if value == "wrong":
        raise ValueError("this is wrong")
    return None if value == "nothing" else f"<{value}>"


def made() -> GraphQLSchema:
    schema = build_schema(SDL)
    types: Any = schema.type_map
    for field in types["Query"].fields.values():
        field.resolve = told
    types["Sum"].parse_value = types["Sum"].coerce_input_value = summed
    types["Sum"].parse_literal = summed_literal
    types["Word"].parse_value = types["Word"].coerce_input_value = word
    types["Packed"].out_type = lambda values: tuple(values.items())
    return schema


schema = made()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", "{}"),
        ("int(i: null)", "{'i': None}"),
        ("int(i: 3)", "{'i': 3}"),
        ("intDefault", "{'i': 7}"),
        ("intDefault(i: null)", "{'i': None}"),
        ("intDefault(i: 3)", "{'i': 3}"),
        ("intAlways(i: 3)", "{'i': 3}"),
        ("intAlwaysDefault", "{'i': 7}"),
        ("several", "{'b': 'b', 'd': 'd', 'e': 1.5}"),
        (
            "several(e: 2, d: 5, c: true, b: null, a: 1)",
            "{'a': 1, 'b': None, 'c': True, 'd': '5', 'e': 2.0}",
        ),
        ("ink", "{'ink': 'RED'}"),
        ("ink(ink: BLACK, inks: RED)", "{'ink': 'BLACK', 'inks': ['RED']}"),
        ("ink(inks: [RED, BLACK, RED])", "{'ink': 'RED', 'inks': ['RED', 'BLACK', 'RED']}"),
        ("list", "{'full': [1]}"),
        ("list(of: 3, full: 4, rows: 5)", "{'of': [3], 'full': [4], 'rows': [[5]]}"),
        ("list(of: [3, null], rows: [[1], null, 2])", "{'of': [3, None], 'full': [1], 'rows': [[1], None, [2]]}"),
        ("list(of: [], full: [])", "{'of': [], 'full': []}"),
        ("list(of: null)", "{'of': None, 'full': [1]}"),
        ("order", "{'default': {'note': 'none', 'units': 3, 'inks': ['BLACK']}}"),
        (
            "orderAlways(of: { inks: RED, units: 1, inner: { units: 2, note: null } })",
            (
                "{'of': {'note': 'none', 'units': 1, 'inks': ['RED'],"
                " 'inner': {'note': None, 'units': 2, 'inks': ['BLACK']}}}"
            ),
        ),
        ('choice(of: { text: "a" })', "{'of': {'text': 'a'}}"),
        ("sum", "{'default': 3}"),
        ("sum(of: [1, 2, 3])", "{'of': 6, 'default': 3}"),
        ('said(word: "hey", always: "you")', "{'word': '<hey>', 'always': '<you>'}"),
        ('said(word: "nothing", always: "nothing")', "{'word': None, 'always': None}"),
        ("packed(of: { b: 2 })", "{'of': (('a', 1), ('b', 2))}"),
    ],
)
async def test_arguments_by_literals_and_defaults(text: str, expected: str) -> None:
    assert await data(schema, f"{{ f: {text} }}") == {"f": expected}


@pytest.mark.parametrize("value", [None, 1, 2])
@pytest.mark.parametrize("default", ["", " = 5", " = null"])
@pytest.mark.parametrize("given", [True, False])
async def test_a_variable_against_its_default_and_the_argument_s(value: Any, default: str, given: bool) -> None:
    text = f"""query($v: Int{default}) {{
      int(i: $v) intDefault(i: $v) list(of: [$v, 3])
      order(default: {{ units: 3, inner: {{ units: 1, chosen: null }} }})
      packed(of: {{ a: $v, b: $v }}) sum(of: [1, $v])
      several(a: $v, b: "x", e: 3)
    }}"""
    await outcome(schema, text, {"v": value} if given else {})


async def test_a_variable_that_is_lacking_leaves_the_argument_out() -> None:
    text = "query($v: Int) { int(i: $v) intDefault(i: $v) several(a: $v) packed(of: { a: $v, b: $v }) }"

    assert await data(schema, text) == {
        "int": "{}",
        "intDefault": "{'i': 7}",
        "several": "{'b': 'b', 'd': 'd', 'e': 1.5}",
        "packed": "{'of': (('a', 1),)}",
    }
    assert await data(schema, text, {"v": None}) == {
        "int": "{'i': None}",
        "intDefault": "{'i': None}",
        "several": "{'a': None, 'b': 'b', 'd': 'd', 'e': 1.5}",
        "packed": "{'of': (('a', None), ('b', None))}",
    }


async def test_a_null_where_only_a_default_makes_the_operation_valid() -> None:
    text = "query($v: Int = 2) { intAlways(i: $v) intAlwaysDefault(i: $v) other: int(i: $v) }"

    assert await data(schema, text) == {"intAlways": "{'i': 2}", "intAlwaysDefault": "{'i': 2}", "other": "{'i': 2}"}
    found = await outcome(schema, text, {"v": None})
    assert found["data"] == {"intAlways": None, "intAlwaysDefault": None, "other": "{'i': None}"}
    assert [error["path"] for error in found["errors"]] == [["intAlways"], ["intAlwaysDefault"]]


async def test_variables_within_literals() -> None:
    text = """query($i: Int!, $ink: Ink!, $list: [Int], $order: Order, $word: Word) {
      list(of: [$i, null], rows: [$list, [$i]])
      order(of: { units: $i, inks: [$ink], inner: $order })
      choice(of: { number: $i })
      sum(of: [1, $i])
      said(word: $word, always: "x")
      ink(inks: [RED, $ink])
    }"""
    given = {"i": 4, "ink": "RED", "list": [1, None], "order": {"units": 9}, "word": "hey"}

    assert await data(schema, text, given) == {
        "list": "{'of': [4, None], 'full': [1], 'rows': [[1, None], [4]]}",
        "order": "{'of': {'note': 'none', 'units': 4, 'inks': ['RED'],"
        " 'inner': {'note': 'none', 'units': 9, 'inks': ['BLACK']}},"
        " 'default': {'note': 'none', 'units': 3, 'inks': ['BLACK']}}",
        "choice": "{'of': {'number': 4}}",
        "sum": "{'of': 5, 'default': 3}",
        "said": "{'word': '<hey>', 'always': '<x>'}",
        "ink": "{'ink': 'RED', 'inks': ['RED', 'RED']}",
    }
    assert await data(schema, text, {**given, "i": 5, "ink": "BLACK"})


async def test_arguments_come_in_the_order_of_the_schema() -> None:
    text = 'query($a: Int, $c: Boolean) { several(c: $c, b: "x", a: $a) }'

    assert await data(schema, text, {"a": 1, "c": True}) == {
        "several": "{'a': 1, 'b': 'x', 'c': True, 'd': 'd', 'e': 1.5}"
    }


async def test_fields_of_inputs_come_in_the_order_of_the_schema() -> None:
    text = "query($o: Order) { order(of: $o, default: null) }"

    assert await data(schema, text, {"o": {"inner": {"units": 2}, "units": 1}}) == {
        "order": "{'of': {'note': 'none', 'units': 1, 'inks': ['BLACK'],"
        " 'inner': {'note': 'none', 'units': 2, 'inks': ['BLACK']}}, 'default': None}"
    }


VALUES: list[Any] = [
    None, 0, 1, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 1.0, 1.5, 1e30, float("nan"), float("inf"), True, False,
    "", "1", "RED", "GREEN", "unspeakable", "wrong", "nothing", [], [1], [None], [[1]], ["RED"], [1, "2"], (1, 2),
    {}, {"units": 1}, {"units": None}, {"units": "1"}, {"unit": 1}, {"units": 1, "other": 2},
    {"units": 1, "inks": "RED"}, {"units": 1, "inks": ["GREEN", None]}, {"units": 1, "inner": {"note": 3}},
    {"text": "a"}, {"text": None}, {"text": "a", "number": 1}, {"number": "1"}, {"order": {"units": 1}},
    {"units": 1, "chosen": {}}, {"units": 1, "sum": [1, 2]}, {"units": 1, "sum": "x"},
]  # fmt: skip
FIELDS = {
    "Int": "int(i: $v) intDefault(i: $v)",
    "Int!": "intAlways(i: $v)",
    "String": "several(b: $v)",
    "Boolean": "several(c: $v)",
    "ID": "several(d: $v)",
    "Float": "several(e: $v)",
    "Ink": "ink(ink: $v)",
    "[Ink!]": "ink(inks: $v)",
    "[Int]": "list(of: $v)",
    "[Int!]!": "list(full: $v)",
    "[[Int]]": "list(rows: $v)",
    "Order": "order(of: $v)",
    "Order!": "orderAlways(of: $v)",
    "Choice": "choice(of: $v)",
    "Sum": "sum(of: $v)",
    "Word!": "said(always: $v)",
    "Packed": "packed(of: $v)",
}


@pytest.mark.parametrize("type_", FIELDS)
async def test_variables_of_every_kind_by_their_types(type_: str) -> None:
    text = f"query($v: {type_}) {{ {FIELDS[type_]} }}"
    for value in VALUES:
        await outcome(schema, text, {"v": value})
    await outcome(schema, text, {})


async def test_what_is_wrong_with_variables_is_told_of_each() -> None:
    text = """query($a: Int!, $b: [Ink!], $c: Order!, $d: Word!) {
      int(i: $a) ink(inks: $b) orderAlways(of: $c) said(always: $d) }"""
    given: dict[str, Any] = {"b": ["RED", "GREY"], "c": {"note": 4, "inks": [None], "more": 1}, "d": "unspeakable"}
    found = await problems(schema, text, given)

    assert found[0] == ("", "Variable '$a' has invalid value: Expected a value of non-null type 'Int!' to be provided.")
    assert len(found) == 6, "five, and that there are more"
    assert found[-1][1] == "Too many errors processing variables, error limit reached. Execution aborted."


async def test_variables_that_nobody_has_declared_are_of_no_effect() -> None:
    assert await data(schema, "query($v: Int) { int(i: $v) }", {"v": 1, "w": object()}) == {"int": "{'i': 1}"}


@pytest.mark.parametrize(
    "default", ["{ units: 2 }", "{ units: 2, note: null, inks: RED, inner: { units: 3 } }", "null"]
)
async def test_defaults_of_variables_that_are_inputs(default: str) -> None:
    text = f"query($v: Order = {default}) {{ order(of: $v) }}"
    for given in {}, {"v": None}, {"v": {"units": 8}}:
        await data(schema, text, given)


@pytest.mark.parametrize("depth", [3, 150, 199, 201, 400])
async def test_inputs_nested_deeply(depth: int) -> None:
    value: dict[str, Any] = {"units": 0}
    for units in range(depth):
        value = {"units": units, "inner": value}
    found = await problems(schema, "query($v: Order) { order(of: $v) }", {"v": value})

    assert found == ([] if depth < 200 else [("", "Variable values are nested too deeply.")])


async def test_one_operation_with_one_set_of_variables_after_the_other() -> None:
    text = "query($a: Int = 1, $o: Order, $l: [Int] = [1]) { intDefault(i: $a) order(of: $o) list(of: $l) }"
    for number, order, numbers in itertools.product([1, None, "x"], [None, {"units": 1}, {}], [[], None, 3]):
        await outcome(schema, text, {"a": number, "o": order, "l": numbers})
