"""The schema of stock and what it hangs on, asked as a transport would ask it."""

from __future__ import annotations

import itertools
from functools import cache
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from app.catalog.api import CatalogMutation, CatalogQuery
from app.gql import errors
from app.gql.connections import Node, NodeQuery
from app.gql.context import Context
from app.gql.execution import Graph
from app.gql.scalars import SCALARS
from app.gql.scopes import Rights
from app.inventory.api import InventoryMutation, InventoryQuery, InventorySubscription
from app.kernel.db import Reads, StatementCount, statements
from app.kernel.principal import Principal
from app.kernel.signing import Signer
from app.network.api import NetworkMutation, NetworkQuery
from app.sourcing.api import SourcingMutation, SourcingQuery, SourcingSubscription
from tests.builders import STAFF, Shop

SIGNER = Signer(b"a secret for tests only")
_keys = itertools.count(1)


@cache
def schema() -> strawberry.Schema:
    """Built once; refuses fields without scopes, as the start does."""
    built = strawberry.Schema(
        query=merge_types("Query", (NodeQuery, NetworkQuery, CatalogQuery, InventoryQuery, SourcingQuery)),
        mutation=merge_types("Mutation", (NetworkMutation, CatalogMutation, InventoryMutation, SourcingMutation)),
        subscription=merge_types("Subscription", (InventorySubscription, SourcingSubscription)),
        types=[*errors.all_types(), *Node.by_type.values()],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    Rights(built._schema)
    return built


@cache
def graph() -> Graph:
    return Graph(schema())


class Desk:
    """A caller of the API.

    statements  SQL statements that the last operation took
    """

    def __init__(self, shop: Shop, principal: Principal = STAFF, **services: Any) -> None:
        self.shop = shop
        self.principal = principal
        self.statements = 0
        self._services = SimpleNamespace(signer=SIGNER, **services)

    def context(self) -> Context:
        return Context(
            principal=self.principal,
            reads=Reads(self.shop.database, self.principal, self.shop.clock),
            runner=self.shop.runner,
            services=self._services,
            request_id="test",
        )

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation; fails when it has errors."""
        result = await self.execute(document, **variables)
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    async def refused(self, document: str, **variables: Any) -> BaseException:
        """What an operation was refused with."""
        result = await self.execute(document, **variables)
        assert result.errors, result.data
        problem = result.errors[0].original_error
        assert problem is not None, result.errors
        return problem

    async def execute(self, document: str, **variables: Any) -> Any:
        context = self.context()
        count = StatementCount()
        token = statements.set(count)
        try:
            return await schema().execute(document, variable_values=variables, context_value=context)
        finally:
            statements.reset(token)
            self.statements = count.value
            await context.close()

    async def do(self, mutation: str, selection: str, input: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        """The payload of a mutation, with a key of its own unless one is given."""
        name = mutation[0].upper() + mutation[1:]
        given = {"key": f"desk-{next(_keys)}", "dryRun": False, "version": None, **arguments}
        versioned = given["version"] is not None
        document = (
            f"mutation M($input: {name}Input!, $key: String!, $dryRun: Boolean{', $version: Int' if versioned else ''})"
            f" {{ {mutation}(input: $input, idempotencyKey: $key, dryRun: $dryRun"
            f"{', expectedVersion: $version' if versioned else ''}) {{ {selection}"
            " userErrors { __typename code message path"
            " ... on InsufficientStock { sku requested available byLocation { location units } nextAvailableAt }"
            " ... on StockCompareFailed { sku location expected actual }"
            " ... on StockBelowCommitted { sku location onHand committed available }"
            " ... on ReservationClosed { status expiresAt } ... on ReservationTooLong { expiresAtMax }"
            " ... on StockTaken { sku location } ... on VersionConflict { actual } } } }"
        )
        if not versioned:
            del given["version"]
        payload: dict[str, Any] = (await self.ask(document, input=input, **given))[mutation]
        return payload
