"""SKUs, locations and customers: batches of upserts by code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import app.catalog.commands as catalog
import app.customers.commands as customers
import app.network.commands as network
from app.imports.items import Entry, Item, Kind, Outcome, Upsert
from app.imports.loading import Load, batches, settle
from app.kernel.upserts import Outcome as Upserted
from app.kernel.work import CommandFunction
from app.network.queries import channels_by_code, locations_by_id, locations_of_channels

COMMANDS: Mapping[Kind, CommandFunction] = {
    Kind.SKUS: catalog.upsert_skus,
    Kind.LOCATIONS: network.upsert_locations,
    Kind.CUSTOMERS: customers.upsert_customers,
}
_OUTCOMES = {
    Upserted.CREATED.value: Outcome.CREATED,
    Upserted.UPDATED.value: Outcome.UPDATED,
    Upserted.UNCHANGED.value: Outcome.UNCHANGED,
}


async def upsert_all(load: Load, kind: Kind, entries: Iterator[Entry]) -> list[str]:
    """Create or change what the entries say; the codes of all that is there now, in the file's order.

    No keys are claimed: an upsert that is repeated changes nothing.
    """
    codes: list[str] = []

    async def attempt(items: Sequence[Item]) -> list[Outcome]:
        given = {kind.value: [_given(item) for item in items]}
        result = await load.run(COMMANDS[kind], None, **given)
        if kind is Kind.LOCATIONS:
            codes.extend(_given(item)["code"] for item in items)
        return [_OUTCOMES[each["outcome"]] for each in result[kind.value]]

    for batch in batches(load.items(entries), lambda item: _given(item).get("code")):
        await settle(load, batch, attempt)
    return codes


def _given(item: Item) -> Mapping[str, Any]:
    assert isinstance(item.what, Upsert)
    return item.what.given


async def open_channel(load: Load, channel: Mapping[str, Any]) -> None:
    """Create a channel where there is none of that code; one that is there stays as it is."""
    if await channels_by_code(load.reads, [channel["code"]]):
        return
    await load.run(network.upsert_channel, None, channel=channel)
    load.assumed.append((network.upsert_channel, {"channel": channel}))


async def assign(load: Load, channel: str, codes: Sequence[str]) -> None:
    """Let locations serve a channel, after those that do already."""
    found = (await channels_by_code(load.reads, [channel])).get(channel)
    if found is None:  # in a dry run, which has not created it
        return
    serving = (await locations_of_channels(load.reads, [found.id]))[found.id]
    known = await locations_by_id(load.reads, [row.location_id for row in serving])
    given = [
        {"location": known[row.location_id].code, "priority": row.priority, "safety_stock": row.safety_stock}
        for row in serving
    ]
    new = [code for code in codes if code not in {each["location"] for each in given}]
    last = max((each["priority"] for each in given), default=0)
    given += [{"location": code, "priority": last + place, "safety_stock": 0} for place, code in enumerate(new, 1)]
    if new and not load.dry_run:
        await load.run(network.upsert_channel, None, channel={"code": channel, "locations": given})
