"""The one schema: every area's part of it, joined."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from app.auth.api import AuthMutation, AuthQuery
from app.catalog.api import CatalogMutation, CatalogQuery
from app.customers.api import CustomersMutation, CustomersQuery
from app.engine import inputs
from app.gql import errors
from app.gql.nodes import Node, NodeQuery
from app.gql.scalars import SCALARS
from app.inventory.api import InventoryMutation, InventoryQuery, InventorySubscription
from app.network.api import NetworkMutation, NetworkQuery
from app.orders.api import OrdersMutation, OrdersQuery, OrdersSubscription
from app.sourcing.api import SourcingMutation, SourcingQuery, SourcingSubscription


@strawberry.type(description="What can be asked.")
class Query(
    NodeQuery, AuthQuery, OrdersQuery, SourcingQuery, InventoryQuery, CatalogQuery, CustomersQuery, NetworkQuery
):
    pass


@strawberry.type(
    description="What can be done. Each takes an `idempotencyKey`, so that it is always safe to retry, and answers with"
    " `userErrors` where it was refused; then nothing has changed."
)
class Mutation(
    OrdersMutation,
    SourcingMutation,
    InventoryMutation,
    CatalogMutation,
    CustomersMutation,
    NetworkMutation,
    AuthMutation,
):
    pass


@strawberry.type(
    description="What can be watched. Every item has a `cursor`: come back with the last one as `after`, and you have"
    " missed nothing."
)
class Subscription(OrdersSubscription, InventorySubscription, SourcingSubscription):
    pass


def build() -> strawberry.Schema:
    """The schema, complete; built once a process."""
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[*Node.by_type.values(), *errors.all_types()],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    inputs.prepare(schema)
    return schema


def export() -> str:
    """The schema as text, as graphql/schema.graphql holds it."""
    return build().as_str() + "\n"
