"""The ledger is written and never rewritten, whatever statement tries."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.builders import Shop


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
