"""Load on a server over a few connections, and what one round of it cost the server and PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlencode

import orjson

from bench.stage import children, cpu_seconds_now

CONNECTIONS = 8


@dataclass(frozen=True)
class Request:
    """What one connection sends at once."""

    head: bytes
    body: bytes

    @classmethod
    def of(cls, query: str, name: str, variables: dict[str, object], key: str | None = None) -> Request:
        body = orjson.dumps({"query": query, "operationName": name, "variables": variables})
        rights = f"authorization: Bearer {key}\r\n" if key else ""
        head = (
            f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\n{rights}content-type: application/json\r\n"
            f"accept: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return cls(head.encode(), body)

    @classmethod
    def by_id(cls, document: str, variables: dict[str, object], key: str) -> Request:
        """A GET of a trusted document, as storefronts send it."""
        sha256 = hashlib.sha256(document.encode()).hexdigest()
        asked = urlencode({"documentId": f"sha256:{sha256}", "variables": orjson.dumps(variables).decode()})
        head = (
            f"GET /graphql?{asked} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
            "accept: application/json\r\n\r\n"
        )
        return cls(head.encode(), b"")


@dataclass(frozen=True)
class Round:
    """One round: CPU and latency of a request."""

    cpu_us: float
    postgresql_us: float
    per_second: float
    p50_ms: float
    p99_ms: float


class _Connection(asyncio.Protocol):
    """Sends the next request when the last is answered, until there is none or the time is over.

    Speaks just enough HTTP.
    """

    def __init__(self, requests: Iterator[Request], ends: float, hear: Callable[[bytes], None] | None) -> None:
        self._requests = requests
        self._ends = ends
        self._hear = hear
        self._left = 0  # bytes of the body that are yet to come
        self._head = b""
        self.took: list[float] = []
        self.body = bytearray()
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._send(next(self._requests))

    def data_received(self, data: bytes) -> None:
        if not self._left:
            head, found, data = (self._head + data).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                return
            self._head = b""
            self._left = _length(head)
            self.body.clear()
        self.body += data
        self._left -= len(data)
        if not self._left:
            self._answered()

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(problem or ConnectionError("the server closed the connection"))

    def _send(self, request: Request) -> None:
        self._began = time.perf_counter()
        self._transport.write(request.head + request.body)

    def _answered(self) -> None:
        now = time.perf_counter()
        self.took.append((now - self._began) * 1000)
        if self._hear is not None:
            self._hear(bytes(self.body))
        if b'"errors":' in self.body:
            self.over.set_exception(AssertionError(bytes(self.body[:500])))
        elif now < self._ends and (request := next(self._requests, None)) is not None:
            self._send(request)
            return
        else:
            self.over.set_result(None)
        self._transport.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    assert lines[0].endswith(b" 200 ok"), head
    return next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))


async def asked(port: int, request: Request) -> Any:
    """The data that a server answers."""
    connection = await _connected(port, iter([request]), 0.0)
    await connection.over
    return orjson.loads(connection.body)["data"]


async def round_of(
    port: int,
    pid: int,
    postmaster: int | None,
    requests: Sequence[Request],
    seconds: float,
    *,
    clients: int = CONNECTIONS,
) -> Round:
    """Every connection begins elsewhere among the requests, and goes round.

    postmaster  of the PostgreSQL whose backends count too
    """
    turns = [islice(cycle(requests), n * len(requests) // clients, None) for n in range(clients)]
    return await _round(port, pid, postmaster, turns, seconds, None)


async def once_each(
    port: int,
    pid: int,
    postmaster: int | None,
    requests: Sequence[Request],
    seconds: float = math.inf,
    *,
    clients: int,
    hear: Callable[[bytes], None] | None = None,
) -> Round:
    """Every request is sent by one of the connections, until all are or the time is over.  hear  each answer"""
    left = iter(requests)
    return await _round(port, pid, postmaster, [left] * clients, seconds, hear)


async def _round(
    port: int,
    pid: int,
    postmaster: int | None,
    turns: Sequence[Iterator[Request]],
    seconds: float,
    hear: Callable[[bytes], None] | None,
) -> Round:
    cpu, backends, began = cpu_seconds_now(pid), _backends(postmaster), time.perf_counter()
    connections = [await _connected(port, requests, began + seconds, hear) for requests in turns]
    await asyncio.gather(*(connection.over for connection in connections))
    lasted = time.perf_counter() - began
    cpu, after = cpu_seconds_now(pid) - cpu, _backends(postmaster)
    took = sorted(ms for connection in connections for ms in connection.took)
    return Round(
        cpu_us=cpu * 1e6 / len(took),
        postgresql_us=sum(spent - backends.get(pid, 0.0) for pid, spent in after.items()) * 1e6 / len(took),
        per_second=len(took) / lasted,
        p50_ms=statistics.median(took),
        p99_ms=took[int(len(took) * 0.99)],
    )


async def _connected(
    port: int, requests: Iterator[Request], ends: float, hear: Callable[[bytes], None] | None = None
) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: _Connection(requests, ends, hear), "127.0.0.1", port)
    return connection


def _backends(postmaster: int | None) -> dict[int, float]:
    return {pid: cpu_seconds_now(pid) for pid in children(postmaster)} if postmaster else {}
