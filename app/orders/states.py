"""Which states an order has, and which action leads where.

Only the lifecycle is stored by moves; fulfilment, payment and return status follow from line quantities, and a hold is
a row, never a state.
"""

from enum import StrEnum


class Lifecycle(StrEnum):
    """Where the order as a contract stands."""

    PLACED = "PLACED"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class FulfillmentStatus(StrEnum):
    """How far the units have come, taken together."""

    UNALLOCATED = "UNALLOCATED"
    BACKORDERED = "BACKORDERED"
    SCHEDULED = "SCHEDULED"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    PARTIALLY_DELIVERED = "PARTIALLY_DELIVERED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


class PaymentStatus(StrEnum):
    """How the money stands. NOT_REQUIRED while the channel's payment policy asks for none."""

    NOT_REQUIRED = "NOT_REQUIRED"
    PENDING = "PENDING"


class ReturnStatus(StrEnum):
    NONE = "NONE"
    REQUESTED = "REQUESTED"
    PARTIALLY_RETURNED = "PARTIALLY_RETURNED"
    RETURNED = "RETURNED"


class LineKind(StrEnum):
    """What a line stands for. A BUNDLE line carries the price, its COMPONENT lines carry the stock."""

    GOODS = "GOODS"
    SERVICE = "SERVICE"
    BUNDLE = "BUNDLE"
    COMPONENT = "COMPONENT"


class HoldReason(StrEnum):
    """Why an order must not go on."""

    PAYMENT = "PAYMENT"
    FRAUD = "FRAUD"
    ADDRESS = "ADDRESS"
    STOCK = "STOCK"
    MANUAL = "MANUAL"
    EDIT = "EDIT"


class CancelReason(StrEnum):
    """Why units were cancelled."""

    CUSTOMER = "CUSTOMER"
    FRAUD = "FRAUD"
    STOCK = "STOCK"
    PAYMENT = "PAYMENT"
    ERROR = "ERROR"
    OTHER = "OTHER"


class OrderAction(StrEnum):
    """What may be done with an order; the mutation of the same name does it."""

    CONFIRM = "CONFIRM"
    HOLD = "HOLD"
    HOLD_RELEASE = "HOLD_RELEASE"
    CANCEL = "CANCEL"


OPEN = frozenset({Lifecycle.PLACED, Lifecycle.CONFIRMED})

EDGES = {
    OrderAction.CONFIRM: (frozenset({Lifecycle.PLACED}), Lifecycle.CONFIRMED),
    OrderAction.CANCEL: (OPEN, Lifecycle.CANCELLED),
}
