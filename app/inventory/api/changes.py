"""What clients may do with stock by hand, and with reservations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.gql.errors import UserError
from app.gql.mutations import mutation
from app.gql.nodes import Info
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import user_errors
from app.inventory import commands, queries
from app.inventory.api.enums import AdjustmentReason, StockState
from app.inventory.api.types import Reservation, StockLevel
from app.inventory.commands.adjust import Delta, Figure, Shift
from app.inventory.commands.safety_stock import SafetyStock
from app.kernel.texts import spelled
from app.kernel.work import CommandArguments

_SKU = "The SKU's code."
_LOCATION = "The location's code."
_OWNER = "Who owns the units, where they are on consignment; leave out for your own."
_REASON = "Why."
_REFERENCE = "The document or address that is the ground for it, such as `https://erp.example/receipts/4711`."


@strawberry.input(description="A difference to one stock level.")
class StockAdjustChange:
    sku: str = strawberry.field(description=_SKU)
    location: str = strawberry.field(description=_LOCATION)
    owner: str | None = strawberry.field(default=None, description=_OWNER)
    units: int = strawberry.field(description="Units to add to what is on hand; negative takes away. Not 0.")


@strawberry.input(description="Differences to stock levels, all or none.")
class StockAdjustInput:
    changes: list[StockAdjustChange] = strawberry.field(description="1 to 250 stock levels, each named once.")
    reason: AdjustmentReason = strawberry.field(description=_REASON)
    reference: str | None = strawberry.field(default=None, description=_REFERENCE)


@strawberry.input(description="A figure for one stock level.")
class StockSetChange:
    sku: str = strawberry.field(description=_SKU)
    location: str = strawberry.field(description=_LOCATION)
    owner: str | None = strawberry.field(default=None, description=_OWNER)
    units: int = strawberry.field(description="Units on hand afterwards.")
    compare_units: int = strawberry.field(
        description="Units on hand as you know them; 0 where there were none. Refused when it is another figure, so"
        " that what was sold meanwhile is not overwritten."
    )


@strawberry.input(description="Figures for stock levels, all or none.")
class StockSetInput:
    changes: list[StockSetChange] = strawberry.field(description="1 to 250 stock levels, each named once.")
    reason: AdjustmentReason = strawberry.field(description=_REASON)
    reference: str | None = strawberry.field(default=None, description=_REFERENCE)


@strawberry.input(description="Units of one stock level that change their state.")
class StockMoveChange:
    sku: str = strawberry.field(description=_SKU)
    location: str = strawberry.field(description=_LOCATION)
    owner: str | None = strawberry.field(default=None, description=_OWNER)
    units: int = strawberry.field(description="How many, 1 or more.")
    from_state: StockState = strawberry.field(description="The state they are in.")
    to_state: StockState = strawberry.field(description="The state they go to.")


@strawberry.input(description="Units that change their state, all or none.")
class StockMoveInput:
    changes: list[StockMoveChange] = strawberry.field(description="1 to 250 stock levels, each named once.")
    reason: AdjustmentReason = strawberry.field(description=_REASON)
    reference: str | None = strawberry.field(default=None, description=_REFERENCE)


@strawberry.input(description="The safety stock of one stock level.")
class StockSafetyStockSetChange:
    sku: str = strawberry.field(description=_SKU)
    location: str = strawberry.field(description=_LOCATION)
    owner: str | None = strawberry.field(default=None, description=_OWNER)
    units: int = strawberry.field(description="Units to keep back from sale, 0 or more.")


@strawberry.input(description="Safety stock of stock levels, all or none.")
class StockSafetyStockSetInput:
    changes: list[StockSafetyStockSetChange] = strawberry.field(description="1 to 250 stock levels, each named once.")


@strawberry.input(description="How long a reservation shall last.")
class StockReservationExtendInput:
    token: str = strawberry.field(description="The reservation's token.")
    seconds: int = strawberry.field(
        description="It ends so many seconds from now, 1 to 86,400; with a storefront's key 1,800 at most, and never"
        " more than 2 hours after it was made."
    )


@strawberry.input(description="A reservation to be given back.")
class StockReservationReleaseInput:
    token: str = strawberry.field(description="The reservation's token.")


@scoped(ANYONE)
@strawberry.type(description="What became of the stock levels.")
class StockAdjustPayload:
    stock_levels: list[StockLevel] = strawberry.field(description="As they are now, in the order of the changes.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the stock levels.")
class StockSetPayload:
    stock_levels: list[StockLevel] = strawberry.field(description="As they are now, in the order of the changes.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the stock levels.")
class StockMovePayload:
    stock_levels: list[StockLevel] = strawberry.field(description="As they are now, in the order of the changes.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the stock levels.")
class StockSafetyStockSetPayload:
    stock_levels: list[StockLevel] = strawberry.field(description="As they are now, in the order of the changes.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the reservation.")
class StockReservationExtendPayload:
    reservation: Reservation | None = strawberry.field(description="As it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of the reservation.")
class StockReservationReleasePayload:
    reservation: Reservation | None = strawberry.field(description="As it is now; null when refused.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class InventoryMutation:
    """What may be done with stock by hand, for the root of mutations."""

    @mutation(scope="stock:write")
    async def stock_adjust(
        self,
        info: Info,
        input: Annotated[StockAdjustInput, strawberry.argument(description="What to add and take away.")],
        command: CommandArguments,
    ) -> StockAdjustPayload:
        """Add to what is on hand, or take from it: goods received, lost, found. Stock levels that do not exist yet
        begin at nothing. What is promised to orders or reservations cannot be taken."""
        changes = [Delta(**_balance(each), units=each.units) for each in input.changes]
        result = await info.context.run(
            commands.adjust, command, changes=changes, reason=input.reason, reference=input.reference
        )
        return StockAdjustPayload(stock_levels=await _levels(info, result))

    @mutation(scope="stock:write")
    async def stock_set(
        self,
        info: Info,
        input: Annotated[StockSetInput, strawberry.argument(description="What the figures shall be.")],
        command: CommandArguments,
    ) -> StockSetPayload:
        """Set what is on hand to a figure, as after a count, where it is still the figure you compared with. One
        stock level that differs refuses them all with StockCompareFailed."""
        changes = [
            Figure(**_balance(each), units=each.units, compare_units=each.compare_units) for each in input.changes
        ]
        result = await info.context.run(
            commands.set_, command, changes=changes, reason=input.reason, reference=input.reference
        )
        return StockSetPayload(stock_levels=await _levels(info, result))

    @mutation(scope="stock:write")
    async def stock_move(
        self,
        info: Info,
        input: Annotated[StockMoveInput, strawberry.argument(description="What moves from where to where.")],
        command: CommandArguments,
    ) -> StockMovePayload:
        """Move units between available, damaged and quality control. What is on hand stays the same, what can be sold
        changes at once."""
        changes = [
            Shift(**_balance(each), units=each.units, from_state=each.from_state, to_state=each.to_state)
            for each in input.changes
        ]
        result = await info.context.run(
            commands.move, command, changes=changes, reason=input.reason, reference=input.reference
        )
        return StockMovePayload(stock_levels=await _levels(info, result))

    @mutation(scope="stock:write")
    async def stock_safety_stock_set(
        self,
        info: Info,
        input: Annotated[StockSafetyStockSetInput, strawberry.argument(description="What to keep back where.")],
        command: CommandArguments,
    ) -> StockSafetyStockSetPayload:
        """Set how many units of a stock level are kept back from sale in every channel. A channel may keep back more,
        never less. What is promised already stays promised."""
        changes = [SafetyStock(**_balance(each), units=each.units) for each in input.changes]
        result = await info.context.run(commands.safety_stock_set, command, changes=changes)
        return StockSafetyStockSetPayload(stock_levels=await _levels(info, result))

    @mutation(scope="stock:reserve", versioned=True)
    async def stock_reservation_extend(
        self,
        info: Info,
        input: Annotated[StockReservationExtendInput, strawberry.argument(description="Which one, and how long.")],
        command: CommandArguments,
    ) -> StockReservationExtendPayload:
        """Let an open reservation end later, or sooner. One whose time is over is refused: its units may have gone to
        somebody else."""
        await info.context.run(commands.extend, command, token=input.token, seconds=input.seconds)
        reservation = await Reservation.held(info.context, spelled(input.token))
        return StockReservationExtendPayload(reservation=reservation)

    @mutation(scope="stock:reserve", versioned=True)
    async def stock_reservation_release(
        self,
        info: Info,
        input: Annotated[StockReservationReleaseInput, strawberry.argument(description="Which one.")],
        command: CommandArguments,
    ) -> StockReservationReleasePayload:
        """Give back what an open reservation holds. Its units are free for others when this answers."""
        await info.context.run(commands.release, command, token=input.token)
        reservation = await Reservation.held(info.context, spelled(input.token))
        return StockReservationReleasePayload(reservation=reservation)


def _balance(change: Any) -> dict[str, Any]:
    return {"sku": change.sku, "location": change.location, "owner": change.owner}


async def _levels(info: Info, result: dict[str, Any]) -> list[StockLevel]:
    """The balances of a result, in its order."""
    keys = [(UUID(sku), UUID(location), owner) for sku, location, owner in result["balances"]]
    rows = await _by_key(info, keys)
    return [StockLevel.of(rows[key]) for key in keys]


async def _by_key(info: Info, keys: Sequence[queries.StockKey]) -> Any:
    return await queries.levels_by_key(info.context.reads, keys)
