"""What is true now of stock. On-hand figures are for callers with stock:read; visitors see promises, made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.catalog.queries import ids_of_codes
from app.inventory.models import OWN, Allocation, Reservation, ReservationLine, StockLevel, StockMovement, Supply
from app.inventory.states import AllocationStatus
from app.kernel.db import Reads
from app.kernel.filters import any_of, bind, same_as_any
from app.kernel.pagination import COUNT_MAX, Coded, Listing, OrderTerm
from app.kernel.prepared import Prepared
from app.kernel.principal import Principal
from app.network.queries import ids_of_location_codes, visible_locations

StockKey = tuple[UUID, UUID, str]

available = (
    StockLevel.on_hand - StockLevel.allocated - StockLevel.reserved - StockLevel.damaged - StockLevel.quality_control
)
_LEVELS: Select[Any] = select(*StockLevel.__table__.c, available.label("available"))
_MOVEMENTS: Select[Any] = select(*StockMovement.__table__.c)
ALLOCATIONS: Select[Any] = select(*Allocation.__table__.c)
allocation_stands = Allocation.status != literal_column(f"'{AllocationStatus.RELEASED}'", Text)
# Units on their way to a balance, by the columns of it.
INCOMING: Any = Supply.__table__.c.units_open
INCOMING_ON: dict[ColumnElement[Any], str] = {
    Supply.sku_id.expression: "sku_id",
    Supply.location_id.expression: "location_id",
    Supply.owner.expression: "owner",
}
is_incoming = Supply.units_open > literal_column("0", Integer)


def reservation_visible(principal: Principal) -> ColumnElement[bool]:
    """Whoever has the token may use it, within the channel its key is bound to."""
    return Reservation.channel_id == principal.channel_id if principal.channel_id is not None else true()


def level_visible(principal: Principal) -> ColumnElement[bool]:
    """Stock is the whole company's; a key bound to a channel sees what lies at the locations that serve it."""
    return _at_visible_location(principal, StockLevel.location_id.expression)


def _movement_visible(principal: Principal) -> ColumnElement[bool]:
    return _at_visible_location(principal, StockMovement.location_id.expression)


def _at_visible_location(principal: Principal, location: ColumnElement[UUID]) -> ColumnElement[bool]:
    return location.in_(visible_locations(principal)) if principal.channel_id is not None else true()


def _coded(model: type[StockLevel] | type[StockMovement]) -> dict[str, Coded]:
    return {
        "skus": Coded(model.sku_id.expression, ids_of_codes),
        "locations": Coded(model.location_id.expression, ids_of_location_codes),
    }


def _by(*columns: ColumnElement[Any]) -> list[OrderTerm]:
    """These columns, then the SKU and the location, which with the listing's own key make a place unique."""
    keys = [StockLevel.sku_id.expression, StockLevel.location_id.expression]
    return [OrderTerm(column) for column in (*columns, *keys)]


STOCK_LEVELS = Listing(
    name="stock_levels",
    select=_LEVELS,
    key=StockLevel.owner.expression,
    columns={
        "sku_id": StockLevel.sku_id.expression,
        "location_id": StockLevel.location_id.expression,
        "owner": func.nullif(StockLevel.owner, OWN, type_=Text),
        "on_hand": StockLevel.on_hand.expression,
        "allocated": StockLevel.allocated.expression,
        "reserved": StockLevel.reserved.expression,
        "damaged": StockLevel.damaged.expression,
        "quality_control": StockLevel.quality_control.expression,
        "safety_stock": StockLevel.safety_stock.expression,
        "available": available,
        "updated_at": StockLevel.updated_at.expression,
    },
    orders={
        "SKU": _by(),
        "AVAILABLE": _by(available),
        "ON_HAND": _by(StockLevel.on_hand.expression),
        "UPDATED_AT": _by(StockLevel.updated_at.expression),
    },
    visible=level_visible,
    coded=_coded(StockLevel),
)

