"""The server's end, and peers that read nothing, over real sockets."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
import websockets
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app import serving
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Settings


class Toy:
    """An application whose sockets push without end, and which remembers what happened."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.open_sockets = 0
        self.app = Starlette(
            routes=[Route("/", self.answer), Route("/slow", self.slow), WebSocketRoute("/push", self.push)],
            lifespan=self.lifespan,
        )
        self.app.state.before_exit = [self.drain]

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self.happened.append("closed")

    async def answer(self, _: object) -> PlainTextResponse:
        return PlainTextResponse("here")

    async def slow(self, _: object) -> PlainTextResponse:
        await asyncio.sleep(0.5)
        return PlainTextResponse("done")

    async def push(self, ws: WebSocket) -> None:
        await ws.accept()
        self.open_sockets += 1
        try:
            while True:
                await ws.send_text("x" * 65536)
                await asyncio.sleep(0)
        finally:
            self.open_sockets -= 1

    async def drain(self, seconds: float) -> None:
        self.happened.append("draining")
        await asyncio.sleep(min(seconds, 0.2))
        self.happened.append("drained")


@contextlib.asynccontextmanager
async def served(toy: Toy, **settings: float) -> AsyncIterator[tuple[serving.DrainingServer, str]]:
    listener = serving.listen("127.0.0.1", 0)
    server = serving.server_for(toy.app, Settings(**settings))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server, serving.address_of(listener)
    finally:
        server.hurry()
        await task


async def test_it_stops_listening_then_drains_then_closes():
    toy = Toy()
    async with served(toy, drain_seconds=2) as (server, address), httpx2.AsyncClient() as client:
        slow = asyncio.create_task(client.get(f"{address}/slow"))
        await asyncio.sleep(0.1)

        server.stop()
        while not toy.happened:
            await asyncio.sleep(0.01)

        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]))
        assert (await slow).text == "done"
    assert toy.happened == ["draining", "drained", "closed"]


async def test_a_hurried_end_waits_for_nothing_but_still_closes():
    toy = Toy()
    began = time.monotonic()
    async with served(toy, drain_seconds=60) as (server, address), httpx2.AsyncClient() as client:
        slow = asyncio.create_task(client.get(f"{address}/slow"))
        await asyncio.sleep(0.1)
        server.stop()
        server.hurry()
        await asyncio.gather(slow, return_exceptions=True)

    assert "closed" in toy.happened
    assert time.monotonic() - began < 10


async def test_a_peer_that_reads_nothing_is_let_go():
    toy = Toy()
    async with served(toy, socket_ping_seconds=0.5) as (_, address):
        port = int(address.rsplit(":", 1)[1])
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(
            b"GET /push HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with asyncio.timeout(10):
            while toy.open_sockets == 0:
                await asyncio.sleep(0.01)
            while toy.open_sockets == 1:
                await asyncio.sleep(0.05)
        peer.close()


async def test_frames_are_not_compressed():
    async with served(Toy()) as (_, address), websockets.connect(address.replace("http", "ws") + "/push") as client:
        assert client.protocol.extensions == []


def test_an_address_that_is_not_ours_is_refused_by_name():
    with pytest.raises(OperatorProblem, match=r"ORDERWIRE_HOST is 192\.0\.2\.1, which cannot be listened on"):
        serving.listen("192.0.2.1", 0)
