"""What is out of business does not exist for visitors: storefronts and customers of the portal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from app.catalog import commands as catalog
from app.gql.nodes import global_id
from tests.rights.probes import Probe, by_id, change
from tests.rights.scene import Scene, opened, told


@pytest.fixture
async def withdrawn(scene: Scene) -> Scene:
    """A SKU that is not sold any more, and a channel that is closed."""
    for code, active in (("OLD", False), ("NEW", True)):
        prices = [{"channel": "WEB", "currency": "GBP", "amount": Decimal(1)}]
        given = {"code": code, "name": code, "active": active, "prices": prices}
        await scene.shop.run(catalog.upsert_sku, sku=given)
        await scene.shop.stock(code, 10)
    await scene.shop.channel("SHUT", locations=[{"location": "LEEDS", "priority": 1}], active=False)
    for table, type_, code in (("sku", "Sku", "OLD"), ("channel", "Channel", "SHUT")):
        row = await scene.shop.one(f"SELECT id FROM {table} WHERE code = :code", code=code)
        scene.ids[code] = global_id(type_, row.id)
    return scene


def by_code(document: str, theirs: str, mark: str, shown_to: str = "staff") -> Probe:
    return Probe(document, lambda _: theirs, lambda _: "NONE", shown_to, lambda _: mark)


SKUS = [
    by_id("query($it: ID!) { sku(id: $it) { id } }", "OLD", "staff"),
    by_id("query($it: ID!) { node(id: $it) { id } }", "OLD", "staff"),
    by_code("query($it: String!) { sku(code: $it) { name } }", "OLD", '"name":"OLD"'),
    by_code("query($it: String!) { skus(where: {code: {eq: $it}}) { totalCount } }", "OLD", '"totalCount":1'),
    by_code("query($it: String!) { skus(search: $it) { totalCount } }", "OLD", '"totalCount":1'),
    by_code(
        "query($it: String!) { skus(where: {OR: [{code: {eq: $it}, active: {eq: false}}]}) { totalCount } }",
        "OLD",
        '"totalCount":1',
    ),
]
OF_A_CHANNEL = [
    by_code(f"query($it: String!) {{ {field} }}", "SHUT", '"data":{')
    for field in (
        'availability(channel: $it, skus: ["MUG"]) { status }',
        'cartAvailability(channel: $it, lines: [{sku: "MUG", quantity: 1}]) { promisable }',
    )
]


@pytest.mark.parametrize("who", ["web shop", "ada"])
async def test_visitors_are_told_of_it_like_of_what_never_was(withdrawn: Scene, who: str) -> None:
    for probe in [*SKUS, *OF_A_CHANNEL]:
        theirs, none = probe.theirs(withdrawn), probe.nobodys(withdrawn)
        assert probe.mark(withdrawn) in (await withdrawn.send(probe.shown_to, probe.document, {"it": theirs})).text
        about_theirs = await withdrawn.send(who, probe.document, {"it": theirs})
        assert told(about_theirs, theirs) == told(await withdrawn.send(who, probe.document, {"it": none}), none), probe

    channel = "" if who == "web shop" else 'channel: "WEB", '
    fields = "sku status available atp { units } byLocation { units } backorderable"
    asked = {}
    for code in ("OLD", "NONE"):
        document = f"query($it: String!) {{ availability({channel}skus: [$it]) {{ {fields} }} }}"
        asked[code] = told(await withdrawn.send(who, document, {"it": code}), code)
    assert asked["OLD"] == asked["NONE"]
    if who == "web shop":
        held = [
            told(
                await change(withdrawn, who, "stockReserve", {"lines": [{"sku": it, "quantity": 1}], "seconds": 9}), it
            )
            for it in ("OLD", "NONE")
        ]
        assert held[0] == held[1]


async def test_nor_do_streams_tell_of_it(withdrawn: Scene) -> None:
    cart = 'subscription($it: String!) { availabilityChanges(channel: $it, lines: [{sku: "MUG", quantity: 1}])'
    line = 'subscription($it: String!) { availabilityChanges(channel: "WEB", lines: [{sku: $it, quantity: 1}])'
    shown = (
        " { __typename ... on AvailabilitySnapshot { cart { orderable lines { status promised backorderable } } } } }"
    )
    stock = "subscription($it: String!) { stockChanges(skus: [$it]) { __typename } }"
    for who in ("ada", "web shop"):
        async with opened(withdrawn.api, withdrawn.callers[who]) as socket:
            for document, it in ((cart + shown, "SHUT"), (stock, "OLD")):
                errors = []
                for asked in (it, "NONE"):
                    await socket.subscribe(document, {"it": asked}, str(uuid4()))
                    errors.append(str(await socket.error()).replace(asked, "<asked>"))
                assert errors[0] == errors[1]
            carts: list[Any] = []
            for asked in ("OLD", "NONE"):
                await socket.subscribe(line + shown, {"it": asked}, str(uuid4()))
                carts.append((await socket.item())["cart"])
            assert carts[0] == carts[1]


async def test_a_withdrawn_sku_stays_on_the_orders_that_have_it(withdrawn: Scene) -> None:
    await withdrawn.shop.run(catalog.upsert_sku, sku={"code": "MUG", "active": False})

    query = "query($id: ID!) { order(id: $id) { lines { nodes { sku { code active } } } } }"
    order = (await withdrawn.ask("ada", query, {"id": withdrawn.ids["ada order"]}))["order"]
    assert order["lines"]["nodes"] == [{"sku": {"code": "MUG", "active": False}}]
    assert (await withdrawn.ask("ada", '{ sku(code: "MUG") { id } }'))["sku"] is None
