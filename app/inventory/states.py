"""The states that stock can be in, and what may happen to a reservation."""

from enum import StrEnum


class StockState(StrEnum):
    """Where a unit on hand stands; ALLOCATED and RESERVED are moved by orders and reservations only."""

    AVAILABLE = "AVAILABLE"
    DAMAGED = "DAMAGED"
    QUALITY_CONTROL = "QUALITY_CONTROL"


class MovementType(StrEnum):
    ADJUST = "ADJUST"
    SET = "SET"
    MOVE = "MOVE"
    RESERVE = "RESERVE"
    RELEASE = "RELEASE"
    EXPIRE = "EXPIRE"
    ALLOCATE = "ALLOCATE"
    DEALLOCATE = "DEALLOCATE"


class AdjustmentReason(StrEnum):
    """Why somebody changed a figure by hand."""

    RECEIVED = "RECEIVED"
    COUNTED = "COUNTED"
    DAMAGED = "DAMAGED"
    LOST = "LOST"
    FOUND = "FOUND"
    WRITTEN_OFF = "WRITTEN_OFF"
    RETURNED = "RETURNED"
    OPENING_BALANCE = "OPENING_BALANCE"
    CORRECTION = "CORRECTION"
    OTHER = "OTHER"


class ReservationStatus(StrEnum):
    OPEN = "OPEN"
    CONSUMED = "CONSUMED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class AllocationStatus(StrEnum):
    OPEN = "OPEN"
    CONSUMED = "CONSUMED"
    RELEASED = "RELEASED"


RESERVATION_EDGES = {
    "extend": (frozenset({ReservationStatus.OPEN}), ReservationStatus.OPEN),
    "release": (frozenset({ReservationStatus.OPEN}), ReservationStatus.RELEASED),
    "expire": (frozenset({ReservationStatus.OPEN}), ReservationStatus.EXPIRED),
    "consume": (frozenset({ReservationStatus.OPEN}), ReservationStatus.CONSUMED),
}
