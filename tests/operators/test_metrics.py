"""Every process shows the figures that can move in it, and no other; one that is everything shows all."""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from app import reference
from app.kernel.telemetry import Telemetry
from app.wiring import Services
from app.worker import Worker
from tests import running

OF_TIMERS = {"reservations_expired", "backordered_units_allocated", "idempotency_keys_pruned", "events_pruned"}
OF_TIMERS |= {"timer_failures"}
OF_REQUESTS = {"http_requests", "http_request_seconds"}


@asynccontextmanager
async def everything(database_url: str, redis_url: str) -> AsyncIterator[str]:
    """The address of `orderwire dev` on these stores, as a process of its own."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORDERWIRE_")}
    variables |= {"ORDERWIRE_DATABASE_URL": database_url, "ORDERWIRE_REDIS_URL": redis_url, "ORDERWIRE_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "dev"),
        env={**variables, "ORDERWIRE_SECRET_KEY": running.SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        printed = ""
        async with asyncio.timeout(60):
            while (found := re.search(r"Orderwire serves (\S+)/graphql", printed)) is None:
                line = await process.stdout.readline()
                assert line, printed
                printed += line.decode()
        yield found[1]
    finally:
        process.terminate()
        await process.communicate()


def shown(telemetry: Telemetry) -> set[str]:
    return {figure.name.removeprefix("orderwire_") for figure in telemetry.registry.collect()}


async def test_one_process_that_is_everything_shows_every_figure(database_url: str, redis_url: str) -> None:
    async with everything(database_url, redis_url) as address, httpx2.AsyncClient() as client, asyncio.timeout(20):
        found: dict[str, float] = {}
        while not found.get("orderwire_relay_leading"):
            families = list(text_string_to_metric_families((await client.get(f"{address}/metrics")).text))
            samples = [sample for family in families for sample in family.samples]
            found = {sample.name: sample.value for sample in samples if not sample.labels}

    told = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    assert {name for name in told if not name.endswith("_created")} == set(reference.figures())
    often = Counter((sample.name, *sorted(sample.labels.items())) for sample in samples)
    assert {each for each, times in often.items() if times > 1} == set()


def test_connections_of_one_process_are_counted_together(database_url: str, redis_url: str) -> None:
    given = running.settings(database_url, redis_url)
    telemetry = Telemetry()
    alone = [Services(given).telemetry, Worker(given).telemetry]
    Services(given, telemetry=telemetry)
    Worker(given, telemetry)

    def most(of: Telemetry) -> float:
        return of.registry.get_sample_value("orderwire_sql_connections_max", {"pool": "general"}) or 0

    assert most(telemetry) == sum(map(most, alone)) > 0


def test_a_process_of_one_part_shows_no_figure_that_can_never_move(database_url: str, redis_url: str) -> None:
    given = running.settings(database_url, redis_url)
    api, worker = shown(Services(given).telemetry), shown(Worker(given).telemetry)

    assert api >= OF_REQUESTS
    assert worker >= OF_TIMERS
    assert {name for name in api if name in OF_TIMERS or name.startswith("relay_")} == set()
    assert {name for name in worker if name in OF_REQUESTS or name.startswith("hub_")} == set()
    assert {"commands", "command_retries", "sql_seconds", "sql_connections"} <= api & worker
