"""A small schema and everything around it, to try the transports with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import strawberry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from strawberry.schema.config import StrawberryConfig

from app.gql import errors
from app.gql.caller import Caller
from app.gql.context import Context
from app.gql.door import House
from app.gql.execution import Graph
from app.gql.http import GraphQLHttp
from app.gql.money import Money, MoneyInput
from app.gql.mutations import mutation
from app.gql.scalars import JSON, SCALARS, Cursor, Long, TimeZone
from app.gql.scopes import ANYONE, needs, scoped
from app.gql.streams import Streams
from app.gql.websocket import GraphQLWebSocket
from app.kernel.access_log import RequestLog
from app.kernel.clock import Clock, SystemClock
from app.kernel.errors import Forbidden, NotFound, Refusal, Unauthenticated, VersionConflict
from app.kernel.principal import ANONYMOUS, Kind, Principal
from app.kernel.settings import Settings
from app.kernel.work import CommandArguments
from app.serving import DrainingServer, listen, server_for

CHANNEL = UUID(int=7)


class OutOfToys(Refusal):
    code = "OUT_OF_TOYS"

    def __init__(self, left: int) -> None:
        super().__init__(f"Only {left} left.", path=["input", "units"])
        self.left = left


@errors.user_error(OutOfToys)
@strawberry.type(name="OutOfToys")
class OutOfToysError(errors.UserError):
    left: int


@scoped(ANYONE)
@strawberry.interface
class Named:
    name: str


@scoped("toys:read")
@strawberry.type
class Toy(Named):
    weight: int
    secret: str = strawberry.field(metadata=needs("toys:secrets"))
    parts: list[Toy]

    @strawberry.field
    async def loaded(self, info: strawberry.Info[Context, None]) -> int:
        """How often the batch function has run for this operation."""
        return await info.context.load(count_batches, self.name) or 0

    @strawberry.field
    def broken(self) -> str:
        raise RuntimeError("the password is hunter2")

    @strawberry.field
    async def missing(self) -> str:
        raise NotFound("toy", "x")

    @strawberry.field
    async def refused(self) -> str:
        raise Forbidden("toys:secrets")


@scoped("toys:read")
@strawberry.type
class ToyEdge:
    node: Toy


@scoped("toys:read")
@strawberry.type
class ToyConnection:
    edges: list[ToyEdge]
    nodes: list[Toy]


@scoped(ANYONE)
@strawberry.type
class Snapshot:
    cursor: Cursor
    at: int


@scoped(ANYONE)
@strawberry.type
class Change:
    cursor: Cursor
    number: int
    loads: int

    @strawberry.field
    async def hanging_once(self, info: strawberry.Info[Context, None]) -> int:
        """Hangs when it is asked for the first time."""
        trace: Trace = info.context.services
        trace.hung += 1
        if trace.hung == 1:
            await asyncio.sleep(60)
        return trace.hung

    @strawberry.field
    async def batches(self, info: strawberry.Info[Context, None]) -> int:
        return await info.context.load(count_batches, "a") or 0


batches = 0


async def count_batches(_: Any, keys: Any) -> dict[str, int]:
    global batches
    batches += 1
    return dict.fromkeys(keys, batches)


@scoped(ANYONE)
@strawberry.type
class ToyPayload:
    toy: Toy | None
    user_errors: list[errors.UserError]


@strawberry.input
class ToyInput:
    name: str
    units: int = 1
    price: MoneyInput | None = None


def toy(name: str = "car", depth: int = 2) -> Toy:
    return Toy(name=name, weight=5, secret="s", parts=[toy(name + "'", depth - 1)] if depth else [])


@scoped(ANYONE)
@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field(metadata=needs("toys:read"))
    def toy(self) -> Toy:
        return toy()

    @strawberry.field
    def named(self) -> Named:
        return toy()

    @strawberry.field(metadata=needs("toys:read"))
    def toys(self, first: int | None = None, last: int | None = None) -> ToyConnection:
        toys = [toy(str(n), 0) for n in range(first or 20)]
        return ToyConnection(edges=[ToyEdge(node=each) for each in toys], nodes=toys)

    @strawberry.field
    async def slow(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    @strawberry.field
    def big(self, kilobytes: int) -> str:
        return "x" * kilobytes * 1024

    @strawberry.field
    def at(self, at: datetime) -> datetime:
        return at

    @strawberry.field
    def long(self, n: Long) -> Long:
        return n

    @strawberry.field
    def json(self, value: JSON) -> JSON:
        return value

    @strawberry.field
    def zone(self, zone: TimeZone) -> TimeZone:
        return zone

    @strawberry.field
    def price(self, minor: int, currency: str) -> Money:
        return Money.of(minor, currency)


@strawberry.type
class Mutation:
    @mutation(scope="toys:write", versioned=True)
    async def toy_make(self, info: strawberry.Info, input: ToyInput, command: CommandArguments) -> ToyPayload:
        """Make a toy."""
        if input.units > 3:
            raise OutOfToys(3)
        if command.expected_version == 9:
            raise VersionConflict("toy", 9, 10)
        if input.price is not None:
            input.price.minor_units("input", "price")
        return ToyPayload(toy=toy(f"{input.name} {command.key} {command.dry_run}"), user_errors=[])


@dataclass
class Trace:
    """What the subscriptions of a test did."""

    opened: list[Any] = field(default_factory=list)
    closed: int = 0
    hung: int = 0
    told: int = 0
    going: asyncio.Event = field(default_factory=asyncio.Event)


@scoped(ANYONE)
@strawberry.type
class Rumour:
    """Says of itself that it is the same for everybody, which the answer to it need not be."""

    number: int
    shared: strawberry.Private[int]

    @strawberry.field
    async def heard_by(self, info: strawberry.Info[Context, None]) -> str:
        info.context.services.told += 1
        await asyncio.sleep(0.01)
        return str(info.context.principal.kind)

    @strawberry.field
    def spoilt(self) -> str | None:
        raise NotFound("rumour", "x")


@scoped(ANYONE)
@strawberry.type
class Subscription:
    @strawberry.subscription
    async def rumours(self, to: int = 3, after: Cursor | None = None) -> AsyncIterator[Rumour]:
        for number in range(to):
            yield Rumour(number=number, shared=number)
            await asyncio.sleep(0.05)

    @strawberry.subscription
    async def count(
        self, info: strawberry.Info[Context, None], to: int = 3, pause: float = 0, after: Cursor | None = None
    ) -> AsyncIterator[Change]:
        trace: Trace = info.context.services
        trace.opened.append(after)
        try:
            for number in range(int(after or 0) + 1, to + 1):
                yield Change(cursor=Cursor(str(number)), number=number, loads=0)
                await asyncio.sleep(pause)
        finally:
            trace.closed += 1

    @strawberry.subscription(metadata=needs("toys:read"))
    async def items(self) -> AsyncIterator[Snapshot | Change]:
        yield Snapshot(cursor=Cursor("s"), at=0)
        yield Change(cursor=Cursor("c"), number=1, loads=0)

    @strawberry.subscription
    async def breaks(self) -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("the password is hunter2")

    @strawberry.subscription
    async def expires(self) -> AsyncIterator[int]:
        yield 1
        raise Unauthenticated("Your credential has expired.")

    @strawberry.subscription
    async def begins_at_the_third_attempt(self, info: strawberry.Info[Context, None]) -> AsyncIterator[int]:
        trace: Trace = info.context.services
        trace.opened.append(None)
        if len(trace.opened) < 3:
            raise ConnectionRefusedError("the database is away")
        yield len(trace.opened)

    @strawberry.subscription
    async def refuses(self) -> AsyncIterator[int]:
        raise NotFound("toy", "x")
        yield 1

    @strawberry.subscription
    async def big(self, kilobytes: int = 64) -> AsyncIterator[str]:
        while True:
            yield "x" * kilobytes * 1024
            await asyncio.sleep(0)


CALLERS = {
    "reader": Principal(Kind.STAFF, "client:reader", frozenset({"toys:read"})),
    "maker": Principal(Kind.PARTNER, "client:maker", frozenset({"toys:read", "toys:write"})),
    "shop": Principal(Kind.STOREFRONT, "client:shop", frozenset({"toys:read"}), channel_id=CHANNEL),
}

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[*errors.all_types(), Toy],
    config=StrawberryConfig(scalar_map=SCALARS),
)


@dataclass
class ToyKeys:
    """Knows the shop's callers by the plainest of keys."""

    shop: ToyShop

    async def __call__(self, credential: str | None) -> Caller:
        if credential is None:
            return Caller(ANONYMOUS)
        if credential == "whose database is away":
            raise ConnectionRefusedError("the database is away")
        if credential not in self.shop.callers:
            raise Unauthenticated("No such key.")
        return Caller(self.shop.callers[credential], f"key:{credential}")

    async def look_again(self, caller: Caller) -> Principal | None:
        return self.shop.callers.get((caller.credential or "").removeprefix("key:"))


