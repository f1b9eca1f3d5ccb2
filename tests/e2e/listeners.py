"""Subscribers over server-sent events and real sockets, which note what they are told as those of WebSockets do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.devices import ORDERS, Device
from tests.running import Api


class Listener(Device):
    """One subscription as a stream of events.

    ids         as the events had them
    heartbeats  how many came
    completed   whether it was said that nothing more comes
    ended       whether the answer is at its end
    """

    def __init__(self, api: Api, key: str, version: str, buffer: int | None) -> None:
        super().__init__(None, "1")
        self.ids: list[str] = []
        self.heartbeats = 0
        self.completed = self.ended = False
        self._api = api
        self._key = key
        self._version = version
        self._buffer = buffer
        self._text = b""

    async def subscribe(self, query: str = ORDERS, *, last: str | None = None, **variables: Any) -> None:
        parts = urlsplit(self._api.url)
        own = socket.socket()
        if self._buffer is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        await asyncio.to_thread(own.connect, (parts.hostname, parts.port))
        self._reader, self._writer = await asyncio.open_connection(sock=own, limit=self._buffer or 2**16)
        body = json.dumps({"query": query, "variables": variables})
        head = [
            f"POST /graphql HTTP/{self._version}",
            f"Host: {parts.netloc}",
            f"Authorization: Bearer {self._key}",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            f"Content-Length: {len(body)}",
        ]
        if last is not None:
            head.append(f"Last-Event-ID: {last}")
        self._writer.write("\r\n".join([*head, "", body]).encode())
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert answer.startswith(b"http/1.1 200"), answer
        assert b"transfer-encoding: chunked" in answer
        self._listening = asyncio.create_task(self.listen())

    async def listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not self.ended:
                await self.reading.wait()
                size = int((await self._reader.readuntil(b"\r\n")), 16)
                piece = await self._reader.readexactly(size + 2)
                assert piece.endswith(b"\r\n")
                self.ended = size == 0
                self._hear(piece[:-2])
        self.ended = True

    def _hear(self, piece: bytes) -> None:
        *events, self._text = (self._text + piece).split(b"\n\n")
        for event in events:
            if event == b":":
                self.heartbeats += 1
                continue
            parts = [line.partition(":") for line in event.decode().split("\n")]
            fields = {name: text.removeprefix(" ") for name, _, text in parts}
            if fields["event"] == "complete":
                self.completed = True
                continue
            if "id" in fields:
                self.ids.append(fields["id"])
            self._take({"type": "next", "id": self.id, "payload": json.loads(fields["data"])})

    async def leave(self) -> None:
        self.reading.set()
        if hasattr(self, "_listening"):
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
            self._writer.transport.abort()


@asynccontextmanager
async def listener(api: Api, key: str, *, version: str = "1.1", buffer: int | None = None) -> AsyncIterator[Listener]:
    """Not subscribed yet.

    buffer  so many bytes of what it does not read wait on its side
    """
    found = Listener(api, key, version, buffer)
    try:
        yield found
    finally:
        await found.leave()
