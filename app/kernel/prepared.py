"""Reads that are written once: SQLAlchemy makes the statement, asyncpg sends it, and nothing is made anew in between.

Of the quarter of a millisecond that a small read through SQLAlchemy costs, most is making the statement and its key in
the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from app.kernel.db import Reads
from app.kernel.filters import number_of_mark
from app.kernel.principal import Principal

SHAPES_MAX = 200
# They stand for the caller's in a statement that is being made; no row has them.
_CUSTOMER, _CHANNEL = UUID(int=2**128 - 1), UUID(int=2**128 - 2)
_DIALECT = dialect()  # type: ignore[no-untyped-call]


class Prepared:
    """One read in all its shapes, for every caller with the row rule of that caller.

    statement  made once for each shape, and for all callers whose rights are of one kind: it gets a principal with the
               customer and the channel of nobody, and may ask of these only whether they are there
    """

    def __init__(self, statement: Callable[..., Select[Any]]) -> None:
        self._statement = statement
        self._written: dict[Hashable, _Written] = {}

    async def all(self, reads: Reads, **parameters: Any) -> Sequence[Row[Any]]:
        """The rows, whose columns are attributes."""
        return await self.shaped(reads, parameters)

    async def shaped(
        self, reads: Reads, parameters: Mapping[str, Any], *shape: Hashable, marked: Sequence[Any] = ()
    ) -> Sequence[Row[Any]]:
        """The same in one of several shapes, which the statement is made of beside the caller.

        marked  what the marks of `filters.Marks` in the shape stand for
        """
        written = self._for(reads.principal, *shape)
        return await reads.rows(written.sql, *written.values(reads.principal, parameters, marked))

    async def together(self, reads: Reads, name: str, keys: Sequence[Any]) -> Sequence[Row[Any]]:
        """The rows of these keys, and maybe of some that others ask for who may see the same: only one's own are to
        be looked up.

        name  of the parameter that takes the keys, the only one beside the caller's
        """
        if reads.shared is None:
            return await self.all(reads, **{name: keys})
        written = self._for(reads.principal)
        return await reads.shared.rows(
            written.sql, written.values(reads.principal, {name: list(keys)}, ()), written.place(name)
        )

    def _for(self, caller: Principal, *shape: Hashable) -> _Written:
        key = caller.kind, caller.scopes, caller.customer_id is None, caller.channel_id is None, *shape
        written = self._written.get(key)
        if written is None:
            written = self._written[key] = _Written(self._statement(_like(caller), *shape))
            if len(self._written) > SHAPES_MAX:
                del self._written[next(iter(self._written))]
        return written


class _Written:
    """A statement as asyncpg takes it."""

    def __init__(self, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._fixed = dict(compiled.params)
        self._customer = [name for name, value in self._fixed.items() if value == _CUSTOMER]
        self._channel = [name for name, value in self._fixed.items() if value == _CHANNEL]
        marks = {name: number_of_mark(value) for name, value in self._fixed.items()}
        self._marks = [(name, number) for name, number in marks.items() if number is not None]

    def place(self, name: str) -> int:
        return self._names.index(name)

    def values(self, caller: Principal, parameters: Mapping[str, Any], marked: Sequence[Any]) -> list[Any]:
        known = {**self._fixed, **parameters}
        for name in self._customer:
            known[name] = caller.customer_id
        for name in self._channel:
            known[name] = caller.channel_id
        for name, number in self._marks:
            known[name] = marked[number]
        return [known[name] for name in self._names]


def _like(caller: Principal) -> Principal:
    """A caller of the same kind who is nobody."""
    return replace(
        caller,
        customer_id=_CUSTOMER if caller.customer_id is not None else None,
        channel_id=_CHANNEL if caller.channel_id is not None else None,
    )
