"""Two channels, two customers, and what each of them must never learn of the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.auth.states import SCOPES
from app.catalog import commands as catalog
from app.customers import commands as customers
from app.gql.nodes import global_id
from app.kernel.ids import uuid7
from app.orders import commands as orders
from app.orders.requests import AddressRequest, LineRequest, OrderRequest
from tests.builders import Shop
from tests.running import Api

PROTOCOL = "graphql-transport-ws"
BOB = {
    "code": "c-bob",
    "name": "Bob Bobzilla",
    "company_name": "Bobzilla Ltd",
    "tax_number": "GB-BOB-77",
    "preferred_payment": "bobcoin",
    "language": "fr-CA",
    "addresses": [
        {
            "kind": "SHIPPING",
            "country": "GB",
            "name": "Bob Bobzilla",
            "lines": ["77 Bobstreet"],
            "city": "Bobville",
            "postcode": "BO7 7BB",
            "phone": "+442079460777",
        }
    ],
    "contacts": [{"kind": "EMAIL", "value": "bob@bobzilla.example"}],
    "references": [{"system": "crm", "external_id": "crm-bob-77"}],
}
BOBS_ADDRESS = AddressRequest(
    country="GB",
    name="Bob Bobzilla",
    lines=["77 Bobstreet"],
    city="Bobville",
    postcode="BO7 7BB",
    phone="+442079460777",
    email="bob@bobzilla.example",
)


@dataclass
class Scene:
    """Who is there, and what of theirs.

    callers  credentials by name: `ada` and `bob` are customers, `web`, `b2b` partners bound to a channel with every
             scope there is, `web shop`, `b2b shop` storefronts, `staff`, `service` and `partner` bound to none
    ids      global ids by name: `ada`, `bob`, `WEB`, `B2B`, `ada order`, `bob order`, `b2b order` …
    bobs     words that appear wherever anything of Bob is told
    """

    api: Api
    shop: Shop
    callers: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    async def send(self, who: str | None, document: str, variables: Mapping[str, Any] | None = None) -> httpx2.Response:
        return await self.api.send(document, variables, key=self.callers[who] if who is not None else None)

    async def ask(self, who: str | None, document: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The data of an operation that must succeed."""
        return await self.api.ask(document, variables, key=self.callers[who] if who is not None else None)

    @property
    def bobs(self) -> list[str]:
        mine = [
            *("Bobzilla", "GB-BOB-77", "bobcoin", "Bobstreet", "Bobville", "BO7 7BB", "+442079460777", "fr-CA"),
            *("crm-bob-77", "c-bob", "ref-bob", "bob's note"),
        ]
        mine += [self.numbers["bob order"], self.numbers["bob b2b order"]]
        mine += [id_ for name, id_ in self.ids.items() if name.startswith("bob")]
        return mine

    async def place(self, name: str, sku: str, *, channel: str = "WEB", **given: Any) -> None:
        request = OrderRequest(channel=channel, lines=[LineRequest(sku=sku, quantity=2)], **given)
        result = await self.shop.run(orders.place, order=request)
        self.numbers[name] = result["number"]
        self.ids[name] = global_id("Order", UUID(result["orderId"]))
        line = await self.shop.one("SELECT id FROM order_line WHERE order_id = :id", id=UUID(result["orderId"]))
        self.ids[f"{name}, line"] = global_id("OrderLine", line.id)


