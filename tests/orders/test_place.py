"""Placing: what stock covers is allocated, the rest is backordered or refused, and a refusal changes nothing."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

import app.catalog.commands as catalog
import app.customers.commands as customers
from app.inventory.refusals import InsufficientStock, ReservationClosed
from app.kernel.errors import Forbidden, IdempotencyKeyReused, NotFound, Refusal, ValidationRefused
from app.kernel.principal import Kind, Principal
from app.orders import commands as orders
from app.orders.refusals import (
    ChannelClosed,
    CustomerNotActive,
    ExternalRefTaken,
    NoPrice,
    SkuNotSellable,
    TotalMismatch,
    UnknownSku,
)
from app.orders.requests import AddressRequest, DiscountRequest, LineRequest, ShippingRequest, TaxRequest
from app.orders.states import CancelReason
from tests.builders import Shop


async def test_an_order_takes_its_units_from_stock(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    order_id = await shop.place({"MUG": 3})

    level = await shop.level("MUG")
    assert (level.on_hand, level.allocated) == (5, 3)
    order = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    assert (order.lifecycle, order.fulfillment_status, order.payment_status) == ("PLACED", "SCHEDULED", "NOT_REQUIRED")
    assert (order.total_minor, order.version) == (3000, 1)
    event = await shop.one("SELECT * FROM event_log WHERE aggregate = 'order'")
    assert (event.subject, event.type, event.version) == (order_id, "OrderPlaced", 1)
    assert event.payload["facts"]["number"] == order.number


async def test_a_repeated_key_gives_the_first_answer_and_a_changed_request_is_refused(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    first = await shop.run(orders.place, key="k", order=shop.order({"MUG": 5}))
    again = await shop.run(orders.place, key="k", order=shop.order({"MUG": 5}))
    with pytest.raises(IdempotencyKeyReused):
        await shop.run(orders.place, key="k", order=shop.order({"MUG": 4}))

    assert again == first
    assert (await shop.level("MUG")).allocated == 5


async def test_the_last_unit_goes_to_exactly_one_of_many_buyers(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 7)

    results = await asyncio.gather(*(shop.place({"MUG": 1}) for _ in range(20)), return_exceptions=True)

    refused = [r for r in results if isinstance(r, InsufficientStock)]
    assert len(refused) == 13
    assert (await shop.level("MUG")).allocated == 7


async def test_a_refusal_says_what_is_missing_where_the_rest_lies_and_when_more_comes(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 2)
    await shop.supply("MUG", 4, due_in=timedelta(days=3))

    with pytest.raises(InsufficientStock) as refused:
        await shop.place({"MUG": 5, "CUP": 1})

    no = refused.value
    assert (no.sku, no.requested, no.available, no.path) == ("MUG", 5, 2, ["input", "lines", "0"])
    assert [(at.location, at.units) for at in no.by_location] == [("LEEDS", 2)]
    assert no.next_available_at == shop.clock.now() + timedelta(days=3)
    assert [(other.code, getattr(other, "sku", None)) for other in no.also] == [("INSUFFICIENT_STOCK", "CUP")]
    assert await shop.rows("SELECT 1 FROM orders") == []
    assert await shop.rows("SELECT 1 FROM event_log WHERE aggregate = 'order'") == []


async def test_what_stock_does_not_cover_is_backordered_within_the_limit(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=3)
    await shop.stock("MUG", 2)

    order_id = await shop.place({"MUG": 4})
    with pytest.raises(InsufficientStock):
        await shop.place({"MUG": 2})

    line = await shop.one("SELECT * FROM order_line WHERE order_id = :id", id=order_id)
    assert (line.ordered, line.allocated, line.backordered) == (4, 2, 2)
    order = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    assert order.fulfillment_status == "BACKORDERED"


async def test_twenty_buyers_never_backorder_beyond_the_limit(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=6)

    results = await asyncio.gather(*(shop.place({"MUG": 1}) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(r, Refusal) for r in results) == 14
    assert (await shop.one("SELECT units FROM backorder_level")).units == 6


async def test_before_its_release_a_sku_is_sold_from_the_backorder_limit_alone(shop: Shop) -> None:
    await shop.sku("GAME", backorder_limit=2, preorder_release_at=shop.clock.now() + timedelta(days=9))
    await shop.stock("GAME", 10)

    await shop.place({"GAME": 2})
    with pytest.raises(InsufficientStock):
        await shop.place({"GAME": 1})

    assert (await shop.level("GAME")).allocated == 0


@pytest.mark.parametrize(("units", "days"), [(10, 9), (150, 20), (250, None)])
async def test_a_preorders_refusal_promises_nothing_of_what_lies_there(
    shop: Shop, units: int, days: int | None
) -> None:
    """What lies in stock can be had at the release, the rest when supply has come."""
    await shop.sku("GAME", preorder_release_at=shop.clock.now() + timedelta(days=9))
    await shop.stock("GAME", 100)
    await shop.supply("GAME", 100, due_in=timedelta(days=20))

    with pytest.raises(InsufficientStock) as refused:
        await shop.place({"GAME": units})

    no = refused.value
    assert (no.available, no.by_location, no.backorderable) == (0, [], 0)
    assert no.next_available_at == (None if days is None else shop.clock.now() + timedelta(days=days))


async def test_a_refusal_counts_what_may_be_backordered(shop: Shop) -> None:
    await shop.sku("MUG", backorder_limit=6)
    await shop.place({"MUG": 1})
    await shop.stock("MUG", 3)

    with pytest.raises(
        InsufficientStock, match=r"2 can be promised now and 5 beyond stock.* Ask for up to 7"
    ) as refused:
        await shop.place({"MUG": 10})

    assert (refused.value.available, refused.value.backorderable) == (2, 5)
    await shop.place({"MUG": 7})


async def test_a_refusal_counts_what_the_orders_own_reservation_holds(shop: Shop) -> None:
    await shop.location("YORK")
    await shop.channel()
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    token = await shop.reserve({"MUG": 5})
    await shop.stock("MUG", 2, at="YORK")
    await shop.supply("MUG", 1, due_in=timedelta(days=3))

    with pytest.raises(InsufficientStock, match="Ask for up to 7") as refused:
        await shop.place({"MUG": 8}, reservation_token=token)

    no = refused.value
    assert (no.available, [(at.location, at.units) for at in no.by_location]) == (7, [("LEEDS", 5), ("YORK", 2)])
    assert no.next_available_at == shop.clock.now() + timedelta(days=3)
    await shop.place({"MUG": 7}, reservation_token=token)


async def test_a_sku_named_twice_is_counted_once_for_all_its_lines(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    with pytest.raises(InsufficientStock):
        await shop.place_lines(LineRequest(sku="MUG", quantity=3), LineRequest(sku="MUG", quantity=3))
    await shop.place_lines(LineRequest(sku="MUG", quantity=2), LineRequest(sku="MUG", quantity=3))

    assert (await shop.level("MUG")).allocated == 5


async def test_a_bundle_takes_its_components_from_stock(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.sku("SPOON")
    await shop.sku("WRAPPING", stock_tracked=False)
    components = [{"sku": "MUG", "units": 1}, {"sku": "SPOON", "units": 2}, {"sku": "WRAPPING", "units": 1}]
    await shop.sku("GIFT", "25.00", components=components)
    await shop.stock("MUG", 3)
    await shop.stock("SPOON", 5)

    order_id = await shop.place({"GIFT": 2})
    with pytest.raises(InsufficientStock):
        await shop.place({"GIFT": 1})

    lines = await shop.rows(
        "SELECT kind, sku_code, ordered, allocated, total_minor FROM order_line WHERE order_id = :id ORDER BY line_no",
        id=order_id,
    )
    assert [tuple(line) for line in lines] == [
        ("BUNDLE", "GIFT", 2, 2, 5000),
        ("COMPONENT", "MUG", 2, 2, 0),
        ("COMPONENT", "SPOON", 4, 4, 0),
        ("COMPONENT", "WRAPPING", 2, 2, 0),
    ]
    assert (await shop.level("SPOON")).allocated == 4


async def test_bundles_explode_to_a_limit(shop: Shop) -> None:
    await shop.run(
        catalog.upsert_skus, skus=[{"code": f"P{n}", "name": "part", "backorder_limit": 9} for n in range(100)]
    )
    await shop.sku("SET", components=[{"sku": f"P{n}", "units": 1} for n in range(100)])

    with pytest.raises(ValidationRefused, match="more than 20,000 lines"):
        await shop.place_lines(*(LineRequest(sku="SET", quantity=1) for _ in range(200)))
    await shop.place_lines(*(LineRequest(sku="SET", quantity=1) for _ in range(9)))


async def test_stock_of_a_consignor_is_sold_after_our_own(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 2)
    await shop.stock("MUG", 5, owner="ACME")

    await shop.place({"MUG": 4})

    assert (await shop.level("MUG")).allocated == 2
    assert (await shop.level("MUG", owner="ACME")).allocated == 2


async def test_safety_stock_stays_unsold(shop: Shop) -> None:
    await shop.channel(safety_stock=4)
    await shop.sku("MUG")
    await shop.stock("MUG", 5)

    with pytest.raises(InsufficientStock) as refused:
        await shop.place({"MUG": 2})
    await shop.place({"MUG": 1})

    assert refused.value.available == 1


async def test_an_external_reference_is_unique_in_its_channel(shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)

    results = await asyncio.gather(
        *(shop.place({"POST": 1}, external_ref="A-1") for _ in range(5)), return_exceptions=True
    )
    await shop.channel("SHOP2")
    with pytest.raises(NoPrice):
        await shop.place({"POST": 1}, channel="SHOP2", external_ref="A-1")

    assert sum(isinstance(r, ExternalRefTaken) for r in results) == 4


async def test_unknown_names_are_all_told_at_once(shop: Shop) -> None:
    with pytest.raises(UnknownSku) as refused:
        await shop.place({"NOPE": 1, "NEITHER": 1})
    with pytest.raises(NotFound):
        await shop.place({"NOPE": 1}, channel="MARS")

    assert [no.sku for no in refused.value.also if isinstance(no, UnknownSku)] == ["NEITHER"]


async def test_totals_agree_to_the_minor_unit(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 10)
    vat = TaxRequest(name="VAT", rate_ppm=200_000, included=False)
    lines = [
        LineRequest(sku="MUG", quantity=3, unit_price=Decimal("3.335"), taxes=[vat]),
        LineRequest(sku="MUG", quantity=1, unit_price=Decimal("0.001"), taxes=[vat]),
        LineRequest(
            sku="MUG",
            quantity=1,
            unit_price=Decimal("9.99"),
            taxes=[],
            discounts=[DiscountRequest(amount=Decimal("1"))],
        ),
    ]

    order_id = await shop.place_lines(
        *lines,
        discounts=[DiscountRequest(amount=Decimal("2.00"), code="TWO")],
        shipping=ShippingRequest(amount=Decimal("4.95"), taxes=[vat]),
        expected_total=Decimal("24.73"),
    )

    order = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    # 10.01 + 0.00 + 9.99; less 1.00 on the last line and 2.00 spread as 1.05, 0, 0.95; VAT 1.79 on 8.96, 0.99 on 4.95.
    assert (order.subtotal_minor, order.discount_minor, order.shipping_minor) == (2000, 300, 495)
    assert (order.tax_minor, order.total_minor) == (179 + 99, 2473)


async def test_another_total_than_expected_is_refused(shop: Shop) -> None:
    await shop.sku("POST", "5.00", stock_tracked=False)

    with pytest.raises(TotalMismatch):
        await shop.place({"POST": 1}, expected_total=Decimal("4.99"))


async def test_a_reservation_is_used_up_by_its_order(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 5)
    await shop.stock("CUP", 5)
    token = await shop.reserve({"MUG": 4, "CUP": 2})

    with pytest.raises(InsufficientStock):
        await shop.place({"MUG": 2})
    await shop.place({"MUG": 5}, reservation_token=token)
    with pytest.raises(ReservationClosed):
        await shop.place({"MUG": 1}, reservation_token=token)

    mug, cup = await shop.level("MUG"), await shop.level("CUP")
    assert (mug.allocated, mug.reserved, cup.allocated, cup.reserved) == (5, 0, 0, 0)


async def test_an_expired_reservation_is_refused_before_the_timer_has_run(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    token = await shop.reserve({"MUG": 4}, seconds=60)
    shop.clock.advance(timedelta(seconds=60))

    with pytest.raises(ReservationClosed, match="ended at"):
        await shop.place({"MUG": 4}, reservation_token=token)


async def test_prices_and_past_dates_need_their_scopes(shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)
    seller = Principal(kind=Kind.PARTNER, id="client:seller", scopes=frozenset({"orders:place"}))

    with pytest.raises(Forbidden, match="orders:price"):
        priced = LineRequest(sku="POST", quantity=1, unit_price=Decimal(1))
        await shop.place_lines(priced, principal=seller)
    with pytest.raises(Forbidden, match="orders:backdate"):
        await shop.run(orders.place, principal=seller, order=shop.order({"POST": 1}, placed_at=shop.clock.now()))
    await shop.run(orders.place, principal=seller, order=shop.order({"POST": 1}))


@pytest.mark.parametrize("half", [{"latitude": 48.85}, {"longitude": 2.29}])
@pytest.mark.parametrize(("kind", "named"), [("shipping", "shippingAddress"), ("billing", "billingAddress")])
async def test_half_a_coordinate_is_refused(shop: Shop, kind: str, named: str, half: dict[str, float]) -> None:
    await shop.sku("POST", stock_tracked=False)

    with pytest.raises(ValidationRefused, match="together") as refused:
        await shop.place({"POST": 1}, **{f"{kind}_address": AddressRequest(country="FR", **half)})

    assert refused.value.path == ["input", named]


async def test_the_fewest_locations_serve_then_the_nearest(shop: Shop) -> None:
    await shop.location("PARIS", country="FR", latitude=48.86, longitude=2.35)
    await shop.location("LYON", country="FR", latitude=45.76, longitude=4.84)
    await shop.channel()
    for sku in ("MUG", "CUP"):
        await shop.sku(sku)
        await shop.stock(sku, 5, at="LYON")
    await shop.stock("MUG", 5, at="PARIS")
    home = AddressRequest(country="FR", latitude=48.85, longitude=2.29)

    await shop.place({"MUG": 1}, shipping_address=home)
    await shop.place({"MUG": 1, "CUP": 1}, shipping_address=home)

    assert (await shop.level("MUG", "PARIS")).allocated == 1
    assert (await shop.level("MUG", "LYON")).allocated == 1
    assert (await shop.level("CUP", "LYON")).allocated == 1


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 2**31])
async def test_a_quantity_is_between_one_and_a_million(shop: Shop, quantity: int) -> None:
    await shop.sku("MUG", backorder_limit=2_000_000)

    with pytest.raises(ValidationRefused) as refused:
        await shop.place_lines(LineRequest(sku="MUG", quantity=1), LineRequest(sku="MUG", quantity=quantity))

    assert refused.value.path == ["input", "lines", "1", "quantity"]


async def test_two_spellings_of_one_text_are_one(shop: Shop) -> None:
    composed, decomposed = "caf\u00e9 \U0001f375", "cafe\u0301 \U0001f375"
    await shop.sku(composed)
    await shop.stock(composed, 5)

    order_id = await shop.place({decomposed: 1}, external_ref=f" {decomposed} ", note=f"{decomposed}\n\0")
    with pytest.raises(ExternalRefTaken):
        await shop.place({composed: 1}, external_ref=composed)

    order = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    assert (order.external_ref, order.note) == (composed, decomposed)
    discount = DiscountRequest(amount=Decimal(0), code=f" {decomposed}", description=" ")
    order_id = await shop.place({composed: 1}, discounts=[discount])
    kept = await shop.one("SELECT * FROM order_discount WHERE order_id = :id", id=order_id)
    assert (kept.code, kept.description) == (composed, None)


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\u2028b", "x" * 256])
async def test_a_reference_is_one_line_of_up_to_255_characters(shop: Shop, text: str) -> None:
    await shop.sku("POST", stock_tracked=False)

    with pytest.raises(ValidationRefused) as refused:
        await shop.place({"POST": 1}, external_ref=text)

    assert refused.value.path == ["input", "externalRef"]


async def test_a_reference_may_be_used_again_in_another_channel_and_after_a_refusal(shop: Shop) -> None:
    await shop.channel("SHOP")
    prices = [{"channel": code, "currency": "GBP", "amount": Decimal(1)} for code in ("WEB", "SHOP")]
    await shop.sku("MUG", prices=prices)
    with pytest.raises(InsufficientStock):
        await shop.place({"MUG": 1}, external_ref="A-1")
    await shop.stock("MUG", 5)

    first = await shop.place({"MUG": 1}, external_ref="A-1")
    await shop.place({"MUG": 1}, channel="SHOP", external_ref="A-1")
    await shop.place({"MUG": 1}, external_ref="  ")
    await shop.place({"MUG": 1}, external_ref="  ")
    await shop.run(orders.cancel, order_id=first, reason=CancelReason.CUSTOMER)
    with pytest.raises(ExternalRefTaken) as refused:
        await shop.place({"MUG": 1}, external_ref="A-1")

    number = (await shop.one("SELECT number FROM orders WHERE id = :id", id=first)).number
    assert (refused.value.external_ref, refused.value.number) == ("A-1", number)


async def test_a_reservation_is_good_in_its_channel_once(shop: Shop) -> None:
    await shop.channel("SHOP")
    prices = [{"channel": code, "currency": "GBP", "amount": Decimal(1)} for code in ("WEB", "SHOP")]
    await shop.sku("MUG", prices=prices)
    await shop.stock("MUG", 5)
    token = await shop.reserve({"MUG": 5})

    for wrong in ({"channel": "SHOP", "reservation_token": token}, {"reservation_token": f"{token}\0"}):
        with pytest.raises(NotFound) as refused:
            await shop.place({"MUG": 1}, **wrong)
        assert refused.value.path == ["input", "reservationToken"]
    results = await asyncio.gather(
        *(shop.place({"MUG": 3}, reservation_token=token) for _ in range(4)), return_exceptions=True
    )

    assert sum(isinstance(result, UUID) for result in results) == 1
    assert {type(result) for result in results} <= {UUID, ReservationClosed}
    level = await shop.level("MUG")
    assert (level.allocated, level.reserved) == (3, 0)


async def test_a_reservation_that_covers_a_part_is_added_to(shop: Shop) -> None:
    await shop.location("YORK")
    await shop.channel()
    for sku in ("MUG", "CUP"):
        await shop.sku(sku, backorder_limit=1)
    await shop.stock("MUG", 4)
    token = await shop.reserve({"MUG": 4})
    await shop.stock("MUG", 2, at="YORK")

    order_id = await shop.place({"MUG": 7, "CUP": 1}, reservation_token=token)

    assert ((await shop.level("MUG")).allocated, (await shop.level("MUG", "YORK")).allocated) == (4, 2)
    lines = await shop.rows("SELECT allocated, backordered FROM order_line WHERE order_id = :id", id=order_id)
    assert sorted(tuple(line) for line in lines) == [(0, 1), (6, 1)]


async def test_what_is_not_active_is_not_sold_to_whom_or_from_where(shop: Shop) -> None:
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.stock("MUG", 5)
    await shop.run(customers.upsert_customer, customer={"code": "C-1", "kind": "PERSON", "name": "Ann"})
    await shop.place({"MUG": 1}, customer="C-1")

    await shop.run(customers.upsert_customer, customer={"code": "C-1", "active": False})
    with pytest.raises(CustomerNotActive):
        await shop.place({"MUG": 1}, customer="C-1")
    with pytest.raises(NotFound):
        await shop.place({"MUG": 1}, customer="C-2")
    await shop.sku("CUP", active=False)
    with pytest.raises(SkuNotSellable):
        await shop.place({"CUP": 1})
    await shop.location("LEEDS", active=False)
    with pytest.raises(InsufficientStock):
        await shop.place({"MUG": 1})
    await shop.location("LEEDS", active=True)
    await shop.channel(active=False)
    with pytest.raises(ChannelClosed):
        await shop.place({"MUG": 1})
    await shop.channel(active=True)
    await shop.place({"MUG": 1})


async def test_an_order_is_not_placed_in_the_future(shop: Shop) -> None:
    await shop.sku("POST", stock_tracked=False)
    now = shop.clock.now()

    with pytest.raises(ValidationRefused) as refused:
        await shop.place({"POST": 1}, placed_at=now + timedelta(minutes=6))
    await shop.place({"POST": 1}, placed_at=now + timedelta(minutes=1))
    order_id = await shop.place({"POST": 1}, placed_at=now - timedelta(days=5000))

    assert refused.value.path == ["input", "placedAt"]
    order = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    assert (order.placed_at, order.updated_at) == (now - timedelta(days=5000), now)


@pytest.mark.parametrize("units", [Decimal("NaN"), Decimal("Infinity"), Decimal("-0.01"), Decimal(10**9)])
async def test_amounts_that_are_none_are_refused(shop: Shop, units: Decimal) -> None:
    await shop.sku("POST", stock_tracked=False)
    tax = TaxRequest(name="VAT", rate_ppm=1, included=False, amount=units)

    for given in ({"discounts": [DiscountRequest(amount=units)]}, {"shipping": ShippingRequest(amount=units)}):
        with pytest.raises(ValidationRefused):
            await shop.place({"POST": 1}, **given)
    with pytest.raises(ValidationRefused):
        await shop.place_lines(LineRequest(sku="POST", quantity=1, taxes=[tax]))
