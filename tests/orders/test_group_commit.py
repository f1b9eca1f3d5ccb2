"""Calls that share a commit: each has its own outcome, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import orjson
import pytest
from sqlalchemy import text

import app.customers.commands as customers
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta, Figure
from app.inventory.refusals import InsufficientStock, StockBelowCommitted, StockCompareFailed
from app.inventory.states import AdjustmentReason
from app.kernel.combiner import Combiner, Tally
from app.kernel.db import Database, Reads, StatementCount, statements
from app.kernel.errors import IdempotencyKeyReused
from app.kernel.ids import uuid7
from app.kernel.work import CommandArguments, Runner
from app.orders import commands as orders
from app.orders import queries
from app.orders.refusals import ExternalRefTaken, UnknownSku
from app.sourcing import commands as sourcing
from app.sourcing.commands import Wanted
from tests.builders import NOON, STAFF, Shop
from tests.proxy import PostgresProxy

COMMITS = "SELECT count(DISTINCT xmin::text) AS n FROM orders"


@pytest.fixture
async def combiner(shop: Shop) -> Combiner:
    """That of the shop, which has plenty of MUG and of CUP."""
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 100)
    assert shop.runner.combiner is not None
    return shop.runner.combiner


@asynccontextmanager
async def nobody_writes(shop: Shop, function: str, *, waiting: int) -> AsyncIterator[None]:
    """Keeps calls of the function back until so many wait behind the first."""
    async with shop.database.transaction() as db:
        await db.execute(text("SELECT FROM stock_level FOR UPDATE"))
        yield
        await queued(shop, function, waiting)


async def queued(shop: Shop, function: str, count: int) -> None:
    """Until so many calls of the function wait, or one is at work where the count is 0."""
    assert shop.runner.combiner is not None
    queues = shop.runner.combiner._waiting
    async with asyncio.timeout(10):
        while function not in queues or len(queues[function]) < count:
            await asyncio.sleep(0.005)


async def one_after_the_other(shop: Shop, function: str, *calls: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Calls that queue in this order, behind the first of them."""
    tasks = []
    for count, call in enumerate(calls):
        tasks.append(asyncio.create_task(call))
        await queued(shop, function, count)
    return tasks


async def place_together(shop: Shop, *placed: Awaitable[Any], refused: int = 0) -> list[Any]:
    """What becomes of requests of which all but the first go in one set.

    refused  how many of them are refused before they write
    """
    async with nobody_writes(shop, "orders_place_all", waiting=len(placed) - refused):
        first = asyncio.create_task(shop.place({"MUG": 1}))
        await queued(shop, "orders_place_all", 0)
        tasks = [asyncio.ensure_future(each) for each in placed]
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_orders_that_wait_are_placed_in_one_commit(shop: Shop, combiner: Combiner) -> None:
    placed = await place_together(shop, *(shop.place({"MUG": 1, "CUP": 2}) for _ in range(8)))

    assert len(set(placed)) == 8
    assert combiner.writes == Tally(sets=1, requests=8)
    assert (await shop.one(COMMITS)).n == 2
    numbers = await shop.rows("SELECT number FROM orders")
    told = await shop.rows("SELECT payload #>> '{facts,number}' AS number FROM event_log WHERE type = 'OrderPlaced'")
    assert len(set(numbers)) == 9
    assert set(told) == set(numbers)
    assert (await shop.level("CUP")).allocated == 16


async def test_one_request_alone_waits_for_nobody(shop: Shop, combiner: Combiner) -> None:
    for _ in range(3):
        await shop.place({"MUG": 1})

    assert combiner.writes.sets == 0
    assert (await shop.one(COMMITS)).n == 3


async def test_who_asks_again_at_once_goes_with_those_who_were_answered_too(shop: Shop, combiner: Combiner) -> None:
    async def client() -> None:
        for _ in range(3):
            await combiner.rows("SELECT unnest($1::int[])", [[1]], 0)

    await asyncio.gather(*(client() for _ in range(8)))

    assert combiner.reads == Tally(sets=3, requests=23)  # 1, then 8, 8 and 7


async def test_without_group_commit_each_order_has_its_own(shop: Shop, combiner: Combiner) -> None:
    runner = Runner(shop.database, shop.clock, together=False)
    arguments = [CommandArguments(f"k{n}") for n in range(12)]

    await asyncio.gather(*(runner.run(STAFF, orders.place, each, order=shop.order({"MUG": 1})) for each in arguments))

    assert (await shop.one(COMMITS)).n == 12
    assert combiner.writes.sets == 0


