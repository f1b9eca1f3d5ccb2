"""Lists of all that can be gone through, and of what only looks so."""

from __future__ import annotations

import asyncio
from collections import UserList, deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import strawberry
from graphql import Undefined, build_schema

from tests.engine.awkward import generated, later, streamed
from tests.engine.examples import data, outcome, problems

SDL = """
type Query {
  holes: [Int], full: [Int!], holesAlways: [Int]!, fullAlways: [Int!]!
  lists: [[Int]], listsFull: [[Int!]!]!, cube: [[[String!]]!]
  things: [Thing], thingsFull: [Thing!]!
}
type Thing { name: String, nameAlways: String! }
"""
lists = build_schema(SDL)


class Missing(Exception):
    pass


LOST = Missing("lost")


class Stream:
    """Goes through its items a turn of the loop apart, and is no generator."""

    def __init__(self, *items: Any) -> None:
        self.items = iter(items)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        for item in self.items:
            return item
        raise StopAsyncIteration


class Torn:
    def __iter__(self) -> Iterator[Any]:
        raise Missing("no first page")


class TornStream:
    def __aiter__(self) -> AsyncIterator[Any]:
        raise Missing("no first page")


class NoStream:
    def __aiter__(self) -> Any:
        return [1, 2]


@pytest.mark.parametrize(
    "numbers",
    [
        lambda: [1, 2, 3],
        lambda: (1, 2, 3),
        lambda: range(1, 4),
        lambda: (n for n in [1, 2, 3]),
        lambda: {1, 2, 3},
        lambda: frozenset({1, 2, 3}),
        lambda: deque([1, 2, 3]),
        lambda: UserList([1, 2, 3]),
        lambda: {1: 0, 2: 0, 3: 0}.keys(),
        lambda: map(int, "123"),
        lambda: [later(1), 2, later(3, 2)],
        lambda: later([1, 2, 3]),
        lambda: later([later(1), later(2), later(3)]),
        lambda: streamed(1, 2, 3),
        lambda: later(streamed(1, 2, 3)),
        lambda: Stream(1, 2, 3),
        lambda: Stream(later(1, 3), 2, later(3)),
        lambda: generated(1, later(2), 3),
    ],
)
@pytest.mark.parametrize("field", ["holes", "full", "holesAlways", "fullAlways"])
async def test_whatever_can_be_gone_through_is_a_list(field: str, numbers: Callable[[], Any]) -> None:
    assert await data(lists, f"{{ {field} }}", root={field: lambda info: numbers()}) == {field: [1, 2, 3]}


@pytest.mark.parametrize("value", ["123", b"123", 5, object, True, 1.5, bytearray(b"1"), {1: "a"}])
async def test_texts_and_single_things_are_no_lists(value: Any) -> None:
    for field in "holes", "fullAlways", "things":
        text = "{ things { name } }" if field == "things" else f"{{ {field} }}"
        found = await outcome(lists, text, root={field: lambda info: value})
        if isinstance(value, str | int | float | dict):
            message = f"Expected Iterable, but did not find one for field 'Query.{field}'."
            assert [each["message"] for each in found["errors"]] == [message]


@pytest.mark.parametrize("odd", [None, Undefined, LOST, "x", 2**40])
async def test_one_odd_item(odd: Any) -> None:
    ways: list[Callable[[], Any]] = [
        lambda: [1, odd, 3],
        lambda: [1, later(odd), 3],
        lambda: [later(1), later(odd, 3), later(3)],
        lambda: Stream(1, odd, 3),
        lambda: Stream(1, later(odd), later(3, 2)),
    ]
    for way in ways:
        root = {name: lambda info, way=way: way() for name in ("holes", "holesAlways", "full", "fullAlways")}
        holes = await outcome(lists, "{ holes holesAlways }", root=root)
        assert holes["data"] == {"holes": [1, None, 3], "holesAlways": [1, None, 3]}
        full = await outcome(lists, "{ full holes }", root=root)
        assert full["data"] == {"full": None, "holes": [1, None, 3]}
        always = await outcome(lists, "{ holes fullAlways }", root=root)
        assert always["data"] is None
        assert always["errors"][-1]["path"] == ["fullAlways", 1]


