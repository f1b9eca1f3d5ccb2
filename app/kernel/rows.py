"""Many rows by one statement with one parameter: however many they are, it is parsed, sent and run once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Row, Table, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

Rows = Sequence[Mapping[str, Any]]


async def insert_rows(db: AsyncConnection, table: Table, rows: Rows) -> None:
    """Insert rows that all give the same columns."""
    if rows:
        await db.execute(_insert(table, tuple(rows[0])), {"rows": _plain(rows)})


async def insert_new_rows(
    db: AsyncConnection, table: Table, rows: Rows, *, key: tuple[str, ...], returning: tuple[str, ...]
) -> Sequence[Row[Any]]:
    """Insert those rows whose unique key is not taken, in its order, so that two batches never wait for each other.

    Returns the named columns of those inserted.
    """
    if not rows:
        return []
    return (await db.execute(_insert_new(table, tuple(rows[0]), key, returning), {"rows": _plain(rows)})).all()


async def update_rows(db: AsyncConnection, table: Table, rows: Rows) -> None:
    """Set what the rows give, all the same columns, where the primary key is theirs."""
    if rows:
        await db.execute(_update(table, tuple(rows[0])), {"rows": _plain(rows)})


@cache
def _insert(table: Table, names: tuple[str, ...]) -> TextClause:
    columns = ", ".join(names)
    return _with_rows(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_given(table)}")  # noqa: S608


@cache
def _insert_new(table: Table, names: tuple[str, ...], key: tuple[str, ...], returning: tuple[str, ...]) -> TextClause:
    columns, unique = ", ".join(names), ", ".join(key)
    return _with_rows(
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_given(table)} ORDER BY {unique} "  # noqa: S608
        f"ON CONFLICT ({unique}) DO NOTHING RETURNING {', '.join(returning)}"
    )


@cache
def _update(table: Table, names: tuple[str, ...]) -> TextClause:
    keys = table.primary_key.columns.keys()
    values = ", ".join(f"{name} = given.{name}" for name in names if name not in keys)
    same = " AND ".join(f"{table.name}.{key} = given.{key}" for key in keys)
    return _with_rows(f"UPDATE {table.name} SET {values} FROM {_given(table)} WHERE {same}")  # noqa: S608


def _given(table: Table) -> str:
    """The rows as rows of the table: each value takes its column's type."""
    return f"jsonb_populate_recordset(NULL::{table.name}, :rows) AS given"


def _with_rows(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("rows", type_=JSONB))


def _plain(rows: Rows) -> Any:
    """The rows as JSON has them: decimals, times and the driver's UUIDs as text."""
    return orjson.loads(orjson.dumps([dict(row) for row in rows], default=str))
