"""SKUs as types."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.catalog import queries
from app.gql.context import Context
from app.gql.direct import Id, Nested, Reading, Reference, Related
from app.gql.nodes import Info, Node, node_type
from app.gql.scalars import CurrencyCode
from app.gql.scopes import needs, scoped
from app.kernel.texts import spelled
from app.network.api import Channel, channel_of


@scoped("catalog:read")
@strawberry.type(description="What one unit of a SKU costs in a channel, in one currency.")
class SkuPrice:
    channel_uuid: strawberry.Private[UUID]
    channel_code: str = strawberry.field(description="The channel's code.")
    amount: Decimal = strawberry.field(
        description="The price of one unit in major units, with up to 6 decimals: it may be finer than the currency's"
        " smallest unit, for totals of lines are rounded and unit prices are not."
    )
    currency_code: CurrencyCode = strawberry.field(description="The currency by ISO 4217.")

    @strawberry.field(
        metadata=needs("catalog:read", "network:read"), description="The channel, which says whether prices are gross."
    )
    async def channel(self, info: Info) -> Channel:
        return await Channel.referenced(info.context, self.channel_uuid)


@scoped("catalog:read")
@strawberry.type(description="A part of a bundle.")
class BundleComponent:
    component_uuid: strawberry.Private[UUID]
    units: int = strawberry.field(description="Units of the part in one unit of the bundle.")

    @strawberry.field(description="The part.")
    async def sku(self, info: Info) -> Sku:
        return await Sku.referenced(info.context, self.component_uuid)


@scoped("catalog:read")
@strawberry.type(description="The size of one unit as it is packed.")
class Dimensions:
    length_mm: int | None = strawberry.field(description="Length in millimetres.")
    width_mm: int | None = strawberry.field(description="Width in millimetres.")
    height_mm: int | None = strawberry.field(description="Height in millimetres.")


@node_type
@scoped("catalog:read")
@strawberry.type(
    description="A stock keeping unit: goods that are counted by this code, a service, or a bundle of other SKUs."
)
class Sku(Node):
    uuid: strawberry.Private[UUID]
    code: str = strawberry.field(description="Your code of the SKU, unique and case-sensitive.")
    name: str = strawberry.field(description="Its name, for people.")
    unit_of_measure: str = strawberry.field(description="What one unit is, such as `EA`, `KG` or `M`.")
    weight_grams: int | None = strawberry.field(description="Weight of one unit in grams; null where not known.")
    dimensions: Dimensions | None = strawberry.field(
        description="The size of one unit; null where no side of it is known."
    )
    barcode: str | None = strawberry.field(description="What a scanner reads: a GTIN, or any other code.")
    hazardous: bool = strawberry.field(description="Whether carriers must be told that it is dangerous goods.")
    stock_tracked: bool = strawberry.field(
        description="Whether stock of it is counted. Services such as postage are not, and are never short."
    )
    backorder_limit: int = strawberry.field(
        description="Units that may be sold beyond the stock; 0 where it sells from stock only."
    )
    preorder_release_at: datetime | None = strawberry.field(
        description="Until then it is sold as a preorder; null where it is not."
    )
    is_bundle: bool = strawberry.field(
        description="Whether an order of it explodes to `components`, whose stock it is sold from."
    )
    active: bool = strawberry.field(
        description="Whether it can be ordered. A bundle can be where its parts are active too."
    )
    version: int = strawberry.field(description="Rises by one with every change, prices and components included.")
    created_at: datetime = strawberry.field(description="When Orderwire first heard of it.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="Its prices in the channels that you may see, by channel and currency.")
    async def prices(
        self,
        info: Info,
        channel: Annotated[
            str | None, strawberry.argument(description="Only prices in the channel with this code.")
        ] = None,
    ) -> list[SkuPrice]:
        rows = await info.context.load(queries.prices_of_skus, self.uuid) or []
        return [_PRICE.of(row) for row in rows if channel is None or row.channel_code == spelled(channel)]

    @strawberry.field(description="The parts of a bundle, by code; empty for any other SKU.")
    async def components(self, info: Info) -> list[BundleComponent]:
        if not self.is_bundle:
            return []
        rows = await info.context.load(queries.components_of_bundles, self.uuid) or []
        return [_COMPONENT.of(row) for row in rows]

    @classmethod
    def of(cls, row: Row[Any]) -> Sku:
        return SKU.of(row)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Sku | None:
        row = await context.load(queries.skus_by_id, uuid)
        return cls.of(row) if row is not None else None

    @classmethod
    async def referenced(cls, context: Context, uuid: UUID) -> Sku:
        """The SKU that a visible row refers to."""
        row = await context.load(queries.referenced_skus, uuid)
        assert row is not None, "foreign keys keep referenced SKUs"
        return cls.of(row)


_SIDES = ("length_mm", "width_mm", "height_mm")
SKU = Reading(
    Sku,
    id=Id("Sku", "id"),
    uuid="id",
    dimensions=Nested(Reading(Dimensions), unless_null=_SIDES),
    is_bundle="bundle",
)


def sku_of(column: str) -> Reference:
    """The SKU that this column of a visible row refers to."""
    return Reference(SKU, queries.ALL, column)


_PRICE = Reading(SkuPrice, channel_uuid="channel_id", currency_code="currency")
_PRICE.link("channel", channel_of("channel_id"))
_COMPONENT = Reading(BundleComponent, component_uuid="component_id")
_COMPONENT.link("sku", sku_of("component_id"))
SKU.link(
    "prices",
    Related(
        _PRICE,
        queries.prices,
        {"sku_id": "id"},
        order_by=["channel_code", "currency"],
        given={"channel": ("channel_code", spelled)},
    ),
)
SKU.link("components", Related(_COMPONENT, queries.COMPONENTS, {"bundle_id": "id"}, order_by=["code"]))
