"""Direct reads: what a caller may not see is not in what the statement gives, before anybody looks at it.

Every caller here has every scope, so that the row rules alone decide; who lacks a scope has no statement sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from app.auth.states import SCOPES
from app.customers.commands import upsert_customer
from app.gql.context import Context
from app.gql.direct import Direct
from app.gql.faults import Mistake
from app.gql.nodes import global_id
from app.gql.payload import GraphQLRequest
from app.kernel.db import Reads
from app.kernel.principal import Kind, Principal
from tests.builders import Shop
from tests.inventory.area import SIGNER
from tests.operations.documents import new_graph

QUESTIONS: Mapping[str, str] = {
    "order by number": "query($number: String) { order(number: $number) { number lines { nodes { skuCode } } } }",
    "order by id": "query($id: ID) { order(id: $id) { number channel { code } } }",
    "orders": "{ orders { nodes { number lines { nodes { skuCode } } } } }",
    "orders filtered": "query($where: OrderWhere) { orders(where: $where) { edges { cursor node { number } } } }",
    "stock levels": "{ stockLevels { nodes { onHand sku { code } location { code } } } }",
    "stock levels of SKUs": "query($skus: [String!]) { stockLevels(skus: $skus) { nodes { location { code } } } }",
    "movements": "{ stockMovements { nodes { onHandChange sku { code } location { code } } } }",
    "movements at": """query($locations: [String!]) {
      stockMovements(locations: $locations) { edges { cursor node { location { code } } } } }""",
    "SKUs": "{ skus { nodes { code prices { channelCode amount channel { code } } components { units } } } }",
    "SKU by code": "query($code: String) { sku(code: $code) { code prices { channelCode } } }",
    "SKU by id": 'query($id: ID) { sku(id: $id) { code prices(channel: "WEB") { channelCode } } }',
    "locations": "{ locations { nodes { code address { city } } } }",
    "location by code": "query($code: String) { location(code: $code) { code } }",
    "location by id": "query($id: ID) { location(id: $id) { code } }",
    "channels": "{ channels { nodes { code locations { priority location { code } } } } }",
    "channel by code": "query($code: String) { channel(code: $code) { code locations { location { code } } } }",
    "channel by id": "query($id: ID) { channel(id: $id) { code } }",
    "customers": "{ customers { nodes { code contacts { value } addresses { city } references { externalId } } } }",
    "customer by code": "query($code: String) { customer(code: $code) { code contacts { value } } }",
    "customer by id": "query($id: ID) { customer(id: $id) { code } }",
    "customer by reference": """query($code: String!) {
      customer(reference: {system: "crm", externalId: $code}) { code references { externalId } } }""",
    "availability": """query($skus: [String!]!, $channel: String) {
      availability(skus: $skus, channel: $channel) { sku available byLocation { locationCode units } } }""",
}
# By caller, what may be told: orders by name, locations of stock, channels to sell in.
MATRIX: Mapping[str, tuple[set[str], set[str], set[str]]] = {
    "staff": ({"ada", "bob", "guest"}, {"LEEDS", "LYON"}, {"WEB", "B2B"}),
    "service": ({"ada", "bob", "guest"}, {"LEEDS", "LYON"}, {"WEB", "B2B"}),
    "partner of B2B": ({"bob", "guest"}, {"LYON"}, {"B2B"}),
    "storefront of WEB": (set(), {"LEEDS"}, {"WEB"}),
    "storefront of none": (set(), {"LEEDS", "LYON"}, set()),
    "ada": ({"ada"}, {"LEEDS", "LYON"}, {"WEB", "B2B"}),
    "customer of nobody": (set(), {"LEEDS", "LYON"}, {"WEB", "B2B"}),
    "anonymous": (set(), {"LEEDS", "LYON"}, {"WEB", "B2B"}),
}

# By caller, what lists and lookups may tell of: locations, channels, customers, SKUs.
EVERYWHERE, OPEN = {"LEEDS", "LYON", "CLOSED"}, {"LEEDS", "LYON"}
ALL_CHANNELS, OPEN_CHANNELS = {"WEB", "B2B", "SHUT"}, {"WEB", "B2B"}
GOODS = {"MUG", "CUP"}
LISTED: Mapping[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "staff": (EVERYWHERE, ALL_CHANNELS, {"c-ada", "c-bob"}, {*GOODS, "RETIRED"}),
    "service": (EVERYWHERE, ALL_CHANNELS, {"c-ada", "c-bob"}, {*GOODS, "RETIRED"}),
    "partner of B2B": ({"LYON"}, {"B2B"}, set(), {*GOODS, "RETIRED"}),
    "storefront of WEB": ({"LEEDS"}, {"WEB"}, set(), GOODS),
    "storefront of none": (set(), set(), set(), GOODS),
    "ada": (OPEN, OPEN_CHANNELS, {"c-ada"}, GOODS),
    "customer of nobody": (OPEN, OPEN_CHANNELS, set(), GOODS),
    "anonymous": (OPEN, OPEN_CHANNELS, set(), GOODS),
}
KINDS = {"location": "Location", "channel": "Channel", "customer": "Customer", "sku": "Sku"}


@dataclass
class Till:
    """A shop of two channels, its callers, and all rows that hot statements gave."""

    shop: Shop
    orders: dict[str, tuple[str, str]]
    callers: dict[str, Principal]
    given: list[Any]

    def __post_init__(self) -> None:
        self.graph = new_graph()

    async def ask(self, question: str, caller: Principal, **variables: Any) -> Any:
        """The answer, which has to be a direct one."""
        operation = self.graph.operation(GraphQLRequest(QUESTIONS[question]))
        self.graph.admit(operation, variables, caller)
        self.given.clear()
        context = Context(
            principal=caller,
            reads=Reads(self.shop.database, caller, self.shop.clock),
            runner=self.shop.runner,
            services=SimpleNamespace(signer=SIGNER),
            request_id="test",
        )
        answer = await self.graph.run(operation, variables, context, 0)
        assert all(isinstance(each, Direct) for each in operation.direct.values())
        return orjson.loads(answer.encoded)

    @property
    def text(self) -> str:
        return repr([tuple(row) for row in self.given])


@pytest.fixture
async def till(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Till]:
    await shop.location("LYON", country="FR")
    await shop.location("CLOSED", active=False)
    serving = [{"location": code, "priority": 1, "safety_stock": 0} for code in ("LEEDS", "CLOSED")]
    await shop.channel("WEB", locations=serving)
    await shop.channel("B2B", locations=[{"location": "LYON", "priority": 1, "safety_stock": 0}])
    await shop.channel("SHUT", active=False, locations=[{"location": "CLOSED", "priority": 1, "safety_stock": 0}])
    prices = [{"channel": channel, "currency": "GBP", "amount": Decimal(10)} for channel in ("WEB", "B2B", "SHUT")]
    await shop.sku("RETIRED", active=False)
    for code in ("MUG", "CUP"):
        await shop.sku(code, prices=prices)
        for at in ("LEEDS", "LYON"):
            await shop.stock(code, 9, at=at)
    people = {}
    for name in ("ada", "bob"):
        known = {
            "contacts": [{"kind": "EMAIL", "value": f"c-{name}@example.org"}],
            "addresses": [{"kind": "SHIPPING", "country": "GB", "city": f"c-{name}"}],
            "references": [{"system": "crm", "external_id": f"c-{name}"}],
        }
        found = await shop.run(upsert_customer, customer={"code": f"c-{name}", "name": name.title(), **known})
        people[name] = UUID(found["customer"]["id"])
    placed = {
        "ada": await shop.place({"MUG": 1}, customer="c-ada"),
        "bob": await shop.place({"CUP": 2}, customer="c-bob", channel="B2B"),
        "guest": await shop.place({"CUP": 1}, channel="B2B"),
    }
    orders = {}
    for name, order_id in placed.items():
        row = await shop.one("SELECT number FROM orders WHERE id = :id", id=order_id)
        orders[name] = row.number, str(global_id("Order", order_id))
    channels = {row.code: UUID(str(row.id)) for row in await shop.rows("SELECT id, code FROM channel")}
    some = Principal(Kind.STAFF, "client:some", SCOPES)
    callers = {
        "staff": some,
        "service": replace(some, kind=Kind.SERVICE),
        "partner of B2B": replace(some, kind=Kind.PARTNER, channel_id=channels["B2B"]),
        "storefront of WEB": replace(some, kind=Kind.STOREFRONT, channel_id=channels["WEB"]),
        "storefront of none": replace(some, kind=Kind.STOREFRONT),
        "ada": replace(some, kind=Kind.CUSTOMER, customer_id=people["ada"]),
        "customer of nobody": replace(some, kind=Kind.CUSTOMER, customer_id=uuid4()),
        "anonymous": replace(some, kind=Kind.ANONYMOUS),
    }
    given: list[Any] = []
    rows, all_ = shop.database.rows, Reads.all

    async def written(*args: Any) -> Any:
        found = await rows(*args)
        given.extend(found)
        return found

    async def heard(self: Reads, *args: Any) -> Any:
        found = await all_(self, *args)
        given.extend(found)
        return found

    monkeypatch.setattr(shop.database, "rows", written)
    monkeypatch.setattr(Reads, "all", heard)
    yield Till(shop, orders, callers, given)
    monkeypatch.undo()


@pytest.mark.parametrize("who", MATRIX)
async def test_statements_give_what_the_caller_may_see_and_no_more(till: Till, who: str) -> None:
    orders, locations, channels = MATRIX[who]
    caller = till.callers[who]
    numbers = {till.orders[name][0] for name in orders}
    others = {number for number, _ in till.orders.values()} - numbers

    for name, (number, id_) in till.orders.items():
        for question, variables in (("order by number", {"number": number}), ("order by id", {"id": id_})):
            answer = await till.ask(question, caller, **variables)
            assert (answer["data"]["order"] is not None) == (name in orders)
            assert (number in till.text) == (name in orders)
    for question in ("orders", "orders filtered"):
        where = {"where": {"number": {"oneOf": [number for number, _ in till.orders.values()]}}}
        await till.ask(question, caller, **(where if question == "orders filtered" else {}))
        assert all(number in till.text for number in numbers)
        assert not any(number in till.text for number in others)
    for question in ("stock levels", "stock levels of SKUs"):
        await till.ask(question, caller, **({"skus": ["MUG", "CUP"]} if question != "stock levels" else {}))
        assert {code for code in ("LEEDS", "LYON") if code in till.text} == locations
    for channel, location in (("WEB", "LEEDS"), ("B2B", "LYON")):
        answer = await till.ask("availability", caller, skus=["MUG"], channel=channel)
        assert ("errors" not in answer) == (channel in channels)
        assert (location in till.text) == (channel in channels)


@pytest.mark.parametrize("who", LISTED)
async def test_lists_and_lookups_give_what_the_caller_may_see_and_no_more(till: Till, who: str) -> None:
    caller = till.callers[who]
    locations, channels, customers, skus = LISTED[who]

    def told(codes: set[str]) -> set[str]:
        """Which of the codes are in what the statement gave."""
        return {code for code in codes if code in till.text}

    everybody = {"c-ada", "c-bob"}
    of = {"location": (locations, EVERYWHERE), "channel": (channels, ALL_CHANNELS), "customer": (customers, everybody)}
    of["sku"] = skus, {*GOODS, "RETIRED"}
    for kind, (seen, there) in of.items():
        name = "SKU" if kind == "sku" else kind
        for code in there:
            row = await till.shop.one(f"SELECT id FROM {kind} WHERE code = :code", code=code)
            asked = [(f"{name} by code", {"code": code})]
            asked += [(f"{name} by id", {"id": str(global_id(KINDS[kind], row.id))})]
            asked += [("customer by reference", {"code": code})] if kind == "customer" else []
            for question, variables in asked:
                answer = await till.ask(question, caller, **variables)
                assert (answer["data"][kind] is not None) == (code in seen), question
                assert (code in till.text) == (code in seen), question
                assert told(ALL_CHANNELS) <= channels, question
                assert told(EVERYWHERE) <= locations, question

    await till.ask("SKUs", caller)
    assert (told({*GOODS, "RETIRED"}), told(ALL_CHANNELS)) == (skus, channels)
    await till.ask("locations", caller)
    assert told(EVERYWHERE) == locations
    await till.ask("channels", caller)
    assert (told(ALL_CHANNELS), told(EVERYWHERE)) == (channels, locations)
    await till.ask("customers", caller)
    assert told(everybody) == customers
    await till.ask("movements", caller)
    assert told(OPEN) == MATRIX[who][1]
    await till.ask("movements at", caller, locations=["LEEDS", "LYON"])
    assert told(OPEN) == locations & OPEN


@pytest.mark.parametrize("question", QUESTIONS)
async def test_without_the_scope_no_statement_is_sent(till: Till, question: str) -> None:
    nobody = replace(till.callers["staff"], scopes=frozenset())

    with pytest.raises(Mistake) as refused:
        await till.ask(question, nobody, skus=["MUG"], channel="WEB", code="MUG")

    assert refused.value.status == 403
    assert till.given == []


async def test_a_closed_channel_is_none_to_visitors(till: Till) -> None:
    await till.shop.execute("UPDATE channel SET active = false WHERE code = 'WEB'")

    for who, is_told in (("staff", True), ("ada", False), ("storefront of WEB", False)):
        answer = await till.ask("availability", till.callers[who], skus=["MUG"], channel="WEB")
        assert ("errors" not in answer) == is_told
        assert ("LEEDS" in till.text) == is_told
