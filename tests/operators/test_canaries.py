"""Unmistakable personal data and secrets go through the whole product; then all places are searched that may hold none.

The tables that are made for them do: customers, orders, and the idempotency records that must give an answer again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from redis.asyncio import Redis

from app.auth.keys import parse_key
from app.auth.states import SCOPES
from app.imports import run
from app.imports.items import Format, Kind
from app.imports.run import Options
from app.kernel import log
from app.kernel.settings import Settings
from app.kernel.tracing import Tracing
from tests import running
from tests.builders import Shop
from tests.operators.conftest import Lines
from tests.rights.scene import opened
from tests.running import Api

# Each stands for one field; none has a shape that a mask would know, save where the field demands one.
NAME, COMPANY, STREET, CITY, REGION, POSTCODE = (
    "Zelda Qanari",
    "Qanari & Qo",
    "7 Qanari Row",
    "Qanaria",
    "Qanshire",
    "QQ7 7QQ",
)
MAIL, PHONE, NOTE, RELEASE_NOTE = "zelda@qanari.example", "+442079467777", "rings twice, says Qanari", "Qanari called"
TAX, PAYMENT, LANGUAGE, CRM = "GBQANARI7", "qanaricard", "en-NZ", "qanari-crm-7"
CODE, IMPORTED = "zelda.q@qanari.example", "Imogen Qanari"
PERSONAL = [NAME, COMPANY, STREET, CITY, REGION, POSTCODE, MAIL, PHONE, PHONE[3:], NOTE, RELEASE_NOTE, TAX, PAYMENT]
PERSONAL += [LANGUAGE, CRM, CODE, IMPORTED, "Qanari", "qanari", "QANARI"]
LATITUDE = 51.777123
ADDRESS = {
    "country": "GB",
    "name": NAME,
    "company": COMPANY,
    "lines": [STREET],
    "city": CITY,
    "region": REGION,
    "postcode": POSTCODE,
    "phone": PHONE,
    "latitude": LATITUDE,
    "longitude": 0.5,
}


@pytest.fixture
def debugged(lines: Lines) -> Lines:
    """Every line at the level that says most."""
    log.configure(Settings(log_level="debug"), lines.stream)
    for name in ("httpx2", "httpcore2", "websockets"):  # the client's side of this test, which tells what it sends
        logging.getLogger(name).setLevel(logging.WARNING)
    return lines


@pytest.fixture
async def api(database_url: str, redis_url: str, debugged: Lines) -> AsyncIterator[Api]:
    given = running.settings(database_url, redis_url, log_level="debug")
    async with running.worker(given), running.api(given) as api:
        yield api


@asynccontextmanager
async def listening(redis_url: str) -> AsyncIterator[list[str]]:
    """Every message of every channel of Redis."""
    heard: list[str] = []
    client = Redis.from_url(redis_url)
    pubsub = client.pubsub()
    await pubsub.psubscribe("*")

    async def listen() -> None:
        async for message in pubsub.listen():
            heard.append(repr(message))  # noqa: PERF401 (read while it grows)

    task = asyncio.create_task(listen())
    yield heard
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await client.keys("*") == [], "Redis keeps nothing"
    await pubsub.aclose()  # type: ignore[no-untyped-call]
    await client.aclose()


class Visit:
    """Somebody's whole life with the shop, by the API."""

    def __init__(self, api: Api, key: str) -> None:
        self.api = api
        self.key = key
        self.secrets: list[str] = [key]

    async def ask(self, name: str, input_type: str, given: Any, select: str, key: str | None = None) -> Any:
        document = (
            f"mutation Visit($input: {input_type}!, $key: String!) {{ {name}(input: $input, idempotencyKey: $key)"
        )
        document += f" {{ {select} userErrors {{ code message }} }} }}"
        data = await self.api.ask(document, {"input": given, "key": str(uuid4())}, key=key or self.key)
        return data[name]

    async def goes_well(self) -> dict[str, Any]:
        """Customer, token, reservation, order, hold, release, confirmation and cancellation."""
        customer = {
            "code": CODE,
            "kind": "COMPANY",
            "name": NAME,
            "companyName": COMPANY,
            "taxNumber": TAX,
            "preferredPayment": PAYMENT,
            "language": LANGUAGE,
            "addresses": [{"kind": "SHIPPING", **ADDRESS}],
            "contacts": [{"kind": "EMAIL", "value": MAIL}, {"kind": "PHONE", "value": PHONE}],
            "references": [{"system": "crm", "externalId": CRM}],
        }
        created = await self.ask("customerUpsert", "CustomerUpsertInput", customer, "customer { id name }")
        await self.ask("customerUpsert", "CustomerUpsertInput", {"code": CODE, "name": f"{NAME} II"}, "outcome")
        batch = [{"customer": {"code": f"2{CODE}", "name": NAME}}]
        await self.ask("customersUpsert", "[CustomersUpsertItem!]", batch, "results { customer { id } }")
        given = {"customer": created["customer"]["id"]}
        token = (await self.ask("customerTokenCreate", "CustomerTokenCreateInput", given, "token"))["token"]
        held = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}], "seconds": 600}
        reservations = [
            (await self.ask("stockReserve", "StockReserveInput", held, "reservation { token }"))["reservation"]["token"]
            for _ in range(2)
        ]
        self.secrets += [token, *reservations]
        extended = {"token": reservations[0], "seconds": 900}
        await self.ask("stockReservationExtend", "StockReservationExtendInput", extended, "reservation { version }")
        released = {"token": reservations[1]}
        await self.ask("stockReservationRelease", "StockReservationReleaseInput", released, "reservation { version }")
        order = {
            "channel": "WEB",
            "lines": [{"sku": "MUG", "quantity": 2}],
            "customer": CODE,
            "reservationToken": reservations[0],
            "shippingAddress": {**ADDRESS, "email": MAIL},
            "billingAddress": {"country": "GB", "name": NAME, "email": MAIL},
            "note": NOTE,
        }
        placed = (await self.ask("orderPlace", "OrderPlaceInput", order, "order { id note }"))["order"]
        await self.ask("orderPlace", "OrderPlaceInput", {**order, "reservationToken": None}, "order { id }")
        hold = {"order": placed["id"], "reason": "FRAUD", "note": NOTE}
        on_hold = await self.ask("orderHold", "OrderHoldInput", hold, "order { holds { id } }")
        release = {"order": placed["id"], "hold": on_hold["order"]["holds"][0]["id"], "note": RELEASE_NOTE}
        await self.ask("orderHoldRelease", "OrderHoldReleaseInput", release, "order { id }")
        await self.ask("orderConfirm", "OrderConfirmInput", {"order": placed["id"]}, "order { id }")
        cancelled = {"order": placed["id"], "reason": "CUSTOMER"}
        answer = await self.ask("orderCancel", "OrderCancelInput", cancelled, "order { lifecycle }")
        assert answer["order"]["lifecycle"] == "CANCELLED"
        return {"token": token, "customer": created["customer"]["id"], "order": placed["id"]}

    async def looks_around(self, of: dict[str, Any]) -> None:
        """Searches, filters, look-ups, in bodies and in the query string, and follows its orders."""
        search = "query Search($q: String) { orders(search: $q) { totalCount } customers(search: $q) { totalCount } }"
        for words in (NAME, MAIL, POSTCODE):
            found = await self.api.ask(search, {"q": words}, key=self.key)
            assert found["orders"]["totalCount"] > 0
        params = {"query": f'{{ customer(code: "{CODE}") {{ name }} }}', "name": NAME}
        assert NAME in (await self.api.http.get(f"/graphql?{MAIL}", params=params, headers=self.headers())).text
        async with opened(self.api, of["token"]) as socket:
            await socket.subscribe("subscription Mine { orderEvents { __typename } }")
            await socket.item()
            whole = (
                "query Mine($code: String) { customer(code: $code) { name addresses { lines } contacts { value } } }"
            )
            await socket.subscribe(whole, {"code": CODE}, "2")
            assert NAME in (await socket.item())["name"]

    async def goes_wrong(self, of: dict[str, Any]) -> None:
        """Refusals, mistakes, faults and foreign credentials, each with something personal in it."""
        wrong = [
            ("customerUpsert", "CustomerUpsertInput", {"code": f"3{CODE}"}),
            ("customerUpsert", "CustomerUpsertInput", {"code": CODE, "name": f"{NAME}\n{NAME}"}),
            ("customerUpsert", "CustomerUpsertInput", {"code": CODE, "contacts": [{"kind": "EMAIL", "value": NAME}]}),
            ("orderPlace", "OrderPlaceInput", {"channel": "WEB", "customer": f"4{CODE}", "lines": []}),
            ("orderHold", "OrderHoldInput", {"order": of["order"], "reason": "FRAUD", "note": NOTE}),
            ("stockReservationRelease", "StockReservationReleaseInput", {"token": self.secrets[-1]}),
        ]
        for name, type_, given in wrong:
            assert (await self.ask(name, type_, given, ""))["userErrors"], name
        for query in (
            f'{{ customer(code: "{NAME}" ',
            f'{{ customer(code: 5, name: "{NAME}") {{ id }} }}',
            "query Q($a: OrderPlaceInput!) { orderPlace(input: $a) }",
        ):
            answer = await self.api.send(query, {"a": {"customer": NAME, "address": ADDRESS}}, key=self.key)
            assert "errors" in answer.json()
        for credential in (NAME, self.key[:-1], self.key[:-1] + "!", of["token"][:-1]):
            headers = {"authorization": f"Bearer {credential}"}
            assert (await self.api.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)).is_error
        await self.api.http.post("/graphql", content=f'{{"query": "{NAME}'.encode(), headers=self.headers())
        await self.api.http.get("/nowhere", params={"q": MAIL, "name": NAME})

    async def meets_a_fault(self, shop: Shop) -> None:
        """The tables are in the way: what PostgreSQL says of its rows stays between us and it."""
        rule = "ALTER TABLE customer ADD CONSTRAINT wrong CHECK (name NOT LIKE 'Zelda Q%') NOT VALID"
        await shop.execute(rule)
        given = {"code": f"5{CODE}", "name": NAME}
        document = 'mutation M($i: CustomerUpsertInput!) { customerUpsert(input: $i, idempotencyKey: "f")'
        answer = await self.api.send(document + " { userErrors { code } } }", {"i": given}, key=self.key)
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "INTERNAL"
        assert not [word for word in PERSONAL if word in answer.text]
        await shop.execute("ALTER TABLE customer DROP CONSTRAINT wrong")

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}", "content-type": "application/json"}


