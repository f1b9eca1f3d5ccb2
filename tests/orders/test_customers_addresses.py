"""An order of a customer goes to the customer's own address where it names none, and is found by their name."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

import app.customers.commands as customers
from app.kernel import search
from app.kernel.db import Reads
from app.kernel.principal import Kind, Principal
from app.orders import commands as orders
from app.orders.models import Order
from app.orders.requests import AddressRequest
from tests.builders import STAFF, Shop

HOME = {
    "kind": "SHIPPING",
    "country": "FR",
    "lines": ["1 rue Royale"],
    "city": "Lille",
    "region": "Nord",
    "postcode": "59000",
    "phone": "+33 3 20 00 00 00",
    "latitude": 50.6,
    "longitude": 3.1,
}
OFFICE = {"kind": "BILLING", "country": "BE", "name": "Accounts", "city": "Gent"}


@pytest.fixture
async def ada(shop: Shop) -> str:
    """A customer with two shipping addresses, the first of them the default, and one for bills."""
    await shop.sku("MUG")
    await shop.stock("MUG", 10)
    other = {"kind": "SHIPPING", "country": "IT", "city": "Roma"}
    await customer(shop, company_name="Engines Ltd", addresses=[other, {**HOME, "is_default": True}, OFFICE])
    return "C-1"


async def customer(shop: Shop, **given: Any) -> None:
    await shop.run(customers.upsert_customer, customer={"code": "C-1", "name": "Ada Lovelace", **given})


async def addresses(shop: Shop) -> dict[str, Any]:
    return {row.kind: row for row in await shop.rows("SELECT * FROM order_address")}


async def test_an_order_that_names_no_address_goes_to_the_customers_default(shop: Shop, ada: str) -> None:
    await shop.place({"MUG": 1}, customer=ada)

    found = await addresses(shop)
    assert tuple(found["SHIPPING"])[2:] == (
        *("Ada Lovelace", "Engines Ltd", ["1 rue Royale"], "Lille", "Nord", "59000", "FR", "+33320000000", None),
        *(50.6, 3.1),
    )
    assert (found["BILLING"].name, found["BILLING"].company, found["BILLING"].country) == ("Accounts", None, "BE")
    assert (await shop.one("SELECT destination_country FROM orders")).destination_country == "FR"


async def test_an_address_that_the_order_names_comes_first(shop: Shop, ada: str) -> None:
    await shop.place({"MUG": 1}, customer=ada, shipping_address=AddressRequest(country="GB", city="York"))

    found = await addresses(shop)
    assert (found["SHIPPING"].city, found["SHIPPING"].name) == ("York", None)
    assert found["BILLING"].city == "Gent"


async def test_a_customer_without_addresses_orders_as_before_and_a_guest_too(shop: Shop, ada: str) -> None:
    await customer(shop, addresses=[])

    await shop.place({"MUG": 1}, customer=ada)
    await shop.place({"MUG": 1})

    assert await addresses(shop) == {}


async def test_the_order_keeps_the_address_it_was_placed_with(shop: Shop, ada: str) -> None:
    await shop.place({"MUG": 1}, customer=ada)

    await customer(shop, addresses=[{**HOME, "city": "Paris"}])

    assert (await addresses(shop))["SHIPPING"].city == "Lille"


async def test_units_come_from_the_location_nearest_to_the_customer(shop: Shop, ada: str) -> None:
    await shop.location("CALAIS", country="FR", latitude=50.9, longitude=1.9)
    await shop.location("LEEDS", latitude=53.8, longitude=-1.5)
    await shop.channel()
    await shop.stock("MUG", 10, at="CALAIS")

    await shop.place({"MUG": 1}, customer=ada)
    await shop.place({"MUG": 1})

    taken = await shop.rows("SELECT l.code FROM allocation a JOIN location l ON l.id = a.location_id ORDER BY a.id")
    assert [row.code for row in taken] == ["CALAIS", "LEEDS"]


async def test_who_may_not_read_customers_does_not_read_their_addresses_in_orders(shop: Shop, ada: str) -> None:
    scopes = STAFF.scopes - {"customers:read"}
    blind = Principal(kind=Kind.SERVICE, id="client:blind", scopes=scopes)

    await shop.run(orders.place, principal=blind, order=shop.order({"MUG": 1}, customer=ada))

    assert await addresses(shop) == {}


async def test_an_order_is_found_by_the_customers_name(shop: Shop, ada: str) -> None:
    await customer(shop, addresses=[])
    order_id = await shop.place({"MUG": 1}, customer=ada)
    await shop.place({"MUG": 1})

    for words in ("ada", "Lovelace", "engines"):
        assert await found_by(shop.reads, words) == [order_id], words


async def found_by(reads: Reads, words: str) -> list[UUID]:
    rows = await reads.all(select(Order.id).where(search.found(Order.search.expression, words)))
    return [row.id for row in rows]