async def set_up(api: Api) -> Scene:
    scene = Scene(api, Shop(api.services.database))
    shop = scene.shop
    await shop.location("LEEDS")
    await shop.channel("WEB", locations=[{"location": "LEEDS", "priority": 1}], origins=["https://web.example"])
    await shop.location("YORK")
    await shop.channel("B2B", locations=[{"location": "YORK", "priority": 1}], origins=["https://b2b.example"])
    for sku, web, b2b in (("MUG", "10.00", "7.77"), ("CUP", "5.00", "3.33")):
        prices = [
            {"channel": channel, "currency": "GBP", "amount": Decimal(amount)}
            for channel, amount in (("WEB", web), ("B2B", b2b))
        ]
        await shop.run(catalog.upsert_sku, sku={"code": sku, "name": sku.title(), "prices": prices})
        await shop.stock(sku, 1000)
        await shop.stock(sku, 7007, "YORK")

    for name, customer in (("ada", {"code": "c-ada", "name": "Ada"}), ("bob", BOB)):
        found = await shop.run(customers.upsert_customer, customer=customer)
        scene.ids[name] = global_id("Customer", UUID(found["customer"]["id"]))
    await scene.place("ada order", "MUG", customer="c-ada", external_ref="ref-ada")
    await scene.place("ada second order", "CUP", customer="c-ada")
    given = {"customer": "c-bob", "note": "bob's note", "shipping_address": BOBS_ADDRESS}
    await scene.place("bob order", "MUG", external_ref="ref-bob", **given)
    await scene.place("bob b2b order", "CUP", channel="B2B", external_ref="ref-bob-b2b", **given)
    await scene.place("guest b2b order", "MUG", channel="B2B", external_ref="ref-guest")
    for name in ("bob order", "bob b2b order"):
        order = await shop.one("SELECT id FROM orders WHERE number = :number", number=scene.numbers[name])
        held = await shop.run(orders.hold, order_id=order.id, reason="MANUAL", note="bob's note")
        scene.ids[f"{name}, hold"] = global_id("Hold", UUID(held["holdId"]))

    channels = {row.code: row.id for row in await shop.rows("SELECT id, code FROM channel")}
    locations = {row.code: row.id for row in await shop.rows("SELECT id, code FROM location")}
    skus = {row.code: row.id for row in await shop.rows("SELECT id, code FROM sku")}
    scene.ids |= {code: global_id("Channel", id_) for code, id_ in channels.items()}
    scene.ids |= {code: global_id("Location", id_) for code, id_ in locations.items()}
    scene.ids |= {code: global_id("Sku", id_) for code, id_ in skus.items()}
    for location in ("LEEDS", "YORK"):
        key = skus["MUG"].bytes + locations[location].bytes
        scene.ids[f"MUG at {location}"] = global_id("StockLevel", key)
        sql = "SELECT max(id) AS id FROM stock_movement WHERE location_id = :id"
        newest = await shop.one(sql, id=locations[location])
        scene.ids[f"movement at {location}"] = global_id("StockMovement", newest.id.to_bytes(8))

    scene.callers = {
        "staff": await api.key("STAFF", SCOPES),
        "service": await api.key("SERVICE"),
        "partner": await api.key("PARTNER"),
        "web": await api.key("PARTNER", SCOPES, channels["WEB"]),
        "b2b": await api.key("PARTNER", SCOPES, channels["B2B"]),
        "web shop": await api.key("STOREFRONT", channel_id=channels["WEB"]),
        "b2b shop": await api.key("STOREFRONT", channel_id=channels["B2B"]),
    }
    for name in ("ada", "bob"):
        scene.callers[name] = await token(scene, name)
    for channel, who in (("WEB", "web shop"), ("B2B", "b2b shop")):
        scene.tokens[channel] = await reserve(scene, who)
        row = await shop.one("SELECT id FROM reservation WHERE token = :token", token=scene.tokens[channel])
        scene.ids[f"{channel} reservation"] = global_id("Reservation", row.id)
    return scene


async def token(scene: Scene, name: str, *, seconds: int = 3600, service: str = "service") -> str:
    """A customer's token, as a service asks for it."""
    document = """mutation($input: CustomerTokenCreateInput!, $key: String!) {
      customerTokenCreate(input: $input, idempotencyKey: $key) { token userErrors { code } } }"""
    given = {"customer": scene.ids[name], "lifetimeSeconds": seconds}
    return str(
        (await scene.ask(service, document, {"input": given, "key": str(uuid4())}))["customerTokenCreate"]["token"]
    )