async def imported(shop: Shop, folder: Path) -> str:
    """Customers and an order from files; what is said of it."""
    customers = [{"code": f"6{CODE}", "name": IMPORTED, "contacts": [{"kind": "EMAIL", "value": MAIL}]}]
    orders = [
        {
            "channel": "WEB",
            "external_ref": "import-1",
            "customer": f"6{CODE}",
            "lines": [{"sku": "MUG", "quantity": 1}],
            "shipping_address": {"country": "GB", "name": IMPORTED, "lines": [STREET]},
        }
    ]
    said = ""
    for kind, rows in (("customers", customers), ("orders", orders)):
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
        options = Options(kind=Kind(kind), format=Format("orderwire-jsonl"), path=path, rejects=folder / f"{kind}.csv")
        summary = await run.run(options, shop.database, asyncio.Event())
        (outcomes,) = [tallies for name, tallies in summary.counts.items() if name == kind]
        assert {outcome.value for outcome in outcomes} == {"created"}, summary
        said += repr(summary)
    return said


async def rows_of(shop: Shop, table: str) -> str:
    return "\n".join(row[0] for row in await shop.rows(f"SELECT to_jsonb(t)::text FROM {table} t"))


async def test_nothing_personal_and_no_secret_gets_out(
    api: Api, redis_url: str, debugged: Lines, tmp_path: Path
) -> None:
    exporter = InMemorySpanExporter()
    api.services.telemetry.tracing = Tracing(exporter)
    shop = Shop(api.services.database)
    await shop.open()
    await shop.sku("MUG")
    await shop.stock("MUG", 100)
    visit = Visit(api, await api.key("STAFF", SCOPES))
    async with listening(redis_url) as messages:
        of = await visit.goes_well()
        await visit.looks_around(of)
        await visit.goes_wrong(of)
        await visit.meets_a_fault(shop)
        said = await imported(shop, tmp_path)
        async with asyncio.timeout(20):
            while (await shop.one("SELECT count(*) AS n FROM event_log WHERE pos IS NULL")).n or len(messages) < 3:
                await asyncio.sleep(0.05)
    api.services.telemetry.tracing.flush()
    spans = [span.to_json() for span in exporter.get_finished_spans()]

    assert NAME in await rows_of(shop, "order_address"), "what is looked for did go in"
    assert NOTE in await rows_of(shop, "order_hold")
    stored = [await rows_of(shop, table) for table in ("api_key", "api_client")]
    places = {
        "event_log": await rows_of(shop, "event_log"),
        "idempotency_key": await rows_of(shop, "idempotency_key"),
        "stock_movement": await rows_of(shop, "stock_movement"),
        "api keys": "".join(stored),
        "Redis": "".join(messages),
        "log": debugged.text,
        "metrics": (await api.http.get("/metrics")).text,
        "spans": "".join(spans),
        "import": said,
    }
    for place, text in places.items():
        assert len(text) > 200, f"{place} is too empty to tell"
        assert [word for word in PERSONAL if word in text] == [], place
        secrets = [
            *visit.secrets,
            *(key.secret for key in map(parse_key, visit.secrets[:1]) if key),
            running.SECRET,
            str(LATITUDE),
        ]
        if place == "idempotency_key":  # a repeat of stockReserve must be given the token again
            secrets = [each for each in secrets if each not in visit.secrets[2:]]
        assert [each for each in secrets if each in text] == [], place
    tokens = "SELECT count(*) AS n FROM idempotency_key WHERE result::text LIKE '%' || :token || '%'"
    for token in visit.secrets[2:]:
        assert (await shop.one(tokens, token=token)).n == 1, "kept once, for that repeat"