STOCK_MOVEMENTS = Listing(
    name="stock_movements",
    select=_MOVEMENTS,
    key=StockMovement.id.expression,
    columns={
        "sku_id": StockMovement.sku_id.expression,
        "location_id": StockMovement.location_id.expression,
        "owner": func.nullif(StockMovement.owner, OWN, type_=Text),
        "type": StockMovement.type.expression,
        "reason": StockMovement.reason.expression,
        "reference": StockMovement.reference.expression,
        "cause_id": StockMovement.cause_id.expression,
        "occurred_at": StockMovement.occurred_at.expression,
    },
    orders={"WRITTEN": []},
    visible=_movement_visible,
    coded=_coded(StockMovement),
)


def _named(keys: Sequence[StockKey]) -> Any:
    """The keys as a relation to join, so that every lookup is one index probe."""
    named = func.unnest(
        bindparam(None, [sku for sku, _, _ in keys], type_=ARRAY(Uuid), unique=True),
        bindparam(None, [location for _, location, _ in keys], type_=ARRAY(Uuid), unique=True),
        bindparam(None, [owner for _, _, owner in keys], type_=ARRAY(Text), unique=True),
    )
    return named.table_valued(
        column("sku_id", Uuid), column("location_id", Uuid), column("owner", Text)
    ).render_derived(name="named")


def _same_key(model: type[StockLevel] | type[StockMovement] | type[Supply], named: Any) -> ColumnElement[bool]:
    return and_(model.sku_id == named.c.sku_id, model.location_id == named.c.location_id, model.owner == named.c.owner)


async def levels_by_key(reads: Reads, keys: Sequence[StockKey]) -> Mapping[StockKey, Row[Any]]:
    named = _named(keys)
    levels = _LEVELS.join(named, _same_key(StockLevel, named)).where(level_visible(reads.principal))
    rows = await reads.all(levels)
    return {(row.sku_id, row.location_id, row.owner): row for row in rows}


async def levels_of_skus(reads: Reads, sku_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Row[Any]]]:
    """All balances of each SKU, by location and owner."""
    return _grouped(await reads.all(watched_levels(reads.principal, sku_ids, None)), sku_ids, "sku_id")


# A page of one SKU's or one location's balances: (its id, balances to give, the key of the last one given before).
LevelsKey = tuple[UUID, int, StockKey | None]


async def level_pages_of_skus(reads: Reads, keys: Sequence[LevelsKey]) -> Mapping[LevelsKey, Sequence[Row[Any]]]:
    """By location and owner, one more than asked for; one statement for each distinct page."""
    return await _levels_pages(reads, keys, StockLevel.sku_id.expression)


async def level_pages_of_locations(reads: Reads, keys: Sequence[LevelsKey]) -> Mapping[LevelsKey, Sequence[Row[Any]]]:
    """By SKU and owner, one more than asked for; one statement for each distinct page."""
    return await _levels_pages(reads, keys, StockLevel.location_id.expression)


async def _levels_pages(
    reads: Reads, keys: Sequence[LevelsKey], parent: ColumnElement[UUID]
) -> Mapping[LevelsKey, Sequence[Row[Any]]]:
    place = (StockLevel.sku_id, StockLevel.location_id, StockLevel.owner)
    pages: dict[LevelsKey, list[Row[Any]]] = {key: [] for key in keys}
    sizes: dict[tuple[int, StockKey | None], list[UUID]] = {}
    for parent_id, size, after in keys:
        sizes.setdefault((size, after), []).append(parent_id)
    for (size, after), parent_ids in sizes.items():
        wanted = func.unnest(bindparam(None, parent_ids, type_=ARRAY(Uuid), unique=True))
        named = wanted.table_valued(column("id", Uuid)).render_derived(name="named")
        levels = _LEVELS.where(parent == named.c.id, level_visible(reads.principal)).order_by(*place).limit(size + 1)
        if after is not None:
            levels = levels.where(tuple_(*place) > tuple_(*(bind(part) for part in after)))
        page = levels.lateral("page")
        for row in await reads.all(select(named.c.id.label("parent_id"), page).select_from(named.join(page, true()))):
            pages[(row.parent_id, size, after)].append(row)
    return pages


