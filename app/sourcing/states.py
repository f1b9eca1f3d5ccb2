"""What can be said of a SKU or a line that somebody would like to buy."""

from enum import StrEnum


class AvailabilityStatus(StrEnum):
    AVAILABLE = "AVAILABLE"
    BACKORDER = "BACKORDER"
    PREORDER = "PREORDER"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    UNLIMITED = "UNLIMITED"
    UNKNOWN = "UNKNOWN"


class CartLineStatus(StrEnum):
    PROMISED = "PROMISED"
    BACKORDERED = "BACKORDERED"
    SHORT = "SHORT"
    UNKNOWN = "UNKNOWN"
