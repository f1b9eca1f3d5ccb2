"""The ledger is written and never rewritten, whatever statement tries."""

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from app.inventory.models import StockMovement
from app.inventory.queries import STOCK_MOVEMENTS
from app.kernel.filters import OneOf
from tests.builders import STAFF, Shop


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stock_movement SET d_on_hand = d_on_hand + 1",
        "DELETE FROM stock_movement",
        "TRUNCATE stock_movement",
        "TRUNCATE stock_movement RESTART IDENTITY CASCADE",
    ],
)
async def test_no_statement_rewrites_the_ledger(shop: Shop, statement: str) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 10)

    with pytest.raises(DBAPIError, match="the stock ledger is append-only"):
        await shop.execute(statement)

    assert (await shop.one("SELECT sum(d_on_hand) AS units FROM stock_movement")).units == 10


async def test_what_moved_a_sku_is_found_without_reading_what_moved_others_since(shop: Shop) -> None:
    for code in ("MUG", "CUP"):
        await shop.sku(code)
        await shop.stock(code, 10)
    await shop.execute(
        "INSERT INTO stock_movement (sku_id, location_id, owner, type, cause_id, actor, occurred_at)"
        " SELECT sku_id, location_id, owner, type, cause_id, actor, occurred_at"
        " FROM stock_movement CROSS JOIN generate_series(1, 5000)"
        " WHERE sku_id = (SELECT id FROM sku WHERE code = 'CUP')"
    )
    await shop.execute("ANALYZE stock_movement")
    mug = (await shop.one("SELECT id FROM sku WHERE code = 'MUG'")).id

    movements = STOCK_MOVEMENTS.selecting(STAFF, OneOf("sku_id", (mug,)), None)
    newest = movements.order_by(StockMovement.id.desc()).limit(51)
    plan = await shop.rows(f"EXPLAIN (COSTS OFF) {_literal(newest)}")

    assert any("using ix_stock_movement_sku on" in line for (line,) in plan), plan


def _literal(statement: object) -> str:
    return str(statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
