"""Orders looked up and listed."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
import strawberry

from app.customers.api import Customer
from app.gql.connections import (
    After,
    Before,
    Connection,
    Edge,
    First,
    Info,
    Last,
    OrderBy,
    OrderDirection,
    PageArguments,
    PageInfo,
    Search,
    connect,
    one_of,
    uuid_of,
)
from app.gql.direct import One, Paged, Way, answers_directly, by
from app.gql.scalars import Cursor
from app.gql.scopes import contribute, needs
from app.gql.where import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    IntFilter,
    LongFilter,
    StringFilter,
    condition,
    either,
    every,
    neither,
)
from app.kernel.errors import ValidationRefused
from app.kernel.signing import BadSignature
from app.kernel.texts import kept, spelled
from app.network import queries as network
from app.orders import queries
from app.orders.api.types import ORDER, Order
from app.orders.states import FulfillmentStatus, Lifecycle, PaymentStatus, ReturnStatus


@strawberry.input(
    description="Which orders; all that is given must hold. Lists and live subscriptions understand the same."
)
class OrderWhere:
    id: IdFilter | None = condition("By id.", node="Order")
    number: StringFilter | None = condition("By number.")
    external_ref: StringFilter | None = condition("By the number in your system.")
    channel_id: IdFilter | None = condition("By channel.", node="Channel")
    customer_id: IdFilter | None = condition("By customer; guests have none.", node="Customer")
    lifecycle: EnumFilter[Lifecycle] | None = condition("By where it stands as a contract.")
    fulfillment_status: EnumFilter[FulfillmentStatus] | None = condition("By how far its units have come.")
    payment_status: EnumFilter[PaymentStatus] | None = condition("By how the money stands.")
    return_status: EnumFilter[ReturnStatus] | None = condition("By what has come back.")
    is_on_hold: BooleanFilter | None = condition("By whether a hold is open.")
    priority: IntFilter | None = condition("By priority.")
    currency: StringFilter | None = condition("By currency.")
    total_minor: LongFilter | None = condition("By the total in minor units; ask for one currency beside it.")
    destination_country: StringFilter | None = condition("By the country it goes to.")
    placed_at: DateTimeFilter | None = condition("By when it was placed.")
    updated_at: DateTimeFilter | None = condition(
        "By when it last changed. To fetch what changed since you last asked, ask from a minute before that: a change"
        " can be seen a moment after its time. `orderEvents` tells every change once."
    )
    all_of: list[OrderWhere] | None = every()
    any_of: list[OrderWhere] | None = either()
    none_of: OrderWhere | None = neither()


@strawberry.enum(description="What orders can be sorted by.")
class OrderOrder(enum.Enum):
    PLACED_AT = strawberry.enum_value("PLACED_AT", description="When it was placed.")
    NUMBER = strawberry.enum_value("NUMBER", description="Number, by code point.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")
    TOTAL = strawberry.enum_value("TOTAL", description="Total in minor units, whatever the currency.")


@strawberry.input(description="An order by the number in your system.")
class ExternalRefInput:
    channel: str = strawberry.field(description="The channel's code.")
    ref: str = strawberry.field(description="The order's external reference.")


_NEWEST_FIRST = OrderBy(field=OrderOrder.PLACED_AT, direction=OrderDirection.DESC)


@strawberry.type
class OrdersQuery:
    """Orders, for the root of queries."""

    @strawberry.field(
        metadata=needs("orders:read"),
        description="One order, by id, number or external reference; null where there is none that you may see.",
    )
    async def order(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        number: Annotated[str | None, strawberry.argument(description="Its number, such as `OW-1000001`.")] = None,
        external_ref: Annotated[
            ExternalRefInput | None, strawberry.argument(description="Its channel and the number in your system.")
        ] = None,
    ) -> Order | None:
        context = info.context
        given = one_of(id=id, number=number, external_ref=external_ref)
        if given == "id":
            return await Order.load(context, uuid_of(id or "", "Order", ["id"]))
        if given == "number":
            row = await context.load(queries.orders_by_number, number or "")
            return Order.of(row) if row is not None else None
        assert external_ref is not None
        channel = await context.load(network.channels_by_code, spelled(external_ref.channel))
        if channel is None:
            return None
        row = await context.load(queries.orders_by_external_ref, (channel.id, kept(external_ref.ref)))
        return Order.of(row) if row is not None else None

    @strawberry.field(metadata=needs("orders:read"), description="Orders, the newest first unless you say otherwise.")
    async def orders(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[OrderWhere | None, strawberry.argument(description="Only orders like this.")] = None,
        search: Search = None,
        order_by: Annotated[
            OrderBy[OrderOrder] | None, strawberry.argument(description="How to sort; newest first if not given.")
        ] = None,
    ) -> Connection[Order]:
        return await connect(
            info,
            queries.ORDERS,
            Order.of,
            PageArguments(first, after, last, before),
            where=where,
            search=search,
            order_by=order_by or _NEWEST_FIRST,
        )


answers_directly(
    "order",
    One(
        ORDER,
        queries.ALL,
        queries.visible_to,
        {
            "id": by(queries.FIELDS["id"], lambda given: uuid_of(given, "Order", ["id"])),
            "number": by(queries.FIELDS["number"], str),
            "external_ref": Way(
                queries.has_external_ref,
                lambda given: {"channel_code": spelled(given.channel), "external_ref": kept(given.ref)},
            ),
        },
    ),
)
answers_directly("orders", Paged(ORDER, queries.ORDERS, order_by=_NEWEST_FIRST))

_OF_CUSTOMER = "orders-of-customer"


async def _of_customer(root: Customer, info: Info, first: First = None, after: After = None) -> Connection[Order]:
    """One page for each of many customers in one statement: a cursor is the place of an order, sealed."""
    signer = info.context.services.signer
    size = PageArguments(first=first).size()
    place: tuple[datetime, UUID] | None = None
    if after is not None:
        try:
            customer, placed_at, order_id = orjson.loads(signer.open(_OF_CUSTOMER, after))
        except BadSignature:
            customer = placed_at = order_id = ""
        if customer != str(root.uuid):
            raise ValidationRefused(
                "`after` is not a cursor of this customer's orders: page again from the start, without it.",
                path=["after"],
            )
        place = datetime.fromisoformat(placed_at), UUID(order_id)
    rows = await info.context.load(queries.newest_of_customers, (root.uuid, size, place)) or []
    nodes = [Order.of(row) for row in rows[:size]]
    cursors = [
        Cursor(signer.seal(_OF_CUSTOMER, orjson.dumps([str(root.uuid), row.placed_at, str(row.id)])))
        for row in rows[:size]
    ]

    async def count() -> int:
        return await info.context.load(queries.counts_of_customers, root.uuid) or 0

    return Connection(
        edges=[Edge(cursor=cursor, node=order) for cursor, order in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=len(rows) > size,
            has_previous_page=place is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )


contribute(
    Customer,
    "orders",
    strawberry.field(
        resolver=_of_customer,
        metadata=needs("customers:read", "orders:read"),
        description="The customer's orders, newest first, a page at a time.",
    ),
)
