"""What can be promised, asked through the API; asked and done must agree."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.kernel.principal import Kind, Principal
from app.orders.refusals import SkuNotSellable
from app.orders.requests import LineRequest
from tests.builders import Shop
from tests.inventory.area import Desk

ALL = """
    sku status unlimited available atp { from units } byLocation { locationCode locationName units }
    nextAvailableAt backorderable preorderReleaseAt
"""
ASK = f"""
query($skus: [String!]!, $channel: String, $to: DestinationInput, $at: DateTime) {{
  availability(skus: $skus, channel: $channel, destination: $to, at: $at) {{ {ALL} }}
}}
"""
CART = """
query($lines: [CartLineInput!]!, $to: DestinationInput) {
  cartAvailability(lines: $lines, channel: "WEB", destination: $to) {
    promisable orderable locationCount
    lines { sku quantity status promised backorderable nextAvailableAt sources { sku locationCode locationName units } }
  }
}
"""


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


async def ask(desk: Desk, *skus: str, channel: str | None = "WEB", **variables: Any) -> list[dict[str, Any]]:
    data = await desk.ask(ASK, skus=list(skus), channel=channel, **variables)
    found: list[dict[str, Any]] = data["availability"]
    return found


async def cart(desk: Desk, *lines: tuple[str, int], **variables: Any) -> dict[str, Any]:
    asked = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    found: dict[str, Any] = (await desk.ask(CART, lines=asked, **variables))["cartAvailability"]
    return found


async def storefront(shop: Shop, channel: str) -> Desk:
    channel_id: UUID = (await shop.one("SELECT id FROM channel WHERE code = :code", code=channel)).id
    scopes = frozenset({"availability:read", "stock:reserve"})
    return Desk(shop, Principal(Kind.STOREFRONT, "client:shop", scopes, channel_id=channel_id))


async def test_answers_come_in_the_order_asked_one_for_each(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    await shop.sku("OLD", active=False)
    await shop.stock("OLD", 5)
    await shop.sku("POST", stock_tracked=False)
    await shop.sku("CUP")
    await shop.sku("JAR", backorder_limit=4)

    found = await ask(desk, "NONE", "MUG", "OLD", "POST", "CUP", "JAR", "MUG", "mug", "M\u0000G")

    assert [(each["sku"], each["status"], each["available"], each["backorderable"]) for each in found] == [
        ("NONE", "UNKNOWN", 0, 0),
        ("MUG", "AVAILABLE", 5, 0),
        ("OLD", "UNKNOWN", 0, 0),
        ("POST", "UNLIMITED", None, 0),
        ("CUP", "OUT_OF_STOCK", 0, 0),
        ("JAR", "BACKORDER", 0, 4),
        ("MUG", "AVAILABLE", 5, 0),
        ("mug", "UNKNOWN", 0, 0),
        ("M\u0000G", "UNKNOWN", 0, 0),
    ]
    assert [each["unlimited"] for each in found].count(True) == 1
    assert found[1] == found[6]


async def test_what_others_were_promised_and_safety_stock_is_off(shop: Shop, desk: Desk) -> None:
    await shop.channel("WEB", safety_stock=2)
    await shop.sku("MUG")
    await shop.stock("MUG", 20)
    await shop.place({"MUG": 3})
    await shop.reserve({"MUG": 4})

    (found,) = await ask(desk, "MUG")

    assert found["available"] == 11
    assert found["byLocation"] == [{"locationCode": "LEEDS", "locationName": "LEEDS", "units": 11}]
    with pytest.raises(Refusal):
        await shop.place({"MUG": 12})
    await shop.place({"MUG": 11})


async def test_the_greater_safety_stock_counts_and_supply_fills_it_first(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 2)
    await shop.channel("WEB", safety_stock=3)
    await shop.execute("UPDATE stock_level SET safety_stock = 5")
    await shop.supply("MUG", 10, due_in=timedelta(days=1))
    await shop.sku("CUP")
    await shop.supply("CUP", 2, due_in=timedelta(days=1))
    await shop.supply("CUP", 2, due_in=timedelta(days=2))

    mug, cup = await ask(desk, "MUG", "CUP")

    assert [step["units"] for step in mug["atp"]] == [0, 7]
    assert mug["nextAvailableAt"] == "2026-03-03T12:00:00Z"
    assert cup["atp"] == [
        {"from": "2026-03-02T12:00:00Z", "units": 0},
        {"from": "2026-03-04T12:00:00Z", "units": 1},
    ]


async def test_supply_is_promised_for_its_date_less_what_is_owed(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG", backorder_limit=10)
    await shop.stock("MUG", 1)
    await shop.supply("MUG", 5, due_in=timedelta(days=1))
    await shop.supply("MUG", 5, due_in=timedelta(days=3))
    await shop.place({"MUG": 8})

    (now,) = await ask(desk, "MUG")
    at = [
        (await ask(desk, "MUG", at=when))[0]["available"]
        for when in ("2020-01-01T00:00:00Z", "2026-03-03T12:00:00Z", "2026-03-05T12:00:00Z", "2027-01-01T00:00:00Z")
    ]

    assert (now["status"], now["available"], now["backorderable"]) == ("BACKORDER", 0, 3)
    assert [step["units"] for step in now["atp"]] == [0, 3]
    assert now["nextAvailableAt"] == "2026-03-05T12:00:00Z"
    assert at == [0, 0, 3, 3]


async def test_locations_come_nearest_first_or_in_the_channels_order(shop: Shop, desk: Desk) -> None:
    await shop.location("LEEDS", latitude=53.8, longitude=-1.55)
    await shop.location("PARIS", country="FR", latitude=48.86, longitude=2.35)
    await shop.location("LYON", country="FR", latitude=45.76, longitude=4.84)
    await shop.channel()
    await shop.sku("MUG")
    for at in ("LEEDS", "PARIS", "LYON"):
        await shop.stock("MUG", 1, at=at)

    async def order(to: dict[str, Any] | None) -> list[str]:
        (found,) = await ask(desk, "MUG", to=to)
        return [each["locationCode"] for each in found["byLocation"]]

    assert await order(None) == ["LEEDS", "PARIS", "LYON"]
    assert await order({"country": "FR", "latitude": 43.3, "longitude": 5.37}) == ["LYON", "PARIS", "LEEDS"]
    assert await order({"country": "FR"}) == ["PARIS", "LYON", "LEEDS"]


async def test_a_bundle_is_promised_as_its_scarcest_part_allows(shop: Shop, desk: Desk) -> None:
    await shop.location("YORK")
    await shop.channel()
    await shop.sku("MUG")
    await shop.sku("CUP", backorder_limit=3)
    await shop.sku("WRAP", stock_tracked=False)
    parts = [{"sku": "MUG", "units": 2}, {"sku": "CUP", "units": 1}, {"sku": "WRAP", "units": 1}]
    await shop.sku("SET", components=parts)
    await shop.sku("AIR", components=[{"sku": "WRAP", "units": 1}])
    for sku, at, units in (("MUG", "LEEDS", 3), ("MUG", "YORK", 6), ("CUP", "LEEDS", 2)):
        await shop.stock(sku, units, at=at)
    await shop.supply("CUP", 9, due_in=timedelta(days=1))

    bundle, air = await ask(desk, "SET", "AIR")

    assert (bundle["status"], bundle["available"], bundle["backorderable"]) == ("AVAILABLE", 2, 2)
    assert [step["units"] for step in bundle["atp"]] == [2, 4]
    assert [(each["locationCode"], each["units"]) for each in bundle["byLocation"]] == [("LEEDS", 1)]
    assert (air["status"], air["unlimited"], air["available"]) == ("UNLIMITED", True, None)
    with pytest.raises(Refusal):
        await shop.place({"SET": 5})
    await shop.place({"SET": 4})


async def test_a_bundle_with_a_part_that_was_withdrawn_is_not_sold(shop: Shop, desk: Desk) -> None:
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 5)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "CUP", "units": 1}])
    await shop.sku("CUP", active=False)

    (bundle,) = await ask(desk, "SET")
    cart = await desk.ask(CART, lines=[{"sku": "SET", "quantity": 1}])
    with pytest.raises(NotFound):
        await shop.reserve({"SET": 1})
    with pytest.raises(SkuNotSellable, match="CUP, a part of the bundle SET, is not active") as refused:
        await shop.place({"SET": 1})

    assert bundle["status"] == "UNKNOWN"
    assert cart["cartAvailability"]["lines"][0]["status"] == "UNKNOWN"
    assert not cart["cartAvailability"]["orderable"]
    assert refused.value.path == ["input", "lines", "0", "sku"]
    assert await shop.rows("SELECT 1 FROM orders") == []


async def test_quantities_beyond_counting_are_answered_or_refused_by_name(shop: Shop, desk: Desk) -> None:
    for at in ("YORK", "HULL"):
        await shop.location(at)
    await shop.channel()
    await shop.sku("SCREW", "0.01", backorder_limit=2**31 - 1)
    await shop.sku("POST", "1.00", stock_tracked=False)
    for at in ("LEEDS", "YORK", "HULL"):
        await shop.stock("SCREW", 1_000_000_000, at=at)
    await shop.sku("CRATE", components=[{"sku": "SCREW", "units": 100_000}])
    await shop.sku("LETTERS", components=[{"sku": "POST", "units": 100_000}])

    (screws,) = await ask(desk, "SCREW")
    assert (screws["available"], screws["atp"][0]["units"], screws["backorderable"]) == ((2**31 - 1,) * 3)
    for sku, part in (("CRATE", "SCREW"), ("LETTERS", "POST")):
        with pytest.raises(ValidationRefused, match=f"10,000,000,000 of {part} are more") as refused:
            await shop.place({sku: 100_000})
        assert refused.value.path == ["input", "lines", "0", "quantity"]
    lines = [{"sku": "CRATE", "quantity": 20_000}, {"sku": "CRATE", "quantity": 20_000}]
    held = await desk.do("stockReserve", "reservation { token }", {"channel": "WEB", "seconds": 60, "lines": lines})
    assert held["userErrors"][0]["path"] == ["input", "lines", "1", "quantity"]
    with pytest.raises(ValidationRefused, match="comes to more than can be counted"):
        await shop.place_lines(*[LineRequest(sku="POST", quantity=1_000_000, unit_price=Decimal(10**9))] * 1_000)


async def test_a_preorder_is_sold_from_its_limit_until_its_release(shop: Shop, desk: Desk) -> None:
    release = shop.clock.now() + timedelta(days=10)
    await shop.sku("NEW", preorder_release_at=release, backorder_limit=3)
    await shop.stock("NEW", 2)
    await shop.supply("NEW", 5, due_in=timedelta(days=20))

    (found,) = await ask(desk, "NEW")

    assert (found["status"], found["available"], found["backorderable"]) == ("PREORDER", 0, 3)
    assert found["preorderReleaseAt"] == "2026-03-12T12:00:00Z" == found["nextAvailableAt"]
    assert [step["units"] for step in found["atp"]] == [0, 2, 7]
    assert found["byLocation"] == []
    shop.clock.advance(timedelta(days=10))
    (released,) = await ask(desk, "NEW")
    assert (released["status"], released["available"], released["preorderReleaseAt"]) == ("AVAILABLE", 2, None)


async def test_a_storefront_needs_no_channel_and_gets_no_other(shop: Shop) -> None:
    await shop.channel("SHOP", locations=[])
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    web, empty = await storefront(shop, "WEB"), await storefront(shop, "SHOP")

    assert (await ask(web, "MUG", channel=None))[0]["available"] == 5
    assert (await ask(web, "MUG"))[0]["available"] == 5
    assert (await ask(empty, "MUG", channel=None))[0]["available"] == 0
    for document, variables in ((ASK, {"skus": ["MUG"]}), (CART, {"lines": [{"sku": "MUG", "quantity": 1}]})):
        problem = await empty.refused(document, channel="WEB", **variables)
        assert isinstance(problem, NotFound)
        assert problem.path == ["channel"]
    unbound = Desk(shop, Principal(Kind.STOREFRONT, "client:x", frozenset({"availability:read"})))
    assert isinstance(await unbound.refused(ASK, skus=["MUG"], channel="WEB"), NotFound)
    await shop.channel("SHOP", active=False)
    assert isinstance(await empty.refused(ASK, skus=["MUG"]), NotFound)


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"skus": []}, ["skus"]),
        ({"skus": ["MUG"] * 251}, ["skus"]),
        ({"channel": None}, ["channel"]),
        ({"channel": "NONE"}, ["channel"]),
        ({"channel": "W\u0000B"}, ["channel"]),
        ({"to": {"latitude": 1.0}}, ["destination"]),
        ({"to": {"latitude": 91.0, "longitude": 0.0}}, ["destination", "latitude"]),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_place(
    desk: Desk, variables: dict[str, Any], path: list[str]
) -> None:
    problem = await desk.refused(ASK, **{"skus": ["MUG"], "channel": "WEB", **variables})

    assert isinstance(problem, ValidationRefused | NotFound)
    assert problem.path == path


async def test_fifty_skus_take_one_statement_as_five_do(shop: Shop, desk: Desk) -> None:
    for at in ("YORK", "HULL", "BATH", "DOVER"):
        await shop.location(at)
    await shop.channel()
    codes = [f"S{n}" for n in range(50)]
    for n, code in enumerate(codes):
        await shop.sku(code)
        await shop.stock(code, n + 1, at=("LEEDS", "YORK", "HULL", "BATH", "DOVER")[n % 5])

    await ask(desk, *codes[:5])
    of_five = desk.statements
    await ask(desk, *codes)
    of_fifty = desk.statements
    await cart(desk, *((code, 1) for code in codes))

    assert (of_five, of_fifty, desk.statements) == (1, 1, 1)


async def test_a_cart_says_for_each_line_what_comes_from_where(shop: Shop, desk: Desk) -> None:
    await shop.location("YORK")
    await shop.channel()
    await shop.sku("MUG")
    await shop.sku("CUP", backorder_limit=2)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 2}, {"sku": "CUP", "units": 1}])
    await shop.sku("POST", stock_tracked=False)
    await shop.stock("MUG", 3)
    await shop.stock("MUG", 4, at="YORK")
    await shop.stock("CUP", 1)

    found = await cart(desk, ("MUG", 2), ("SET", 2), ("POST", 1), ("MUG", 1))

    assert (found["promisable"], found["orderable"], found["locationCount"]) == (False, True, 2)
    assert [(line["sku"], line["status"], line["promised"], line["backorderable"]) for line in found["lines"]] == [
        ("MUG", "PROMISED", 2, 0),
        ("SET", "BACKORDERED", 1, 1),
        ("POST", "PROMISED", 1, 0),
        ("MUG", "PROMISED", 1, 0),
    ]
    units: dict[tuple[str, str], int] = {}
    for source in (source for line in found["lines"] for source in line["sources"]):
        at = source["sku"], source["locationCode"]
        units[at] = units.get(at, 0) + source["units"]
    assert units == {("MUG", "LEEDS"): 3, ("MUG", "YORK"): 4, ("CUP", "LEEDS"): 1}


@pytest.mark.parametrize("units", [4, 5, 7, 8])
async def test_placing_does_what_the_cart_said(shop: Shop, desk: Desk, units: int) -> None:
    await shop.location("YORK")
    await shop.channel()
    await shop.sku("MUG", backorder_limit=3)
    await shop.stock("MUG", 1)
    await shop.stock("MUG", 3, at="YORK")

    said = await cart(desk, ("MUG", units - 1), ("MUG", 1))
    try:
        await shop.place({"MUG": units})
        placed = True
    except Refusal:
        placed = False

    assert said["orderable"] == placed
    assert said["promisable"] == (units <= 4)
    taken = {at: (await shop.level("MUG", at)).allocated for at in ("LEEDS", "YORK")}
    if placed:
        told = dict.fromkeys(taken, 0)
        for line in said["lines"]:
            for source in line["sources"]:
                told[source["locationCode"]] += source["units"]
        assert told == taken


async def test_a_cart_with_what_is_not_sold_cannot_be_ordered(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 1)
    await shop.supply("MUG", 2, due_in=timedelta(days=1))

    found = await cart(desk, ("NONE", 1), ("MUG", 3))

    assert [line["status"] for line in found["lines"]] == ["UNKNOWN", "SHORT"]
    assert (found["promisable"], found["orderable"]) == (False, False)
    assert found["lines"][1]["nextAvailableAt"] == "2026-03-03T12:00:00Z"
    for lines in ([], [{"sku": "MUG", "quantity": 0}], [{"sku": "MUG", "quantity": 1}] * 251):
        problem = await desk.refused(CART, lines=lines)
        assert isinstance(problem, ValidationRefused)
        assert problem.path is not None
        assert problem.path[0] == "lines"


async def test_questions_do_not_wait_for_writers(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    async with shop.database.engine.begin() as writer:
        await writer.exec_driver_sql("UPDATE stock_level SET reserved = 5")
        found = await asyncio.wait_for(ask(desk, "MUG"), 2)
        await writer.rollback()

    assert found[0]["available"] == 5
