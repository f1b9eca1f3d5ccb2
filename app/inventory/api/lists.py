"""Stock looked up and listed, and the proof that it adds up."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from sqlalchemy import Row
from strawberry.scalars import JSON

from app.catalog.api import Sku
from app.gql.connections import (
    After,
    Before,
    Connection,
    First,
    Info,
    Last,
    OrderBy,
    OrderDirection,
    PageArguments,
    connect,
)
from app.gql.direct import Paged, answers_directly
from app.gql.scopes import contribute, needs, scoped
from app.gql.where import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    IntFilter,
    StringFilter,
    condition,
    either,
    every,
    neither,
)
from app.inventory import integrity, queries
from app.inventory.api.enums import AdjustmentReason, MovementType
from app.inventory.api.pages import page_within
from app.inventory.api.types import (
    STOCK_LEVEL,
    STOCK_MOVEMENT,
    Reservation,
    StockLevel,
    StockMovement,
    key_bytes,
    stock_key,
)
from app.kernel.errors import ValidationRefused
from app.kernel.texts import spelled
from app.network.api import Location

ROWS_MAX = 100


@strawberry.input(description="Which stock levels to list; all that is given must hold.")
class StockLevelWhere:
    sku_id: IdFilter | None = condition("By SKU.", node="Sku")
    location_id: IdFilter | None = condition("By location.", node="Location")
    owner: StringFilter | None = condition("By owner; `isNull` finds your own stock.")
    on_hand: IntFilter | None = condition("By units on hand.")
    available: IntFilter | None = condition("By units that are promised to nobody and fit for sale.")
    allocated: IntFilter | None = condition("By units pinned to orders.")
    reserved: IntFilter | None = condition("By units held for checkouts.")
    damaged: IntFilter | None = condition("By units unfit for sale.")
    quality_control: IntFilter | None = condition("By units that wait to be inspected.")
    safety_stock: IntFilter | None = condition("By its own safety stock.")
    updated_at: DateTimeFilter | None = condition("By when it last changed.")
    all_of: list[StockLevelWhere] | None = every()
    any_of: list[StockLevelWhere] | None = either()
    none_of: StockLevelWhere | None = neither()


@strawberry.input(description="Which entries of the ledger to list; all that is given must hold.")
class StockMovementWhere:
    sku_id: IdFilter | None = condition("By SKU.", node="Sku")
    location_id: IdFilter | None = condition("By location.", node="Location")
    owner: StringFilter | None = condition("By owner; `isNull` finds your own stock.")
    type: EnumFilter[MovementType] | None = condition("By what it stands for.")
    reason: EnumFilter[AdjustmentReason] | None = condition("By the reason of a change by hand.")
    reference: StringFilter | None = condition("By the reference of a change by hand.")
    occurred_at: DateTimeFilter | None = condition("By when.")
    all_of: list[StockMovementWhere] | None = every()
    any_of: list[StockMovementWhere] | None = either()
    none_of: StockMovementWhere | None = neither()


@strawberry.enum(description="What stock levels can be sorted by.")
class StockLevelOrder(enum.Enum):
    SKU = strawberry.enum_value("SKU", description="By SKU in the order in which SKUs were created, then by location.")
    AVAILABLE = strawberry.enum_value("AVAILABLE", description="Units promised to nobody and fit for sale.")
    ON_HAND = strawberry.enum_value("ON_HAND", description="Units on hand.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")


class _MovementOrder(enum.Enum):
    WRITTEN = "WRITTEN"


_NEWEST_FIRST = OrderBy(field=_MovementOrder.WRITTEN, direction=OrderDirection.DESC)

SkuCodes = Annotated[list[str] | None, strawberry.argument(description="Only of the SKUs with these codes, up to 250.")]
LocationCodes = Annotated[
    list[str] | None, strawberry.argument(description="Only at the locations with these codes, up to 250.")
]


@scoped("integrity:read")
@strawberry.type(description="Something that must always hold, and whether it does.")
class IntegrityCheck:
    name: str = strawberry.field(description="Which one, such as `stock_ledger`: balances equal their ledger.")
    healthy: bool = strawberry.field(description="Whether it holds.")
    violations: int = strawberry.field(description="Rows that say it does not. Counting stops at 10,000.")
    rows: list[JSON] = strawberry.field(description="The first of these rows, as they are.")


@scoped("integrity:read")
@strawberry.type(description="Whether stock, orders and their history agree with one another.")
class IntegrityReport:
    healthy: bool = strawberry.field(description="Whether everything holds.")
    checked_at: datetime = strawberry.field(description="When it was looked at.")
    checks: list[IntegrityCheck] = strawberry.field(description="One for each thing that must hold, by name.")


@strawberry.type
class InventoryQuery:
    """Stock, for the root of queries."""

    @strawberry.field(
        metadata=needs("stock:read"),
        description="Stock levels, by SKU unless you say otherwise. Codes that do not exist find nothing.",
    )
    async def stock_levels(
        self,
        info: Info,
        skus: SkuCodes = None,
        locations: LocationCodes = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[
            StockLevelWhere | None, strawberry.argument(description="Only stock levels like this.")
        ] = None,
        order_by: Annotated[
            OrderBy[StockLevelOrder] | None, strawberry.argument(description="How to sort; by SKU if not given.")
        ] = None,
    ) -> Connection[StockLevel]:
        page, codes = PageArguments(first, after, last, before), {"skus": skus, "locations": locations}
        return await connect(
            info, queries.STOCK_LEVELS, StockLevel.of, page, where=where, codes=codes, order_by=order_by
        )

    @strawberry.field(
        metadata=needs("stock:read"),
        description="Entries of the stock ledger, the newest first. Codes that do not exist find nothing.",
    )
    async def stock_movements(
        self,
        info: Info,
        skus: SkuCodes = None,
        locations: LocationCodes = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[StockMovementWhere | None, strawberry.argument(description="Only entries like this.")] = None,
    ) -> Connection[StockMovement]:
        page, codes = PageArguments(first, after, last, before), {"skus": skus, "locations": locations}
        return await connect(
            info, queries.STOCK_MOVEMENTS, StockMovement.of, page, where=where, codes=codes, order_by=_NEWEST_FIRST
        )

    @strawberry.field(
        metadata=needs("stock:reserve"),
        description="The reservation of a token; null where there is none in a channel that you may use.",
    )
    async def reservation(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The token that `stockReserve` gave.")],
    ) -> Reservation | None:
        return await Reservation.held(info.context, spelled(token))

    @strawberry.field(
        metadata=needs("integrity:read"),
        description="Whether everything that must hold does hold: balances equal their ledger, allocations their"
        " orders, totals their lines. It reads whole tables: ask now and then, not all the time.",
    )
    async def stock_integrity(
        self,
        info: Info,
        rows: Annotated[
            int,
            strawberry.argument(
                description="Up to how many violating rows to show of each, 0 to 100; none to keys bound to a channel."
            ),
        ] = 10,
    ) -> IntegrityReport:
        if not 0 <= rows <= ROWS_MAX:
            raise ValidationRefused(f"`rows` lies between 0 and {ROWS_MAX}.", path=["rows"])
        reads = info.context.reads
        # Violating rows are of any channel: a key that is bound to one is told how many there are.
        checks = await integrity.checks(reads, rows=rows if reads.principal.channel_id is None else 0)
        return IntegrityReport(
            healthy=all(check.healthy for check in checks),
            checked_at=reads.now,
            checks=cast("list[IntegrityCheck]", checks),
        )


answers_directly("stock_levels", Paged(STOCK_LEVEL, queries.STOCK_LEVELS))
# The newest entries of a SKU that rests are found by its index only where the plan knows that it rests.
answers_directly(
    "stock_movements", Paged(STOCK_MOVEMENT, queries.STOCK_MOVEMENTS, order_by=_NEWEST_FIRST, by_codes=False)
)


_Pages = Callable[[Any, Sequence[queries.LevelsKey]], Awaitable[Any]]
_Counts = Callable[[Any, Sequence[UUID]], Awaitable[Any]]


async def _levels_of(
    info: Info, name: str, parent: UUID, first: int | None, after: str | None, pages: _Pages, counts: _Counts
) -> Connection[StockLevel]:
    async def read(size: int, place: bytes | None) -> Sequence[Row[Any]]:
        last = stock_key(place) if place is not None else None
        return await info.context.load(pages, (parent, size, last)) or []

    async def count() -> int:
        return await info.context.load(counts, parent) or 0

    return await page_within(
        info,
        name,
        parent.bytes,
        first,
        after,
        read=read,
        place=lambda row: key_bytes((row.sku_id, row.location_id, row.owner)),
        node=StockLevel.of,
        count=count,
    )


async def _levels_of_sku(
    root: strawberry.Parent[Sku], info: Info, first: First = None, after: After = None
) -> Connection[StockLevel]:
    pages, counts = queries.level_pages_of_skus, queries.level_counts_of_skus
    return await _levels_of(info, "stock-levels-of-sku", root.uuid, first, after, pages, counts)


async def _levels_of_location(
    root: strawberry.Parent[Location], info: Info, first: First = None, after: After = None
) -> Connection[StockLevel]:
    pages, counts = queries.level_pages_of_locations, queries.level_counts_of_locations
    return await _levels_of(info, "stock-levels-of-location", root.uuid, first, after, pages, counts)


contribute(
    Sku,
    "stock_levels",
    strawberry.field(
        resolver=_levels_of_sku,
        metadata=needs("catalog:read", "stock:read"),
        description="Its stock by location, a page at a time. A bundle has none of its own.",
    ),
)
contribute(
    Location,
    "stock_levels",
    strawberry.field(
        resolver=_levels_of_location,
        metadata=needs("network:read", "stock:read"),
        description="What lies there by SKU, a page at a time.",
    ),
)
