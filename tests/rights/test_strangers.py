"""A customer of the portal meets what belongs to another one, by every road of the schema, over HTTP.

Each probe asks twice: for something of Bob's and for something that never was. Bob is shown his own, so that the probe
is known to reach it; Ada must be told the very same both times. All is done twice: with the scopes that customers have,
and with every scope there is, so that the row rules are seen to hold by themselves.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.auth import tokens
from app.auth.states import CUSTOMER_SCOPES, SCOPES
from app.gql.nodes import global_id, parse_id
from tests.rights.probes import (
    Probe,
    around,
    by_id,
    change,
    conditions,
    everything,
    graph,
    node_types,
    required_inputs,
    root_arguments,
)
from tests.rights.scene import RESERVE, Scene, nobodys, state_of, told

# Node types whose rows are a customer's own; all other nodes are the company's, or nobody's without its token.
PRIVATE = {"Order": "bob order", "OrderLine": "bob order, line", "Customer": "bob"}
SHARED = {"Channel", "Location", "Sku", "StockLevel", "StockMovement", "Reservation"}

PROBES = {
    "order.id": by_id("query($it: ID!) { order(id: $it) { id } }", "bob order", "bob"),
    "order.number": Probe(
        "query($it: String!) { order(number: $it) { id } }",
        lambda scene: scene.numbers["bob order"],
        lambda scene: "OW-9999999",
        "bob",
        lambda scene: scene.ids["bob order"],
    ),
    "order.externalRef": Probe(
        "query($it: ExternalRefInput!) { order(externalRef: $it) { id } }",
        lambda scene: {"channel": "WEB", "ref": "ref-bob"},
        lambda scene: {"channel": "WEB", "ref": "ref-none"},
        "bob",
        lambda scene: scene.ids["bob order"],
    ),
    "orders.where": Probe(
        "query($it: ID!) { orders(where: {id: {eq: $it}}) { nodes { id } totalCount pageInfo { hasNextPage } } }",
        lambda scene: scene.ids["bob order"],
        lambda scene: "T3JkZXI6AAAAAAAAAAAAAAAAAAAAAA",
        "bob",
        lambda scene: scene.ids["bob order"],
    ),
    "orders.search": Probe(
        "query($it: String!) { orders(search: $it) { nodes { id } totalCount pageInfo { hasNextPage } } }",
        lambda scene: "bobzilla",
        lambda scene: "nobodyzilla",
        "bob",
        lambda scene: scene.ids["bob order"],
    ),
    "customer.id": by_id("query($it: ID!) { customer(id: $it) { id } }", "bob", "bob"),
    "customer.code": Probe(
        "query($it: String!) { customer(code: $it) { id } }",
        lambda scene: "c-bob",
        lambda scene: "c-none",
        "bob",
        lambda scene: scene.ids["bob"],
    ),
    "customer.reference": Probe(
        "query($it: CustomerReferenceKey!) { customer(reference: $it) { id } }",
        lambda scene: {"system": "crm", "externalId": "crm-bob-77"},
        lambda scene: {"system": "crm", "externalId": "crm-none"},
        "bob",
        lambda scene: scene.ids["bob"],
    ),
    "customers.where": Probe(
        "query($it: String!) { customers(where: {code: {eq: $it}}) { nodes { id } totalCount } }",
        lambda scene: "c-bob",
        lambda scene: "c-none",
        "bob",
        lambda scene: scene.ids["bob"],
    ),
    "customers.search": Probe(
        "query($it: String!) { customers(search: $it) { nodes { id } totalCount } }",
        lambda scene: "bob@bobzilla.example",
        lambda scene: "bob@nobodyzilla.example",
        "bob",
        lambda scene: scene.ids["bob"],
    ),
    "node.id": by_id("query($it: ID!) { node(id: $it) { id __typename } }", "bob order", "bob"),
    "nodes.ids": by_id("query($it: ID!) { nodes(ids: [$it, $it]) { id __typename } }", "bob order", "bob"),
    "reservation.token": Probe(  # nobody's but its bearer's: a token must be guessed in full
        "query($it: String!) { reservation(token: $it) { id } }",
        lambda scene: scene.tokens["WEB"][:-1],
        lambda scene: "x" * 31,
        "",
        lambda scene: "",
    ),
}
# What is the company's, not any customer's.
OF_NOBODY = {"availability", "cartAvailability", "stockLevels", "stockMovements", "stockIntegrity"}
OF_NOBODY |= {"sku", "skus", "channel", "channels", "location", "locations"}


@pytest.fixture(params=["own scopes", "all scopes"])
def scopes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    given = CUSTOMER_SCOPES if request.param == "own scopes" else SCOPES
    monkeypatch.setattr(tokens, "CUSTOMER_SCOPES", given)
    return given


def test_every_root_field_and_every_node_type_has_a_probe() -> None:
    fields = {name.partition(".")[0] for name in root_arguments()}
    assert set(PRIVATE) | SHARED == node_types(), "say whose the rows of a new node type are"
    assert {name for name in root_arguments() if name.partition(".")[0] not in OF_NOBODY} == set(PROBES)
    assert fields - {name.partition(".")[0] for name in PROBES} == OF_NOBODY


async def test_what_is_anothers_is_told_like_what_never_was(scene: Scene, scopes: frozenset[str]) -> None:
    for name, probe in PROBES.items():
        theirs, nobodys = probe.theirs(scene), probe.nobodys(scene)
        if probe.shown_to:
            shown = await scene.send(probe.shown_to, probe.document, {"it": theirs})
            assert probe.mark(scene) in shown.text, name

        about_theirs = await scene.send("ada", probe.document, {"it": theirs})
        about_nobodys = await scene.send("ada", probe.document, {"it": nobodys})

        assert told(about_theirs, theirs) == told(about_nobodys, nobodys), name
        if probe.mark(scene):
            assert probe.mark(scene) not in told(about_theirs, theirs)[1], name


async def test_nodes_of_every_type_are_ones_own_or_nothing(scene: Scene, scopes: frozenset[str]) -> None:
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }"
    for type_, name in PRIVATE.items():
        found = (await scene.ask("bob", document, {"ids": [scene.ids[name]]}))["nodes"]
        assert found == [{"id": scene.ids[name], "__typename": type_}]
        assert (await scene.ask("ada", document, {"ids": [scene.ids[name]]}))["nodes"] == [None]
        for other in node_types() - {type_}:  # under the name of another type, its key leads nowhere either
            disguised = _as_type(other, scene.ids[name])
            answer = (await scene.send("ada", document, {"ids": [disguised]})).json()
            assert answer["data"]["nodes"] if "errors" not in answer else [None] == [None]


def _as_type(type_: str, id_: str) -> str:
    found = parse_id(id_)
    assert found is not None
    return str(global_id(type_, found[1]))


async def test_no_filter_widens_what_is_ones_own(scene: Scene) -> None:
    own = {scene.ids["ada order"], scene.ids["ada second order"]}
    for name, condition in conditions("OrderWhere", await orders_facts(scene)):
        for place, found in (await all_at_once(scene, "orders", "OrderWhere", condition)).items():
            assert {each["id"] for each in found["nodes"]} <= own, (name, place)
            assert found["totalCount"] == len(found["nodes"]), (name, place)

    for name, condition in conditions("CustomerWhere", await customers_facts(scene)):
        for place, found in (await all_at_once(scene, "customers", "CustomerWhere", condition)).items():
            assert {each["id"] for each in found["nodes"]} <= {scene.ids["ada"]}, (name, place)
            assert found["totalCount"] == len(found["nodes"]), (name, place)


async def all_at_once(scene: Scene, field: str, where: str, condition: dict[str, Any]) -> Any:
    """The pages that Ada is given for the condition in every company, in one request."""
    companies = {f"w{n}": each for n, each in enumerate(around(condition))}
    declared = ", ".join(f"${name}: {where}" for name in companies)
    pages = " ".join(
        f"{name}: {field}(where: ${name}, first: 100) {{ nodes {{ id }} totalCount }}" for name in companies
    )
    return await scene.ask("ada", f"query({declared}) {{ {pages} }}", companies)


async def orders_facts(scene: Scene) -> dict[str, Any]:
    order = await scene.shop.one("SELECT * FROM orders WHERE number = :n", n=scene.numbers["bob order"])
    return {
        "id": scene.ids["bob order"],
        "number": order.number,
        "externalRef": order.external_ref,
        "channelId": scene.ids["WEB"],
        "customerId": scene.ids["bob"],
        "lifecycle": order.lifecycle,
        "fulfillmentStatus": order.fulfillment_status,
        "paymentStatus": order.payment_status,
        "returnStatus": order.return_status,
        "isOnHold": order.is_on_hold,
        "priority": order.priority,
        "currency": order.currency,
        "totalMinor": order.total_minor,
        "destinationCountry": order.destination_country,
        "placedAt": order.placed_at.isoformat(),
        "updatedAt": order.updated_at.isoformat(),
    }


async def customers_facts(scene: Scene) -> dict[str, Any]:
    bob = await scene.shop.one("SELECT * FROM customer WHERE code = 'c-bob'")
    return {
        "id": scene.ids["bob"],
        "code": bob.code,
        "kind": bob.kind,
        "name": bob.name,
        "companyName": bob.company_name,
        "language": bob.language,
        "active": bob.active,
        "createdAt": bob.created_at.isoformat(),
        "updatedAt": bob.updated_at.isoformat(),
    }


async def test_whatever_can_be_selected_tells_nothing_of_others(scene: Scene, scopes: frozenset[str]) -> None:
    """Every field that a customer may select, from every list and from its own rows, several levels down."""
    order, ada, bob, token = scene.ids["ada order"], scene.ids["ada"], scene.ids["bob"], scene.tokens["WEB"]
    asked = 0
    for name, field in graph().schema.type_map["Query"].fields.items():
        if not set(graph().rights.of("Query", name)) <= scopes or name == "stockIntegrity":
            continue
        arguments = {
            "node": f'(id: "{order}")',
            "nodes": f'(ids: ["{order}", "{ada}", "{bob}"])',
            "order": f'(id: "{order}")',
            "customer": '(code: "c-ada")',
            "availability": '(channel: "WEB", skus: ["MUG"])',
            "cartAvailability": '(channel: "WEB", lines: [{sku: "MUG", quantity: 1}])',
            "reservation": f'(token: "{token}")',
            "sku": '(code: "MUG")',
            "channel": '(code: "WEB")',
            "location": '(code: "LEEDS")',
        }.get(name, "(first: 2)" if "first" in field.args else "")
        type_ = field.type
        while hasattr(type_, "of_type"):
            type_ = type_.of_type
        selected = everything(type_.name, scopes, 4)
        for depth in (3, 2, 1):  # as deep as an operation may go
            answer = await scene.send("ada", f"{{ {name}{arguments} {{ {selected} }} }}")
            if "QUERY_TOO_COMPLEX" not in answer.text:
                break
            selected = everything(type_.name, scopes, depth)
        assert "errors" not in answer.json(), (name, answer.text[:500])
        asked += 1
        leaked = [word for word in scene.bobs if word in answer.text]
        assert leaked == [], (name, leaked)
    assert asked >= 9


async def test_cursors_of_other_callers_lead_nowhere(scene: Scene) -> None:
    page = "query($after: Cursor, $before: Cursor, $by: OrderOrderBy) {"
    page += " orders(first: 1, after: $after, before: $before, orderBy: $by) { nodes { number } edges { cursor } } }"
    for field in graph().schema.type_map["OrderOrder"].values:
        by = {"field": field, "direction": "DESC"}
        for other in ("bob", "staff"):
            (edge,) = (await scene.ask(other, page, {"by": by}))["orders"]["edges"]
            for argument in ("after", "before"):
                answer = (await scene.send("ada", page, {"by": by, argument: edge["cursor"]})).json()
                assert answer["errors"][0]["extensions"]["code"] == "VALIDATION", answer
                assert answer["data"] is None

    nested = "query($id: ID!, $after: Cursor) { customer(id: $id) { orders(first: 1, after: $after) {"
    nested += " nodes { number } edges { cursor } totalCount } } }"
    bobs = await scene.ask("staff", nested, {"id": scene.ids["bob"]})
    adas = await scene.ask("staff", nested, {"id": scene.ids["ada"]})
    refused = await scene.send(
        "ada", nested, {"id": scene.ids["ada"], "after": bobs["customer"]["orders"]["edges"][0]["cursor"]}
    )
    assert "not a cursor of this customer" in refused.text
    found = await scene.ask(
        "ada", nested, {"id": scene.ids["ada"], "after": adas["customer"]["orders"]["edges"][0]["cursor"]}
    )
    assert [each["number"] for each in found["customer"]["orders"]["nodes"]] == [scene.numbers["ada order"]]

    lines = "query($number: String!, $after: Cursor) { order(number: $number) { lines(first: 1, after: $after) {"
    lines += " edges { cursor } } } }"
    bobs = await scene.ask("bob", lines, {"number": scene.numbers["bob order"]})
    cursor = bobs["order"]["lines"]["edges"][0]["cursor"]
    refused = await scene.send("ada", lines, {"number": scene.numbers["ada order"], "after": cursor})
    assert "not a cursor of this order" in refused.text


async def test_a_customer_changes_nothing(scene: Scene) -> None:
    before = await state_of(scene)
    for name, document in required_inputs().items():
        answer = await scene.send("ada", document)
        (error, *_) = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (403, "FORBIDDEN"), name
        assert error["extensions"]["field"] == f"Mutation.{name}"
    assert await state_of(scene) == before


def _order(name: str, **given: Any) -> tuple[str, Any, Any]:
    return (
        name,
        lambda scene: {"order": scene.ids["bob order"], **given},
        lambda scene: {"order": nobodys(scene.ids["bob order"]), **given},
    )


# Mutations of what a customer may own: the input that names Bob's, and one that names nothing.
CHANGES = [
    _order("orderConfirm"),
    _order("orderHold", reason="MANUAL"),
    _order("orderCancel", reason="CUSTOMER"),
    (
        "orderHoldRelease",
        lambda scene: {"order": scene.ids["bob order"], "hold": scene.ids["bob order, hold"]},
        lambda scene: {"order": nobodys(scene.ids["bob order"]), "hold": nobodys(scene.ids["bob order, hold"])},
    ),
    (
        "customerTokenCreate",
        lambda scene: {"customer": scene.ids["bob"]},
        lambda scene: {"customer": nobodys(scene.ids["bob"])},
    ),
]


async def test_with_every_scope_a_customer_still_changes_nothing_of_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CUSTOMER_SCOPES", SCOPES)
    before = await state_of(scene)
    for dry_run in (False, True):
        for expected in (None, 1, 99):
            for name, theirs_of, none_of in CHANGES:
                theirs, none = theirs_of(scene), none_of(scene)
                about_theirs = await change(scene, "ada", name, theirs, dry_run, expected)
                about_none = await change(scene, "ada", name, none, dry_run, expected)

                assert told(about_theirs, theirs) == told(about_none, none), name
                (error, *_) = about_theirs.json()["data"][name]["userErrors"]
                assert error["code"] == "NOT_FOUND", (name, error)
    assert await state_of(scene) == before


async def test_a_reference_that_is_taken_tells_nothing_of_the_order_that_has_it(scene: Scene) -> None:
    document = """mutation($input: OrderPlaceInput!, $dry: Boolean) { orderPlace(input: $input, idempotencyKey: "k",
      dryRun: $dry) { userErrors { message ... on ExternalRefTaken { code number } } } }"""
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}], "externalRef": "ref-bob"}
    placing = await scene.api.key("PARTNER", ["orders:place"])
    scene.callers["placing only"] = placing
    for who, number in (("placing only", None), ("partner", scene.numbers["bob order"])):
        for dry_run in (False, True):
            answer = await scene.ask(who, document, {"input": given, "dry": dry_run})
            (error,) = answer["orderPlace"]["userErrors"]
            assert (error["code"], error["number"]) == ("EXTERNAL_REF_TAKEN", number)
            assert (scene.numbers["bob order"] in error["message"]) == (number is not None)


async def test_an_idempotency_key_belongs_to_its_caller(scene: Scene) -> None:
    """A partner that repeats another's key is answered by itself, and learns nothing of the other's request."""
    given = {"channel": "WEB", "lines": [{"sku": "CUP", "quantity": 1}], "seconds": 600}
    first = (await scene.ask("staff", RESERVE, {"input": given, "key": "same"}))["stockReserve"]["reservation"]
    other = (await scene.ask("partner", RESERVE, {"input": given, "key": "same"}))["stockReserve"]["reservation"]
    again = (await scene.ask("staff", RESERVE, {"input": given, "key": "same"}))["stockReserve"]["reservation"]

    assert again == first
    assert other["token"] != first["token"]
    changed = await scene.send("partner", RESERVE, {"input": {**given, "seconds": 601}, "key": "same"})
    assert "IDEMPOTENCY_KEY_REUSED" in changed.text
    assert first["token"] not in changed.text


async def test_without_a_credential_every_id_is_answered_alike(scene: Scene) -> None:
    document = "query($it: ID!) { node(id: $it) { id } }"
    names = [*PRIVATE.values(), "WEB", "LEEDS", "MUG", "MUG at LEEDS", "movement at LEEDS", "WEB reservation"]
    types = set()
    for name in names:
        there, none = scene.ids[name], nobodys(scene.ids[name])
        about_there = await scene.send(None, document, {"it": there})
        assert told(about_there, there) == told(await scene.send(None, document, {"it": none}), none)
        assert about_there.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        found = parse_id(there)
        assert found is not None
        types.add(found[0])
    assert types == node_types()