async def test_a_generator_that_breaks_off_leaves_nothing() -> None:
    root = {
        "holes": lambda info: generated(1, LOST),
        "full": lambda info: generated(later(1), 2, LOST),
        "lists": lambda info: generated(generated(1, LOST), [2]),
    }

    assert await problems(lists, "{ holes full lists }", root=root) == [
        ("holes", "lost"),
        ("full", "lost"),
        ("lists.0", "lost"),
    ]


async def test_a_stream_that_breaks_off_leaves_nothing() -> None:
    closed: list[str] = []

    async def stream(info: Any) -> AsyncIterator[Any]:
        try:
            yield 1
            yield later(2)
            raise LOST
        finally:
            closed.append("closed")

    assert await problems(lists, "{ holes }", root={"holes": stream}) == [("holes", "lost")]
    assert await problems(lists, "{ holesAlways }", root={"holesAlways": stream}) == [("holesAlways", "lost")]
    assert closed


async def test_a_stream_is_closed_when_an_item_empties_the_list() -> None:
    closed: list[str] = []

    async def stream(info: Any) -> AsyncIterator[Any]:
        try:
            yield 1
            yield None
            yield 3
        finally:
            closed.append("closed")

    message = "Cannot return null for non-nullable field Query.full."
    assert await problems(lists, "{ full }", root={"full": stream}) == [("full.1", message)]
    assert len(closed) == 7, "once by graphql-core, six times by the engine"


async def test_a_stream_whose_closing_fails_too_tells_of_the_first_failure() -> None:
    class Stuck(Stream):
        async def aclose(self) -> None:
            raise Missing("cannot close either")

    found = await problems(lists, "{ full }", root={"full": lambda info: Stuck(1, LOST)})

    assert found == [("full.1", "lost")]


@pytest.mark.parametrize("torn", [Torn, TornStream, NoStream])
@pytest.mark.parametrize("field", ["holes", "fullAlways"])
async def test_what_cannot_even_begin(field: str, torn: type) -> None:
    await outcome(lists, f"{{ {field} }}", root={field: lambda info: torn()})


async def test_lists_of_lists() -> None:
    root = {
        "lists": lambda info: [[1, None], None, (2,), (n for n in [])],
        "listsFull": lambda info: [[1], later([2, 3]), [later(4)], Stream(5, later(6))],
        "cube": [[["a"], None], []],
    }

    assert await data(lists, "{ lists listsFull cube }", root=root) == {
        "lists": [[1, None], None, [2], []],
        "listsFull": [[1], [2, 3], [4], [5, 6]],
        "cube": [[["a"], None], []],
    }


async def test_how_far_nothing_carries_in_lists_of_lists() -> None:
    root = {
        "lists": [[1, "x"], LOST, [LOST]],
        "cube": [[["a", None], ["b"]], [["c", LOST], None]],
    }
    found = await outcome(lists, "{ lists cube }", root=root)

    assert found["data"] == {"lists": [[1, None], None, [None]], "cube": [[None, ["b"]], [None, None]]}
    assert [error["path"] for error in found["errors"]] == [
        ["lists", 0, 1],
        ["lists", 1],
        ["lists", 2, 0],
        ["cube", 0, 0, 1],
        ["cube", 1, 0, 1],
    ]
    for row in ([1, None], None, [LOST], 5, "12", Torn()):
        whole = await outcome(lists, "{ listsFull }", root={"listsFull": [[1], row, ["x"]]})
        assert whole["data"] is None


