"""Lists in pages: keyset cursors that stay right while rows come and go, sealed so that nobody can move them.

A `Listing` joins a list's statement, the filters and orders it offers, and the row rule of its area. The rule is added
after the caller's filters, in this one place, so that no filter can get around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, Select, Text, Uuid, and_, any_, bindparam, false, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from app.kernel import filters
from app.kernel.db import Reads
from app.kernel.errors import ValidationRefused
from app.kernel.filters import LIST_MAX, And, Filter, OneOf, bind
from app.kernel.principal import Principal
from app.kernel.signing import BadSignature, Signer
from app.kernel.texts import spelled

PAGE_SIZE_DEFAULT = 20
PAGE_SIZE_MAX = 100
COUNT_MAX = 10_000

_PURPOSE = "page-cursor"
_DIGEST_BYTES = 6
_BOUND_TO = ("list", "order", "filter", "caller")


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One column to sort by. NULL counts as the largest value, as PostgreSQL has it by default."""

    column: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False

    def reversed(self) -> OrderTerm:
        return OrderTerm(self.column, not self.descending, self.nullable)


@dataclass(frozen=True, slots=True)
class PageArguments:
    """What the caller asked for. `first` rows after a cursor, or `last` rows before one; 20 when neither is given."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def size(self) -> int:
        """Rows to give.  Raises ValidationRefused."""
        if self.first is not None and self.last is not None:
            raise ValidationRefused("Give `first` or `last`, not both: a page has one direction.", path=["last"])
        name, size = ("last", self.last) if self.last is not None else ("first", self.first)
        if size is None:
            return PAGE_SIZE_DEFAULT
        if not 1 <= size <= PAGE_SIZE_MAX:
            raise ValidationRefused(
                f"`{name}` is between 1 and {PAGE_SIZE_MAX}, not {size}: page on with the cursor for more.", path=[name]
            )
        return size


@dataclass(frozen=True)
class Binding:
    """What a cursor is good for: one list, in one order, with one filter, for one caller.

    filter  says what tells it from others, once a cursor is made or read: most pages show none
    """

    signer: Signer
    list: str
    order: str
    filter: Callable[[], bytes]
    principal: str

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        parts = (self.list.encode(), self.order.encode(), self.filter(), self.principal.encode())
        return tuple(hashlib.sha256(part).digest()[:_DIGEST_BYTES] for part in parts)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the list's order, with one cursor each.

    has_next, has_previous  in the page's own direction exact; in the other, true when a cursor marked that end
    """

    rows: Sequence[Row[Any]]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The way of one page through its list.

    order          its last term is unique, so that no two rows share a place
    after, before  places of rows, None where the page is not bounded by one
    """

    order: Sequence[OrderTerm]
    size: int
    backwards: bool = False
    after: Sequence[Any] | None = None
    before: Sequence[Any] | None = None

    @classmethod
    def of(cls, arguments: PageArguments, order: Sequence[OrderTerm], binding: Binding) -> Walk:
        """Raises ValidationRefused for a size out of bounds and for a cursor that is not this list's."""
        return cls(
            order=order,
            size=arguments.size(),
            backwards=arguments.last is not None,
            after=_open(arguments.after, binding, order, "after"),
            before=_open(arguments.before, binding, order, "before"),
        )

    def through(self, statement: Select[Any]) -> Select[Any]:
        """The statement's rows from where the page begins, the first to be read first, without a limit."""
        if self.after is not None:
            statement = statement.where(_beyond(self.order, self.after))
        if self.before is not None:
            statement = statement.where(_beyond([term.reversed() for term in self.order], self.before))
        walked = [term.reversed() for term in self.order] if self.backwards else self.order
        return statement.order_by(None).order_by(
            *(term.column.desc() if term.descending else term.column.asc() for term in walked)
        )

    @property
    def keys(self) -> list[ColumnElement[Any]]:
        """What a row's place is made of."""
        return [term.column.label(f"key_{place}") for place, term in enumerate(self.order)]

    def page(self, rows: Sequence[Any], place: Callable[[Any], Sequence[Any]] | None, binding: Binding) -> Page:
        """What was read, one row more than the page has where there is one.

        place  of a row, for its cursor; None where nobody asks for cursors
        """
        more, rows = len(rows) > self.size, rows[: self.size]
        if self.backwards:
            rows = rows[::-1]
        return Page(
            rows=rows,
            cursors=[_seal(place(row), binding) for row in rows] if place is not None else (),
            has_next=self.before is not None if self.backwards else more,
            has_previous=more if self.backwards else self.after is not None,
        )


