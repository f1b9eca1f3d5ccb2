"""Whoever may see the same of the same event is told in the same words, which are made once."""

import asyncio
from typing import Any

import pytest

from app.gql.caller import Caller
from tests.gql.conftest import ToyShop
from tests.gql.toy import CALLERS

RUMOURS = "subscription ($to: Int!, $after: Cursor) { rumours(to: $to, after: $after) { number heardBy } }"


async def heard(shop: ToyShop, key: str, text: str = RUMOURS, **variables: Any) -> list[Any]:
    """What a subscriber is told, to the end."""
    graph = shop.graph
    operation = graph.documents.by_text(text).operation(None)
    stream = graph.stream(operation, variables, lambda: shop.new_context(Caller(CALLERS[key])))
    return [answer.body async for answer in stream]


async def test_five_with_the_same_rights_cost_one(shop: ToyShop) -> None:
    told = await asyncio.gather(*(heard(shop, "reader", to=3) for _ in range(5)))

    assert told == [[{"data": {"rumours": {"number": n, "heardBy": "STAFF"}}} for n in range(3)]] * 5
    assert shop.trace.told == 3


async def test_who_begins_elsewhere_in_the_log_shares_all_the_same(shop: ToyShop) -> None:
    await asyncio.gather(*(heard(shop, "reader", to=3, after=str(n)) for n in range(5)))

    assert shop.trace.told == 3


async def test_other_rights_are_other_answers(shop: ToyShop) -> None:
    told = await asyncio.gather(*(heard(shop, key, to=2) for key in ("reader", "maker", "shop")))

    assert [each[0]["data"]["rumours"]["heardBy"] for each in told] == ["STAFF", "PARTNER", "STOREFRONT"]
    assert shop.trace.told == 6


async def test_other_variables_are_other_answers(shop: ToyShop) -> None:
    await asyncio.gather(heard(shop, "reader", to=2), heard(shop, "reader", to=3))

    assert shop.trace.told == 5


async def test_a_variable_that_is_used_elsewhere_too_is_no_position(shop: ToyShop) -> None:
    text = RUMOURS.replace("heardBy", "heardBy again: heardBy @skip(if: $b)").replace("($to", "($b: Boolean!, $to")
    told = await asyncio.gather(*(heard(shop, "reader", text, to=1, b=b) for b in (True, False)))

    assert [len(each[0]["data"]["rumours"]) for each in told] == [2, 3]


async def test_an_answer_with_errors_is_kept_for_nobody(shop: ToyShop) -> None:
    text = RUMOURS.replace("heardBy", "heardBy spoilt")
    await heard(shop, "reader", text, to=2)
    told = await heard(shop, "reader", text, to=2)

    assert [error["extensions"]["code"] for error in told[0]["errors"]] == ["NOT_FOUND"]
    assert shop.trace.told == 4


async def test_the_first_to_ask_may_leave(shop: ToyShop) -> None:
    first = asyncio.ensure_future(heard(shop, "reader", to=1))
    second = asyncio.ensure_future(heard(shop, "reader", to=1))
    await asyncio.sleep(0.005)
    first.cancel()

    assert await second == [{"data": {"rumours": {"number": 0, "heardBy": "STAFF"}}}]
    with pytest.raises(asyncio.CancelledError):
        await first
