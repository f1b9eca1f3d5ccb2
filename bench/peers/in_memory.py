"""Objects in memory over HTTP, nothing else: the same schema by our engine and by graphql-core, each a bare route.

Both keep the document they have parsed and validated, both make the JSON by orjson.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
import strawberry
from graphql import ExecutionResult, execute, parse, validate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.engine import Engine

DOCUMENT = """
query Levels($skus: [String!]!, $locations: [String!]!) {
  levels(skus: $skus, locations: $locations) { sku location onHand reserved available updatedAt }
}
"""
SKUS, LOCATIONS = [f"SKU-{n}" for n in range(50)], [f"L{n}" for n in range(5)]
VARIABLES: dict[str, object] = {"skus": SKUS, "locations": LOCATIONS}


@strawberry.type
class Level:
    """Of strings and numbers alone, so that execution is compared and not how a scalar is written."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    available: int
    updated_at: str


LEVELS = {
    (sku, location): Level(
        sku=sku, location=location, on_hand=90, reserved=20, available=70, updated_at="2026-03-02T12:00:00Z"
    )
    for sku in SKUS
    for location in LOCATIONS
}


@strawberry.type
class Query:
    @strawberry.field
    def levels(self, skus: list[str], locations: list[str]) -> list[Level]:
        return [LEVELS[sku, location] for sku in skus for location in locations]


SCHEMA = strawberry.Schema(Query)._schema  # noqa: SLF001 (strawberry offers no other way in)

# Runs a document that is known by now, with these variables.
Run = Callable[[dict[str, Any]], ExecutionResult]


@lru_cache
def by_engine(text: str) -> Run:
    """Compiled."""
    document = parse(text)
    assert not validate(SCHEMA, document)
    operation = Engine(SCHEMA).compiled(document, document.definitions[0], at_once=True)
    return lambda variables: operation.run(None, None, operation.coerced(variables))


@lru_cache
def by_graphql_core(text: str) -> Run:
    """By the reference implementation."""
    document = parse(text)
    assert not validate(SCHEMA, document)
    return lambda variables: execute(SCHEMA, document, variable_values=variables)


def _served(prepared: Callable[[str], Run]) -> Starlette:
    async def answer(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        result = prepared(asked["query"])(asked["variables"])
        assert not result.errors, result.errors
        return Response(orjson.dumps({"data": result.data}), media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


compiled, interpreted = _served(by_engine), _served(by_graphql_core)
