"""Years of a shop's orders and stock movements, by a few statements, as consistent as if each had been placed.

A real order is the pattern: what is not set here is as the product wrote it, so that a new column needs no mention.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import asyncpg

from bench.stage import LOCATIONS, SKU_ID, SKUS
from tests.builders import NOON, Shop

LINES = 3
MOVEMENTS = 10  # of an order: each line allocated and shipped, and two units received and written off
OPEN = 2_000  # so many of the newest orders wait, however many came before; the others are delivered
FIRST_NUMBER = 3_000_000
BATCH = 50_000
TOLD_EVERY_SECONDS = 2.0


async def write(shop: Shop, database_url: str, orders: int) -> None:
    """Let so many orders have been placed in a furnished shop, one a second.  It says how far it is."""
    pattern = str(await shop.place({f"SKU-{10_000 + n}": 1 for n in range(LINES)}))
    connection = await asyncpg.connect(database_url)
    try:
        # Foreign keys are not looked up and triggers rest: in this database alone, and on this connection.
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        await _write(connection, pattern, orders)
        await connection.execute("VACUUM ANALYZE")  # here, for it may take longer than a statement of ours may
    finally:
        await connection.close()


async def _write(connection: asyncpg.Connection, pattern: str, orders: int) -> None:
    locations = await connection.fetchval("SELECT array_agg(id::text ORDER BY code) FROM location")
    inserts = [
        await _copying(connection, "orders", f"SELECT * FROM orders WHERE id = '{pattern}'", "", _order(orders)),
        await _copying(
            connection, "order_line", f"SELECT * FROM order_line WHERE order_id = '{pattern}'", _K, _line(orders)
        ),
        await _copying(
            connection,
            "allocation",
            f"SELECT * FROM allocation WHERE order_id = '{pattern}' LIMIT 1",
            _K,
            _allocation(orders, locations),
        ),
        _movements(orders, locations),
    ]
    began = told = time.monotonic()
    indexes = await _without_indexes(connection)
    for first in range(1, orders + 1, BATCH):
        last = min(first + BATCH - 1, orders)
        for insert in inserts:
            await connection.execute(insert, first, last)
        if time.monotonic() > told + TOLD_EVERY_SECONDS:
            told = time.monotonic()
            _tell(f"{last:,} of {orders:,} orders are written, {told - began:.0f} s")
    for number, index in enumerate(indexes, 1):
        await connection.execute(index)
        if time.monotonic() > told + TOLD_EVERY_SECONDS:
            told = time.monotonic()
            _tell(f"{number} of {len(indexes)} indexes are built, {told - began:.0f} s")
    await connection.execute(_BALANCES)


# What rows are made from: n counts orders from 1, k their lines, t is the pattern.
_N = "generate_series($1::int, $2::int) n"
_K = f", generate_series(1, {LINES}) k"
_SKU_NUMBER = f"(10000 + (n * 613 + k * 331) % {SKUS})"
_SKU = f"('{SKU_ID}' || {_SKU_NUMBER})::uuid"
_LINE = f"n * {LINES} + k"
_AT = f"timestamptz '{NOON.isoformat()}' + n * interval '1 second'"
_NUMBER = f"({FIRST_NUMBER} + n)"

# By column, the expression that makes its value.
Values = Mapping[str, str]


def _id(kind: int, number: str) -> str:
    """As the product's ids are: later ones are greater."""
    return f"('00000000-0000-7{kind:03d}-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"


def _location(locations: list[str]) -> str:
    return f"('{{{','.join(locations)}}}'::uuid[])[1 + n % {LOCATIONS}]"


def _delivered(orders: int) -> str:
    return f"n <= {max(0, orders - OPEN)}"


