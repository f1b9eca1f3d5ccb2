"""Channels and locations kept in step with the system that owns them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.gql.errors import UserError
from app.gql.mutations import mutation
from app.gql.nodes import Info
from app.gql.scalars import CountryCode, CurrencyCode, TimeZone
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import BATCH, EXPECTED_VERSION, given, optional, upserted, user_errors
from app.kernel import inputs
from app.kernel.upserts import Outcome
from app.kernel.work import CommandArguments
from app.network import commands
from app.network.api.types import Channel, Location
from app.network.states import ChannelKind, LocationType, PaymentPolicy

_TAX_PERCENT = inputs.decimal(Decimal(0), Decimal(100), 4)


@strawberry.input(description="A location that shall serve a channel.")
class ChannelLocationInput:
    location: str = strawberry.field(description="The location's code.")
    priority: int = strawberry.field(
        default=0, description="Lower is chosen first, where several locations serve alike; 0 if not given."
    )
    safety_stock: int = strawberry.field(
        default=0, description="Units of each SKU to hold back there from the channel; 0 if not given."
    )


@strawberry.input(description="A channel as it shall be. What you leave out stays as it is.")
class ChannelUpsertInput:
    code: str = strawberry.field(
        description="Your code of the channel: 1 to 64 printable characters, case-sensitive. It decides whether one is"
        " created or changed."
    )
    name: str | None = optional("Its name, for people. Needed where it is new.")
    kind: ChannelKind | None = optional("The kind of origin. Needed where it is new.")
    currency: CurrencyCode | None = optional("The currency of orders that name none. Needed where it is new.")
    time_zone: TimeZone | None = optional("The zone of its business day; UTC where it is new.")
    tax_rate_percent: Decimal | None = optional(
        "Tax rate in percent, up to 4 decimals, for orders whose caller may not set taxes; 0 where it is new."
    )
    prices_include_tax: bool | None = optional("Whether its price list is gross; true where it is new.")
    payment_policy: PaymentPolicy | None = optional(
        "How far the payment must be before an order may be confirmed; NONE where it is new."
    )
    origins: list[str] | None = optional(
        "Web origins whose pages may call this API with a key of the channel, such as `https://shop.example`."
        " Replaces the list."
    )
    active: bool | None = optional("Whether it takes orders; true where it is new.")
    locations: list[ChannelLocationInput] | None = optional(
        "The locations that serve the channel, up to 250. Replaces the list."
    )


@strawberry.input(description="A postal address, without its country.")
class LocationAddressInput:
    lines: list[str] = strawberry.field(description="Street and house, one entry a line, up to 5.")
    city: str | None = strawberry.field(default=None, description="City or town.")
    region: str | None = strawberry.field(default=None, description="State, county or province.")
    postcode: str | None = strawberry.field(default=None, description="Postal code, as written in the country.")


@strawberry.input(description="A location as it shall be. What you leave out stays as it is; null clears.")
class LocationUpsertInput:
    code: str = strawberry.field(
        description="Your code of the location: 1 to 64 printable characters, case-sensitive. It decides whether one is"
        " created or changed."
    )
    name: str | None = optional("Its name, for people. Needed where it is new.")
    type: LocationType | None = optional("What it is. Needed where it is new.")
    country: CountryCode | None = optional("The country it lies in. Needed where it is new.")
    latitude: float | None = optional("Degrees north, -90 to 90; goes with `longitude`.")
    longitude: float | None = optional("Degrees east, -180 to 180; goes with `latitude`.")
    time_zone: TimeZone | None = optional("The zone of its working day; UTC where it is new.")
    address: LocationAddressInput | None = optional("Where it is, as a whole.")
    daily_order_capacity: int | None = optional("Orders it can ship in a day; null for no limit.")
    daily_unit_capacity: int | None = optional("Units it can ship in a day; null for no limit.")
    cutoff: str | None = optional("Local time of day, `HH:MM`: orders that arrive later start on the next day.")
    active: bool | None = optional("Whether orders may be allocated here; true where it is new.")


@strawberry.input(description="A location of a batch.")
class LocationsUpsertItem:
    location: LocationUpsertInput = strawberry.field(description="The location as it shall be.")
    expected_version: int | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@scoped(ANYONE)
@strawberry.type(description="What became of the channel.")
class ChannelUpsertPayload:
    channel: Channel | None = strawberry.field(description="The channel as it is now.")
    outcome: Outcome | None = strawberry.field(description="What was done.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the location.")
class LocationUpsertPayload:
    location: Location | None = strawberry.field(description="The location as it is now.")
    outcome: Outcome | None = strawberry.field(description="What was done.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of one location of a batch.")
class LocationUpsertResult:
    location: Location = strawberry.field(description="The location as it is now.")
    outcome: Outcome = strawberry.field(description="What was done.")


@scoped(ANYONE)
@strawberry.type(description="What became of the locations of a batch.")
class LocationsUpsertPayload:
    results: list[LocationUpsertResult] = strawberry.field(description="One for each item, in the order of the input.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class NetworkMutation:
    """Upserts of channels and locations, for the root of mutations."""

    @mutation(scope="network:write", versioned=True)
    async def channel_upsert(
        self,
        info: Info,
        input: Annotated[ChannelUpsertInput, strawberry.argument(description="The channel as it shall be.")],
        command: CommandArguments,
    ) -> ChannelUpsertPayload:
        """Create a channel, or change what you give of it. A key bound to a channel changes that one only."""
        result = await info.context.run(commands.upsert_channel, command, channel=_channel(input))
        channel = await Channel.load(info.context, UUID(result["channel"]["id"]))
        return ChannelUpsertPayload(channel=channel, outcome=Outcome(result["channel"]["outcome"]))

    @mutation(scope="network:write", versioned=True)
    async def location_upsert(
        self,
        info: Info,
        input: Annotated[LocationUpsertInput, strawberry.argument(description="The location as it shall be.")],
        command: CommandArguments,
    ) -> LocationUpsertPayload:
        """Create a location, or change what you give of it."""
        result = await info.context.run(commands.upsert_location, command, location=given(input))
        location = await Location.load(info.context, UUID(result["location"]["id"]))
        return LocationUpsertPayload(location=location, outcome=Outcome(result["location"]["outcome"]))

    @mutation(scope="network:write")
    async def locations_upsert(
        self,
        info: Info,
        input: Annotated[list[LocationsUpsertItem], strawberry.argument(description=BATCH)],
        command: CommandArguments,
    ) -> LocationsUpsertPayload:
        """Create or change up to 250 locations, all or none. `path` of an error leads to the item at fault."""
        locations = [{**given(item.location), "expected_version": item.expected_version} for item in input]
        result = await info.context.run(commands.upsert_locations, command, locations=locations)
        return LocationsUpsertPayload(results=await upserted(info, result["locations"], _result))


async def _result(info: Info, uuid: UUID, outcome: Outcome) -> LocationUpsertResult:
    return LocationUpsertResult(location=await Location.referenced(info.context, uuid), outcome=outcome)


def _channel(value: ChannelUpsertInput) -> dict[str, Any]:
    """The input with the tax rate in parts per million, as it is stored and computed with."""
    fields: dict[str, Any] = given(value)
    percent = fields.pop("tax_rate_percent", strawberry.UNSET)
    if percent is not strawberry.UNSET:
        at = ["input", "taxRatePercent"]
        fields["tax_rate_ppm"] = None if percent is None else int(_TAX_PERCENT(percent, at) * 10_000)
    return fields
