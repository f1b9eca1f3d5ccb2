"""Channels and locations looked up and listed."""

from __future__ import annotations

import enum
from typing import Annotated

import strawberry

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
    EnumFilter,
    IdFilter,
    StringFilter,
    condition,
    either,
    every,
    neither,
)
from app.kernel.texts import spelled
from app.network import queries
from app.network.api.types import CHANNEL, LOCATION, Channel, Location
from app.network.states import ChannelKind, LocationType


@strawberry.input(description="Which channels to list; all that is given must hold.")
class ChannelWhere:
    id: IdFilter | None = condition("By id.", node="Channel")
    code: StringFilter | None = condition("By code.")
    name: StringFilter | None = condition("By name.")
    kind: EnumFilter[ChannelKind] | None = condition("By kind.")
    currency: StringFilter | None = condition("By currency.")
    active: BooleanFilter | None = condition("By whether it takes orders.")
    created_at: DateTimeFilter | None = condition("By when Orderwire first heard of it.")
    updated_at: DateTimeFilter | None = condition("By when it last changed.")
    all_of: list[ChannelWhere] | None = every()
    any_of: list[ChannelWhere] | None = either()
    none_of: ChannelWhere | None = neither()


@strawberry.input(description="Which locations to list; all that is given must hold.")
class LocationWhere:
    id: IdFilter | None = condition("By id.", node="Location")
    code: StringFilter | None = condition("By code.")
    name: StringFilter | None = condition("By name.")
    type: EnumFilter[LocationType] | None = condition("By what it is.")
    country: StringFilter | None = condition("By country.")
    active: BooleanFilter | None = condition("By whether orders may be allocated there.")
    created_at: DateTimeFilter | None = condition("By when Orderwire first heard of it.")
    updated_at: DateTimeFilter | None = condition("By when it last changed.")
    all_of: list[LocationWhere] | None = every()
    any_of: list[LocationWhere] | None = either()
    none_of: LocationWhere | None = neither()


@strawberry.enum(description="What channels can be sorted by.")
class ChannelOrder(enum.Enum):
    CODE = strawberry.enum_value("CODE", description="Code, by code point.")
    NAME = strawberry.enum_value("NAME", description="Name, whatever its case.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When Orderwire first heard of it.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")


@strawberry.enum(description="What locations can be sorted by.")
class LocationOrder(enum.Enum):
    CODE = strawberry.enum_value("CODE", description="Code, by code point.")
    NAME = strawberry.enum_value("NAME", description="Name, whatever its case.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When Orderwire first heard of it.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")


@strawberry.type
class NetworkQuery:
    """Channels and locations, for the root of queries."""

    @strawberry.field(
        metadata=needs("network:read"),
        description="One channel, by id or by code; null where there is none that you may see.",
    )
    async def channel(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Its code.")] = None,
    ) -> Channel | None:
        if one_of(id=id, code=code) == "id":
            return await Channel.load(info.context, uuid_of(id or "", "Channel", ["id"]))
        row = await info.context.load(queries.channels_by_code, spelled(code or ""))
        return Channel.of(row) if row is not None else None

    @strawberry.field(metadata=needs("network:read"), description="Channels, by code unless you say otherwise.")
    async def channels(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[ChannelWhere | None, strawberry.argument(description="Only channels like this.")] = None,
        search: Search = None,
        order_by: Annotated[
            OrderBy[ChannelOrder] | None, strawberry.argument(description="How to sort; by code if not given.")
        ] = None,
    ) -> Connection[Channel]:
        page = PageArguments(first, after, last, before)
        return await connect(info, queries.CHANNELS, Channel.of, page, where=where, search=search, order_by=order_by)

    @strawberry.field(
        metadata=needs("network:read"),
        description="One location, by id or by code; null where there is none that you may see.",
    )
    async def location(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Its code.")] = None,
    ) -> Location | None:
        if one_of(id=id, code=code) == "id":
            return await Location.load(info.context, uuid_of(id or "", "Location", ["id"]))
        row = await info.context.load(queries.locations_by_code, spelled(code or ""))
        return Location.of(row) if row is not None else None

    @strawberry.field(metadata=needs("network:read"), description="Locations, by code unless you say otherwise.")
    async def locations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[LocationWhere | None, strawberry.argument(description="Only locations like this.")] = None,
        search: Search = None,
        order_by: Annotated[
            OrderBy[LocationOrder] | None, strawberry.argument(description="How to sort; by code if not given.")
        ] = None,
    ) -> Connection[Location]:
        page = PageArguments(first, after, last, before)
        return await connect(info, queries.LOCATIONS, Location.of, page, where=where, search=search, order_by=order_by)


answers_directly(
    "channel",
    One(
        CHANNEL,
        queries.ALL_CHANNELS,
        queries.channel_visible,
        {
            "id": by(queries.CHANNELS.columns["id"], lambda given: uuid_of(given, "Channel", ["id"])),
            "code": by(queries.CHANNELS.columns["code"], spelled),
        },
    ),
)
answers_directly("channels", Paged(CHANNEL, queries.CHANNELS))
answers_directly(
    "location",
    One(
        LOCATION,
        queries.ALL_LOCATIONS,
        queries.location_visible,
        {
            "id": by(queries.LOCATIONS.columns["id"], lambda given: uuid_of(given, "Location", ["id"])),
            "code": by(queries.LOCATIONS.columns["code"], spelled),
        },
    ),
)
answers_directly("locations", Paged(LOCATION, queries.LOCATIONS))
