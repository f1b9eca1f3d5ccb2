"""Stock as it changes: a snapshot, then the latest figures of whatever changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.catalog import queries as catalog
from app.gql.context import Together
from app.gql.groups import Still
from app.gql.nodes import Info
from app.gql.reset import Reset
from app.gql.scalars import Cursor, Long
from app.gql.scopes import needs, scoped
from app.gql.viewer import Viewer
from app.inventory import queries
from app.inventory.api.types import StockLevel
from app.inventory.queries import StockKey
from app.kernel.db import Reads
from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.kernel.texts import spelled
from app.live import attachment, latest, topics
from app.live.attachment import Ended, Settled, Snapshot, State
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.latest import LatestChange
from app.network import queries as network

CODES_MAX = 100
LEVELS_MAX = 1_000
THROTTLE_MS_DEFAULT = 100
THROTTLE_MS_MAX = 60_000

EVENT = "An item of `stockChanges`: where things stood, what changed, or that you have to start anew."


@scoped("stock:read")
@strawberry.type(description="How stock stands at the cursor; changes since then follow.")
class StockSnapshot:
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    stock_levels: list[StockLevel] = strawberry.field(
        description="The stock levels of the SKUs you named by `skus`; empty without `skus`."
    )
    count: int = strawberry.field(description="How many stock levels you watch now. Counting stops at 10,000.")


@scoped("stock:read")
@strawberry.type(
    description="A stock level that changed, with its latest figures. Changes that follow one another quickly arrive as"
    " one, so versions may be passed over; the last one always comes."
)
class StockChange:
    together: strawberry.Private[Together]
    pos: strawberry.Private[int]
    told: strawberry.Private[int]
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    version: Long = strawberry.field(description="The stock level's version. One you know already is no news.")
    stock_level: StockLevel = strawberry.field(description="The stock level as it is now.")


class _Latest(NamedTuple):
    """A balance as it is now, and what those that changed with it refer to."""

    row: Row[Any]
    together: Together


@strawberry.type
class InventorySubscription:
    """Stock, for the root of subscriptions."""

    @strawberry.subscription(
        metadata=needs("stock:read"),
        description="Stock levels as they change. With `skus`, their state first; without, every change that the other"
        " arguments let through. Keep the last `cursor` and hand it back as `after` when you come again: everything"
        " that changed meanwhile comes with its latest figures, for as long as the log is kept.",
    )
    async def stock_changes(
        self,
        info: Info,
        skus: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Codes of up to 100 SKUs; all if not given. Up to 1,000 stock levels may be watched so."
            ),
        ] = None,
        locations: Annotated[
            list[str] | None, strawberry.argument(description="Codes of up to 100 locations; all if not given.")
        ] = None,
        channel: Annotated[
            str | None,
            strawberry.argument(
                description="The code of a channel: only locations that serve it at the time of subscribing."
            ),
        ] = None,
        after: Annotated[
            Cursor | None, strawberry.argument(description="The cursor of the last item you have dealt with.")
        ] = None,
        throttle_ms: Annotated[
            int,
            strawberry.argument(
                description="Send changes no more often than every so many milliseconds, 0 to 60,000. What changes"
                " meanwhile is gathered."
            ),
        ] = THROTTLE_MS_DEFAULT,
    ) -> AsyncGenerator[
        Annotated[StockSnapshot | StockChange | Reset, strawberry.union("StockEvent", description=EVENT)], None
    ]:
        if not 0 <= throttle_ms <= THROTTLE_MS_MAX:
            raise ValidationRefused(
                f"`throttleMs` lies between 0 and {THROTTLE_MS_MAX:,}, not {throttle_ms}.", path=["throttleMs"]
            )
        viewer = Viewer(info.context)
        watch = await _Watch.on(viewer.reads, skus, locations, channel)
        hub, throttle_seconds = info.context.services.hub, throttle_ms / 1000
        async with aclosing(watch.items(hub, throttle_seconds, viewer, after)) as items:
            async for item in items:
                yield item


class _Watch:
    """Which balances one subscription watches; None stands for any."""

    def __init__(self, skus: Sequence[UUID] | None, locations: Sequence[UUID] | None) -> None:
        self._skus = skus
        self._locations = locations
        self._sku_keys = frozenset(map(str, skus)) if skus is not None else None
        self._location_keys = frozenset(map(str, locations)) if locations is not None else None
        self._watched = self._sku_keys, self._location_keys

    @classmethod
    async def on(cls, reads: Reads, skus: list[str] | None, locations: list[str] | None, channel: str | None) -> _Watch:
        """Raises ValidationRefused for too many, NotFound for codes that name nothing."""
        _check_number("skus", skus)
        _check_number("locations", locations)
        sku_ids = location_ids = None
        if skus is not None:
            sku_ids = _ids("SKU", "skus", skus, await catalog.skus_by_code(reads, _codes(skus)))
        if locations is not None:
            location_ids = _ids(
                "location", "locations", locations, await network.locations_by_code(reads, _codes(locations))
            )
        if channel is not None:
            found = (await network.channels_by_code(reads, [spelled(channel)])).get(spelled(channel))
            if found is None:
                raise NotFound("channel", channel, path=["channel"])
            serving = [row.location_id for row in (await network.locations_of_channels(reads, [found.id]))[found.id]]
            location_ids = serving if location_ids is None else [each for each in serving if each in location_ids]
        watch = cls(sku_ids, location_ids)
        if sku_ids is not None:
            count = await queries.count_of(reads, queries.watched_levels(reads.principal, sku_ids, location_ids))
            if count > LEVELS_MAX:
                raise ValidationRefused(
                    f"These SKUs have {count:,} stock levels there, {LEVELS_MAX:,} may be watched: name fewer, or some"
                    " locations.",
                    path=["skus"],
                )
        return watch

    async def items(
        self, hub: Hub, throttle_seconds: float, viewer: Viewer, after: str | None
    ) -> AsyncGenerator[Any, None]:
        """What this subscription tells a viewer."""
        followed = latest.follow_latest(
            hub,
            viewer,
            topics=self.topics(),
            keys=self.keys,
            snapshot=self.snapshot,
            read=self.read,
            throttle_seconds=throttle_seconds,
            after=after,
            settling=viewer.settles,
        )
        still: Still | None = None
        async with aclosing(followed):
            async for item in followed:
                if isinstance(item, Ended):
                    viewer.refuse(item)
                    return
                if isinstance(item, Settled):
                    still = still or Still(item, partial(self.items, hub, throttle_seconds), self._watched)
                    yield still
                else:
                    yield _shown(item)

    def topics(self) -> list[str]:
        if self._skus is None:
            return [topics.STOCK]
        return [topics.sku(sku) for sku in self._skus]

    def keys(self, event: LoggedEvent) -> Iterable[tuple[str, str, str]]:
        """The watched balances that an event touches."""
        return [
            (sku, location, owner)
            for sku, location, owner in event.payload.get("stock", ())
            if (self._sku_keys is None or sku in self._sku_keys)
            and (self._location_keys is None or location in self._location_keys)
        ]

    async def snapshot(self, reads: Reads) -> State[tuple[Sequence[Row[Any]], int]]:
        levels = queries.watched_levels(reads.principal, self._skus, self._locations)
        if self._skus is None:
            return State(((), await queries.count_of(reads, levels)))
        rows = await reads.all(levels)
        return State((rows, len(rows)))

    async def read(self, reads: Reads, keys: Collection[tuple[str, str, str]]) -> Mapping[Any, _Latest]:
        wanted: list[StockKey] = [(UUID(sku), UUID(location), owner) for sku, location, owner in keys]
        rows = await queries.levels_by_key(reads, wanted)
        together = Together(
            {
                catalog.referenced_skus: [sku for sku, _, _ in rows],
                network.referenced_locations: [location for _, location, _ in rows],
                queries.incoming_by_key: rows,
            }
        )
        return {
            (str(sku), str(location), owner): _Latest(row, together) for (sku, location, owner), row in rows.items()
        }


def _check_number(name: str, codes: list[str] | None) -> None:
    if codes is not None and not 1 <= len(codes) <= CODES_MAX:
        raise ValidationRefused(f"`{name}` takes 1 to {CODES_MAX} codes, not {len(codes)}.", path=[name])


def _codes(given: list[str]) -> list[str]:
    return sorted({spelled(code) for code in given})


def _ids(kind: str, name: str, given: list[str], found: Mapping[str, Row[Any]]) -> list[UUID]:
    """The ids of all codes.  Raises NotFound for every one that names nothing."""
    refusals: list[Refusal] = [
        NotFound(kind, code, path=[name, str(i)]) for i, code in enumerate(given) if spelled(code) not in found
    ]
    if refusals:
        raise Refusal.together(refusals)
    return [row.id for row in found.values()]


def _shown(
    item: Snapshot[tuple[Sequence[Row[Any]], int]] | LatestChange[Any, _Latest] | attachment.Reset,
) -> StockSnapshot | StockChange | Reset:
    if isinstance(item, Snapshot):
        rows, count = item.items
        return StockSnapshot(cursor=Cursor(item.cursor), stock_levels=[StockLevel.of(row) for row in rows], count=count)
    if isinstance(item, attachment.Reset):
        return Reset.of(item)
    row, together = item.value
    return StockChange(
        cursor=Cursor(item.cursor),
        version=Long(row.version),
        stock_level=StockLevel.of(row),
        together=together,
        pos=item.pos,
        told=item.told,
    )
