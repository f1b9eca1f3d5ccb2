"""The kinds of channels and locations."""

from enum import StrEnum


class ChannelKind(StrEnum):
    WEBSHOP = "WEBSHOP"
    MARKETPLACE = "MARKETPLACE"
    STORE = "STORE"
    CALL_CENTRE = "CALL_CENTRE"
    B2B = "B2B"


class PaymentPolicy(StrEnum):
    """How far a payment must be before an order of the channel may be confirmed."""

    NONE = "NONE"
    AUTHORIZED = "AUTHORIZED"
    PAID = "PAID"


class LocationType(StrEnum):
    WAREHOUSE = "WAREHOUSE"
    STORE = "STORE"
    THIRD_PARTY_LOGISTICS = "THIRD_PARTY_LOGISTICS"
    SUPPLIER_DROPSHIP = "SUPPLIER_DROPSHIP"
    CROSS_DOCK = "CROSS_DOCK"
    PICKUP_POINT = "PICKUP_POINT"
    RETURN_CENTRE = "RETURN_CENTRE"
    VIRTUAL = "VIRTUAL"
