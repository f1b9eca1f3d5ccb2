"""Idempotency keys and dry runs, the same for commands of one SQL call and for those in a transaction of statements."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.inventory.refusals import InsufficientStock
from app.kernel.db import Database, Reads
from app.kernel.errors import Busy, IdempotencyKeyReused, Refusal
from app.kernel.principal import Kind, Principal
from app.kernel.work import ATTEMPTS_MAX, KEY_LIFETIME, CommandArguments, Runner, Work
from app.orders import commands as orders
from app.orders.states import CancelReason, HoldReason
from tests.builders import STAFF, Shop

Ask = Callable[..., Awaitable[dict[str, Any]]]
OTHER = Principal(kind=Kind.PARTNER, id="client:other", scopes=STAFF.scopes)


@pytest.fixture(params=["one call", "transaction"])
async def ask(request: pytest.FixtureRequest, shop: Shop) -> Ask:
    """`ask(key=…, n=…)`: a command that may succeed any number of times, with input that depends on n."""
    await shop.sku("MUG")
    await shop.stock("MUG", 50)
    order_id = await shop.place({"MUG": 1})

    async def place(n: int = 1, **given: Any) -> dict[str, Any]:
        return await shop.run(orders.place, order=shop.order({"MUG": n}), **given)

    async def hold(n: int = 1, **given: Any) -> dict[str, Any]:
        return await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL, note=f"note {n}", **given)

    return place if request.param == "one call" else hold


async def effects(shop: Shop) -> int:
    """Changes of orders so far."""
    return int((await shop.one("SELECT count(*) AS n FROM event_log WHERE aggregate = 'order'")).n)


async def test_of_many_at_once_with_one_key_one_takes_effect_and_all_get_its_answer(shop: Shop, ask: Ask) -> None:
    before = await effects(shop)

    answers = await asyncio.gather(*(ask(key="k") for _ in range(8)))

    assert all(answer == answers[0] for answer in answers)
    assert await effects(shop) == before + 1


async def test_a_key_belongs_to_its_input_its_command_and_its_caller(shop: Shop, ask: Ask) -> None:
    first = await ask(key="k")
    with pytest.raises(IdempotencyKeyReused):
        await ask(key="k", n=2)
    with pytest.raises(IdempotencyKeyReused):
        await shop.run(orders.confirm, key="k", order_id=UUID(first["orderId"]))
    before = await effects(shop)

    assert await ask(key="k") == first
    assert await effects(shop) == before
    assert await ask(key="k", principal=OTHER) != first


async def test_a_key_acts_anew_when_its_time_is_over(shop: Shop, ask: Ask) -> None:
    first = await ask(key="k")
    shop.clock.advance(KEY_LIFETIME - timedelta(seconds=1))
    assert await ask(key="k") == first

    shop.clock.advance(timedelta(seconds=1))
    assert await ask(key="k", n=2) != first


async def test_a_refusal_keeps_no_key_and_changes_nothing(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    order_id = await shop.place({"MUG": 1})
    tables = ("orders", "order_line", "event_log", "stock_movement", "allocation", "idempotency_key", "order_hold")
    everything = f"SELECT {', '.join(f'(SELECT count(*) FROM {table})' for table in tables)}"
    before = await shop.one(everything)

    with pytest.raises(InsufficientStock):
        await shop.run(orders.place, key="k", order=shop.order({"MUG": 1}, external_ref="A-1"))
    with pytest.raises(Refusal):
        await shop.run(orders.hold_release, key="k", order_id=order_id, hold_id=order_id)

    assert await shop.one(everything) == before
    await shop.stock("MUG", 1)
    await shop.run(orders.place, key="k", order=shop.order({"MUG": 1}, external_ref="A-1"))


async def test_a_repeat_is_answered_though_it_would_be_refused_now(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    placed = await shop.run(orders.place, key="p", order=shop.order({"MUG": 1}, external_ref="A-1"))
    order_id = UUID(placed["orderId"])
    cancel = {"order_id": order_id, "reason": CancelReason.CUSTOMER}
    cancelled = await shop.run(orders.cancel, key="c", expected_version=1, **cancel)

    assert await shop.run(orders.place, key="p", order=shop.order({"MUG": 1}, external_ref="A-1")) == placed
    assert await shop.run(orders.cancel, key="c", expected_version=1, **cancel) == cancelled


ORDER = "SELECT * FROM orders WHERE id = :id"
LINES = "SELECT * FROM order_line WHERE order_id = :id ORDER BY line_no"
NEW_EACH_TIME = {"id", "order_id", "parent_id", "number", "search"}


async def test_a_dry_run_shows_what_the_real_run_does(shop: Shop) -> None:
    for sku in ("MUG", "SPOON"):
        await shop.sku(sku, "3.33", backorder_limit=5)
        await shop.stock(sku, 3)
    await shop.sku("SET", "9.99", components=[{"sku": "MUG", "units": 1}, {"sku": "SPOON", "units": 2}])
    given = {"order": shop.order({"SET": 2, "MUG": 2}, external_ref="A-1", note="soon")}
    arguments = CommandArguments("k")

    async with shop.runner.rehearse(STAFF, orders.place, arguments, **given) as (result, reads):
        shown = [await _plain(reads, sql, result["orderId"]) for sql in (ORDER, LINES)]
    assert await effects(shop) == 0
    done = await shop.run(orders.place, key="k", **given)

    assert [await _plain(shop.reads, sql, done["orderId"]) for sql in (ORDER, LINES)] == shown
    assert shown[0][0]["fulfillment_status"] == "BACKORDERED"
    with pytest.raises(InsufficientStock):
        async with shop.runner.rehearse(STAFF, orders.place, arguments, order=shop.order({"MUG": 9})):
            raise AssertionError("refused as the real run would be")


class Tries:
    """Counts what is tried again."""

    def __init__(self) -> None:
        self.again = 0
        self.begun = asyncio.Event()

    def command(self, _: str) -> nullcontext[None]:
        return nullcontext()

    def retried(self, _: str) -> None:
        self.again += 1
        self.begun.set()


@pytest.fixture
async def hasty(database_url: str) -> AsyncIterator[Database]:
    """The same database for those who soon give up waiting for a lock."""
    database = Database(database_url, session={"lock_timeout": "50"})
    await database.open()
    yield database
    await database.close()


async def _placed(runner: Runner, given: dict[str, Any], *, dry: bool) -> None:
    if dry:
        async with runner.rehearse(STAFF, orders.place, CommandArguments("k"), **given):
            pass
    else:
        await runner.run(STAFF, orders.place, CommandArguments("k"), **given)


@asynccontextmanager
async def _placing(shop: Shop, lines: dict[str, int]) -> AsyncIterator[None]:
    """Somebody else's order, which holds what it takes until the block ends, and commits then."""
    async with shop.database.transaction() as db:
        await db.execute(text("SELECT 1"))  # SQLAlchemy begins at its first statement, not asyncpg's
        reads = Reads(shop.database, STAFF, shop.clock, db)
        work = Work(
            principal=STAFF,
            now=shop.clock.now(),
            reads=reads,
            arguments=CommandArguments(None),
            sha256=b"",
            connection=db,
        )
        await orders.place(work, order=shop.order(lines))
        yield


