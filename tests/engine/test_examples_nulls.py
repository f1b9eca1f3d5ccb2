"""Nothing where there should be something, and how far it carries."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from graphql import build_schema

from tests.engine.awkward import later
from tests.engine.examples import data, outcome, problems


class Spoiled(Exception):
    pass


SDL = """
type Query { crate: Crate, crateAlways: Crate!, other: String }
type Crate {
  text: String
  textAlways: String!
  crate: Crate
  crateAlways: Crate!
  crates: [Crate]
  cratesAlways: [Crate!]!
  grid: [[Crate!]!]
  gridHoles: [[Crate]!]!
}
"""
crates = build_schema(SDL)


@strawberry.type
class Crate:
    """The same, of attributes, which are read at once where all is well."""

    text: str | None = None
    text_always: str = "always"
    crate: Crate | None = None
    crate_always: Crate
    crates: list[Crate | None] | None = None
    crates_always: list[Crate]
    grid: list[list[Crate]] | None = None
    grid_holes: list[list[Crate | None]]

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


@strawberry.type
class Crates:
    crate: Crate | None
    crate_always: Crate
    other: str | None

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


attributes = strawberry.Schema(Crates)


def made(of: Any, name: str = "Query") -> Any:
    """Objects with attributes out of dicts."""
    if isinstance(of, dict):
        values = {_python(key): made(value, "Crate") for key, value in of.items()}
        return (Crates if name == "Query" else Crate)(**values)
    return [made(each, "Crate") for each in of] if isinstance(of, list) else of


def _python(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def promised(of: Any) -> Any:
    """The same dicts, with everything in them promised only."""
    if isinstance(of, dict):
        return {key: (lambda info, value=value: later(promised(value))) for key, value in of.items()}
    return [promised(each) for each in of] if isinstance(of, list) else of


def at_times(of: Any, number: int = 0) -> Any:
    """The same dicts, with every other thing in them promised, some later than others."""
    if isinstance(of, dict):
        return {
            key: at_times(value, number + n)
            if (number + n) % 2
            else (lambda info, value=value, n=n: later(at_times(value, number + n + 1), 1 + n % 3))
            for n, (key, value) in enumerate(of.items())
        }
    return [at_times(each, number + n) for n, each in enumerate(of)] if isinstance(of, list) else of


async def everywhere(text: str, root: dict[str, Any]) -> Any:
    """The outcome, which is the same for values, promises and attributes up to the order of errors."""
    found = await outcome(crates, text, root=root)
    await outcome(crates, text, root=at_times(root))
    afterwards = await outcome(crates, text, root=promised(root))
    assert afterwards["data"] == found["data"]
    read = await outcome(attributes, text, root=made(root))
    assert read["data"] == found["data"]
    return found


BAD = Spoiled("mould")


@pytest.mark.parametrize(
    ("text", "root", "expected"),
    [
        ("{ crate { text } }", {"crate": {"text": None}}, {"crate": {"text": None}}),
        ("{ crate { text } }", {"crate": {"text": BAD}}, {"crate": {"text": None}}),
        ("{ crate { textAlways } }", {"crate": {"textAlways": None}}, {"crate": None}),
        ("{ crate { textAlways } }", {"crate": {"textAlways": BAD}}, {"crate": None}),
        ("{ crateAlways { textAlways } }", {"crateAlways": {"textAlways": None}}, None),
        ("{ crateAlways { textAlways } }", {"crateAlways": {"textAlways": BAD}}, None),
        ("{ crateAlways { text } }", {"crateAlways": None}, None),
        ("{ crateAlways { text } other }", {"crateAlways": BAD, "other": "o"}, None),
        (
            "{ crate { crate { crateAlways { crateAlways { textAlways } } } text } other }",
            {
                "crate": {"crate": {"crateAlways": {"crateAlways": {"textAlways": BAD}}}, "text": "t"},
                "other": "o",
            },
            {"crate": {"crate": None, "text": "t"}, "other": "o"},
        ),
        (
            "{ crate { crates { textAlways } } }",
            {"crate": {"crates": [{"textAlways": "a"}, {"textAlways": None}, None, BAD]}},
            {"crate": {"crates": [{"textAlways": "a"}, None, None, None]}},
        ),
        (
            "{ crate { cratesAlways { textAlways } } }",
            {"crate": {"cratesAlways": [{"textAlways": "a"}, {"textAlways": BAD}]}},
            {"crate": None},
        ),
        ("{ crate { cratesAlways { text } } }", {"crate": {"cratesAlways": [None]}}, {"crate": None}),
        ("{ crate { cratesAlways { text } } }", {"crate": {"cratesAlways": []}}, {"crate": {"cratesAlways": []}}),
        ("{ crate { crates { text } } }", {"crate": {"crates": None}}, {"crate": {"crates": None}}),
        (
            "{ crate { grid { textAlways } } }",
            {"crate": {"grid": [[{"textAlways": "a"}], [{"textAlways": None}]]}},
            {"crate": {"grid": None}},
        ),
        ("{ crate { grid { text } } }", {"crate": {"grid": [[], None]}}, {"crate": {"grid": None}}),
        (
            "{ crate { gridHoles { textAlways } } }",
            {"crate": {"gridHoles": [[{"textAlways": "a"}, {"textAlways": BAD}], [None]]}},
            {"crate": {"gridHoles": [[{"textAlways": "a"}, None], [None]]}},
        ),
        ("{ crate { gridHoles { text } } }", {"crate": {"gridHoles": [None]}}, {"crate": None}),
    ],
)
async def test_what_is_null_and_what_its_place_makes_of_it(text: str, root: dict[str, Any], expected: Any) -> None:
    found = await everywhere(text, root)

    assert found["data"] == expected


async def test_the_message_says_which_field_may_not_be_null() -> None:
    assert await problems(crates, "{ crate { always: textAlways } }", root={"crate": {}}) == [
        ("crate.always", "Cannot return null for non-nullable field Crate.textAlways.")
    ]


async def test_an_error_has_the_places_of_all_that_asks_for_its_field() -> None:
    found = await outcome(crates, "{ crate { text }\n crate { text } }", root={"crate": {"text": BAD}})

    assert found["errors"][0]["locations"] == [{"line": 1, "column": 11}, {"line": 2, "column": 10}]


async def test_errors_of_several_fields_come_in_the_order_of_the_fields() -> None:
    text = "{ b: crate { text } a: other c: crate { a: text b: text } }"
    root = {"crate": {"text": BAD}, "other": Spoiled("first of all?")}

    assert [path for path, _ in await problems(crates, text, root=root)] == ["b.text", "a", "c.a", "c.b"]


async def test_errors_of_promises_come_when_they_are_broken() -> None:
    def broken(turns: int) -> Any:
        return lambda info: later(Spoiled(f"after {turns}"), turns)

    text = "{ a: crate { text } b: other c: crate { text crate { text } } }"
    root = {"crate": {"text": broken(9), "crate": {"text": broken(1)}}, "other": broken(5)}

    assert [path for path, _ in await problems(crates, text, root=root)] == ["c.crate.text", "b", "a.text", "c.text"]


async def test_of_several_errors_below_one_place_the_first_is_told() -> None:
    text = "{ crate { a: textAlways b: textAlways c: text d: textAlways } }"

    assert await problems(crates, text, root={"crate": {"textAlways": BAD, "text": BAD}}) == [("crate.a", "mould")]


async def test_errors_before_the_one_that_empties_their_parent_stay() -> None:
    text = "{ crate { c: text crate { text } a: textAlways b: text } }"
    found = await problems(crates, text, root={"crate": {"textAlways": BAD, "text": BAD, "crate": {"text": BAD}}})

    assert [path for path, _ in found] == ["crate.c", "crate.crate.text", "crate.a"]


async def test_errors_below_a_place_that_is_null_already_are_not_told() -> None:
    root = {
        "crate": {
            "textAlways": lambda info: later(BAD, 1),
            "text": lambda info: later(Spoiled("too late"), 3),
            "crates": [lambda info: later(BAD)],
        },
        "other": lambda info: later("o", 6),
    }

    found = await outcome(crates, "{ crate { textAlways text crates { text } } other }", root=root)
    assert found["data"] == {"crate": None, "other": "o"}
    assert [each["message"] for each in found["errors"]] == ["mould"]


async def test_a_sync_error_does_not_wait_for_the_promises_beside_it() -> None:
    ended: list[str] = []

    async def slow(info: Any) -> str:
        await later(None, 4)
        ended.append("slow")
        return "slow"

    root = {"crate": {"text": slow, "textAlways": BAD}, "other": lambda info: later("o", 8)}
    found = await outcome(crates, "{ crate { text textAlways } other }", root=root)

    assert found["data"] == {"crate": None, "other": "o"}
    assert ended, "what was promised beside it comes to its end"


async def test_an_exception_that_is_returned_is_as_one_that_is_raised() -> None:
    def returned(info: Any) -> Any:
        return Spoiled("returned")

    assert await problems(crates, "{ other }", root={"other": returned}) == [("other", "returned")]
    assert await problems(crates, "{ other }", root={"other": lambda info: later(None, 1)}) == []
    assert await problems(crates, "{ crateAlways { text } }", root={"crateAlways": returned}) == [
        ("crateAlways", "returned")
    ]


async def test_nothing_at_all_is_data_too() -> None:
    assert await data(crates, "{ crate { text } other }", root={}) == {"crate": None, "other": None}
    assert await data(crates, "{ crate { text } other }") == {"crate": None, "other": None}
