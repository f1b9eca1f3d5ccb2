"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app import explorer, schema
from app.gql.execution import Graph
from app.gql.http import GraphQLHttp
from app.gql.websocket import GraphQLWebSocket
from app.kernel.access_log import RequestLog
from app.kernel.settings import Settings
from app.kernel.telemetry import Telemetry
from app.wiring import Services

# What our own clients send: beside the package in a checkout and an image, inside it in a wheel.
# (Beside an installed package lies the library of that name.)
_BESIDE = Path(__file__).parents[1] / "graphql" / "operations"
OPERATIONS = _BESIDE if _BESIDE.is_dir() else Path(__file__).parent / "graphql" / "operations"


class Application(Starlette):
    """Starlette, with the one path that nearly everybody asks in front of its middleware and its router.

    Each request would pay for them, and each open socket would hold their calls.
    """

    def __init__(
        self,
        path: str,
        http: ASGIApp,
        sockets: ASGIApp,
        telemetry: Telemetry,
        routes: Sequence[BaseRoute],
        **given: Any,
    ) -> None:
        super().__init__(routes=routes, middleware=[Middleware(RequestLog, telemetry=telemetry)], **given)
        self._path = path
        self._ahead = {"http": RequestLog(http, telemetry), "websocket": RequestLog(sockets, telemetry)}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        if scope.get("path") == self._path and (ahead := self._ahead.get(scope["type"])) is not None:
            return ahead(scope, receive, send)
        return super().__call__(scope, receive, send)


def create_app(settings: Settings, telemetry: Telemetry | None = None) -> Starlette:
    """The API on stores that are reachable and migrated.

    telemetry  that of the process, where it does other things besides; whoever made it closes it

    `app.state.before_exit` says what to drain before the server ends.  Raises Undeclared where a field of the schema
    does not say who may read it.
    """
    services = Services(settings, telemetry=telemetry)
    graph = Graph(
        schema.build(),
        timeout=settings.execution_seconds_max,
        tokens_max=settings.document_tokens_max,
        introspection=settings.introspection,
        engine=settings.engine,
        direct_reads=settings.direct_reads,
        not_covered=services.not_covered,
        answered=services.answered,
        groups=services.groups,
    )
    graph.documents.trust_folder(OPERATIONS)
    house = services.house(graph)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await services.open()
        try:
            yield
        finally:
            await services.close()

    routes: list[BaseRoute] = [*services.health.routes(), *explorer.routes(settings)]
    sockets = GraphQLWebSocket(house, init_seconds=settings.socket_init_seconds)
    app = Application("/graphql", GraphQLHttp(house), sockets, services.telemetry, routes, lifespan=lifespan)
    app.state.services = services
    app.state.before_exit = [services.health.drain, services.hub.drain]
    return app