@dataclass
class ToyShop:
    """A running server, and what a test may look at or change."""

    graph: Graph
    trace: Trace
    streams: Streams
    port: int = 0
    server: DrainingServer | None = None
    clock: Clock = field(default_factory=SystemClock)
    callers: dict[str, Principal] = field(default_factory=lambda: dict(CALLERS))
    origins: dict[str, UUID | None] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    async def allow_origin(self, origin: str, channel_id: UUID | None) -> bool:
        if origin == "https://whose-database-is-away.example":
            raise ConnectionRefusedError("the database is away")
        return origin in self.origins and (channel_id is None or self.origins[origin] == channel_id)

    def new_context(self, caller: Caller) -> Context:
        return Context(
            principal=caller.principal,
            reads=None,  # type: ignore[arg-type]
            runner=None,  # type: ignore[arg-type]
            services=self.trace,
            request_id=f"request-{datetime.now(UTC).timestamp()}",
        )

    def house(self) -> House:
        return House(
            graph=self.graph,
            authenticate=ToyKeys(self),
            allow_origin=self.allow_origin,
            new_context=self.new_context,
            clock=self.clock,
            streams=self.streams,
        )


@contextlib.asynccontextmanager
async def serving(
    *,
    timeout: float = 10,
    answer_bytes_max: int = 16 << 20,
    operations_max: int = 100,
    body_seconds: float = 30,
    init_seconds: float = 10,
    send_seconds: float = 10,
    clock: Clock | None = None,
    **given: Any,
) -> AsyncIterator[ToyShop]:
    """The toy shop on a free port of 127.0.0.1, in this very loop, on the server that serves the product.

    given  settings of the server
    """
    settings = Settings(drain_seconds=0, **given)
    shop = ToyShop(Graph(schema, timeout=timeout, answer_bytes_max=answer_bytes_max), Trace(), Streams())
    shop.clock = clock or shop.clock
    house = shop.house()
    http = GraphQLHttp(house, body_seconds=body_seconds)
    socket = GraphQLWebSocket(
        house, operations_max=operations_max, init_seconds=init_seconds, send_seconds=send_seconds
    )
    app = Starlette(
        routes=[Route("/graphql", http, methods=None), WebSocketRoute("/graphql", socket)],
        middleware=[Middleware(RequestLog)],
    )
    shop.server = server = server_for(app, settings)
    listener = listen("127.0.0.1", 0)
    shop.port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield shop
    finally:
        server.hurry()
        await task
