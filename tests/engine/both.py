"""One shop, asked through the engine and through graphql-core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from app import schema
from app.gql.caller import Caller
from app.gql.documents import Operation
from app.gql.execution import Graph
from app.gql.faults import Mistake
from app.gql.payload import GraphQLRequest
from tests.operations.desk import Desk

# However busy the machine is: what only one of them had no time for would look like a difference.
PATIENCE_SECONDS = 100.0


@cache
def graph(*, engine: bool) -> Graph:
    return Graph(schema.build(), timeout=PATIENCE_SECONDS, engine=engine)


class Both:
    """A desk whose operations both executors run, each time in a context of its own."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.by_engine = desk.with_graph(graph(engine=True))
        self.by_core = desk.with_graph(graph(engine=False))

    async def agree(self, text: str, variables: Mapping[str, Any], caller: Caller) -> Any:
        """The data of an operation that both answer alike; None where it is not admitted, or not the engine's to run.

        The engine runs it three times: with care, with the quick functions it has written meanwhile, and with these
        from the start.
        """
        admitted = self._admitted(text, variables, caller)
        if admitted is None:
            return None
        by_engine, by_core = admitted
        handed_on = self.by_engine.graph.not_covered.total()
        ours = [await self._sent(self.by_engine, by_engine, variables, caller) for _ in range(2)]
        by_engine.compiled, by_engine.document.trusted = None, True
        ours.append(await self._sent(self.by_engine, by_engine, variables, caller))
        theirs = await self._sent(self.by_core, by_core, variables, caller)

        assert ours == [theirs] * 3, (text, variables)
        assert b'"INTERNAL"' not in theirs.encoded, (text, variables, theirs.body)
        if self.by_engine.graph.not_covered.total() > handed_on:
            return None
        return theirs.body.get("data") or {}

    def _admitted(self, text: str, variables: Mapping[str, Any], caller: Caller) -> tuple[Operation, Operation] | None:
        operations = []
        for desk in (self.by_engine, self.by_core):
            try:
                operation = desk.graph.operation(GraphQLRequest(text))
                desk.graph.admit(operation, variables, caller.principal)
            except Mistake:
                return None
            operations.append(operation)
        by_engine, by_core = operations
        return by_engine, by_core

    @staticmethod
    async def _sent(desk: Desk, operation: Operation, variables: Mapping[str, Any], caller: Caller) -> Any:
        return await desk.graph.run(operation, dict(variables), desk.services.context(caller), 0)


def shows_something(data: Any) -> bool:
    """Whether there is a leaf below the root fields that says something: not null, empty, nought or false."""
    return any(_says_something(value) for root in data.values() for value in _below(root))


def _below(value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    return [inner for name, inner in value.items() if name != "__typename"] if isinstance(value, dict) else []


def _says_something(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(_says_something, _below(value)))
    return bool(value)
