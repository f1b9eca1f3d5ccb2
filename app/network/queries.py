"""What is true now of channels and locations. Every read goes through the row rules below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, any_, exists, false, select, true
from sqlalchemy.orm import aliased

from app.kernel import search
from app.kernel.db import Reads
from app.kernel.filters import same_as_any
from app.kernel.pagination import Listing, OrderTerm
from app.kernel.principal import Kind, Principal
from app.network.models import Channel, ChannelLocation, Location


def channel_visible(principal: Principal) -> ColumnElement[bool]:
    """A key bound to a channel sees that one; visitors see active ones."""
    return and_(true(), *_channel_rules(principal))


def _channel_rules(principal: Principal) -> list[ColumnElement[bool]]:
    rules: list[ColumnElement[bool]] = []
    if principal.channel_id is not None:
        rules.append(Channel.id == principal.channel_id)
    elif principal.kind is Kind.STOREFRONT:
        rules.append(false())
    if principal.is_public:
        rules.append(Channel.active.is_(True))
    return rules


def visible_channels(principal: Principal) -> Select[UUID, str]:
    """Ids and codes of the channels that the caller sees, for the lists of other areas to join."""
    return select(Channel.id, Channel.code).where(channel_visible(principal))


def location_visible(principal: Principal) -> ColumnElement[bool]:
    """A key bound to a channel sees the locations that serve it; visitors see active ones."""
    rules: list[ColumnElement[bool]] = [true()]
    if principal.channel_id is not None:
        service = aliased(ChannelLocation)  # its own name, for statements that join the table themselves
        rules.append(exists().where(service.location_id == Location.id, service.channel_id == principal.channel_id))
    elif principal.kind is Kind.STOREFRONT:
        rules.append(false())
    if principal.is_public:
        rules.append(Location.active.is_(True))
    return and_(*rules)


def visible_locations(principal: Principal) -> Select[UUID]:
    """Ids of the locations that the caller sees, for the lists of other areas to ask for."""
    return select(Location.id).where(location_visible(principal))


ALL_CHANNELS: Select[*tuple[Any, ...]] = select(
    Channel.id,
    Channel.code,
    Channel.name,
    Channel.kind,
    Channel.currency,
    Channel.time_zone,
    Channel.tax_rate_ppm,
    Channel.prices_include_tax,
    Channel.payment_policy,
    Channel.origins,
    Channel.active,
    Channel.version,
    Channel.created_at,
    Channel.updated_at,
)
ALL_LOCATIONS: Select[*tuple[Any, ...]] = select(
    Location.id,
    Location.code,
    Location.name,
    Location.type,
    Location.latitude,
    Location.longitude,
    Location.country,
    Location.time_zone,
    Location.address,
    Location.daily_order_capacity,
    Location.daily_unit_capacity,
    Location.cutoff,
    Location.active,
    Location.version,
    Location.created_at,
    Location.updated_at,
)

CHANNELS = Listing(
    name="channels",
    select=ALL_CHANNELS,
    key=Channel.id.expression,
    columns={
        "id": Channel.id.expression,
        "code": Channel.code.expression,
        "name": Channel.name.expression,
        "kind": Channel.kind.expression,
        "currency": Channel.currency.expression,
        "active": Channel.active.expression,
        "created_at": Channel.created_at.expression,
        "updated_at": Channel.updated_at.expression,
    },
    orders={
        "CODE": [OrderTerm(Channel.code.expression)],
        "NAME": [OrderTerm(Channel.name_key.expression)],
        "CREATED_AT": [OrderTerm(Channel.created_at.expression)],
        "UPDATED_AT": [OrderTerm(Channel.updated_at.expression)],
    },
    visible=channel_visible,
    search=lambda text: search.found(Channel.search.expression, text),
)
LOCATIONS = Listing(
    name="locations",
    select=ALL_LOCATIONS,
    key=Location.id.expression,
    columns={
        "id": Location.id.expression,
        "code": Location.code.expression,
        "name": Location.name.expression,
        "type": Location.type.expression,
        "country": Location.country.expression,
        "active": Location.active.expression,
        "created_at": Location.created_at.expression,
        "updated_at": Location.updated_at.expression,
    },
    orders={
        "CODE": [OrderTerm(Location.code.expression)],
        "NAME": [OrderTerm(Location.name_key.expression)],
        "CREATED_AT": [OrderTerm(Location.created_at.expression)],
        "UPDATED_AT": [OrderTerm(Location.updated_at.expression)],
    },
    visible=location_visible,
    search=lambda text: search.found(Location.search.expression, text),
)


async def channels_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    return {
        row.id: row
        for row in await reads.all(
            ALL_CHANNELS.where(same_as_any(Channel.id.expression, ids)).where(channel_visible(reads.principal))
        )
    }


async def channels_by_code(reads: Reads, codes: Sequence[str]) -> Mapping[str, Row[Any]]:
    return {
        row.code: row
        for row in await reads.all(
            ALL_CHANNELS.where(same_as_any(Channel.code.expression, codes)).where(channel_visible(reads.principal))
        )
    }


def id_of_code(principal: Principal, code: ColumnElement[Any]) -> Select[UUID]:
    """The id of the channel with this code, if the caller sees it, for statements of other areas to ask for."""
    return select(Channel.id).where(Channel.code == code).where(channel_visible(principal))


async def referenced_channels(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    """Channels that a row the caller may see refers to, closed ones included: for loaders of such rows only."""
    return {row.id: row for row in await reads.all(ALL_CHANNELS.where(same_as_any(Channel.id.expression, ids)))}


async def locations_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    return {
        row.id: row
        for row in await reads.all(
            ALL_LOCATIONS.where(same_as_any(Location.id.expression, ids)).where(location_visible(reads.principal))
        )
    }


async def locations_by_code(reads: Reads, codes: Sequence[str]) -> Mapping[str, Row[Any]]:
    return {
        row.code: row
        for row in await reads.all(
            ALL_LOCATIONS.where(same_as_any(Location.code.expression, codes)).where(location_visible(reads.principal))
        )
    }


def ids_of_location_codes(principal: Principal, codes: ColumnElement[Any]) -> Select[UUID]:
    """Ids of the locations with these codes that the caller sees, for statements of other areas to ask for."""
    return select(Location.id).where(Location.code == any_(codes)).where(location_visible(principal))


async def referenced_locations(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    """Locations that a row the caller may see refers to, closed ones included: for loaders of such rows only."""
    return {row.id: row for row in await reads.all(ALL_LOCATIONS.where(same_as_any(Location.id.expression, ids)))}


def serving(principal: Principal) -> Select[*tuple[Any, ...]]:
    """The locations that serve channels, as far as the caller sees them: `FIRST_CHOICE_FIRST` sorts a channel's."""
    return (
        select(
            ChannelLocation.channel_id,
            ChannelLocation.location_id,
            ChannelLocation.priority,
            ChannelLocation.safety_stock,
        )
        .join(Location, Location.id == ChannelLocation.location_id)
        .where(location_visible(principal))
    )


FIRST_CHOICE_FIRST = (ChannelLocation.priority.expression, Location.code.expression)


async def locations_of_channels(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    rows = await reads.all(
        serving(reads.principal)
        .where(same_as_any(ChannelLocation.channel_id.expression, ids))
        .order_by(ChannelLocation.channel_id, *FIRST_CHOICE_FIRST)
    )
    found: dict[UUID, list[Row[Any]]] = {each: [] for each in ids}
    for row in rows:
        found[row.channel_id].append(row)
    return found
