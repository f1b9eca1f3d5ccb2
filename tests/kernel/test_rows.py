"""Many rows by one statement: every type arrives as it was given, and one statement is all it takes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from app.catalog.models import SkuPrice
from app.kernel import events
from app.kernel.db import Database, StatementCount, statements
from app.kernel.events import Event, EventLog
from app.kernel.ids import uuid7
from app.kernel.rows import insert_new_rows, insert_rows, update_rows
from app.network.models import Channel, Location
from tests.builders import NOON, Shop


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    database = Database(database_url)
    await database.open()
    yield Shop(database)
    await database.close()


def location(code: str, **given: Any) -> dict[str, Any]:
    plain = {"name": code, "name_key": code, "type": "STORE", "country": "GB", "time_zone": "Europe/London"}
    stamps = {"version": 1, "created_at": NOON, "updated_at": NOON}
    return {"id": uuid7(), "code": code, "search": f"'{code.lower()}'", "active": True, **plain, **stamps, **given}


async def test_values_arrive_as_their_columns_have_them(shop: Shop) -> None:
    address = {"lines": ["1 Dock Road"], "city": None, "region": None, "postcode": "E1 'A\\"}
    full = location("FULL", latitude=51.507351, longitude=-0.1, address=address, cutoff=time(14, 30))
    bare = location("BARE", latitude=None, longitude=None, address=None, cutoff=None)
    table = Location.__table__

    async with shop.database.transaction() as db:
        await insert_rows(db, table, [full, bare])
        rows = {row["code"]: row for row in (await db.execute(select(table))).mappings()}

    assert {name: rows["FULL"][name] for name in full} == full
    assert {name: rows["BARE"][name] for name in bare} == bare
    assert await shop.rows("SELECT 1 FROM location WHERE code = 'BARE' AND address IS NOT NULL") == []


async def test_rows_are_updated_by_their_key_and_others_stay(shop: Shop) -> None:
    await shop.open()
    await shop.location("YORK")
    (leeds,) = await shop.rows("SELECT id FROM location WHERE code = 'LEEDS'")
    later = datetime(2027, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    async with shop.database.transaction() as db:
        await update_rows(db, Location.__table__, [{"id": leeds.id, "name": "Leeds: 2nd", "updated_at": later}])

    rows = await shop.rows("SELECT code, name, updated_at FROM location ORDER BY code")
    assert [tuple(row) for row in rows] == [("LEEDS", "Leeds: 2nd", later), ("YORK", "YORK", NOON)]


async def test_lists_of_texts_and_exact_amounts_keep_their_values(shop: Shop) -> None:
    await shop.open()
    await shop.sku("MUG")
    channel, sku = await shop.one("SELECT c.id, s.id FROM channel c, sku s")
    price = {"sku_id": sku, "channel_id": channel, "currency": "KWD", "amount": Decimal("0.000001")}

    async with shop.database.transaction() as db:
        await insert_rows(db, SkuPrice.__table__, [price])
        await update_rows(db, Channel.__table__, [{"id": channel, "origins": ["https://a.example", "https://b,{}"]}])

    assert (await shop.one("SELECT amount FROM sku_price WHERE currency = 'KWD'")).amount == Decimal("0.000001")
    assert (await shop.one("SELECT origins FROM channel")).origins == ["https://a.example", "https://b,{}"]


async def test_however_many_rows_are_one_statement(shop: Shop) -> None:
    statements.set(count := StatementCount())
    rows = [location(f"L{number:03}") for number in range(300)]

    async with shop.database.transaction() as db:
        await insert_rows(db, Location.__table__, rows)
        await update_rows(db, Location.__table__, [{"id": row["id"], "name": "Same"} for row in rows])
        await insert_rows(db, Location.__table__, [])

    assert count.value == 2
    assert (await shop.one("SELECT count(*) AS n FROM location WHERE name = 'Same'")).n == 300


async def test_new_rows_leave_those_that_are_there_and_are_one_statement_too(shop: Shop) -> None:
    rows = [location(f"L{number:04}") for number in range(1_200)]

    async with shop.database.transaction() as db:
        await insert_rows(db, Location.__table__, [location("L0007", name="Here before")])
        statements.set(count := StatementCount())
        new = await insert_new_rows(db, Location.__table__, rows[::-1], key=("code",), returning=("code", "id"))
        none = await insert_new_rows(db, Location.__table__, [], key=("code",), returning=("code",))

    assert count.value == 1
    assert [tuple(row) for row in new] == [(row["code"], row["id"]) for row in rows if row["code"] != "L0007"]
    assert none == []
    assert (await shop.one("SELECT name FROM location WHERE code = 'L0007'")).name == "Here before"


async def test_a_statement_with_many_sets_of_parameters_counts_as_often_as_it_runs(shop: Shop) -> None:
    rows = [location(f"L{number}") for number in range(5)]
    statements.set(count := StatementCount())

    async with shop.database.transaction() as db:
        await db.execute(Location.__table__.insert(), rows)

    assert count.value == 5


async def test_events_of_one_command_keep_their_order(shop: Shop) -> None:
    told = [
        Event(aggregate="sku", subject=uuid7(), version=1, type="SkuChanged", topics=["catalog"], payload={"code": n})
        for n in range(50)
    ]
    statements.set(count := StatementCount())

    async with shop.database.transaction() as db:
        await events.append(db, told, actor="tests", now=NOON)
        await events.append(db, [], actor="tests", now=NOON)

    assert count.value == 1
    rows = await shop.reads.all(select(EventLog.__table__).order_by(EventLog.id))
    assert [row.subject for row in rows] == [event.subject for event in told]
    assert [(row.topics, row.payload, row.occurred_at) for row in rows[:1]] == [(["catalog"], {"code": 0}, NOON)]
