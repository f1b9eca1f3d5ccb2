"""Subscribers over real sockets, which note what they are told of orders."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets

from app.protocols import WebSockets
from tests.running import Api

PROTOCOL = "graphql-transport-ws"
ORDERS = """
subscription Orders($ids: [ID!], $after: Cursor) {
  orderEvents(ids: $ids, after: $after) {
    __typename
    ... on OrderSnapshot { cursor orders { id version } }
    ... on OrderChange { cursor version orderId order { version lines(first: 50) { nodes { id skuCode } } } }
    ... on Reset { cursor reason }
  }
}
"""


class Device:
    """One subscription on a socket.

    versions  of each order, as they came
    closed    the code with which the server has closed the socket
    """

    def __init__(self, raw: Any, id_: str) -> None:
        self.raw = raw
        self.id = id_
        self.snapshots = 0
        self.cursor: str | None = None
        self.versions: dict[str, list[int]] = defaultdict(list)
        self.other: list[Any] = []
        self.closed: int | None = None
        self.reading = asyncio.Event()
        self.reading.set()

    @property
    def told(self) -> int:
        return sum(map(len, self.versions.values()))

    async def send(self, **frame: Any) -> None:
        await self.raw.send(json.dumps(frame))

    async def subscribe(self, query: str = ORDERS, **variables: Any) -> None:
        await self.send(id=self.id, type="subscribe", payload={"query": query, "variables": variables})

    async def listen(self) -> None:
        try:
            while True:
                await self.reading.wait()
                self._take(json.loads(await self.raw.recv()))
        except websockets.ConnectionClosed:
            self.closed = self.raw.close_code

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "next" or frame["id"] != self.id or "errors" in frame["payload"]:
            self.other.append(frame)
            return
        (item,) = frame["payload"]["data"].values()
        self.cursor = item["cursor"]
        match item["__typename"]:
            case "OrderSnapshot":
                self.snapshots += 1
            case "OrderChange":
                self.versions[item["orderId"]].append(item["version"])
            case _:
                self.other.append(item)


@asynccontextmanager
async def device(api: Api, key: str, id_: str = "1", *, buffer: int | None = None) -> AsyncIterator[Device]:
    """A socket that has been let in.

    buffer  so many bytes of what it does not read wait on its side
    """
    parts = urlsplit(api.socket_url)
    own = socket.socket()
    if buffer is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await asyncio.to_thread(own.connect, (parts.hostname, parts.port))
    options: dict[str, Any] = {"max_queue": 1} if buffer is not None else {}
    async with websockets.connect(
        api.socket_url, subprotocols=[PROTOCOL], compression=None, sock=own, **options
    ) as raw:
        found = Device(raw, id_)
        await found.send(type="connection_init", payload={"authorization": f"Bearer {key}"})
        assert json.loads(await raw.recv())["type"] == "connection_ack"
        listening = asyncio.create_task(found.listen())
        try:
            yield found
        finally:
            found.reading.set()
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


async def until(done: Callable[[], Any], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.01)


async def seated(api: Api, number: int) -> None:
    await until(lambda: api.services.groups.seats == number)


def small_buffers(
    monkeypatch: pytest.MonkeyPatch, protocol: type[Any] = WebSockets, begins: str = "handle_connect"
) -> None:
    """Have sockets accepted from now on hold little of what their peers do not read."""
    usual = getattr(protocol, begins)

    def begin(self: Any, *given: Any) -> None:
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.transport.set_write_buffer_limits(high=4096)
        usual(self, *given)

    monkeypatch.setattr(protocol, begins, begin)