def _order(orders: int) -> Values:
    return {
        "id": _id(1, "n"),
        "number": f"'OW-' || {_NUMBER}",
        "lifecycle": f"CASE WHEN {_delivered(orders)} THEN 'COMPLETED' ELSE t.lifecycle END",
        "fulfillment_status": f"CASE WHEN {_delivered(orders)} THEN 'DELIVERED' ELSE t.fulfillment_status END",
        "placed_at": _AT,
        "updated_at": _AT,
        "search": "ts_delete(t.search, ARRAY[lower(t.number), substr(t.number, 4)])"
        f" || array_to_tsvector(ARRAY['ow-' || {_NUMBER}, {_NUMBER}::text])",
    }


def _line(orders: int) -> Values:
    shipped = f"CASE WHEN {_delivered(orders)} THEN t.ordered ELSE 0 END"
    return {
        "id": _id(2, _LINE),
        "order_id": _id(1, "n"),
        "sku_id": _SKU,
        "sku_code": f"'SKU-' || {_SKU_NUMBER}",
        "allocated": f"CASE WHEN {_delivered(orders)} THEN 0 ELSE t.ordered END",
        "shipped": shipped,
        "delivered": shipped,
    }


def _allocation(orders: int, locations: list[str]) -> Values:
    return {
        "id": _id(3, _LINE),
        "order_id": _id(1, "n"),
        "order_line_id": _id(2, _LINE),
        "sku_id": _SKU,
        "location_id": _location(locations),
        "status": f"CASE WHEN {_delivered(orders)} THEN 'CONSUMED' ELSE 'OPEN' END",
        "created_at": _AT,
        "closed_at": f"CASE WHEN {_delivered(orders)} THEN {_AT} END",
    }


async def _copying(connection: asyncpg.Connection, table: str, pattern: str, lines: str, values: Values) -> str:
    """A statement that inserts orders $1 to $2 into the table, or their lines, as the pattern but for these values."""
    columns = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND is_generated = 'NEVER'", table
    )
    names = [column["column_name"] for column in columns]
    expressions = [values.get(name, f"t.{name}") for name in names]
    of_its_line = " WHERE t.line_no = k" if "line_no" in names else ""
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(expressions)}"
        f" FROM ({pattern}) t, {_N}{lines}{of_its_line}"
    )


def _movements(orders: int, locations: list[str]) -> str:
    """m counts an order's movements: allocated and shipped by turns for each line, then received and written off."""
    return f"""
        INSERT INTO stock_movement
            (sku_id, location_id, owner, type, d_on_hand, d_allocated, reason, cause_id, actor, occurred_at)
        SELECT {_SKU}, {_location(locations)}, '',
            CASE WHEN m >= 6 THEN 'ADJUST' WHEN m % 2 = 0 THEN 'ALLOCATE' ELSE 'DEALLOCATE' END,
            CASE WHEN m % 2 = 1 THEN -1 WHEN m >= 6 THEN 1 ELSE 0 END,
            CASE WHEN m >= 6 THEN 0 WHEN m % 2 = 0 THEN 1 ELSE -1 END,
            CASE WHEN m >= 6 THEN 'COUNTED' END, {_id(1, "n")}, 'client:bench', {_AT}
        FROM {_N}, generate_series(0, {MOVEMENTS - 1}) m, LATERAL (SELECT m % 6 / 2 + 1 AS k) AS line
        WHERE {_delivered(orders)} OR m NOT IN (1, 3, 5)
    """


_BALANCES = """
    UPDATE stock_level b SET on_hand = m.on_hand, allocated = m.allocated
    FROM (
        SELECT sku_id, location_id, owner, sum(d_on_hand) AS on_hand, sum(d_allocated) AS allocated
        FROM stock_movement GROUP BY sku_id, location_id, owner
    ) m
    WHERE (b.sku_id, b.location_id, b.owner) = (m.sku_id, m.location_id, m.owner)
"""


async def _without_indexes(connection: asyncpg.Connection) -> list[str]:
    """Drop those that are no constraint, which are quicker built when all rows are there; what makes them again."""
    found = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY ($1) AND indexname LIKE 'ix\\_%'",
        ["orders", "order_line", "allocation", "stock_movement"],
    )
    for index in found:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    return [index["indexdef"] for index in found]


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
