"""Customers looked up and listed."""

from __future__ import annotations

import enum
from typing import Annotated

import strawberry

from app.customers import queries
from app.customers.api.types import CUSTOMER, Customer
from app.customers.states import CustomerKind
from app.gql.connections import (
    After,
    Before,
    Connection,
    First,
    Info,
    Last,
    OrderBy,
    PageArguments,
    Search,
    connect,
    one_of,
    uuid_of,
)
from app.gql.direct import One, Paged, Way, answers_directly, by
from app.gql.scopes import needs
from app.gql.where import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    condition,
    either,
    every,
    neither,
)
from app.kernel.texts import kept, spelled


@strawberry.input(description="What another system calls a customer.")
class CustomerReferenceKey:
    system: str = strawberry.field(description="The other system, such as `crm`.")
    external_id: str = strawberry.field(description="The customer's id there.")


@strawberry.input(description="Which customers to list; all that is given must hold.")
class CustomerWhere:
    id: IdFilter | None = condition("By id.", node="Customer")
    code: StringFilter | None = condition("By code.")
    kind: EnumFilter[CustomerKind] | None = condition("By person or company.")
    name: StringFilter | None = condition("By name.")
    company_name: StringFilter | None = condition("By the company's name.")
    language: StringFilter | None = condition("By language.")
    active: BooleanFilter | None = condition("By whether it may order.")
    created_at: DateTimeFilter | None = condition("By when Orderwire first heard of it.")
    updated_at: DateTimeFilter | None = condition("By when it last changed.")
    all_of: list[CustomerWhere] | None = every()
    any_of: list[CustomerWhere] | None = either()
    none_of: CustomerWhere | None = neither()


@strawberry.enum(description="What customers can be sorted by.")
class CustomerOrder(enum.Enum):
    CODE = strawberry.enum_value("CODE", description="Code, by code point.")
    NAME = strawberry.enum_value("NAME", description="Name, whatever its case.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When Orderwire first heard of it.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it last changed.")


@strawberry.type
class CustomersQuery:
    """Customers, for the root of queries."""

    @strawberry.field(
        metadata=needs("customers:read"),
        description="One customer, by id, by code, or by what another system calls it; null where there is none that"
        " you may see. A customer of the portal sees itself only.",
    )
    async def customer(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Its code.")] = None,
        reference: Annotated[
            CustomerReferenceKey | None, strawberry.argument(description="What another system calls it.")
        ] = None,
    ) -> Customer | None:
        match one_of(id=id, code=code, reference=reference):
            case "id":
                return await Customer.load(info.context, uuid_of(id or "", "Customer", ["id"]))
            case "code":
                row = await info.context.load(queries.customers_by_code, spelled(code or ""))
            case _:
                assert reference is not None
                key = (spelled(reference.system), kept(reference.external_id))
                row = await info.context.load(queries.customers_by_reference, key)
        return Customer.of(row) if row is not None else None

    @strawberry.field(
        metadata=needs("customers:read"),
        description="Customers, by code unless you say otherwise. `search` looks at codes, names, tax numbers, contact"
        " points, postcodes and references.",
    )
    async def customers(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        where: Annotated[CustomerWhere | None, strawberry.argument(description="Only customers like this.")] = None,
        search: Search = None,
        order_by: Annotated[
            OrderBy[CustomerOrder] | None, strawberry.argument(description="How to sort; by code if not given.")
        ] = None,
    ) -> Connection[Customer]:
        page = PageArguments(first, after, last, before)
        return await connect(info, queries.CUSTOMERS, Customer.of, page, where=where, search=search, order_by=order_by)


answers_directly(
    "customer",
    One(
        CUSTOMER,
        queries.ALL,
        queries.customer_visible,
        {
            "id": by(queries.CUSTOMERS.columns["id"], lambda given: uuid_of(given, "Customer", ["id"])),
            "code": by(queries.CUSTOMERS.columns["code"], spelled),
            "reference": Way(
                queries.has_reference,
                lambda given: {"system": spelled(given.system), "external_id": kept(given.external_id)},
            ),
        },
    ),
)
answers_directly("customers", Paged(CUSTOMER, queries.CUSTOMERS))
