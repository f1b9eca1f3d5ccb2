"""One shop, asked by direct reads, through the engine alone and through graphql-core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from graphql import OperationType

from app import schema
from app.gql.caller import Caller
from app.gql.documents import Operation
from app.gql.execution import Answer, Graph
from app.gql.faults import Mistake
from app.gql.payload import GraphQLRequest
from tests.operations.desk import Desk

# However busy the machine is: what only one of them had no time for would look like a difference.
PATIENCE_SECONDS = 100.0
_AGAIN = 3


@cache
def graph(*, engine: bool, direct_reads: bool = False) -> Graph:
    return Graph(schema.build(), timeout=PATIENCE_SECONDS, engine=engine, direct_reads=direct_reads)


class Differ(AssertionError):
    """Two executors answer unlike."""

    def __init__(self, ours: bytes, theirs: bytes, text: str, variables: Mapping[str, Any]) -> None:
        super().__init__(f"{text}\nwith {dict(variables)}\nis answered {ours.decode()}\nand not {theirs.decode()}")
        self.has_errors = b'"errors"' in theirs


def _compare(ours: Answer, theirs: Answer, text: str, variables: Mapping[str, Any]) -> None:
    if (ours.status, ours.encoded) != (theirs.status, theirs.encoded):
        raise Differ(ours.encoded, theirs.encoded, text, variables)


class Both:
    """A desk whose operations all executors run, each time in a context of its own.

    written  how many operations were answered by statements that write JSON
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.directly = desk.with_graph(graph(engine=True, direct_reads=True))
        self.by_engine = desk.with_graph(graph(engine=True))
        self.by_core = desk.with_graph(graph(engine=False))
        self.written = 0

    async def agree(self, text: str, variables: Mapping[str, Any], caller: Caller) -> Any:
        """The data of an operation that all answer alike; None where it is not admitted, or not the engine's to run.

        Where several places have errors, which of them the database lets be met first decides which are told, and in
        which order: answers with errors are compared again where they differ. (Executors that need no database are held
        to the order by `test_awkward`.)
        """
        for _ in range(_AGAIN):
            try:
                return await self._agree(text, variables, caller)
            except Differ as problem:
                if not problem.has_errors:
                    raise
        return await self._agree(text, variables, caller)

    async def _agree(self, text: str, variables: Mapping[str, Any], caller: Caller) -> Any:
        """The same at the first attempt.  Raises Differ.

        The engine runs it three times: with care, with the quick functions it has written meanwhile, and with these
        from the start.
        """
        admitted = self._admitted(text, variables, caller)
        if admitted is None:
            return None
        directly, by_engine, by_core = admitted
        handed_on = self.by_engine.graph.not_covered.total()
        ours = [await self._sent(self.by_engine, by_engine, variables, caller) for _ in range(2)]
        by_engine.compiled, by_engine.document.trusted = None, True
        ours.append(await self._sent(self.by_engine, by_engine, variables, caller))
        theirs = await self._sent(self.by_core, by_core, variables, caller)

        for answer in ours:
            _compare(answer, theirs, text, variables)
        if directly.type is OperationType.QUERY:
            answered = self.directly.graph.answered
            before = answered.directly
            for _ in range(2):  # the second time by a statement that is prepared already
                written = await self._sent(self.directly, directly, variables, caller)
                _compare(written, theirs, text, variables)
            self.written += answered.directly == before + 2
        assert b'"INTERNAL"' not in theirs.encoded, (text, variables, theirs.body)
        if self.by_engine.graph.not_covered.total() > handed_on:
            return None
        return theirs.body.get("data") or {}

    def _admitted(self, text: str, variables: Mapping[str, Any], caller: Caller) -> tuple[Operation, ...] | None:
        operations = []
        for desk in (self.directly, self.by_engine, self.by_core):
            try:
                operation = desk.graph.operation(GraphQLRequest(text))
                desk.graph.admit(operation, variables, caller.principal)
            except Mistake:
                return None
            operations.append(operation)
        return tuple(operations)

    @staticmethod
    async def _sent(desk: Desk, operation: Operation, variables: Mapping[str, Any], caller: Caller) -> Answer:
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
