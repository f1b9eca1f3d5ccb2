"""The variables that each operation is sent with, in a shop of `size`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from app.gql.nodes import Node, global_id
from app.inventory.api.types import key_bytes
from tests.builders import Shop
from tests.operations.documents import Document
from tests.operations.world import ADA, BIG_ORDER, BUNDLE, GOODS, PLACE, THIN, many

Variables = dict[str, Any]
Build = Callable[["Requests"], Awaitable[Variables | list[Variables]]]

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC).isoformat()
_TABLES = {
    "Order": "orders",
    "OrderLine": "order_line",
    "Sku": "sku",
    "Channel": "channel",
    "Location": "location",
    "Customer": "customer",
    "StockLevel": "stock_level",
    "StockMovement": "stock_movement",
    "Reservation": "reservation",
}

_SENT: dict[str, Build] = {}


class Requests:
    """Looks up what the shop has, and makes what a request needs for itself."""

    def __init__(self, shop: Shop, size: int) -> None:
        self.shop = shop
        self.size = size

    async def of(self, document: Document) -> list[Variables]:
        """One or several sets of variables: several where no one thing has all that the operation shows."""
        given = await _SENT[document.name](self) if document.name in _SENT else self.page(document)
        return [self.fresh_key(document) | variables for variables in (given if isinstance(given, list) else [given])]

    def page(self, document: Document) -> Variables:
        """What a plain list takes: how many."""
        declared = {each.variable.name.value for each in document.operation.variable_definitions or ()}
        return {name: self.size for name in declared if name == "first" or name.endswith("First")}

    @staticmethod
    def fresh_key(document: Document) -> Variables:
        return {"idempotencyKey": str(uuid4())} if document.takes("idempotencyKey") else {}

    async def ids(self, type_: str, sql: str) -> list[str]:
        return [global_id(type_, row.id) for row in await self.shop.rows(sql)]

    async def customer(self, code: str = ADA) -> str:
        return (await self.ids("Customer", f"SELECT id FROM customer WHERE code = '{code}'"))[0]

    async def sku(self, code: str) -> str:
        return (await self.ids("Sku", f"SELECT id FROM sku WHERE code = '{code}'"))[0]

    async def big_order(self) -> Any:
        return await self.shop.one(f"SELECT id, number FROM orders WHERE external_ref = '{BIG_ORDER}'")

    async def new_order(self) -> UUID:
        return await self.shop.place(dict.fromkeys(self.goods, 2))

    async def token(self) -> str:
        """Of a reservation with as many lines as places."""
        return await self.shop.reserve({THIN: self.size})

    async def nodes(self, type_: str) -> list[str]:
        """Ids of this type, the newest first."""
        table = _TABLES[type_]
        rows = await self.shop.rows(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT {self.size}")
        if type_ == "StockLevel":
            return [global_id(type_, key_bytes((row.sku_id, row.location_id, row.owner))) for row in rows]
        return [global_id(type_, row.id.to_bytes(8) if isinstance(row.id, int) else row.id) for row in rows]

    @property
    def goods(self) -> list[str]:
        return many("GOODS", self.size)

    def changes(self, **each: Any) -> list[Variables]:
        """A change for every SKU."""
        return [{"sku": sku, "location": PLACE, **each} for sku in self.goods]


def sent(name: str) -> Callable[[Build], Build]:
    """The function says what the operation of this name is sent with."""

    def keep(build: Build) -> Build:
        _SENT[name] = build
        return build

    return keep


# --- storefront ------------------------------------------------------------------------------------------------------


@sent("storefront/Availability")
async def _availability(new: Requests) -> Variables:
    return {"skus": new.goods, "destination": {"country": "GB"}}


@sent("storefront/CartAvailability")
@sent("storefront/WatchCart")
async def _cart(new: Requests) -> Variables:
    lines = [{"sku": THIN, "quantity": new.size}, *({"sku": sku, "quantity": 1} for sku in new.goods)]
    return {"lines": lines, "destination": {"country": "GB"}}


@sent("storefront/ProductPage")
async def _product(_: Requests) -> Variables:
    return {"code": BUNDLE}


@sent("storefront/StockReserve")
async def _reserve(new: Requests) -> Variables:
    return {"input": {"seconds": 600, "lines": [{"sku": sku, "quantity": 1} for sku in new.goods]}}


@sent("storefront/Reservation")
@sent("dashboard/ReservationDetail")
async def _reservation(new: Requests) -> Variables:
    return {"token": await new.token()}


@sent("storefront/StockReservationExtend")
async def _extend(new: Requests) -> Variables:
    return {"input": {"token": await new.token(), "seconds": 900}}


@sent("storefront/StockReservationRelease")
async def _release(new: Requests) -> Variables:
    return {"input": {"token": await new.token()}}


# --- portal ----------------------------------------------------------------------------------------------------------


@sent("portal/CustomerTokenCreate")
async def _token(new: Requests) -> Variables:
    return {"input": {"customer": await new.customer()}}


@sent("portal/MyProfile")
async def _profile(new: Requests) -> Variables:
    return {"id": await new.customer(), "ordersFirst": new.size}


@sent("portal/MyOrder")
async def _my_order(new: Requests) -> Variables:
    return {"number": (await new.big_order()).number, "linesFirst": new.size}


@sent("portal/FollowMyOrder")
@sent("dashboard/OrderDetail")
async def _order(new: Requests) -> Variables:
    return {"id": global_id("Order", (await new.big_order()).id), "linesFirst": new.size}


# --- dashboard -------------------------------------------------------------------------------------------------------


@sent("dashboard/StockLevelDetail")
async def _level(new: Requests) -> Variables:
    level = await new.shop.level(GOODS, PLACE)
    key = key_bytes((level.sku_id, level.location_id, level.owner))
    return {"id": global_id("StockLevel", key), "movementsFirst": new.size}


@sent("dashboard/StockAdjust")
async def _adjust(new: Requests) -> Variables:
    return {"input": {"reason": "RECEIVED", "reference": "DN-7", "changes": new.changes(units=3)}}


@sent("dashboard/StockSet")
async def _set(new: Requests) -> Variables:
    rows = await new.shop.rows(
        "SELECT s.code, b.on_hand FROM stock_level b JOIN sku s ON s.id = b.sku_id JOIN location l"
        " ON l.id = b.location_id WHERE l.code = :place AND s.code LIKE 'GOODS-%'",
        place=PLACE,
    )
    changes = [
        {"sku": row.code, "location": PLACE, "units": row.on_hand + 1, "compareUnits": row.on_hand} for row in rows
    ]
    return {"input": {"reason": "COUNTED", "changes": changes}}


@sent("dashboard/StockMove")
async def _move(new: Requests) -> Variables:
    return {"input": {"reason": "DAMAGED", "changes": new.changes(units=1, fromState="AVAILABLE", toState="DAMAGED")}}


@sent("dashboard/StockSafetyStockSet")
async def _safety_stock(new: Requests) -> Variables:
    return {"input": {"changes": new.changes(units=2)}}


@sent("dashboard/WatchStock")
async def _watch_stock(new: Requests) -> Variables:
    return {"skus": new.goods, "throttleMs": 0}


@sent("dashboard/SkuDetail")
async def _sku(new: Requests) -> list[Variables]:
    return [{"id": await new.sku(code), "levelsFirst": new.size} for code in (GOODS, BUNDLE)]


def _sku_input(new: Requests, code: str) -> Variables:
    return {
        "code": code,
        "name": "New",
        "prices": [{"channel": channel, "currency": "GBP", "amount": "1.00"} for channel in ("WEB", "CHANNEL-01")],
        "components": [{"sku": sku, "units": 1} for sku in new.goods[:2]],
    }


@sent("dashboard/SkuUpsert")
async def _upsert_sku(new: Requests) -> list[Variables]:
    given = _sku_input(new, "NEW")
    given["prices"] = [
        {"channel": channel, "currency": "GBP", "amount": "1.00"} for channel in ("WEB", *many("CHANNEL", new.size - 1))
    ]
    given["components"] = [{"sku": sku, "units": 1} for sku in new.goods]
    return [{"input": given}, {"input": given | {"name": "Other", "prices": given["prices"][1:]}}]


@sent("dashboard/SkusUpsert")
async def _upsert_skus(new: Requests) -> list[Variables]:
    items = [{"sku": _sku_input(new, code)} for code in many("NEW", new.size)]
    changed = [{"sku": each["sku"] | {"name": "Other", "prices": each["sku"]["prices"][:1]}} for each in items]
    return [{"input": items}, {"input": changed}]


@sent("dashboard/ChannelDetail")
async def _channel(_: Requests) -> Variables:
    return {"code": "WEB"}


@sent("dashboard/ChannelUpsert")
async def _upsert_channel(new: Requests) -> list[Variables]:
    serving = [{"location": place, "priority": 1} for place in many("PLACE", new.size)]
    given = {"code": "NEW", "name": "New", "kind": "B2B", "currency": "GBP", "locations": serving}
    return [{"input": given}, {"input": given | {"locations": serving[::-1], "name": "Other"}}]


@sent("dashboard/LocationDetail")
async def _location(new: Requests) -> Variables:
    return {"code": PLACE, "levelsFirst": new.size}


_NEW_PLACE = {"name": "New", "type": "STORE", "country": "GB", "address": {"lines": ["2 Dock Road"]}}


@sent("dashboard/LocationUpsert")
async def _upsert_location(_: Requests) -> Variables:
    return {"input": {"code": "NEW", **_NEW_PLACE}}


@sent("dashboard/LocationsUpsert")
async def _upsert_locations(new: Requests) -> list[Variables]:
    codes = many("NEW", new.size)
    return [
        {"input": [{"location": {"code": code, **_NEW_PLACE, "name": name}} for code in codes]}
        for name in ("New", "Other")
    ]


@sent("dashboard/CustomerDetail")
async def _customer(new: Requests) -> Variables:
    return {"code": ADA, "ordersFirst": new.size}


@sent("dashboard/Lookup")
async def _lookup(new: Requests) -> list[Variables]:
    """Each type by itself, then one of each together."""
    await new.shop.reserve({THIN: new.size})
    for _ in range(new.size - 1):
        await new.shop.reserve({GOODS: 1})
    of_types = [await new.nodes(type_) for type_ in Node.by_type]
    return [{"ids": ids} for ids in [*of_types, [ids[0] for ids in of_types]]]


# --- partner ---------------------------------------------------------------------------------------------------------


@sent("partner/OrderPlace")
async def _place(new: Requests) -> Variables:
    given = {
        "channel": "WEB",
        "customer": ADA,
        "externalRef": str(uuid4()),
        "lines": [{"sku": sku, "quantity": 2} for sku in new.goods],
        "shippingAddress": {"country": "GB", "lines": ["1 High Street"]},
    }
    return {"input": given, "linesFirst": new.size}


@sent("partner/OrderConfirm")
async def _confirm(new: Requests) -> Variables:
    return {"input": {"order": global_id("Order", await new.new_order())}}


@sent("partner/OrderCancel")
async def _cancel(new: Requests) -> Variables:
    order = await new.new_order()
    lines = await new.ids("OrderLine", f"SELECT id FROM order_line WHERE order_id = '{order}'")
    given = {"order": global_id("Order", order), "reason": "CUSTOMER"}
    return {"input": given | {"lines": [{"line": line, "quantity": 1} for line in lines]}, "linesFirst": new.size}


@sent("partner/OrderHold")
async def _hold(new: Requests) -> Variables:
    return {"input": {"order": global_id("Order", (await new.big_order()).id), "reason": "MANUAL"}}


@sent("partner/OrderHoldRelease")
async def _hold_release(new: Requests) -> Variables:
    order = (await new.big_order()).id
    holds = await new.ids("Hold", f"SELECT id FROM order_hold WHERE order_id = '{order}' AND released_at IS NULL")
    return {"input": {"order": global_id("Order", order), "hold": holds[0]}}


@sent("partner/OrderByReference")
async def _by_reference(_: Requests) -> Variables:
    return {"channel": "WEB", "ref": BIG_ORDER}


@sent("partner/OrderLines")
async def _lines(new: Requests) -> Variables:
    return {"id": global_id("Order", (await new.big_order()).id), "first": new.size}


@sent("partner/FollowOrders")
async def _follow(new: Requests) -> Variables:
    return {"ids": await new.ids("Order", f"SELECT id FROM orders ORDER BY id DESC LIMIT {new.size}")}


@sent("partner/CustomerByReference")
async def _customer_by_reference(_: Requests) -> Variables:
    return {"system": "crm0", "externalId": "7"}


def _customer_input(code: str, parts: int, name: str = "New") -> Variables:
    return {
        "code": code,
        "name": name,
        "addresses": [{"kind": "SHIPPING", "country": "GB", "lines": [f"{n} {name}"]} for n in range(parts)],
        "contacts": [{"kind": "EMAIL", "value": f"{name}{n}@example.org"} for n in range(parts)],
        "references": [{"system": f"{name}{n}", "externalId": code} for n in range(parts)],
    }


@sent("partner/CustomerUpsert")
async def _upsert_customer(new: Requests) -> list[Variables]:
    return [{"input": _customer_input("NEW", new.size, name)} for name in ("New", "Other")]


@sent("partner/CustomersUpsert")
async def _upsert_customers(new: Requests) -> list[Variables]:
    codes = many("NEW", new.size)
    return [{"input": [{"customer": _customer_input(code, 2, name)} for code in codes]} for name in ("New", "Other")]


@sent("partner/CustomerSync")
async def _customers_since(new: Requests) -> Variables:
    return {"since": LONG_AGO, "first": new.size}


@sent("partner/CatalogSync")
async def _catalog_since(new: Requests) -> Variables:
    return {"since": LONG_AGO, "channel": "WEB", "first": new.size}


@sent("partner/Lookup")
async def _look_up(new: Requests) -> Variables:
    return {"id": global_id("Order", (await new.big_order()).id)}
