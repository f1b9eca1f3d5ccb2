"""How clients see themselves, and how a service vouches for a customer of the portal."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated

import strawberry

from app.auth import commands
from app.auth.tokens import CustomerTokens
from app.gql.errors import UserError
from app.gql.mutations import mutation
from app.gql.nodes import Info, global_id, uuid_of
from app.gql.scopes import ANYONE, needs, scoped
from app.gql.where import described
from app.kernel.principal import Kind
from app.kernel.work import CommandArguments

LIFETIME_DEFAULT = 600


class CallerKind(Enum):
    STAFF = Kind.STAFF.value
    PARTNER = Kind.PARTNER.value
    STOREFRONT = Kind.STOREFRONT.value
    SERVICE = Kind.SERVICE.value
    CUSTOMER = Kind.CUSTOMER.value
    ANONYMOUS = Kind.ANONYMOUS.value


described(
    CallerKind,
    "What sort of caller a credential stands for.",
    STAFF="Somebody who runs the shop.",
    PARTNER="Another company's system, such as a warehouse or a marketplace.",
    STOREFRONT="A shop's pages: a publishable key, bound to one channel.",
    SERVICE="A system of your own, which may also vouch for customers.",
    CUSTOMER="A customer of the portal, by a short-lived token: sees its own orders only.",
    ANONYMOUS="Nobody known: there was no credential.",
)


@scoped(ANYONE)
@strawberry.type(description="You, as this request's credential makes you known.")
class Viewer:
    kind: CallerKind = strawberry.field(description="ANONYMOUS without a credential.")
    scopes: list[str] = strawberry.field(description="What you may do, in alphabetical order.")
    customer_id: strawberry.ID | None = strawberry.field(description="For a customer's token: whose orders you see.")
    channel_id: strawberry.ID | None = strawberry.field(description="For a key bound to a channel: which one.")
    expires_at: datetime | None = strawberry.field(description="When the credential ends, and your streams with it.")


@strawberry.type
class AuthQuery:
    """`viewer`, for the root of queries."""

    @strawberry.field(metadata=needs(ANYONE), description="Who you are to this API. A good first query with a new key.")
    def viewer(self, info: Info) -> Viewer:
        principal = info.context.principal
        return Viewer(
            kind=CallerKind(principal.kind.value),
            scopes=sorted(principal.scopes),
            customer_id=global_id("Customer", principal.customer_id) if principal.customer_id else None,
            channel_id=global_id("Channel", principal.channel_id) if principal.channel_id else None,
            expires_at=principal.expires_at,
        )


@strawberry.input(description="For whom a token is wanted, and for how long.")
class CustomerTokenCreateInput:
    customer: strawberry.ID = strawberry.field(
        description="The `id` of the customer who has signed in with you. You vouch for that."
    )
    lifetime_seconds: int = strawberry.field(
        default=LIFETIME_DEFAULT, description="60 to 86,400; 600 if not given. Ask again rather than for long."
    )


@scoped(ANYONE)
@strawberry.type(description="The token, or why there is none.")
class CustomerTokenCreatePayload:
    token: str | None = strawberry.field(
        description="Give it to the customer's browser, which sends it as `Authorization: Bearer …`."
        " Null for a dry run."
    )
    expires_at: datetime | None = strawberry.field(description="When it ends.")
    user_errors: list[UserError] = strawberry.field(description="Why there is no token; empty when there is one.")


@strawberry.type
class AuthMutation:
    """`customerTokenCreate`, for the root of mutations."""

    @mutation(scope="tokens:create")
    async def customer_token_create(
        self,
        info: Info,
        input: Annotated[CustomerTokenCreateInput, strawberry.argument(description="For whom, and how long.")],
        command: CommandArguments,
    ) -> CustomerTokenCreatePayload:
        """A short-lived token with which one customer sees their own orders, in queries and subscriptions, and nothing
        of anybody else. It ends early when your own API client is revoked."""
        services = info.context.services
        customer_id = uuid_of(input.customer, "Customer", ["input", "customer"])
        vouch = commands.vouching(services.customer_exists)
        claims = await info.context.run(
            vouch, command, customer_id=customer_id, lifetime_seconds=input.lifetime_seconds
        )
        tokens: CustomerTokens = services.customer_tokens
        return CustomerTokenCreatePayload(
            token=None if command.dry_run else tokens.sign(claims),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            user_errors=[],
        )
