"""Money of orders: what is spread adds up, in every currency, whatever the amounts."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.kernel import money
from app.orders import rules
from app.orders.rules import Tax

amounts = st.integers(0, 10**9)
taxes = st.lists(st.builds(Tax, st.just("VAT"), st.integers(0, 1_000_000), st.booleans()), max_size=3)


@given(amounts, st.lists(amounts, min_size=1, max_size=50))
def test_parts_add_up_and_none_is_off_by_more_than_one(total: int, weights: list[int]) -> None:
    parts = money.prorate(total, weights)

    assert sum(parts) == total
    if sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Decimal(total) * weight / sum(weights)) < 1


@given(st.data())
def test_an_orders_total_is_the_sum_of_what_it_shows(data: st.DataObject) -> None:
    gross = data.draw(st.lists(amounts, min_size=1, max_size=20))
    own = [data.draw(st.integers(0, line)) for line in gross]
    whole = data.draw(st.integers(0, sum(gross) - sum(own)))
    line_taxes = [data.draw(taxes) for _ in gross]
    shipping, shipping_taxes = data.draw(amounts), data.draw(taxes)

    lines = rules.price_lines(gross, own, whole, line_taxes)
    totals = rules.totals(lines, shipping, shipping_taxes)

    on_top = sum(
        amount
        for line, own_taxes in zip(lines, line_taxes, strict=True)
        for amount, tax in zip(line.tax_amounts_minor, own_taxes, strict=True)
        if not tax.included
    ) + sum(
        amount
        for tax, amount in zip(shipping_taxes, rules.tax_amounts(shipping, shipping_taxes), strict=True)
        if not tax.included
    )
    assert totals.discount_minor == sum(own) + whole
    assert totals.total_minor == sum(gross) - totals.discount_minor + shipping + on_top
    assert all(0 <= line.discount_minor <= line.gross_minor for line in lines)


@given(amounts, st.integers(0, 1_000_000))
def test_included_tax_is_what_the_net_amount_would_bear(gross: int, rate_ppm: int) -> None:
    tax = money.tax_minor(gross, rate_ppm, contained_ppm=rate_ppm)
    exact = Decimal(gross) * rate_ppm / (money.PPM + rate_ppm)

    assert abs(tax - exact) <= Decimal("0.5")


@given(amounts, st.lists(st.integers(0, 1_000_000), min_size=1, max_size=4))
def test_taxes_that_one_price_contains_leave_one_net_amount(price: int, rates: list[int]) -> None:
    contained = rules.tax_amounts(price, [Tax("VAT", rate, included=True) for rate in rates])
    net = Decimal(price) * money.PPM / (money.PPM + sum(rates))

    for rate, tax in zip(rates, contained, strict=True):
        assert abs(tax - net * rate / money.PPM) <= Decimal("0.5")
    assert abs(sum(contained) + net - price) <= Decimal(len(rates)) / 2


@given(st.decimals(0, 10**6, places=6), st.sampled_from(["JPY", "EUR", "KWD", "CLF"]))
def test_minor_units_round_half_up(amount: Decimal, currency: str) -> None:
    minor = money.minor(amount, currency)
    step = Decimal(1).scaleb(-money.exponent(currency))

    assert -step / 2 <= amount - minor * step < step / 2
