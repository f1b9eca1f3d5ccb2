"""Many clients at once on few SKUs: nothing is oversold, nothing is lost, and nobody sees a deadlock."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.kernel.db import Database
from tests.race.book import differences
from tests.race.clients import Clients, open_shop

SQL = Path(__file__).parents[2] / "app" / "inventory" / "sql"
SEED = int(os.environ.get("ORDERWIRE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
LONG_SECONDS = float(os.environ.get("ORDERWIRE_TEST_SECONDS", "300"))


@pytest.mark.parametrize("together", [True, False], ids=["group commit", "each alone"])
async def test_thirty_two_clients_at_random_oversell_nothing_and_see_no_deadlock(
    database_url: str, together: bool
) -> None:
    database = Database(database_url)
    await database.open()
    shop, book = await open_shop(database)
    clients = Clients(database, book, seed=SEED, together=together)

    await clients.race()
    await clients.serve_everybody()

    waiting = (await shop.one("SELECT count(*) AS n FROM backorder_claim WHERE units > 0")).n
    violations, unlike = await shop.violations(), await differences(shop, book)
    await database.close()
    deadlocks = await deadlocks_in(database_url)
    print(
        f"\nrace with seed {SEED}: {book.summary()}; {clients.served} units to those who waited;"
        f" retries {dict(clients.retries)}; deadlocks {deadlocks}"
    )
    assert (book.faults, violations, unlike, waiting) == ([], {}, {}, 0)
    assert book.accepted.total() >= book.asked / 5
    assert book.refused.total() >= book.asked / 5
    assert book.asked >= 500
    assert set(book.accepted) == {
        *("place", "reserve", "extend", "release", "hold", "hold_release", "confirm", "cancel", "adjust", "set_"),
        "move",
    }
    assert deadlocks == 0


async def test_without_the_guard_the_same_race_oversells(database_url: str) -> None:
    """The race would see it: this test fails when the race has become too tame."""
    database = Database(database_url)
    await database.open()
    await take_out_the_guard(database)
    shop, book = await open_shop(database)
    clients = Clients(database, book, seed=SEED)

    for _ in range(25):
        await clients.race(requests=400)
        if violations := await shop.violations():
            break

    await database.close()
    print(f"\nwithout the guard, seed {SEED}, after {book.asked} requests: {violations}; faults {book.faults}")
    assert "integrity_stock_oversold" in violations


async def take_out_the_guard(database: Database) -> None:
    """The function that promises stock, without its condition, and the CHECK behind it."""
    guard = " OR (w.needed > 0 AND b.free - greatest(b.safety_stock, w.floor) < w.needed)"
    text = (SQL / "inventory_take.sql").read_text()
    assert text.count(guard) == 1, "the guard of inventory_take reads differently now: mend this test"
    await database.calls.value(text.replace(guard, ""))
    await database.calls.value("ALTER TABLE stock_level DROP CONSTRAINT ck_stock_level_never_oversold")


async def deadlocks_in(database_url: str) -> int:
    """How many PostgreSQL resolved in this database so far; its sessions have told when they are gone."""
    connection = await asyncpg.connect(database_url)
    try:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while await connection.fetchval(others):
            await asyncio.sleep(0.05)
        return int(
            await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    finally:
        await connection.close()


async def test_the_sets_of_two_processes_see_no_deadlock(database_url: str) -> None:
    await race_of_processes(database_url, processes=2, seconds=6)


@pytest.mark.long
async def test_a_long_race_of_four_processes(database_url: str) -> None:
    await race_of_processes(database_url, processes=4, seconds=LONG_SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("together", [True, False], ids=["group commit", "each alone"])
async def test_a_long_race(database_url: str, together: bool) -> None:
    database = Database(database_url)
    await database.open()
    shop, book = await open_shop(database)
    clients = Clients(database, book, seed=SEED, together=together)

    await clients.race(requests=10_000_000, seconds=LONG_SECONDS)

    violations, unlike = await shop.violations(), await differences(shop, book)
    await database.close()
    deadlocks = await deadlocks_in(database_url)
    print(f"\nlong race with seed {SEED}: {book.summary()}; deadlocks {deadlocks}")
    assert (book.faults, violations, unlike, deadlocks) == ([], {}, {}, 0)


async def race_of_processes(database_url: str, *, processes: int, seconds: float) -> None:
    """Clients in processes of their own, as several API processes have them; together they keep one book of sums."""
    database = Database(database_url)
    await database.open()
    shop, book = await open_shop(database)
    sets, reserved, sold = 0, Counter[str](), Counter[str]()

    accounts = await asyncio.gather(*(race_in_a_process(database_url, SEED + i, seconds) for i in range(processes)))
    await Clients(database, book, seed=SEED).expire()

    for account in accounts:
        sets += account["sets"]
        book.faults += account["faults"]
        book.accepted.update(account["accepted"])
        book.refused.update(account["refused"])
        reserved.update(account["reserved"])
        sold.update(account["sold"])
        for name in ("on_hand", "damaged", "quality_control"):
            getattr(book, name).update({tuple(key.split("@")): units for key, units in account[name].items()})
    totals = await shop.one(
        "SELECT (SELECT sum(allocated) FROM stock_level)"
        " + (SELECT coalesce(sum(units), 0) FROM backorder_level) AS sold,"
        " (SELECT sum(reserved) FROM stock_level) AS reserved, (SELECT sum(on_hand) FROM stock_level) AS on_hand,"
        " (SELECT sum(damaged) FROM stock_level) AS damaged"
    )
    violations = await shop.violations()
    await database.close()
    deadlocks = await deadlocks_in(database_url)
    print(f"\n{processes} processes with seed {SEED}: {book.summary()}; {sets} sets; deadlocks {deadlocks}")
    assert (book.faults, violations, deadlocks) == ([], {}, 0)
    assert tuple(totals) == (sold.total(), reserved.total(), book.on_hand.total(), book.damaged.total())
    assert sets > 0


async def race_in_a_process(database_url: str, seed: int, seconds: float) -> dict[str, Any]:
    """What the clients of a process of its own count."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.race.clients",
        database_url,
        str(seed),
        str(seconds),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said, _ = await process.communicate()
    assert process.returncode == 0
    account: dict[str, Any] = json.loads(said)
    return account
