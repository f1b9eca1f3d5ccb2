"""SKUs are listed in pages, filtered, searched and sorted, by those who may see them."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from app.catalog import commands
from app.catalog.models import Sku
from app.catalog.queries import SKUS
from app.kernel.db import StatementCount, statements
from app.kernel.errors import ValidationRefused
from app.kernel.filters import Eq, Or, Prefix
from app.kernel.pagination import PageArguments
from tests.assortment import STAFF, Assortment, customer, partner, storefront

NAMES = """
query Names($search: String, $where: SkuWhere, $orderBy: SkuOrderBy) {
  skus(first: 100, search: $search, where: $where, orderBy: $orderBy) { nodes { code } totalCount }
}
"""


async def a_thousand(shop: Assortment) -> None:
    """1,000 SKUs whose weights repeat, some without one, and whose codes are no order of anything else."""
    skus = [
        {"code": f"S{(i * 37) % 1000:04}", "name": f"Thing {i % 10}", "weight_grams": i % 7 or None}
        for i in range(1000)
    ]
    for start in range(0, 1000, 250):
        await shop.run(commands.upsert_skus, skus=skus[start : start + 250])


async def walk(shop: Assortment, order_by: str, *, descending: bool, backwards: bool, size: int) -> list[str]:
    """All codes, page by page."""
    codes: list[str] = []
    cursor = None
    while True:
        arguments = PageArguments(last=size, before=cursor) if backwards else PageArguments(first=size, after=cursor)
        page = await SKUS.page(shop.reads(), shop.signer, arguments, order_by=order_by, descending=descending)
        rows = [row.code for row in page.rows]
        codes = rows + codes if backwards else codes + rows
        if not (page.has_previous if backwards else page.has_next):
            return codes
        assert len(rows) == size
        assert len(codes) <= 1000
        cursor = page.cursors[0] if backwards else page.cursors[-1]


async def test_paging_over_a_thousand_rows_gives_each_once_in_order_both_ways(shop):
    await a_thousand(shop)
    for order_by, key in (("CODE", Sku.code), ("NAME", Sku.name_key), ("WEIGHT_GRAMS", Sku.weight_grams)):
        for descending in (False, True):
            terms = [key.desc(), Sku.id.desc()] if descending else [key, Sku.id]
            whole = [row.code for row in await shop.reads().all(select(Sku.code).order_by(*terms))]
            for backwards in (False, True):
                paged = await walk(shop, order_by, descending=descending, backwards=backwards, size=83)
                assert paged == whole, (order_by, descending, backwards)


async def test_a_page_between_two_cursors_holds_what_lies_between(shop):
    for code in "ABCDEF":
        await shop.sku(code)
    whole = await SKUS.page(shop.reads(), shop.signer, PageArguments())

    between = PageArguments(first=2, after=whole.cursors[0], before=whole.cursors[4])
    page = await SKUS.page(shop.reads(), shop.signer, between)

    assert [row.code for row in page.rows] == ["B", "C"]
    assert page.has_next
    assert page.has_previous


async def test_rows_that_come_and_go_do_not_move_a_page(shop):
    for code in "ADG":
        await shop.sku(code)
    first = await SKUS.page(shop.reads(), shop.signer, PageArguments(first=2))

    await shop.sku("B")
    await shop.sku("E")
    second = await SKUS.page(shop.reads(), shop.signer, PageArguments(first=2, after=first.cursors[-1]))

    assert [row.code for row in second.rows] == ["E", "G"]


async def test_a_cursor_is_good_for_its_list_order_filter_and_caller_only(shop):
    web = await shop.channel()
    await shop.sku("A")
    await shop.sku("B")
    document = """
    query Page($after: Cursor, $where: SkuWhere, $orderBy: SkuOrderBy, $search: String) {
      skus(first: 1, after: $after, where: $where, orderBy: $orderBy, search: $search) { pageInfo { endCursor } }
    }
    """
    cursor = (await shop.ask(document))["skus"]["pageInfo"]["endCursor"]

    assert (await shop.ask(document, after=cursor))["skus"]["pageInfo"]["endCursor"] != cursor
    for by, change in [
        (STAFF, {"where": {"code": {"startsWith": "A"}}}),
        (STAFF, {"orderBy": {"field": "NAME"}}),
        (STAFF, {"orderBy": {"field": "CODE", "direction": "DESC"}}),
        (STAFF, {"search": "A"}),
        (partner(web["id"]), {}),
    ]:
        result = await shop.execute(document, by, after=cursor, **change)
        assert "cursor of another" in result.errors[0].message
    locations = await shop.execute("query($after: Cursor) { locations(after: $after) { nodes { id } } }", after=cursor)
    assert "cursor of another list" in locations.errors[0].message


async def test_where_search_and_order_work_together(shop):
    await shop.sku("MUG-BLUE", name="Blue mug", weight_grams=300)
    await shop.sku("MUG-RED", name="Red mug")
    await shop.sku("PLATE", name="blue plate", weight_grams=500, hazardous=True)

    async def codes(**given: object) -> list[str]:
        found = (await shop.ask(NAMES, **given))["skus"]
        assert found["totalCount"] == len(found["nodes"])
        return [each["code"] for each in found["nodes"]]

    assert await codes(where={"code": {"startsWith": "MUG-"}}) == ["MUG-BLUE", "MUG-RED"]
    assert await codes(where={"NOT": {"weightGrams": {"range": {"lt": 400}}}}) == ["MUG-RED", "PLATE"]
    assert await codes(where={"OR": [{"weightGrams": {"isNull": True}}, {"hazardous": {"eq": True}}]}) == [
        "MUG-RED",
        "PLATE",
    ]
    assert await codes(search="blue") == ["MUG-BLUE", "PLATE"]
    assert await codes(search="blue", where={"code": {"oneOf": ["PLATE", "MUG-RED"]}}) == ["PLATE"]
    assert await codes(orderBy={"field": "NAME"}) == ["MUG-BLUE", "PLATE", "MUG-RED"]
    assert await codes(orderBy={"field": "WEIGHT_GRAMS", "direction": "DESC"}) == ["MUG-RED", "PLATE", "MUG-BLUE"]
    assert await codes(where={"code": {"oneOf": []}}) == []


SEARCHES = [
    ("mug-bl", ["MUG-BLUE/2"]),
    ("BLUE", ["MUG-BLUE/2", "TASSE"]),
    ("2", ["MUG-BLUE/2"]),
    ("400638", ["TASSE"]),
    ("kaffee", ["TASSE"]),
    ("cafe creme", ["TASSE"]),
    ("Café CRÈ", ["TASSE"]),
    ("strasse", ["ROAD"]),
    ("ﬁre", ["ROAD"]),
    ("ばら", ["ROSE"]),
    ("😀", ["ROSE"]),
    ("blue rose", []),
    ("it's \\ & | ! :* (", []),
    ("o'neill", ["ROAD"]),
    ("  ", ["MUG-BLUE/2", "ROAD", "ROSE", "TASSE"]),
]


async def test_search_finds_beginnings_of_words_in_any_script(shop):
    await shop.sku("MUG-BLUE/2", name="Mug")
    await shop.sku("TASSE", name="Kaffeetasse Café-Crème blue", barcode="4006381333931")
    await shop.sku("ROSE", name="ばらの花 😀")
    await shop.sku("ROAD", name="Straße fire O'Neill")

    for search, codes in SEARCHES:
        found = (await shop.ask(NAMES, search=search))["skus"]["nodes"]
        assert [each["code"] for each in found] == codes, search


async def test_a_search_too_long_is_refused(shop):
    for search in ("x" * 201, "a " * 11, "a\0"):
        assert (await shop.execute(NAMES, search=search)).errors[0].message.startswith("`search` takes")


async def test_a_storefront_and_a_customer_see_active_skus_whatever_they_filter(shop):
    web = await shop.channel()
    await shop.sku("OLD", active=False)
    new = await shop.sku("NEW")
    everything = {"OR": [{"active": {"eq": False}}, {"code": {"startsWith": ""}}]}
    for by in (storefront(web["id"]), customer(new["id"])):
        assert (await shop.ask(NAMES, by, where=everything))["skus"]["nodes"] == [{"code": "NEW"}]
        assert (await shop.ask('{ sku(code: "OLD") { id } }', by))["sku"] is None
        assert (await shop.ask(NAMES, by, search="old"))["skus"]["totalCount"] == 0
    old = (await shop.ask('{ sku(code: "OLD") { id } }'))["sku"]["id"]
    look = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert (await shop.ask(look, storefront(web["id"]), ids=[old, "x", ""]))["nodes"] == [None, None, None]
    assert (await shop.ask(look, ids=[old]))["nodes"] == [{"id": old}]


async def test_prices_of_other_channels_are_not_shown_to_a_bound_key(shop):
    web, b2b = await shop.channel("WEB"), await shop.channel("B2B")
    price = [{"channel": code, "currency": "EUR", "amount": amount} for code, amount in (("WEB", 2), ("B2B", 1))]
    await shop.sku("MUG", prices=[each | {"amount": Decimal(each["amount"])} for each in price])
    document = '{ sku(code: "MUG") { prices { channelCode amount currencyCode channel { code } } } }'

    shown = (await shop.ask(document, storefront(web["id"])))["sku"]["prices"]

    assert shown == [{"channelCode": "WEB", "amount": "2", "currencyCode": "EUR", "channel": {"code": "WEB"}}]
    assert len((await shop.ask(document))["sku"]["prices"]) == 2
    assert (await shop.ask(document, partner(b2b["id"])))["sku"]["prices"][0]["channelCode"] == "B2B"


async def test_a_list_takes_as_many_statements_for_fifty_as_for_five(shop):
    await shop.channel()
    await shop.run(commands.upsert_skus, skus=[{"code": f"P{i}", "name": "Part"} for i in range(60)])
    await shop.run(
        commands.upsert_skus,
        skus=[{"code": f"B{i:02}", "name": "Box", "components": [{"sku": f"P{i}", "units": 2}]} for i in range(50)],
    )
    document = """query($first: Int) { skus(first: $first, where: {isBundle: {eq: true}}) {
      nodes { code prices { amount channel { code } } components { units sku { code prices { amount } } } } totalCount
    } }"""
    taken = []
    for first in (5, 50):
        statements.set(count := StatementCount())
        assert len((await shop.ask(document, first=first))["skus"]["nodes"]) == first
        taken.append(count.value)

    assert taken[0] == taken[1] <= 6


async def test_facts_for_placing_hold_what_was_asked_and_the_parts_of_bundles(shop):
    web = await shop.channel()
    price = [{"channel": "WEB", "currency": "EUR", "amount": Decimal("0.0125")}]
    await shop.sku("MUG", prices=price, weight_grams=300)
    await shop.sku("WRAP", stock_tracked=False)
    await shop.sku("BOX", components=[{"sku": "MUG", "units": 2}, {"sku": "WRAP", "units": 1}])

    facts = await shop.reads().value(
        "SELECT catalog_sku_facts($1, $2, $3)", web["id"], "EUR", ["BOX", "MUG", "BOX", "NONE"]
    )

    by_code = {each["code"]: each for each in facts}
    assert sorted(each["code"] for each in facts) == ["BOX", "MUG", "WRAP"]
    assert [(each["code"], each["units"]) for each in by_code["BOX"]["components"]] == [("MUG", 2), ("WRAP", 1)]
    assert by_code["MUG"]["price"] == "0.0125"
    assert by_code["BOX"]["price"] is None
    assert by_code["WRAP"]["stockTracked"] is False
    assert await shop.reads().value("SELECT catalog_sku_facts($1, $2, $3)", web["id"], "EUR", ["mug"]) == []


async def test_a_filter_on_codes_and_a_search_use_their_indexes(shop):
    await a_thousand(shop)
    await shop.database.call("ANALYZE sku")

    async def plan(**given: object) -> str:
        statement = SKUS.selecting(STAFF, given.get("where"), given.get("search"))  # type: ignore[arg-type]
        compiled = statement.compile(dialect=shop.database.engine.dialect)
        values = tuple(compiled.params[name] for name in compiled.positiontup or ())
        async with shop.database.engine.begin() as connection:
            # A thousand rows are read sooner than any index; what counts is that an index could be used.
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            rows = (await connection.exec_driver_sql(f"EXPLAIN {compiled}", values)).all()
        return "\n".join(row[0] for row in rows)

    assert "uq_sku_code" in await plan(where=Eq("code", "S0001"))
    assert "uq_sku_code" in await plan(where=Prefix("code", "S000"))
    assert "ix_sku_search" in await plan(search="S0001")
    assert "Seq Scan" not in await plan(where=Or((Eq("code", "S0001"), Prefix("code", "S002"))))


async def test_a_page_size_out_of_bounds_is_refused(shop):
    with pytest.raises(ValidationRefused, match="between 1 and 100"):
        await SKUS.page(shop.reads(), shop.signer, PageArguments(first=101))
