"""The limits that an operator sets hold on every connection of requests and jobs."""

from app.kernel.db import Database
from app.wiring import Services
from app.worker import Worker
from tests import running


async def limits_of(database: Database) -> dict[str, str]:
    await database.open()
    try:
        rows = await database.calls.rows(
            "SELECT name, setting FROM pg_settings WHERE name = ANY($1)",
            ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"],
        )
        return {row["name"]: row["setting"] for row in rows}
    finally:
        await database.close()


async def test_the_api_and_the_worker_wait_no_longer_than_they_were_told(database_url: str, redis_url: str) -> None:
    given = running.settings(
        database_url,
        redis_url,
        lock_timeout_seconds=0.7,
        statement_timeout_seconds=1.5,
        idle_in_transaction_seconds=4,
    )

    told = {"lock_timeout": "700", "statement_timeout": "1500", "idle_in_transaction_session_timeout": "4000"}
    assert await limits_of(Services(given).database) == told
    assert await limits_of(Worker(given)._database) == told
