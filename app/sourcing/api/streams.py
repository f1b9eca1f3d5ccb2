"""What can be promised of a cart, told again whenever it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

import strawberry

from app.gql.nodes import Info
from app.gql.reset import Reset
from app.gql.scalars import Cursor
from app.gql.scopes import needs, scoped
from app.gql.viewer import Viewer
from app.kernel.db import Reads
from app.live import attachment, latest, topics
from app.live.attachment import Ended, Settled, Snapshot, State
from app.live.events import LoggedEvent
from app.live.latest import LatestChange
from app.sourcing import cart, commands, promise, queries
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
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    cart: CartAvailability = strawberry.field(description="What can be promised.")


@scoped("availability:read")
@strawberry.type(description="What can be promised from now on. It replaces all that was told before.")
class AvailabilityChange:
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
        viewer = Viewer(info.context)
        watch = _Watch(lines, channel, destination.plain("destination") if destination is not None else None)
        await watch.evaluate(viewer.reads)
        while True:
            watch.follow_present_skus()
            items = latest.follow_latest(
                info.context.services.hub,
                viewer,
                topics=watch.topics(),
                keys=watch.keys,
                snapshot=watch.snapshot,
                read=watch.read,
                throttle_seconds=THROTTLE_SECONDS,
                after=after,
                due=watch.due,
            )
            async with aclosing(items):
                async for item in items:
                    if isinstance(item, Ended):
                        viewer.refuse(item)
                        return
                    assert not isinstance(item, Settled), "this was not asked for"
                    after = Cursor(item.cursor)
                    if (shown := watch.shown(item)) is not None:
                        yield shown
                    if watch.depends_on_others:
                        break  # a bundle has other parts now: go on from this cursor, listening for those


class _Watch:
    """One cart, as it was told last and as it is."""

    def __init__(self, lines: Sequence[CartLineInput], channel: str | None, destination: Destination | None) -> None:
        self._lines = lines
        self._channel = channel
        self._destination = destination
        self._told: Cart | None = None
        self._present: Cart | None = None
        self._release: datetime | None = None
        self._skus: frozenset[str] = frozenset()
        self._heard: frozenset[str] = frozenset()
        self._missing_codes: frozenset[str] = frozenset()

    async def evaluate(self, reads: Reads) -> Cart:
        """Raises NotFound, ValidationRefused."""
        codes = [line.sku for line in self._lines]
        facts = await queries.facts(reads, channel=self._channel, codes=codes, path=["channel"])
        now = reads.now
        self._release = promise.next_release(facts, now)
        self._present = cart.evaluate(self._lines, facts, self._destination, now)
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
        """When the answer changes without an event: a preorder is released. Supply that falls due has not come yet."""
        return (_CART, self._release) if self._release is not None else None

    async def snapshot(self, reads: Reads) -> State[Cart]:
        return State(await self.evaluate(reads))

    async def read(self, reads: Reads, _: Collection[str]) -> Mapping[str, Cart]:
        """The cart, where it is news."""
        present = await self.evaluate(reads)
        news = self.depends_on_others or not present.says_the_same_as(self._told, reads.now)
        return {_CART: present} if news else {}

    def shown(
        self, item: Snapshot[Cart] | LatestChange[str, Cart] | attachment.Reset
    ) -> AvailabilitySnapshot | AvailabilityChange | Reset | None:
        if isinstance(item, attachment.Reset):
            return Reset.of(item)
        present = item.items if isinstance(item, Snapshot) else item.value
        told, self._told = self._told, present
        answer = cast("CartAvailability", present)
        if isinstance(item, Snapshot):
            return AvailabilitySnapshot(cursor=Cursor(item.cursor), cart=answer)
        if told == present:
            return None
        return AvailabilityChange(cursor=Cursor(item.cursor), cart=answer)
