from app.kernel.db import Database
from bench import history
from bench.stage import furnish
from tests.builders import Shop


async def test_years_of_orders_written_at_once_are_as_consistent_as_placed_ones(database_url: str) -> None:
    database = Database(database_url)
    await database.open()
    try:
        shop = Shop(database)
        await furnish(shop)

        await history.write(shop, database_url, history.OPEN + 500)

        assert await shop.violations() == {}
        told = await shop.rows("SELECT lifecycle, count(*) AS orders FROM orders GROUP BY lifecycle")
        assert {row.lifecycle: row.orders for row in told} == {"COMPLETED": 500, "PLACED": history.OPEN + 1}
    finally:
        await database.close()
