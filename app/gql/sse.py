"""GraphQL over server-sent events, distinct connections: one request, one stream, resumed by `Last-Event-ID`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

from app.gql import faults
from app.gql.caller import Caller
from app.gql.execution import Answer, Ended
from app.gql.streams import Streams, ended_in_time
from app.kernel.clock import Clock
from app.kernel.ids import uuid7

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEARTBEAT_SECONDS = 15.0

# Proxies must pass every event on at once.
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

# Browsers drop an event without a data line.
_COMPLETE = b"event: complete\ndata:\n\n"
_HEARTBEAT = b":\n\n"


class EventStream:
    """One open stream of events."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def caller(self) -> Caller:
        return self._caller

    def close(self, code: int, reason: str) -> None:
        """Cut the stream. Without `complete`, so that the client connects again and is told more by a status code."""
        if not self.over.done():
            self.over.set_result(None)


async def once(answer: Awaitable[Answer]) -> AsyncGenerator[Answer, None]:
    """A query or mutation as a stream of one answer."""
    yield await answer


def next_event(answer: Answer) -> bytes:
    """One answer as an event. Its position is its id, which clients send back as Last-Event-ID."""
    id_ = f"id: {answer.cursor}\n" if answer.cursor and answer.cursor.isprintable() else ""
    return b"event: next\n" + id_.encode() + b"data: " + answer.encoded + b"\n\n"


async def send_events(
    answers: AsyncGenerator[Answer, None],
    caller: Caller,
    streams: Streams,
    clock: Clock,
    receive: Receive,
    send: Send,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> None:
    """Send the answers until they end, the client leaves, or the caller's credential expires or is revoked."""
    stream = EventStream(caller)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        async with aclosing(answers):
            with streams.entered(stream), ended_in_time(stream, clock):
                await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
                await _send(send, _HEARTBEAT)  # proxies and clients learn at once that the stream is open
                try:
                    await _send_all(answers, stream, gone, send, heartbeat)
                except Exception as problem:  # cut without `complete`: the client comes back where it was
                    faults.masked(str(uuid7()), problem)
                await _send(send, b"", more=False)
    finally:
        gone.cancel()


async def _send_all(
    answers: AsyncGenerator[Answer, None],
    stream: EventStream,
    gone: asyncio.Future[None],
    send: Send,
    heartbeat: float,
) -> None:
    upcoming = asyncio.ensure_future(anext(answers, None))
    try:
        while True:
            waited: set[asyncio.Future[Any]] = {upcoming, gone, stream.over}
            done, _ = await asyncio.wait(waited, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
            if gone in done or stream.over in done:
                return
            if upcoming not in done:
                await _send(send, _HEARTBEAT)
                continue
            try:
                answer = upcoming.result()
            except Ended as ended:
                if ended.is_of_the_credential:
                    return
                await _send(send, next_event(Answer.of_errors(ended.errors)))
                answer = None
            if answer is None:
                await _send(send, _COMPLETE)
                return
            await _send(send, next_event(answer))
            upcoming = asyncio.ensure_future(anext(answers, None))
    finally:
        upcoming.cancel()
        with suppress(asyncio.CancelledError, Ended, StopAsyncIteration):
            await upcoming


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    # Not for ever, when the peer has stopped reading: the server ends such a connection.
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
