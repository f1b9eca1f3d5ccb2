"""SKUs kept in step with the system that owns them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from app.catalog import commands, refusals
from app.catalog.api.types import Sku
from app.gql.errors import UserError, user_error
from app.gql.mutations import mutation
from app.gql.nodes import Info
from app.gql.scalars import CurrencyCode
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import BATCH, EXPECTED_VERSION, given, optional, upserted, user_errors
from app.kernel.upserts import Outcome
from app.kernel.work import CommandArguments


@user_error(refusals.SkuInUse)
@strawberry.type(
    name="SkuInUse",
    description="It has units or is waited for, so it cannot become a service or a bundle. Clear both, then repeat.",
)
class SkuInUseError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")
    has_stock: bool = strawberry.field(description="Whether a stock level has units: adjust them to none.")
    is_awaited: bool = strawberry.field(
        description="Whether orders wait for units: let them have some, or cancel those."
    )


@strawberry.input(description="What one unit costs in a channel, in one currency.")
class SkuPriceInput:
    channel: str = strawberry.field(description="The channel's code.")
    currency: CurrencyCode = strawberry.field(description="The currency by ISO 4217.")
    amount: Decimal = strawberry.field(
        description='The price of one unit in major units, up to 6 decimals: `"0.0125"`. Not negative.'
    )


@strawberry.input(description="A part of a bundle.")
class BundleComponentInput:
    sku: str = strawberry.field(description="The part's code. It must not be a bundle itself; services may be parts.")
    units: int = strawberry.field(description="Units of the part in one unit of the bundle, 1 or more.")


@strawberry.input(description="A SKU as it shall be. What you leave out stays as it is; null clears.")
class SkuUpsertInput:
    code: str = strawberry.field(
        description="Your code of the SKU: 1 to 64 printable characters, case-sensitive. It decides whether one is"
        " created or changed."
    )
    name: str | None = optional("Its name, for people. Needed where it is new.")
    unit_of_measure: str | None = optional("What one unit is, up to 16 characters; `EA` where it is new.")
    weight_grams: int | None = optional("Weight of one unit in grams, 1 or more.")
    length_mm: int | None = optional("Length of one unit as packed, in millimetres, 1 or more.")
    width_mm: int | None = optional("Width of one unit as packed, in millimetres, 1 or more.")
    height_mm: int | None = optional("Height of one unit as packed, in millimetres, 1 or more.")
    barcode: str | None = optional(
        "What a scanner reads. Digits of the length of a GTIN (8, 12, 13 or 14) must have the right check digit."
    )
    hazardous: bool | None = optional("Whether it is dangerous goods; false where it is new.")
    stock_tracked: bool | None = optional(
        "False for services such as postage; true where it is new. SkuInUse while units are in stock or waited for."
    )
    backorder_limit: int | None = optional("Units that may be sold beyond the stock; 0 where it is new.")
    preorder_release_at: datetime | None = optional("Until then it is sold as a preorder.")
    active: bool | None = optional("Whether it can be ordered; true where it is new.")
    prices: list[SkuPriceInput] | None = optional(
        "Its prices, up to 250. Replaces the list, as far as you may see the channels."
    )
    components: list[BundleComponentInput] | None = optional(
        "What one unit explodes to, up to 100 parts. Replaces the list; an empty one makes it no bundle. What has"
        " units in stock, or is waited for, does not become one: SkuInUse."
    )


@strawberry.input(description="A SKU of a batch.")
class SkusUpsertItem:
    sku: SkuUpsertInput = strawberry.field(description="The SKU as it shall be.")
    expected_version: int | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@scoped(ANYONE)
@strawberry.type(description="What became of the SKU.")
class SkuUpsertPayload:
    sku: Sku | None = strawberry.field(description="The SKU as it is now.")
    outcome: Outcome | None = strawberry.field(description="What was done.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of one SKU of a batch.")
class SkuUpsertResult:
    sku: Sku = strawberry.field(description="The SKU as it is now.")
    outcome: Outcome = strawberry.field(description="What was done.")


@scoped(ANYONE)
@strawberry.type(description="What became of the SKUs of a batch.")
class SkusUpsertPayload:
    results: list[SkuUpsertResult] = strawberry.field(description="One for each item, in the order of the input.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class CatalogMutation:
    """Upserts of SKUs, for the root of mutations."""

    @mutation(scope="catalog:write", versioned=True)
    async def sku_upsert(
        self,
        info: Info,
        input: Annotated[SkuUpsertInput, strawberry.argument(description="The SKU as it shall be.")],
        command: CommandArguments,
    ) -> SkuUpsertPayload:
        """Create a SKU, or change what you give of it. A key bound to a channel sets its prices there, nothing else."""
        result = await info.context.run(commands.upsert_sku, command, sku=given(input))
        sku = await Sku.referenced(info.context, UUID(result["sku"]["id"]))
        return SkuUpsertPayload(sku=sku, outcome=Outcome(result["sku"]["outcome"]))

    @mutation(scope="catalog:write")
    async def skus_upsert(
        self,
        info: Info,
        input: Annotated[list[SkusUpsertItem], strawberry.argument(description=BATCH)],
        command: CommandArguments,
    ) -> SkusUpsertPayload:
        """Create or change up to 250 SKUs, all or none; bundles may name parts created in the same batch.

        `path` of an error leads to the item at fault.
        """
        skus = [{**given(item.sku), "expected_version": item.expected_version} for item in input]
        result = await info.context.run(commands.upsert_skus, command, skus=skus)
        return SkusUpsertPayload(results=await upserted(info, result["skus"], _result))


async def _result(info: Info, uuid: UUID, outcome: Outcome) -> SkuUpsertResult:
    return SkuUpsertResult(sku=await Sku.referenced(info.context, uuid), outcome=outcome)
