"""Channels and locations as types."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.gql.context import Context
from app.gql.direct import Id, InJson, Percent, Reading, Reference, Related, TimeOfDay
from app.gql.nodes import Info, Node, node_type
from app.gql.scalars import CountryCode, CurrencyCode, TimeZone
from app.gql.scopes import needs, scoped
from app.gql.where import described
from app.network import queries
from app.network.states import ChannelKind, LocationType, PaymentPolicy

described(
    ChannelKind,
    "The kind of an order's origin.",
    WEBSHOP="A shop of your own on the web.",
    MARKETPLACE="A shop on somebody else's platform.",
    STORE="A till in a store.",
    CALL_CENTRE="Orders taken by telephone.",
    B2B="Orders of companies, by a portal or electronic data interchange.",
)
described(
    PaymentPolicy,
    "How far the payment must be before an order may be confirmed.",
    NONE="Orders are confirmed whatever was paid.",
    AUTHORIZED="The whole amount must be authorized.",
    PAID="The whole amount must be paid.",
)
described(
    LocationType,
    "What a location is.",
    WAREHOUSE="A warehouse of your own.",
    STORE="A store that may also ship.",
    THIRD_PARTY_LOGISTICS="A warehouse that somebody else runs for you.",
    SUPPLIER_DROPSHIP="A supplier who ships to your customers.",
    CROSS_DOCK="A place where goods change vehicles and are not put away.",
    PICKUP_POINT="A place where customers collect.",
    RETURN_CENTRE="A place where returns are received.",
    VIRTUAL="No place: stock that is counted apart.",
)


@scoped("network:read")
@strawberry.type(description="A postal address, without its country.")
class LocationAddress:
    lines: list[str] = strawberry.field(description="Street and house, one entry a line.")
    city: str | None = strawberry.field(description="City or town.")
    region: str | None = strawberry.field(description="State, county or province.")
    postcode: str | None = strawberry.field(description="Postal code, as it is written in the country.")


@node_type
@scoped("network:read")
@strawberry.type(description="A place that holds stock, receives it or hands it over.")
class Location(Node):
    uuid: strawberry.Private[UUID]
    code: str = strawberry.field(description="Your code of the location, unique and case-sensitive.")
    name: str = strawberry.field(description="Its name, for people.")
    type: LocationType = strawberry.field(description="What it is.")
    latitude: float | None = strawberry.field(description="Degrees north; null where it is not known.")
    longitude: float | None = strawberry.field(description="Degrees east; null where it is not known.")
    country: CountryCode = strawberry.field(description="The country it lies in.")
    time_zone: TimeZone = strawberry.field(description="The zone of its working day, and of `cutoff`.")
    address: LocationAddress | None = strawberry.field(description="Where it is, for carriers and people.")
    daily_order_capacity: int | None = strawberry.field(
        metadata=needs("network:read", "stock:read"), description="Orders it can ship in a day; null for no limit."
    )
    daily_unit_capacity: int | None = strawberry.field(
        metadata=needs("network:read", "stock:read"), description="Units it can ship in a day; null for no limit."
    )
    cutoff: str | None = strawberry.field(
        description="Local time of day, `HH:MM`: orders that arrive later start on the next day."
    )
    active: bool = strawberry.field(description="Whether orders may be allocated here.")
    version: int = strawberry.field(description="Rises by one with every change.")
    created_at: datetime = strawberry.field(description="When Orderwire first heard of it.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @classmethod
    def of(cls, row: Row[Any]) -> Location:
        return LOCATION.of(row)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Location | None:
        row = await context.load(queries.locations_by_id, uuid)
        return cls.of(row) if row is not None else None

    @classmethod
    async def referenced(cls, context: Context, uuid: UUID) -> Location:
        """The location that a visible row refers to."""
        row = await context.load(queries.referenced_locations, uuid)
        assert row is not None, "foreign keys keep referenced locations"
        return cls.of(row)


@scoped("network:read")
@strawberry.type(description="A location that serves a channel.")
class ChannelLocation:
    location_uuid: strawberry.Private[UUID]
    priority: int = strawberry.field(description="Lower is chosen first, where several locations serve alike.")
    safety_stock: int = strawberry.field(
        metadata=needs("network:read", "stock:read"),
        description="Units of each SKU that are held back here from the channel. The greater of this and the stock"
        " level's own counts.",
    )

    @strawberry.field(description="The location.")
    async def location(self, info: Info) -> Location:
        return await Location.referenced(info.context, self.location_uuid)


@node_type
@scoped("network:read")
@strawberry.type(
    description="Where orders come from. A channel decides the currency, the price list, the tax rate, and which"
    " locations serve its orders."
)
class Channel(Node):
    uuid: strawberry.Private[UUID]
    code: str = strawberry.field(description="Your code of the channel, unique and case-sensitive.")
    name: str = strawberry.field(description="Its name, for people.")
    kind: ChannelKind = strawberry.field(description="The kind of origin.")
    currency: CurrencyCode = strawberry.field(description="The currency of orders that name none.")
    time_zone: TimeZone = strawberry.field(description="The zone of the channel's business day.")
    tax_rate_percent: Decimal = strawberry.field(
        description="The tax rate of orders whose caller may not set taxes, in percent."
    )
    prices_include_tax: bool = strawberry.field(description="Whether the price list is gross.")
    payment_policy: PaymentPolicy = strawberry.field(
        description="How far the payment must be before an order may be confirmed."
    )
    origins: list[str] = strawberry.field(
        description="Web origins whose pages may call this API with a key of the channel."
    )
    active: bool = strawberry.field(description="Whether it takes orders.")
    version: int = strawberry.field(description="Rises by one with every change, its list of locations included.")
    created_at: datetime = strawberry.field(description="When Orderwire first heard of it.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="The locations that serve the channel, first choice first.")
    async def locations(self, info: Info) -> list[ChannelLocation]:
        rows = await info.context.load(queries.locations_of_channels, self.uuid) or []
        return [_CHANNEL_LOCATION.of(row) for row in rows]

    @classmethod
    def of(cls, row: Row[Any]) -> Channel:
        return CHANNEL.of(row)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Channel | None:
        row = await context.load(queries.channels_by_id, uuid)
        return cls.of(row) if row is not None else None

    @classmethod
    async def referenced(cls, context: Context, uuid: UUID) -> Channel:
        """The channel that a visible row refers to."""
        row = await context.load(queries.referenced_channels, uuid)
        assert row is not None, "foreign keys keep referenced channels"
        return cls.of(row)


LOCATION = Reading(
    Location,
    id=Id("Location", "id"),
    uuid="id",
    address=InJson(Reading(LocationAddress), "address"),
    cutoff=TimeOfDay("cutoff"),
)
CHANNEL = Reading(Channel, id=Id("Channel", "id"), uuid="id", tax_rate_percent=Percent("tax_rate_ppm"))
_CHANNEL_LOCATION = Reading(ChannelLocation, location_uuid="location_id")


def location_of(column: str) -> Reference:
    """The location that this column of a visible row refers to."""
    return Reference(LOCATION, queries.ALL_LOCATIONS, column)


def channel_of(column: str) -> Reference:
    """The channel that this column of a visible row refers to."""
    return Reference(CHANNEL, queries.ALL_CHANNELS, column)


_CHANNEL_LOCATION.link("location", location_of("location_id"))
CHANNEL.link(
    "locations",
    Related(_CHANNEL_LOCATION, queries.serving, {"channel_id": "id"}, order_by=queries.FIRST_CHOICE_FIRST),
)
