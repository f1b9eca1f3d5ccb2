"""Holding stock for a checkout."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.gql.errors import UserError
from app.gql.mutations import mutation
from app.gql.nodes import Info
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import user_errors
from app.inventory.api import Reservation
from app.kernel.work import CommandArguments
from app.sourcing import commands
from app.sourcing.api.types import CartLineInput, DestinationInput
from app.sourcing.commands import Wanted


@strawberry.input(description="What to hold, and for how long.")
class StockReserveInput:
    lines: list[CartLineInput] = strawberry.field(
        description="1 to 250 lines. Bundles are held as their parts, services need no holding. A storefront's key"
        " holds at most 1,000 units of a SKU, over all lines."
    )
    seconds: int = strawberry.field(
        description="How long to hold it, 1 to 86,400 seconds; with a storefront's key, which anybody can read, 1,800"
        " at most."
    )
    channel: str | None = strawberry.field(
        default=None,
        description="The channel's code. Keys that are bound to a channel may leave it out, and may name no other.",
    )
    destination: DestinationInput | None = strawberry.field(
        default=None, description="Where goods shall go, so that they are held where they will be sent from."
    )


@scoped(ANYONE)
@strawberry.type(description="The reservation, or why there is none.")
class StockReservePayload:
    reservation: Reservation | None = strawberry.field(description="What is held, and its token; null when refused.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class SourcingMutation:
    """What may be done before there is an order, for the root of mutations."""

    @mutation(scope="stock:reserve")
    async def stock_reserve(
        self,
        info: Info,
        input: Annotated[StockReserveInput, strawberry.argument(description="What to hold, and for how long.")],
        command: CommandArguments,
    ) -> StockReservePayload:
        """Hold stock for a checkout, all lines or none. Nobody else is promised these units until the reservation
        expires, is released, or is used by an order that hands in its `token`."""
        result = await info.context.run(
            commands.reserve,
            command,
            channel=input.channel,
            lines=[Wanted(sku=line.sku, quantity=line.quantity) for line in input.lines],
            seconds=input.seconds,
            destination=input.destination.plain("input", "destination") if input.destination is not None else None,
        )
        return StockReservePayload(reservation=await Reservation.held(info.context, result["token"]))
