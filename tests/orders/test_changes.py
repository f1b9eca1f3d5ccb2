"""Confirming, holding, cancelling: versions rise by one, stock comes back, and the wrong state is refused by name."""

import asyncio
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select

from app.kernel.errors import InvalidTransition, NotFound, ValidationRefused, VersionConflict
from app.kernel.ids import uuid7
from app.kernel.principal import Kind, Principal
from app.kernel.work import CommandArguments
from app.orders import commands as orders
from app.orders.commands.cancel import CancelLine
from app.orders.commands.lock import allowed
from app.orders.models import Order
from app.orders.refusals import NothingToCancel
from app.orders.states import EDGES, CancelReason, HoldReason, Lifecycle, OrderAction
from tests.builders import STAFF, Shop


async def _order(shop: Shop, order_id: UUID) -> tuple[str, str, bool, int]:
    row = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    return row.lifecycle, row.fulfillment_status, row.is_on_hold, row.version


async def _lines(shop: Shop, order_id: UUID) -> list[UUID]:
    rows = await shop.rows("SELECT id FROM order_line WHERE order_id = :id ORDER BY line_no", id=order_id)
    return [row.id for row in rows]


@pytest.fixture
async def order_id(shop: Shop) -> UUID:
    """An order of 4 mugs and 1 cup, of 5 mugs and 5 cups in stock."""
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 5)
    return await shop.place({"MUG": 4, "CUP": 1})


async def test_an_order_is_confirmed_once(shop: Shop, order_id: UUID) -> None:
    await shop.run(orders.confirm, order_id=order_id)
    with pytest.raises(InvalidTransition, match="only a PLACED order"):
        await shop.run(orders.confirm, order_id=order_id)

    assert await _order(shop, order_id) == ("CONFIRMED", "SCHEDULED", False, 2)


async def test_of_two_who_confirm_at_once_one_is_told_that_it_was_done(shop: Shop, order_id: UUID) -> None:
    results = await asyncio.gather(
        *(shop.run(orders.confirm, order_id=order_id) for _ in range(4)), return_exceptions=True
    )

    assert sum(isinstance(result, InvalidTransition) for result in results) == 3
    assert (await _order(shop, order_id))[3] == 2


async def test_a_held_order_is_confirmed_after_its_last_hold_is_released(shop: Shop, order_id: UUID) -> None:
    holds = [
        UUID((await shop.run(orders.hold, order_id=order_id, reason=reason))["holdId"])
        for reason in (HoldReason.FRAUD, HoldReason.ADDRESS)
    ]
    await shop.run(orders.hold_release, order_id=order_id, hold_id=holds[0])
    with pytest.raises(InvalidTransition, match="on hold"):
        await shop.run(orders.confirm, order_id=order_id)
    with pytest.raises(InvalidTransition, match="released before"):
        await shop.run(orders.hold_release, order_id=order_id, hold_id=holds[0])
    with pytest.raises(NotFound):
        await shop.run(orders.hold_release, order_id=order_id, hold_id=uuid7())
    await shop.run(orders.hold_release, order_id=order_id, hold_id=holds[1])
    await shop.run(orders.confirm, order_id=order_id)

    assert await _order(shop, order_id) == ("CONFIRMED", "SCHEDULED", False, 6)
    types = await shop.rows("SELECT type FROM event_log WHERE subject = :id ORDER BY version", id=order_id)
    assert [row.type for row in types] == [
        "OrderPlaced",
        "OrderHeld",
        "OrderHeld",
        "OrderHoldReleased",
        "OrderHoldReleased",
        "OrderConfirmed",
    ]


async def test_a_channel_that_wants_payment_keeps_its_orders_placed(shop: Shop) -> None:
    await shop.channel(payment_policy="PAID")
    await shop.sku("POST", stock_tracked=False)
    order_id = await shop.place({"POST": 1})

    with pytest.raises(InvalidTransition, match="payment policy"):
        await shop.run(orders.confirm, order_id=order_id)

    assert (await _order(shop, order_id))[0] == "PLACED"


async def test_another_version_than_expected_is_refused(shop: Shop, order_id: UUID) -> None:
    with pytest.raises(VersionConflict) as refused:
        await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL, expected_version=7)

    assert (refused.value.expected, refused.value.actual) == (7, 1)
    assert await _order(shop, order_id) == ("PLACED", "SCHEDULED", False, 1)


async def test_cancelled_units_are_free_for_others_at_once(shop: Shop, order_id: UUID) -> None:
    mug, cup = await _lines(shop, order_id)

    await shop.run(
        orders.cancel,
        order_id=order_id,
        reason=CancelReason.CUSTOMER,
        lines=[CancelLine(line_id=mug, quantity=3), CancelLine(line_id=cup)],
    )

    assert (await shop.level("MUG")).allocated == 1
    assert (await shop.level("CUP")).allocated == 0
    assert await _order(shop, order_id) == ("PLACED", "SCHEDULED", False, 2)
    await shop.place({"MUG": 4, "CUP": 5})


