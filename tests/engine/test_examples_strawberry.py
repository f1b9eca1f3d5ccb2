"""What strawberry adds: inputs, extensions, permissions, ways to be told of the parent, generics, casts, relay."""

# Without `from __future__ import annotations`: strawberry is to see these types themselves, lazy ones among them.

from collections.abc import AsyncIterator, Iterator
from enum import Enum
from typing import Annotated, Any, Generic, NewType, TypeVar, Union

import pytest
import strawberry
from strawberry import relay
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

from tests.engine.awkward import later
from tests.engine.examples import data, outcome, problems

T = TypeVar("T")


class Refused(Exception):
    pass


class Twice(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs) * 2

    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return await next_(source, info, **kwargs) * 2


class Allowed(BasePermission):
    message = "not yours"
    error_extensions = {"code": "FORBIDDEN"}  # noqa: RUF012 (as strawberry declares it)

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(info.context["allowed"])


class AllowedLater(BasePermission):
    message = "not yours, it turns out"

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(await later(info.context["allowed"]))


@strawberry.enum
class Ink(Enum):
    RED = "red"
    BLACK = strawberry.enum_value("black", name="NIGHT")


Tag = NewType("Tag", str)


@strawberry.input
class Line:
    sku: str
    units: int = 1
    ink: Ink = Ink.RED
    inks: list[Ink] | None = strawberry.UNSET
    note: str | None = None
    lines: list[Annotated["Line", strawberry.lazy("tests.engine.test_examples_strawberry")]] | None = None


@strawberry.input
class Plain:
    """Nothing that is left to strawberry, so that it is built by a made function."""

    sku: str
    units: int = 1
    ink: Ink = Ink.RED
    inks: list[Ink] | None = strawberry.UNSET
    tags: list[Tag] = strawberry.field(default_factory=lambda: [Tag("new")])
    plain: "Plain | None" = None
    renamed: str | None = strawberry.field(name="calledSo", default="so")

    def __post_init__(self) -> None:
        if self.units < 1:
            raise Refused(f"{self.units} of {self.sku} is nothing")


@strawberry.input
class Change:
    name: strawberry.Maybe[str]
    note: strawberry.Maybe[str | None]
    line: strawberry.Maybe[Plain]


@strawberry.input(one_of=True)
class Way:
    by_sku: strawberry.Maybe[str]
    by_plain: strawberry.Maybe[Plain]


@strawberry.type
class Author:
    name: str
    secret: strawberry.Private[str] = "secret"

    @strawberry.field
    def tells(self) -> str:
        return f"{self.name} has a {self.secret}"

    @strawberry.field
    def parent(parent: strawberry.Parent["Author"], more: str = "!") -> str:  # noqa: N805 (strawberry reads the annotation)
        return f"{parent.name}{more}"

    @strawberry.field
    async def later(self, info: strawberry.Info, turns: int = 1) -> str:
        return await later(f"{self.name} {info.field_name} {info.path.as_list()}", min(turns, 5))

    @strawberry.field
    @staticmethod
    def fixed() -> str:
        return "fixed"

    @strawberry.field
    @classmethod
    def made(cls) -> str:
        return cls.__name__


def named(root: Author) -> str:
    return f"root {root.name}"


def informed(info: strawberry.Info, units: int = 2) -> str:
    return (
        f"{info.field_name} {info.python_name} {info.return_type} {sorted(info.selected_fields[0].arguments)} {units}"
    )


@strawberry.type
class Page(Generic[T]):
    items: list[T]
    first: T | None = None


@strawberry.interface
class Named:
    name: str

    @strawberry.field
    def loud(self) -> str:
        return self.name.upper()


@strawberry.type
class Book(Named):
    pages: int = 1


@strawberry.type
class Scroll(Named):
    length: float = 1.5


class Row:
    """What a database would give, and no strawberry type."""

    def __init__(self, name: str, **values: Any) -> None:
        self.name = name
        self.__dict__.update(values)


