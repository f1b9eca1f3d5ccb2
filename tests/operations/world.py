"""A shop that has `size` of everything a list can hold, for every operation to find something in every list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from babel.core import get_global

import app.catalog.commands as catalog
import app.customers.commands as customers
import app.network.commands as network
from app.auth.states import ClientKind
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta
from app.inventory.states import AdjustmentReason
from app.kernel.db import Database
from app.orders import commands as orders
from app.orders.requests import AddressRequest, DiscountRequest, LineRequest, ShippingRequest, TaxRequest
from app.orders.states import HoldReason
from tests.builders import NOON, Shop
from tests.running import issue

ADA = "ADA"  # the customer who orders
BUNDLE = "A-BUNDLE"  # sorts before all other SKUs
GOODS = "GOODS-01"  # lies everywhere, is sold everywhere, is on its way, and has a long ledger
THIN, THIN_ORDERED = "THIN", "THIN-ORDERED"  # one unit everywhere; Ada has ordered all of the latter
BIG_ORDER = "BIG"  # external reference of the order with many lines, holds, discounts and taxes
PLACE = "PLACE-01"
TAXES_MAX = 20


def many(stem: str, size: int) -> list[str]:
    return [f"{stem}-{number:02}" for number in range(1, size + 1)]


def open_shop(database: Database) -> Shop:
    """A shop of today, so that the API, whose clock runs, finds its reservations open."""
    shop = Shop(database)
    shop.clock.advance(datetime.now(UTC) - NOON)
    return shop


async def furnish(shop: Shop, size: int) -> dict[str, str]:
    """Fill an empty database; the API keys of its callers by kind."""
    await _network(shop, size)
    await _catalog(shop, size)
    await _stock(shop, size)
    await _customers(shop, size)
    await _orders(shop, size)
    channel = (await shop.one("SELECT id FROM channel WHERE code = 'WEB'")).id
    return {
        kind.value: await issue(shop.runner, kind.value, channel_id=channel if kind is ClientKind.STOREFRONT else None)
        for kind in ClientKind
    }


async def _network(shop: Shop, size: int) -> None:
    places = [
        {"code": code, "name": code.title(), "type": "WAREHOUSE", "country": "GB", "latitude": 51.5, "longitude": 0.1}
        | {"address": {"lines": ["1 Dock Road"], "city": "London", "region": None, "postcode": "E1 1AA"}}
        for code in many("PLACE", size)
    ]
    await shop.run(network.upsert_locations, locations=places)
    serving = [{"location": code} for code in many("PLACE", size)]
    await shop.channel(locations=serving, origins=["https://shop.example"], tax_rate_ppm=200_000)
    for code in many("CHANNEL", size - 1):
        await shop.channel(code, locations=serving[:1])


async def _catalog(shop: Shop, size: int) -> None:
    def price(channel: str = "WEB", currency: str = "GBP") -> dict[str, Any]:
        return {"channel": channel, "currency": currency, "amount": Decimal(10)}

    currencies = ["GBP", *sorted(set(get_global("all_currencies")) - {"GBP"})][:size]
    dimensions = {"weight_grams": 300, "length_mm": 100, "width_mm": 80, "height_mm": 90}
    skus = [
        {"code": code, "name": code.title(), "prices": [price()], **dimensions}
        for code in [*many("GOODS", size), THIN, THIN_ORDERED]
    ]
    skus[0]["prices"] += [price(channel) for channel in many("CHANNEL", size - 1)]
    parts = [{"sku": code, "units": 1} for code in many("GOODS", size)]
    prices = [price(currency=currency) for currency in currencies]
    skus.append({"code": BUNDLE, "name": "Everything", "components": parts, "prices": prices})
    await shop.run(catalog.upsert_skus, skus=skus)


async def _stock(shop: Shop, size: int) -> None:
    async def receive(units: int, *keys: tuple[str, str]) -> None:
        changes = [Delta(sku=sku, location=place, units=units) for sku, place in keys]
        await shop.run(inventory.adjust, changes=changes, reason=AdjustmentReason.RECEIVED)

    places = many("PLACE", size)
    await receive(10_000, *((GOODS, place) for place in places[1:]))
    await receive(10_000, *((sku, PLACE) for sku in many("GOODS", size)))
    await receive(1, *((THIN, place) for place in places))
    await receive(1, *((THIN_ORDERED, place) for place in places))
    for _ in range(size):
        await receive(1, (GOODS, PLACE))
    for day in range(1, size + 1):
        await shop.supply(GOODS, 5, due_in=timedelta(days=day), at=PLACE)


async def _customers(shop: Shop, size: int) -> None:
    ada = {
        "addresses": [{"kind": "SHIPPING", "country": "GB", "lines": [f"{n} High Street"]} for n in range(size)],
        "contacts": [{"kind": "EMAIL", "value": f"ada{n}@example.org"} for n in range(size)],
        "references": [{"system": f"crm{n}", "external_id": "7"} for n in range(size)],
    }
    alike = [
        {
            "code": code,
            "name": code.title(),
            "addresses": [{"kind": "SHIPPING", "country": "GB"}],
            "contacts": [{"kind": "EMAIL", "value": f"{code.lower()}@example.org"}],
            "references": [{"system": "crm", "external_id": code}],
        }
        for code in many("OTHER", size - 1)
    ]
    await shop.run(customers.upsert_customers, customers=[{"code": ADA, "name": "Ada", **ada}, *alike])


async def _orders(shop: Shop, size: int) -> None:
    """Small orders first, so that the big one stands on every page of the newest."""
    for code in many("OTHER", size - 1):
        await shop.place({GOODS: 1}, customer=code, shipping_address=AddressRequest(country="GB"))
    for _ in range(size - 1):
        await shop.place({GOODS: 1}, customer=ADA, shipping_address=AddressRequest(country="GB"))
    shop.clock.advance(timedelta(seconds=1))
    big = await _big_order(shop, size)
    for _ in range(size):
        await shop.run(orders.hold, order_id=big, reason=HoldReason.FRAUD, note="Look at it.")


async def _big_order(shop: Shop, size: int) -> UUID:
    taxes = [TaxRequest(name=f"Tax {n}", rate_ppm=10_000, included=True) for n in range(min(size, TAXES_MAX))]
    discounts = [DiscountRequest(amount=Decimal("0.01"), code=f"CODE{n}") for n in range(size)]
    address = AddressRequest(country="GB", name="Ada", lines=["1 High Street"], city="Leeds")
    return await shop.place_lines(
        LineRequest(sku=THIN_ORDERED, quantity=size, discounts=discounts, taxes=taxes),
        *(LineRequest(sku=code, quantity=2, discounts=discounts[:1], taxes=taxes[:1]) for code in many("GOODS", size)),
        external_ref=BIG_ORDER,
        customer=ADA,
        discounts=discounts,
        shipping=ShippingRequest(amount=Decimal(3), taxes=taxes),
        shipping_address=address,
        billing_address=address,
        note="Ring twice.",
    )
