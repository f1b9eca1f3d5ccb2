"""Shopify's export of orders: what an order came to there is what it comes to here."""

import csv
import io

import pytest

from app.kernel.operator import OperatorProblem
from tests.imports.conftest import Desk, counted

COLUMNS = [
    "Name",
    "Email",
    "Financial Status",
    "Fulfillment Status",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem sku",
    "Lineitem taxable",
    "Lineitem discount",
    "Shipping Name",
    "Shipping Street",
    "Shipping City",
    "Shipping Zip",
    "Shipping Country",
    "Billing Name",
    "Billing Country",
    "Notes",
    "Cancelled at",
    "Tax 1 Name",
    "Tax 1 Value",
    "Tax 2 Name",
    "Tax 2 Value",
]
HEAD = {"Currency": "GBP", "Created at": "2026-03-02 12:00:00 +0100", "Shipping": "0.00", "Taxes": "0.00"}
MUG = {"Lineitem quantity": "2", "Lineitem price": "9.99", "Lineitem sku": "MUG", "Lineitem name": "Mug"}
TRAY = {"Lineitem quantity": "1", "Lineitem price": "5.00", "Lineitem sku": "TRAY", "Lineitem name": "Tray"}


def export(*rows: dict[str, str]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    await desk.shop.open(tax_rate_ppm=200_000)  # which must not touch what Shopify has taxed
    for code in ("MUG", "TRAY"):
        await desk.shop.sku(code)
        await desk.shop.stock(code, 100)
    return desk


async def totals(desk: Desk) -> tuple[int, ...]:
    """Subtotal, discount, shipping, tax and total of the one order there is."""
    return tuple(
        await desk.shop.one("SELECT subtotal_minor, discount_minor, shipping_minor, tax_minor, total_minor FROM orders")
    )


async def test_an_order_of_several_rows_becomes_one(shop: Desk):
    whole = {
        **HEAD,
        "Name": "#1001",
        "Email": "ada@example.org",
        "Financial Status": "paid",
        "Fulfillment Status": "unfulfilled",
        "Subtotal": "24.98",
        "Shipping": "3.50",
        "Total": "28.48",
        "Shipping Name": "Ada",
        "Shipping Street": "1 High St\nFlat 2",
        "Shipping City": "Leeds",
        "Shipping Zip": "'LS1 1AA",
        "Shipping Country": "GB",
        "Billing Name": "Countess Ada",
        "Billing Country": "IE",
        "Notes": "Ring twice",
    }
    text = export({**whole, **MUG}, {"Name": "#1001", "Email": "ada@example.org", **TRAY})

    summary = await shop.load("orders", shop.write(text), "shopify-csv", channel="WEB")

    assert counted(summary) == {"created": 1}
    assert await totals(shop) == (2498, 0, 350, 0, 2848)
    order = await shop.shop.one("SELECT external_ref, note, placed_at::text AS at, destination_country FROM orders")
    assert tuple(order) == ("#1001", "Ring twice\nShopify: paid, unfulfilled", "2026-03-02 11:00:00+00", "GB")
    places = await shop.shop.rows("SELECT kind, name, lines, postcode, country, email FROM order_address ORDER BY 1")
    assert [tuple(row) for row in places] == [
        ("BILLING", "Countess Ada", [], None, "IE", "ada@example.org"),
        ("SHIPPING", "Ada", ["1 High St", "Flat 2"], "LS1 1AA", "GB", "ada@example.org"),
    ]
    again = await shop.load("orders", shop.write(text), "shopify-csv", channel="WEB")
    assert counted(again) == {"existing": 1}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"Subtotal": "24.98", "Taxes": "5.00", "Total": "29.98"}, (2498, 0, 0, 500, 2998)),
        ({"Subtotal": "24.98", "Taxes": "4.16", "Total": "24.98"}, (2498, 0, 0, 416, 2498)),
        ({"Subtotal": "22.48", "Total": "22.48", "Discount Amount": "2.50"}, (2498, 250, 0, 0, 2248)),
        # Free shipping: the discount names what the shipping would have cost.
        ({"Subtotal": "24.98", "Total": "24.98", "Discount Amount": "4.00"}, (2498, 0, 0, 0, 2498)),
        # A discount of the line, which the order's discount counts too.
        (
            {"Subtotal": "22.98", "Total": "22.98", "Discount Amount": "2.00", "Lineitem discount": "2.00"},
            (2498, 200, 0, 0, 2298),
        ),
        # One of the line and one of the order.
        (
            {"Subtotal": "21.98", "Total": "21.98", "Discount Amount": "1.00", "Lineitem discount": "2.00"},
            (2498, 300, 0, 0, 2198),
        ),
        (
            {
                "Subtotal": "24.98",
                "Taxes": "5.01",
                "Total": "29.99",
                "Tax 1 Name": "State 15%",
                "Tax 1 Value": "3.76",
                "Tax 2 Name": "City 5%",
                "Tax 2 Value": "1.25",
            },
            (2498, 0, 0, 501, 2999),
        ),
    ],
    ids=["tax on top", "tax included", "discount", "free shipping", "line discount", "two discounts", "two taxes"],
)
async def test_totals_agree_to_the_penny(shop: Desk, head: dict[str, str], expected: tuple[int, ...]):
    text = export({**HEAD, "Name": "#1", **MUG, **head}, {"Name": "#1", **TRAY})

    summary = await shop.load("orders", shop.write(text), "shopify-csv", channel="WEB")

    assert summary.reasons == {}
    assert await totals(shop) == expected


