"""What may be done to channels and locations: keep them in step with the system that owns them, by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.kernel.errors import NotFound
from app.kernel.filters import same_as_any
from app.kernel.rows import insert_rows
from app.kernel.upserts import Aggregate, Change, Item, Outcome, read_batch, upsert
from app.kernel.work import Work, command
from app.network import rules
from app.network.events import ChannelChanged, LocationChanged
from app.network.models import Channel, ChannelLocation, Location
from app.network.queries import location_visible

Result = dict[str, Any]


@command(scope="network:write")
async def upsert_channel(work: Work, *, channel: Mapping[str, Any]) -> Result:
    """Create a channel or change what is given of it.

    channel  `code`; name, kind and currency where it is new; the other fields of rules.CHANNEL_FIELDS.
             `locations` ({location: code, priority, safety_stock}) replaces the whole list.
    Raises NotFound, ValidationRefused, VersionConflict.
    """
    item = rules.channel(_expecting(work, channel), ("input",))
    await _stay_in_own_channel(work, item)
    (change,) = await upsert(work, _CHANNEL, [item])
    if change.rewrites("locations"):
        await _assign(work, change)
    if change.outcome is not Outcome.UNCHANGED:
        work.record(ChannelChanged(subject=change.id, version=change.version, code=change.item.code))
    return {"channel": change.result()}


@command(scope="network:write")
async def upsert_location(work: Work, *, location: Mapping[str, Any]) -> Result:
    """Create a location or change what is given of it.

    location  `code`; name, type and country where it is new; the other fields of rules.LOCATION_FIELDS
    Raises NotFound, ValidationRefused, VersionConflict.
    """
    item = rules.location(_expecting(work, location), ("input",))
    return {"location": (await _upsert_locations(work, [item]))[0].result()}


@command(scope="network:write")
async def upsert_locations(work: Work, *, locations: Sequence[Mapping[str, Any]]) -> Result:
    """Create or change up to 250 locations, all or none. Each may carry its `expected_version`."""
    items = read_batch(locations, rules.location, "location")
    return {"locations": [change.result() for change in await _upsert_locations(work, items)]}


async def _upsert_locations(work: Work, items: Sequence[Item]) -> list[Change]:
    if work.principal.channel_id is not None:
        # A location serves many channels, so no key that belongs to one of them may change it.
        raise NotFound("location", items[0].code if items else "", path=items[0].at("code") if items else None)
    changes = await upsert(work, _LOCATION, items)
    for change in changes:
        if change.outcome is not Outcome.UNCHANGED:
            work.record(LocationChanged(subject=change.id, version=change.version, code=change.item.code))
    return changes


def _expecting(work: Work, given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**given, "expected_version": work.arguments.expected_version}


async def _stay_in_own_channel(work: Work, item: Item) -> None:
    """A key bound to a channel changes that channel only.  Raises NotFound."""
    if work.principal.channel_id is None:
        return
    own = await work.reads.scalar(select(Channel.code).where(Channel.id == work.principal.channel_id))
    if own != item.code:
        raise NotFound("channel", item.code, path=item.at("code"))


async def _stored_assignments(work: Work, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    found: dict[UUID, dict[str, Any]] = {each: {"locations": {}} for each in ids}
    rows = await work.db.execute(
        select(ChannelLocation.channel_id, Location.code, ChannelLocation.priority, ChannelLocation.safety_stock)
        .join(Location, Location.id == ChannelLocation.location_id)
        .where(same_as_any(ChannelLocation.channel_id.expression, ids))
    )
    for row in rows:
        found[row.channel_id]["locations"][row.code] = (row.priority, row.safety_stock)
    return found


async def _assign(work: Work, change: Change) -> None:
    """Replace the channel's list of locations.  Raises NotFound for an unknown one.

    A key bound to a channel orders and drops those that serve it: it cannot take in others' by their codes.
    """
    wanted: rules.Assignments = change.facts["locations"]
    rows = await work.db.execute(
        select(Location.code, Location.id)
        .where(same_as_any(Location.code.expression, list(wanted)))
        .where(location_visible(work.principal))
    )
    ids = {row.code: row.id for row in rows}
    for place, code in enumerate(wanted):
        if code not in ids:
            raise NotFound("location", code, path=change.item.at("locations", str(place), "location"))
    await work.db.execute(delete(ChannelLocation).where(ChannelLocation.channel_id == change.id))
    assigned = [
        {"channel_id": change.id, "location_id": ids[code], "priority": priority, "safety_stock": safety_stock}
        for code, (priority, safety_stock) in wanted.items()
    ]
    await insert_rows(work.db, ChannelLocation.__table__, assigned)  # type: ignore[arg-type]


_CHANNEL = Aggregate(
    kind="channel",
    table=Channel.__table__,  # type: ignore[arg-type]
    required=rules.CHANNEL_REQUIRED,
    defaults=rules.CHANNEL_DEFAULTS,
    children=_stored_assignments,
    derive=rules.sort_and_search,
)
_LOCATION = Aggregate(
    kind="location",
    table=Location.__table__,  # type: ignore[arg-type]
    required=rules.LOCATION_REQUIRED,
    defaults=rules.LOCATION_DEFAULTS,
    derive=rules.sort_and_search,
    check=rules.check_location,
)
