"""The demo's shop: two channels, three locations, a few SKUs, two customers. Safe to furnish again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import app.catalog.commands as catalog
import app.customers.commands as customers
import app.network.commands as network
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta
from app.inventory.states import AdjustmentReason
from app.kernel.principal import system
from app.kernel.work import CommandArguments, Runner

DEMO = system(
    "demo",
    *("catalog:write", "network:write", "customers:write", "stock:write", "stock:read", "stock:reserve"),
    *("orders:place", "orders:write", "orders:read", "keys:write", "tokens:create"),
)
CHANNEL, NAME = "WEB", "Demo web shop"
LOCATIONS: list[dict[str, Any]] = [
    {"code": "LEEDS", "name": "Warehouse Leeds", "type": "WAREHOUSE", "latitude": 53.80, "longitude": -1.55},
    {"code": "LONDON", "name": "Store London", "type": "STORE", "latitude": 51.51, "longitude": -0.13},
    {"code": "GLASGOW", "name": "Warehouse Glasgow", "type": "WAREHOUSE", "latitude": 55.86, "longitude": -4.25},
]
SKUS: dict[str, tuple[str, str]] = {
    "MUG-BLUE": ("Blue mug", "8.50"),
    "MUG-RED": ("Red mug", "8.50"),
    "TEAPOT": ("Cast-iron teapot", "39.00"),
    "TEA-EARL": ("Earl Grey, 100 g", "6.20"),
    "TEA-GREEN": ("Sencha, 100 g", "9.80"),
    "SPOON": ("Tea spoon", "2.40"),
    "TRAY": ("Oak tray", "24.00"),
    "TOWEL": ("Linen towel", "11.00"),
}
OPENING_UNITS = 5_000
CUSTOMERS = {"ada": "Ada Lovelace", "grace": "Grace Hopper"}


async def furnish(runner: Runner) -> None:
    """Upsert all of it, and put stock on the shelves once."""
    for location in LOCATIONS:
        given = {**location, "country": "GB", "time_zone": "Europe/London"}
        await _do(runner, network.upsert_location, location=given)
    await _do(
        runner,
        network.upsert_channel,
        channel={
            "code": CHANNEL,
            "name": NAME,
            "kind": "WEBSHOP",
            "currency": "GBP",
            "time_zone": "Europe/London",
            "tax_rate_ppm": 200_000,
            "locations": [
                {"location": location["code"], "priority": n, "safety_stock": 2} for n, location in enumerate(LOCATIONS)
            ],
        },
    )
    for code, (name, price) in SKUS.items():
        prices = [{"channel": CHANNEL, "currency": "GBP", "amount": Decimal(price)}]
        await _do(runner, catalog.upsert_sku, sku={"code": code, "name": name, "prices": prices, "backorder_limit": 10})
    tea_set = [{"sku": "TEAPOT", "units": 1}, {"sku": "MUG-BLUE", "units": 2}, {"sku": "TEA-EARL", "units": 1}]
    prices = [{"channel": CHANNEL, "currency": "GBP", "amount": Decimal("58.00")}]
    await _do(
        runner,
        catalog.upsert_sku,
        sku={"code": "TEA-SET", "name": "Tea set for two", "prices": prices, "components": tea_set},
    )
    for code, name in CUSTOMERS.items():
        await _do(runner, customers.upsert_customer, customer={"code": code, "name": name})
    await restock(runner, "demo-opening", OPENING_UNITS)


async def restock(runner: Runner, key: str, units: int) -> None:
    """Add units of every SKU at every location; once for each key."""
    changes = [Delta(sku=code, location=location["code"], units=units) for code in SKUS for location in LOCATIONS]
    await runner.run(DEMO, inventory.adjust, CommandArguments(key), changes=changes, reason=AdjustmentReason.RECEIVED)


async def _do(runner: Runner, command: Any, **given: Any) -> None:
    await runner.run(DEMO, command, CommandArguments(None), **given)
