"""Lists as Relay connections: pages with cursors, a filter, a search and an order."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlalchemy import Row

from app.gql.nodes import Info, Node, NodeQuery, global_id, load_node, node_type, one_of, uuid_of
from app.gql.scalars import Cursor
from app.gql.scopes import ANYONE, scoped
from app.gql.where import as_filter
from app.kernel.pagination import Listing, PageArguments

T = TypeVar("T")
F = TypeVar("F", bound=enum.Enum)

First = Annotated[
    int | None,
    strawberry.argument(description="The first so many rows after `after`, 1 to 100; 20 where neither is given."),
]
After = Annotated[
    Cursor | None,
    strawberry.argument(description="The cursor to page on from: `pageInfo.endCursor` of the page before."),
]
Last = Annotated[int | None, strawberry.argument(description="The last so many rows before `before`, 1 to 100.")]
Before = Annotated[
    Cursor | None,
    strawberry.argument(description="The cursor to page back from: `pageInfo.startCursor` of the page after."),
]
Search = Annotated[
    str | None,
    strawberry.argument(
        description="Words to look for, up to 10: a row is found that holds each, or a word beginning with it."
        " Case and accents do not matter."
    ),
]


@strawberry.enum(description="Which end of the order comes first.")
class OrderDirection(enum.Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest, oldest, or first in the alphabet. No value comes last.")
    DESC = strawberry.enum_value("DESC", description="The reverse of ASC. No value comes first.")


@strawberry.input(name="By", description="How to sort. Rows that are equal in this are sorted by creation.")
class OrderBy(Generic[F]):
    """`OrderBy[ChannelOrder]` is ChannelOrderBy in the schema."""

    field: F = strawberry.field(description="What to sort by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which end comes first; ASC by default."
    )


@scoped(ANYONE)
@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether rows precede this page.")
    start_cursor: Cursor | None = strawberry.field(description="The cursor of the first row, for `before`.")
    end_cursor: Cursor | None = strawberry.field(description="The cursor of the last row, for `after`.")


@scoped(ANYONE)
@strawberry.type(description="A row of a page, and its place in the list.")
class Edge(Generic[T]):
    cursor: Cursor = strawberry.field(
        description="The row's place: good for the same list, order and filter, and for you alone."
    )
    node: T = strawberry.field(description="The row.")


@scoped(ANYONE)
@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The rows with their cursors.")
    nodes: list[T] = strawberry.field(description="The rows alone.")
    page_info: PageInfo = strawberry.field(description="Where this page stands, and how to page on.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="How many rows the whole list has. Counting stops at 10,000."
    )
    async def total_count(self) -> int:
        return await self.count()


async def connect(
    info: Info,
    listing: Listing,
    node: Callable[[Row[Any]], T],
    page: PageArguments,
    *,
    where: Any = None,
    search: str | None = None,
    codes: Mapping[str, Sequence[str] | None] | None = None,
    order_by: OrderBy[Any] | None = None,
) -> Connection[T]:
    """One page of a listing as a connection.

    where  the caller's where input
    codes  what the list is narrowed to beside, by the names that it has for them
    """
    named = listing.codes(codes or {})
    predicate = as_filter(where)
    reads = info.context.reads
    found = await listing.page(
        reads,
        info.context.services.signer,
        page,
        where=predicate,
        search=search,
        codes=named,
        order_by=order_by.field.value if order_by else None,
        descending=order_by is not None and order_by.direction is OrderDirection.DESC,
    )
    nodes = [node(row) for row in found.rows]
    cursors = [Cursor(cursor) for cursor in found.cursors]
    return Connection(
        edges=[Edge(cursor=cursor, node=each) for cursor, each in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=lambda: listing.count(reads, where=predicate, search=search, codes=named),
    )


__all__ = [
    "After",
    "Before",
    "Connection",
    "Edge",
    "First",
    "Info",
    "Last",
    "Node",
    "NodeQuery",
    "OrderBy",
    "OrderDirection",
    "PageArguments",
    "PageInfo",
    "Search",
    "connect",
    "global_id",
    "load_node",
    "node_type",
    "one_of",
    "uuid_of",
]
