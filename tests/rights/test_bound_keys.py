"""A key bound to a channel meets what belongs to another one, by every road of the schema, over HTTP and WebSocket."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.rights.probes import (
    Probe,
    by_id,
    change,
    everything,
    graph,
    node_types,
    required_inputs,
    root_arguments,
)
from tests.rights.scene import Scene, nobodys, opened, state_of, told

NODES = {
    "Order": "guest b2b order",
    "OrderLine": "guest b2b order, line",
    "Channel": "B2B",
    "Location": "YORK",
    "StockLevel": "MUG at YORK",
    "StockMovement": "movement at YORK",
    "Reservation": "B2B reservation",
    "Customer": "bob",
}
SHARED_NODES = {"Sku"}


def _list(field: str, where: str, theirs: Any, none: Any, shown_to: str, mark: str, type_: str = "String") -> Probe:
    document = f"query($it: {type_}!) {{ {field}({where}) {{ nodes {{ id }} totalCount pageInfo {{ hasNextPage }} }} }}"
    return Probe(document, theirs, none, shown_to, lambda scene: scene.ids[mark])


def _promise(field: str, arguments: str) -> Probe:
    document = f"query($it: String!) {{ {field}({arguments}, channel: $it) {{ __typename }} }}"
    mark = field[0].upper() + field[1:]
    return Probe(document, lambda _: "B2B", lambda _: "NONE", "b2b", lambda _: mark)


PROBES = {
    "order.id": by_id("query($it: ID!) { order(id: $it) { id } }", "guest b2b order", "b2b"),
    "order.number": Probe(
        "query($it: String!) { order(number: $it) { id } }",
        lambda scene: scene.numbers["guest b2b order"],
        lambda scene: "OW-9999999",
        "b2b",
        lambda scene: scene.ids["guest b2b order"],
    ),
    "order.externalRef": Probe(
        "query($it: ExternalRefInput!) { order(externalRef: $it) { id } }",
        lambda scene: {"channel": "B2B", "ref": "ref-guest"},
        lambda scene: {"channel": "B2B", "ref": "ref-none"},
        "b2b",
        lambda scene: scene.ids["guest b2b order"],
    ),
    "orders.where": _list(
        "orders",
        "where: {OR: [{externalRef: {eq: $it}}, {NOT: {NOT: {externalRef: {eq: $it}}}}]}",
        lambda _: "ref-guest",
        lambda _: "ref-none",
        "b2b",
        "guest b2b order",
    ),
    "orders.search": _list(
        "orders", "search: $it", lambda _: "ref-guest", lambda _: "ref-none", "b2b", "guest b2b order"
    ),
    "customer.id": by_id("query($it: ID!) { customer(id: $it) { id } }", "bob", "staff"),
    "customer.code": Probe(
        "query($it: String!) { customer(code: $it) { id } }",
        lambda _: "c-bob",
        lambda _: "c-none",
        "staff",
        lambda scene: scene.ids["bob"],
    ),
    "customer.reference": Probe(
        "query($it: CustomerReferenceKey!) { customer(reference: $it) { id } }",
        lambda _: {"system": "crm", "externalId": "crm-bob-77"},
        lambda _: {"system": "crm", "externalId": "crm-none"},
        "staff",
        lambda scene: scene.ids["bob"],
    ),
    "customers.where": _list(
        "customers", "where: {code: {eq: $it}}", lambda _: "c-bob", lambda _: "c-none", "staff", "bob"
    ),
    "customers.search": _list(
        "customers", "search: $it", lambda _: "bobzilla", lambda _: "nobodyzilla", "staff", "bob"
    ),
    "node.id": by_id("query($it: ID!) { node(id: $it) { id __typename } }", "guest b2b order", "b2b"),
    "nodes.ids": by_id("query($it: ID!) { nodes(ids: [$it, $it]) { id __typename } }", "MUG at YORK", "b2b"),
    "reservation.token": Probe(
        "query($it: String!) { reservation(token: $it) { id } }",
        lambda scene: scene.tokens["B2B"],
        lambda scene: "x" * 32,
        "b2b shop",
        lambda scene: scene.ids["B2B reservation"],
    ),
    "availability.channel": _promise("availability", 'skus: ["MUG"]'),
    "cartAvailability.channel": Probe(
        'query($it: String!) { cartAvailability(lines: [{sku: "MUG", quantity: 1}], channel: $it) { locationCount } }',
        lambda _: "B2B",
        lambda _: "NONE",
        "b2b",
        lambda _: "locationCount",
    ),
    "stockLevels.locations": _list(
        "stockLevels", "locations: [$it]", lambda _: "YORK", lambda _: "NOWHERE", "b2b", "MUG at YORK"
    ),
    "stockLevels.where": _list(
        "stockLevels",
        "where: {locationId: {eq: $it}}",
        lambda scene: scene.ids["YORK"],
        lambda scene: nobodys(scene.ids["YORK"]),
        "b2b",
        "MUG at YORK",
        "ID",
    ),
    "stockMovements.locations": _list(
        "stockMovements", "locations: [$it]", lambda _: "YORK", lambda _: "NOWHERE", "b2b", "movement at YORK"
    ),
    "stockMovements.where": _list(
        "stockMovements",
        "where: {locationId: {eq: $it}}",
        lambda scene: scene.ids["YORK"],
        lambda scene: nobodys(scene.ids["YORK"]),
        "b2b",
        "movement at YORK",
        "ID",
    ),
    "channel.id": by_id("query($it: ID!) { channel(id: $it) { id } }", "B2B", "b2b"),
    "channel.code": Probe(
        "query($it: String!) { channel(code: $it) { id } }",
        lambda _: "B2B",
        lambda _: "NONE",
        "b2b",
        lambda scene: scene.ids["B2B"],
    ),
    "channels.where": _list("channels", "where: {code: {eq: $it}}", lambda _: "B2B", lambda _: "NONE", "b2b", "B2B"),
    "channels.search": _list("channels", "search: $it", lambda _: "B2B", lambda _: "NONE", "b2b", "B2B"),
    "location.id": by_id("query($it: ID!) { location(id: $it) { id } }", "YORK", "b2b"),
    "location.code": Probe(
        "query($it: String!) { location(code: $it) { id } }",
        lambda _: "YORK",
        lambda _: "NOWHERE",
        "b2b",
        lambda scene: scene.ids["YORK"],
    ),
    "locations.where": _list(
        "locations", "where: {code: {eq: $it}}", lambda _: "YORK", lambda _: "NOWHERE", "b2b", "YORK"
    ),
    "locations.search": _list("locations", "search: $it", lambda _: "YORK", lambda _: "NOWHERE", "b2b", "YORK"),
}
# Arguments that pick nothing of one channel's: SKUs are everybody's, and the rest says how to answer.
OPEN = {"sku.id", "sku.code", "skus.where", "skus.search", "stockLevels.skus", "stockMovements.skus"}
OPEN |= {"availability.skus", "availability.destination", "availability.at"}
OPEN |= {"cartAvailability.lines", "cartAvailability.destination"}
OPEN |= {"stockIntegrity.rows"}  # of no use to a bound key: see below

LINES = [{"sku": "MUG", "quantity": 1}]
AT = {"sku": "MUG", "location": "YORK"}


def _order(name: str, **given: Any) -> tuple[Any, Any]:
    return (
        lambda scene: {"order": scene.ids["guest b2b order"], **given},
        lambda scene: {"order": nobodys(scene.ids["guest b2b order"]), **given},
    )


def _token(**given: Any) -> tuple[Any, Any]:
    return lambda scene: {"token": scene.tokens["B2B"], **given}, lambda _: {"token": "x" * 32, **given}


def _stock(**change: Any) -> tuple[Any, Any]:
    def at(location: str) -> Any:
        return lambda _: {"changes": [{"sku": "MUG", "location": location, "units": 1, **change}], **reason}

    reason = {} if change.pop("no_reason", False) else {"reason": "COUNTED"}
    return at("YORK"), at("NOWHERE")


# By mutation: its input naming what is another channel's, and the same naming nothing.
CHANGES: dict[str, tuple[Any, Any]] = {
    "orderPlace": (lambda _: {"channel": "B2B", "lines": LINES}, lambda _: {"channel": "NONE", "lines": LINES}),
    "orderPlace, reservation": (
        lambda scene: {"channel": "WEB", "lines": LINES, "reservationToken": scene.tokens["B2B"]},
        lambda _: {"channel": "WEB", "lines": LINES, "reservationToken": "x" * 32},
    ),
    "orderPlace, customer": (
        lambda _: {"channel": "WEB", "lines": LINES, "customer": "c-bob"},
        lambda _: {"channel": "WEB", "lines": LINES, "customer": "c-none"},
    ),
    "orderConfirm": _order("orderConfirm"),
    "orderHold": _order("orderHold", reason="MANUAL"),
    "orderHoldRelease": (
        lambda scene: {"order": scene.ids["bob b2b order"], "hold": scene.ids["bob b2b order, hold"]},
        lambda scene: {"order": nobodys(scene.ids["bob b2b order"]), "hold": scene.ids["bob b2b order, hold"]},
    ),
    "orderCancel": _order("orderCancel", reason="CUSTOMER"),
    "orderCancel, line": (
        lambda scene: {
            "order": scene.ids["ada order"],
            "reason": "CUSTOMER",
            "lines": [{"line": scene.ids["guest b2b order, line"]}],
        },
        lambda scene: {
            "order": scene.ids["ada order"],
            "reason": "CUSTOMER",
            "lines": [{"line": nobodys(scene.ids["guest b2b order, line"])}],
        },
    ),
    "stockReserve": (
        lambda _: {"channel": "B2B", "lines": LINES, "seconds": 60},
        lambda _: {"channel": "NONE", "lines": LINES, "seconds": 60},
    ),
    "stockReservationExtend": _token(seconds=60),
    "stockReservationRelease": _token(),
    "stockAdjust": _stock(),
    "stockSet": _stock(compareUnits=7007),
    "stockMove": _stock(fromState="AVAILABLE", toState="DAMAGED"),
    "stockSafetyStockSet": _stock(no_reason=True),
    "skuUpsert": (
        lambda _: {"code": "MUG", "prices": [{"channel": "B2B", "currency": "GBP", "amount": "1"}]},
        lambda _: {"code": "MUG", "prices": [{"channel": "NONE", "currency": "GBP", "amount": "1"}]},
    ),
    "skusUpsert": (
        lambda _: [{"sku": {"code": "MUG", "prices": [{"channel": "B2B", "currency": "GBP", "amount": "1"}]}}],
        lambda _: [{"sku": {"code": "MUG", "prices": [{"channel": "NONE", "currency": "GBP", "amount": "1"}]}}],
    ),
    "customerUpsert": (lambda _: {"code": "c-bob", "name": "Eve"}, lambda _: {"code": "c-none", "name": "Eve"}),
    "customersUpsert": (
        lambda _: [{"customer": {"code": "c-bob", "name": "Eve"}}],
        lambda _: [{"customer": {"code": "c-none", "name": "Eve"}}],
    ),
    "channelUpsert": (lambda _: {"code": "B2B", "name": "Mine"}, lambda _: {"code": "NONE", "name": "Mine"}),
    "channelUpsert, location": (
        lambda _: {"code": "WEB", "locations": [{"location": "LEEDS"}, {"location": "YORK"}]},
        lambda _: {"code": "WEB", "locations": [{"location": "LEEDS"}, {"location": "NOWHERE"}]},
    ),
    "locationUpsert": (lambda _: {"code": "YORK", "name": "Mine"}, lambda _: {"code": "NOWHERE", "name": "Mine"}),
    "locationsUpsert": (
        lambda _: [{"location": {"code": "YORK", "name": "Mine"}}],
        lambda _: [{"location": {"code": "NOWHERE", "name": "Mine"}}],
    ),
    "customerTokenCreate": (
        lambda scene: {"customer": scene.ids["bob"]},
        lambda scene: {"customer": nobodys(scene.ids["bob"])},
    ),
}
FIGURES = {"onHand", "allocated", "reserved", "damaged", "qualityControl", "safetyStock"}


def test_every_argument_node_type_and_mutation_has_a_probe() -> None:
    assert set(PROBES) | OPEN == root_arguments()
    assert set(NODES) | SHARED_NODES == node_types()
    assert {name.partition(",")[0] for name in CHANGES} == set(required_inputs())


@pytest.mark.parametrize("who", ["web", "web shop"])
async def test_what_is_another_channels_is_told_like_what_never_was(scene: Scene, who: str) -> None:
    for name, probe in PROBES.items():
        theirs, none = probe.theirs(scene), probe.nobodys(scene)
        shown = await scene.send(probe.shown_to, probe.document, {"it": theirs})
        assert probe.mark(scene) in shown.text, (name, shown.text)

        about_theirs = await scene.send(who, probe.document, {"it": theirs})
        about_none = await scene.send(who, probe.document, {"it": none})

        assert told(about_theirs, theirs) == told(about_none, none), name
        assert probe.mark(scene) not in told(about_theirs, theirs)[1], name

    for type_, name in NODES.items():
        document = "query($it: ID!) { node(id: $it) { id __typename } }"
        theirs, none = scene.ids[name], nobodys(scene.ids[name])
        about_theirs = await scene.send(who, document, {"it": theirs})
        assert told(about_theirs, theirs) == told(await scene.send(who, document, {"it": none}), none), type_
        assert f'"__typename":"{type_}"' not in about_theirs.text


@pytest.mark.parametrize("dry_run", [False, True])
async def test_another_channels_things_are_not_changed(scene: Scene, dry_run: bool) -> None:
    before = await state_of(scene)
    for name, (theirs_of, none_of) in CHANGES.items():
        mutation = name.partition(",")[0]
        theirs, none = theirs_of(scene), none_of(scene)
        about_theirs = await change(scene, "web", mutation, theirs, dry_run)
        about_none = await change(scene, "web", mutation, none, dry_run)

        assert about_theirs.status_code == 200, (name, about_theirs.text)
        assert told(about_theirs, theirs) == told(about_none, none), name
        assert about_theirs.json()["data"][mutation]["userErrors"], name
    assert await state_of(scene) == before


@pytest.mark.parametrize("who", ["web", "web shop"])
async def test_whatever_can_be_selected_tells_nothing_of_the_other_channel(scene: Scene, who: str) -> None:
    viewer = (await scene.ask(who, "{ viewer { scopes } }"))["viewer"]
    scopes = frozenset(viewer["scopes"])
    order, token = scene.ids["ada order"], scene.tokens["WEB"]
    asked = 0
    for name, field in graph().schema.type_map["Query"].fields.items():
        if not set(graph().rights.of("Query", name)) <= scopes or name == "stockIntegrity":
            continue
        arguments = {
            "node": f'(id: "{scene.ids["MUG"]}")',
            "nodes": f'(ids: ["{scene.ids["MUG"]}", "{scene.ids["WEB"]}"])' if who == "web" else "(ids: [])",
            "order": f'(id: "{order}")',
            "customer": '(code: "c-bob")',
            "availability": '(skus: ["MUG", "CUP"])',
            "cartAvailability": '(lines: [{sku: "MUG", quantity: 2000}])',
            "reservation": f'(token: "{token}")',
            "sku": '(code: "MUG")',
            "channel": '(code: "WEB")',
            "location": '(code: "LEEDS")',
        }.get(name, "(first: 20)" if "first" in field.args else "")
        type_ = field.type
        while hasattr(type_, "of_type"):
            type_ = type_.of_type
        for depth in (4, 3, 2, 1):  # as deep as an operation may go
            document = f"{{ {name}{arguments} {{ {everything(type_.name, scopes, depth)} }} }}"
            answer = await scene.send(who, document)
            if "QUERY_TOO_COMPLEX" not in answer.text:
                break
        assert "errors" not in answer.json(), (name, answer.text[:500])
        asked += 1
        shown = json.dumps(answer.json()["data"])
        secret = ["YORK", "B2B", '"7.77"', '"3.33"', "7007", scene.ids["YORK"], scene.ids["B2B"], "Bobzilla", "c-bob"]
        secret += [scene.numbers["guest b2b order"], scene.ids["guest b2b order"]]
        if who == "web":  # orders of its own channel hold what their customers gave for them
            secret.remove("Bobzilla")
        else:
            secret += ["Bobstreet", '"onHand"', "1000", "ref-ada", scene.numbers["ada order"]]
        leaked = [word for word in secret if word in shown]
        assert leaked == [], (name, leaked)
        if who == "web shop":
            assert not [figure for figure in FIGURES if f'"{figure}"' in shown], name
    assert asked >= 6


async def test_violating_rows_are_shown_to_unbound_keys_only(scene: Scene) -> None:
    york = "(SELECT id FROM location WHERE code = 'YORK')"
    await scene.shop.execute(f"UPDATE stock_level SET on_hand = on_hand + 1 WHERE location_id = {york}")
    document = "{ stockIntegrity(rows: 5) { healthy checks { name violations rows } } }"
    shown = {}
    for who in ("staff", "web"):
        report = (await scene.ask(who, document))["stockIntegrity"]
        assert not report["healthy"]
        shown[who] = next(check for check in report["checks"] if check["name"] == "stock_ledger")
    assert shown["staff"]["violations"] == shown["web"]["violations"] > 0
    assert shown["staff"]["rows"]
    assert shown["web"]["rows"] == []


async def test_streams_of_another_channel_are_refused_like_those_of_none(scene: Scene) -> None:
    orders = "subscription($it: ID!) { orderEvents(ids: [$it]) { __typename } }"
    locations = "subscription($it: String!) { stockChanges(locations: [$it]) { __typename } }"
    channel = "subscription($it: String!) { stockChanges(channel: $it) { __typename } }"
    cart = 'subscription($it: String!) { availabilityChanges(channel: $it, lines: [{sku: "MUG", quantity: 1}])'
    cart += " { __typename } }"
    b2b_order = scene.ids["guest b2b order"]
    for who in ("web", "web shop"):
        async with opened(scene.api, scene.callers[who]) as socket:
            for document, theirs, none in (
                (orders, b2b_order, nobodys(b2b_order)),
                (locations, "YORK", "NOWHERE"),
                (channel, "B2B", "NONE"),
                (cart, "B2B", "NONE"),
            ):
                told_of = []
                for it in (theirs, none):
                    await socket.subscribe(document, {"it": it}, str(uuid4()))
                    told_of.append(str(await socket.error()).replace(it, "<asked>"))
                assert told_of[0] == told_of[1], document


async def test_streams_tell_of_ones_own_channel_only(scene: Scene) -> None:
    """The other channel's events come first, so that they would have been told before the channel's own."""
    everything_of_orders = (
        "subscription($where: OrderWhere, $after: Cursor) { orderEvents(where: $where, after: $after)"
    )
    everything_of_orders += " { __typename ... on OrderSnapshot { count cursor }"
    everything_of_orders += " ... on OrderChange { orderNumber cursor } } }"
    everything_of_stock = "subscription($after: Cursor) { stockChanges(after: $after, throttleMs: 0) { __typename"
    everything_of_stock += " ... on StockSnapshot { count cursor }"
    everything_of_stock += " ... on StockChange { cursor stockLevel { location { code } } } } }"
    any_order = {"where": {"OR": [{"NOT": {"number": {"eq": "x"}}}, {"AND": []}]}}

    async with opened(scene.api, scene.callers["staff"]) as staff:
        await staff.subscribe(everything_of_orders)
        staff_cursor = (await staff.item())["cursor"]
    async with (
        opened(scene.api, scene.callers["web"]) as orders,
        opened(scene.api, scene.callers["web"]) as resumed,
        opened(scene.api, scene.callers["web"]) as stock,
        opened(scene.api, scene.callers["web"]) as stock_resumed,
    ):
        await orders.subscribe(everything_of_orders, any_order)
        assert (await orders.item())["count"] == 3
        await stock.subscribe(everything_of_stock)
        assert (await stock.item())["count"] == 2

        await scene.place("another b2b order", "MUG", channel="B2B")
        await scene.shop.stock("MUG", 1, "YORK")
        await scene.place("another web order", "MUG")

        assert (await orders.item())["orderNumber"] == scene.numbers["another web order"]
        assert (await stock.item())["stockLevel"]["location"]["code"] == "LEEDS"
        await resumed.subscribe(everything_of_orders, {**any_order, "after": staff_cursor})
        assert (await resumed.item())["orderNumber"] == scene.numbers["another web order"]
        await stock_resumed.subscribe(everything_of_stock, {"after": staff_cursor})
        assert (await stock_resumed.item())["stockLevel"]["location"]["code"] == "LEEDS"
