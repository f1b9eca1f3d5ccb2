"""Every subscription that our callers open: how things stand, then what changes, for a bounded number of statements."""

from collections.abc import Awaitable, Callable

import pytest

from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta
from app.inventory.states import AdjustmentReason
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.desk import Answers, Desk
from tests.operations.documents import SUBSCRIPTIONS, Document, graph
from tests.operations.world import PLACE, THIN


async def order_held(desk: Desk) -> int:
    order = (await desk.requests.big_order()).id
    await desk.requests.shop.run(orders.hold, order_id=order, reason=HoldReason.ADDRESS)
    return 1


async def goods_received(desk: Desk) -> int:
    changes = [Delta(sku=sku, location=PLACE, units=1) for sku in desk.requests.goods]
    await desk.requests.shop.run(inventory.adjust, changes=changes, reason=AdjustmentReason.RECEIVED)
    return len(changes)


async def bought_by_another(desk: Desk) -> int:
    await desk.requests.shop.reserve({THIN: 1})
    return 1


# By root field: makes a change, and says how many items tell of it.
CHANGE: dict[str, Callable[[Desk], Awaitable[int]]] = {
    "orderEvents": order_held,
    "stockChanges": goods_received,
    "availabilityChanges": bought_by_another,
}


def root_of(document: Document) -> str:
    (root,) = {each.name for each in document.selected(graph().schema) if each.parent == "Subscription"}
    return root


async def followed(desk: Desk, document: Document) -> tuple[Answers, Answers]:
    """The first item, and those that tell of one change."""
    async with desk.watching(document) as stream:
        snapshot = await stream.take()
        return snapshot, await stream.take(await CHANGE[root_of(document)](desk))


def kinds(answers: Answers) -> set[str]:
    return {item["__typename"] for data in answers.data for item in data.values()}


@pytest.mark.parametrize("document", SUBSCRIPTIONS, ids=str)
async def test_how_things_stand_is_told_first_then_what_changes(
    few: Furnished, live: OpenDesk, document: Document
) -> None:
    async with live(few) as desk:
        snapshot, change = await followed(desk, document)

    assert snapshot.errors == change.errors == []
    assert all(kind.endswith("Snapshot") for kind in kinds(snapshot))
    assert all(kind.endswith("Change") for kind in kinds(change))
    objects = snapshot.objects + change.objects
    assert {path for path in document.lists(graph().schema) if not objects[path]} == set()


@pytest.mark.parametrize("document", SUBSCRIPTIONS, ids=str)
async def test_fifty_told_of_take_no_more_statements_than_five(
    few: Furnished, many: Furnished, live: OpenDesk, document: Document
) -> None:
    """Lines of an order or a cart, and stock levels that changed together."""
    async with live(few) as desk:
        first_of_five, change_of_five = await followed(desk, document)
    async with live(many) as desk:
        first_of_fifty, change_of_fifty = await followed(desk, document)

    assert first_of_fifty.statements <= first_of_five.statements
    assert change_of_fifty.statements <= change_of_five.statements


async def test_an_order_that_changed_is_read_once_for_all_who_watch(few: Furnished, live: OpenDesk) -> None:
    (document,) = [each for each in SUBSCRIPTIONS if each.name == "dashboard/WatchOrders"]
    async with live(few) as desk, desk.watching(document) as one, desk.watching(document) as another:
        await one.take()
        await another.take()
        held = [row.id for row in await desk.requests.shop.rows("SELECT id FROM orders")]
        for order in held:
            await desk.requests.shop.run(orders.hold, order_id=order, reason=HoldReason.ADDRESS)

        taken = [await one.take(len(held)), await another.take(len(held))]

    assert sum(answers.statements for answers in taken) <= len(held)