async def test_a_shortage_in_a_set_is_told_to_whom_it_concerns(shop: Shop, combiner: Combiner) -> None:
    await shop.sku("JUG")
    await shop.stock("JUG", 3)

    answers = await place_together(shop, *(shop.place({"MUG": 1, "JUG": 1}) for _ in range(5)), shop.place({"CUP": 1}))

    short = [answer for answer in answers if isinstance(answer, InsufficientStock)]
    assert len(short) == 2
    assert not isinstance(answers[-1], Exception)
    assert combiner.writes.separated >= 6
    assert (await shop.level("JUG")).allocated == 3


async def test_a_reference_that_comes_twice_in_a_set_is_refused_once(shop: Shop, combiner: Combiner) -> None:
    answers = await place_together(
        shop,
        *(shop.place({"MUG": 1}, external_ref="A-1") for _ in range(2)),
        shop.place({"MUG": 1}, external_ref="A-2"),
    )

    (refused,) = [answer for answer in answers if isinstance(answer, Exception)]
    assert isinstance(refused, ExternalRefTaken)
    assert refused.number is not None
    assert (await shop.one("SELECT count(*) AS n FROM orders WHERE external_ref IS NOT NULL")).n == 2


async def test_a_key_that_comes_twice_in_a_set_takes_effect_once(shop: Shop, combiner: Combiner) -> None:
    await shop.run(orders.place, key="before", order=shop.order({"CUP": 1}))

    async def placing(key: str, units: int = 1) -> Any:
        return await shop.run(orders.place, key=key, order=shop.order({"CUP": units}))

    first, again, other, reused = await place_together(
        shop, placing("k"), placing("k"), placing("other"), placing("before", 2)
    )

    assert first == again != other
    assert isinstance(reused, IdempotencyKeyReused)
    assert (await shop.level("CUP")).allocated == 3


async def test_a_cancelled_request_leaves_the_others_of_its_set_alone(shop: Shop, combiner: Combiner) -> None:
    async with nobody_writes(shop, "orders_place_all", waiting=0):
        calls = (shop.place({"MUG": 1}) for _ in range(4))
        first, before, during, stays = await one_after_the_other(shop, "orders_place_all", *calls)
        before.cancel()
        cancelling = asyncio.create_task(_cancel_once_sent(combiner, during))
    await asyncio.gather(first, cancelling)

    await stays

    answers = await asyncio.gather(before, during, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)
    assert (await shop.one("SELECT count(*) AS n FROM orders")).n == 3  # it was under way: done, and not told


async def _cancel_once_sent(combiner: Combiner, request: asyncio.Task[Any]) -> None:
    while combiner._waiting["orders_place_all"]:
        await asyncio.sleep(0)
    request.cancel()


async def test_the_first_that_is_cancelled_lets_the_others_go_on(shop: Shop, combiner: Combiner) -> None:
    async with nobody_writes(shop, "orders_place_all", waiting=0):
        calls = (shop.place({"MUG": 1}) for _ in range(3))
        first, *others = await one_after_the_other(shop, "orders_place_all", *calls)
        first.cancel()
        await asyncio.wait([first])

    assert len(set(await asyncio.gather(*others))) == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_each_request_counts_the_statements_made_for_it(shop: Shop, combiner: Combiner) -> None:
    async def counted() -> int:
        count = StatementCount()
        statements.set(count)
        await shop.place({"MUG": 1})
        return count.value

    alone = await counted()

    assert await place_together(shop, *(counted() for _ in range(4))) == [alone] * 4


async def test_a_dry_run_joins_no_set(shop: Shop, combiner: Combiner) -> None:
    async def dry() -> str:
        given = {"order": shop.order({"MUG": 1})}
        async with shop.runner.rehearse(STAFF, orders.place, CommandArguments("dry"), **given) as (result, _):
            return str(result["number"])

    numbers = await asyncio.gather(*(dry() for _ in range(4)))

    assert len(set(numbers)) == 4
    assert (await shop.one("SELECT count(*) AS n FROM orders")).n == 0


