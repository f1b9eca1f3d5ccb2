"""Customers kept in step with the system that owns them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from app.customers import commands
from app.customers.api.types import Customer
from app.customers.states import AddressKind, ContactKind, CustomerKind
from app.gql.errors import UserError
from app.gql.mutations import mutation
from app.gql.nodes import Info
from app.gql.scalars import CountryCode
from app.gql.scopes import ANYONE, scoped
from app.gql.upserts import BATCH, EXPECTED_VERSION, given, optional, upserted, user_errors
from app.kernel.upserts import Outcome
from app.kernel.work import CommandArguments


@strawberry.input(description="A postal address of a customer.")
class CustomerAddressInput:
    kind: AddressKind = strawberry.field(description="What it is for.")
    country: CountryCode = strawberry.field(description="The country.")
    is_default: bool = strawberry.field(
        default=False, description="Use it when an order names none. Without one, the first of a kind is the default."
    )
    name: str | None = strawberry.field(default=None, description="Who receives there, if not the customer.")
    company: str | None = strawberry.field(default=None, description="The company there.")
    lines: list[str] = strawberry.field(
        default_factory=list, description="Street and house, one entry a line, up to 5."
    )
    city: str | None = strawberry.field(default=None, description="City or town.")
    region: str | None = strawberry.field(default=None, description="State, county or province.")
    postcode: str | None = strawberry.field(default=None, description="Postal code, as written in the country.")
    phone: str | None = strawberry.field(
        default=None, description="For the carrier to call; national numbers are read as of the address's country."
    )
    latitude: float | None = strawberry.field(default=None, description="Degrees north; goes with `longitude`.")
    longitude: float | None = strawberry.field(default=None, description="Degrees east; goes with `latitude`.")


@strawberry.input(description="How to reach a customer.")
class CustomerContactInput:
    kind: ContactKind = strawberry.field(description="E-mail or telephone.")
    value: str = strawberry.field(
        description="The e-mail address, or the telephone number with its country code: `+44 20 7946 0958`."
    )
    is_default: bool = strawberry.field(
        default=False, description="Use it first. Without one, the first of a kind is the default."
    )


@strawberry.input(description="What another system calls the customer.")
class CustomerReferenceInput:
    system: str = strawberry.field(description="The other system, such as `crm`: 1 to 64 printable characters.")
    external_id: str = strawberry.field(description="The customer's id there, which no other customer has.")


@strawberry.input(description="A customer as it shall be. What you leave out stays as it is; null clears.")
class CustomerUpsertInput:
    code: str = strawberry.field(
        description="Your code of the customer: 1 to 64 printable characters, case-sensitive. It decides whether one is"
        " created or changed."
    )
    kind: CustomerKind | None = optional("Person or company; PERSON where it is new.")
    name: str | None = optional("The person's name, or whom to ask for at the company. Needed where it is new.")
    company_name: str | None = optional("The company's name.")
    tax_number: str | None = optional("The number it is taxed under, such as a VAT number.")
    preferred_payment: str | None = optional("How it prefers to pay, in your own words.")
    language: str | None = optional("The language to write in, by BCP 47: `de-CH`.")
    active: bool | None = optional("Whether it may order; true where it is new.")
    addresses: list[CustomerAddressInput] | None = optional("Its addresses, up to 50. Replaces the list.")
    contacts: list[CustomerContactInput] | None = optional("How to reach it, up to 50 ways. Replaces the list.")
    references: list[CustomerReferenceInput] | None = optional(
        "What other systems call it, up to 50 names. Replaces the list."
    )


@strawberry.input(description="A customer of a batch.")
class CustomersUpsertItem:
    customer: CustomerUpsertInput = strawberry.field(description="The customer as it shall be.")
    expected_version: int | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@scoped(ANYONE)
@strawberry.type(description="What became of the customer.")
class CustomerUpsertPayload:
    customer: Customer | None = strawberry.field(description="The customer as it is now.")
    outcome: Outcome | None = strawberry.field(description="What was done.")
    user_errors: list[UserError] = user_errors()


@scoped(ANYONE)
@strawberry.type(description="What became of one customer of a batch.")
class CustomerUpsertResult:
    customer: Customer | None = strawberry.field(description="The customer as it is now, where you may see it.")
    outcome: Outcome = strawberry.field(description="What was done.")


@scoped(ANYONE)
@strawberry.type(description="What became of the customers of a batch.")
class CustomersUpsertPayload:
    results: list[CustomerUpsertResult] = strawberry.field(description="One for each item, in the order of the input.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class CustomersMutation:
    """Upserts of customers, for the root of mutations."""

    @mutation(scope="customers:write", versioned=True)
    async def customer_upsert(
        self,
        info: Info,
        input: Annotated[CustomerUpsertInput, strawberry.argument(description="The customer as it shall be.")],
        command: CommandArguments,
    ) -> CustomerUpsertPayload:
        """Create a customer, or change what you give of it."""
        result = await info.context.run(commands.upsert_customer, command, customer=given(input))
        customer = await Customer.load(info.context, UUID(result["customer"]["id"]))
        return CustomerUpsertPayload(customer=customer, outcome=Outcome(result["customer"]["outcome"]))

    @mutation(scope="customers:write")
    async def customers_upsert(
        self,
        info: Info,
        input: Annotated[list[CustomersUpsertItem], strawberry.argument(description=BATCH)],
        command: CommandArguments,
    ) -> CustomersUpsertPayload:
        """Create or change up to 250 customers, all or none. `path` of an error leads to the item at fault."""
        customers = [{**given(item.customer), "expected_version": item.expected_version} for item in input]
        result = await info.context.run(commands.upsert_customers, command, customers=customers)
        return CustomersUpsertPayload(results=await upserted(info, result["customers"], _result))


async def _result(info: Info, uuid: UUID, outcome: Outcome) -> CustomerUpsertResult:
    return CustomerUpsertResult(customer=await Customer.load(info.context, uuid), outcome=outcome)