@strawberry.type
class Told(Exception):
    message: str
    args: list[str]


@strawberry.type
class Note:
    """Told apart by asking: an exception has attributes of the same names."""

    args: list[str]


@strawberry.type
class Denied:
    reason: str


@strawberry.type
class Deed:
    done: str


@strawberry.type
class Shelf(relay.Node):
    id: relay.NodeID[int]
    label: str

    @classmethod
    def resolve_nodes(cls, *, info: strawberry.Info, node_ids: Any, required: bool = False) -> Any:
        found = {1: Shelf(id=1, label="one"), 2: Shelf(id=2, label="two")}
        return [found[int(each)] if required else found.get(int(each)) for each in node_ids]


Either = Annotated[Union[Book, Scroll], strawberry.union("Either")]  # noqa: UP007 (strawberry names it so)
Wrapped = Annotated[Union[Book, Scroll], strawberry.union("Wrapped")]  # noqa: UP007


@strawberry.type
class Query:
    @strawberry.field
    def author(self) -> Author:
        return Author(name="Ann")

    named: str = strawberry.field(resolver=lambda: "unnamed")

    @strawberry.field
    def told(self, info: strawberry.Info, units: int = 2) -> str:
        return informed(info, units)

    @strawberry.field
    def plain(self, plain: Plain, plains: list[Plain | None] | None = None) -> str:
        return f"{plain} {plains}"

    @strawberry.field
    async def plain_later(self, plain: Plain) -> str:
        return await later(str(plain))

    @strawberry.field
    def line(self, line: Line | None = None) -> str:
        return str(line)

    @strawberry.field
    def change(self, change: Change, over: strawberry.Maybe[int | None] = None) -> str:
        return f"{change} {over}"

    @strawberry.field
    def way(self, way: Way) -> str:
        return str(way)

    @strawberry.field
    def defaulted(
        self,
        tags: list[Tag] = [Tag("a")],  # noqa: B006 (the very case)
        ink: Ink = Ink.BLACK,
        x: int | None = strawberry.UNSET,
    ) -> str:
        tags.append(Tag("spoiled"))
        return f"{tags} {ink} {x!r}"

    @strawberry.field
    def renamed(self, by: Annotated[str, strawberry.argument(name="byName")] = "b") -> str:
        return by

    @strawberry.field(extensions=[Twice()])
    def twice(self, of: str = "x") -> str:
        return of

    @strawberry.field(extensions=[Twice(), Twice()])
    async def twice_later(self, plain: Plain) -> str:
        return await later(plain.sku)

    @strawberry.field(permission_classes=[Allowed])
    def guarded(self) -> str | None:
        return "guarded"

    @strawberry.field(permission_classes=[AllowedLater])
    def guarded_later(self) -> str:
        return "guarded"

    @strawberry.field
    def books(self) -> Page[Book]:
        return Page(items=[Book(name="b"), Scroll(name="no book")], first=Book(name="f"))

    @strawberry.field
    def names(self) -> Page[str]:
        return Page(items=["a", "b"], first="a")

    @strawberry.field
    def wrapped(self) -> Page[Wrapped]:
        return Page(items=[Book(name="b"), Scroll(name="s"), Author(name="none of them")])

    @strawberry.field
    def either(self, how: str) -> Either | None:
        return shape_of(how)

    @strawberry.field
    def any(self, how: str) -> Named | None:
        return shape_of(how)

    @strawberry.field
    def book(self, how: str) -> Book | None:
        return shape_of(how)

    @strawberry.field
    def told_of(self) -> Told | None:
        return Told(message="m", args=["a"])

    @strawberry.field
    def notes(self) -> list[Note | None]:
        return [Note(args=["a"]), Refused("b", "c")]

    @strawberry.field
    def stream(self, to: int = 3) -> list[int]:
        return range(to)

    @strawberry.field
    def shelf(self, id: relay.GlobalID, ids: list[relay.GlobalID] | None = None) -> str:
        return f"{id.type_name} {id.node_id} {ids}"

    node: relay.Node = relay.node()
    nodes: list[relay.Node | None] = relay.node()

    @relay.connection(relay.ListConnection[Shelf])
    def shelves(self) -> Iterator[Shelf]:
        return iter([Shelf(id=n, label=str(n)) for n in range(5)])


