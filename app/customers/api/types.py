"""Customers as types."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import Row

from app.customers import queries
from app.customers.states import AddressKind, ContactKind, CustomerKind
from app.gql.context import Context
from app.gql.direct import Id, Reading, Reference, Related
from app.gql.nodes import Info, Node, node_type
from app.gql.scalars import CountryCode
from app.gql.scopes import scoped
from app.gql.where import described

described(
    CustomerKind,
    "Who a customer is.",
    PERSON="A private person.",
    COMPANY="A company, or a person acting for one.",
)
described(
    AddressKind,
    "What an address is for.",
    SHIPPING="Goods are sent there.",
    BILLING="Invoices are sent there.",
)
described(
    ContactKind,
    "How a contact point is used.",
    EMAIL="An e-mail address.",
    PHONE="A telephone number.",
)


@scoped("customers:read")
@strawberry.type(description="A postal address of a customer.")
class CustomerAddress:
    kind: AddressKind = strawberry.field(description="What it is for.")
    is_default: bool = strawberry.field(description="Whether it is the one to use when an order names none.")
    name: str | None = strawberry.field(description="Who receives there, where it is not the customer.")
    company: str | None = strawberry.field(description="The company there.")
    lines: list[str] = strawberry.field(description="Street and house, one entry a line.")
    city: str | None = strawberry.field(description="City or town.")
    region: str | None = strawberry.field(description="State, county or province.")
    postcode: str | None = strawberry.field(description="Postal code, as it is written in the country.")
    country: CountryCode = strawberry.field(description="The country.")
    phone: str | None = strawberry.field(description="For the carrier to call, by E.164.")
    latitude: float | None = strawberry.field(description="Degrees north; null where not known.")
    longitude: float | None = strawberry.field(description="Degrees east; null where not known.")


@scoped("customers:read")
@strawberry.type(description="How to reach a customer.")
class CustomerContact:
    kind: ContactKind = strawberry.field(description="E-mail or telephone.")
    value: str = strawberry.field(description="The e-mail address, or the telephone number by E.164.")
    is_default: bool = strawberry.field(description="Whether it is the one of its kind to use first.")


@scoped("customers:read")
@strawberry.type(description="What another system calls the customer.")
class CustomerReference:
    system: str = strawberry.field(description="The other system, such as `crm`.")
    external_id: str = strawberry.field(description="The customer's id there.")


@node_type
@scoped("customers:read")
@strawberry.type(description="A person or a company that orders.")
class Customer(Node):
    uuid: strawberry.Private[UUID]
    code: str = strawberry.field(description="Your code of the customer, unique and case-sensitive.")
    kind: CustomerKind = strawberry.field(description="Person or company.")
    name: str = strawberry.field(description="The person's name, or whom to ask for at the company.")
    company_name: str | None = strawberry.field(description="The company's name.")
    tax_number: str | None = strawberry.field(description="The number it is taxed under, such as a VAT number.")
    preferred_payment: str | None = strawberry.field(description="How it prefers to pay, in your own words.")
    language: str | None = strawberry.field(description="The language to write in, by BCP 47: `de-CH`.")
    active: bool = strawberry.field(description="Whether it may order.")
    version: int = strawberry.field(description="Rises by one with every change, addresses and contacts included.")
    created_at: datetime = strawberry.field(description="When Orderwire first heard of it.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="Its addresses, up to 50, the default of each kind first.")
    async def addresses(self, info: Info) -> list[CustomerAddress]:
        rows = await info.context.load(queries.addresses_of_customers, self.uuid) or []
        return [_ADDRESS.of(row) for row in rows]

    @strawberry.field(description="How to reach it, up to 50 ways, the default of each kind first.")
    async def contacts(self, info: Info) -> list[CustomerContact]:
        rows = await info.context.load(queries.contacts_of_customers, self.uuid) or []
        return [_CONTACT.of(row) for row in rows]

    @strawberry.field(description="What other systems call it, up to 50 names.")
    async def references(self, info: Info) -> list[CustomerReference]:
        rows = await info.context.load(queries.references_of_customers, self.uuid) or []
        return [_REFERENCE.of(row) for row in rows]

    @classmethod
    def of(cls, row: Row[Any]) -> Customer:
        return CUSTOMER.of(row)

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Customer | None:
        row = await context.load(queries.customers_by_id, uuid)
        return cls.of(row) if row is not None else None


_ADDRESS = Reading(CustomerAddress)
_CONTACT = Reading(CustomerContact)
_REFERENCE = Reading(CustomerReference)
_ON = {"customer_id": "id"}
CUSTOMER = Reading(Customer, id=Id("Customer", "id"), uuid="id")
CUSTOMER.link("addresses", Related(_ADDRESS, queries.ADDRESSES, _ON, order_by=queries.ADDRESSES_SORTED))
CUSTOMER.link("contacts", Related(_CONTACT, queries.CONTACTS, _ON, order_by=queries.CONTACTS_SORTED))
CUSTOMER.link("references", Related(_REFERENCE, queries.REFERENCES, _ON, order_by=queries.REFERENCES_SORTED))


def customer_of(column: str) -> Reference:
    """The customer that this column of a visible row refers to; null where the caller does not see it."""
    return Reference(CUSTOMER, queries.ALL, column, queries.customer_visible)
