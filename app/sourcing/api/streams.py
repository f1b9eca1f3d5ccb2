"""What can be promised of a cart, told again whenever it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry

from app.gql.groups import Still
from app.gql.nodes import Info
from app.gql.reset import Reset
from app.gql.scalars import Cursor
from app.gql.scopes import needs, scoped
from app.gql.viewer import Viewer
from app.kernel.db import Reads
from app.live import attachment, latest, topics
from app.live.attachment import Ended, Settled, Snapshot, State
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.latest import LatestChange
from app.live.outage import patiently
from app.sourcing import cart, commands, queries
from app.sourcing.api.lists import CartLines, ChannelCode, ToDestination
from app.sourcing.api.types import CartAvailability, CartLineInput
from app.sourcing.cart import Cart
from app.sourcing.rules import Destination

THROTTLE_SECONDS = 0.1
_CART = "cart"

EVENT = "An item of `availabilityChanges`: what can be promised, how that changed, or that you have to start anew."


@scoped("availability:read")
@strawberry.type(description="What can be promised at the cursor; whenever it changes, an AvailabilityChange follows.")
class AvailabilitySnapshot:
    says: strawberry.Private[Cart]
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    cart: CartAvailability = strawberry.field(description="What can be promised.")


@scoped("availability:read")
@strawberry.type(description="What can be promised from now on. It replaces all that was told before.")
class AvailabilityChange:
    says: strawberry.Private[Cart]
    pos: strawberry.Private[int]
    told: strawberry.Private[int]
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    cart: CartAvailability = strawberry.field(description="What can be promised.")


@strawberry.type
class SourcingSubscription:
    """What can be promised, for the root of subscriptions."""

    @strawberry.subscription(
        metadata=needs("availability:read"),
        description="What a channel can promise of these lines together: first as it is, then again whenever it"
        " changes, at most ten times a second, because others buy, stock arrives, reservations end, a preorder"
        " is released, or catalog and channel change. Nothing is sent while nothing changes. With `after`,"
        " the first item comes with the first change since that cursor.",
    )
    async def availability_changes(
        self,
        info: Info,
        lines: CartLines,
        channel: ChannelCode = None,
        destination: ToDestination = None,
        after: Annotated[
            Cursor | None, strawberry.argument(description="The cursor of the last item you have dealt with.")
        ] = None,
    ) -> AsyncGenerator[
        Annotated[
            AvailabilitySnapshot | AvailabilityChange | Reset, strawberry.union("AvailabilityEvent", description=EVENT)
        ],
        None,
    ]:
        commands.check_lines(lines, ["lines"])
        asked = _Asked(lines, channel, destination.plain("destination") if destination is not None else None)
        async with aclosing(asked.items(info.context.services.hub, Viewer(info.context), after)) as items:
            async for item in items:
                yield item


@dataclass(frozen=True, slots=True)
class _Asked:
    """The cart that a subscription watches, whoever asks."""

    lines: Sequence[CartLineInput]
    channel: str | None
    destination: Destination | None

    async def items(self, hub: Hub, viewer: Viewer, after: str | None) -> AsyncGenerator[Any, None]:
        """What a viewer is told: at each event that may change the cart, how it is; whether that is news shows later.

        Raises NotFound, ValidationRefused.
        """
        watch, again = _Watch(self), partial(self.items, hub)
        present = await patiently(lambda: watch.evaluate(viewer.reads))
        if viewer.knows is not None and not present.says_the_same_as(viewer.knows):
            watch.changes_at = viewer.reads.now  # by the passing of time, of which no event tells
        while True:
            watch.follow_present_skus()
            followed = latest.follow_latest(
                hub,
                viewer,
                topics=watch.topics(),
                keys=watch.keys,
                snapshot=watch.snapshot,
                read=watch.read,
                throttle_seconds=THROTTLE_SECONDS,
                after=after,
                due=watch.due,
                settling=viewer.settles,
            )
            still: Still | None = None
            async with aclosing(followed):
                async for item in followed:
                    if isinstance(item, Ended):
                        viewer.refuse(item)
                        return
                    if isinstance(item, Settled):
                        still = still or Still(item, again)
                        yield still
                        continue
                    after = item.cursor
                    yield _shown(item)
                    if watch.depends_on_others:
                        break  # a bundle has other parts now: go on from this cursor, listening for those


class _Watch:
    """A cart as it is, and what it listens for.

    changes_at  when it changes by the passing of time alone
    """

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked
        self._present: Cart | None = None
        self.changes_at: datetime | None = None
        self._skus: frozenset[str] = frozenset()
        self._heard: frozenset[str] = frozenset()
        self._missing_codes: frozenset[str] = frozenset()

    async def evaluate(self, reads: Reads) -> Cart:
        """Raises NotFound, ValidationRefused."""
        asked = self._asked
        codes = [line.sku for line in asked.lines]
        facts = await queries.facts(reads, channel=asked.channel, codes=codes, path=["channel"])
        self._present = cart.evaluate(asked.lines, facts, asked.destination, reads.now)
        self.changes_at = self._present.changes_at
        return self._present

    def follow_present_skus(self) -> None:
        assert self._present is not None, "evaluate first"
        self._skus, self._missing_codes = self._present.watched, self._present.missing_codes
        self._heard = frozenset({topics.NETWORK, *(topics.sku(UUID(sku)) for sku in self._skus)})

    @property
    def depends_on_others(self) -> bool:
        """Whether the cart depends on other SKUs than those it listens for."""
        assert self._present is not None
        return (self._skus, self._missing_codes) != (self._present.watched, self._present.missing_codes)

    def topics(self) -> list[str]:
        return [*self._heard, topics.CATALOG] if self._missing_codes else list(self._heard)

    def keys(self, event: LoggedEvent) -> Iterable[str]:
        """Whether the event may change the answer: there is one key, the cart."""
        if not self._heard.isdisjoint(event.topics):
            return (_CART,)
        if event.aggregate == "sku" and event.payload["code"] in self._missing_codes:
            return (_CART,)
        return ()

    def due(self) -> tuple[str, datetime] | None:
        return (_CART, self.changes_at) if self.changes_at is not None else None

    async def snapshot(self, reads: Reads) -> State[Cart]:
        return State(await self.evaluate(reads))

    async def read(self, reads: Reads, _: Collection[str]) -> Mapping[str, Cart]:
        return {_CART: await self.evaluate(reads)}


def _shown(
    item: Snapshot[Cart] | LatestChange[str, Cart] | attachment.Reset,
) -> AvailabilitySnapshot | AvailabilityChange | Reset:
    if isinstance(item, attachment.Reset):
        return Reset.of(item)
    present = item.items if isinstance(item, Snapshot) else item.value
    answer, cursor = cast("CartAvailability", present), Cursor(item.cursor)
    if isinstance(item, Snapshot):
        return AvailabilitySnapshot(cursor=cursor, cart=answer, says=present)
    return AvailabilityChange(cursor=cursor, cart=answer, says=present, pos=item.pos, told=item.told)