def _beyond(order: Sequence[OrderTerm], place: Sequence[Any]) -> ColumnElement[bool]:
    """The rows that come after a place in the order, wherever in it a NULL stands."""
    if len({term.descending for term in order}) == 1 and not any(term.nullable for term in order):
        columns, values = tuple_(*(term.column for term in order)), tuple_(*(bind(value) for value in place))
        return columns < values if order[0].descending else columns > values
    steps = []
    for length, term in enumerate(order):
        same = [_same(earlier, place[i]) for i, earlier in enumerate(order[:length])]
        steps.append(and_(*same, _past(term, place[length])))
    # Implied by the steps, and what lets an index on the first column find the start.
    return and_(or_(_past(order[0], place[0]), _same(order[0], place[0])), or_(*steps))


def _same(term: OrderTerm, value: Any) -> ColumnElement[bool]:
    return term.column.is_(None) if value is None else term.column == bind(value)


def _past(term: OrderTerm, value: Any) -> ColumnElement[bool]:
    if term.descending:
        return term.column.is_not(None) if value is None else term.column < bind(value)
    if value is None:
        return false()
    return or_(term.column > bind(value), term.column.is_(None)) if term.nullable else term.column > bind(value)


def _seal(place: Sequence[Any], binding: Binding) -> str:
    return binding.signer.seal(_PURPOSE, b"".join(binding.digests) + orjson.dumps([_tagged(each) for each in place]))


def _open(cursor: str | None, binding: Binding, order: Sequence[OrderTerm], argument: str) -> Sequence[Any] | None:
    if cursor is None:
        return None
    again = f"page again from the start, without `{argument}`."
    try:
        body = binding.signer.open(_PURPOSE, cursor)
    except BadSignature:
        raise ValidationRefused(f"`{argument}` is not a cursor that this API gave: {again}", path=[argument]) from None
    for place, (name, digest) in enumerate(zip(_BOUND_TO, binding.digests, strict=True)):
        if body[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES] != digest:
            raise ValidationRefused(
                f"`{argument}` is a cursor of another {name}: keep list, order and filter while paging, or {again}",
                path=[argument],
            )
    place_values = [_untagged(each) for each in orjson.loads(body[len(_BOUND_TO) * _DIGEST_BYTES :])]
    if len(place_values) != len(order):
        raise ValidationRefused(f"`{argument}` comes from an earlier release: {again}", path=[argument])
    return place_values


_TAGS: dict[str, tuple[type, Callable[[str], Any]]] = {
    "d": (Decimal, Decimal),
    "t": (datetime, datetime.fromisoformat),
    "y": (date, date.fromisoformat),
    "u": (UUID, UUID),
}


def _tagged(value: Any) -> Any:
    for tag, (python, _) in _TAGS.items():
        if isinstance(value, python):
            return [tag, str(value)]
    return value


def _untagged(value: Any) -> Any:
    return _TAGS[value[0]][1](value[1]) if isinstance(value, list) else value


