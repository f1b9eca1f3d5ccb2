"""The kinds of customers, addresses and contact points."""

from enum import StrEnum


class CustomerKind(StrEnum):
    PERSON = "PERSON"
    COMPANY = "COMPANY"


class AddressKind(StrEnum):
    SHIPPING = "SHIPPING"
    BILLING = "BILLING"


class ContactKind(StrEnum):
    EMAIL = "EMAIL"
    PHONE = "PHONE"
