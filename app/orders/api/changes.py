"""What clients may do with orders."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.gql.errors import UserError, user_error
from app.gql.money import Money, MoneyInput
from app.gql.mutations import mutation
from app.gql.nodes import Info, uuid_of
from app.gql.scalars import CountryCode, CurrencyCode
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import given, user_errors
from app.kernel import inputs
from app.kernel.work import CommandArguments
from app.orders import commands, refusals
from app.orders.api.types import Order
from app.orders.commands.cancel import CancelLine
from app.orders.requests import (
    AddressRequest,
    DiscountRequest,
    LineRequest,
    OrderRequest,
    ShippingRequest,
    TaxRequest,
)
from app.orders.states import CancelReason, HoldReason

PRICED = " Needs the scope `orders:price`."


@user_error(refusals.UnknownSku)
@strawberry.type(name="UnknownSku", description="No SKU has this code. Codes are case-sensitive.")
class UnknownSkuError(UserError):
    sku: str = strawberry.field(description="The code.")


@user_error(refusals.SkuNotSellable)
@strawberry.type(name="SkuNotSellable", description="The SKU is not active, or is a bundle with a part that is not.")
class SkuNotSellableError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")


@user_error(refusals.NoPrice)
@strawberry.type(name="NoPrice", description="The channel has no price for the SKU in the order's currency.")
class NoPriceError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")


@user_error(refusals.TotalMismatch)
@strawberry.type(name="TotalMismatch", description="The order comes to another total than you expected.")
class TotalMismatchError(UserError):
    expected_minor: strawberry.Private[int]
    actual_minor: strawberry.Private[int]
    currency: strawberry.Private[str]

    @strawberry.field(description="What you expected.")
    def expected(self) -> Money:
        return Money.of(self.expected_minor, self.currency)

    @strawberry.field(description="What it comes to.")
    def actual(self) -> Money:
        return Money.of(self.actual_minor, self.currency)


@user_error(refusals.ExternalRefTaken)
@strawberry.type(name="ExternalRefTaken", description="An order of the channel has this external reference already.")
class ExternalRefTakenError(UserError):
    external_ref: str = strawberry.field(description="The reference.")
    number: str | None = strawberry.field(
        description="The number of the order that has it; null where you may not see that order."
    )


@user_error(refusals.ChannelClosed)
@strawberry.type(name="ChannelClosed", description="The channel is not active.")
class ChannelClosedError(UserError):
    channel: str = strawberry.field(description="The channel's code.")


@user_error(refusals.CustomerNotActive)
@strawberry.type(name="CustomerNotActive", description="The customer may not order.")
class CustomerNotActiveError(UserError):
    pass


@user_error(refusals.NothingToCancel)
@strawberry.type(name="NothingToCancel", description="The line has fewer units that can be cancelled.")
class NothingToCancelError(UserError):
    line_no: int = strawberry.field(description="The line's number.")
    sku: str = strawberry.field(description="The SKU's code.")
    requested: int = strawberry.field(description="Units asked for.")
    cancellable: int = strawberry.field(description="Units that can be cancelled.")


@strawberry.input(description="A tax that you have worked out yourself.")
class TaxInput:
    name: str = strawberry.field(description="What it is called, such as `VAT`.")
    rate_percent: Decimal = strawberry.field(description='The rate in percent, with up to 4 decimals: `"20"`.')
    included: bool = strawberry.field(description="Whether the price contains it, or it comes on top.")
    amount: Decimal | None = strawberry.field(
        default=None, description="What it comes to, in the order's currency; worked out from the rate if not given."
    )


@strawberry.input(description="A discount.")
class DiscountInput:
    amount: Decimal = strawberry.field(description="What to take off, in the order's currency.")
    code: str | None = strawberry.field(default=None, description="The code the customer used.")
    description: str | None = strawberry.field(default=None, description="What it is for.")


@strawberry.input(description="What one line asks for.")
class OrderLineInput:
    sku: str = strawberry.field(description="The SKU's code. One SKU may stand on several lines.")
    quantity: int = strawberry.field(description="Units, 1 to 1,000,000.")
    unit_price: Decimal | None = strawberry.field(
        default=None, description="The price of one unit; the channel's price list if not given." + PRICED
    )
    discounts: list[DiscountInput] | None = strawberry.field(
        default=None, description="Discounts on this line." + PRICED
    )
    taxes: list[TaxInput] | None = strawberry.field(
        default=None, description="Taxes on this line, `[]` for none; the channel's rate if not given." + PRICED
    )


@strawberry.input(description="What shipping costs the customer.")
class ShippingInput:
    amount: Decimal = strawberry.field(description="In the order's currency.")
    taxes: list[TaxInput] | None = strawberry.field(
        default=None, description="Taxes on it, `[]` for none; the channel's rate if not given."
    )


@strawberry.input(description="Where an order goes, or who pays for it. Personal data: kept with the order alone.")
class OrderAddressInput:
    country: CountryCode = strawberry.field(description="The country.")
    name: str | None = strawberry.field(default=None, description="The person.")
    company: str | None = strawberry.field(default=None, description="The company.")
    lines: list[str] | None = strawberry.field(default=None, description="Street and house, up to 5 lines.")
    city: str | None = strawberry.field(default=None, description="City or town.")
    region: str | None = strawberry.field(default=None, description="State, county or province.")
    postcode: str | None = strawberry.field(default=None, description="Postal code.")
    phone: str | None = strawberry.field(default=None, description="For the carrier's questions.")
    email: str | None = strawberry.field(default=None, description="For messages about the order.")
    latitude: float | None = strawberry.field(
        default=None, description="Degrees north; goes with `longitude`, and together they find the nearest location."
    )
    longitude: float | None = strawberry.field(default=None, description="Degrees east; goes with `latitude`.")


@strawberry.input(description="An order to be placed.")
class OrderPlaceInput:
    channel: str = strawberry.field(description="The code of the channel it comes from.")
    lines: list[OrderLineInput] = strawberry.field(description="1 to 2,000 lines, kept in this order.")
    external_ref: str | None = strawberry.field(
        default=None,
        description="The number in your system; unique in the channel, so that nothing is placed twice. It stays in"
        " events for 30 days or longer: nothing personal, such as a name or an e-mail address, may stand in it.",
    )
    customer: str | None = strawberry.field(
        default=None,
        description="The customer's code; leave out for a guest, and with a key that is bound to a channel, which"
        " sees no customers.",
    )
    reservation_token: str | None = strawberry.field(
        default=None, description="The token of `stockReserve`: its units are used first, the rest of it is released."
    )
    shipping_address: OrderAddressInput | None = strawberry.field(
        default=None,
        description="Where it goes; the customer's default shipping address if not given, to whoever has"
        " `customers:read`.",
    )
    billing_address: OrderAddressInput | None = strawberry.field(
        default=None,
        description="Who pays, if not that one; the customer's default billing address if not given, likewise.",
    )
    currency: CurrencyCode | None = strawberry.field(
        default=None,
        description="The currency, if not the channel's: one that the SKUs have prices in, or that you pass prices in.",
    )
    discounts: list[DiscountInput] | None = strawberry.field(
        default=None, description="Discounts on the whole order, spread over its lines." + PRICED
    )
    shipping: ShippingInput | None = strawberry.field(default=None, description="Shipping; free if not given." + PRICED)
    expected_total: MoneyInput | None = strawberry.field(
        default=None,
        description="What you showed the customer: refused with TotalMismatch if it is anything else.",
    )
    priority: int | None = strawberry.field(
        default=None, description="Higher is more urgent, -100 to 100; 0 if absent."
    )
    note: str | None = strawberry.field(default=None, description="For those who handle it, up to 2,000 characters.")
    placed_at: datetime | None = strawberry.field(
        default=None, description="For orders taken elsewhere before. Needs the scope `orders:backdate`."
    )


@strawberry.input(description="An order to be confirmed.")
class OrderConfirmInput:
    order: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.input(description="An order to be held.")
class OrderHoldInput:
    order: strawberry.ID = strawberry.field(description="Its id.")
    reason: HoldReason = strawberry.field(description="Why.")
    note: str | None = strawberry.field(default=None, description="For those who look into it, up to 2,000 characters.")


@strawberry.input(description="A hold to be released.")
class OrderHoldReleaseInput:
    order: strawberry.ID = strawberry.field(description="The order's id.")
    hold: strawberry.ID = strawberry.field(description="The hold's id.")
    note: str | None = strawberry.field(default=None, description="What was found, up to 2,000 characters.")


@strawberry.input(description="Units of one line to be cancelled.")
class OrderCancelLineInput:
    line: strawberry.ID = strawberry.field(description="The line's id. Components follow the line of their bundle.")
    quantity: int | None = strawberry.field(default=None, description="Units; all that can be cancelled if not given.")


@strawberry.input(description="What to cancel of an order.")
class OrderCancelInput:
    order: strawberry.ID = strawberry.field(description="Its id.")
    reason: CancelReason = strawberry.field(description="Why.")
    lines: list[OrderCancelLineInput] | None = strawberry.field(
        default=None, description="Which lines; everything that has not shipped if not given."
    )


@scoped(ANYONE)
@strawberry.type(description="The order that was placed, or why it was not.")
class OrderPlacePayload:
    order: Order | None = strawberry.field(description="The order; null when refused.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="The order after it was confirmed, or why it was not.")
class OrderConfirmPayload:
    order: Order | None = strawberry.field(description="The order as it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="The order after it was held, or why it was not.")
class OrderHoldPayload:
    order: Order | None = strawberry.field(description="The order as it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="The order after a hold was released, or why it was not.")
class OrderHoldReleasePayload:
    order: Order | None = strawberry.field(description="The order as it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="The order after units were cancelled, or why they were not.")
class OrderCancelPayload:
    order: Order | None = strawberry.field(description="The order as it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class OrdersMutation:
    """What may be done with orders, for the root of mutations."""

    @mutation(scope="orders:place")
    async def order_place(
        self,
        info: Info,
        input: Annotated[OrderPlaceInput, strawberry.argument(description="The order as it shall be.")],
        command: CommandArguments,
    ) -> OrderPlacePayload:
        """Place an order. When this answers without `userErrors`, every unit of it is allocated or backordered, and the
        order is stored for good. One SKU short refuses the whole order and says what is missing, where the rest lies
        and when more is due."""
        result = await info.context.run(commands.place, command, order=_request(input))
        return OrderPlacePayload(order=await _order(info, result))

    @mutation(scope="orders:write", versioned=True)
    async def order_confirm(
        self,
        info: Info,
        input: Annotated[OrderConfirmInput, strawberry.argument(description="Which order.")],
        command: CommandArguments,
    ) -> OrderConfirmPayload:
        """Release an order to fulfilment. It must be PLACED, free of holds, and its channel's payment policy met."""
        result = await info.context.run(commands.confirm, command, order_id=_order_id(input.order))
        return OrderConfirmPayload(order=await _order(info, result))

    @mutation(scope="orders:write", versioned=True)
    async def order_hold(
        self,
        info: Info,
        input: Annotated[OrderHoldInput, strawberry.argument(description="Which order, and why.")],
        command: CommandArguments,
    ) -> OrderHoldPayload:
        """Stop an order from going on. It may be held several times over, and goes on when every hold is released."""
        order_id = _order_id(input.order)
        result = await info.context.run(commands.hold, command, order_id=order_id, reason=input.reason, note=input.note)
        return OrderHoldPayload(order=await _order(info, result))

    @mutation(scope="orders:write", versioned=True)
    async def order_hold_release(
        self,
        info: Info,
        input: Annotated[OrderHoldReleaseInput, strawberry.argument(description="Which hold of which order.")],
        command: CommandArguments,
    ) -> OrderHoldReleasePayload:
        """Release one hold. The order may go on when no other is open."""
        result = await info.context.run(
            commands.hold_release,
            command,
            order_id=_order_id(input.order),
            hold_id=uuid_of(input.hold, "Hold", ["input", "hold"]),
            note=input.note,
        )
        return OrderHoldReleasePayload(order=await _order(info, result))

    @mutation(scope="orders:write", versioned=True)
    async def order_cancel(
        self,
        info: Info,
        input: Annotated[OrderCancelInput, strawberry.argument(description="What to cancel, and why.")],
        command: CommandArguments,
    ) -> OrderCancelPayload:
        """Cancel units by line, or everything that has not shipped. Their stock is free for others when this answers.
        With no unit left the order is CANCELLED, which is final."""
        lines = None
        if input.lines is not None:
            lines = [
                CancelLine(
                    line_id=uuid_of(line.line, "OrderLine", ["input", "lines", str(i), "line"]),
                    quantity=line.quantity,
                )
                for i, line in enumerate(input.lines)
            ]
        result = await info.context.run(
            commands.cancel,
            command,
            order_id=_order_id(input.order),
            reason=input.reason,
            lines=lines,
        )
        return OrderCancelPayload(order=await _order(info, result))


