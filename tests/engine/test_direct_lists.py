"""Lists and lookups that one statement answers, page after page: as graphql-core answers them, to the byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import app.catalog.commands as catalog
import app.customers.commands as customers
import app.network.commands as network
from app.auth.states import ClientKind
from app.gql.payload import GraphQLRequest
from app.kernel.clock import FixedClock
from app.kernel.db import StatementCount, statements
from tests.builders import Shop
from tests.engine.both import Both
from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.world import ADA, BUNDLE, GOODS, PLACE

ADDRESS = {"kind", "isDefault", "name", "company", "lines", "city", "region", "postcode", "country", "phone"}
LOCATION = """id code name type latitude longitude country timeZone address { lines city region postcode }
  dailyOrderCapacity dailyUnitCapacity cutoff active version createdAt updatedAt"""
CHANNEL = f"""id code name kind currency timeZone taxRatePercent pricesIncludeTax paymentPolicy origins active version
  createdAt updatedAt locations {{ priority safetyStock location {{ {LOCATION} }} }}"""
PRICE = f"channelCode amount currencyCode channel {{ {CHANNEL} }}"
SKU_ALONE = """id code name unitOfMeasure weightGrams dimensions { lengthMm widthMm heightMm } barcode hazardous
  stockTracked backorderLimit preorderReleaseAt isBundle active version createdAt updatedAt"""
SKU = f"""{SKU_ALONE} prices {{ {PRICE} }} web: prices(channel: "WEB") {{ amount currencyCode }}
  components {{ units sku {{ {SKU_ALONE} prices {{ amount }} components {{ units }} }} }}"""
CUSTOMER = f"""id code kind name companyName taxNumber preferredPayment language active version createdAt updatedAt
  addresses {{ {" ".join(sorted(ADDRESS))} latitude longitude }}
  contacts {{ kind value isDefault }} references {{ system externalId }}"""
LEVEL = "id owner onHand available allocated incoming version updatedAt sku { code } location { code }"
MOVEMENT = """id type owner onHandChange allocatedChange reservedChange damagedChange qualityControlChange reason
  reference causeId actor occurredAt sku { code components { units } } location { code address { lines } }"""
# By root field: what is shown of a row, and arguments to page with.
LISTS: dict[str, tuple[str, list[str]]] = {
    "skus": (
        SKU,
        ["", "orderBy: {field: WEIGHT_GRAMS, direction: DESC}", "where: {isBundle: {eq: false}}", 'search: "goods"'],
    ),
    "locations": (LOCATION, ["", "orderBy: {field: NAME, direction: DESC}", 'search: "place"']),
    "channels": (CHANNEL, ["", 'where: {code: {startsWith: "CH"}}', "orderBy: {field: CREATED_AT}"]),
    "customers": (CUSTOMER, ["", "orderBy: {field: UPDATED_AT, direction: DESC}", 'search: "example.org"']),
    "stockLevels": (
        LEVEL,
        [
            "",
            f'skus: ["{GOODS}"]',
            f'skus: ["NONE", "{GOODS}", "GOODS-02", "{GOODS}"]',
            f'locations: ["{PLACE}"], orderBy: {{field: ON_HAND, direction: DESC}}',
            f'skus: ["{GOODS}", "GOODS-03"], locations: ["{PLACE}"], where: {{onHand: {{range: {{gt: 1}}}}}}',
            "skus: []",
        ],
    ),
    "stockMovements": (
        MOVEMENT,
        [
            "",
            f'skus: ["{GOODS}"]',
            f'skus: ["{GOODS}", "GOODS-02"], locations: ["{PLACE}"]',
            "where: {type: {eq: ADJUST}}",
        ],
    ),
}
PAGE = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { %s } }"


@pytest.fixture
async def both(few: Furnished, opened: OpenDesk) -> AsyncIterator[Both]:
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        await _make_awkward(desk.requests.shop)
        yield Both(desk)


async def _make_awkward(shop: Shop) -> None:
    """What an answer could be written wrongly of."""
    odd = {"type": "STORE", "country": "FR", "latitude": 0.00001, "longitude": -0.0000025, "cutoff": "09:05"}
    places = [
        {"code": 'O"DD', "name": "Zoë 日本", **odd}
        | {"address": {"lines": ['1 "Rue"', "日本, \\"], "city": None, "region": "Île", "postcode": None}},
        {"code": "EMPTY", "name": "No address", "type": "VIRTUAL", "country": "GB"},
        {"code": "NO-LINES", "name": "No lines", "type": "VIRTUAL", "country": "GB", "address": {"city": "Zürich"}},
    ]
    await shop.run(network.upsert_locations, locations=places)
    prices = [{"channel": "WEB", "currency": "GBP", "amount": Decimal("0.049500")}]
    skus: list[dict[str, Any]] = [
        {"code": "Zoë", "name": "</script>", "width_mm": 5, "barcode": '"', "prices": prices},
        {"code": "POSTAGE", "name": "Postage", "stock_tracked": False},
    ]
    await shop.run(catalog.upsert_skus, skus=skus)
    address = {"kind": "BILLING", "country": "FR", "lines": ["a", 'b"'], "latitude": 51.5, "longitude": 0.1}
    known = [{"system": "é", "external_id": "1 2"}]
    contacts = [{"kind": "PHONE", "value": "+33123456789"}, {"kind": "EMAIL", "value": "z@example.org"}]
    zoe = {"code": "ZOË", "name": "Zoë", "addresses": [address], "contacts": contacts, "references": known}
    await shop.run(customers.upsert_customer, customer=zoe)
    await shop.stock(GOODS, 3, at=PLACE, owner="ACME")


@pytest.mark.parametrize("name", LISTS)
async def test_pages_forwards_and_backwards(both: Both, name: str) -> None:
    shown, all_arguments = LISTS[name]
    staff = await both.desk.caller(ClientKind.STAFF.value)
    pages = planned_by_ids = 0

    for arguments in all_arguments:
        for size, place, end, more in (
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ):
            given = f"{arguments}, {size}: $n, {place}: $at" if arguments else f"{size}: $n, {place}: $at"
            text = f"query($n: Int, $at: Cursor) {{ {name}({given}) {{ {PAGE % shown} }} }}"
            at, seen = None, 0
            while True:
                data = await both.agree(text, {"n": 3, "at": at}, staff)
                pages += 1
                planned_by_ids += name == "stockMovements" and '["' in arguments
                seen += len(data[name]["edges"])
                at = data[name]["pageInfo"][end]
                if not data[name]["pageInfo"][more]:
                    break
            assert seen == data[name]["totalCount"]

    assert both.written == pages - planned_by_ids
    assert pages > len(all_arguments) * 2


LOOKUPS = [
    f'{{ sku(code: "{BUNDLE}") {{ {SKU} }} }}',
    f'{{ sku(code: "Zoe\u0308") {{ {SKU} }} }}',
    '{ sku(code: "NONE") { code } }',
    f'{{ location(code: "O\\"DD") {{ {LOCATION} }} }}',
    f'{{ location(code: "EMPTY") {{ {LOCATION} }} }}',
    f'{{ location(code: "NO-LINES") {{ {LOCATION} }} }}',
    f'{{ channel(code: "WEB") {{ {CHANNEL} }} }}',
    f'{{ customer(code: "{ADA}") {{ {CUSTOMER} }} }}',
    f'{{ customer(reference: {{system: "e\u0301", externalId: " 1 2 "}}) {{ {CUSTOMER} }} }}',
    '{ customer(reference: {system: "crm", externalId: "none"}) { code } }',
]
PRICES = f"""query($channel: String) {{
  sku(code: "{GOODS}") {{ __typename prices(channel: $channel) {{ channelCode amount }} all: prices {{ amount }} }}
  again: sku(code: "{BUNDLE}") {{ prices(channel: "CHANNEL-01") {{ amount }} }} }}"""


async def test_one_by_its_key(both: Both) -> None:
    staff = await both.desk.caller(ClientKind.STAFF.value)

    for text in LOOKUPS:
        await both.agree(text, {}, staff)
    for channel in (None, "WEB", "CHANNEL-01", "NONE"):
        await both.agree(PRICES, {"channel": channel}, staff)
    await both.agree(PRICES, {}, staff)

    assert both.written == len(LOOKUPS) + 5


async def test_ids_are_keys_too(both: Both) -> None:
    staff = await both.desk.caller(ClientKind.STAFF.value)
    for name in ("sku", "location", "channel", "customer"):
        listed = await both.agree(f"{{ {name}s {{ nodes {{ id code }} }} }}", {}, staff)
        row = listed[f"{name}s"]["nodes"][0]
        found = await both.agree(f"query($id: ID) {{ {name}(id: $id) {{ code }} }}", {"id": row["id"]}, staff)
        assert found[name] == {"code": row["code"]}
    assert both.written == 8


async def test_a_cursor_of_other_codes_is_refused_and_of_the_same_is_not(both: Both) -> None:
    staff = await both.desk.caller(ClientKind.STAFF.value)
    text = """query($skus: [String!], $after: Cursor) {
      stockLevels(skus: $skus, first: 1, after: $after) { pageInfo { endCursor } nodes { id } } }"""

    async def asked(skus: list[str], after: str | None = None) -> Any:
        return await both.agree(text, {"skus": skus, "after": after}, staff)

    first = await asked([GOODS, "LATER"])
    at = first["stockLevels"]["pageInfo"]["endCursor"]
    assert await asked(["GOODS-02"], at) == {}
    assert await asked([GOODS], at) == {}
    written = both.written
    second = await asked(["LATER", GOODS, GOODS], at)
    await both.desk.requests.shop.sku("LATER")
    third = await asked([GOODS, "LATER"], second["stockLevels"]["pageInfo"]["endCursor"])

    ids = [page["stockLevels"]["nodes"][0]["id"] for page in (first, second, third)]
    assert len(set(ids)) == 3
    assert both.written == written + 2


async def test_more_codes_than_are_taken_are_refused_alike(both: Both) -> None:
    staff = await both.desk.caller(ClientKind.STAFF.value)
    text = "query($codes: [String!]) { stockMovements(locations: $codes) { nodes { id } } }"

    assert await both.agree(text, {"codes": [str(n) for n in range(251)]}, staff) == {}
    assert (await both.agree(text, {"codes": [str(n) for n in range(250)]}, staff))["stockMovements"]["nodes"] == []


async def test_a_page_is_one_statement_whatever_is_selected(both: Both) -> None:
    staff = await both.desk.caller(ClientKind.STAFF.value)
    desk = both.directly
    for name, (shown, all_arguments) in LISTS.items():
        for arguments in all_arguments:
            given = f"({arguments})" if arguments else ""
            operation = desk.graph.operation(
                GraphQLRequest(f"{{ {name}{given} {{ edges {{ cursor node {{ {shown} }} }} }} }}")
            )
            mark = statements.set(count := StatementCount())
            answer = await desk.graph.run(operation, {}, desk.services.context(staff), 0)
            statements.reset(mark)
            codes = arguments.count('["') if name == "stockMovements" else 0  # what they stand for is read first
            assert (b'"errors"' in answer.encoded, count.value <= 1 + 4 * codes) == (False, True), (name, arguments)
