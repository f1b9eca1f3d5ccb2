"""A process full of WebSockets that only count what they hear: `python -m bench.watchers PORT SOCKETS HELLO…`.

Each socket sends its hellos, with its own number for {number}, one after every frame it hears, then listens. Standard
input takes commands, a line each; each is answered by a line of JSON.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import cast

import orjson

from bench.stage import OTHER_CORE

_BATCH = 50
_ORDER = re.compile(rb'"orderId":"([^"]+)"')
_NUMBER = b"{number}"
_TEXT, _PING = 0x81, 0x89
_TWO_BYTES, _EIGHT_BYTES = 126, 127


class Heard:
    """What all sockets have heard. By order, when each of them heard of it, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.ready = 0
        self.frames = 0
        self.lost = 0
        self.orders: dict[bytes, list[float]] = defaultdict(list)
        self.last = b""


class Watcher(asyncio.Protocol):
    """One socket. Speaks just enough of the protocol."""

    def __init__(self, port: int, hellos: Sequence[bytes], heard: Heard) -> None:
        self._handshake = (
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        ).encode()
        self._hellos = list(hellos)
        self._heard = heard
        self._open = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._handshake)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._open:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, data = True, rest
            self._say_hello()
        at = 0
        while (frame := _frame_at(data, at)) is not None:
            opcode, begin, at = frame
            self._take(opcode, data[begin:at])
        self._rest = data[at:]

    def connection_lost(self, problem: Exception | None) -> None:
        self._heard.lost += 1

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == _PING:
            self._transport.write(bytes((0x8A, 0x80 | len(body), 0, 0, 0, 0)) + body)
        elif opcode == _TEXT:
            heard = self._heard
            heard.frames += 1
            if self._hellos:
                self._say_hello()
            elif (order := _ORDER.search(body)) is not None:
                heard.orders[order[1]].append(time.monotonic())
                heard.last = body
            else:
                heard.ready += 1  # the answer to the last hello

    def _say_hello(self) -> None:
        body = self._hellos.pop(0)
        size = len(body)
        length = bytes((0x80 | size,)) if size < _TWO_BYTES else bytes((0x80 | _TWO_BYTES,)) + size.to_bytes(2, "big")
        self._transport.write(bytes((_TEXT,)) + length + bytes(4) + body)  # masked with zeros


def _frame_at(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Opcode, begin and end of the frame that begins there; None where it is not all there."""
    if len(data) < at + 2:
        return None
    size, begin = data[at + 1], at + 2
    if size == _TWO_BYTES:
        size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
    elif size == _EIGHT_BYTES:
        size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
    end = begin + size
    return (data[at], begin, end) if end <= len(data) else None


async def main(port: int, sockets: int, hellos: Sequence[bytes]) -> None:
    loop, heard = asyncio.get_running_loop(), Heard()
    for begun in range(0, sockets, _BATCH):
        for number in range(begun, min(begun + _BATCH, sockets)):
            own = [hello.replace(_NUMBER, b"%d" % number) for hello in hellos]
            await loop.create_connection(partial(Watcher, port, own, heard), "127.0.0.1", port)
        while heard.ready + heard.lost < min(begun + _BATCH, sockets):
            await asyncio.sleep(0.005)
    _tell({"ready": heard.ready})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for command in commands:
        match command.strip():
            case b"count":
                _tell({"orders": sum(map(len, heard.orders.values())), "lost": heard.lost})
            case b"orders":
                _tell({order.decode(): times for order, times in heard.orders.items()})
                heard.orders.clear()
            case b"last":
                _tell({"text": heard.last.decode()})


def _tell(answer: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    import os

    import uvloop

    os.sched_setaffinity(0, {OTHER_CORE})
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), [each.encode() for each in sys.argv[3:]]))
