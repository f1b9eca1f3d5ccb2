"""uvicorn's two protocols with what they lack: a plain answer to whatever is no handshake or no frame, and an end.

A peer that takes nothing is ended by the system (`serving.STALLED_SECONDS`), one that answers no ping by `WebSockets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.gql.groups import WIRE

HEAD_BYTES_MAX = 64 * 1024
LINGER_SECONDS = 10.0
DISCARD_SECONDS = 2.0

INVALID_DATA = 1007
# Not 1011, uvicorn's own choice, which clients of graphql-transport-ws take for final.
TRY_AGAIN_LATER = 1013

_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 56\r\nconnection: close\r\n\r\nThe request line and its headers take more than 64 kB.\r\n"
)


class Http(HttpToolsProtocol):
    """HTTP/1.1 that reads a head of bounded size: the parser would gather headers without end."""

    _head_bytes: int | None = None  # of a head that is not complete yet, without its first chunk
    _refused = False

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        within_head = self._head_bytes is not None
        super().data_received(data)
        if within_head and self._head_bytes is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refused = True
                _end(self.transport, _HEAD_TOO_LARGE)
                self.loop.call_later(DISCARD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()
        extensions: Any = {WIRE: self.wire_of}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.scope is not None:  # no circle that only garbage collection would free
            self.scope.pop("extensions", None)

    def wire_of(self, scope: MutableMapping[str, Any]) -> Chunks | None:
        """The application's short way to the client of a request, for an answer without an end in sight."""
        cycle = self.cycle
        return Chunks(cycle) if cycle.scope is scope and scope["http_version"] == "1.1" else None


class Chunks:
    """`app.gql.groups.Wire`: pieces of the one answer that is under way, not past what the peer has yet to read."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def write(self, frame: bytes) -> bool:
        cycle = self._cycle
        if (
            not cycle.chunked_encoding
            or cycle.response_complete
            or cycle.flow.write_paused
            or cycle.transport.is_closing()
        ):
            return False
        cycle.transport.write(frame)
        return True


class WebSockets(WebSocketsSansIOProtocol):
    """WebSockets that tell every peer why they close, and let go of those that do not answer."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.queue = Inbox()  # type: ignore[assignment]
        self.writable = Gate()  # type: ignore[assignment]

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete and not self.conn.extensions:
            self.scope["extensions"][WIRE] = self  # type: ignore[assignment]

    def write(self, frame: bytes) -> bool:
        """The application's short way, `app.gql.groups.Wire`; not past what the peer has yet to read."""
        if self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if (scope := getattr(self, "scope", None)) is not None:  # no circle that only garbage collection would free
            scope["extensions"].pop(WIRE, None)

    def data_received(self, data: bytes) -> None:
        if self.conn.parser_exc is not None:  # it was told, and goes on sending what it had begun
            self.conn.receive_data(data)
            return
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self._refuse_handshake(self.conn.handshake_exc)

    def _refuse_handshake(self, problem: Exception) -> None:
        """What the stricter of the two parsers does not take, such as too many headers: it says nothing by itself."""
        response = self.conn.reject(HTTPStatus.BAD_REQUEST, f"This is no WebSocket handshake: {problem}.\n")
        self.handshake_complete = self.close_sent = True
        self.transport.write(response.serialize())
        self.transport.close()

    def handle_parser_exception(self) -> None:
        """Say why, then read on for a moment."""
        told = self.conn.close_sent
        assert told is not None
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": told.code, "reason": told.reason})
        self.close_sent = True
        _end(self.transport, b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(DISCARD_SECONDS, self.transport.close)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(self.frames):
            self.frames = []
            self.conn.fail(INVALID_DATA, "A text frame must be UTF-8.")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        """Raises ClientDisconnected once the socket is closed, from whichever side, instead of an error to log."""
        await self.writable.wait()
        if self.transport.is_closing() or (self.close_sent and self.handshake_complete):
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.accept":
            # Of its handshake an open socket has no further use.
            self.scope["headers"] = []
            self.request = self.response = None  # type: ignore[assignment]

    def keepalive_timeout(self) -> None:
        """The peer answered no ping. The transport is cut off: closing it would wait for the peer to read the rest."""
        self.pong_timer = self.pending_ping_payload = None
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(TRY_AGAIN_LATER, "You did not answer a ping: connect again.")
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.abort()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """A peer that reads nothing would keep a closed socket open as well."""
        super().on_task_complete(task)
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


class Inbox:
    """What a socket has received, for its one reader: what asyncio.Queue does, without the 2 kB it takes."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)


class Gate:
    """asyncio.Event, likewise: open most of the time, and then nobody waits."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._opened is None

    def set(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        self._opened = None

    def clear(self) -> None:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        while self._opened is not None:
            await asyncio.shield(self._opened)  # one who gives up is not alone in waiting


def _end(transport: asyncio.Transport, last_words: bytes) -> None:
    """The last that is sent. Reading goes on: a peer that is still sending would see a reset connection instead."""
    transport.write(last_words)
    if transport.can_write_eof():
        transport.write_eof()


def _is_utf8(frames: list[bytes]) -> bool:
    try:
        b"".join(frames).decode()
    except UnicodeDecodeError:
        return False
    return True
