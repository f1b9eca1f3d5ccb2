"""The texts that PostgreSQL writes for direct reads are those of the schema's scalars, to the byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import GraphQLField, GraphQLNonNull, GraphQLOutputType
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
    bindparam,
    cast,
    select,
)
from sqlalchemy.types import TypeEngine

from app.gql.direct.columns import unit_of
from app.gql.direct.pieces import NotDirect, base64url, joined, leaf
from app.gql.nodes import global_id
from app.kernel import money
from app.kernel.clock import SystemClock
from app.kernel.db import Database, Reads
from app.kernel.principal import system
from tests.operations.documents import graph

AWKWARD = ["", "plain", 'a "quoted" \\ one', "Zoë 日本 🙂", "\x01\t\n\r\b\f\x1f\x7f", "</script>", "\u2028"]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
VALUES: dict[str, tuple[TypeEngine[Any], list[Any]]] = {
    "String": (Text(), AWKWARD),
    "Long": (BigInteger(), [0, -1, 2**63 - 1]),
    "DateTime": (
        DateTime(timezone=True),
        [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(microseconds=120_000), NOON.replace(year=1)],
    ),
    "Decimal": (Numeric(), [Decimal("19.99"), Decimal("0.049500"), Decimal("100"), Decimal("0E-6"), Decimal("-1.10")]),
    "Float": (
        Double(),
        [0.0, -0.0, 5.0, -1.25, 51.5, 0.1, 179.999999, 0.0001, 1e-5, -1.25e-5, 1e-6, 1.5e-7, 2e-10, 1e-300],
    ),
    "UUID": (Uuid(), [UUID(int=7)]),
}


@pytest.fixture
async def reads(database_url: str) -> AsyncIterator[Reads]:
    database = Database(database_url)
    yield Reads(database, system("test"), SystemClock())
    await database.close()


async def shown(reads: Reads, expression: ColumnElement[Any]) -> Any:
    return await reads.scalar(select(expression))


@pytest.mark.parametrize("name", VALUES)
async def test_leaves(reads: Reads, name: str) -> None:
    type_: Any = graph().schema.type_map[name]
    sql_type, values = VALUES[name]
    for value in values:
        serialized = type_.coerce_output_value(value.normalize() if isinstance(value, Decimal) else value)
        for definition in (GraphQLField(type_), GraphQLField(GraphQLNonNull(type_))):
            column = cast(bindparam(None, value, type_=sql_type, unique=True), sql_type)
            assert await shown(reads, joined(leaf(definition, column))) == orjson.dumps(serialized).decode()
    nothing = cast(bindparam(None, None, type_=sql_type, unique=True), sql_type)
    assert await shown(reads, joined(leaf(GraphQLField(type_), nothing))) == "null"


async def test_amounts_have_the_decimals_of_their_currency(reads: Reads) -> None:
    for currency in money.currencies():
        for minor_units in (0, 1, -5, 123_456_789_012):
            amount = cast(bindparam(None, minor_units, BigInteger, unique=True), Numeric) * unit_of(
                cast(bindparam(None, currency, Text, unique=True), Text)
            )
            assert await shown(reads, cast(amount, Text)) == f"{money.major(minor_units, currency):f}"


async def test_ids_of_long_keys_are_not_broken_into_lines(reads: Reads) -> None:
    for owner in ("", "ö" * 64, "+/?>"):
        raw = b"StockLevel:" + bytes(range(200, 232)) + owner.encode()
        written = await shown(reads, base64url(bindparam(None, raw, LargeBinary, unique=True)))
        assert written == global_id("StockLevel", raw.removeprefix(b"StockLevel:"))


async def test_more_pieces_than_a_function_takes(reads: Reads) -> None:
    number = cast(bindparam(None, 7, BigInteger, unique=True), BigInteger)
    pieces = [piece for _ in range(9_00) for piece in (",", number)]

    assert await shown(reads, joined(pieces)) == ",7" * 900


@pytest.mark.parametrize("name", ["JSON", "Cursor"])
def test_what_is_not_written_alike_is_left_to_the_engine(name: str) -> None:
    type_: GraphQLOutputType = graph().schema.type_map[name]  # type: ignore[assignment]

    with pytest.raises(NotDirect):
        leaf(GraphQLField(type_), cast(1, Numeric))
