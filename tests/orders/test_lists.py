"""Orders listed: which there are, and how PostgreSQL finds them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.gql.where import DateTimeFilter, DateTimeRange, as_filter
from app.kernel import filters
from app.kernel.filters import Filter, Range
from app.orders import commands as orders
from app.orders import events, queries
from app.orders.api.lists import OrderWhere
from app.orders.models import Order
from app.orders.states import CancelReason, HoldReason
from tests.builders import STAFF, Shop


async def test_orders_are_found_by_when_they_last_changed(shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)
    first, _, third = [await shop.place({"POST": 1}, external_ref=ref) for ref in ("first", "second", "third")]
    shop.clock.advance(timedelta(hours=1))
    await shop.run(orders.confirm, order_id=third)
    since = shop.clock.now()
    shop.clock.advance(timedelta(hours=1))
    await shop.run(orders.hold, order_id=first, reason=HoldReason.FRAUD)

    where = as_filter(OrderWhere(updated_at=DateTimeFilter(range=DateTimeRange(gte=since))))
    statement = queries.ORDERS.selecting(STAFF, where, None).order_by(Order.updated_at)

    assert [order.external_ref for order in await shop.reads.all(statement)] == ["third", "first"]


async def test_every_event_holds_what_where_may_ask_of_its_order_after_and_before(shop: Shop) -> None:
    """Or else a live filter and a list would disagree."""
    await shop.sku("MUG", backorder_limit=5)
    order_id = await shop.place({"MUG": 2}, external_ref="A")
    states = [await _asked(shop, order_id)]
    steps: list[tuple[Any, dict[str, Any]]] = [
        (orders.hold, {"reason": HoldReason.FRAUD}),
        (orders.cancel, {"reason": CancelReason.CUSTOMER}),
    ]
    for command, given in steps:
        shop.clock.advance(timedelta(minutes=1))
        await shop.run(command, order_id=order_id, **given)
        states.append(await _asked(shop, order_id))

    logged = await shop.rows("SELECT payload FROM event_log WHERE subject = :id ORDER BY version", id=order_id)

    assert [events.comparable(order_id, payload) for (payload,) in logged] == states
    assert [events.comparable(order_id, payload, before=True) for (payload,) in logged[1:]] == states[:-1]


async def _asked(shop: Shop, order_id: UUID) -> dict[str, Any]:
    statement = select(*(column.label(field) for field, column in queries.FIELDS.items())).where(Order.id == order_id)
    (row,) = await shop.reads.all(statement)
    return dict(row._mapping)


async def test_an_order_leaves_a_live_filter_on_when_it_changed(shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)
    order_id = await shop.place({"POST": 1})
    noon: datetime = shop.clock.now()
    shop.clock.advance(timedelta(minutes=1))
    await shop.run(orders.confirm, order_id=order_id)

    event = await shop.one("SELECT payload FROM event_log WHERE subject = :id AND version = 2", id=order_id)

    unchanged: Filter = Range("updated_at", lte=noon)
    assert not filters.matches(unchanged, events.comparable(order_id, event.payload))
    assert filters.matches(unchanged, events.comparable(order_id, event.payload, before=True))


@pytest.mark.parametrize(
    ("field", "index"), [("updated_at", "ix_orders_updated_at"), ("total_minor", "ix_orders_total_minor")]
)
async def test_a_page_in_this_order_is_read_from_an_index(shop: Shop, field: str, index: str) -> None:
    column = queries.FIELDS[field]
    statement = select(Order.id).where(queries.visible_to(STAFF)).order_by(column.desc(), Order.id.desc()).limit(10)
    compiled = statement.compile(dialect=shop.database.engine.dialect, compile_kwargs={"literal_binds": True})

    async with shop.database.engine.begin() as connection:
        # The few rows of a test are read sooner than any index; what counts is that it could be used.
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        await connection.exec_driver_sql("SET LOCAL enable_sort = off")
        plan = (await connection.exec_driver_sql(f"EXPLAIN {compiled}")).scalars().all()

    assert index in "\n".join(plan)
