"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
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


class Sockets:
    """Serves the WebSockets of a path ahead of the router, whose calls each of them would hold while it is open."""

    def __init__(self, app: ASGIApp, path: str, serve: ASGIApp) -> None:
        self._app, self._path, self._serve = app, path, serve

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        mine = scope["type"] == "websocket" and scope["path"] == self._path
        return (self._serve if mine else self._app)(scope, receive, send)


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

    routes: list[BaseRoute] = [
        Route("/graphql", GraphQLHttp(house), methods=None),
        *services.health.routes(),
        *explorer.routes(settings),
    ]
    sockets = GraphQLWebSocket(house, init_seconds=settings.socket_init_seconds)
    middleware = [
        Middleware(RequestLog, telemetry=services.telemetry),
        Middleware(Sockets, path="/graphql", serve=sockets),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=middleware)
    app.state.services = services
    app.state.before_exit = [services.health.drain, services.hub.drain]
    return app
