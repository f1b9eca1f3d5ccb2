"""The request under way: its ids, and what it turned out to be."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Protocol

from app.kernel.db import StatementCount
from app.kernel.ids import uuid7_of_its_own_kind

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class Span(Protocol):
    def enter(self) -> None: ...
    def leave(self) -> None: ...
    def end(self, status: int) -> None: ...


class Watching(Protocol):
    """What requests tell figures to."""

    def requested(self, kind: str, status: int, seconds: float) -> None: ...
    def serving(self, request: Request, method: str) -> Span | None: ...


class Request:
    """What is known of the request under way.

    operation, kind, principal  set by the transports: the operation's name, its type, the caller's id
    status                      set by sockets, whose operations have none of their own
    traceparent                 as the client sent it, where it is valid
    around                      the request whose ids it has, being a part of it
    names_itself                whether the request's id is of the client's choosing
    """

    __slots__ = (
        *("kind", "names_itself", "operation", "principal", "request_id"),
        *("sql", "status", "trace_id", "traceparent", "watching"),
    )

    def __init__(
        self, headers: list[tuple[bytes, bytes]], watching: Watching | None = None, around: Request | None = None
    ) -> None:
        self.watching = watching
        self.status = 200
        self.operation: str | None = None
        self.kind: str | None = None
        self.principal: str | None = None
        self.traceparent: str | None = None
        self.request_id = self.trace_id = ""
        self.names_itself = False
        if around is not None:
            self.request_id, self.trace_id, self.traceparent = around.request_id, around.trace_id, around.traceparent
            self.names_itself = around.names_itself
        for name, value in headers:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                self.request_id, self.names_itself = value.decode("ascii"), True
            elif name == b"traceparent" and (valid := _TRACEPARENT.fullmatch(value)) and not value.startswith(b"ff"):
                self.traceparent = value.decode("latin-1")
                self.trace_id = valid[1].decode("ascii")
        if not self.request_id or not self.trace_id:
            id_ = uuid7_of_its_own_kind()  # which is spelled four times as fast
            self.request_id = self.request_id or str(id_)
            self.trace_id = self.trace_id or id_.hex
        self.sql = StatementCount()


CURRENT: ContextVar[Request | None] = ContextVar("request", default=None)
current = CURRENT.get


def tell(operation: str | None, kind: str) -> None:
    """What the request under way turned out to be."""
    if (request := current()) is not None:
        request.operation, request.kind = operation, kind
