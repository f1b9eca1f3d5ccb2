"""GraphQL over server-sent events, distinct connections: one request, one stream, resumed by `Last-Event-ID`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

from app.gql import faults, frames
from app.gql.caller import Caller
from app.gql.context import Context
from app.gql.execution import Answer, Ended, Graph
from app.gql.groups import Seat, Wire
from app.gql.streams import Streams, ended_in_time
from app.kernel.clock import Clock
from app.kernel.ids import uuid7
from app.live.outage import give_way

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
    """One open stream of events.

    seat  where a group may tell of them
    """

    def __init__(self, caller: Caller, seat: Seat | None = None) -> None:
        self._caller = caller
        self._seat = seat
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def caller(self) -> Caller:
        return self._caller

    def close(self, code: int, reason: str) -> None:
        """Cut the stream. Without `complete`, so that the client connects again and is told more by a status code."""
        if not self.over.done():
            self.over.set_result(None)
        if self._seat is not None:
            self._seat.leave()


class EventSeat(Seat):
    """A stream of events, told by a group."""

    __slots__ = ("_let_go", "_wire")

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self._let_go: asyncio.Future[None] | None = None

    def tell(self, answer: Answer, made: dict[str | None, bytes]) -> bool:
        event = made.get(None)
        if event is None:
            event = made[None] = frames.chunk(next_event(answer))
        return self._wire.write(event)

    def go_on(self) -> None:
        if self._let_go is not None and not self._let_go.done():
            self._let_go.set_result(None)

    async def let_go(self) -> None:
        """Return once the group has let it go."""
        if self.rest is None:
            self._let_go = asyncio.get_running_loop().create_future()
            await self._let_go


async def told(
    answers: AsyncGenerator[Answer, None], seat: EventSeat, graph: Graph, new_context: Callable[[], Context]
) -> AsyncGenerator[Answer, None]:
    """The answers of a subscription, but for those that a group tells in between."""
    try:
        while True:
            async with aclosing(answers):
                async for answer in answers:
                    yield answer
            if seat.group is None and seat.rest is None:
                return
            give_way()
            await seat.let_go()
            rest, seat.rest = seat.rest, None
            assert rest is not None, "who has left is not waited for"
            answers = graph.go_on(rest, new_context, seat)
    finally:
        seat.leave()


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
    seat: EventSeat | None = None,
) -> None:
    """Send the answers until they end, the client leaves, or the caller's credential expires or is revoked.

    seat  where a group may tell what is not among the answers
    """
    stream = EventStream(caller, seat)
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