async def _waiting(shop: Shop) -> int:
    """The process of PostgreSQL that waits for a lock, once there is one."""
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(5):
        while not (found := await shop.rows(sql)):
            await asyncio.sleep(0.01)
    return int(found[0].pid)


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "real run"])
async def test_what_others_hold_for_a_moment_is_waited_for(shop: Shop, hasty: Database, dry: bool) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    tries = Tries()
    runner = Runner(hasty, shop.clock, watching=tries)
    async with _placing(shop, {"MUG": 1}):
        task = asyncio.create_task(_placed(runner, {"order": shop.order({"MUG": 4})}, dry=dry))
        async with asyncio.timeout(5):
            await tries.begun.wait()

    await task

    assert await effects(shop) == (1 if dry else 2)


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "real run"])
async def test_what_others_took_meanwhile_is_looked_for_anew(shop: Shop, dry: bool) -> None:
    await shop.sku("MUG", backorder_limit=3)
    await shop.stock("MUG", 3)
    tries = Tries()
    runner = Runner(shop.database, shop.clock, watching=tries)
    async with _placing(shop, {"MUG": 3}):
        task = asyncio.create_task(_placed(runner, {"order": shop.order({"MUG": 3})}, dry=dry))
        await _waiting(shop)

    await task

    assert tries.again == 1
    assert await effects(shop) == (1 if dry else 2)


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "real run"])
async def test_a_connection_that_is_lost_on_the_way_is_replaced(shop: Shop, dry: bool) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    tries = Tries()
    async with _placing(shop, {"MUG": 1}):
        runner = Runner(shop.database, shop.clock, watching=tries)
        task = asyncio.create_task(_placed(runner, {"order": shop.order({"MUG": 4})}, dry=dry))
        await shop.rows(f"SELECT pg_terminate_backend({await _waiting(shop)})")

    await task

    assert tries.again == 1
    assert await effects(shop) == (1 if dry else 2)


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "real run"])
async def test_what_others_keep_holding_is_busy(shop: Shop, hasty: Database, dry: bool) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    tries = Tries()
    async with _placing(shop, {"MUG": 1}):
        with pytest.raises(Busy):
            await _placed(Runner(hasty, shop.clock, watching=tries), {"order": shop.order({"MUG": 4})}, dry=dry)

    assert tries.again == ATTEMPTS_MAX - 1
    assert await effects(shop) == 1


async def _plain(reads: Any, sql: str, order_id: str) -> list[dict[str, Any]]:
    rows = await reads.all(text(sql), {"id": order_id})
    return [{name: value for name, value in row._mapping.items() if name not in NEW_EACH_TIME} for row in rows]
