"""Bytes on a socket, as no well-behaved client would send them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.gql.frames import PROTOCOL

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
INIT = b'{"type":"connection_init"}'


def upgrade(method: str = "GET", path: str = "/graphql", *, version: str = "HTTP/1.1", **headers: str | None) -> bytes:
    """A request for a WebSocket. A header given as None is left out."""
    given: dict[str, str | None] = {
        "host": "orderwire",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
        "sec-websocket-protocol": PROTOCOL,
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in given.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(opcode: int, data: bytes, *, fin: bool = True, reserved: int = 0, mask: bool = True) -> bytes:
    head = bytes([fin << 7 | reserved << 4 | opcode])
    masked = mask << 7
    if len(data) < 126:
        head += bytes([masked | len(data)])
    elif len(data) < 1 << 16:
        head += struct.pack("!BH", masked | 126, len(data))
    else:
        head += struct.pack("!BQ", masked | 127, len(data))
    return head + (b"\0\0\0\0" if mask else b"") + data


def subscribe(query: str, id_: str = "1") -> bytes:
    return frame(TEXT, b'{"type":"subscribe","id":"%s","payload":{"query":"%s"}}' % (id_.encode(), query.encode()))


@dataclass
class Line:
    """A connection to the server, and what came back over it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.writer.write(chunk)
        await self.writer.drain()

    async def status(self) -> int:
        """The status of the answer to come, after its headers."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        return int(head.split(b" ", 2)[1])

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 15, await self.reader.readexactly(length)

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes, whatever it says before."""
        while True:
            opcode, data = await self.frame()
            if opcode == CLOSE:
                return (struct.unpack("!H", data[:2])[0] if data else 1005), data[2:].decode()

    async def to_the_end(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    def reset(self) -> None:
        """Gone, as after a crash: with RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[Line]:
    """A WebSocket after its connection_ack."""
    async with line(port) as opening:
        await opening.send(upgrade())
        assert await opening.status() == 101
        await opening.send(frame(TEXT, INIT))
        assert await opening.frame() == (TEXT, b'{"type":"connection_ack"}')
        yield opening


@dataclass
class Log:
    """What was logged meanwhile."""

    ours: list[Any] = field(default_factory=list)
    standard: list[Any] = field(default_factory=list)

    @property
    def troubles(self) -> list[Any]:
        """Tracebacks, errors, and what asyncio complains of."""
        return [each for each in self.ours if each["log_level"] == "error" or each.get("exc_info")] + [
            record.getMessage()
            for record in self.standard
            if record.exc_info or record.levelname in ("ERROR", "CRITICAL") or record.name == "asyncio"
        ]


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    with capture_logs() as ours, caplog.at_level("WARNING"):
        yield Log(ours, caplog.records)
