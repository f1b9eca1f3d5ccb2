"""What follows from an order's lines: money to the minor unit, statuses, and what may be done next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from app.kernel import money
from app.orders.states import EDGES, OPEN, FulfillmentStatus, Lifecycle, OrderAction, PaymentStatus


class Buckets(Protocol):
    """The quantities of one line; `ordered` is the sum of the five that follow it."""

    @property
    def ordered(self) -> int: ...
    @property
    def cancelled(self) -> int: ...
    @property
    def backordered(self) -> int: ...
    @property
    def unallocated(self) -> int: ...
    @property
    def allocated(self) -> int: ...
    @property
    def shipped(self) -> int: ...
    @property
    def delivered(self) -> int: ...


def fulfillment_status(lines: Iterable[Buckets]) -> FulfillmentStatus:
    """How far the units have come. The worst news about stock comes first, once nothing has shipped."""
    ordered = cancelled = backordered = unallocated = shipped = delivered = 0
    for line in lines:
        ordered += line.ordered
        cancelled += line.cancelled
        backordered += line.backordered
        unallocated += line.unallocated
        shipped += line.shipped
        delivered += line.delivered
    wanted = ordered - cancelled
    if wanted == 0:
        return FulfillmentStatus.CANCELLED
    if delivered:
        return FulfillmentStatus.DELIVERED if delivered == wanted else FulfillmentStatus.PARTIALLY_DELIVERED
    if shipped:
        return FulfillmentStatus.SHIPPED if shipped == wanted else FulfillmentStatus.PARTIALLY_SHIPPED
    if unallocated:
        return FulfillmentStatus.UNALLOCATED
    return FulfillmentStatus.BACKORDERED if backordered else FulfillmentStatus.SCHEDULED


def payment_status(policy: str) -> PaymentStatus:
    """Until payments exist: a policy of NONE asks for nothing, any other waits."""
    return PaymentStatus.NOT_REQUIRED if policy == "NONE" else PaymentStatus.PENDING


def payment_policy_met(status: PaymentStatus) -> bool:
    return status == PaymentStatus.NOT_REQUIRED


def allowed_actions(
    lifecycle: Lifecycle, payment: PaymentStatus, fulfillment: FulfillmentStatus, *, on_hold: bool
) -> list[OrderAction]:
    """What may be done now, in the order of OrderAction."""
    leading_on = {action for action, (sources, _) in EDGES.items() if lifecycle in sources}
    may_go_on = not on_hold and payment_policy_met(payment)
    all_shipped = fulfillment in (FulfillmentStatus.SHIPPED, FulfillmentStatus.DELIVERED)
    return [
        action
        for action, allowed in (
            (OrderAction.CONFIRM, OrderAction.CONFIRM in leading_on and may_go_on),
            (OrderAction.HOLD, lifecycle in OPEN),
            (OrderAction.HOLD_RELEASE, on_hold),
            (OrderAction.CANCEL, OrderAction.CANCEL in leading_on and not all_shipped),
        )
        if allowed
    ]


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax on an amount: a rate, or an amount that the caller has worked out."""

    name: str
    rate_ppm: int
    included: bool
    amount_minor: int | None = None


def tax_amounts(amount_minor: int, taxes: Sequence[Tax]) -> tuple[int, ...]:
    """What each tax on an amount comes to. Those that it contains share what is left of it without any of them."""
    if not taxes:
        return ()
    contained_ppm = sum(tax.rate_ppm for tax in taxes if tax.included and tax.amount_minor is None)
    return tuple(
        tax.amount_minor
        if tax.amount_minor is not None
        else money.tax_minor(amount_minor, tax.rate_ppm, contained_ppm=contained_ppm if tax.included else 0)
        for tax in taxes
    )


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line's money. discount_minor holds its own discounts and its share of the order's."""

    gross_minor: int
    discount_minor: int
    tax_amounts_minor: tuple[int, ...]
    tax_minor: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class Totals:
    """total = subtotal − discount + shipping + taxes that are not included in prices."""

    subtotal_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    total_minor: int


def gross_minor(unit_price: Decimal, units: int, currency: str) -> int:
    """Price of all units, rounded once, halves up."""
    return money.minor(unit_price * units, currency)


def price_lines(
    gross: Sequence[int], own_discounts: Sequence[int], order_discount: int, taxes: Sequence[Sequence[Tax]]
) -> list[PricedLine]:
    """Spread the order's discount over its lines, then tax what is left of each.

    gross, own_discounts, taxes  one entry for each line; a discount never exceeds what it is given on
    """
    left = [line - own for line, own in zip(gross, own_discounts, strict=True)]
    shares = money.prorate(order_discount, left) if order_discount else [0] * len(left)
    priced = []
    for line, own, share, line_taxes in zip(gross, own_discounts, shares, taxes, strict=True):
        net = line - own - share
        amounts = tax_amounts(net, line_taxes)
        on_top = sum(amount for tax, amount in zip(line_taxes, amounts, strict=True) if not tax.included)
        priced.append(PricedLine(line, own + share, amounts, sum(amounts), net + on_top))
    return priced


def totals(lines: Sequence[PricedLine], shipping_minor: int, shipping_taxes: Sequence[Tax]) -> Totals:
    shipping_amounts = tax_amounts(shipping_minor, shipping_taxes)
    on_top = sum(a for tax, a in zip(shipping_taxes, shipping_amounts, strict=True) if not tax.included)
    return Totals(
        subtotal_minor=sum(line.gross_minor for line in lines),
        discount_minor=sum(line.discount_minor for line in lines),
        shipping_minor=shipping_minor,
        tax_minor=sum(line.tax_minor for line in lines) + sum(shipping_amounts),
        total_minor=sum(line.total_minor for line in lines) + shipping_minor + on_top,
    )
