"""Availability as strawberry's and SQLAlchemy's own guides have it: objects loaded by the ORM, shown by strawberry."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum

import orjson
import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from app.catalog.models import Sku
from app.inventory.models import OWN, StockLevel
from app.network.models import Channel, ChannelLocation, Location

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql", "postgresql+asyncpg", 1), pool_size=8, max_overflow=0
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


@strawberry.enum
class AvailabilityStatus(Enum):
    AVAILABLE = "AVAILABLE"
    OUT_OF_STOCK = "OUT_OF_STOCK"


@strawberry.type
class LocationAvailability:
    location_code: str
    units: int


@strawberry.type
class Availability:
    sku: str
    status: AvailabilityStatus
    available: int | None
    backorderable: int
    by_location: list[LocationAvailability]


@strawberry.type
class Query:
    @strawberry.field
    async def availability(self, skus: list[str], channel: str | None = None) -> list[Availability]:
        wanted = (
            select(StockLevel, Sku, Location, ChannelLocation)
            .join(Sku, Sku.id == StockLevel.sku_id)
            .join(Location, Location.id == StockLevel.location_id)
            .join(ChannelLocation, ChannelLocation.location_id == Location.id)
            .join(Channel, Channel.id == ChannelLocation.channel_id)
            .where(Channel.code == channel, Sku.code.in_(skus), Location.active, StockLevel.owner == OWN)
            .order_by(ChannelLocation.priority)
        )
        found: dict[str, list[LocationAvailability]] = {sku: [] for sku in skus}
        async with new_session() as session:
            for level, sku, location, served in (await session.execute(wanted)).all():
                if (units := _units(level, served)) > 0:
                    found[sku.code].append(LocationAvailability(location_code=location.code, units=units))
        return [_availability(sku, at) for sku, at in found.items()]


def _units(level: StockLevel, served: ChannelLocation) -> int:
    free = level.on_hand - level.allocated - level.reserved - level.damaged - level.quality_control
    return free - max(level.safety_stock, served.safety_stock)


def _availability(sku: str, at: Sequence[LocationAvailability]) -> Availability:
    return Availability(
        sku=sku,
        status=AvailabilityStatus.AVAILABLE if at else AvailabilityStatus.OUT_OF_STOCK,
        available=sum(each.units for each in at),
        backorderable=0,
        by_location=list(at),
    )


class View(GraphQL):
    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])
app = Starlette(routes=[Route("/graphql", View(schema, graphql_ide=None))])
