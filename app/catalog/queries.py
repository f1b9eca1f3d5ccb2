"""What is true now of SKUs. Every read goes through the row rules below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, any_, select, true
from sqlalchemy.orm import aliased

from app.catalog.models import BundleComponent, Sku, SkuPrice
from app.kernel import search
from app.kernel.db import Reads
from app.kernel.filters import same_as_any
from app.kernel.pagination import Listing, OrderTerm
from app.kernel.principal import Principal
from app.network.queries import visible_channels


def sku_visible(principal: Principal) -> ColumnElement[bool]:
    """Visitors see active SKUs."""
    return Sku.active.is_(True) if principal.is_public else true()


ALL: Select[*tuple[Any, ...]] = select(
    Sku.id,
    Sku.code,
    Sku.name,
    Sku.unit_of_measure,
    Sku.weight_grams,
    Sku.length_mm,
    Sku.width_mm,
    Sku.height_mm,
    Sku.barcode,
    Sku.hazardous,
    Sku.stock_tracked,
    Sku.backorder_limit,
    Sku.preorder_release_at,
    Sku.bundle,
    Sku.active,
    Sku.version,
    Sku.created_at,
    Sku.updated_at,
)

SKUS = Listing(
    name="skus",
    select=ALL,
    key=Sku.id.expression,
    columns={
        "id": Sku.id.expression,
        "code": Sku.code.expression,
        "name": Sku.name.expression,
        "barcode": Sku.barcode.expression,
        "weight_grams": Sku.weight_grams.expression,
        "hazardous": Sku.hazardous.expression,
        "stock_tracked": Sku.stock_tracked.expression,
        "bundle": Sku.bundle.expression,
        "active": Sku.active.expression,
        "preorder_release_at": Sku.preorder_release_at.expression,
        "created_at": Sku.created_at.expression,
        "updated_at": Sku.updated_at.expression,
    },
    orders={
        "CODE": [OrderTerm(Sku.code.expression)],
        "NAME": [OrderTerm(Sku.name_key.expression)],
        "WEIGHT_GRAMS": [OrderTerm(Sku.weight_grams.expression, nullable=True)],
        "CREATED_AT": [OrderTerm(Sku.created_at.expression)],
        "UPDATED_AT": [OrderTerm(Sku.updated_at.expression)],
    },
    visible=sku_visible,
    search=lambda text: search.found(Sku.search.expression, text),
)


async def skus_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    return {
        row.id: row
        for row in await reads.all(ALL.where(same_as_any(Sku.id.expression, ids)).where(sku_visible(reads.principal)))
    }


async def skus_by_code(reads: Reads, codes: Sequence[str]) -> Mapping[str, Row[Any]]:
    return {
        row.code: row
        for row in await reads.all(
            ALL.where(same_as_any(Sku.code.expression, codes)).where(sku_visible(reads.principal))
        )
    }


def ids_of_codes(principal: Principal, codes: ColumnElement[Any]) -> Select[UUID]:
    """Ids of the SKUs with these codes that the caller sees, for statements of other areas to ask for."""
    return select(Sku.id).where(Sku.code == any_(codes)).where(sku_visible(principal))


async def referenced_skus(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    """SKUs that a row the caller may see refers to, retired ones included: for loaders of such rows only."""
    return {row.id: row for row in await reads.all(ALL.where(same_as_any(Sku.id.expression, ids)))}


def prices(principal: Principal) -> Select[*tuple[Any, ...]]:
    """Prices in the channels that the caller sees; a SKU's are shown by `channel_code` and currency."""
    channel = visible_channels(principal).subquery()
    return select(
        SkuPrice.sku_id,
        SkuPrice.channel_id,
        channel.c.code.label("channel_code"),
        SkuPrice.currency,
        SkuPrice.amount,
    ).join(channel, channel.c.id == SkuPrice.channel_id)


async def prices_of_skus(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    rows = await reads.all(
        prices(reads.principal)
        .where(same_as_any(SkuPrice.sku_id.expression, ids))
        .order_by(SkuPrice.sku_id, "channel_code", SkuPrice.currency)
    )
    found: dict[UUID, list[Row[Any]]] = {each: [] for each in ids}
    for row in rows:
        found[row.sku_id].append(row)
    return found


_PART = aliased(Sku, name="part")  # its own name, for statements in which the bundle is `sku`
COMPONENTS: Select[*tuple[Any, ...]] = select(
    BundleComponent.bundle_id, BundleComponent.component_id, BundleComponent.units, _PART.code
).join(_PART, _PART.id == BundleComponent.component_id)


async def components_of_bundles(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    """The parts of each bundle, by code."""
    rows = await reads.all(
        COMPONENTS.where(same_as_any(BundleComponent.bundle_id.expression, ids)).order_by(
            BundleComponent.bundle_id, _PART.code
        )
    )
    found: dict[UUID, list[Row[Any]]] = {each: [] for each in ids}
    for row in rows:
        found[row.bundle_id].append(row)
    return found
