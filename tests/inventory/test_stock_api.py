"""Stock by hand through the API: what it does, what it refuses, and that a refusal changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from app.gql.nodes import global_id
from app.kernel.errors import ValidationRefused
from app.kernel.principal import Kind, Principal
from tests.builders import Shop
from tests.inventory.area import Desk

LEVEL = "{ onHand available allocated reserved damaged qualityControl safetyStock version owner }"
LEVELS = f"stockLevels {LEVEL}"


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


def change(sku: str = "MUG", at: str = "LEEDS", **given: Any) -> dict[str, Any]:
    return {"sku": sku, "location": at, **given}


async def test_adjusting_adds_and_takes_and_shows_the_levels_in_the_order_of_the_changes(
    shop: Shop, desk: Desk
) -> None:
    await shop.location("YORK")
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
    changes = [change("MUG", "YORK", units=7), change("CUP", units=2), change("MUG", owner="ACME", units=1)]

    payload = await desk.do("stockAdjust", LEVELS, {"changes": changes, "reason": "RECEIVED", "reference": "GRN-1"})

    assert payload["userErrors"] == []
    assert [(level["onHand"], level["owner"]) for level in payload["stockLevels"]] == [
        (7, None),
        (2, None),
        (1, "ACME"),
    ]
    again = await desk.do("stockAdjust", LEVELS, {"changes": [change(at="YORK", units=-3)], "reason": "LOST"})
    assert again["stockLevels"][0] | {"onHand": 4, "available": 4, "version": 2} == again["stockLevels"][0]


async def test_a_repeated_adjustment_takes_effect_once(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    wanted = {"changes": [change(units=5)], "reason": "FOUND"}

    for _ in range(2):
        assert (await desk.do("stockAdjust", LEVELS, wanted, key="once"))["stockLevels"][0]["onHand"] == 5
    other = await desk.do("stockAdjust", LEVELS, {"changes": [change(units=6)], "reason": "FOUND"}, key="once")

    assert other["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert (await shop.level("MUG")).on_hand == 5


@pytest.mark.parametrize(
    ("mutation", "fields"),
    [
        ("stockAdjust", {"units": 5, "reason": "FOUND"}),
        ("stockSet", {"units": 5, "compareUnits": 2, "reason": "COUNTED"}),
        ("stockMove", {"units": 1, "fromState": "AVAILABLE", "toState": "DAMAGED", "reason": "DAMAGED"}),
        ("stockSafetyStockSet", {"units": 1}),
    ],
)
async def test_a_dry_run_shows_the_effect_and_keeps_nothing(
    shop: Shop, desk: Desk, mutation: str, fields: dict[str, Any]
) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 2)
    before = tuple(await shop.level("MUG"))
    given = dict(fields)
    top = {"reason": given.pop("reason")} if "reason" in given else {}

    payload = await desk.do(mutation, LEVELS, {"changes": [change(**given)], **top}, dryRun=True)

    assert payload["userErrors"] == []
    assert payload["stockLevels"][0]["version"] == 2
    assert tuple(await shop.level("MUG")) == before
    assert (await shop.one("SELECT count(*) AS n FROM event_log WHERE aggregate = 'stock_adjustment'")).n == 1


async def test_setting_needs_the_figure_that_is_there(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 5)
    wanted = [change("CUP", units=3, compareUnits=0), change(units=9, compareUnits=4)]

    refused = await desk.do("stockSet", LEVELS, {"changes": wanted, "reason": "COUNTED"})

    (error,) = refused["userErrors"]
    assert error["__typename"] == "StockCompareFailed"
    assert {key: error[key] for key in ("sku", "location", "expected", "actual", "path")} == {
        "sku": "MUG",
        "location": "LEEDS",
        "expected": 4,
        "actual": 5,
        "path": ["input", "changes", "1"],
    }
    assert refused["stockLevels"] == []
    assert await shop.rows("SELECT 1 FROM stock_level b JOIN sku s ON s.id = b.sku_id WHERE s.code = 'CUP'") == []

    wanted[1]["compareUnits"] = 5
    done = await desk.do("stockSet", LEVELS, {"changes": wanted, "reason": "COUNTED"})
    assert [level["onHand"] for level in done["stockLevels"]] == [3, 9]


async def test_moving_takes_units_out_of_sale_and_back(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    there = change(units=4, fromState="AVAILABLE", toState="QUALITY_CONTROL")

    moved = await desk.do("stockMove", LEVELS, {"changes": [there], "reason": "OTHER"})

    assert (moved["stockLevels"][0]["onHand"], moved["stockLevels"][0]["available"]) == (5, 1)
    too_many = change(units=5, fromState="QUALITY_CONTROL", toState="DAMAGED")
    refused = await desk.do("stockMove", LEVELS, {"changes": [too_many], "reason": "OTHER"})
    (error,) = refused["userErrors"]
    assert (error["code"], error["available"]) == ("STOCK_BELOW_COMMITTED", 4)
    assert error["message"] == "4 of MUG at LEEDS are in quality control: move no more than these from there."
    assert error["path"] == ["input", "changes", "0"]
    unsellable = change(units=2, fromState="AVAILABLE", toState="DAMAGED")
    refused = await desk.do("stockMove", LEVELS, {"changes": [unsellable], "reason": "OTHER"})
    assert "4 in quality control: at most 1 can go" in refused["userErrors"][0]["message"]
    nowhere = change(units=1, fromState="DAMAGED", toState="DAMAGED")
    refused = await desk.do("stockMove", LEVELS, {"changes": [nowhere], "reason": "OTHER"})
    assert refused["userErrors"][0]["path"] == ["input", "changes", "0", "toState"]


async def test_what_is_promised_cannot_be_taken_away(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 10)
    await shop.place({"MUG": 4})
    await shop.reserve({"MUG": 3})

    refused = await desk.do("stockAdjust", LEVELS, {"changes": [change(units=-4)], "reason": "LOST"})

    (error,) = refused["userErrors"]
    assert error["__typename"] == "StockBelowCommitted"
    assert (error["onHand"], error["committed"], error["available"]) == (10, 7, 3)
    assert (await shop.level("MUG")).on_hand == 10


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ([], ["input", "changes"]),
        ([change(units=1)] * 251, ["input", "changes"]),
        ([change(units=1), change(units=2)], ["input", "changes", "1"]),
        ([change(units=0)], ["input", "changes", "0", "units"]),
        ([change("NONE", units=1)], ["input", "changes", "0", "sku"]),
        ([change("POST", units=1)], ["input", "changes", "0", "sku"]),
        ([change(at="NONE", units=1)], ["input", "changes", "0", "location"]),
        ([change(owner="\u0000", units=1)], ["input", "changes", "0", "owner"]),
        ([change("M\u0000G", units=1)], ["input", "changes", "0", "sku"]),
    ],
)
async def test_an_adjustment_that_makes_no_sense_is_refused_by_its_place(
    shop: Shop, desk: Desk, changes: list[dict[str, Any]], path: list[str]
) -> None:
    await shop.sku("MUG")
    await shop.sku("POST", stock_tracked=False)

    refused = await desk.do("stockAdjust", LEVELS, {"changes": changes, "reason": "OTHER"})

    assert refused["userErrors"][0]["path"] == path
    assert await shop.rows("SELECT 1 FROM stock_movement") == []


async def test_no_stock_level_counts_more_than_it_can_hold(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    for _ in range(2):
        await shop.stock("MUG", 1_000_000_000)

    refused = await desk.do("stockAdjust", LEVELS, {"changes": [change(units=1_000_000_000)], "reason": "FOUND"})

    (error,) = refused["userErrors"]
    assert (error["code"], error["path"]) == ("VALIDATION", ["input", "changes"])
    assert "up to 2,147,483,647 units" in error["message"]
    assert (await shop.level("MUG")).on_hand == 2_000_000_000


@pytest.mark.parametrize("field", ["units", "compareUnits"])
@pytest.mark.parametrize("figure", [-1, 1_000_000_001])
async def test_a_figure_that_cannot_be_is_refused_at_its_field(shop: Shop, desk: Desk, field: str, figure: int) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    wanted = change(**{"units": 5, "compareUnits": 5, field: figure})

    refused = await desk.do("stockSet", LEVELS, {"changes": [wanted], "reason": "COUNTED"})

    assert refused["userErrors"][0]["path"] == ["input", "changes", "0", field]


async def test_the_owner_whose_stock_is_short_is_not_guessed(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    changes = [change(units=1), change(units=-1, owner="ACME")]

    refused = await desk.do("stockAdjust", LEVELS, {"changes": changes, "reason": "LOST"})

    assert refused["userErrors"][0]["path"] == ["input", "changes"]


async def test_safety_stock_is_kept_from_sale(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    payload = await desk.do("stockSafetyStockSet", LEVELS, {"changes": [change(units=3)]})

    assert payload["stockLevels"][0]["safetyStock"] == 3
    asked = await desk.ask('{ availability(skus: ["MUG"], channel: "WEB") { available } }')
    assert asked["availability"][0]["available"] == 2
    twice = [change(units=1), change(units=2)]
    refused = await desk.do("stockSafetyStockSet", LEVELS, {"changes": twice})
    assert refused["userErrors"][0]["path"] == ["input", "changes", "1"]


async def test_levels_are_found_by_code_figure_and_owner(shop: Shop, desk: Desk) -> None:
    await shop.location("YORK")
    for sku, units in (("MUG", 5), ("CUP", 20), ("JAR", 50)):
        await shop.sku(sku)
        await shop.stock(sku, units)
    await shop.stock("MUG", 1, at="YORK", owner="ACME")

    async def found(arguments: str) -> list[tuple[str, str]]:
        data = await desk.ask(f"{{ stockLevels({arguments}) {{ nodes {{ sku {{ code }} location {{ code }} }} }} }}")
        return [(node["sku"]["code"], node["location"]["code"]) for node in data["stockLevels"]["nodes"]]

    assert await found('skus: ["MUG", "NONE"]') == [("MUG", "LEEDS"), ("MUG", "YORK")]
    assert await found('skus: ["NONE"]') == []
    assert await found('locations: ["YORK"]') == [("MUG", "YORK")]
    assert await found("where: {available: {range: {gte: 10}}}") == [("CUP", "LEEDS"), ("JAR", "LEEDS")]
    assert await found('where: {owner: {eq: "ACME"}}') == [("MUG", "YORK")]
    assert len(await found("where: {owner: {isNull: true}}")) == 3
    assert await found("orderBy: {field: AVAILABLE, direction: DESC}, first: 1") == [("JAR", "LEEDS")]


async def test_a_level_has_an_id_and_its_ledger_newest_first(shop: Shop, desk: Desk) -> None:
    await shop.location("YORK")
    await shop.sku("MUG")
    for units in (5, 3, -2):
        await shop.stock("MUG", units)
    await shop.supply("MUG", 9, due_in=timedelta(days=1))
    ledger = (
        "movements(first: 2, after: $after) { totalCount nodes { id onHandChange } pageInfo { hasNextPage endCursor } }"
    )
    fetch = (
        f"query($id: ID!, $after: Cursor) {{ node(id: $id) {{ ... on StockLevel {{ onHand incoming {ledger} }} }} }}"
    )
    listed = await desk.ask("{ stockLevels { nodes { id } } }")
    level_id = listed["stockLevels"]["nodes"][0]["id"]

    first = (await desk.ask(fetch, id=level_id))["node"]
    second = (await desk.ask(fetch, id=level_id, after=first["movements"]["pageInfo"]["endCursor"]))["node"]

    assert (first["onHand"], first["incoming"], first["movements"]["totalCount"]) == (6, 9, 3)
    shown = [*first["movements"]["nodes"], *second["movements"]["nodes"]]
    assert [node["onHandChange"] for node in shown] == [-2, 3, 5]
    assert not second["movements"]["pageInfo"]["hasNextPage"]
    entry = await desk.ask(
        "query($id: ID!) { node(id: $id) { id ... on StockMovement { onHandChange } } }", id=shown[0]["id"]
    )
    assert entry["node"] == shown[0]
    await shop.stock("MUG", 1, at="YORK")
    other_id = (await desk.ask('{ stockLevels(locations: ["YORK"]) { nodes { id } } }'))["stockLevels"]["nodes"][0][
        "id"
    ]
    for another, after in ((other_id, first["movements"]["pageInfo"]["endCursor"]), (level_id, level_id)):
        assert isinstance(await desk.refused(fetch, id=another, after=after), ValidationRefused)


@pytest.mark.parametrize("type_", ["StockLevel", "StockMovement", "Reservation"])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 200])
async def test_an_id_that_is_none_finds_nothing(desk: Desk, type_: str, length: int) -> None:
    data = await desk.ask("query($id: ID!) { node(id: $id) { id } }", id=global_id(type_, b"\xff" * length))

    assert data == {"node": None}


async def test_movements_are_listed_newest_first_and_filtered(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 5)
    await shop.stock("CUP", 1)
    await shop.place({"MUG": 2})
    fields = "nodes { type onHandChange allocatedChange reason actor sku { code } }"

    data = await desk.ask(f'{{ stockMovements(skus: ["MUG"]) {{ {fields} }} }}')

    assert [
        (node["type"], node["onHandChange"], node["allocatedChange"]) for node in data["stockMovements"]["nodes"]
    ] == [
        ("ALLOCATE", 0, 2),
        ("ADJUST", 5, 0),
    ]
    received = await desk.ask(f"{{ stockMovements(where: {{reason: {{eq: RECEIVED}}}}) {{ {fields} }} }}")
    assert [node["sku"]["code"] for node in received["stockMovements"]["nodes"]] == ["CUP", "MUG"]


async def test_stock_hangs_on_skus_and_locations(shop: Shop, desk: Desk) -> None:
    for at in ("YORK", "HULL"):
        await shop.location(at)
    await shop.sku("MUG")
    await shop.sku("CUP")
    for at in ("LEEDS", "YORK", "HULL"):
        await shop.stock("MUG", 1, at=at)
    await shop.stock("CUP", 1, at="YORK")
    page = "totalCount nodes { location { code } } pageInfo { hasNextPage endCursor }"
    of_sku = f'query($after: Cursor) {{ sku(code: "MUG") {{ stockLevels(first: 2, after: $after) {{ {page} }} }} }}'

    first = (await desk.ask(of_sku))["sku"]["stockLevels"]
    second = (await desk.ask(of_sku, after=first["pageInfo"]["endCursor"]))["sku"]["stockLevels"]
    at_york = await desk.ask('{ location(code: "YORK") { stockLevels { totalCount nodes { sku { code } } } } }')

    assert first["totalCount"] == 3
    shown = [node["location"]["code"] for node in first["nodes"] + second["nodes"]]
    assert sorted(shown) == ["HULL", "LEEDS", "YORK"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    stock_levels = at_york["location"]["stockLevels"]
    assert (stock_levels["totalCount"], len(stock_levels["nodes"])) == (2, 2)


@pytest.mark.parametrize(
    "document",
    [
        "{ skus(first: %d) { nodes { stockLevels { nodes { incoming movements { totalCount nodes { id } } } } } } }",
        "{ stockLevels(first: %d) { nodes { sku { code } location { code } incoming movements { nodes { id } } } } }",
        "{ stockMovements(first: %d) { nodes { sku { code } location { code } } } }",
        "{ locations(first: %d) { nodes { stockLevels(first: 3) { nodes { sku { code } } } } } }",
    ],
)
async def test_fifty_take_as_many_statements_as_five(shop: Shop, desk: Desk, document: str) -> None:
    for n in range(50):
        await shop.location(f"L{n}")
        await shop.sku(f"S{n}")
        await shop.stock(f"S{n}", n + 1, at=f"L{n}")

    await desk.ask(document % 5)
    of_five = desk.statements
    await desk.ask(document % 50)

    assert desk.statements == of_five > 0


async def test_integrity_reads_every_view_and_shows_what_is_wrong(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    ask = "{ stockIntegrity(rows: 1) { healthy checkedAt checks { name healthy violations rows } } }"

    healthy = (await desk.ask(ask))["stockIntegrity"]
    await shop.execute("UPDATE stock_level SET on_hand = 6")
    broken = (await desk.ask(ask))["stockIntegrity"]
    await shop.execute("UPDATE stock_level SET on_hand = 5")

    assert healthy["healthy"]
    assert len(healthy["checks"]) >= 10
    assert not broken["healthy"]
    (wrong,) = [check for check in broken["checks"] if not check["healthy"]]
    assert (wrong["name"], wrong["violations"]) == ("stock_ledger", 1)
    assert (wrong["rows"][0]["on_hand"], wrong["rows"][0]["ledger_on_hand"]) == (6, 5)
    assert isinstance(await desk.refused("{ stockIntegrity(rows: 101) { healthy } }"), ValidationRefused)


async def test_a_reservation_is_seen_with_its_token_and_without_it_by_staff_only(shop: Shop, desk: Desk) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    token = await shop.reserve({"MUG": 2}, seconds=60)
    by_token = "query($t: String!) { reservation(token: $t) { id token status version lines { units sku { code } } } }"
    by_id = "query($id: ID!) { node(id: $id) { ... on Reservation { token status } } }"

    held = (await desk.ask(by_token, t=token))["reservation"]
    visitor = Desk(shop, Principal(Kind.STOREFRONT, "client:shop", frozenset({"stock:reserve"})))

    assert (held["token"], held["status"]) == (token, "OPEN")
    assert held["lines"] == [{"units": 2, "sku": {"code": "MUG"}}]
    assert (await desk.ask(by_id, id=held["id"]))["node"] == {"token": None, "status": "OPEN"}
    assert (await visitor.ask(by_id, id=held["id"]))["node"] is None
    assert (await desk.ask(by_token, t="guess"))["reservation"] is None
    shop.clock.advance(timedelta(seconds=60))
    assert (await desk.ask(by_token, t=token))["reservation"]["status"] == "EXPIRED"
