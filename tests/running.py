"""The whole product running in the test's own loop: API and worker on real stores, reached over real sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import httpx2

from app import serving
from app.auth import commands as auth
from app.auth.keys import new_key
from app.auth.states import DEFAULT_SCOPES, ClientKind
from app.kernel.principal import Kind, Principal
from app.kernel.settings import Settings
from app.kernel.work import CommandArguments, Runner
from app.main import create_app
from app.wiring import Services
from app.worker import Worker

OPERATOR = Principal(kind=Kind.SYSTEM, id="system:tests", scopes=frozenset({auth.SCOPE}))
SECRET = "a-secret-of-the-tests-0123456789-abcdef"


def settings(database_url: str, redis_url: str, **given: Any) -> Settings:
    given.setdefault("drain_seconds", 0)
    return Settings(database_url=database_url, redis_url=redis_url, secret_key=SECRET, port=0, **given)


class Api:
    """One API process's worth of Orderwire at `url`.  stop  as SIGTERM does; it is over when `api` is."""

    def __init__(self, url: str, services: Services, stop: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self.services = services
        self.stop = stop
        self.http = httpx2.AsyncClient(base_url=url, timeout=30)
        self._keys = itertools.count(1)

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/graphql"

    async def key(
        self, kind: str = "STAFF", scopes: Iterable[str] | None = None, channel_id: UUID | None = None
    ) -> str:
        """A new client's API key; by default with every scope its kind usually has."""
        return await issue(self.services.runner, kind, scopes, channel_id)

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """The data of an operation that must succeed."""
        answer = await self.send(query, variables, key=key)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    async def send(
        self, query: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.http.post("/graphql", json={"query": query, "variables": variables or {}}, headers=headers)


async def issue(
    runner: Runner, kind: str = "STAFF", scopes: Iterable[str] | None = None, channel_id: UUID | None = None
) -> str:
    key = new_key("dev")
    await runner.run(
        OPERATOR,
        auth.create,
        CommandArguments(None),
        name=f"{kind.lower()} {uuid4()}",
        kind=kind,
        key_id=key.key_id,
        secret_sha256=key.sha256(),
        scopes=sorted(scopes if scopes is not None else DEFAULT_SCOPES[ClientKind(kind)]),
        channel_id=channel_id,
    )
    return key.text()


@asynccontextmanager
async def api(given: Settings) -> AsyncIterator[Api]:
    """An API process, in this loop."""
    application = create_app(given)
    server = serving.server_for(application, given)
    listener = serving.listen("127.0.0.1", 0)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
            raise RuntimeError("the API did not start; the log says why")
    running = Api(serving.address_of(listener), application.state.services, server.stop)
    try:
        yield running
    finally:
        await running.http.aclose()
        server.stop()
        await asyncio.wait_for(task, 20)


@asynccontextmanager
async def worker(given: Settings) -> AsyncIterator[None]:
    """A worker, in this loop."""
    task = asyncio.create_task(Worker(given).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
