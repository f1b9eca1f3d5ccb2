"""No GraphQL, no log: uvicorn sends a text that lies ready to every open WebSocket. The limit of what it can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_open: set[Send] = set()


async def app(scope: Any, receive: Receive, send: Send) -> None:
    """A WebSocket hears every body that is posted; what it sends itself is answered with one text."""
    if scope["type"] == "websocket":
        await _listen(receive, send)
    elif scope["type"] == "http":
        text = (await receive())["body"].decode()
        for each in list(_open):
            await each({"type": "websocket.send", "text": text})
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _listen(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
    _open.add(send)
    try:
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
    finally:
        _open.discard(send)
