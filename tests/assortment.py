"""A database with the catalog's areas in it, and the callers who use them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import text
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from app.catalog import commands as catalog
from app.catalog.api import CatalogMutation, CatalogQuery
from app.customers import commands as customers
from app.customers.api import CustomersMutation, CustomersQuery
from app.gql import errors
from app.gql.connections import Node, NodeQuery
from app.gql.context import Context
from app.gql.scalars import SCALARS
from app.kernel.clock import FixedClock
from app.kernel.db import Database, Reads
from app.kernel.principal import Kind, Principal
from app.kernel.signing import Signer
from app.kernel.work import CommandArguments, CommandFunction, Result, Runner
from app.network import commands as network
from app.network.api import NetworkMutation, NetworkQuery

SCOPES = frozenset(
    f"{area}:{right}" for area in ("catalog", "network", "customers", "stock") for right in ("read", "write")
)
STAFF = Principal(kind=Kind.STAFF, id="client:staff", scopes=SCOPES)


def storefront(channel_id: UUID | None) -> Principal:
    return Principal(kind=Kind.STOREFRONT, id="client:storefront", scopes=SCOPES, channel_id=channel_id)


def partner(channel_id: UUID) -> Principal:
    return Principal(kind=Kind.PARTNER, id="client:partner", scopes=SCOPES, channel_id=channel_id)


def customer(customer_id: UUID) -> Principal:
    return Principal(kind=Kind.CUSTOMER, id=f"customer:{customer_id}", scopes=SCOPES, customer_id=customer_id)


class Assortment:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
        self.runner = Runner(database, self.clock)
        self.signer = Signer(b"a secret for tests only")
        self._keys = itertools.count(1)

    def reads(self, by: Principal = STAFF) -> Reads:
        return Reads(self.database, by, self.clock)

    async def run(
        self, command: CommandFunction, *, by: Principal = STAFF, expected: int | None = None, **given: Any
    ) -> Result:
        arguments = CommandArguments(key=f"test-{next(self._keys)}", expected_version=expected)
        return await self.runner.run(by, command, arguments, **given)

    async def channel(self, code: str = "WEB", **given: Any) -> dict[str, Any]:
        fields = {"name": f"Channel {code}", "kind": "WEBSHOP", "currency": "EUR"} | given
        return await self._one("channel", network.upsert_channel, {"code": code} | fields)

    async def location(self, code: str = "LEEDS", **given: Any) -> dict[str, Any]:
        fields = {"name": f"Location {code}", "type": "WAREHOUSE", "country": "GB"} | given
        return await self._one("location", network.upsert_location, {"code": code} | fields)

    async def sku(self, code: str = "MUG", **given: Any) -> dict[str, Any]:
        return await self._one("sku", catalog.upsert_sku, {"code": code, "name": f"Name of {code}"} | given)

    async def customer(self, code: str = "C1", **given: Any) -> dict[str, Any]:
        return await self._one("customer", customers.upsert_customer, {"code": code, "name": "Ada"} | given)

    async def _one(self, name: str, command: CommandFunction, given: dict[str, Any]) -> dict[str, Any]:
        result = (await self.run(command, **{name: given}))[name]
        return result | {"id": UUID(result["id"])}

    async def ask(self, document: str, by: Principal = STAFF, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL operation; fails when it has errors."""
        result = await self.execute(document, by, **variables)
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    async def execute(self, document: str, by: Principal = STAFF, **variables: Any) -> strawberry.types.ExecutionResult:
        context = Context(
            principal=by,
            reads=self.reads(by),
            runner=self.runner,
            services=SimpleNamespace(signer=self.signer),
            request_id="test",
        )
        result = await schema().execute(document, variable_values=variables, context_value=context)
        await context.close()
        return result

    async def events(self) -> list[tuple[str, int, str]]:
        """(type, version, payload as text) of all events so far."""
        rows = await self.reads().all(text("SELECT type, version, payload::text FROM event_log ORDER BY id"))
        return [tuple(row) for row in rows]


@cache
def schema() -> strawberry.Schema:
    query = merge_types("Query", (NodeQuery, NetworkQuery, CatalogQuery, CustomersQuery))
    mutation = merge_types("Mutation", (NetworkMutation, CatalogMutation, CustomersMutation))
    types = [*errors.all_types(), *Node.by_type.values()]
    config = StrawberryConfig(scalar_map=SCALARS)
    return strawberry.Schema(query=query, mutation=mutation, types=types, config=config)


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Assortment]:
    database = Database(database_url, read_pool=10)
    await database.open()
    yield Assortment(database)
    await database.close()
