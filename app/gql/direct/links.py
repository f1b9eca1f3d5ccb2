"""Fields whose resolvers read other rows, as parts of one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from graphql.execution.values import VariableValues
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.expression import FromClause

from app.engine import Field, Selection, selection_of
from app.gql.context import Context
from app.gql.direct.columns import Reading, Source, in_braces, python_name
from app.gql.direct.pieces import Ask, Because, NotDirect, Pieces, joined, quoted
from app.kernel.pagination import PageArguments
from app.kernel.principal import Principal
from app.kernel.signing import BadSignature, Signer

# Around what Python seals once the statement has written it. JSON writes this character as an escape, so that nothing
# that is stored can look like it.
MARK = "\x01"
_MARK = func.chr(1)
_REFUSED = "!"


def columns_of(rows: Select[Any]) -> dict[str, ColumnElement[Any]]:
    """What a statement reads, by name."""
    return {column.key: getattr(column, "element", column) for column in rows.selected_columns}  # type: ignore[misc]


class Reference:
    """An object of another row, or null where there is none.

    by       the column of ours that holds its id
    visible  the row rule; without one, a visible row's references are visible, and keys or rules keep them there
    """

    def __init__(
        self,
        reading: Reading[Any],
        rows: Select[Any],
        by: str,
        visible: Callable[[Principal], ColumnElement[bool]] | None = None,
    ) -> None:
        self._reading = reading
        self._rows = rows
        self._by = by
        self._visible = visible

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        columns = columns_of(self._rows)
        shown = joined(self._reading.pieces(selection_of(field), columns, ask))
        found = _among(self._rows, shown).where(columns["id"] == source[self._by])
        if self._visible is None:
            return [found.scalar_subquery()]
        return [func.coalesce(found.where(self._visible(ask.principal)).scalar_subquery(), quoted("null"))]


class Related:
    """Rows that belong to a row: all of them as a list, or the one there is.

    rows   all such rows; of those that a caller sees, where a row rule is part of it
    on     columns of theirs, each with the column of ours that it equals; None where it is NULL
    order_by  columns of theirs, by name or as they are sorted
    also   columns of ours that theirs stand for
    only   what else holds of them
    given  arguments of the field that narrow them, each with the column of texts that it equals, and how that spells it
    """

    def __init__(
        self,
        reading: Reading[Any],
        rows: Select[Any] | Callable[[Principal], Select[Any]],
        on: Mapping[str, str | None],
        *,
        order_by: Sequence[str | ColumnElement[Any]] = (),
        also: Sequence[str] = (),
        only: ColumnElement[bool] | None = None,
        given: Mapping[str, tuple[str, Callable[[str], str]]] | None = None,
    ) -> None:
        self._reading = reading
        self._rows = rows
        self._on = on
        self._order_by = order_by
        self._also = also
        self._only = only
        self._given = given or {}

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        rows = self._rows(ask.principal) if callable(self._rows) else self._rows
        columns = columns_of(rows)
        theirs = {**columns, **{name: source[name] for name in self._also}}
        shown: ColumnElement[Any] = joined(self._reading.pieces(selection_of(field), theirs, ask))
        if self._order_by:
            order = (columns[each] if isinstance(each, str) else each for each in self._order_by)
            shown = func.string_agg(shown, aggregate_order_by(quoted(","), *order))
        found = _among(rows, shown)
        for name, (column, spelled) in self._given.items():
            wanted = _text_given(field, name, spelled, ask)
            found = found.where(or_(wanted.is_(None), columns[column] == wanted))
        for name, ours in self._on.items():
            found = found.where(columns[name].is_(None) if ours is None else columns[name] == source[ours])
        if self._only is not None:
            found = found.where(self._only)
        if self._order_by:
            return ["[", func.coalesce(found.scalar_subquery(), quoted("")), "]"]
        return [func.coalesce(found.scalar_subquery(), quoted("null"))]


def _text_given(field: Field, name: str, spelled: Callable[[str], str], ask: Ask) -> ColumnElement[Any]:
    """An argument of a field as a parameter, NULL where it is not given."""
    given = ask.given(field)

    def value(_: Context, variables: VariableValues) -> list[str | None]:
        text = given(variables).get(name)
        return [spelled(text) if text is not None else None]

    return ask.parameters(value, Text())[0]


class Summed:
    """Units of the rows that belong to a row, 0 where there are none.

    on    columns of theirs, each with the column of ours that it equals
    only  what else holds of them
    """

    def __init__(
        self, units: ColumnClause[int], on: Mapping[ColumnElement[Any], str], *, only: ColumnElement[bool]
    ) -> None:
        self._units = units
        self._on = on
        self._only = only

    def pieces(self, _: Field, source: Source, __: Ask) -> Pieces:
        same = [column == source[ours] for column, ours in self._on.items()]
        total = select(func.sum(self._units)).where(*same, self._only).correlate_except(self._units.table)
        return [func.coalesce(total.scalar_subquery(), literal_column("0"))]


class Numbered:
    """A connection of rows that belong to a row and are numbered from 1 without gaps.

    parent, number  columns of theirs: the id of the row they belong to, and their number
    also            columns of the row they belong to that theirs stand for
    purpose         what their cursors are sealed for: a cursor is the parent's id and the number
    """

    def __init__(
        self,
        reading: Reading[Any],
        rows: Select[Any],
        parent: str,
        number: str,
        *,
        purpose: str,
        also: Sequence[str] = (),
    ) -> None:
        self._reading = reading
        self._rows = rows
        self._parent = parent
        self._number = number
        self._also = also
        self._purpose = purpose

    def pieces(self, field: Field, source: Source, ask: Ask) -> Pieces:
        given = ask.given(field)

        def page(context: Context, variables: VariableValues) -> tuple[int, int, UUID | None]:
            arguments = given(variables)
            size, after = PageArguments(first=arguments.get("first")).size(), arguments.get("after")
            parent, skipped = self._opened(context.services.signer, after) if after is not None else (None, 0)
            return size, skipped, parent

        most, skip, expected = ask.parameters(page, Integer(), Integer(), Uuid())
        columns = columns_of(self._rows)
        number, last = columns[self._number], skip + most
        theirs = {**columns, **{name: source[name] for name in self._also}}

        def cursor(at: ColumnElement[Any]) -> Pieces:
            return ['"', _MARK, self._purpose + ":", source["id"], ":", at, _MARK, '"']

        def all_(written: Pieces) -> Pieces:
            ordered = aggregate_order_by(quoted(","), number)
            return ["[", func.string_agg(joined(written), ordered).filter(number <= last), "]"]

        def node(selection: Selection) -> Pieces:
            return self._reading.pieces(selection, theirs, ask)

        def shown(each: Field) -> Pieces:
            match python_name(each):
                case "nodes":
                    return all_(node(selection_of(each)))
                case "edges":
                    return all_(in_braces(selection_of(each), of_edge))
                case "page_info":
                    return in_braces(selection_of(each), of_page_info)
                case "total_count":
                    every = self._rows.get_final_froms()[0].alias()
                    counted = select(func.count()).select_from(every).where(every.c[self._parent] == source["id"])
                    return [counted.correlate_except(every).scalar_subquery()]
            raise NotDirect(Because.FIELD)

        def of_edge(each: Field) -> Pieces:
            return cursor(number) if python_name(each) == "cursor" else node(selection_of(each))

        def of_page_info(each: Field) -> Pieces:
            match python_name(each):
                case "has_next_page":
                    return [cast(func.count() > most, Text)]
                case "has_previous_page":
                    return [cast(skip > 0, Text)]
                case "start_cursor":
                    end: ColumnElement[Any] = func.min(number)
                case _:
                    end = func.least(func.max(number), last)
            return [case((func.count() == 0, quoted("null")), else_=joined(cursor(end)))]

        # A cursor of another row's: the engine says what is wrong with it.
        alien = and_(expected.is_not(None), expected != source["id"])
        refusal = case((alien, joined([_MARK, _REFUSED, _MARK])), else_=quoted(""))
        rows = _among(self._rows, joined([refusal, *in_braces(selection_of(field), shown)]))
        within = columns[self._parent] == source["id"], number > skip, number <= last + 1
        return [rows.where(*within).scalar_subquery()]

    def _opened(self, signer: Signer, after: str) -> tuple[UUID, int]:
        try:
            body = signer.open(self._purpose, after)
        except BadSignature:
            raise NotDirect(Because.REFUSED) from None
        return UUID(bytes=body[:16]), int.from_bytes(body[16:])


def sealed(text: str, signer: Signer) -> str:
    """The text with its cursors sealed.  Raises NotDirect."""
    parts = text.split(MARK)
    for n in range(1, len(parts), 2):
        if parts[n] == _REFUSED:
            raise NotDirect(Because.REFUSED)
        purpose, id_, number = parts[n].split(":")
        parts[n] = signer.seal(purpose, UUID(id_).bytes + int(number).to_bytes(4))
    return "".join(parts)


def _among(rows: Select[Any], shown: ColumnElement[Any]) -> Select[Any]:
    """The statement's rows, of which this is shown."""
    tables: list[FromClause] = list(rows.get_final_froms())
    return rows.with_only_columns(shown, maintain_column_froms=True).correlate_except(*tables)