async def test_reservations_that_wait_share_a_commit_and_each_has_its_token(shop: Shop, combiner: Combiner) -> None:
    async with nobody_writes(shop, "inventory_reserve_all", waiting=6):
        tasks = [asyncio.create_task(shop.reserve({"MUG": 2, "CUP": 1})) for _ in range(7)]

    tokens = await asyncio.gather(*tasks)

    assert len(set(tokens)) == 7
    assert combiner.writes.requests == 6
    assert ((await shop.level("MUG")).reserved, (await shop.level("CUP")).reserved) == (14, 7)
    assert (await shop.one("SELECT count(*) AS n FROM event_log WHERE type = 'StockReserved'")).n == 7


async def test_reservations_used_up_in_a_set_give_back_what_their_orders_do_not_take(
    shop: Shop, combiner: Combiner
) -> None:
    await shop.sku("JUG")
    await shop.stock("JUG", 6)
    tokens = [await shop.reserve({"JUG": 2}) for _ in range(3)]

    answers = await place_together(shop, *(shop.place({"JUG": 1}, reservation_token=token) for token in tokens))

    assert not [answer for answer in answers if isinstance(answer, Exception)]
    level = await shop.level("JUG")
    assert (level.allocated, level.reserved) == (3, 0)
    assert combiner.writes.requests == 3


async def test_adjustments_of_a_set_act_in_their_order_and_are_refused_one_by_one(
    shop: Shop, combiner: Combiner
) -> None:
    async def adjust(units: int) -> Any:
        changes = [Delta(sku="MUG", location="LEEDS", units=units)]
        return await shop.run(inventory.adjust, changes=changes, reason=AdjustmentReason.CORRECTION)

    async def count(compare: int, units: int) -> Any:
        changes = [Figure(sku="CUP", location="LEEDS", units=units, compare_units=compare)]
        return await shop.run(inventory.set_, changes=changes, reason=AdjustmentReason.COUNTED)

    async with nobody_writes(shop, "inventory_adjust_all", waiting=3):
        calls = (adjust(1), adjust(-1), count(100, 80), count(80, 70))
        tasks = await one_after_the_other(shop, "inventory_adjust_all", *calls)
    await asyncio.gather(*tasks)
    assert combiner.writes.requests == 3
    assert ((await shop.level("MUG")).on_hand, (await shop.level("CUP")).on_hand) == (100, 70)

    async with nobody_writes(shop, "inventory_adjust_all", waiting=3):
        calls = (adjust(1), adjust(-1_000), count(100, 80), adjust(5))
        tasks = await one_after_the_other(shop, "inventory_adjust_all", *calls)
    _, below, unlike, done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(below, StockBelowCommitted)
    assert isinstance(unlike, StockCompareFailed)
    assert "adjustmentId" in done
    assert (await shop.level("MUG")).on_hand == 106


async def test_backorders_of_a_set_stay_within_the_limit(shop: Shop, combiner: Combiner) -> None:
    await shop.sku("JUG", backorder_limit=3)

    answers = await place_together(shop, *(shop.place({"JUG": 1}) for _ in range(5)))

    assert len([answer for answer in answers if isinstance(answer, InsufficientStock)]) == 2
    assert (await shop.one("SELECT units FROM backorder_level")).units == 3


async def test_a_set_whose_commit_is_unknown_takes_effect_once(shop: Shop, database_url: str) -> None:
    """Connections end before, during and after the commit of sets; every request is answered, and done once."""
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 1_000)
    parts = urlsplit(database_url)
    address = "{host[0]}/.s.PGSQL.{port[0]}".format(**parse_qs(parts.query))
    functions = {"orders_place_all", "inventory_reserve_all"}
    async with PostgresProxy(lambda: asyncio.open_unix_connection(address), functions, seed=7) as proxy:
        place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
        database = Database(parts._replace(netloc=place, query="").geturl(), call_pool=3)
        await database.open()
        runner = Runner(database, shop.clock)
        assert runner.combiner is not None

        async def client(name: int) -> list[Any]:
            arguments = CommandArguments(f"key {name}")
            if name % 4:
                return [await runner.run(STAFF, orders.place, arguments, order=shop.order({"MUG": 1, "CUP": 1}))]
            lines = [Wanted(sku="MUG", quantity=1)]
            return [await runner.run(STAFF, sourcing.reserve, arguments, channel="WEB", lines=lines, seconds=600)]

        answers = []
        for turn in range(12):
            proxy.share = 0.35
            names = range(turn * 12, turn * 12 + 12)
            answers += await asyncio.gather(*(client(name) for name in names))
            proxy.share = 0.0
            assert await asyncio.gather(*(client(name) for name in names)) == answers[-12:]
        await database.close()

    assert runner.combiner.writes.requests > 50
    assert runner.combiner.writes.separated > 5
    assert sum(proxy.cuts.values()) >= 6
    assert (await shop.one("SELECT count(*) AS n FROM orders")).n == 108
    assert (await shop.one("SELECT count(*) AS n FROM reservation")).n == 36
    level = await shop.level("MUG")
    assert (level.allocated, level.reserved) == (108, 36)
    assert shop.clock.now() == NOON