def _order_id(id: strawberry.ID) -> UUID:
    return uuid_of(id, "Order", ["input", "order"])


async def _order(info: Info, result: dict[str, Any]) -> Order | None:
    """The order of a result. Callers who may place but not read are told of nothing but success."""
    return await Order.load(info.context, UUID(result["orderId"]))


def _request(input: OrderPlaceInput) -> OrderRequest:
    plain = {name: value for name, value in given(input).items() if value is not None}
    expected = plain.pop("expected_total", None)
    if expected is not None:
        plain["expected_total"] = expected["amount"]
        plain["expected_currency"] = expected["currency_code"]
    plain["lines"] = [
        LineRequest(
            sku=line["sku"],
            quantity=line["quantity"],
            unit_price=line["unit_price"],
            discounts=_discounts(line["discounts"]),
            taxes=_taxes(line["taxes"], ["input", "lines", str(i), "taxes"]),
        )
        for i, line in enumerate(plain["lines"])
    ]
    for kind in ("shipping_address", "billing_address"):
        if kind in plain:
            address = {name: value for name, value in plain[kind].items() if value is not None}
            plain[kind] = AddressRequest(**address)
    plain["discounts"] = _discounts(plain.get("discounts"))
    if "shipping" in plain:
        shipping = plain["shipping"]
        plain["shipping"] = ShippingRequest(
            amount=shipping["amount"], taxes=_taxes(shipping["taxes"], ["input", "shipping", "taxes"])
        )
    return OrderRequest(**plain)


def _discounts(values: list[dict[str, Any]] | None) -> list[DiscountRequest]:
    return [DiscountRequest(**value) for value in values or ()]


_RATE_PERCENT = inputs.decimal(Decimal(0), Decimal(100), 4)


def _taxes(values: list[dict[str, Any]] | None, path: list[str]) -> list[TaxRequest] | None:
    """Raises ValidationRefused for a rate that cannot be kept exactly."""
    if values is None:
        return None
    return [
        TaxRequest(
            name=value["name"],
            rate_ppm=int(_RATE_PERCENT(value["rate_percent"], [*path, str(i), "ratePercent"]) * 10_000),
            included=value["included"],
            amount=value["amount"],
        )
        for i, value in enumerate(values)
    ]
