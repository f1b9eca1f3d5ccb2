"""Orders over HTTP, as callers send them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import app.customers.commands as customers
from tests.builders import Shop
from tests.running import Api

PLACE = """
mutation Place($input: OrderPlaceInput!, $key: String!, $dryRun: Boolean) {
  orderPlace(input: $input, idempotencyKey: $key, dryRun: $dryRun) {
    order { id number version lifecycle fulfillmentStatus allowedActions
      totals { total { amount currencyCode minorUnits } }
      lines(first: 5) { nodes { lineNo skuCode quantities { ordered allocated } sku { code } } } }
    userErrors { __typename code message path }
  }
}
"""


async def test_an_order_is_placed_and_read_back(api: Api, shop: Shop) -> None:
    await shop.sku("MUG", "12.50")
    await shop.stock("MUG", 5)
    key = await api.key()
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 2}], "externalRef": "A-1"}

    placed = (await api.ask(PLACE, {"input": given, "key": str(uuid4())}, key=key))["orderPlace"]
    found = await api.ask(
        'query { order(externalRef: {channel: "WEB", ref: "A-1"}) { number channel { code } customer { id } } }',
        key=key,
    )

    assert placed["userErrors"] == []
    assert placed["order"]["totals"]["total"] == {"amount": "25.00", "currencyCode": "GBP", "minorUnits": 2500}
    assert placed["order"]["allowedActions"] == ["CONFIRM", "HOLD", "CANCEL"]
    assert placed["order"]["lines"]["nodes"][0]["quantities"] == {"ordered": 2, "allocated": 2}
    assert found["order"] == {"number": placed["order"]["number"], "channel": {"code": "WEB"}, "customer": None}


async def test_an_external_reference_is_found_as_it_was_given(api: Api, shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    key = await api.key()
    ref = " Bu\u0308ro 7 "  # stored composed, and without the spaces
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}], "externalRef": ref}

    placed = (await api.ask(PLACE, {"input": given, "key": "k"}, key=key))["orderPlace"]
    found = await api.ask(
        """query($ref: String!) {
          order(externalRef: {channel: "WEB", ref: $ref}) { number externalRef }
          orders(where: {externalRef: {eq: $ref}}) { nodes { number } }
        }""",
        {"ref": ref},
        key=key,
    )

    number = placed["order"]["number"]
    assert found["order"] == {"number": number, "externalRef": "B\u00fcro 7"}
    assert found["orders"]["nodes"] == [{"number": number}]


async def test_a_dry_run_shows_the_order_and_keeps_nothing(api: Api, shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    key = await api.key()
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 2}]}

    shown = (await api.ask(PLACE, {"input": given, "key": "k", "dryRun": True}, key=key))["orderPlace"]

    assert shown["order"]["lines"]["nodes"][0]["quantities"] == {"ordered": 2, "allocated": 2}
    assert (await shop.level("MUG")).allocated == 0
    assert await shop.rows("SELECT 1 FROM orders") == []
    assert await shop.rows("SELECT 1 FROM idempotency_key WHERE key = 'k'") == []


async def test_a_shortage_is_a_typed_user_error(api: Api, shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 2}]}

    place = PLACE.replace("message path", "message path ... on InsufficientStock { sku requested available }")
    refused = (await api.ask(place, {"input": given, "key": "k"}, key=await api.key()))["orderPlace"]

    assert refused["order"] is None
    (error,) = refused["userErrors"]
    assert error["__typename"] == "InsufficientStock"
    assert (error["code"], error["path"]) == ("INSUFFICIENT_STOCK", ["input", "lines", "0"])
    assert (error["sku"], error["requested"], error["available"]) == ("MUG", 2, 1)


WATCH = """
subscription($ids: [ID!]!) {
  orderEvents(ids: $ids) {
    ... on OrderSnapshot { orders { fulfillmentStatus } }
    ... on OrderChange {
      version type order { fulfillmentStatus lines { nodes { quantities { allocated backordered } } } }
    }
  }
}
"""
RECEIVE = """
mutation($input: StockAdjustInput!) { stockAdjust(input: $input, idempotencyKey: "receipt") { userErrors { message } } }
"""


async def events(api: Api, key: str, ids: list[str]) -> AsyncIterator[dict[str, Any]]:
    """What orderEvents tells of these orders, over server-sent events."""
    headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
    body = {"query": WATCH, "variables": {"ids": ids}}
    async with api.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data:") and (data := json.loads(line.removeprefix("data:") or "null")):
                yield data["data"]["orderEvents"]


async def test_an_order_that_waits_is_allocated_by_itself_when_stock_comes(api: Api, shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=5)
    key = await api.key()
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 2}]}
    order = (await api.ask(PLACE, {"input": given, "key": "k"}, key=key))["orderPlace"]["order"]
    receipt = {"reason": "RECEIVED", "changes": [{"sku": "MUG", "location": "LEEDS", "units": 9}]}

    async with asyncio.timeout(10), aclosing(events(api, key, [order["id"]])) as told:
        assert await anext(told) == {"orders": [{"fulfillmentStatus": "BACKORDERED"}]}
        assert (await api.ask(RECEIVE, {"input": receipt}, key=key))["stockAdjust"]["userErrors"] == []
        change = await anext(told)

    assert (change["version"], change["type"]) == (2, "OrderAllocated")
    assert change["order"]["fulfillmentStatus"] == "SCHEDULED"
    assert change["order"]["lines"]["nodes"] == [{"quantities": {"allocated": 2, "backordered": 0}}]


async def test_what_is_wrong_with_an_order_is_told_where_it_stands(api: Api, shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)
    await shop.run(
        customers.upsert_customer, customer={"code": "C-1", "kind": "PERSON", "name": "Ann", "active": False}
    )
    key = await api.key()
    line = {"sku": "POST", "quantity": 1}

    async def errors(**given: Any) -> list[dict[str, Any]]:
        order = {"channel": "WEB", "lines": [line], **given}
        answer = await api.ask(PLACE, {"input": order, "key": str(uuid4())}, key=key)
        found: list[dict[str, Any]] = answer["orderPlace"]["userErrors"]
        return found

    (inactive,) = await errors(customer="C-1")
    (rate,) = await errors(lines=[{**line, "taxes": [{"name": "VAT", "ratePercent": "20.00001", "included": True}]}])
    (total,) = await errors(expectedTotal={"amount": "99999999999999999999", "currencyCode": "GBP"})

    assert (inactive["__typename"], inactive["path"]) == ("CustomerNotActive", ["input", "customer"])
    assert (rate["code"], rate["path"]) == ("VALIDATION", ["input", "lines", "0", "taxes", "0", "ratePercent"])
    assert (total["code"], total["path"]) == ("VALIDATION", ["input", "expectedTotal", "amount"])


async def test_a_sku_in_use_says_by_what(api: Api, shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    turn = """
        mutation { skuUpsert(input: {code: "MUG", stockTracked: false}, idempotencyKey: "k") {
            userErrors { __typename code path ... on SkuInUse { sku hasStock isAwaited } } } }
    """

    answer = await api.ask(turn, key=await api.key())

    assert answer["skuUpsert"]["userErrors"] == [
        {
            "__typename": "SkuInUse",
            "code": "SKU_IN_USE",
            "path": ["input", "stockTracked"],
            "sku": "MUG",
            "hasStock": True,
            "isAwaited": False,
        }
    ]
