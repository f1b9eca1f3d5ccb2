"""Whether a process is alive and ready, asked over real sockets while its stores come and go."""

import asyncio
from typing import Any

import asyncpg
import httpx2

from app.health import Health
from app.kernel import migrate
from app.kernel.db import Database
from app.kernel.telemetry import Telemetry
from app.worker import Worker
from tests import running
from tests.builders import Shop
from tests.running import Api


async def until(api: Api, status: int) -> dict[str, Any]:
    """What /readyz says once it has this status."""
    for _ in range(200):
        answer = await api.http.get("/readyz")
        if answer.status_code == status:
            return dict(answer.json())
        await asyncio.sleep(0.05)
    raise AssertionError(f"/readyz still answers {answer.status_code}: {answer.text}")


async def test_a_process_is_ready_once_events_reach_it_and_not_while_it_drains(
    database_url: str, redis_url: str
) -> None:
    async with running.api(running.settings(database_url, redis_url)) as api:
        assert await until(api, 200) == {"status": "ready"}

        await api.services.health.drain()

        assert await until(api, 503) == {"status": "not ready", "reasons": {"process": "it is draining"}}
        assert (await api.http.get("/livez")).status_code == 200


async def test_a_process_that_cannot_reach_its_database_lives_and_is_not_ready(
    database_url: str, redis_url: str
) -> None:
    async with running.api(running.settings(database_url, redis_url)) as api:
        await until(api, 200)
        name = database_url.split("/")[3].split("?")[0]
        other = await asyncpg.connect(database_url.replace(f"/{name}?", "/postgres?"))

        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await other.execute(ended.replace("$1", f"'{name}'"))
        said = await until(api, 503)
        assert (await api.http.get("/livez")).status_code == 200
        assert b"orderwire_http_requests" in (await api.http.get("/metrics")).content
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

        assert "database" in said["reasons"]
        assert await until(api, 200) == {"status": "ready"}
        await other.close()


async def test_a_database_that_takes_too_long_counts_as_away(shop: Shop) -> None:
    health = Health(shop.database, Telemetry())
    async with shop.database.transaction() as db:
        await db.exec_driver_sql("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        began = asyncio.get_running_loop().time()

        reasons = await health.reasons()

        assert reasons == {"database": "PostgreSQL did not answer within 1 s"}
        assert asyncio.get_running_loop().time() - began < 2
    assert await health.reasons() == {}


async def test_missing_migrations_are_named_with_the_remedy(shop: Shop) -> None:
    health = Health(shop.database, Telemetry())

    await shop.execute("UPDATE alembic_version SET version_num = '0000'")
    behind = await health.reasons()
    await shop.execute("UPDATE alembic_version SET version_num = '9999'")
    ahead = await health.reasons()

    sentence = f"migrations are at 0000, this version needs {migrate.head()}: run `orderwire migrate`"
    assert behind == {"database": sentence}
    assert ahead == {}


async def test_what_else_must_hold_is_asked_too(shop: Shop) -> None:
    health = Health(shop.database, Telemetry(), checks={"disk": lambda: "it is full", "moon": lambda: None})

    assert await health.reasons() == {"disk": "it is full"}


async def test_a_worker_answers_on_a_port_of_its_own(database_url: str, redis_url: str) -> None:
    database = Database(database_url)
    await database.open()
    health = Health(database, Telemetry())

    async with (
        health.served(running.settings(database_url, redis_url, worker_port=0)) as port,
        httpx2.AsyncClient() as c,
    ):
        url = f"http://127.0.0.1:{port}"
        statuses = [(await c.get(f"{url}/{path}")).status_code for path in ("livez", "readyz", "metrics", "graphql")]
    async with health.served(running.settings(database_url, redis_url)) as none:
        pass

    assert statuses == [200, 200, 200, 404]
    assert none is None
    await database.close()


async def test_a_worker_whose_relay_does_not_run_is_not_ready(database_url: str, redis_url: str) -> None:
    worker = Worker(running.settings(database_url, redis_url))
    await worker._database.open()
    before = await worker._health.reasons()
    await worker._database.close()
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while not worker._relay.stats.in_place:
            await asyncio.sleep(0.01)

    assert "relay" in before
    assert await worker._health.reasons() == {}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