async def test_taxes_fall_on_taxable_lines_alone(shop: Desk):
    head = {"Subtotal": "24.98", "Taxes": "4.00", "Total": "28.98", "Tax 1 Name": "VAT 20%", "Tax 1 Value": "4.00"}
    mug, tray = {**MUG, "Lineitem taxable": "true"}, {**TRAY, "Lineitem taxable": "false"}

    await shop.load(
        "orders", shop.write(export({**HEAD, "Name": "#1", **mug, **head}, {"Name": "#1", **tray})), "shopify-csv",
        channel="WEB",
    )  # fmt: skip

    rows = await shop.shop.rows("SELECT sku_code, tax_minor FROM order_line ORDER BY 1")
    assert [tuple(row) for row in rows] == [("MUG", 400), ("TRAY", 0)]
    tax = await shop.shop.one("SELECT name, rate_ppm, included FROM tax_line")
    assert tuple(tax) == ("VAT 20%", 200_000, False)


async def test_orders_whose_totals_do_not_agree_are_rejected(shop: Desk):
    text = export(
        {**HEAD, "Name": "#1", **MUG, "Subtotal": "20.00", "Total": "20.00"},
        {**HEAD, "Name": "#2", **MUG, "Subtotal": "19.98", "Taxes": "2.00", "Total": "21.00"},
        {**HEAD, "Name": "#3", **MUG, "Subtotal": "19.98", "Total": "19.98", "Lineitem sku": ""},
        {"Name": "#4", **MUG},
    )

    summary = await shop.load("orders", shop.write(text), "shopify-csv", channel="WEB")

    assert counted(summary) == {"rejected": 4}
    reasons = {row["Name"]: row["import_reason"] for row in shop.rejects()}
    assert reasons["#1"].startswith("The line items come to 19.98, the subtotal is 20.00 and the discounts are 0")
    assert reasons["#2"].startswith("The subtotal and shipping are 19.98, the taxes 2.00 and the total 21.00")
    assert reasons["#3"] == "Lineitem sku is missing for 'Mug': give the product a SKU in Shopify."
    assert reasons["#4"] == "Currency is missing: give it."


async def test_cancelled_orders_are_set_aside(shop: Desk):
    cancelled = {**HEAD, "Name": "#1", **MUG, "Subtotal": "19.98", "Total": "19.98", "Cancelled at": "2026-03-03"}

    summary = await shop.load("orders", shop.write(export(cancelled)), "shopify-csv", channel="WEB")

    assert counted(summary) == {"aside": 1}
    assert summary.reasons == {"cancelled in Shopify on 2026-03-03: there is nothing left to place": 1}


async def test_the_channel_has_to_be_named(shop: Desk):
    with pytest.raises(OperatorProblem, match="with --channel"):
        await shop.load("orders", shop.write(export()), "shopify-csv")
