"""One valid request for every mutation of the schema, and what it takes for it to be valid."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import app.customers.commands as customers
from app.gql.nodes import global_id
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.builders import Shop

Given = dict[str, Any]
Prepare = Callable[["Requests"], Awaitable[Given | list[Given]]]

_ERRORS = "userErrors { code message path }"


class Requests:
    """Builds inputs, each about things of its own, so that the same request has the same effect every time.

    units  on hand of each new SKU
    """

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.units = 10
        self._numbers = itertools.count(1)

    async def sku(self) -> str:
        code = self.fresh()
        await self.shop.sku(code)
        await self.shop.stock(code, self.units)
        return code

    def fresh(self) -> str:
        return f"NEW-{next(self._numbers)}"

    async def order(self) -> str:
        return global_id("Order", await self.shop.place({await self.sku(): 2}))

    async def held_order(self) -> Given:
        order_id = await self.shop.place({await self.sku(): 2})
        result = await self.shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD)
        return {"order": global_id("Order", order_id), "hold": global_id("Hold", UUID(result["holdId"]))}

    async def lines(self) -> list[Given]:
        return [{"sku": await self.sku(), "quantity": 2}]

    async def token(self) -> str:
        return await self.shop.reserve({await self.sku(): 2})

    async def customer(self) -> str:
        row = await self.shop.one("SELECT id FROM customer WHERE code = 'ADA'")
        return global_id("Customer", row.id)


async def _place(new: Requests) -> Given:
    return {"channel": "WEB", "lines": await new.lines()}


async def _sku(new: Requests) -> Given:
    return {"code": new.fresh(), "name": "New", "prices": [{"channel": "WEB", "currency": "GBP", "amount": "1.00"}]}


async def _customer(new: Requests) -> Given:
    return {"code": new.fresh(), "name": "Ada", "addresses": [{"kind": "SHIPPING", "country": "GB"}]}


async def _location(new: Requests) -> Given:
    # Changed rather than created: places to serve from would add up.
    return {"code": "ATTIC", "name": new.fresh()}


async def _channel(new: Requests) -> Given:
    return {"code": "OTHER", "name": new.fresh()}


def _with(name: str, value: Callable[[Requests], Awaitable[Any]], **others: Any) -> Prepare:
    async def prepare(new: Requests) -> Given:
        return {name: await value(new), **others}

    return prepare


def _items(name: str, item: Callable[[Requests], Awaitable[Given]], count: int) -> Prepare:
    async def prepare(new: Requests) -> list[Given]:
        return [{name: await item(new)} for _ in range(count)]

    return prepare


def _change(reason: str | None = "CORRECTION", **given: Any) -> Prepare:
    async def prepare(new: Requests) -> Given:
        change = {"sku": await new.sku(), "location": "LEEDS", **given}
        return {"changes": [change]} | ({"reason": reason} if reason else {})

    return prepare


_ORDER = f"order {{ id number version lifecycle }} {_ERRORS}"
_RESERVATION = f"reservation {{ token status }} {_ERRORS}"
_LEVELS = f"stockLevels {{ onHand allocated reserved }} {_ERRORS}"


def _upserted(name: str) -> str:
    return f"{name} {{ code version }} outcome {_ERRORS}"


def _each_upserted(name: str) -> str:
    return f"results {{ {name} {{ code version }} outcome }} {_ERRORS}"


# By mutation: what it is sent, and what its payload is asked for.
MUTATIONS: dict[str, tuple[Prepare, str]] = {
    "orderPlace": (_place, _ORDER),
    "orderConfirm": (_with("order", Requests.order), _ORDER),
    "orderHold": (_with("order", Requests.order, reason="FRAUD"), _ORDER),
    "orderHoldRelease": (Requests.held_order, _ORDER),
    "orderCancel": (_with("order", Requests.order, reason="CUSTOMER"), _ORDER),
    "stockReserve": (_with("lines", Requests.lines, channel="WEB", seconds=600), _RESERVATION),
    "stockReservationExtend": (_with("token", Requests.token, seconds=900), _RESERVATION),
    "stockReservationRelease": (_with("token", Requests.token), _RESERVATION),
    "stockAdjust": (_change(units=3), _LEVELS),
    "stockSet": (_change(units=7, compareUnits=10), _LEVELS),
    "stockMove": (_change(units=2, fromState="AVAILABLE", toState="DAMAGED"), _LEVELS),
    "stockSafetyStockSet": (_change(reason=None, units=1), _LEVELS),
    "skuUpsert": (_sku, _upserted("sku")),
    "skusUpsert": (_items("sku", _sku, 2), _each_upserted("sku")),
    "customerUpsert": (_customer, _upserted("customer")),
    "customersUpsert": (_items("customer", _customer, 2), _each_upserted("customer")),
    "channelUpsert": (_channel, _upserted("channel")),
    "locationUpsert": (_location, _upserted("location")),
    "locationsUpsert": (_items("location", _location, 1), _each_upserted("location")),
    "customerTokenCreate": (_with("customer", Requests.customer), f"token expiresAt {_ERRORS}"),
}


async def furnish(shop: Shop) -> None:
    """What the requests take for granted."""
    await shop.open()
    await shop.location("ATTIC")
    await shop.channel("OTHER", locations=[])
    await shop.run(customers.upsert_customer, customer={"code": "ADA", "name": "Ada"})
