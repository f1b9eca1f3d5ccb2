"""What is true now of customers. Every read goes through the row rule below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Text, bindparam, exists, false, select, true, tuple_

from app.customers.models import Customer, CustomerAddress, CustomerContact, CustomerReference
from app.kernel import search
from app.kernel.db import Reads
from app.kernel.filters import same_as_any
from app.kernel.pagination import Listing, OrderTerm
from app.kernel.principal import Kind, Principal


def customer_visible(principal: Principal) -> ColumnElement[bool]:
    """A customer sees itself. Keys bound to a channel and shops' visitors see nobody; other keys see everybody."""
    if principal.customer_id is not None:
        return Customer.id == principal.customer_id
    if principal.channel_id is not None or principal.kind in (Kind.CUSTOMER, Kind.STOREFRONT, Kind.ANONYMOUS):
        return false()
    return true()


ALL: Select[*tuple[Any, ...]] = select(
    Customer.id,
    Customer.code,
    Customer.kind,
    Customer.name,
    Customer.company_name,
    Customer.tax_number,
    Customer.preferred_payment,
    Customer.language,
    Customer.active,
    Customer.version,
    Customer.created_at,
    Customer.updated_at,
)

CUSTOMERS = Listing(
    name="customers",
    select=ALL,
    key=Customer.id.expression,
    columns={
        "id": Customer.id.expression,
        "code": Customer.code.expression,
        "kind": Customer.kind.expression,
        "name": Customer.name.expression,
        "company_name": Customer.company_name.expression,
        "language": Customer.language.expression,
        "active": Customer.active.expression,
        "created_at": Customer.created_at.expression,
        "updated_at": Customer.updated_at.expression,
    },
    orders={
        "CODE": [OrderTerm(Customer.code.expression)],
        "NAME": [OrderTerm(Customer.name_key.expression)],
        "CREATED_AT": [OrderTerm(Customer.created_at.expression)],
        "UPDATED_AT": [OrderTerm(Customer.updated_at.expression)],
    },
    visible=customer_visible,
    search=lambda text: search.found(Customer.search.expression, text),
)


async def customers_by_id(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    return {
        row.id: row
        for row in await reads.all(
            ALL.where(same_as_any(Customer.id.expression, ids)).where(customer_visible(reads.principal))
        )
    }


async def customer_exists(reads: Reads, customer_id: UUID) -> bool:
    """Whether there is an active customer of this id that the caller may see."""
    row = (await customers_by_id(reads, [customer_id])).get(customer_id)
    return row is not None and bool(row.active)


async def customers_by_code(reads: Reads, codes: Sequence[str]) -> Mapping[str, Row[Any]]:
    return {
        row.code: row
        for row in await reads.all(
            ALL.where(same_as_any(Customer.code.expression, codes)).where(customer_visible(reads.principal))
        )
    }


async def customers_by_reference(
    reads: Reads, references: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], Row[Any]]:
    """Customers by what another system calls them: (system, external id)."""
    rows = await reads.all(
        ALL.add_columns(CustomerReference.system, CustomerReference.external_id)
        .join(CustomerReference, CustomerReference.customer_id == Customer.id)
        .where(tuple_(CustomerReference.system, CustomerReference.external_id).in_(references))
        .where(customer_visible(reads.principal))
    )
    return {(row.system, row.external_id): row for row in rows}


def has_reference(_: Principal) -> ColumnElement[bool]:
    """The customer that another system calls so, both by the names of parameters."""
    known = (
        CustomerReference.customer_id == Customer.id,
        CustomerReference.system == bindparam("system", type_=Text),
        CustomerReference.external_id == bindparam("external_id", type_=Text),
    )
    return exists().where(*known)


ADDRESSES: Select[Any] = select(*CustomerAddress.__table__.c)
CONTACTS: Select[Any] = select(*CustomerContact.__table__.c)
REFERENCES: Select[Any] = select(*CustomerReference.__table__.c)
# How those of one customer are shown: the default of each kind first.
ADDRESSES_SORTED = (
    CustomerAddress.kind.desc(),
    CustomerAddress.is_default.desc(),
    CustomerAddress.id.expression,
)
CONTACTS_SORTED = (CustomerContact.kind.expression, CustomerContact.is_default.desc(), CustomerContact.value.expression)
REFERENCES_SORTED = (CustomerReference.system.expression, CustomerReference.external_id.expression)


async def addresses_of_customers(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    return await _of_customers(
        reads,
        ids,
        ADDRESSES.join(Customer, Customer.id == CustomerAddress.customer_id)
        .where(same_as_any(CustomerAddress.customer_id.expression, ids))
        .order_by(*ADDRESSES_SORTED),
    )


async def contacts_of_customers(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    return await _of_customers(
        reads,
        ids,
        CONTACTS.join(Customer, Customer.id == CustomerContact.customer_id)
        .where(same_as_any(CustomerContact.customer_id.expression, ids))
        .order_by(*CONTACTS_SORTED),
    )


async def references_of_customers(reads: Reads, ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    return await _of_customers(
        reads,
        ids,
        REFERENCES.join(Customer, Customer.id == CustomerReference.customer_id)
        .where(same_as_any(CustomerReference.customer_id.expression, ids))
        .order_by(*REFERENCES_SORTED),
    )


async def _of_customers(reads: Reads, ids: Sequence[UUID], statement: Select[Any]) -> dict[UUID, list[Row[Any]]]:
    found: dict[UUID, list[Row[Any]]] = {each: [] for each in ids}
    for row in await reads.all(statement.where(customer_visible(reads.principal))):
        found[row.customer_id].append(row)
    return found