async def level_counts_of_skus(reads: Reads, sku_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    return await _level_counts(reads, sku_ids, StockLevel.sku_id.expression)


async def level_counts_of_locations(reads: Reads, location_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    return await _level_counts(reads, location_ids, StockLevel.location_id.expression)


async def _level_counts(reads: Reads, ids: Sequence[UUID], parent: ColumnElement[UUID]) -> Mapping[UUID, int]:
    statement = (
        select(parent.label("id"), func.count().label("levels"))
        .where(same_as_any(parent, ids), level_visible(reads.principal))
        .group_by(parent)
    )
    return dict.fromkeys(ids, 0) | {row.id: row.levels for row in await reads.all(statement)}


def watched_levels(
    principal: Principal, sku_ids: Sequence[UUID] | None, location_ids: Sequence[UUID] | None
) -> Select[Any]:
    """Balances of these SKUs at these locations, as far as the caller sees them; None for any."""
    statement = _LEVELS.where(level_visible(principal)).order_by(
        StockLevel.sku_id, StockLevel.location_id, StockLevel.owner
    )
    if sku_ids is not None:
        statement = statement.where(same_as_any(StockLevel.sku_id.expression, sku_ids))
    if location_ids is not None:
        statement = statement.where(same_as_any(StockLevel.location_id.expression, location_ids))
    return statement


async def count_of(reads: Reads, levels: Select[Any]) -> int:
    """How many rows; counting stops at 10,000."""
    rows = levels.with_only_columns(StockLevel.sku_id).order_by(None).limit(COUNT_MAX).subquery()
    return int(await reads.scalar(select(func.count()).select_from(rows)))


async def incoming_by_key(reads: Reads, keys: Sequence[StockKey]) -> Mapping[StockKey, int]:
    """Units on their way: the open supply of each balance."""
    named = _named(keys)
    statement = (
        select(Supply.sku_id, Supply.location_id, Supply.owner, func.sum(Supply.units_open).label("units"))
        .join(named, _same_key(Supply, named))
        .where(Supply.units_open > 0)
        .group_by(Supply.sku_id, Supply.location_id, Supply.owner)
    )
    found = {(row.sku_id, row.location_id, row.owner): int(row.units) for row in await reads.all(statement)}
    return {key: found.get(key, 0) for key in keys}


# The newest entries of a balance's ledger: (balance, entries to give, newest id to leave out); one more is read.
MovementsKey = tuple[StockKey, int, int | None]


async def movements_pages(reads: Reads, keys: Sequence[MovementsKey]) -> Mapping[MovementsKey, Sequence[Row[Any]]]:
    """Newest first; one statement for each distinct page."""
    pages: dict[MovementsKey, list[Row[Any]]] = {key: [] for key in keys}
    sizes: dict[tuple[int, int | None], list[StockKey]] = {}
    for key, size, before in keys:
        sizes.setdefault((size, before), []).append(key)
    for (size, before), stock_keys in sizes.items():
        named = _named(stock_keys)
        entries = _MOVEMENTS.where(_same_key(StockMovement, named)).order_by(StockMovement.id.desc()).limit(size + 1)
        if before is not None:
            entries = entries.where(StockMovement.id < before)
        newest = entries.lateral("newest")
        for row in await reads.all(select(newest).select_from(named.join(newest, true()))):
            pages[((row.sku_id, row.location_id, row.owner), size, before)].append(row)
    return pages


async def movement_counts(reads: Reads, keys: Sequence[StockKey]) -> Mapping[StockKey, int]:
    """Entries of each balance's ledger; counting stops at 10,000."""
    named = _named(keys)
    entries = select(StockMovement.id).where(_same_key(StockMovement, named)).limit(COUNT_MAX).lateral("entries")
    counted = (
        select(named.c.sku_id, named.c.location_id, named.c.owner, func.count(entries.c.id).label("entries"))
        .select_from(named.outerjoin(entries, true()))
        .group_by(named.c.sku_id, named.c.location_id, named.c.owner)
    )
    return {(row.sku_id, row.location_id, row.owner): int(row.entries) for row in await reads.all(counted)}


async def movements_by_id(reads: Reads, ids: Sequence[int]) -> Mapping[int, Row[Any]]:
    entries = _MOVEMENTS.where(same_as_any(StockMovement.id.expression, ids))
    statement = entries.where(_movement_visible(reads.principal))
    return {row.id: row for row in await reads.all(statement)}


async def allocations_by_line(
    reads: Reads, keys: Sequence[tuple[UUID, UUID]]
) -> Mapping[tuple[UUID, UUID], Sequence[Row[Any]]]:
    """Open and consumed allocations by (order, line), for orders that the caller has been shown."""
    statement = (
        ALLOCATIONS.where(same_as_any(Allocation.order_id.expression, sorted({order_id for order_id, _ in keys})))
        .where(same_as_any(Allocation.order_line_id.expression, [line_id for _, line_id in keys]))
        .where(Allocation.status != AllocationStatus.RELEASED)
        .order_by(Allocation.order_line_id, Allocation.id)
    )
    found: dict[tuple[UUID, UUID], list[Row[Any]]] = {key: [] for key in keys}
    for row in await reads.all(statement):
        found[(row.order_id, row.order_line_id)].append(row)
    return found


_RESERVATIONS: Select[Any] = select(*Reservation.__table__.c)
_BY_ID = Prepared(
    lambda sees: _RESERVATIONS.where(any_of(Reservation.id.expression, "ids")).where(reservation_visible(sees))
)
_BY_TOKEN = Prepared(
    lambda sees: _RESERVATIONS.where(any_of(Reservation.token.expression, "tokens")).where(reservation_visible(sees))
)
_LINES = Prepared(
    lambda _: (
        select(*ReservationLine.__table__.c)
        .where(any_of(ReservationLine.reservation_id.expression, "ids"))
        .order_by(ReservationLine.reservation_id, ReservationLine.sku_id, ReservationLine.location_id)
    )
)


async def reservations_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    return {row.id: row for row in await _BY_ID.all(reads, ids=ids)}


async def reservations_by_token(reads: Reads, tokens: Sequence[str]) -> Mapping[str, Row[Any]]:
    own = frozenset(tokens)
    return {row.token: row for row in await _BY_TOKEN.together(reads, "tokens", tokens) if row.token in own}


async def lines_of_reservations(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Row[Any]]]:
    return _grouped(await _LINES.all(reads, ids=ids), ids, "reservation_id")


def _grouped(rows: Sequence[Row[Any]], keys: Sequence[UUID], name: str) -> Mapping[UUID, Sequence[Row[Any]]]:
    groups: dict[UUID, list[Row[Any]]] = {key: [] for key in keys}
    for row in rows:
        groups[getattr(row, name)].append(row)
    return groups


async def recorded_references(
    reads: Reads, sku_ids: Sequence[UUID], references: Sequence[str]
) -> set[tuple[UUID, UUID, str]]:
    """Which of these references the ledgers of these SKUs hold: (SKU, location, reference)."""
    statement = (
        select(StockMovement.sku_id, StockMovement.location_id, StockMovement.reference)
        .where(same_as_any(StockMovement.sku_id.expression, sku_ids))
        .where(same_as_any(StockMovement.reference.expression, references))
    )
    return {(row.sku_id, row.location_id, row.reference) for row in await reads.all(statement)}
