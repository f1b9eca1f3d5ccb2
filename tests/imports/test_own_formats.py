"""Orderwire's own formats: every field of the five kinds, rejected rows, and files loaded again."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.imports.formats.orderwire import known
from app.imports.items import Kind
from app.kernel.operator import OperatorProblem
from tests.imports.conftest import Desk, counted


async def furnish(desk: Desk) -> None:
    """A channel WEB in GBP served by LEEDS, with two SKUs and ten of each."""
    await desk.shop.open()
    for code in ("MUG", "TRAY"):
        await desk.shop.sku(code)
        await desk.shop.stock(code, 10)


async def test_skus_from_csv_with_prices_and_components(desk: Desk):
    await desk.shop.open()
    path = desk.write(
        "code,name,weight_grams,hazardous,stock_tracked,backorder_limit,preorder_release_at,prices,components\n"
        "MUG,Mug,300,no,yes,5,,WEB:GBP:7.50;WEB:EUR:9,\n"
        "POST,Postage,,,false,,,,\n"
        "SET,Set of mugs,,,,,2026-12-01T00:00:00Z,WEB:GBP:25,MUG*4;TRAY\n"
        "TRAY,Tray,,,,,,,\n"
    )

    first = await desk.load("skus", path)
    again = await desk.load("skus", path)

    # The set names a tray that comes after it; all are in one batch, so it is there.
    assert counted(first) == {"created": 4}
    assert counted(again) == {"unchanged": 4}
    mug = await desk.shop.one("SELECT weight_grams, hazardous, backorder_limit FROM sku WHERE code = 'MUG'")
    assert tuple(mug) == (300, False, 5)
    prices = await desk.shop.rows("SELECT s.code, currency, amount FROM sku_price p JOIN sku s ON s.id = p.sku_id")
    assert sorted((code, currency, f"{amount:.2f}") for code, currency, amount in prices) == [
        ("MUG", "EUR", "9.00"),
        ("MUG", "GBP", "7.50"),
        ("SET", "GBP", "25.00"),
    ]
    parts = await desk.shop.rows("SELECT s.code, b.units FROM bundle_component b JOIN sku s ON s.id = b.component_id")
    assert sorted(map(tuple, parts)) == [("MUG", 4), ("TRAY", 1)]


async def test_what_is_wrong_is_rejected_by_name_and_the_rest_is_loaded(desk: Desk):
    await desk.shop.open()
    path = desk.write(
        "code,name,weight_grams,prices\n"
        "A,Fine,,\n"
        "B,,,\n"
        "C,Heavy,heavy,\n"
        "D,Cheap,,WEB:GBP:-1\n"
        "E,Unpriced,,NOWHERE:GBP:1\n"
        ",Nameless,,\n"
        "F,Fine too,,WEB:GBP:1.00\n"
    )

    summary = await desk.load("skus", path)

    assert counted(summary) == {"created": 2, "rejected": 5}
    reasons = {row["code"] or "nameless": row["import_reason"] for row in desk.rejects()}
    assert set(reasons) == {"B", "C", "D", "E", "nameless"}
    assert reasons["B"] == "There is no SKU 'B' yet, and a new one needs `name`: give it."
    assert reasons["C"] == "weight_grams is 'heavy': a whole number is wanted."
    assert reasons["D"].startswith("`amount` is -1")
    assert "NOWHERE" in reasons["E"]
    assert reasons["nameless"] == "code is missing: give it."


async def test_columns_that_mean_nothing_are_named(desk: Desk):
    path = desk.write("code,name,wieght_grams,,import_reason\nMUG,Mug,300,,left over\n")

    summary = await desk.load("skus", path)

    assert (counted(summary), summary.unread) == ({"created": 1}, ["wieght_grams"])


@pytest.mark.parametrize("kind", list(Kind))
def test_every_column_that_the_page_names_is_read(kind: Kind):
    page = (Path(__file__).parents[2] / "docs/concepts/import.md").read_text()
    about = page.split(f"**{kind}** — ")[1].split("\n\n")[0]
    in_csv = re.sub(r"\(JSON:[^)]*\)", "", about).split("JSON:")[0]
    codes = [code for code in in_csv.split("`")[1::2] if re.fullmatch(r"[a-z0-9_ \n]+", code)]
    names = {name for code in codes for name in code.split()}

    assert len(names) >= 6
    assert names - known(kind) == set()


async def test_a_code_that_stands_twice_is_loaded_in_the_files_order(desk: Desk):
    summary = await desk.load("skus", desk.write("code,name\nMUG,Old name\nTRAY,Tray\nMUG,New name\n"))

    assert counted(summary) == {"created": 2, "updated": 1}
    assert (await desk.shop.one("SELECT name FROM sku WHERE code = 'MUG'")).name == "New name"


async def test_locations_serve_the_channel_that_is_named(desk: Desk):
    await desk.shop.open()
    path = desk.write(
        "code,name,type,country,latitude,longitude,time_zone,city,postcode,line1,cutoff\n"
        "YORK,York,STORE,GB,53.96,-1.08,Europe/London,York,YO1 7HH,1 Stonegate,16:30\n"
        "PARIS,Paris,STORE,FR,,,Europe/Paris,,,,\n"
    )

    assert counted(await desk.load("locations", path, channel="WEB")) == {"created": 2}
    assert counted(await desk.load("locations", path, channel="WEB")) == {"unchanged": 2}

    serving = await desk.shop.rows(
        "SELECT l.code FROM channel_location cl JOIN location l ON l.id = cl.location_id ORDER BY priority"
    )
    assert [code for (code,) in serving] == ["LEEDS", "YORK", "PARIS"]
    york = await desk.shop.one("SELECT address, cutoff::text FROM location WHERE code = 'YORK'")
    assert york.address == {"lines": ["1 Stonegate"], "city": "York", "region": None, "postcode": "YO1 7HH"}
    assert york.cutoff == "16:30:00"


async def test_customers_from_csv_and_json_are_the_same(desk: Desk):
    path = desk.write(
        "code,name,kind,email,shipping_line1,shipping_city,shipping_country,billing_country,references\n"
        "C1,Ada,PERSON,ada@example.org,1 High St,Leeds,GB,IE,crm=77;erp=A-1\n"
    )
    same = desk.lines(
        [
            {
                "code": "C1",
                "name": "Ada",
                "kind": "PERSON",
                "contacts": [{"kind": "EMAIL", "value": "ada@example.org"}],
                "addresses": [
                    {"kind": "SHIPPING", "lines": ["1 High St"], "city": "Leeds", "country": "GB"},
                    {"kind": "BILLING", "country": "IE"},
                ],
                "references": [{"system": "crm", "external_id": "77"}, {"system": "erp", "external_id": "A-1"}],
            }
        ]
    )

    assert counted(await desk.load("customers", path)) == {"created": 1}
    assert counted(await desk.load("customers", same, "orderwire-jsonl")) == {"unchanged": 1}


async def test_stock_is_set_to_the_files_figures(desk: Desk):
    await furnish(desk)
    await desk.shop.place({"MUG": 4})
    path = desk.write(
        "sku,location,on_hand,safety_stock,reason,reference\n"
        "MUG,LEEDS,7,2,COUNTED,count-17\n"
        "TRAY,LEEDS,10,,,\n"
        "NONE,LEEDS,1,,,\n"
        "MUG,MARS,1,,,\n"
        "MUG,LEEDS,few,,,\n"
    )

    summary = await desk.load("stock", path)

    assert counted(summary) == {"updated": 1, "unchanged": 1, "rejected": 3}
    mug = await desk.shop.level("MUG")
    assert (mug.on_hand, mug.allocated, mug.safety_stock) == (7, 4, 2)
    assert counted(await desk.load("stock", path)) == {"unchanged": 2, "rejected": 3}


async def test_a_figure_that_cannot_be_rejects_its_own_row_and_no_other(desk: Desk):
    await furnish(desk)
    rows = "MUG,LEEDS,10,0\nTRAY,LEEDS,-5,\nBOX,LEEDS,1,\nTRAY,LEEDS,9,-1\n"
    path = desk.write(f"sku,location,on_hand,safety_stock\n{rows}")

    summary = await desk.load("stock", path)

    assert counted(summary) == {"unchanged": 1, "rejected": 3}
    assert sorted(row["import_row"] for row in desk.rejects()) == ["3", "4", "5"]


async def test_an_order_is_found_again_however_its_reference_is_spelled(desk: Desk):
    await furnish(desk)
    line = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}]}
    path = desk.lines([{"external_ref": ref, **line} for ref in (" cafe\u0301 ", "tea", "caf\u00e9") * 4])

    assert counted(await desk.load("orders", path, "orderwire-jsonl")) == {"created": 2, "existing": 10}
    assert counted(await desk.load("orders", path, "orderwire-jsonl")) == {"existing": 12}


NO_ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("customers", {"code": "C", "name": "N", "addresses": [{"kind": "SHIPPING"}]}, "country is missing: give it."),
    ("skus", {"code": "B", "name": "N", "components": [{"sku": "MUG", "units": 0}]}, "`units` is 0: give a whole"),
    ("skus", {"code": "M\0G", "name": "N"}, "code holds the character NUL: remove it."),
    ("skus", {"code": "W", "name": "N", "weight_grams": "1e999999"}, "weight_grams is '1e999999': a whole number"),
    ("skus", {"code": "P", "name": "N", "preorder_release_at": "0001-01-01T00:00:00+14:00"}, "preorder_release_at is"),
    ("stock", {"sku": "MUG", "location": "LEEDS", "on_hand": "1e30"}, "on_hand is '1e30': a whole number"),
    ("orders", {"external_ref": "A\0", "lines": [{"sku": "MUG", "quantity": 1}]}, "external_ref holds the character"),
    ("orders", {"external_ref": "A", "lines": [{"sku": "MUG", "quantity": "1e400"}]}, "quantity is '1e400': a whole"),
    (
        "orders",
        {"external_ref": "A", "expected_total": "1e30", "lines": [{"sku": "MUG", "quantity": 1}]},
        "expected_total is '1e30': a number",
    ),
    (
        "orders",
        {"external_ref": "A", "lines": [{"sku": "MUG", "quantity": 1, "taxes": [{"name": "T", "percent": "1e99"}]}]},
        "percent is '1e99': a number",
    ),
]


@pytest.mark.parametrize(("kind", "row", "reason"), NO_ROWS)
async def test_a_row_that_makes_no_sense_is_rejected_and_ends_nothing(
    desk: Desk, kind: str, row: dict[str, Any], reason: str
):
    await furnish(desk)

    summary = await desk.load(kind, desk.lines([row]), "orderwire-jsonl", channel="WEB")

    assert (counted(summary), summary.problem) == ({"rejected": 1}, None)
    assert desk.rejects()[0]["import_reason"].startswith(reason)


async def test_the_file_itself_is_never_overwritten_with_what_is_rejected(desk: Desk):
    path = desk.write("code,name\nA,\n", "rejects.csv")

    with pytest.raises(OperatorProblem, match="is the file to be imported"):
        await desk.load("skus", path)

    assert path.read_text() == "code,name\nA,\n"


async def test_stock_below_what_is_promised_is_rejected_and_nothing_changes(desk: Desk):
    await furnish(desk)
    await desk.shop.place({"MUG": 4})

    summary = await desk.load("stock", desk.write("sku,location,on_hand\nMUG,LEEDS,3\nTRAY,LEEDS,12\n"))

    assert counted(summary) == {"rejected": 1, "updated": 1}
    assert (await desk.shop.level("MUG")).on_hand == 10
    assert (await desk.shop.level("TRAY")).on_hand == 12


async def test_a_sku_with_stock_that_should_become_a_service_is_rejected_alone(desk: Desk):
    await furnish(desk)
    await desk.shop.sku("POST")

    summary = await desk.load("skus", desk.write("code,stock_tracked\nMUG,no\nPOST,no\n"))

    assert counted(summary) == {"rejected": 1, "updated": 1}
    (row,) = desk.rejects()
    assert (row["code"], row["import_reason"][:28]) == ("MUG", "'MUG' has units in stock: ad")


ORDERS = (
    "external_ref,channel,sku,quantity,unit_price,discount,tax_name,tax_percent,tax_included,placed_at,"
    "shipping_amount,order_discount,shipping_name,shipping_line1,shipping_country,expected_total\n"
    "A-1,WEB,MUG,2,9.99,,VAT,20,yes,2026-01-05T10:00:00+01:00,4.50,1.00,Ada,1 High St,GB,28.47\n"
    "A-1,,TRAY,1,5.00,0.01,VAT,20,yes,,,,,,,\n"
    "A-2,WEB,MUG,1,,,,,,,,,,,,\n"
)


async def test_orders_from_csv_are_grouped_by_their_reference(desk: Desk):
    await furnish(desk)
    path = desk.write(ORDERS)

    assert counted(await desk.load("orders", path)) == {"created": 2}
    assert counted(await desk.load("orders", path)) == {"existing": 2}

    rows = await desk.shop.rows("SELECT external_ref, total_minor, placed_at::text AS at FROM orders ORDER BY 1")
    assert tuple(rows[0]) == ("A-1", 2847, "2026-01-05 09:00:00+00")
    assert rows[1].total_minor == 1000


async def test_orders_from_json_lines(desk: Desk):
    await furnish(desk)
    path = desk.lines(
        [
            {
                "external_ref": "J-1",
                "channel": "WEB",
                "lines": [{"sku": "MUG", "quantity": 3, "unit_price": "1.005", "discounts": [{"amount": "0.01"}]}],
                "shipping_address": {"country": "GB", "lines": ["1 High St"]},
                "expected_total": "3.01",
            },
            {"external_ref": "J-2", "lines": [{"sku": "MUG", "quantity": 1}]},
            {"external_ref": "J-3", "channel": "WEB", "lines": []},
        ]
    )

    summary = await desk.load("orders", path, "orderwire-jsonl")

    assert counted(summary) == {"created": 1, "rejected": 2}
    assert [row["import_reason"] for row in desk.rejects()] == [
        "channel is missing: give the column, or name one channel for all with --channel.",
        "lines is missing: an order needs at least one.",
    ]
    assert [row["import_row"] for row in desk.rejects()] == ["2", "3"]


async def test_orders_that_cannot_be_placed_are_rejected_with_what_the_api_would_say(desk: Desk):
    await furnish(desk)
    path = desk.write(
        "external_ref,channel,sku,quantity,expected_total\n"
        "B-1,WEB,MUG,11,\n"
        "B-2,WEB,NONE,1,\n"
        "B-3,WEB,MUG,1,9.00\n"
        "B-4,NOWHERE,MUG,1,\n"
        "B-5,WEB,MUG,0,\n"
        "B-6,WEB,MUG,1,\n"
        "B-6,WEB,TRAY,1,12\n"
        "B-6,WEB,TRAY,1,13\n"
    )

    summary = await desk.load("orders", path)

    assert counted(summary) == {"rejected": 6}
    reasons = {row["external_ref"]: row["import_reason"] for row in desk.rejects()}
    assert reasons["B-1"].startswith("11 of MUG asked for, 10 can be promised now")
    assert reasons["B-2"].startswith("There is no SKU 'NONE'")
    assert reasons["B-3"].startswith("The order comes to 10.00 GBP")
    assert reasons["B-4"].startswith("There is no channel 'NOWHERE'")
    assert reasons["B-5"].startswith("0 of 'MUG': a quantity lies between 1")
    assert reasons["B-6"] == "expected_total is '12' in one row of the order and '13' in another."
    assert (await desk.shop.one("SELECT count(*) AS n FROM orders")).n == 0


async def test_an_order_that_has_other_lines_now_is_rejected_and_stays_as_it_was(desk: Desk):
    await furnish(desk)
    await desk.load("orders", desk.write("external_ref,sku,quantity\nA,MUG,1\n"), channel="WEB")

    summary = await desk.load("orders", desk.write("external_ref,sku,quantity\nA,MUG,1\nA,TRAY,1\n"), channel="WEB")

    assert counted(summary) == {"rejected": 1}
    assert "exists with 1 lines and 1 units, and here it has 2 lines" in desk.rejects()[0]["import_reason"]
    assert (await desk.shop.one("SELECT count(*) AS n FROM order_line")).n == 1


@pytest.mark.parametrize("kind", ["skus", "locations", "customers", "stock", "orders"])
async def test_a_dry_run_tells_all_and_changes_nothing(desk: Desk, kind: str):
    await furnish(desk)
    path = {
        "skus": desk.write("code,name\nNEW,New\nMUG,Other\nX,\n", "skus.csv"),
        "locations": desk.write("code,name,type,country\nYORK,York,STORE,GB\nLEEDS,,,\nX,,,\n", "locations.csv"),
        "customers": desk.write("code,name,email\nA,Ada,ada@example.org\nB,,\n", "customers.csv"),
        "stock": desk.write("sku,location,on_hand\nMUG,LEEDS,1\nTRAY,LEEDS,10\nX,LEEDS,1\n", "stock.csv"),
        "orders": desk.write("external_ref,sku,quantity\nA,MUG,1\nB,X,1\n", "orders.csv"),
    }[kind]
    before = await state(desk)

    summary = await desk.load(kind, path, dry_run=True, channel="WEB")

    expected = {
        "skus": {"created": 1, "updated": 1, "rejected": 1},
        "locations": {"created": 1, "unchanged": 1, "rejected": 1},
        "customers": {"created": 1, "rejected": 1},
        "stock": {"updated": 1, "unchanged": 1, "rejected": 1},
        "orders": {"created": 1, "rejected": 1},
    }
    assert counted(summary) == expected[kind]
    assert await state(desk) == before


async def state(desk: Desk) -> list[int]:
    tables = (
        "sku",
        "location",
        "channel_location",
        "customer",
        "orders",
        "stock_movement",
        "event_log",
        "idempotency_key",
    )
    return [(await desk.shop.one(f"SELECT count(*) AS n FROM {table}")).n for table in tables]


async def test_a_format_that_holds_no_such_thing_is_refused_in_one_sentence(desk: Desk):
    with pytest.raises(OperatorProblem, match="A file of the format shopify-csv holds orders, not skus"):
        await desk.load("skus", desk.write("x\n"), "shopify-csv")


async def test_an_unknown_channel_is_refused_before_anything_is_read(desk: Desk):
    with pytest.raises(OperatorProblem, match="There is no channel 'NOWHERE'"):
        await desk.load("orders", desk.write("external_ref,sku,quantity\nA,MUG,1\n"), channel="NOWHERE")