@strawberry.type
class Mutation:
    @strawberry.mutation
    def act(self, how: str) -> Deed | Denied:
        return deed(how)

    @strawberry.mutation
    async def act_later(self, how: str) -> Deed | Denied:
        await later(None)
        return deed(how)

    @strawberry.mutation
    def told(self, plain: Plain) -> Deed:
        return Deed(done=plain.sku)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def authors(self, plain: Plain | None = None) -> AsyncIterator[Author]:
        yield Author(name="never asked for here")


def deed(how: str) -> Deed:
    if how == "not":
        raise Refused("handled")
    if how == "declined":
        raise Refused("declined")
    if how == "oddly":
        raise ValueError("not handled")
    return Deed(done=how)


class Handler(strawberry.ExceptionHandler[Refused, Denied]):
    def handle(self, exception: Refused, *, field: Any, info: Any) -> Denied | None:
        return None if str(exception) == "declined" else Denied(reason=str(exception))


def shape_of(how: str) -> Any:
    """A book, or what passes for one, or does not."""
    match how:
        case "book":
            return Book(name="book")
        case "scroll":
            return Scroll(name="scroll")
        case "row":
            return Row("row", pages=3)
        case "row as a book":
            return strawberry.cast(Book, Row("cast", pages=3, loud="?"))
        case "row as a scroll":
            return strawberry.cast(Scroll, Row("cast", length=3))
        case "book as a scroll":
            return strawberry.cast(Scroll, Book(name="cast"))
        case "book as a name":
            return strawberry.cast(Named, Book(name="cast"))
        case "none":
            return None
    raise Refused(how)


CONFIG = StrawberryConfig(scalar_map={Tag: strawberry.scalar(name="Tag", serialize=str, parse_value=str.strip)})

schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    types=[Book, Scroll, Shelf],
    exception_handlers=[Handler()],
    config=CONFIG,
)

CONTEXT = {"allowed": True}


@pytest.mark.parametrize(
    "text",
    [
        '{ author { name tells parent more: parent(more: "?") later(turns: 3) fixed made __typename } named }',
        "{ told more: told(units: 5) }",
        '{ plain(plain: { sku: "A" }) }',
        (
            '{ plain(plain: { sku: "A", units: 3, ink: NIGHT, inks: [RED, NIGHT], tags: [" a", "b "], calledSo: null,'
            ' plain: { sku: "B", plain: { sku: "C" } } }, plains: [{ sku: "D", inks: null }, null]) }'
        ),
        '{ line(line: { sku: "A", inks: RED, lines: [{ sku: "B", ink: NIGHT }] }) none: line }',
        (
            '{ a: change(change: {}) b: change(change: { name: "n", note: null, line: { sku: "A" } }, over: null)'
            ' c: change(change: { note: "x" }, over: 4) }'
        ),
        '{ a: way(way: { bySku: "A" }) b: way(way: { byPlain: { sku: "B" } }) }',
        "{ a: defaulted b: defaulted(tags: []) c: defaulted(ink: RED, x: null) d: defaulted(x: 1) }",
        '{ renamed other: renamed(byName: "x") }',
        '{ twice more: twice(of: "y") twiceLater(plain: { sku: "A" }) }',
        "{ guarded guardedLater }",
        "{ books { first { name pages loud } } }",
        "{ names { items first __typename } }",
        "{ toldOf { __typename } }",
        "{ stream short: stream(to: 1) }",
        '{ node(id: "U2hlbGY6MQ==") { id __typename ... on Shelf { label } } }',
        '{ nodes(ids: ["U2hlbGY6MQ==", "U2hlbGY6Nw=="]) { id ... on Shelf { label } } }',
        '{ shelf(id: "U2hlbGY6MQ==") more: shelf(id: "U2hlbGY6MQ==", ids: ["U2hlbGY6Mg=="]) }',
        "{ shelves(first: 2) { edges { cursor node { id label } } pageInfo { hasNextPage endCursor } } }",
        'mutation { a: act(how: "so") { ... on Deed { done } ... on Denied { reason } } }',
        'mutation { a: act(how: "not") { ... on Denied { reason } } b: actLater(how: "not") { __typename } }',
        'mutation { a: act(how: "oddly") { __typename } }',
        'mutation { a: act(how: "declined") { __typename } }',
        'mutation { a: actLater(how: "declined") { __typename } }',
        'mutation { told(plain: { sku: "A", units: 0 }) { done } }',
    ],
)
@pytest.mark.parametrize("allowed", [True, False])
async def test_what_strawberry_resolves(text: str, allowed: bool) -> None:
    await outcome(schema, text, context={"allowed": allowed})


