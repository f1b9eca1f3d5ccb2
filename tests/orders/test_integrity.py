"""Every view that proves an invariant is shown to see it broken: each is handed a deliberately wrong row."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from app.orders import commands as orders
from app.orders import rules
from app.orders.requests import DiscountRequest, LineRequest, ShippingRequest, TaxRequest
from app.orders.states import CancelReason, FulfillmentStatus, HoldReason
from tests.builders import Shop

OF_THE_ORDER = "order_id = (SELECT id FROM orders WHERE external_ref = 'A')"
OF_THE_HELD = "order_id = (SELECT id FROM orders WHERE external_ref = 'H')"
# A bundle's own line takes no stock: these pick the order's line of goods.
MUG = f"{OF_THE_ORDER} AND sku_code = 'MUG' AND kind = 'GOODS'"
SET, PART = f"{OF_THE_ORDER} AND kind = 'BUNDLE'", f"{OF_THE_ORDER} AND kind = 'COMPONENT'"
LEVEL = "sku_id = (SELECT id FROM sku WHERE code = 'MUG')"
# The view, and statements that break what it watches.
WRONG: list[tuple[str, str]] = [
    ("stock_ledger", f"UPDATE stock_level SET on_hand = on_hand + 1 WHERE {LEVEL}"),
    ("stock_ledger", f"UPDATE stock_level SET allocated = allocated - 1 WHERE {LEVEL}"),
    ("stock_ledger", f"UPDATE stock_level SET reserved = reserved - 1 WHERE {LEVEL}"),
    ("stock_ledger", f"UPDATE stock_level SET damaged = damaged + 1 WHERE {LEVEL}"),
    ("stock_ledger", f"UPDATE stock_level SET quality_control = quality_control + 1 WHERE {LEVEL}"),
    ("stock_ledger", f"DELETE FROM stock_level WHERE {LEVEL}"),
    ("stock_ledger", "DELETE FROM stock_movement WHERE type = 'ADJUST'"),
    ("stock_oversold", f"UPDATE stock_level SET on_hand = 0 WHERE {LEVEL}"),
    *(
        ("stock_oversold", f"UPDATE stock_level SET {state} = -1 WHERE {LEVEL}")
        for state in ("on_hand", "allocated", "reserved", "damaged", "quality_control", "safety_stock")
    ),
    ("stock_allocated", f"UPDATE stock_level SET allocated = allocated + 1 WHERE {LEVEL}"),
    ("stock_allocated", "UPDATE allocation SET units = units + 1"),
    ("stock_allocated", "UPDATE allocation SET status = 'RELEASED'"),
    ("stock_reserved", f"UPDATE stock_level SET reserved = reserved + 1 WHERE {LEVEL}"),
    ("stock_reserved", "UPDATE reservation SET status = 'RELEASED'"),
    ("stock_reserved", "UPDATE reservation_line SET units = units + 1"),
    *(
        ("order_line_buckets", f"UPDATE order_line SET {bucket} = {bucket} + 1 WHERE {MUG}")
        for bucket in ("ordered", "cancelled", "backordered", "unallocated", "allocated", "shipped", "delivered")
    ),
    ("order_line_buckets", f"UPDATE order_line SET returned = 1 WHERE {MUG}"),
    ("order_line_buckets", f"UPDATE order_line SET return_requested = 1 WHERE {MUG}"),
    ("order_line_buckets", f"UPDATE order_line SET unallocated = -1, ordered = ordered - 1 WHERE {MUG}"),
    ("order_line_allocated", f"UPDATE order_line SET allocated = allocated - 1 WHERE {MUG}"),
    ("order_line_allocated", "DELETE FROM allocation"),
    ("order_line_allocated", f"DELETE FROM order_line WHERE {MUG}"),
    ("order_backordered", "UPDATE order_line SET backordered = 0 WHERE backordered > 0"),
    ("order_backordered", "UPDATE backorder_level SET units = units + 1"),
    ("order_backordered", "DELETE FROM backorder_level"),
    ("order_claims", "UPDATE backorder_claim SET units = units + 1"),
    ("order_claims", "DELETE FROM backorder_claim"),
    ("order_claims", "UPDATE orders SET is_on_hold = true WHERE external_ref = 'A'"),
    *(
        ("order_totals", f"UPDATE orders SET {part} = {part} + 1 WHERE external_ref = 'A'")
        for part in ("subtotal_minor", "discount_minor", "shipping_minor", "tax_minor", "total_minor")
    ),
    ("order_totals", f"DELETE FROM order_line WHERE {OF_THE_ORDER}"),
    ("order_totals", f"UPDATE tax_line SET amount_minor = amount_minor + 1 WHERE {OF_THE_ORDER} AND line_id IS NULL"),
    *(
        ("order_line_totals", f"UPDATE order_line SET {part} = {part} + 1 WHERE {MUG}")
        for part in ("gross_minor", "discount_minor", "tax_minor", "total_minor")
    ),
    ("order_line_totals", f"DELETE FROM tax_line WHERE {OF_THE_ORDER} AND line_id IS NOT NULL"),
    ("order_holds", "UPDATE order_hold SET released_at = placed_at"),
    ("order_holds", "UPDATE orders SET is_on_hold = NOT is_on_hold"),
    ("order_fulfillment", "UPDATE orders SET fulfillment_status = 'SCHEDULED' WHERE external_ref = 'A'"),
    ("order_fulfillment", "UPDATE orders SET fulfillment_status = 'UNALLOCATED' WHERE external_ref = 'H'"),
    (
        "order_fulfillment",
        f"UPDATE order_line SET shipped = 1 WHERE {OF_THE_HELD}",
    ),
    ("order_lifecycle", "UPDATE orders SET lifecycle = 'CANCELLED' WHERE external_ref = 'A'"),
    ("order_lifecycle", "UPDATE orders SET lifecycle = 'PLACED' WHERE external_ref = 'C'"),
    (
        "order_lifecycle",
        f"UPDATE order_line SET cancelled = ordered WHERE {OF_THE_HELD}",
    ),
    *(
        ("order_bundles", f"UPDATE order_line SET {bucket} = {bucket} + 1 WHERE {SET}")
        for bucket in ("ordered", "cancelled", "backordered", "allocated", "shipped")
    ),
    *(
        ("order_bundles", f"UPDATE order_line SET {bucket} = {bucket} + {units} WHERE {PART}")
        for bucket, units in (("ordered", 2), ("cancelled", 2), ("allocated", 2))
    ),
    ("order_bundles", f"UPDATE order_line SET allocated = allocated - 2, backordered = backordered + 2 WHERE {PART}"),
    ("order_bundles", f"UPDATE order_line SET units_per_parent = 1 WHERE {PART}"),
    ("order_bundles", f"UPDATE order_line SET units_per_parent = NULL WHERE {PART}"),
    ("order_bundles", f"UPDATE order_line SET parent_id = NULL WHERE {PART}"),
    (
        "order_bundles",
        f"UPDATE order_line SET {OF_THE_HELD} WHERE {PART}",
    ),
    ("order_bundles", f"DELETE FROM order_line WHERE {PART}"),
    ("order_bundles", f"DELETE FROM order_line WHERE {SET}"),
    ("order_discounts", "UPDATE orders SET discount_minor = discount_minor + 1 WHERE external_ref = 'A'"),
    (
        "order_discounts",
        f"UPDATE order_discount SET amount_minor = amount_minor - 1 WHERE {OF_THE_ORDER} AND line_id IS NULL",
    ),
    ("order_discounts", f"DELETE FROM order_discount WHERE {OF_THE_ORDER}"),
    ("order_line_discounts", f"UPDATE order_line SET discount_minor = 99 WHERE {MUG}"),
    (
        "order_line_discounts",
        f"UPDATE order_discount SET amount_minor = 102 WHERE {OF_THE_ORDER} AND line_id IS NOT NULL",
    ),
    ("order_line_discounts", "UPDATE order_discount SET line_id = order_id WHERE line_id IS NOT NULL"),
    ("event_versions", "UPDATE event_log SET version = 7 WHERE aggregate = 'order' AND version = 2"),
    ("event_versions", "DELETE FROM event_log WHERE aggregate = 'order' AND version = 1"),
    ("event_positions", "UPDATE relay_shard SET pos = pos + 1"),
    ("event_positions", "UPDATE event_log SET pos = 5 WHERE id = (SELECT max(id) FROM event_log)"),
]


async def furnish(shop: Shop) -> None:
    """Something of everything: stock, a reservation, orders with taxes, discounts, backorders, bundles and a hold."""
    await shop.sku("MUG", backorder_limit=5)
    await shop.sku("SET", components=[{"sku": "MUG", "units": 2}])
    await shop.stock("MUG", 10)
    await shop.reserve({"MUG": 2})
    await shop.place_lines(
        LineRequest(
            sku="MUG",
            quantity=3,
            discounts=[DiscountRequest(amount=Decimal("1.00"))],
            taxes=[TaxRequest(name="VAT", rate_ppm=200_000, included=False)],
        ),
        LineRequest(sku="SET", quantity=4),
        external_ref="A",
        discounts=[DiscountRequest(amount=Decimal("0.01"))],
        shipping=ShippingRequest(
            amount=Decimal("4.50"), taxes=[TaxRequest(name="VAT", rate_ppm=200_000, included=False)]
        ),
    )
    held = await shop.place({"MUG": 1}, external_ref="H")
    await shop.run(orders.hold, order_id=held, reason=HoldReason.FRAUD)
    cancelled = await shop.place({"MUG": 1}, external_ref="C")
    await shop.run(orders.cancel, order_id=cancelled, reason=CancelReason.CUSTOMER)


async def seen(shop: Shop, wrong: str) -> set[str]:
    """The views that are not empty after a statement, which is undone: past triggers, foreign keys and checks."""
    async with shop.database.engine.connect() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        checks = await connection.execute(
            text("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0")
        )
        for table, name in checks.all():
            await connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        assert (await connection.execute(text(wrong))).rowcount > 0
        found = {view for view in await views(connection) if await is_violated(connection, view)}
        await connection.rollback()
        return found


async def views(connection: Any) -> list[str]:
    listed = await connection.execute(
        text(r"SELECT viewname FROM pg_views WHERE viewname LIKE 'integrity\_%' AND schemaname = 'public'")
    )
    return [str(name).removeprefix("integrity_") for name in listed.scalars()]


async def is_violated(connection: Any, view: str) -> bool:
    return bool((await connection.execute(text(f"SELECT EXISTS (SELECT FROM integrity_{view})"))).scalar_one())


async def test_every_view_sees_what_it_watches_broken(shop: Shop) -> None:
    await furnish(shop)
    assert await shop.violations() == {}

    unseen = [(view, wrong) for view, wrong in WRONG if view not in await seen(shop, wrong)]

    assert unseen == []


async def test_no_view_is_left_unproven(shop: Shop) -> None:
    async with shop.database.engine.connect() as connection:
        assert {view for view, _ in WRONG} == set(await views(connection))


@pytest.mark.parametrize("healthy", ["UPDATE sku SET name = name", "UPDATE orders SET note = 'seen'"])
async def test_what_breaks_nothing_is_seen_by_no_view(shop: Shop, healthy: str) -> None:
    await furnish(shop)

    assert await seen(shop, healthy) == set()


def units_of_a_line() -> Iterator[rules.Buckets]:
    """All there can be of up to three units."""
    for ordered in range(4):
        for cancelled, backordered, unallocated, allocated in product(range(ordered + 1), repeat=4):
            shipped = ordered - cancelled - backordered - unallocated - allocated
            for delivered in range(shipped + 1):
                yield SimpleNamespace(
                    ordered=ordered,
                    cancelled=cancelled,
                    backordered=backordered,
                    unallocated=unallocated,
                    allocated=allocated,
                    shipped=shipped,
                    delivered=delivered,
                )


async def test_the_view_judges_as_the_rule_does(shop: Shop) -> None:
    lines = list(units_of_a_line())
    asked = text(
        "SELECT array_agg(orders_fulfillment_status(w, u, b, s, d) ORDER BY n) FROM unnest("
        "CAST(:wanted AS bigint[]), CAST(:unallocated AS bigint[]), CAST(:backordered AS bigint[]),"
        " CAST(:shipped AS bigint[]), CAST(:delivered AS bigint[])) WITH ORDINALITY AS l (w, u, b, s, d, n)"
    )
    figures = {
        name: [getattr(line, name) for line in lines] for name in ("unallocated", "backordered", "shipped", "delivered")
    }
    async with shop.database.engine.connect() as connection:
        found = await connection.scalar(asked, {**figures, "wanted": [line.ordered - line.cancelled for line in lines]})

    assert found == [rules.fulfillment_status([line]) for line in lines]
    assert set(found) == set(FulfillmentStatus)
