"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app import explorer, schema
from app.gql.execution import Graph
from app.gql.http import GraphQLHttp
from app.gql.websocket import GraphQLWebSocket
from app.kernel.settings import Settings
from app.wiring import Services


def create_app(settings: Settings) -> Starlette:
    """The API on stores that are reachable and migrated.

    `app.state.before_exit` says what to drain before the server ends.  Raises Undeclared where a field of the schema
    does not say who may read it.
    """
    services = Services(settings)
    house = services.house(Graph(schema.build(), timeout=settings.execution_seconds_max))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await services.open()
        try:
            yield
        finally:
            await services.close()

    routes: list[BaseRoute] = [
        Route("/graphql", GraphQLHttp(house), methods=None),
        WebSocketRoute("/graphql", GraphQLWebSocket(house, init_seconds=settings.socket_init_seconds)),
        *explorer.routes(settings),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.services = services
    app.state.before_exit = [services.hub.drain]
    return app