async def test_an_order_with_nothing_left_is_cancelled_for_good(shop: Shop, order_id: UUID) -> None:
    await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER)
    with pytest.raises(InvalidTransition, match="CANCELLED"):
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER)
    with pytest.raises(InvalidTransition):
        await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)

    assert await _order(shop, order_id) == ("CANCELLED", "CANCELLED", False, 2)


async def test_more_units_than_are_left_cannot_be_cancelled(shop: Shop, order_id: UUID) -> None:
    mug, _ = await _lines(shop, order_id)

    with pytest.raises(NothingToCancel, match="has 1 units"):
        lines = [CancelLine(line_id=mug, quantity=3), CancelLine(line_id=mug, quantity=2)]
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)
    with pytest.raises(NotFound):
        lines = [CancelLine(line_id=uuid7())]
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)

    assert (await shop.level("MUG")).allocated == 4


async def test_backordered_units_are_cancelled_first_and_free_the_limit(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=2)
    await shop.stock("MUG", 1)
    order_id = await shop.place({"MUG": 3})
    (line,) = await _lines(shop, order_id)

    await shop.run(
        orders.cancel,
        order_id=order_id,
        reason=CancelReason.STOCK,
        lines=[CancelLine(line_id=line, quantity=2)],
    )

    assert (await _order(shop, order_id))[1] == "SCHEDULED"
    assert (await shop.level("MUG")).allocated == 1
    await shop.place({"MUG": 2})


async def test_a_bundle_is_cancelled_whole_its_components_with_it(shop: Shop) -> None:
    for sku in ("MUG", "SPOON"):
        await shop.sku(sku)
        await shop.stock(sku, 10)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "SPOON", "units": 2}])
    order_id = await shop.place({"SET": 3})
    bundle, mug, _ = await _lines(shop, order_id)

    with pytest.raises(ValidationRefused, match="part of a bundle"):
        lines = [CancelLine(line_id=mug)]
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)
    lines = [CancelLine(line_id=bundle, quantity=2)]
    await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)

    assert ((await shop.level("MUG")).allocated, (await shop.level("SPOON")).allocated) == (1, 2)
    line = await shop.one("SELECT * FROM order_line WHERE id = :id", id=bundle)
    assert (line.ordered, line.cancelled, line.allocated) == (3, 2, 1)


async def test_an_order_of_another_channel_or_customer_does_not_exist(shop: Shop, order_id: UUID) -> None:
    for principal in (
        Principal(kind=Kind.PARTNER, id="p", scopes=frozenset({"orders:write"}), channel_id=uuid7()),
        Principal(kind=Kind.CUSTOMER, id="c", scopes=frozenset({"orders:write"}), customer_id=uuid7()),
        Principal(kind=Kind.STOREFRONT, id="s", scopes=frozenset({"orders:write"})),
    ):
        with pytest.raises(NotFound):
            await shop.run(orders.cancel, principal=principal, order_id=order_id, reason=CancelReason.CUSTOMER)

    assert (await _order(shop, order_id))[3] == 1


async def _prepared(shop: Shop, state: str) -> tuple[UUID, UUID | None]:
    """An order in the state of that name, and its open hold."""
    order_id, hold_id = await shop.place({"MUG": 1}, channel="PREPAID" if "UNPAID" in state else "WEB"), None
    if "CONFIRMED" in state:
        await shop.run(orders.confirm, order_id=order_id)
    if "HELD" in state:
        held = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
        hold_id = UUID(held["holdId"])
    if "CANCELLED" in state:
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.ERROR)
    return order_id, hold_id


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        ("PLACED", ["CONFIRM", "HOLD", "CANCEL"]),
        ("PLACED UNPAID", ["HOLD", "CANCEL"]),
        ("PLACED HELD", ["HOLD", "HOLD_RELEASE", "CANCEL"]),
        ("CONFIRMED", ["HOLD", "CANCEL"]),
        ("CONFIRMED HELD", ["HOLD", "HOLD_RELEASE", "CANCEL"]),
        ("CANCELLED", []),
        ("CANCELLED HELD", ["HOLD_RELEASE"]),
    ],
)
async def test_what_is_allowed_is_done_and_what_is_not_is_refused(shop: Shop, state: str, actions: list[str]) -> None:
    await shop.channel("PREPAID", payment_policy="PAID")
    prices = [{"channel": code, "currency": "GBP", "amount": Decimal(1)} for code in ("WEB", "PREPAID")]
    await shop.sku("MUG", prices=prices)
    await shop.stock("MUG", 1)
    order_id, hold_id = await _prepared(shop, state)
    row = dict((await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id))._mapping)
    commands = {
        OrderAction.CONFIRM: (orders.confirm, {}),
        OrderAction.HOLD: (orders.hold, {"reason": HoldReason.EDIT}),
        OrderAction.HOLD_RELEASE: (orders.hold_release, {"hold_id": hold_id}),
        OrderAction.CANCEL: (orders.cancel, {"reason": CancelReason.OTHER}),
    }

    assert allowed(row) == actions
    for action, (command, given) in commands.items():
        if action is OrderAction.HOLD_RELEASE and hold_id is None:
            continue
        rehearsal = shop.runner.rehearse(STAFF, command, CommandArguments(None), order_id=order_id, **given)
        if action in actions:
            async with rehearsal:
                continue
        with pytest.raises(InvalidTransition) as refused:
            async with rehearsal:
                pass
        assert (refused.value.command, refused.value.allowed) == (action, actions)


