"""SKUs looked up and listed."""

from __future__ import annotations

import enum
from typing import Annotated

import strawberry

from app.catalog import queries
from app.catalog.api.types import SKU, Sku
from app.gql.connections import (
    After,
    Before,
    Connection,
    First,
    Info,
    Last,
    OrderBy,
    PageArguments,
    Search,
    connect,
    one_of,
    uuid_of,
)
from app.gql.direct import One, Paged, answers_directly, by
from app.gql.scopes import needs
from app.gql.where import (
    BooleanFilter,
    DateTimeFilter,
    IdFilter,
    IntFilter,
    StringFilter,
    condition,
    either,
    every,
    neither,
)
from app.kernel.texts import spelled


@strawberry.input(description="Which SKUs to list; all that is given must hold.")
class SkuWhere:
    id: IdFilter | None = condition("By id.", node="Sku")
    code: StringFilter | None = condition("By code.")
    name: StringFilter | None = condition("By name.")
    barcode: StringFilter | None = condition("By barcode.")
    weight_grams: IntFilter | None = condition("By weight in grams.")
    hazardous: BooleanFilter | None = condition("By whether it is dangerous goods.")
    stock_tracked: BooleanFilter | None = condition("By whether stock of it is counted.")
    bundle: BooleanFilter | None = strawberry.field(
        name="isBundle", default=strawberry.UNSET, description="By whether it is a bundle."
    )
    active: BooleanFilter | None = condition("By whether it can be ordered.")
    preorder_release_at: DateTimeFilter | None = condition("By the end of its preorder.")
    created_at: DateTimeFilter | None = condition("By when Orderwire first heard of it.")
    updated_at: DateTimeFilter | None = condition("By when it last changed.")
    all_of: list[SkuWhere] | None = every()
    any_of: list[SkuWhere] | None = either()
    none_of: SkuWhere | None = neither()


@strawberry.enum(description="What SKUs can be sorted by.")
class SkuOrder(enum.Enum):
    CODE = strawberry.enum_value("CODE", description="Code, by code point.")
    NAME = strawberry.enum_value("NAME", description="Name, whatever its case.")
    WEIGHT_GRAMS = strawberry.enum_value("WEIGHT_GRAMS", description="Weight of one unit.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When Orderwire first heard of it.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")


@strawberry.type
class CatalogQuery:
    """SKUs, for the root of queries."""

    @strawberry.field(
        metadata=needs("catalog:read"),
        description="One SKU, by id or by code; null where there is none that you may see.",
    )
    async def sku(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Its code.")] = None,
    ) -> Sku | None:
        if one_of(id=id, code=code) == "id":
            return await Sku.load(info.context, uuid_of(id or "", "Sku", ["id"]))
        row = await info.context.load(queries.skus_by_code, spelled(code or ""))
        return Sku.of(row) if row is not None else None

    @strawberry.field(metadata=needs("catalog:read"), description="SKUs, by code unless you say otherwise.")
    async def skus(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[SkuWhere | None, strawberry.argument(description="Only SKUs like this.")] = None,
        search: Search = None,
        order_by: Annotated[
            OrderBy[SkuOrder] | None, strawberry.argument(description="How to sort; by code if not given.")
        ] = None,
    ) -> Connection[Sku]:
        page = PageArguments(first, after, last, before)
        return await connect(info, queries.SKUS, Sku.of, page, where=where, search=search, order_by=order_by)


answers_directly(
    "sku",
    One(
        SKU,
        queries.ALL,
        queries.sku_visible,
        {
            "id": by(queries.SKUS.columns["id"], lambda given: uuid_of(given, "Sku", ["id"])),
            "code": by(queries.SKUS.columns["code"], spelled),
        },
    ),
)
answers_directly("skus", Paged(SKU, queries.SKUS))
