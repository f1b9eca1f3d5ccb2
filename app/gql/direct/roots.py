"""Root fields that one statement answers: an object by one of its keys, and a page of a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, literal_column
from sqlalchemy.dialects.postgresql import ARRAY

from app.engine import Field, Selection, selection_of
from app.gql.connections import OrderBy, OrderDirection
from app.gql.context import Context
from app.gql.direct.columns import Reading, python_name
from app.gql.direct.links import columns_of
from app.gql.direct.pieces import Ask, Because, NotDirect, joined
from app.gql.where import as_filter
from app.kernel.filters import Filter, Marks, any_of
from app.kernel.pagination import Listing, Page, PageArguments, Walk
from app.kernel.prepared import Prepared
from app.kernel.principal import Principal

# The JSON of the field.  Raises NotDirect where the engine is to answer this request.
Answering = Callable[[Context, VariableValues], Awaitable[str]]
Rule = Callable[[Principal], ColumnElement[bool]]


class Root(Protocol):
    def prepared(self, field: Field, ask: Ask) -> Answering:
        """What answers the field where it stands in an operation.  Raises NotDirect."""
        ...


ROOTS: dict[str, Root] = {}


def answers_directly(name: str, root: Root) -> None:
    """Declare that a root field of queries, by its name in Python, can be answered by one statement."""
    assert name not in ROOTS, f"{name} is answered already"
    ROOTS[name] = root


@dataclass(frozen=True, slots=True)
class Way:
    """How an object is found by one argument.

    condition  for a caller; its parameters are `bindparam`s by name
    values     of what was given, by those names; may raise a refusal, which the engine then finds again
    """

    condition: Callable[[Principal], ColumnElement[bool]]
    values: Callable[[Any], Mapping[str, Any]]


def by(column: ColumnElement[Any], value: Callable[[Any], Any]) -> Way:
    """By a unique column."""
    return Way(lambda _: any_of(column, "keys"), lambda given: {"keys": [value(given)]})


class One:
    """An object, or null, by the one argument that was given.

    rows  all objects, by whatever rule
    """

    def __init__(self, reading: Reading[Any], rows: Select[Any], visible: Rule, ways: Mapping[str, Way]) -> None:
        self._reading = reading
        self._rows = rows
        self._visible = visible
        self._ways = ways

    def prepared(self, field: Field, ask: Ask) -> Answering:
        given, selection, source = ask.given(field), selection_of(field), columns_of(self._rows)
        self._reading.pieces(selection, source, ask)  # or there is none

        def statement(principal: Principal, way: str) -> Select[Any]:
            ask.begin(principal)
            written = joined(self._reading.pieces(selection, source, ask))
            found = self._rows.with_only_columns(written, maintain_column_froms=True)
            return found.where(self._ways[way].condition(principal)).where(self._visible(principal))

        read = Prepared(statement)

        async def answer(context: Context, variables: VariableValues) -> str:
            arguments = [(name, value) for name, value in given(variables).items() if value is not None]
            if len(arguments) != 1 or (way := self._ways.get(arguments[0][0])) is None:
                raise NotDirect(Because.REFUSED)
            name, value = arguments[0]
            rows = await read.shaped(context.reads, {**way.values(value), **ask.values(context, variables)}, name)
            return rows[0][0] if rows else "null"

        return answer


class Paged:
    """A page of a listing as a connection.

    order_by  how the list is sorted where nobody says
    by_codes  whether a page that is narrowed by codes can be planned before it is known what they stand for
    """

    def __init__(
        self,
        reading: Reading[Any],
        listing: Listing,
        *,
        order_by: OrderBy[Any] | None = None,
        by_codes: bool = True,
    ) -> None:
        self._reading = reading
        self._listing = listing
        self._order_by = order_by
        self._by_codes = by_codes

    def prepared(self, field: Field, ask: Ask) -> Answering:
        given = ask.given(field)
        shown = _Connection(selection_of(field))
        source = columns_of(self._listing.select)
        for selection in shown.nodes:
            self._reading.pieces(selection, source, ask)  # or there is none

        def narrowed(
            principal: Principal, where: Filter | None, search: str | None, coded: Sequence[tuple[str, bool]]
        ) -> Select[Any]:
            also = [
                self._listing.coded[name].among(principal, bindparam(name, type_=ARRAY(Text)), are_one=are_one)
                for name, are_one in coded
            ]
            return self._listing.selecting(principal, where, search, also)

        def cut(principal: Principal, statement: Select[Any], walk: Walk) -> Select[Any]:
            ask.begin(principal)
            nodes = [
                joined(self._reading.pieces(selection, source, ask)).label(f"node_{n}")
                for n, selection in enumerate(shown.nodes)
            ]
            keys = walk.keys if shown.has_cursors else []
            columns: list[ColumnElement[Any]] = [*nodes, *keys] or [
                literal_column("1")
            ]  # rows are counted all the same
            page: Select[Any] = walk.through(statement).limit(bindparam("rows", type_=Integer))
            return page.with_only_columns(*columns, maintain_column_froms=True)

        def statement(
            principal: Principal,
            order_by: str | None,
            descending: bool,
            backwards: bool,
            where: Filter | None,
            after: tuple[Any, ...] | None,
            before: tuple[Any, ...] | None,
            *coded: tuple[str, bool],
        ) -> Select[Any]:
            order = self._listing.terms(order_by, descending=descending)
            walk = Walk(order=order, size=0, backwards=backwards, after=after, before=before)
            return cut(principal, narrowed(principal, where, None, coded), walk)

        read = Prepared(statement)

        async def answer(context: Context, variables: VariableValues) -> str:
            arguments = given(variables)
            codes = self._listing.codes(arguments)
            if codes and not self._by_codes:
                raise NotDirect(Because.ARGUMENTS)
            coded = [(name, len(given) == 1) for name, given in codes.items()]
            asked = PageArguments(*(arguments.get(name) for name in ("first", "after", "last", "before")))
            where, search = as_filter(arguments.get("where")), arguments.get("search")
            sorting: OrderBy[Any] | None = arguments.get("order_by") or self._order_by
            order_by = sorting.field.value if sorting is not None else None
            descending = sorting is not None and sorting.direction is OrderDirection.DESC
            principal = context.principal
            order = self._listing.terms(order_by, descending=descending)
            binding = self._listing.binding(
                principal, context.services.signer, where, search, codes, order_by, descending=descending
            )
            walk = Walk.of(asked, order, binding)
            parameters = {"rows": walk.size + 1, **codes, **ask.values(context, variables)}
            if search is None or not search.strip():
                marks = Marks([])
                places = (
                    tuple(map(marks.of, each)) if each is not None else None for each in (walk.after, walk.before)
                )
                condition = marks.within(where) if where is not None else None
                shape = (order_by, descending, walk.backwards, condition, *places, *coded)
                rows = await read.shaped(context.reads, parameters, *shape, marked=marks.values)
            else:
                sought = cut(principal, narrowed(principal, where, search, coded), walk)
                rows = await context.reads.all(sought, parameters)
            place = (lambda row: tuple(row)[-len(order) :]) if shown.has_cursors else None
            page = walk.page(rows, place, binding)
            count = (
                await self._listing.count(context.reads, where=where, search=search, codes=codes)
                if shown.has_count
                else 0
            )
            return shown.json(page, count)

        return answer


class _Connection:
    """What is selected of a connection.

    nodes  what is selected of its rows: each selection is one column of the statement
    """

    def __init__(self, selection: Selection) -> None:
        self.nodes: list[Selection] = []
        self.has_cursors = self.has_count = False
        self._shown = self._object(selection, self._of_connection)

    def json(self, page: Page, count: int) -> str:
        return self._shown(page, count)

    def _object(self, selection: Selection, of: Callable[[Field], Callable[..., str]]) -> Callable[..., str]:
        fields = [(f'"{field.key}":', self._typename(field) or of(field)) for field in selection.fields]
        return lambda *shown: "{" + ",".join([key + write(*shown) for key, write in fields]) + "}"

    def _typename(self, field: Field) -> Callable[..., str] | None:
        if not field.is_typename:
            return None
        name = f'"{field.parent.name}"'
        return lambda *_: name

    def _of_connection(self, field: Field) -> Callable[[Page, int], str]:
        match python_name(field):
            case "nodes":
                return _column(self._column(field))
            case "edges":
                return _all(self._object(selection_of(field), self._of_edge))
            case "page_info":
                return self._object(selection_of(field), self._of_page_info)
            case "total_count":  # by a statement of its own, as the engine has it counted
                self.has_count = True
                return lambda _, count: str(count)
        raise NotDirect(Because.FIELD)

    def _of_edge(self, field: Field) -> Callable[[Page, int], str]:
        if python_name(field) == "node":
            return self._node(field)
        self.has_cursors = True
        return lambda page, n: f'"{page.cursors[n]}"'

    def _node(self, field: Field) -> Callable[[Page, int], str]:
        column = self._column(field)
        return lambda page, n: str(page.rows[n][column])

    def _column(self, field: Field) -> int:
        """The column with what is selected of each row."""
        self.nodes.append(selection_of(field))
        return len(self.nodes) - 1

    def _of_page_info(self, field: Field) -> Callable[[Page, int], str]:
        match name := python_name(field):
            case "has_next_page":
                return lambda page, _: "true" if page.has_next else "false"
            case "has_previous_page":
                return lambda page, _: "true" if page.has_previous else "false"
        self.has_cursors = True
        end = 0 if name == "start_cursor" else -1
        return lambda page, _: f'"{page.cursors[end]}"' if page.cursors else "null"


def _column(number: int) -> Callable[[Page, int], str]:
    return lambda page, _: "[" + ",".join([row[number] for row in page.rows]) + "]"


def _all(write: Callable[[Page, int], str]) -> Callable[[Page, int], str]:
    return lambda page, _: "[" + ",".join([write(page, n) for n in range(len(page.rows))]) + "]"
