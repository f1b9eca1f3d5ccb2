"""Reads that are written once: SQLAlchemy makes the statement, asyncpg sends it, and nothing is made anew in between.

Of the quarter of a millisecond that a small read through SQLAlchemy costs, most is making the statement and its key in
the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from app.kernel.db import Reads
from app.kernel.principal import Principal

CALLERS_MAX = 1_000
_DIALECT = dialect()  # type: ignore[no-untyped-call]


class Prepared:
    """One read in all its shapes, for every caller with the row rule of that caller.

    statement  made once for all callers who see the same, and each shape; its parameters are `bindparam`s by name
    """

    def __init__(self, statement: Callable[..., Select[Any]]) -> None:
        self._statement = statement
        self._written: dict[Hashable, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    async def all(self, reads: Reads, **parameters: Any) -> Sequence[Row[Any]]:
        """The rows, whose columns are attributes."""
        return await self.shaped(reads, parameters)

    async def shaped(self, reads: Reads, parameters: Mapping[str, Any], *shape: Hashable) -> Sequence[Row[Any]]:
        """The same in one of several shapes, which the statement is made of beside the caller."""
        key = reads.principal.sees_as, *shape
        written = self._written.get(key)
        if written is None:
            written = self._written[key] = self._write(reads.principal, *shape)
            if len(self._written) > CALLERS_MAX:
                del self._written[next(iter(self._written))]
        sql, names, fixed = written
        return await reads.rows(sql, *(parameters[name] if name in parameters else fixed[name] for name in names))

    def _write(self, principal: Principal, *shape: Hashable) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        compiled = self._statement(principal, *shape).compile(dialect=_DIALECT)
        return str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params)
