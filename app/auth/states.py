"""Kinds of API clients, and what each may do when nobody says otherwise."""

from __future__ import annotations

from enum import StrEnum

CATALOG = ("catalog:read", "catalog:write")
NETWORK = ("network:read", "network:write")
CUSTOMERS = ("customers:read", "customers:write")
STOCK = ("stock:read", "stock:write", "stock:reserve")
ORDERS = ("orders:read", "orders:place", "orders:write", "orders:price", "orders:backdate")

SCOPES = frozenset(
    {*CATALOG, *NETWORK, *CUSTOMERS, *STOCK, *ORDERS, "availability:read", "tokens:create", "integrity:read"}
)


class ClientKind(StrEnum):
    """Kinds that hold API keys; customers hold tokens instead."""

    STAFF = "STAFF"
    PARTNER = "PARTNER"
    STOREFRONT = "STOREFRONT"
    SERVICE = "SERVICE"


DEFAULT_SCOPES: dict[ClientKind, frozenset[str]] = {
    ClientKind.STAFF: SCOPES - {"tokens:create", "orders:backdate"},
    ClientKind.PARTNER: frozenset(
        {
            "availability:read",
            "catalog:read",
            "customers:read",
            "customers:write",
            "network:read",
            "orders:place",
            "orders:read",
            "orders:write",
            "stock:read",
            "stock:reserve",
        }
    ),
    # A storefront's key is published with its pages: it sees what can be promised, never what is on hand.
    ClientKind.STOREFRONT: frozenset({"availability:read", "catalog:read", "stock:reserve"}),
    ClientKind.SERVICE: SCOPES - {"orders:backdate", "integrity:read"},
}

# What a storefront may be given at all, since anybody can read its key.
PUBLISHABLE_SCOPES = DEFAULT_SCOPES[ClientKind.STOREFRONT]

# Customers only read, by the row rules: commands that name a customer do not ask whether it is the caller.
CUSTOMER_SCOPES = frozenset({"availability:read", "catalog:read", "customers:read", "orders:read"})
