"""One example, run in every way that there is, with one outcome."""

from __future__ import annotations

import json
from typing import Any

import strawberry
from graphql import GraphQLSchema

from tests.engine.compare import by_engine, by_graphql_core, compiled, shown


async def outcome(
    schema: GraphQLSchema | strawberry.Schema,
    text: str,
    variables: dict[str, Any] | None = None,
    *,
    root: Any = None,
    context: Any = None,
) -> Any:
    """What graphql-core makes of it, once the engine has made the same: with care, quickly, and each of them again."""
    if isinstance(schema, strawberry.Schema):
        schema = schema._schema
    given = variables or {}
    expected = shown(await by_graphql_core(schema, text, given, context, root))
    for at_once in (False, True):
        operation = compiled(schema, text, at_once=at_once)
        for run in ("first", "second", "third"):
            answer = shown(await by_engine(operation, given, context, root))
            assert answer == expected, f"{text}\nthe {run} run, at_once={at_once}"
    return json.loads(expected) if isinstance(expected, str) else expected


async def data(*arguments: Any, **named: Any) -> Any:
    """The data of an example that has no errors."""
    found = await outcome(*arguments, **named)
    assert found["errors"] == []
    return found["data"]


async def problems(*arguments: Any, **named: Any) -> list[tuple[str, str]]:
    """The errors of an example, each its path and its message."""
    found = await outcome(*arguments, **named)
    errors = found if isinstance(found, list) else found["errors"]
    return [(".".join(map(str, error.get("path", ()))), error["message"]) for error in errors]