async def test_what_orders_are_decided_from_is_read_together(shop: Shop, combiner: Combiner) -> None:
    """Each finds its own: SKUs, customer, reservation and reference, not those of others."""
    await shop.run(customers.upsert_customer, customer={"code": "ADA", "name": "Ada"})
    token = await shop.reserve({"CUP": 2})
    await shop.place({"MUG": 1}, external_ref="A-1")

    *placed, unknown, taken = await place_together(
        shop,
        shop.place({"MUG": 1}, customer="ADA"),
        shop.place({"CUP": 2}, reservation_token=token),
        shop.place({"CUP": 1, "MUG": 1}),
        shop.place({"TEAPOT": 1}),
        shop.place({"MUG": 1}, external_ref="A-1"),
        refused=2,
    )

    assert combiner.reads.requests >= 4
    assert isinstance(unknown, UnknownSku)
    assert isinstance(taken, ExternalRefTaken)
    customers_of = [(await shop.one("SELECT customer_id FROM orders WHERE id = :id", id=id_))[0] for id_ in placed]
    assert [customer is not None for customer in customers_of] == [True, False, False]
    lines = "SELECT array_agg(sku_code ORDER BY sku_code) FROM order_line WHERE order_id = :id"
    assert [(await shop.one(lines, id=id_))[0] for id_ in placed] == [["MUG"], ["CUP"], ["CUP", "MUG"]]
    assert (await shop.level("CUP")).reserved == 0


async def test_the_balance_that_falls_short_is_named_and_none_is_changed(shop: Shop, combiner: Combiner) -> None:
    taking = "SELECT inventory_take($1, $2, $3, $4, $5, $6, $7)"
    balances = await shop.rows("SELECT sku_id, location_id FROM stock_level ORDER BY sku_id")

    for short in (0, 1):
        units = [1, 1]
        units[short] = 101
        with pytest.raises(asyncpg.PostgresError, match="STOCK_TAKEN") as refused:
            await shop.database.call(
                taking,
                [balance.sku_id for balance in balances],
                [balance.location_id for balance in balances],
                ["", ""],
                units,
                [0, 0],
                [0, 0],
                NOON,
            )
        assert orjson.loads(refused.value.detail)["sku_id"] == str(balances[short].sku_id)

    assert {(await shop.level(sku)).allocated for sku in ("MUG", "CUP")} == {0}


async def test_orders_that_are_shown_at_the_same_time_are_read_together(shop: Shop, combiner: Combiner) -> None:
    placed = [await shop.place({"MUG": 1}) for _ in range(4)]
    reads = [Reads(shop.database, STAFF, shop.clock, shared=combiner) for _ in placed]
    before = combiner.reads.sets

    shown = await asyncio.gather(
        *(queries.orders_by_id(each, [order]) for each, order in zip(reads, placed, strict=True))
    )

    assert [set(each) for each in shown] == [{order} for order in placed]
    assert combiner.reads.sets == before + 1


async def test_only_who_may_see_the_same_is_read_together(shop: Shop, combiner: Combiner) -> None:
    order = await shop.place({"MUG": 1})
    (channel,) = await shop.rows("SELECT id FROM channel")
    callers = [STAFF, replace(STAFF, channel_id=channel.id), replace(STAFF, channel_id=uuid7())]

    shown = await asyncio.gather(
        *(
            queries.orders_by_id(Reads(shop.database, caller, shop.clock, shared=combiner), [order])
            for caller in [*callers, *callers]
        )
    )

    assert [len(each) for each in shown] == [1, 1, 0] * 2
