"""A line between a client and the API, which can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Passes on what both sides say; `cut` leaves both without a goodbye."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = parts.hostname, parts.port
        self._ends: set[asyncio.StreamWriter] = set()
        self.url = ""

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            api_reader, api_writer = await asyncio.open_connection(*self._target)
            self._ends |= {writer, api_writer}
            try:
                await asyncio.gather(_pass_on(reader, api_writer), _pass_on(api_reader, writer))
            finally:
                self._ends -= {writer, api_writer}
                api_writer.transport.abort()
        writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """A line on a port of its own to the server at `url`."""
    line = Line(url)
    server = await asyncio.start_server(line.connected, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
    try:
        yield line
    finally:
        server.close()
        line.cut()