async def test_every_action_leads_from_every_state_where_its_edge_says(shop: Shop, order_id: UUID) -> None:
    commands = {
        OrderAction.CONFIRM: (orders.confirm, {}),
        OrderAction.CANCEL: (orders.cancel, {"reason": CancelReason.OTHER}),
    }
    force = "UPDATE orders SET lifecycle = :state WHERE id = :id"
    for state in Lifecycle:
        await shop.execute(force, state=state, id=order_id)
        for action, (sources, target) in EDGES.items():
            command, given = commands[action]
            rehearsal = shop.runner.rehearse(STAFF, command, CommandArguments(None), order_id=order_id, **given)
            if state in sources:
                async with rehearsal as (_, reads):
                    assert await reads.scalar(select(Order.lifecycle).where(Order.id == order_id)) == target
            else:
                with pytest.raises(InvalidTransition):
                    async with rehearsal:
                        pass
    await shop.execute(force, state=Lifecycle.PLACED, id=order_id)


async def test_a_second_click_on_a_release_is_told_what_may_be_done(shop: Shop, order_id: UUID) -> None:
    held = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
    release = {"order_id": order_id, "hold_id": UUID(held["holdId"])}

    clicks = await asyncio.gather(*(shop.run(orders.hold_release, **release) for _ in range(2)), return_exceptions=True)

    (refused,) = [click for click in clicks if isinstance(click, InvalidTransition)]
    assert refused.allowed == ["CONFIRM", "HOLD", "CANCEL"]
    assert await _order(shop, order_id) == ("PLACED", "SCHEDULED", False, 3)


async def test_quantities_that_name_nothing_to_cancel_are_refused(shop: Shop, order_id: UUID) -> None:
    mug, _ = await _lines(shop, order_id)

    for lines in ([], [CancelLine(line_id=mug, quantity=0)], [CancelLine(line_id=mug, quantity=-1)]):
        with pytest.raises(ValidationRefused):
            await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)
    await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=[CancelLine(line_id=mug)])
    with pytest.raises(NothingToCancel, match="has 0 units"):
        lines = [CancelLine(line_id=mug)]
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=lines)

    assert (await _order(shop, order_id))[3] == 2


async def test_a_bundle_that_waits_in_part_gives_back_what_waits_first(shop: Shop) -> None:
    """3 sets of 1 mug and 2 spoons; spoons for one set are there."""
    for sku in ("MUG", "SPOON"):
        await shop.sku(sku, backorder_limit=9)
    await shop.stock("MUG", 3)
    await shop.stock("SPOON", 2)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "SPOON", "units": 2}])
    order_id = await shop.place({"SET": 3})
    bundle, _, _ = await _lines(shop, order_id)
    cancel = [CancelLine(line_id=bundle, quantity=1)]

    buckets = []
    for _ in range(2):
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER, lines=cancel)
        rows = await shop.rows("SELECT * FROM order_line WHERE order_id = :id ORDER BY line_no", id=order_id)
        buckets.append([(row.cancelled, row.backordered, row.allocated) for row in rows])

    assert buckets == [[(1, 1, 1), (1, 0, 2), (2, 2, 2)], [(2, 0, 1), (2, 0, 1), (4, 0, 2)]]
    assert (await _order(shop, order_id))[1] == "SCHEDULED"


async def test_an_order_on_hold_is_cancelled_and_its_hold_tidied_up(shop: Shop, order_id: UUID) -> None:
    held = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD)
    with pytest.raises(VersionConflict):
        await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.FRAUD, expected_version=1)
    await shop.run(orders.cancel, order_id=order_id, reason=CancelReason.FRAUD, expected_version=2)

    await shop.run(orders.hold_release, order_id=order_id, hold_id=UUID(held["holdId"]))

    assert await _order(shop, order_id) == ("CANCELLED", "CANCELLED", False, 4)
    assert (await shop.level("MUG")).allocated == 0
