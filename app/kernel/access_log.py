"""One request from its first byte to its last: its ids, what it did, and one line in the log.

A bare ASGI middleware, outermost. What is inside finds the request by `current()` and tells it what only it knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import structlog

from app.kernel.db import statements
from app.kernel.log import of_request
from app.kernel.request import CURRENT, Request, Watching, current

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT_GONE = 499
_PATH_LENGTH_MAX = 200
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})

log = structlog.get_logger("orderwire.access")


class SocketOperation:
    """One operation of a socket, as a request of its own: with its line, its figures and its span.

    It is under way in a `with` block. One that is laid aside goes on without, and without a task, until `end`, or until
    another block takes it up again.
    """

    __slots__ = ("_around", "_began", "_laid_aside", "_span", "request")

    def __init__(self) -> None:
        around = current()
        self.request = request = Request([], around.watching if around is not None else None, around)
        self._around = around
        self._began = perf_counter()
        self._laid_aside = False
        self._span = request.watching.serving(request, "WEBSOCKET") if request.watching is not None else None

    @contextmanager
    def under_way(self) -> Iterator[Request]:
        request = self.request
        if self._laid_aside:
            self._laid_aside = False
            if self._span is not None:
                self._span.enter()
        mark, counting = CURRENT.set(request), statements.set(request.sql)
        try:
            yield request
        except BaseException:
            request.status = CLIENT_GONE  # or it completed a subscription: nobody waits for more
            raise
        finally:
            if not self._laid_aside:
                self.end()
            elif self._span is not None:
                self._span.leave()
            statements.reset(counting)
            CURRENT.reset(mark)

    def lay_aside(self) -> None:
        """Have the block end without an end of the operation."""
        self._laid_aside = True

    def end(self, status: int | None = None) -> None:
        request, seconds = self.request, perf_counter() - self._began
        if status is not None:
            request.status = status
        if self._span is not None:
            self._span.end(request.status)
        if request.watching is not None:
            request.watching.requested(request.kind or "other", request.status, seconds)
        of_request(
            "operation",
            request,
            status=request.status,
            ms=round(seconds * 1000, 2),
            type=request.kind,
            operation=request.operation,
            sql=request.sql.value,
        )
        if self._around is not None:
            self._around.sql.value += request.sql.value


class RequestLog:
    """Gives every request its ids and a line: method, path, status, milliseconds, operation, SQL statements.

    Never a query string, a body or an address: they may hold secrets, or say who is asking.
    """

    def __init__(self, app: Application, telemetry: Watching | None = None) -> None:
        self._app = app
        self._watching = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request = Request(scope["headers"])
        status = CLIENT_GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_id(message.get("headers", ()), request.request_id)
            await send(message)

        mark = CURRENT.set(request)
        count = _counted(request)
        span = self._watching.serving(request, scope["method"]) if self._watching else None
        try:
            await self._app(scope, receive, answer)
        except BaseException:
            if status == CLIENT_GONE:
                status = 500
            raise
        finally:
            seconds = perf_counter() - began
            path = scope["path"]
            if span is not None:
                span.end(status)
            if path in _PROBES:
                log.debug("request", path=path, status=status)
            else:
                if self._watching is not None:
                    self._watching.requested(request.kind or "other", status, seconds)
                of_request(
                    "request",
                    request,
                    method=scope["method"],
                    path=path[:_PATH_LENGTH_MAX],
                    status=status,
                    ms=round(seconds * 1000, 2),
                    type=request.kind,
                    operation=request.operation,
                    sql=request.sql.value - count,
                )
            CURRENT.reset(mark)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request = Request(scope["headers"], self._watching)
        path = scope["path"][:_PATH_LENGTH_MAX]
        opened, code = False, 1006

        async def hear() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", 1005)
            return message

        async def say(message: Message) -> None:
            nonlocal opened, code
            if message["type"] == "websocket.accept":
                opened = True
                message["headers"] = _with_id(message.get("headers", ()), request.request_id)
                log.info("socket opened", path=path)
            elif message["type"] == "websocket.close":
                code = message.get("code", 1000)
            await send(message)

        mark = CURRENT.set(request)
        count = _counted(request)
        try:
            await self._app(scope, hear, say)
        finally:
            ms = round((perf_counter() - began) * 1000, 2)
            event = "socket closed" if opened else "socket refused"
            log.info(event, path=path, code=code, ms=ms, sql=request.sql.value - count)
            CURRENT.reset(mark)


def _counted(request: Request) -> int:
    """Have the request's statements counted; where somebody counts already, with that count, from what it says."""
    counting = statements.get()
    if counting is None:
        statements.set(request.sql)
        return 0
    request.sql = counting
    return counting.value


def _with_id(headers: Any, request_id: str) -> list[tuple[bytes, bytes]]:
    """The response's headers with the request's id; an id that the application put there stays."""
    given = list(headers)
    if not any(name == b"x-request-id" for name, _ in given):
        given.append((b"x-request-id", request_id.encode("ascii")))
    return given