RESERVE = """mutation($input: StockReserveInput!, $key: String!) {
  stockReserve(input: $input, idempotencyKey: $key) { reservation { token } userErrors { code } } }"""


async def reserve(scene: Scene, who: str, *, key: str | None = None, sku: str = "CUP") -> str:
    given = {"lines": [{"sku": sku, "quantity": 1}], "seconds": 1800}
    answer = (await scene.ask(who, RESERVE, {"input": given, "key": key or str(uuid4())}))["stockReserve"]
    return str(answer["reservation"]["token"])


def nobodys(id_: str) -> str:
    """An id of the same type that nothing has."""
    from app.gql.nodes import parse_id

    found = parse_id(id_)
    assert found is not None
    type_, key = found
    return str(global_id(type_, (2**62 + 5).to_bytes(8) if len(key) == 8 else uuid7().bytes + key[16:]))


def told(answer: httpx2.Response, *asked: Any) -> tuple[int, str]:
    """What an answer says apart from the very values that were asked about."""
    text = answer.text
    for value in sorted({word for each in asked for word in _words(each)}, key=len, reverse=True):
        text = text.replace(json.dumps(value)[1:-1], "<asked>")
    return answer.status_code, text


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        # Refusals of mutations name the row by the UUID in a global id.
        from app.gql.nodes import parse_id

        found = parse_id(value) if len(value) > 8 else None
        return [value, str(UUID(bytes=found[1]))] if found and len(found[1]) == 16 else [value]
    if isinstance(value, Mapping):
        return [word for each in value.values() for word in _words(each)]
    if isinstance(value, Sequence):
        return [word for each in value for word in _words(each)]
    return []


async def state_of(scene: Scene) -> list[Any]:
    """All that is known of orders and customers, in short."""
    tables = ("orders", "order_line", "order_hold", "customer", "customer_address", "customer_contact")
    rows = " UNION ALL ".join(f"SELECT to_jsonb(t)::text AS row FROM {table} t" for table in tables)
    state = await scene.shop.one(f"SELECT md5(string_agg(row, '' ORDER BY row)) AS rows FROM ({rows}) AS r")
    events = await scene.shop.one("SELECT count(*) AS n FROM event_log")
    return [state.rows, events.n]


class Socket:
    """A graphql-transport-ws connection that runs one subscription."""

    def __init__(self, raw: ClientConnection) -> None:
        self.raw = raw

    async def send(self, **frame: Any) -> None:
        await self.raw.send(json.dumps(frame))

    async def receive(self, seconds: float = 10) -> dict[str, Any]:
        received: dict[str, Any] = json.loads(await asyncio.wait_for(self.raw.recv(), seconds))
        return received

    async def subscribe(self, query: str, variables: Mapping[str, Any] | None = None, id_: str = "1") -> None:
        await self.send(type="subscribe", id=id_, payload={"query": query, "variables": variables or {}})

    async def item(self, seconds: float = 10) -> Any:
        """The next item of the subscription's one field."""
        frame = await self.receive(seconds)
        assert frame["type"] == "next", frame
        assert "errors" not in frame["payload"], frame
        (item,) = frame["payload"]["data"].values()
        return item

    async def error(self) -> Any:
        frame = await self.receive()
        assert frame["type"] == "error", frame
        return frame["payload"]

    async def until_closed(self, seconds: float = 10) -> tuple[int | None, str | None]:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(self.raw.recv(), seconds)
        return self.raw.close_code, self.raw.close_reason


@contextlib.asynccontextmanager
async def opened(api: Api, credential: str | None, *, init: bool = True, **options: Any) -> AsyncIterator[Socket]:
    async with connect(api.socket_url, subprotocols=[PROTOCOL], **options) as raw:  # type: ignore[list-item]
        socket = Socket(raw)
        payload = {"authorization": f"Bearer {credential}"} if credential else None
        await socket.send(type="connection_init", **({"payload": payload} if payload else {}))
        if init:
            assert (await socket.receive())["type"] == "connection_ack"
        yield socket
