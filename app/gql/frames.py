"""Frames of the graphql-transport-ws protocol: read with suspicion, written as text."""

from __future__ import annotations

from typing import Any

import orjson

from app.gql.faults import Mistake
from app.gql.payload import decode

PROTOCOL = "graphql-transport-ws"
ID_LENGTH_MAX = 255
REASON_BYTES_MAX = 123

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INITIALISATION_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITIALISATIONS = 4429

# By RFC 6455: a last frame with text; and the lengths that say how many bytes the length takes.
_WHOLE_TEXT = 0x81
_TWO_BYTES, _EIGHT_BYTES = 126, 127

_WITH_ID = ("subscribe", "complete")
_KNOWN = ("connection_init", "ping", "pong", *_WITH_ID)


class Closed(Exception):
    """The connection must be closed with this code, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = shortened(reason)


def shortened(reason: str) -> str:
    """As much of the reason as a close frame holds."""
    if len(reason.encode()) <= REASON_BYTES_MAX:
        return reason
    return reason.encode()[: REASON_BYTES_MAX - 3].decode("utf-8", "ignore") + "…"


def frame_in(message: dict[str, Any]) -> dict[str, Any]:
    """The frame in an ASGI message: an object with a known `type` and, where one is due, an `id`.  Raises Closed.

    How large a message may be is the server's to say, which gathers it.
    """
    text = message.get("text")
    if text is None:
        raise Closed(BAD_REQUEST, "Binary frames are not part of the protocol: send text.")
    try:
        frame = decode(text)
    except Mistake as mistake:
        raise Closed(BAD_REQUEST, mistake.errors[0]["message"]) from None
    if not isinstance(frame, dict):
        raise Closed(BAD_REQUEST, "A frame must be a JSON object with a `type`.")
    type_ = frame.get("type")
    if not isinstance(type_, str):
        raise Closed(BAD_REQUEST, "A frame must have a `type` that is a string.")
    if type_ not in _KNOWN:
        raise Closed(BAD_REQUEST, f"There is no frame of type {type_[:40]!r}.")
    if type_ in _WITH_ID:
        id_ = frame.get("id")
        if not isinstance(id_, str) or not 1 <= len(id_) <= ID_LENGTH_MAX:
            raise Closed(BAD_REQUEST, f"`{type_}` needs an `id` of 1 to {ID_LENGTH_MAX} characters.")
    if type_ not in ("subscribe", "complete") and not isinstance(frame.get("payload"), dict | None):
        raise Closed(BAD_REQUEST, f"The payload of `{type_}` must be an object, or left out.")
    return frame


def frame(type_: str, id_: str | None = None, payload: Any = None) -> str:
    """A frame to send, as text: a binary frame would not be understood."""
    body: dict[str, Any] = {"type": type_}
    if id_ is not None:
        body["id"] = id_
    if payload is not None:
        body["payload"] = payload
    return orjson.dumps(body).decode()


def next_frame(id_: str, payload: bytes) -> bytes:
    """The frame of an answer that is JSON already."""
    return b'{"type":"next","id":%b,"payload":%b}' % (orjson.dumps(id_), payload)


def chunk(body: bytes) -> bytes:
    """A piece of the body of an answer over HTTP/1.1 whose length nobody knows."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def on_the_wire(text: bytes) -> bytes:
    """The text as one WebSocket frame of a server: whole, not masked, not compressed."""
    size = len(text)
    if size < _TWO_BYTES:
        return bytes((_WHOLE_TEXT, size)) + text
    if size < 1 << 16:
        return bytes((_WHOLE_TEXT, _TWO_BYTES)) + size.to_bytes(2, "big") + text
    return bytes((_WHOLE_TEXT, _EIGHT_BYTES)) + size.to_bytes(8, "big") + text
