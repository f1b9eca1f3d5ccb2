"""Connections cut at random before, during and after the commit: whoever repeats a request with its key is safe."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx2
import pytest

from app import schema
from app.kernel.clock import FixedClock
from app.kernel.db import Database
from tests import running
from tests.builders import NOON, STAFF, Shop
from tests.proxy import Cut, HttpProxy, PostgresProxy
from tests.race.requests import MUTATIONS, Given, Requests, furnish

SEED = int(os.environ.get("ORDERWIRE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
CUTS_LEAST = 100
ROUNDS_LEAST = 6
ATTEMPTS_MAX = 60
ONE_CALL = {"orders_place_all", "inventory_reserve_all", "inventory_adjust_all"}
# Answers that say: not now, send it again with the same key.
AGAIN = {"UNAVAILABLE", "BUSY", "TIMEOUT"}


class Line:
    """An API between two proxies that cut: one before it, one between it and its PostgreSQL."""

    def __init__(self, shop: Shop, http: HttpProxy, postgres: PostgresProxy, key: str) -> None:
        self.shop = shop
        self.new = Requests(shop)
        self.http = http
        self.postgres = postgres
        self.attempts = 0
        # A connection for each attempt: one that was cut is not used again, and each may be cut anew.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{http.port}",
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
            limits=limits,
        )

    def shake(self, share: float) -> None:
        # Less within, where the API tries again by itself, so that both cut about as often.
        self.http.share, self.postgres.share = share, share * 0.75

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, name: str, given: Given | list[Given], keys: Iterator[str]) -> dict[str, Any]:
        """The payload, asked for until it comes, each time with the next key."""
        _, selection = MUTATIONS[name]
        kind = schema_types()[name]
        text = f"mutation($i: {kind}, $k: String!) {{ {name}(input: $i, idempotencyKey: $k) {{ {selection} }} }}"
        for _ in range(ATTEMPTS_MAX):
            self.attempts += 1
            body = {"query": text, "variables": {"i": given, "k": next(keys)}}
            try:
                answer = await self._client.post("/graphql", json=body)
            except httpx2.TransportError:
                continue
            said = answer.json()
            codes = {error["extensions"]["code"] for error in said.get("errors", ())}
            if codes and codes <= AGAIN:
                continue
            assert not codes, f"{name} answered {said}"
            payload: dict[str, Any] = said["data"][name]
            if {error["code"] for error in payload["userErrors"]} - AGAIN:
                raise AssertionError(f"{name} was refused: {payload}")
            if not payload["userErrors"]:
                return payload
        raise AssertionError(f"{name} was not answered in {ATTEMPTS_MAX} attempts")


@cache
def schema_types() -> dict[str, str]:
    """The type of `input` by mutation."""
    mutation = schema.build()._schema.mutation_type
    assert mutation is not None
    return {name: str(field.args["input"].type) for name, field in mutation.fields.items()}


def the_same(key: str) -> Iterator[str]:
    while True:
        yield key


def ever_new() -> Iterator[str]:
    while True:
        yield str(uuid4())


@pytest.fixture
async def line(database_url: str, redis_url: str) -> AsyncIterator[Line]:
    parts = urlsplit(database_url)
    folder, number = parse_qs(parts.query)["host"][0], parse_qs(parts.query)["port"][0]
    address = f"{folder}/.s.PGSQL.{number}"
    postgres = PostgresProxy(lambda: asyncio.open_unix_connection(address), ONE_CALL, seed=SEED)
    async with postgres, beside(database_url) as shop:
        await furnish(shop)
        userinfo = parts.netloc.rpartition("@")[0]
        cut_off = parts._replace(netloc=f"{userinfo}@127.0.0.1:{postgres.port}", query="").geturl()
        async with running.api(running.settings(cut_off, redis_url)) as api:
            port = urlsplit(api.url).port
            http = HttpProxy(lambda: asyncio.open_connection("127.0.0.1", port), seed=SEED + 1)
            async with http:
                line = Line(shop, http, postgres, await api.key("SERVICE", STAFF.scopes))
                yield line
                await line.close()


@asynccontextmanager
async def beside(database_url: str) -> AsyncIterator[Shop]:
    """A shop on a line of its own, which nobody cuts; its reservations outlast the test."""
    database = Database(database_url, read_pool=4, call_pool=2)
    await database.open()
    shop = Shop(database)
    shop.clock = FixedClock(NOON.replace(year=NOON.year + 20))
    shop.runner.clock = shop.clock
    yield shop
    await database.close()


async def standing(shop: Shop) -> Counter[str]:
    """What all that ever took effect adds up to: rows of every table, versions, units."""
    tables = await shop.rows(
        "SELECT c.table_name, bool_or(c.column_name = 'version') AS versioned FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' GROUP BY 1"
    )
    sums = [f"(SELECT count(*) FROM {name}) AS {name}" for name, _ in tables]
    sums += [
        f"(SELECT sum(version) FROM {name}) AS {name}_versions"
        for name, versioned in tables
        if versioned and name != "event_log"
    ]
    for column in ("on_hand", "allocated", "reserved", "damaged", "safety_stock"):
        sums.append(f"(SELECT sum({column}) FROM stock_level) AS units_{column}")
    row = await shop.one(f"SELECT {', '.join(sums)}")
    return Counter({name: int(value or 0) for name, value in row._mapping.items()})


async def settled(shop: Shop) -> None:
    """Until nothing that was cut off is still at work in PostgreSQL."""
    busy = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND (state = 'active' OR xact_start IS NOT NULL)"
    )
    while (await shop.one(busy)).n:
        await asyncio.sleep(0.005)


async def effect_of(line: Line, name: str, keys: Iterator[str]) -> tuple[dict[str, int], Given | list[Given], Any]:
    """What one request changed, however often it was sent; the request, and its answer."""
    prepare, _ = MUTATIONS[name]
    given = await prepare(line.new)
    before = await standing(line.shop)
    payload = await line.send(name, given, keys)
    await settled(line.shop)
    after = await standing(line.shop)
    return {what: after[what] - before[what] for what in after if after[what] != before[what]}, given, payload


def test_every_mutation_of_the_schema_is_retried() -> None:
    """A new mutation needs an entry in tests/race/requests.py."""
    assert set(MUTATIONS) == set(schema_types())


async def test_every_mutation_retried_with_its_key_takes_effect_exactly_once(line: Line) -> None:
    await line.send("orderPlace", await MUTATIONS["orderPlace"][0](line.new), the_same("warm"))
    usual = {}
    for name in MUTATIONS:
        usual[name], _, _ = await effect_of(line, name, the_same(f"usual {name}"))
        assert usual[name].get("idempotency_key") == 1, f"{name} remembers no key: {usual[name]}"

    rounds = 0
    while rounds < ROUNDS_LEAST or fewest(line) < CUTS_LEAST:
        rounds += 1
        for name in MUTATIONS:
            key = f"{name} {rounds}"
            line.shake(0.6)
            effect, given, payload = await effect_of(line, name, the_same(key))
            assert effect == usual[name], f"{name}, seed {SEED}"

            line.shake(0)
            assert await line.send(name, given, the_same(key)) == payload
        assert rounds < 100, f"the proxies hardly cut: {line.http.cuts}, {line.postgres.cuts}"

    whole = await standing(line.shop)
    print(
        f"\nretries with seed {SEED}: {rounds} rounds of {len(MUTATIONS)} mutations, {line.attempts} attempts;"
        f" cut before PostgreSQL {dict(line.postgres.cuts)}, before the API {dict(line.http.cuts)}"
    )
    keys = len(MUTATIONS) * (rounds + 1) + 1
    stored = (await line.shop.one("SELECT count(*) AS n FROM idempotency_key WHERE principal <> 'client:staff'")).n
    assert stored == keys
    assert whole["orders"] == (await line.shop.one("SELECT count(*) AS n FROM event_log WHERE type = 'OrderPlaced'")).n
    assert await line.shop.violations() == {}


def fewest(line: Line) -> int:
    return min(proxy.cuts[cut] for proxy in (line.http, line.postgres) for cut in Cut)


async def test_without_the_key_the_same_cuts_would_place_orders_twice(line: Line) -> None:
    """The test above would see it: here each attempt is a request of its own."""
    line.new.units = 1_000  # more than all attempts together can order
    usual, _, _ = await effect_of(line, "orderPlace", the_same("usual"))
    line.shake(0.6)

    effects = [(await effect_of(line, "orderPlace", ever_new()))[0] for _ in range(20)]

    assert any(effect["orders"] > usual["orders"] for effect in effects)