async def test_some_of_it_said_plainly() -> None:
    text = """{
      author { tells parent later }
      plain(plain: { sku: "A", tags: [" a "], calledSo: null })
      c: change(change: { note: null })
      shelf(id: "U2hlbGY6MQ==")
      twice guarded
      a: defaulted b: defaulted
    }"""

    assert await data(schema, text, context=CONTEXT) == {
        "author": {"tells": "Ann has a secret", "parent": "Ann!", "later": "Ann later ['author', 'later']"},
        "plain": "Plain(sku='A', units=1, ink=<Ink.RED: 'red'>, inks=UNSET, tags=['a'], plain=None, renamed=None) None",
        "c": "Change(name=None, note=Some(None), line=None) None",
        "shelf": "Shelf 1 None",
        "twice": "xx",
        "guarded": "guarded",
        "a": "['a', 'spoiled'] Ink.BLACK UNSET",
        "b": "['a', 'spoiled'] Ink.BLACK UNSET",
    }


VALUES: list[Any] = [
    None, {}, 1, "x", [], {"sku": "A"}, {"sku": None}, {"sku": "A", "units": 0}, {"sku": "A", "units": None},
    {"sku": "A", "ink": "GREY"}, {"sku": "A", "ink": "NIGHT"}, {"sku": "A", "inks": None}, {"sku": "A", "inks": "RED"},
    {"sku": "A", "tags": "a"}, {"sku": "A", "tags": [3]}, {"sku": "A", "plain": {"sku": "B", "units": -1}},
    {"sku": "A", "plain": {"units": 1}}, {"calledSo": None, "sku": "A", "renamed": 1}, {"calledSo": "x", "sku": "A"},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
async def test_inputs_by_variables(value: Any) -> None:
    await outcome(schema, "query($v: Plain!) { plain(plain: $v, plains: [$v]) plainLater(plain: $v) }", {"v": value})
    await outcome(schema, 'query($v: [Plain]) { plain(plain: { sku: "A" }, plains: $v) }', {"v": [value, value]})


@pytest.mark.parametrize("type_", ["Change!", "Way!", "Line"])
async def test_inputs_that_are_left_to_strawberry(type_: str) -> None:
    name = type_.rstrip("!").lower()
    values: list[Any] = [
        {}, None, {"name": None}, {"name": "n"}, {"note": None}, {"line": None}, {"line": {"sku": "A", "units": 0}},
        {"bySku": "A"}, {"bySku": None}, {"bySku": "A", "byPlain": {"sku": "B"}}, {"byPlain": {"sku": "A"}},
        {"sku": "A"}, {"sku": "A", "lines": [{"sku": "B"}]}, {"sku": "A", "lines": [{}]}, {"sku": "A", "inks": "RED"},
    ]  # fmt: skip
    for value in values:
        await outcome(schema, f"query($v: {type_}) {{ {name}({name}: $v) }}", {"v": value})


@pytest.mark.parametrize("id_", ["U2hlbGY6MQ==", "no id", "", "U2hlbGY=", "Tm9uZTox", None])
async def test_global_ids_and_what_is_none(id_: Any) -> None:
    text = "query($i: ID!, $l: [ID!]) { shelf(id: $i, ids: $l) ...n } fragment n on Query { node(id: $i) { id } }"

    await outcome(schema, text, {"i": id_, "l": [id_]})


@pytest.mark.parametrize("inner", ["name", "loud", "__typename", "__typename name loud"])
@pytest.mark.parametrize(
    "how",
    [
        "book", "scroll", "row", "row as a book", "row as a scroll", "book as a scroll", "book as a name", "none",
        "with an error",
    ],
)  # fmt: skip
async def test_what_passes_for_a_type(how: str, inner: str) -> None:
    text = f"""query($how: String!) {{ book(how: $how) {{ {inner} pages }} only: book(how: $how) {{ {inner} }}
      any(how: $how) {{ {inner} ... on Book {{ pages }} }}
      either(how: $how) {{ __typename ... on Named {{ {inner} }} ... on Scroll {{ length }} }} }}"""

    await outcome(schema, text, {"how": how})


async def test_a_type_that_is_an_exception_is_raised_even_when_all_could_be_read_of_it() -> None:
    for inner in "message", "args", "__typename":
        found = await outcome(schema, f"{{ toldOf {{ {inner} }} }}")
        assert found["data"] == {"toldOf": None}


async def test_an_exception_among_items_is_raised_even_when_all_could_be_read_of_it() -> None:
    assert (await outcome(schema, "{ notes { args } }"))["data"] == {"notes": [{"args": ["a"]}, None]}


async def test_generics_with_items_of_other_types() -> None:
    await outcome(schema, "{ books { items { name } } }")
    await outcome(schema, "{ wrapped { items { __typename ... on Book { pages name } ... on Scroll { name } } } }")


async def test_permissions_that_are_refused() -> None:
    found = await outcome(schema, "{ guarded named }", context={"allowed": False})

    assert found["data"] == {"guarded": None, "named": "unnamed"}
    assert found["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert await problems(schema, "{ guardedLater }", context={"allowed": False}) == [
        ("guardedLater", "not yours, it turns out")
    ]


async def test_an_exception_that_is_handled_is_an_answer() -> None:
    text = 'mutation { act(how: "not") { ... on Denied { reason } } actLater(how: "not") { ... on Denied { reason } } }'

    assert await data(schema, text) == {"act": {"reason": "handled"}, "actLater": {"reason": "handled"}}


async def test_what_an_async_resolver_s_input_refuses_is_told_when_it_is_awaited() -> None:
    text = """{ late: plainLater(plain: { sku: "A", units: 0 }) now: plain(plain: { sku: "A", units: -1 })
      author { name } }"""

    assert await problems(schema, text) == [("now", "-1 of A is nothing")]
    text = text.replace("plain(plain", "twice guarded other: plain(plain")
    await outcome(schema, text, context={"allowed": False})


@strawberry.type(name="Query")
class Loose:
    @strawberry.field
    async def late(self, plain: Plain) -> str | None:
        return await later(plain.sku)

    @strawberry.field
    def now(self) -> str | None:
        raise Refused("now")


async def test_errors_of_inputs_of_async_resolvers_come_after_those_of_others() -> None:
    text = '{ late(plain: { sku: "A", units: 0 }) now }'

    assert await problems(strawberry.Schema(Loose, config=CONFIG), text) == [
        ("now", "now"),
        ("late", "0 of A is nothing"),
    ]


async def test_the_event_of_a_subscription_is_its_root() -> None:
    text = "subscription($p: Plain) { authors(plain: $p) { name tells later } }"

    assert await data(schema, text, {"p": {"sku": "A"}}, root=Author(name="event")) == {
        "authors": {"name": "event", "tells": "event has a secret", "later": "event later ['authors', 'later']"}
    }
    await outcome(schema, text, root=None)
    await outcome(schema, text, root=Refused("event"))