async def test_errors_of_items_come_in_their_order_and_those_of_promises_when_they_are_broken() -> None:
    items = [{"name": Missing(str(n))} for n in range(3)]
    text = "{ things { name } }"

    assert [path for path, _ in await problems(lists, text, root={"things": items})] == [
        "things.0.name",
        "things.1.name",
        "things.2.name",
    ]
    promised = {"things": lambda info: [later({"name": Missing(str(n))}, 4 - n) for n in range(3)]}
    assert [path for path, _ in await problems(lists, text, root=promised)] == [
        "things.2.name",
        "things.1.name",
        "things.0.name",
    ]


async def test_things_among_which_some_are_promised_or_lost() -> None:
    root = {
        "things": lambda info: [{"name": "a"}, later({"name": "b"}), None, later(None), LOST, later(LOST), {}],
        "thingsFull": lambda info: Stream({"nameAlways": "a"}, later({"nameAlways": lambda info: later("b")})),
    }
    found = await outcome(lists, "{ things { name } thingsFull { nameAlways } }", root=root)

    assert found["data"] == {
        "things": [{"name": "a"}, {"name": "b"}, None, None, None, None, {"name": None}],
        "thingsFull": [{"nameAlways": "a"}, {"nameAlways": "b"}],
    }
    assert [error["path"] for error in found["errors"]] == [["things", 4], ["things", 5]]


@strawberry.type
class Shelf:
    name: str = "shelf"
    numbers: list[int] | None = None
    names: list[str | None] | None = None
    rows: list[list[int]] | None = None
    shelf: Shelf | None = None
    shelves: list[Shelf | None] | None = None
    rows_of_shelves: list[list[Shelf]] | None = None


@strawberry.type
class Shelves:
    @strawberry.field
    def shelf(self, info: strawberry.Info) -> Shelf | None:
        return info.context()

    @strawberry.field
    def shelves(self, info: strawberry.Info) -> list[Shelf | None]:
        return info.context()


shelves = strawberry.Schema(Shelves)


# Some selections leave what is promised alone.
@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
@pytest.mark.parametrize("inner", ["name", "__typename", "name __typename", "numbers", "shelf { __typename }"])
@pytest.mark.parametrize(
    "value",
    [
        lambda: [Shelf(), Shelf(numbers=[1])],
        lambda: [Shelf(), None],
        lambda: [later(Shelf()), Shelf()],
        lambda: [later(None)],
        lambda: [later(LOST), LOST, Undefined],
        lambda: (Shelf(shelf=later(Shelf())), Shelf(shelf=later(LOST)), Shelf(shelf=Undefined), Shelf(shelf=LOST)),
        lambda: [Shelf(numbers=Stream(1, 2)), Shelf(numbers=later((1, 2))), Shelf(numbers={3: 1}), Shelf(numbers="12")],
        lambda: streamed(Shelf(), None),
        lambda: generated(Shelf(), LOST),
        lambda: {"a": 1},
        lambda: object,
    ],
)
async def test_attributes_that_are_not_what_they_should_be(value: Callable[[], Any], inner: str) -> None:
    await outcome(shelves, f"{{ shelves {{ {inner} }} }}", context=value)
    ways: dict[str, Callable[[], Shelf]] = {
        "shelves": lambda: Shelf(shelves=value()),
        "rowsOfShelves": lambda: Shelf(rows_of_shelves=[value()]),
    }
    for attribute, made in ways.items():
        await outcome(shelves, f"{{ shelf {{ name {attribute} {{ {inner} }} }} }}", context=made)


async def test_an_item_that_is_promised_is_awaited_though_nothing_is_read_of_it() -> None:
    found = await outcome(
        shelves, "{ shelves { __typename } }", context=lambda: [later(Shelf()), later(None), later(LOST)]
    )

    assert found["data"] == {"shelves": [{"__typename": "Shelf"}, None, None]}
    assert [error["path"] for error in found["errors"]] == [["shelves", 2]]
