"""Operations sent as their callers send them, with the statements that they took."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.gql.caller import Caller
from app.gql.documents import Operation
from app.gql.execution import Answer, Graph
from app.gql.payload import GraphQLRequest
from app.kernel.db import StatementCount, statements
from app.wiring import Services
from tests.operations.documents import CUSTOMER, FETCH_TOKEN, Document, graph
from tests.operations.requests import Requests, Variables
from tests.operations.world import open_shop


@dataclass
class Answers:
    """What came back for all requests of one operation.

    bodies   each whole, as it is sent
    objects  how many objects its lists held, by the path of the list
    """

    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    objects: Counter[str] = field(default_factory=Counter)
    statements: int = 0

    @property
    def user_errors(self) -> list[Any]:
        payloads = [payload for data in self.data for payload in data.values() if isinstance(payload, dict)]
        return [error for payload in payloads for error in payload.get("userErrors", [])]

    def take_in(self, body: Mapping[str, Any], statements: int) -> None:
        self.statements += statements
        self.bodies.append(body)
        self.errors += body.get("errors", [])
        self.data.append(body.get("data") or {})
        self._count(self.data[-1], "")

    def _count(self, value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                self._count(inner, f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    self.objects[path] += 1
                    self._count(each, path)


class Watching:
    """A stream that is read item by item."""

    def __init__(self, stream: AsyncGenerator[Answer, None]) -> None:
        self._stream = stream

    async def take(self, items: int = 1) -> Answers:
        """So many items, and the statements it took from asking for the first to having the last."""
        answers = Answers()
        mark = statements.set(count := StatementCount())
        try:
            async with asyncio.timeout(10):
                for _ in range(items):
                    answers.take_in(orjson.loads((await anext(self._stream)).encoded), 0)
        finally:
            statements.reset(mark)
        answers.statements = count.value
        return answers


class Desk:
    """One shop, and its callers by their keys.

    graph  what runs the operations
    """

    def __init__(self, services: Services, keys: Mapping[str, str], size: int) -> None:
        self.services = services
        self.size = size
        self.requests = Requests(open_shop(services.database), size)
        self.graph = graph()
        self._keys = dict(keys)

    def with_graph(self, graph: Graph) -> Desk:
        """The same shop and callers, whose operations another graph runs."""
        desk = copy.copy(self)
        desk.graph = graph
        return desk

    async def settled(self) -> None:
        """Wait until everything committed has been handed out."""
        async with asyncio.timeout(10):
            await self.services.hub.started.wait()
            while not await self._is_settled():
                await asyncio.sleep(0.01)

    async def _is_settled(self) -> bool:
        row = await self.requests.shop.one(
            "SELECT pos, EXISTS (SELECT FROM event_log WHERE pos IS NULL) AS open FROM relay_shard"
        )
        return not row.open and self.services.hub.head().pos >= row.pos

    async def send(self, document: Document, requests: Sequence[Variables] | None = None) -> Answers:
        """Requests of the operation, all that there are if none are given, one after the other."""
        answers = Answers()
        for variables in await self.requests.of(document) if requests is None else requests:
            await self._send(document, variables, answers)
        return answers

    async def contents(self) -> dict[str, int]:
        """Every table's content, as a sum that changes with it."""
        shop = self.requests.shop
        tables = [
            row.tablename for row in await shop.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        return {
            table: (await shop.one(f"SELECT coalesce(sum(hashtext(t::text)), 0) AS n FROM {table} AS t")).n
            for table in tables
        }

    async def credential(self, sender: str) -> str:
        """A key, or a customer's token as the portal's server fetches it."""
        if sender == CUSTOMER and CUSTOMER not in self._keys:
            self._keys[CUSTOMER] = (await self.send(FETCH_TOKEN)).data[0]["customerTokenCreate"]["token"]
        return self._keys[sender]

    async def caller(self, sender: str) -> Caller:
        return await self.services.authenticator(await self.credential(sender))

    @asynccontextmanager
    async def watching(self, document: Document) -> AsyncIterator[Watching]:
        """A subscription, as long as the block lasts."""
        (variables,) = await self.requests.of(document)
        operation, caller = await self._admitted(document, variables)
        stream = self.graph.stream(operation, variables, lambda: self.services.context(caller))
        async with aclosing(stream):
            yield Watching(stream)

    async def _send(self, document: Document, variables: Variables, answers: Answers) -> None:
        operation, caller = await self._admitted(document, variables)
        mark = statements.set(count := StatementCount())
        try:
            answer = await self.graph.run(operation, variables, self.services.context(caller), 0)
        finally:
            statements.reset(mark)
        answers.take_in(orjson.loads(answer.encoded), count.value)

    async def _admitted(self, document: Document, variables: Variables) -> tuple[Operation, Caller]:
        operation = self.graph.operation(GraphQLRequest(document.text))
        caller = await self.caller(document.sender)
        self.graph.admit(operation, variables, caller.principal)
        return operation, caller
