"""Pages of a list that hangs on one object: the cursor is a place in it, sealed together with the object's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row

from app.gql.connections import Connection, Edge, Info, PageArguments, PageInfo
from app.gql.scalars import Cursor
from app.kernel.errors import ValidationRefused
from app.kernel.signing import BadSignature

T = TypeVar("T")


async def page_within(
    info: Info,
    name: str,
    parent: bytes,
    first: int | None,
    after: str | None,
    *,
    read: Callable[[int, bytes | None], Awaitable[Sequence[Row[Any]]]],
    place: Callable[[Row[Any]], bytes],
    node: Callable[[Row[Any]], T],
    count: Callable[[], Awaitable[int]],
) -> Connection[T]:
    """A page of the parent's list, forwards.

    name   of the list, which its cursors are sealed for
    read   up to one row more than the size, after a place
    place  where a row stands, as bytes that `read` understands
    Raises ValidationRefused for a size out of bounds and for a cursor that is not this list's.
    """
    signer = info.context.services.signer
    size = PageArguments(first=first).size()
    before: bytes | None = None
    if after is not None:
        try:
            body = signer.open(name, after)
        except BadSignature:
            body = b""
        if body[: len(parent)] != parent or len(body) <= len(parent):
            raise ValidationRefused(
                "`after` is not a cursor of this list: page again from the start, without it.", path=["after"]
            )
        before = body[len(parent) :]
    rows = await read(size, before)
    shown = rows[:size]
    nodes = [node(row) for row in shown]
    cursors = [Cursor(signer.seal(name, parent + place(row))) for row in shown]
    return Connection(
        edges=[Edge(cursor=cursor, node=each) for cursor, each in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=len(rows) > size,
            has_previous_page=before is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )
