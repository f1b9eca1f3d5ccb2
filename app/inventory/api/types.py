"""Stock, its ledger and what is promised of it, as types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.catalog.api import Sku, sku_of
from app.gql.connections import After, Connection, First
from app.gql.context import Context
from app.gql.direct import Id, InPython, OrNull, Reading, Related, Summed
from app.gql.nodes import Info, Node, global_id, node_type
from app.gql.scalars import Long
from app.gql.scopes import needs, scoped
from app.inventory import queries
from app.inventory.api.enums import AdjustmentReason, AllocationStatus, MovementType, ReservationStatus
from app.inventory.api.pages import page_within
from app.inventory.queries import StockKey
from app.network.api import Channel, Location, location_of


def key_bytes(key: StockKey) -> bytes:
    """The key of a balance, for its id and for cursors."""
    sku, location, owner = key
    return sku.bytes + location.bytes + owner.encode()


def stock_key(raw: bytes) -> StockKey | None:
    """The key of a balance from its bytes, or None where these are none."""
    try:
        return (UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), raw[32:].decode()) if len(raw) >= 32 else None
    except ValueError:
        return None


def _key_of(row: Row[Any]) -> StockKey:
    return row.sku_id, row.location_id, row.owner


@node_type
@scoped("stock:read")
@strawberry.type(
    description="The stock of one SKU at one location that belongs to one owner. `onHand` = `available` + `allocated` +"
    " `reserved` + `damaged` + `qualityControl`, always."
)
class StockLevel(Node):
    key: strawberry.Private[StockKey]
    owner: str | None = strawberry.field(
        description="Who owns the units, where they are on consignment; null for your own."
    )
    on_hand: int = strawberry.field(description="Units that lie there, whatever is promised of them.")
    available: int = strawberry.field(
        description="Units that are promised to nobody and fit for sale. What can be sold of them is less by the safety"
        " stock: ask `availability`."
    )
    allocated: int = strawberry.field(description="Units pinned to orders that have not shipped.")
    reserved: int = strawberry.field(description="Units held for checkouts.")
    damaged: int = strawberry.field(description="Units unfit for sale.")
    quality_control: int = strawberry.field(description="Units that wait to be inspected.")
    safety_stock: int = strawberry.field(
        description="Units to be kept back from sale here. The greater of this and the channel's own counts."
    )
    version: Long = strawberry.field(description="Rises by one with every change.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(metadata=needs("stock:read", "catalog:read"), description="What lies there.")
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.key[0])

    @strawberry.field(metadata=needs("stock:read", "network:read"), description="Where it lies.")
    async def location(self, info: Info) -> Location:
        return await Location.referenced(info.context, self.key[1])

    @strawberry.field(
        description="Units on their way to it: open purchase orders and transfers. They are not part of `onHand`."
    )
    async def incoming(self, info: Info) -> int:
        return await info.context.load(queries.incoming_by_key, self.key) or 0

    @strawberry.field(description="Its ledger, the newest entry first. All entries together make up the figures.")
    async def movements(self, info: Info, first: First = None, after: After = None) -> Connection[StockMovement]:
        async def read(size: int, place: bytes | None) -> Sequence[Row[Any]]:
            before = int.from_bytes(place) if place is not None else None
            return await info.context.load(queries.movements_pages, (self.key, size, before)) or []

        async def count() -> int:
            return await info.context.load(queries.movement_counts, self.key) or 0

        return await page_within(
            info,
            "stock-movements",
            key_bytes(self.key) + b"\0",
            first,
            after,
            read=read,
            place=lambda row: int(row.id).to_bytes(8),
            node=StockMovement.of,
            count=count,
        )

    @classmethod
    def of(cls, row: Row[Any]) -> StockLevel:
        return STOCK_LEVEL.of(row)

    @classmethod
    async def load_by_key(cls, context: Context, key: bytes) -> StockLevel | None:
        found = stock_key(key)
        row = await context.load(queries.levels_by_key, found) if found is not None else None
        return cls.of(row) if row is not None else None


_KEY = InPython(lambda *key: key, "sku_id", "location_id", "owner")
STOCK_LEVEL = Reading(
    StockLevel,
    id=Id("StockLevel", "sku_id", "location_id", "owner"),
    key=_KEY,
    owner=OrNull("owner"),
)
STOCK_LEVEL.link("sku", sku_of("sku_id"))
STOCK_LEVEL.link("location", location_of("location_id"))
STOCK_LEVEL.link("incoming", Summed(queries.INCOMING, queries.INCOMING_ON, only=queries.is_incoming))


@node_type
@scoped("stock:read")
@strawberry.type(description="An entry of the stock ledger. Entries are never changed and never deleted.")
class StockMovement(Node):
    key: strawberry.Private[StockKey]
    type: MovementType = strawberry.field(description="What it stands for.")
    owner: str | None = strawberry.field(description="Who owns the units; null for your own.")
    on_hand_change: int = strawberry.field(description="Units that `onHand` rose by; negative where it fell.")
    allocated_change: int = strawberry.field(description="Units that `allocated` rose by.")
    reserved_change: int = strawberry.field(description="Units that `reserved` rose by.")
    damaged_change: int = strawberry.field(description="Units that `damaged` rose by.")
    quality_control_change: int = strawberry.field(description="Units that `qualityControl` rose by.")
    reason: AdjustmentReason | None = strawberry.field(description="Why, where it was done by hand.")
    reference: str | None = strawberry.field(description="The document or address given as the ground for it.")
    cause_id: UUID = strawberry.field(
        description="What it was part of: the same for all entries of one adjustment, reservation or order."
    )
    actor: str = strawberry.field(description="The caller who did it.")
    occurred_at: datetime = strawberry.field(description="When.")

    @strawberry.field(metadata=needs("stock:read", "catalog:read"), description="What moved.")
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.key[0])

    @strawberry.field(metadata=needs("stock:read", "network:read"), description="Where.")
    async def location(self, info: Info) -> Location:
        return await Location.referenced(info.context, self.key[1])

    @classmethod
    def of(cls, row: Row[Any]) -> StockMovement:
        return STOCK_MOVEMENT.of(row)

    @classmethod
    async def load_by_key(cls, context: Context, key: bytes) -> StockMovement | None:
        number = int.from_bytes(key) if len(key) == 8 else 2**63
        row = await context.load(queries.movements_by_id, number) if number < 2**63 else None
        return cls.of(row) if row is not None else None


_CHANGES = ("on_hand", "allocated", "reserved", "damaged", "quality_control")
STOCK_MOVEMENT = Reading(
    StockMovement,
    id=Id("StockMovement", "id"),
    key=_KEY,
    owner=OrNull("owner"),
    **{f"{units}_change": f"d_{units}" for units in _CHANGES},
)
STOCK_MOVEMENT.link("sku", sku_of("sku_id"))
STOCK_MOVEMENT.link("location", location_of("location_id"))


@scoped("stock:read")
@strawberry.type(description="Units of one order line that are pinned to one stock level until they ship.")
class Allocation:
    key: strawberry.Private[StockKey]
    order_id: strawberry.ID = strawberry.field(description="The order's id.")
    order_line_id: strawberry.ID = strawberry.field(description="The id of the order's line.")
    owner: str | None = strawberry.field(description="Who owns the units; null for your own.")
    units: int = strawberry.field(description="How many.")
    status: AllocationStatus = strawberry.field(description="What became of them.")
    created_at: datetime = strawberry.field(description="When they were pinned.")
    closed_at: datetime | None = strawberry.field(description="When they were shipped or given back.")

    @strawberry.field(metadata=needs("stock:read", "catalog:read"), description="What is pinned.")
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.key[0])

    @strawberry.field(metadata=needs("stock:read", "network:read"), description="Where it lies.")
    async def location(self, info: Info) -> Location:
        return await Location.referenced(info.context, self.key[1])

    @classmethod
    def of(cls, row: Row[Any]) -> Allocation:
        return _ALLOCATION.of(row)


_ALLOCATION = Reading(
    Allocation,
    key=_KEY,
    order_id=Id("Order", "order_id"),
    order_line_id=Id("OrderLine", "order_line_id"),
    owner=OrNull("owner"),
)
_ALLOCATION.link("sku", sku_of("sku_id"))
_ALLOCATION.link("location", location_of("location_id"))


def allocations_of(on: Mapping[str, str]) -> Related:
    """Allocations by their columns that equal those of a visible row, as far as they stand."""
    return Related(_ALLOCATION, queries.ALLOCATIONS, on, order_by=["id"], only=queries.allocation_stands)


@scoped("stock:reserve")
@strawberry.type(description="Units that a reservation holds at one location.")
class ReservationLine:
    key: strawberry.Private[StockKey]
    units: int = strawberry.field(description="How many.")

    @strawberry.field(
        metadata=needs("stock:reserve", "catalog:read"),
        description="What is held. A bundle is held as its parts.",
    )
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.key[0])

    @strawberry.field(metadata=needs("stock:reserve", "network:read"), description="Where it is held.")
    async def location(self, info: Info) -> Location:
        return await Location.referenced(info.context, self.key[1])


@node_type
@scoped("stock:reserve")
@strawberry.type(
    description="Stock held for a checkout until it expires. Whoever has its token may extend it, release it, or place"
    " an order with it."
)
class Reservation(Node):
    uuid: strawberry.Private[UUID]
    channel_uuid: strawberry.Private[UUID]
    token: str | None = strawberry.field(
        description="What proves that it is yours: keep it secret. Null where you came here without it."
    )
    status: ReservationStatus = strawberry.field(
        description="What became of it. EXPIRED from the instant of `expiresAt` on."
    )
    expires_at: datetime = strawberry.field(description="Until then it holds its units.")
    created_at: datetime = strawberry.field(description="When it was made.")
    version: Long = strawberry.field(description="Rises by one with every change.")

    @strawberry.field(
        metadata=needs("stock:reserve", "network:read"), description="The channel whose order may use it."
    )
    async def channel(self, info: Info) -> Channel:
        return await Channel.referenced(info.context, self.channel_uuid)

    @strawberry.field(description="What it holds, or held, by SKU and location.")
    async def lines(self, info: Info) -> list[ReservationLine]:
        rows = await info.context.load(queries.lines_of_reservations, self.uuid) or []
        return [ReservationLine(key=_key_of(row), units=row.units) for row in rows]

    @classmethod
    def of(cls, row: Row[Any], now: datetime, token: str | None) -> Reservation:
        status = ReservationStatus(row.status)
        if status is ReservationStatus.OPEN and row.expires_at <= now:
            status = ReservationStatus.EXPIRED  # the timer has not come by yet
        return cls(
            id=global_id("Reservation", row.id),
            uuid=row.id,
            channel_uuid=row.channel_id,
            token=token,
            status=status,
            expires_at=row.expires_at,
            created_at=row.created_at,
            version=row.version,
        )

    @classmethod
    async def held(cls, context: Context, token: str) -> Reservation | None:
        """The reservation of a token."""
        row = await context.load(queries.reservations_by_token, token)
        return cls.of(row, context.reads.now, token) if row is not None else None

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Reservation | None:
        # All visitors of a shop come with one key: without the token, only staff may look.
        if not context.principal.may("stock:read"):
            return None
        row = await context.load(queries.reservations_by_id, uuid)
        return cls.of(row, context.reads.now, None) if row is not None else None
