"""Is this process alive, is it ready for work, and what do its figures say: /livez, /readyz, /metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import serving
from app.kernel import migrate
from app.kernel.db import Database
from app.kernel.settings import Settings
from app.kernel.telemetry import Telemetry
from app.live.hub import Hub

DATABASE_SECONDS_MAX = 1.0

_REVISION = "SELECT max(version_num) FROM alembic_version"

log = structlog.get_logger("orderwire.health")

# Why this process is not ready, or None.
Check = Callable[[], str | None]


@dataclass
class Health:
    """The state of one process as its surroundings ask for it.

    hub     of a process that serves subscriptions
    checks  what else must hold, by name
    """

    database: Database
    telemetry: Telemetry
    hub: Hub | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    draining: bool = False

    async def drain(self, _seconds: float = 0) -> None:
        """Be not ready from now on, so that new work goes elsewhere."""
        self.draining = True

    async def reasons(self) -> dict[str, str]:
        """Why this process is not ready, by part; empty when it is."""
        found = {"process": "it is draining" if self.draining else None, "database": await self._of_database()}
        if self.hub is not None:
            found["events"] = None if self.hub.healthy else "neither Redis nor PostgreSQL brings events"
        found |= {name: check() for name, check in self.checks.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    async def _of_database(self) -> str | None:
        try:
            async with asyncio.timeout(DATABASE_SECONDS_MAX):
                current = await self.database.call(_REVISION)
        except TimeoutError:
            return f"PostgreSQL did not answer within {DATABASE_SECONDS_MAX:g} s"
        except Exception as problem:  # whatever it is: the answer is no, and the log has it
            log.debug("PostgreSQL refused the readiness check", error=repr(problem))
            return f"PostgreSQL refused ({type(problem).__name__})"
        if current is None or current < migrate.head():
            return f"migrations are at {current}, this version needs {migrate.head()}: run `orderwire migrate`"
        return None

    def routes(self) -> list[Route]:
        """The routes for the application that this process serves."""
        return [
            Route("/livez", self._livez, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _livez(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _readyz(self, _: Request) -> Response:
        reasons = await self.reasons()
        body = {"status": "not ready", "reasons": reasons} if reasons else {"status": "ready"}
        return JSONResponse(body, 503 if reasons else 200, {"cache-control": "no-store"})

    async def _metrics(self, _: Request) -> Response:
        return Response(self.telemetry.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    @contextlib.asynccontextmanager
    async def served(self, settings: Settings) -> AsyncIterator[int | None]:
        """Answer on the worker's own port as long as the block lasts; the port.  Raises OperatorProblem."""
        if settings.worker_port is None:
            yield None
            return
        listening = serving.listen(settings.host, settings.worker_port, variable="ORDERWIRE_WORKER_PORT")
        with contextlib.closing(listening) as listener:
            server = serving.server_for(Starlette(routes=self.routes()), settings)
            server.drain_seconds = 0
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield int(listener.getsockname()[1])
            finally:
                server.hurry()
                await task