Rule = Callable[[Principal], ColumnElement[bool]]
# The codes that a list is narrowed to, by the names that it has for them.
Codes = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Coded:
    """What a list can be narrowed to by codes of something else.

    column  holds the id of that
    ids     of the codes in an array, as far as the caller sees what they stand for
    """

    column: ColumnElement[UUID]
    ids: Callable[[Principal, ColumnElement[Any]], Select[UUID]]

    def among(self, principal: Principal, codes: ColumnElement[Any], *, are_one: bool) -> ColumnElement[bool]:
        """The condition in one statement with its list, for a parameter of texts: planned before ids are known."""
        ids = self.ids(principal, codes).scalar_subquery()
        if are_one:  # an index on it and what is sorted by then gives rows in order
            return self.column == ids
        return self.column == any_(func.array(ids, type_=ARRAY(Uuid)))

    async def known(self, reads: Reads, codes: Sequence[str]) -> ColumnElement[bool]:
        """The condition with the ids, which are read first: a plan then goes by how frequent they are."""
        rows = await reads.all(self.ids(reads.principal, bindparam(None, list(codes), type_=ARRAY(Text), unique=True)))
        return filters.to_sql(OneOf("id", tuple(row.id for row in rows)), {"id": self.column})


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list that callers may filter, search, sort and page.

    name      unique; cursors are bound to it
    select    the columns of a row, unfiltered
    key       unique column that breaks ties
    columns   fields that `where` may name
    orders    sortings on offer, by name; the first is the default
    visible   the row rule: which rows this caller may see at all
    search    the condition for the words of `search`
    coded     what it can be narrowed to by codes, by name
    """

    name: str
    select: Select[Any]
    key: ColumnElement[Any]
    columns: Mapping[str, ColumnElement[Any]]
    orders: Mapping[str, Sequence[OrderTerm]]
    visible: Rule
    search: Callable[[str], ColumnElement[bool]] | None = None
    coded: Mapping[str, Coded] = field(default_factory=dict)

    async def page(
        self,
        reads: Reads,
        signer: Signer,
        arguments: PageArguments,
        *,
        where: Filter | None = None,
        search: str | None = None,
        codes: Codes | None = None,
        order_by: str | None = None,
        descending: bool = False,
    ) -> Page:
        """One page.  Raises ValidationRefused for a size out of bounds and for a cursor that is not this list's."""
        binding = self.binding(reads.principal, signer, where, search, codes, order_by, descending=descending)
        walk = Walk.of(arguments, self.terms(order_by, descending=descending), binding)
        also = [await self.coded[name].known(reads, given) for name, given in (codes or {}).items()]
        statement = walk.through(self.selecting(reads.principal, where, search, also))
        rows = await reads.all(statement.add_columns(*walk.keys).limit(walk.size + 1))
        return walk.page(rows, lambda row: tuple(row)[-len(walk.order) :], binding)

    def terms(self, order_by: str | None, *, descending: bool) -> Sequence[OrderTerm]:
        """What a sorting on offer compares, the key last."""
        terms = [*self.orders[order_by or next(iter(self.orders))], OrderTerm(self.key)]
        return [term.reversed() for term in terms] if descending else terms

    def binding(
        self,
        principal: Principal,
        signer: Signer,
        where: Filter | None,
        search: str | None,
        codes: Codes | None,
        order_by: str | None,
        *,
        descending: bool,
    ) -> Binding:
        """What the cursors of a page are good for: of codes those that were given, whatever they stand for by then."""

        def told() -> bytes:
            named = tuple(OneOf(name, tuple(given)) for name, given in (codes or {}).items())
            narrowed = where if not named else And(named if where is None else (where, *named))
            return filters.fingerprint(narrowed) + (search or "").encode("utf-8", "replace")

        return Binding(
            signer=signer,
            list=self.name,
            order=f"{order_by or next(iter(self.orders))} {'DESC' if descending else 'ASC'}",
            filter=told,
            principal=principal.id,
        )

    async def count(
        self, reads: Reads, *, where: Filter | None = None, search: str | None = None, codes: Codes | None = None
    ) -> int:
        """Rows in the whole list; counting stops at 10,000."""
        also = [
            self.coded[name].among(
                reads.principal,
                bindparam(None, list(given), type_=ARRAY(Text), unique=True),
                are_one=len(given) == 1,
            )
            for name, given in (codes or {}).items()
        ]
        found = self.selecting(reads.principal, where, search, also)
        rows = found.with_only_columns(self.key).order_by(None)
        return int(await reads.scalar(select(func.count()).select_from(rows.limit(COUNT_MAX).subquery())))

    def codes(self, given: Mapping[str, Any]) -> dict[str, list[str]]:
        """The codes among what is given by name, each once, as they are stored.  Raises ValidationRefused."""
        found: dict[str, list[str]] = {}
        for name in self.coded:
            if (codes := given.get(name)) is None:
                continue
            if len(codes) > LIST_MAX:
                raise ValidationRefused(f"`{name}` takes up to {LIST_MAX} codes, not {len(codes)}.", path=[name])
            found[name] = sorted({spelled(code) for code in codes})
        return found

    def selecting(
        self,
        principal: Principal,
        where: Filter | None,
        search: str | None,
        also: Sequence[ColumnElement[bool]] = (),
    ) -> Select[Any]:
        """The caller's filters first, the row rule last.

        also  conditions of codes
        """
        statement = self.select
        if where is not None:
            statement = statement.where(filters.to_sql(filters.check(where), self.columns))
        if search is not None and search.strip():
            assert self.search is not None, f"{self.name} offers no search"
            statement = statement.where(self.search(search))
        return statement.where(*also).where(self.visible(principal))
