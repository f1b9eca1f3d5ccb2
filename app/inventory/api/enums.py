"""The states of stock as enums of the schema."""

from app.gql.where import described
from app.inventory.states import AdjustmentReason, AllocationStatus, MovementType, ReservationStatus, StockState

__all__ = ["AdjustmentReason", "AllocationStatus", "MovementType", "ReservationStatus", "StockState"]

described(
    MovementType,
    "What an entry of the stock ledger stands for.",
    name="StockMovementType",
    ADJUST="Units were added or taken away by hand.",
    SET="Units on hand were set to a figure.",
    MOVE="Units went from one state to another.",
    RESERVE="Units were held for a checkout.",
    RELEASE="A reservation was given back.",
    EXPIRE="A reservation's time was over.",
    ALLOCATE="Units were pinned to an order, from stock or from its reservation.",
    DEALLOCATE="An order gave units back.",
)
described(
    AdjustmentReason,
    "Why stock was changed by hand.",
    name="StockAdjustmentReason",
    RECEIVED="Goods came in.",
    COUNTED="A count found another figure.",
    DAMAGED="Units were damaged.",
    LOST="Units cannot be found.",
    FOUND="Units turned up.",
    WRITTEN_OFF="Units were thrown away.",
    RETURNED="Units came back from a customer.",
    OPENING_BALANCE="The first figure, when Orderwire took over.",
    CORRECTION="An earlier change was wrong.",
    OTHER="None of these: say more in the reference.",
)
described(
    ReservationStatus,
    "What became of a reservation.",
    OPEN="It holds its units until `expiresAt`.",
    CONSUMED="An order used it.",
    RELEASED="It was given back.",
    EXPIRED="Its time was over.",
)
described(
    AllocationStatus,
    "What became of units pinned to an order.",
    OPEN="They wait to be shipped.",
    CONSUMED="They have been shipped.",
    RELEASED="They were given back.",
)
described(
    StockState,
    "Where a unit on hand stands. Orders and reservations move units by themselves; these you may move by hand.",
    AVAILABLE="Promised to nobody and fit for sale.",
    DAMAGED="Unfit for sale.",
    QUALITY_CONTROL="Waits to be inspected.",
)
