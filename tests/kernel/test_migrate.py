"""Migrations over a real server: from nothing, at once from several sides, and what they leave."""

import asyncio
import importlib

import alembic.command
import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.kernel.db import Base, Database
from app.kernel.functions import APP, migrations_folder
from app.kernel.migrate import ADVISORY_LOCK, head, migrate, revision
from app.kernel.operator import OperatorProblem
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.builders import Shop


def script_directory() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def test_file_names_tell_the_order():
    """`head` and the copies of SQL functions rely on it."""
    newest_first = [script.revision for script in script_directory().walk_revisions()]

    assert newest_first == [f"{number:04d}" for number in range(len(newest_first), 0, -1)]
    assert script_directory().get_heads() == [head()]
    for script in script_directory().walk_revisions():
        assert script.module.__file__.rpartition("/")[2].startswith(script.revision)


async def test_several_processes_starting_at_once_migrate_once(empty_database_url):
    before = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))

    assert all(found.current is None for found in before)
    assert (await revision(empty_database_url)).current == head()
    assert not (await migrate(empty_database_url)).pending


async def test_a_waiting_process_holds_no_snapshot(empty_database_url):
    """Or CREATE INDEX CONCURRENTLY in the process that migrates would wait for it for ever."""
    holder = await asyncpg.connect(empty_database_url)
    await holder.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    waiting = asyncio.create_task(migrate(empty_database_url))
    await asyncio.sleep(0.5)

    await holder.execute("CREATE TABLE t (a int)")
    async with asyncio.timeout(5):
        await holder.execute("CREATE INDEX CONCURRENTLY ON t (a)")
    assert not waiting.done()

    await holder.close()
    await waiting


async def test_a_newer_database_is_left_as_it_is(database_url):
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()

    assert not (await migrate(database_url)).pending
    assert (await revision(database_url)).current == "9999"


async def test_the_tables_are_what_the_models_say(database_url):
    for file in sorted(APP.rglob("*.py")):
        if "(Base)" in file.read_text() or "Base.metadata" in file.read_text():
            importlib.import_module(".".join(file.relative_to(APP.parent).with_suffix("").parts))

    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )
    await engine.dispose()

    assert differences == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://127.0.0.1:1/x", "PostgreSQL cannot be reached"),
        ("postgresql://127.0.0.1:notaport/x", "PostgreSQL cannot be reached"),
    ],
)
async def test_an_unreachable_server_is_one_sentence(address, words):
    with pytest.raises(OperatorProblem, match=words) as refused:
        await migrate(address)

    assert "\n" not in str(refused.value)


async def test_a_missing_database_and_a_wrong_password_are_named(database_url):
    with pytest.raises(OperatorProblem, match="database that does not exist: create it"):
        await migrate(database_url.replace("/test_", "/missing_"))
    with pytest.raises(OperatorProblem, match="refuses the user or password"):
        await migrate(database_url.replace("://orderwire:", "://orderwire:wrong"))


async def walk(database_url: str, *steps: tuple[str, str]) -> None:
    """Up or down to these revisions."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("path_separator", "os")

    def follow(connection):
        config.attributes["connection"] = connection
        for direction, target in steps:
            getattr(alembic.command, direction)(config, target)

    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(follow)
        await connection.commit()
    await engine.dispose()


async def test_orders_that_wait_already_get_their_claims(database_url):
    database = Database(database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    await shop.sku("MUG", backorder_limit=10)
    await shop.place({"MUG": 3})
    held = await shop.place({"MUG": 4})
    await shop.run(orders.hold, order_id=held, reason=HoldReason.FRAUD)
    await database.close()

    await walk(database_url, ("downgrade", "0001"), ("upgrade", "head"))

    await database.open()
    assert (await shop.one("SELECT units FROM backorder_claim")).units == 3
    assert await shop.violations() == {}
    await database.close()


async def test_claims_are_counted_when_those_who_write_orders_are_done(database_url):
    database = Database(database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    await shop.sku("MUG", backorder_limit=10)
    order_id = await shop.place({"MUG": 3})
    hold = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD)
    await database.close()
    await walk(database_url, ("downgrade", "0001"))
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass)"
    writer, onlooker = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    async with writer.transaction():
        await writer.execute("UPDATE orders SET is_on_hold = false")
        await writer.execute(
            "UPDATE order_hold SET released_at = now(), released_by = 'test' WHERE id = $1", hold["holdId"]
        )

        migrating = asyncio.create_task(migrate(database_url))
        async with asyncio.timeout(2):
            while not await onlooker.fetchval(waiting):
                assert not migrating.done(), "it counted while an order was being written"
                await asyncio.sleep(0.01)
    await migrating

    assert await onlooker.fetchval("SELECT units FROM backorder_claim") == 3
    await asyncio.gather(writer.close(), onlooker.close())


async def test_a_table_that_others_hold_ends_the_migration_in_one_sentence(database_url, monkeypatch):
    await walk(database_url, ("downgrade", "0001"))
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(OperatorProblem, match=r"A table stayed locked for 3s.*run `orderwire migrate` again"):
            await migrate(database_url)
        assert (await revision(database_url)).current == "0001"

    await other.close()
    await migrate(database_url)
    assert not (await revision(database_url)).pending
