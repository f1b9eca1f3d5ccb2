"""Connections lent for one statement: few for many, in the order of asking, and none that nobody knows the state of."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import asyncpg
import pytest

from app.kernel.pool import REST_SECONDS, Pool


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = Pool(lambda: asyncpg.connect(database_url), 2)
    await pool.open(1)
    yield pool
    await pool.close(1)


async def test_few_connections_serve_many_in_the_order_of_asking(pool: Pool) -> None:
    served: list[int] = []
    await pool.open(2)

    async def ask(n: int) -> None:
        served.append(await pool.value("SELECT $1::int FROM pg_sleep(0.01)", n))

    await asyncio.gather(*(ask(n) for n in range(12)))

    assert sorted(served) == list(range(12))
    assert all(abs(n - place) <= 1 for place, n in enumerate(served)), served
    assert (pool.size, pool.idle, pool.busy) == (2, 2, 0)


async def test_an_error_that_postgresql_tells_costs_no_connection(pool: Pool) -> None:
    before = await pool.value("SELECT pg_backend_pid()")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.rows("SELECT 1 / 0")
    with pytest.raises(asyncpg.DataError):
        await pool.rows("SELECT $1::int", "seven")

    assert await pool.value("SELECT pg_backend_pid()") == before


async def test_a_statement_that_is_given_up_is_ended_and_its_connection_lent_again(pool: Pool) -> None:
    before = await pool.value("SELECT pg_backend_pid()")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.value("SELECT pg_sleep(30)"), 0.1)

    asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(30)'"
    async with asyncio.timeout(3):
        while pool.busy:
            await asyncio.sleep(0.01)
    assert await pool.value("SELECT pg_backend_pid()") == before
    assert await pool.value(asleep) == 0


async def test_giving_up_again_and_again_takes_no_more_places(pool: Pool) -> None:
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.value("SELECT pg_sleep(30)"), 0.02)
        assert pool.size <= 2

    assert await pool.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'") <= 2


async def test_a_connection_that_rested_long_is_not_trusted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await pool.value("SELECT pg_backend_pid()")
    later = monotonic() + REST_SECONDS + 1
    monkeypatch.setattr("app.kernel.pool.monotonic", lambda: later)

    assert await pool.value("SELECT pg_backend_pid()") != before


async def test_what_the_server_has_ended_is_replaced(pool: Pool) -> None:
    ended = await pool.value("SELECT pg_backend_pid()")
    blocker = asyncio.create_task(pool.value("SELECT pg_sleep(0.3)"))
    await asyncio.sleep(0.05)
    await pool.value("SELECT pg_terminate_backend($1)", ended)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await blocker

    assert await pool.value("SELECT 1") == 1


async def test_one_who_waits_gets_the_place_of_a_connection_that_broke(pool: Pool) -> None:
    busy = [asyncio.create_task(pool.value("SELECT pg_sleep(5)")) for _ in range(2)]
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(pool.value("SELECT pg_backend_pid()"))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    broken, going_on = pool._lent
    pids = {broken.get_server_pid(), going_on.get_server_pid()}
    broken.terminate()

    async with asyncio.timeout(2):
        assert await waiting not in pids
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    assert pool.size <= 2


class Stuck(asyncpg.Connection):
    """Beyond recovery once its statement was given up."""

    async def fetchval(self, query: str, *arguments: object, **options: Any) -> Any:
        if "timeout" in options:
            await asyncio.sleep(0.2)
            raise TimeoutError
        return await super().fetchval(query, *arguments, **options)


@pytest.mark.parametrize("how", ["in vain", "cut short"])
async def test_a_connection_that_does_not_recover_is_replaced(database_url: str, how: str) -> None:
    pool = Pool(lambda: asyncpg.connect(database_url, connection_class=Stuck), 1)
    await pool.open(1)
    (before,) = (connection for _, connection in pool._idle)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.value("SELECT pg_sleep(30)"), 0.05)
    await asyncio.sleep(0.05)
    (recovery,) = pool._recovering

    if how == "cut short":
        recovery.cancel()

    async with asyncio.timeout(2):
        assert await pool.value("SELECT 1") == 1
    assert before.is_closed()
    await pool.close(1)


async def test_what_was_opened_before_it_failed_is_given_back(database_url: str) -> None:
    one = iter([True])

    async def connect() -> asyncpg.Connection:
        if not next(one, False):
            raise ConnectionRefusedError
        return await asyncpg.connect(database_url)

    pool = Pool(connect, 2)

    with pytest.raises(ConnectionRefusedError):
        await pool.open(2)

    assert (pool.idle, pool.busy) == (1, 0)
    await pool.close(1)


async def test_one_who_stops_waiting_leaves_the_place_to_the_next(pool: Pool) -> None:
    busy = [asyncio.create_task(pool.value("SELECT pg_sleep(0.2)")) for _ in range(2)]
    await asyncio.sleep(0.05)
    first, second = (asyncio.create_task(pool.value("SELECT $1::int", n)) for n in (1, 2))
    await asyncio.sleep(0.01)
    first.cancel()

    async with asyncio.timeout(2):
        assert await second == 2
        await asyncio.gather(*busy)
    assert pool.busy == 0


async def test_a_database_that_is_away_says_so_to_everyone_and_holds_no_place() -> None:
    pool = Pool(lambda: asyncpg.connect("postgresql://nobody@127.0.0.1:1/nothing"), 1)
    await pool.open(0)

    told = await asyncio.gather(*(pool.value("SELECT 1") for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in told] == [ConnectionRefusedError] * 3
    assert pool.size == 0


async def test_closing_waits_for_what_is_under_way_and_refuses_what_comes_after(database_url: str) -> None:
    pool = Pool(lambda: asyncpg.connect(database_url), 1)
    await pool.open(1)
    under_way = asyncio.create_task(pool.value("SELECT 7 FROM pg_sleep(0.2)"))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(pool.value("SELECT 8"))
    await asyncio.sleep(0.01)

    await pool.close(2)

    assert await under_way == 7
    assert pool.size == 0
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await waiting
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await pool.value("SELECT 9")


async def test_closing_cuts_off_what_takes_too_long(database_url: str) -> None:
    pool = Pool(lambda: asyncpg.connect(database_url), 1)
    await pool.open(1)
    under_way = asyncio.create_task(pool.value("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.05)

    async with asyncio.timeout(2):
        await pool.close(0.1)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await under_way
