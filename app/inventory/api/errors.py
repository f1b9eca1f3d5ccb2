"""Why stock says no, as clients see it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.gql.errors import UserError, user_error
from app.gql.scopes import ANYONE, scoped
from app.inventory import refusals
from app.inventory.api.enums import ReservationStatus


@scoped(ANYONE)
@strawberry.type(description="Units that one location could give.")
class UnitsAt:
    location: str = strawberry.field(description="The location's code.")
    units: int = strawberry.field(description="Units that can be promised there now.")


@user_error(refusals.InsufficientStock)
@strawberry.type(
    name="InsufficientStock",
    description="Not enough of a SKU. Ask for no more than `available` and `backorderable` together, or wait.",
)
class InsufficientStockError(UserError):
    sku: str = strawberry.field(description="The SKU's code; of a bundle, that of the part which is short.")
    requested: int = strawberry.field(description="Units asked for, over all lines.")
    available: int = strawberry.field(
        description="Units that can be promised to you now, over all locations, with those that your reservation holds;"
        " none of a preorder."
    )
    backorderable: int = strawberry.field(
        description="Units beyond these that an order would be taken for; 0 for a reservation, which holds stock alone."
    )
    by_location: list[UnitsAt] = strawberry.field(description="Where the `available` ones are.")
    next_available_at: datetime | None = strawberry.field(
        description="When supply covers what is not `available`, of a preorder not before its release; null where none"
        " is on its way."
    )


@user_error(refusals.StockTaken)
@strawberry.type(
    name="StockTaken",
    description="Another request took the units first, several times over. Sending this one again may succeed.",
)
class StockTakenError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")
    location: str = strawberry.field(description="The code of the location they were taken from.")


@user_error(refusals.BackorderLimit)
@strawberry.type(
    name="BackorderLimit",
    description="Another request took the rest of what may be sold beyond stock. Sending this one again tells how much"
    " is left.",
)
class BackorderLimitError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")


@user_error(refusals.StockCompareFailed)
@strawberry.type(
    name="StockCompareFailed",
    description="The units on hand are not those you compared with: somebody changed them since. Nothing was set.",
)
class StockCompareFailedError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")
    location: str = strawberry.field(description="The location's code.")
    expected: int = strawberry.field(description="Your `compareUnits`.")
    actual: int = strawberry.field(description="Units on hand.")


@user_error(refusals.StockBelowCommitted)
@strawberry.type(
    name="StockBelowCommitted",
    description="The change would leave less than is promised or set aside, or take more than is set aside. Cancel"
    " orders or release reservations first, or ask for fewer.",
)
class StockBelowCommittedError(UserError):
    sku: str = strawberry.field(description="The SKU's code.")
    location: str = strawberry.field(description="The location's code.")
    on_hand: int = strawberry.field(description="Units on hand.")
    committed: int = strawberry.field(description="Units allocated to orders or reserved.")
    available: int = strawberry.field(
        description="Units that may go: of the state they were to be moved from, where that is another than available."
    )


@user_error(refusals.ReservationTooLong)
@strawberry.type(
    name="ReservationTooLong",
    description="A storefront's reservation lasts 2 hours in all, however often it is extended. Nothing was changed:"
    " ask for no longer, place the order, or reserve again.",
)
class ReservationTooLongError(UserError):
    expires_at_max: datetime = strawberry.field(description="Until when it may be extended at the latest.")


@user_error(refusals.ReservationClosed)
@strawberry.type(
    name="ReservationClosed", description="The reservation holds nothing any more: reserve again, or go on without."
)
class ReservationClosedError(UserError):
    status: ReservationStatus = strawberry.field(description="What became of it.")
    expires_at: datetime = strawberry.field(description="Until when it was good.")
