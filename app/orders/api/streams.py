"""Orders as they change: a snapshot, then every version, without a gap and without a repetition."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.gql.groups import Still
from app.gql.nodes import Info, global_id, uuid_of
from app.gql.reset import Reset
from app.gql.scalars import Cursor
from app.gql.scopes import needs, scoped
from app.gql.viewer import Viewer
from app.gql.where import as_filter
from app.kernel import filters
from app.kernel.db import Reads
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.filters import Filter
from app.kernel.principal import Principal
from app.live import stream, topics
from app.live.attachment import Ended, Settled, Snapshot, State
from app.live.attachment import Reset as StreamReset
from app.live.events import LoggedEvent
from app.live.outage import patiently
from app.orders import events, queries
from app.orders.api.lists import OrderWhere
from app.orders.api.types import Order
from app.orders.recent import RecentOrders

IDS_MAX = 100

EVENT = "An item of `orderEvents`: where things stood, what changed, or that you have to start anew."


@scoped("orders:read")
@strawberry.type(description="How things stand at the cursor; the changes since then follow.")
class OrderSnapshot:
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    orders: list[Order] = strawberry.field(
        description="The orders you named by `ids`, in that order; empty without `ids`."
    )
    count: int = strawberry.field(description="How many orders you watch now. Counting stops at 10,000.")


@scoped("orders:read")
@strawberry.type(description="One change of one order. You see every version once, in order.")
class OrderChange:
    event: strawberry.Private[LoggedEvent]
    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on from here.")
    version: int = strawberry.field(description="The order's version that this change made.")
    type: str = strawberry.field(
        description="What happened: `OrderPlaced`, `OrderAllocated` (units that waited got stock), `OrderConfirmed`,"
        " `OrderHeld`, `OrderHoldReleased`, `OrderLinesCancelled`, `OrderCancelled`. More will come: pass over what you"
        " do not know."
    )
    occurred_at: datetime = strawberry.field(description="When.")
    order_id: strawberry.ID = strawberry.field(description="The order's id.")
    order_number: str = strawberry.field(description="The order's number.")
    matches: bool = strawberry.field(
        description="Whether the order is one of those that `where` asks for after this change. False once, when it"
        " leaves them; always true without `where`."
    )

    @property
    def shared(self) -> Hashable:
        """What the item is the same for, whoever subscribes."""
        return self.event.epoch, self.event.pos, self.cursor, self.matches

    @property
    def pos(self) -> int:
        return self.event.pos

    told = pos

    @strawberry.field(description="The order, at this version or a later one.")
    async def order(self, info: Info) -> Order:
        recent: RecentOrders = info.context.services.recent_orders
        row = await recent.at_least(info.context.reads, self.event.subject, self.event.version)
        assert row is not None, "orders are never deleted"
        return Order.of(row)


@strawberry.type
class OrdersSubscription:
    """Orders, for the root of subscriptions."""

    @strawberry.subscription(
        metadata=needs("orders:read"),
        description="Orders as they change. With `ids`, up to 100 orders, their state first; with `where`, every order"
        " that is or becomes like that; with neither, every order you may see. Keep the last `cursor` and hand it back"
        " as `after` when you come again: nothing is missed and nothing told twice, for as long as the log is kept.",
    )
    async def order_events(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID] | None, strawberry.argument(description="Up to 100 ids of orders.")] = None,
        where: Annotated[
            OrderWhere | None, strawberry.argument(description="Only orders like this. Not together with `ids`.")
        ] = None,
        after: Annotated[
            Cursor | None, strawberry.argument(description="The cursor of the last item you have dealt with.")
        ] = None,
    ) -> AsyncGenerator[
        Annotated[OrderSnapshot | OrderChange | Reset, strawberry.union("OrderEvent", description=EVENT)], None
    ]:
        watch = _Watch(info, ids, where)
        await watch.check()
        async with aclosing(watch.items(Viewer(info.context), after)) as items:
            async for item in items:
                yield item


class _Watch:
    """What one subscription wants to hear of."""

    def __init__(self, info: Info, ids: list[strawberry.ID] | None, where: OrderWhere | None) -> None:
        if ids is not None and where is not None:
            raise ValidationRefused("Give `ids` or `where`, not both.", path=["where"])
        if ids is not None and not 1 <= len(ids) <= IDS_MAX:
            raise ValidationRefused(f"`ids` takes 1 to {IDS_MAX} ids, not {len(ids)}.", path=["ids"])
        self._context = info.context
        self.ids = None
        if ids is not None:
            self.ids = list(dict.fromkeys(uuid_of(each, "Order", ["ids", str(i)]) for i, each in enumerate(ids)))
        self.where: Filter | None = as_filter(where)

    async def check(self) -> None:
        """Refuse orders that the caller may not see, as if there were none.  Raises NotFound."""
        if self.ids is None:
            return
        ids = self.ids
        found = await patiently(lambda: queries.orders_by_id(self._context.reads, ids))
        for order_id in ids:
            if order_id not in found:
                raise NotFound("order", global_id("Order", order_id), path=["ids"])

    async def items(self, viewer: Viewer, after: str | None) -> AsyncGenerator[Any, None]:
        """What this subscription tells a viewer."""
        followed = stream.follow(
            self._context.services.hub,
            viewer,
            topics=self.topics(viewer.principal),
            snapshot=self.snapshot,
            accept=self.accepts,
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
                    still = still or Still(item, self.items)
                    yield still
                else:
                    yield self.shown(item)

    def topics(self, principal: Principal) -> list[str]:
        """The narrowest that tell of all these orders."""
        if self.ids is not None:
            return [topics.order(order_id) for order_id in self.ids]
        if principal.customer_id is not None:
            return [topics.customer(principal.customer_id)]
        return [topics.channel(principal.channel_id) if principal.channel_id is not None else topics.ORDERS]

    async def snapshot(self, reads: Reads) -> State[tuple[list[Any], int]]:
        if self.ids is None:
            return State(([], await queries.ORDERS.count(reads, where=self.where)))
        rows = await queries.orders_by_id(reads, self.ids)
        shown = [rows[order_id] for order_id in self.ids if order_id in rows]
        return State((shown, len(shown)), {("order", row.id): row.version for row in shown})

    def accepts(self, event: LoggedEvent, principal: Principal) -> bool:
        if event.aggregate != "order":
            return False
        facts = event.payload["facts"]
        if not queries.may_see(principal, facts["channelId"], facts["customerId"]):
            return False
        return self.where is None or self._matches(event) or self._matches(event, before=True)

    def _matches(self, event: LoggedEvent, *, before: bool = False) -> bool:
        if self.where is None:
            return True
        if before and event.version == 1:
            return False
        return filters.matches(self.where, events.comparable(event.subject, event.payload, before=before))

    def shown(self, item: Any) -> OrderSnapshot | OrderChange | Reset:
        if isinstance(item, Snapshot):
            rows, count = item.items
            return OrderSnapshot(cursor=Cursor(item.cursor), orders=[Order.of(row) for row in rows], count=count)
        if isinstance(item, StreamReset):
            return Reset.of(item)
        event = item.event
        return OrderChange(
            event=event,
            cursor=Cursor(item.cursor),
            version=event.version,
            type=event.type,
            occurred_at=event.occurred_at,
            order_id=global_id("Order", event.subject),
            order_number=event.payload["facts"]["number"],
            matches=self._matches(event),
        )
