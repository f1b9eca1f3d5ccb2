"""Running an operation by the engine and by graphql-core, to compare what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, parse, validate
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental
from strawberry.execution import optimized_is_awaitable

from app.engine import Compiled, Engine

Context = Callable[[], Any]


def shown(result: ExecutionResult | list[Any]) -> Any:
    """All that a client would see, with keys in their order."""
    if isinstance(result, list):
        return [error.formatted for error in result]
    return json.dumps(
        {"data": result.data, "errors": [error.formatted for error in result.errors or ()]}, default=repr, indent=1
    )


async def by_graphql_core(
    schema: GraphQLSchema, text: str, variables: dict[str, Any], context: Any = None, root: Any = None
) -> Any:
    executor = ExecutorThrowingOnIncremental.build(
        schema, parse(text), root, context, variables, max_coercion_errors=5, is_awaitable=optimized_is_awaitable
    )
    if isinstance(executor, list):
        return executor
    result: Any = executor.execute_operation()
    return result if isinstance(result, ExecutionResult) else await result


def compiled(schema: GraphQLSchema, text: str, *, at_once: bool = True) -> Compiled:
    document = parse(text)
    assert validate(schema, document) == []
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return Engine(schema).compiled(document, operation, at_once=at_once)


async def by_engine(operation: Compiled, variables: dict[str, Any], context: Any = None, root: Any = None) -> Any:
    coerced = operation.coerced(variables)
    if isinstance(coerced, list):
        return coerced
    result: Any = operation.run(root, context, coerced)
    return result if isinstance(result, ExecutionResult) else await result
