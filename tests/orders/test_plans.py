"""How PostgreSQL goes about the writes that must stay quick however much there is."""

from sqlalchemy import text

from app.kernel.work import CommandArguments
from app.orders import commands as orders
from tests.builders import STAFF, Shop


async def test_placing_reads_no_table_whole_though_plans_are_made_while_tables_are_empty(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    async with shop.database.autocommit.connect() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE")  # now it is known, no longer assumed, that there is nothing

    rehearsal = shop.runner.rehearse(STAFF, orders.place, CommandArguments("k"), order=shop.order({"MUG": 1}))
    async with rehearsal as (_, reads):
        whole = await reads.all(text("SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0"))

    assert whole == []
