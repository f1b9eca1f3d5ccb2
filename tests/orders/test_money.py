"""What orders come to, stored and shown, in currencies of 0, 2 and 3 decimals."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from app.kernel import money
from app.kernel.errors import Forbidden, ValidationRefused
from app.kernel.principal import Kind, Principal
from app.orders import commands as orders
from app.orders.refusals import NoPrice
from app.orders.requests import DiscountRequest, LineRequest, OrderRequest, ShippingRequest, TaxRequest
from tests.builders import Shop


def vat(percent: str, *, included: bool = False, amount: str | None = None) -> TaxRequest:
    ppm = int(Decimal(percent) * 10_000)
    return TaxRequest(name="VAT", rate_ppm=ppm, included=included, amount=None if amount is None else Decimal(amount))


def off(amount: str) -> DiscountRequest:
    return DiscountRequest(amount=Decimal(amount))


async def totals(shop: Shop, *lines: LineRequest, **order: Any) -> tuple[int, ...]:
    """Subtotal, discount, shipping, tax and total, in minor units."""
    order_id = await shop.place_lines(*lines, **order)
    row = await shop.one("SELECT * FROM orders WHERE id = :id", id=order_id)
    return row.subtotal_minor, row.discount_minor, row.shipping_minor, row.tax_minor, row.total_minor


@pytest.fixture
async def post(shop: Shop) -> Shop:
    """A shop whose one SKU needs no stock."""
    await shop.sku("POST", "1.00", stock_tracked=False)
    return shop


def post_line(price: str, quantity: int = 1, **given: Any) -> LineRequest:
    return LineRequest(sku="POST", quantity=quantity, unit_price=Decimal(price), **given)


@pytest.mark.parametrize(
    ("currency", "price", "discount", "shipping", "expected"),
    [
        # 3 × 333.5 = 1000.5, up to 1001; less 10; VAT 10 % of 991 is 99.1, of 50 it is 5.
        ("JPY", "333.5", "10", "50", (1001, 10, 50, 104, 1145)),
        # 3 × 3.335 = 10.005, up to 10.01; less 0.10; VAT of 9.91 is 0.991, of 0.50 it is 0.05.
        ("EUR", "3.335", "0.10", "0.50", (1001, 10, 50, 104, 1145)),
        # 3 × 0.3335 = 1.0005, up to 1.001; less 0.010; and so on.
        ("KWD", "0.3335", "0.010", "0.050", (1001, 10, 50, 104, 1145)),
    ],
)
async def test_amounts_round_to_the_currencys_own_decimals(
    post: Shop, currency: str, price: str, discount: str, shipping: str, expected: tuple[int, ...]
) -> None:
    line = post_line(price, 3, discounts=[off(discount)], taxes=[vat("10")])
    total = money.major(expected[-1], currency)

    got = await totals(
        post,
        line,
        currency=currency,
        shipping=ShippingRequest(amount=Decimal(shipping), taxes=[vat("10")]),
        expected_total=total,
        expected_currency=currency,
    )

    assert got == expected


@pytest.mark.parametrize(
    ("currency", "amount"), [("JPY", "0.1"), ("EUR", "0.001"), ("KWD", "0.0001"), ("IQD", "0.0001"), ("RSD", "0.005")]
)
async def test_an_amount_finer_than_its_currency_is_refused_where_it_stands(
    post: Shop, currency: str, amount: str
) -> None:
    wrong = Decimal(amount)
    fine = post_line("5")
    cases: list[tuple[list[str], Sequence[LineRequest], dict[str, Any]]] = [
        (["discounts", "0", "amount"], [fine], {"discounts": [off(amount)]}),
        (["shipping", "amount"], [fine], {"shipping": ShippingRequest(amount=wrong)}),
        (["expectedTotal", "amount"], [fine], {"expected_total": wrong}),
        (["lines", "1", "discounts", "0", "amount"], [fine, post_line("5", discounts=[off(amount)])], {}),
        (["lines", "0", "taxes", "1", "amount"], [post_line("5", taxes=[vat("1"), vat("1", amount=amount)])], {}),
        (
            ["shipping", "taxes", "0", "amount"],
            [fine],
            {"shipping": ShippingRequest(amount=Decimal(1), taxes=[vat("1", amount=amount)])},
        ),
    ]
    for path, lines, order in cases:
        with pytest.raises(ValidationRefused, match="more decimals") as refused:
            await post.place_lines(*lines, currency=currency, **order)
        assert refused.value.path == ["input", *path]


async def test_taxes_that_a_price_contains_share_one_net_amount(post: Shop) -> None:
    """115 with 10 % and 5 % in it is 100 net, 10 and 5."""
    line = post_line("115", taxes=[vat("10", included=True), vat("5", included=True)])

    assert await totals(post, line) == (11500, 0, 0, 1500, 11500)


async def test_the_channels_rate_applies_to_what_is_left_and_to_shipping(shop: Shop) -> None:
    await shop.channel(tax_rate_ppm=190_000, prices_include_tax=True)
    await shop.sku("POST", "11.90", stock_tracked=False)

    got = await totals(
        shop,
        LineRequest(sku="POST", quantity=1),
        discounts=[off("2.38")],
        shipping=ShippingRequest(amount=Decimal("4.76")),
    )

    assert got == (1190, 238, 476, 152 + 76, 952 + 476)


async def test_a_discount_may_take_all_of_a_line_and_no_more(post: Shop) -> None:
    assert await totals(post, post_line("5", discounts=[off("3"), off("2")], taxes=[vat("20")])) == (500, 500, 0, 0, 0)
    with pytest.raises(ValidationRefused, match="more than the line's") as refused:
        await post.place_lines(post_line("5"), post_line("5", discounts=[off("3"), off("2.01")]))
    assert refused.value.path == ["input", "lines", "1", "discounts"]
    with pytest.raises(ValidationRefused, match="lower them") as refused:
        await post.place_lines(post_line("5", discounts=[off("3")]), post_line("5"), discounts=[off("7.01")])
    assert refused.value.path == ["input", "discounts"]


async def test_two_thousand_lines_share_a_discount_to_the_last_penny(post: Shop) -> None:
    lines = [post_line("0.03", taxes=[vat("20")]) for _ in range(2_000)]

    subtotal, discount, _, tax, total = await totals(post, *lines, discounts=[off("19.99")])

    assert (subtotal, discount) == (6000, 1999)
    assert total == subtotal - discount + tax
    with pytest.raises(ValidationRefused, match="2,001 lines are too many"):
        await post.place_lines(*lines, post_line("1"))


async def test_what_cannot_be_counted_is_refused(post: Shop) -> None:
    huge = [post_line("1000000000", 1_000_000)] * 100
    with pytest.raises(ValidationRefused, match="more than can be counted"):
        await post.place_lines(*huge)
    with pytest.raises(ValidationRefused, match="No order comes to so much"):
        await post.place_lines(post_line("1"), expected_total=Decimal(10) ** 18)


async def test_prices_of_the_channel_in_the_orders_currency_apply(shop: Shop) -> None:
    await shop.sku("POST", "1.5", currency="KWD", stock_tracked=False)

    assert (await totals(shop, LineRequest(sku="POST", quantity=1), currency="KWD"))[4] == 1500
    with pytest.raises(NoPrice):
        await shop.place({"POST": 1})


@pytest.mark.parametrize(
    "priced",
    [
        {"discounts": [off("0")]},
        {"shipping": ShippingRequest(amount=Decimal(0))},
        {"lines": [post_line("1")]},
        {"lines": [LineRequest(sku="POST", quantity=1, taxes=[])]},
        {"lines": [LineRequest(sku="POST", quantity=1, discounts=[off("1")])]},
    ],
)
async def test_every_way_to_set_a_price_needs_its_scope(post: Shop, priced: dict[str, Any]) -> None:
    seller = Principal(kind=Kind.PARTNER, id="client:seller", scopes=frozenset({"orders:place"}))
    lines = priced.pop("lines", [LineRequest(sku="POST", quantity=1)])
    request = OrderRequest(channel="WEB", lines=lines, **priced)

    with pytest.raises(Forbidden, match="orders:price"):
        await post.run(orders.place, principal=seller, order=request)


@pytest.mark.parametrize(("currency", "total_minor"), [("GBP", 100), ("KWD", 1500)])
async def test_a_currency_chooses_among_the_prices_and_needs_no_scope_of_its_own(
    shop: Shop, currency: str, total_minor: int
) -> None:
    seller = Principal(kind=Kind.PARTNER, id="client:seller", scopes=frozenset({"orders:place"}))
    prices = [{"channel": "WEB", "currency": code, "amount": Decimal(at)} for code, at in (("GBP", 1), ("KWD", "1.5"))]
    await shop.sku("POST", prices=prices, stock_tracked=False)
    line = LineRequest(sku="POST", quantity=1)

    assert (await totals(shop, line, principal=seller, currency=currency))[4] == total_minor
    with pytest.raises(NoPrice):
        await shop.place_lines(line, principal=seller, currency="EUR")
