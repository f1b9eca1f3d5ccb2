"""graphql-transport-ws over a bare ASGI WebSocket: queries, mutations and subscriptions, several at once.

One task reads frames, one task runs each operation. A failing operation gets an `error` frame under its id and leaves
the others alone; only a frame that is no frame at all closes the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

import structlog
from graphql import OperationType

from app.gql import faults, frames
from app.gql.caller import Caller
from app.gql.door import Headers, House, credential_in, credential_in_payload, is_same_origin
from app.gql.execution import Answer, Ended
from app.gql.faults import Mistake
from app.gql.frames import Closed, frame, frame_in, next_frame
from app.gql.groups import WIRE, Seat, Wire
from app.gql.payload import request_of
from app.gql.sse import once
from app.gql.streams import end_in_time
from app.kernel import access_log
from app.kernel.clock import Alarm
from app.kernel.errors import Unauthenticated
from app.kernel.ids import uuid7
from app.kernel.principal import ANONYMOUS
from app.kernel.request import Request, tell
from app.live.outage import is_outage

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPERATIONS_MAX = 100
INIT_SECONDS = 10.0
SEND_SECONDS = 10.0

# Clients come back by themselves after it; 1011 they would take for final.
TRY_AGAIN_LATER = 1013

log = structlog.get_logger("orderwire.gql")


class GraphQLWebSocket:
    """The endpoint for WebSockets."""

    def __init__(
        self,
        house: House,
        *,
        operations_max: int = OPERATIONS_MAX,
        init_seconds: float = INIT_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._house = house
        self._operations_max = operations_max
        self._init_seconds = init_seconds
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers: Headers = dict(scope["headers"])
        if frames.PROTOCOL not in scope.get("subprotocols", ()):
            # Accepted first: a browser is shown the code and the reason of an open socket only.
            await send({"type": "websocket.accept"})
            reason = f"Ask for the subprotocol {frames.PROTOCOL}; the older graphql-ws is not served."
            await send({"type": "websocket.close", "code": frames.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            return
        try:
            allowed = await self._allows(headers)
        except Exception as problem:
            closed = _closed_by(problem)
            await send({"type": "websocket.accept", "subprotocol": frames.PROTOCOL})
            await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
            return
        if not allowed:
            await send({"type": "websocket.close", "code": 1008, "reason": "origin"})  # before accept: an HTTP 403
            return
        await send({"type": "websocket.accept", "subprotocol": frames.PROTOCOL})
        wire: Wire | None = scope.get("extensions", {}).get(WIRE)
        connection = Connection(
            self._house, headers, receive, send, wire, self._operations_max, self._init_seconds, self._send_seconds
        )
        await connection.serve()

    async def _allows(self, headers: Headers) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1")
        return not origin or is_same_origin(headers, origin) or await self._house.allow_origin(origin, None)


class PeerGone(Exception):
    """Nothing can be sent any more: the peer has left, or does not read."""


def _closed_by(problem: Exception) -> Closed:
    """How a socket closes that cannot be served at the moment: in a way that makes its client come back."""
    if is_outage(problem):
        return Closed(TRY_AGAIN_LATER, "The database cannot be reached for the moment: connect again.")
    reference = str(uuid7())
    faults.masked(reference, problem)
    return Closed(TRY_AGAIN_LATER, f"Something went wrong on our side: {reference}")


class Connection:
    """One socket, from its acceptance to its end.

    An open one may hear nothing for hours, so it holds little: no task but the one it is served in, nothing of its
    handshake, and of a subscription that a group tells only its seat.
    """

    __slots__ = (
        "_alarm",
        "_caller",
        "_closed",
        "_headers",
        "_house",
        "_operations",
        "_operations_max",
        "_raw_send",
        "_ready",
        "_receive",
        "_send_seconds",
        "_timer",
        "_until",
        "wire",
    )

    def __init__(
        self,
        house: House,
        headers: Headers,
        receive: Receive,
        send: Send,
        wire: Wire | None,
        operations_max: int,
        init_seconds: float,
        send_seconds: float,
    ) -> None:
        self._house = house
        self._headers = headers
        self._receive = receive
        self._raw_send = send
        self.wire = wire
        self._operations_max = operations_max
        self._send_seconds = send_seconds
        self._caller = Caller(ANONYMOUS)
        self._ready = False
        self._alarm: Alarm | None = None
        self._operations: dict[str, asyncio.Task[None] | _Seat] = {}
        self._closed: Closed | None = None
        self._until: asyncio.Timeout | None = None  # closed, while it is served
        reason = f"Send connection_init within {init_seconds:g} seconds."
        loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = loop.call_later(
            init_seconds, self.close, frames.INITIALISATION_TIMEOUT, reason
        )

    @property
    def caller(self) -> Caller:
        return self._caller

    def close(self, code: int, reason: str) -> None:
        if self._closed is None:
            self._closed = Closed(code, reason)
            for operation in self._operations.values():
                if isinstance(operation, _Seat):
                    operation.leave()
            if self._until is not None:
                with suppress(RuntimeError):  # it has ended already
                    self._until.reschedule(0.0)

    async def serve(self) -> None:
        leave, reading = self._house.streams.enter(self), None
        try:
            async with asyncio.timeout(None) as self._until:
                if self._closed is not None:
                    return
                # Apart: to be let in one may have to wait for a database that hangs, and is told to come back even so.
                reading = asyncio.ensure_future(self._read(until_ready=True))
                await asyncio.wait([reading])
                if self._ready:
                    reading = None
                    await self._read()
        except TimeoutError:
            pass
        finally:
            leave()
            self._let_in()
            if self._alarm is not None:
                self._alarm.cancel()
            tasks = [] if reading is None else [reading]
            for operation in self._operations.values():
                if isinstance(operation, _Seat):
                    operation.end()
                else:
                    tasks.append(operation)
            for task in tasks:
                task.cancel()
            # Not after they have ended: one may wait for a database that hangs.
            if self._closed is not None:
                await self._say_goodbye(self._closed)
            await _stopped(tasks)

    async def _read(self, *, until_ready: bool = False) -> None:
        """Handle frames until the peer leaves, or is let in."""
        try:
            while self._closed is None and (message := await self._receive())["type"] != "websocket.disconnect":
                await self._handle(frame_in(dict(message)))
                if until_ready and self._ready:
                    return
        except Closed as closed:
            self.close(closed.code, closed.reason)
        except PeerGone:
            return
        except Exception as problem:  # the last wall: a fault closes the socket in order, with a reference
            ending = _closed_by(problem)
            self.close(ending.code, ending.reason)

    def _let_in(self) -> None:
        """No more waiting for `connection_init`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _handle(self, received: dict[str, Any]) -> None:
        match received["type"]:
            case "subscribe":
                await self._begin(received["id"], received.get("payload"))
            case "complete":
                operation = self._operations.pop(received["id"], None)
                if isinstance(operation, _Seat):
                    operation.end()
                elif operation is not None:
                    operation.cancel()
            case "ping":
                await self._send(_pong(received.get("payload")))
            case "connection_init":
                await self._initialise(received.get("payload") or {})

    async def _initialise(self, payload: dict[str, Any]) -> None:
        if self._ready:
            raise Closed(frames.TOO_MANY_INITIALISATIONS, "connection_init was sent before.")
        try:
            credential = credential_in_payload(payload) or credential_in(self._headers)
            self._caller = await self._house.authenticate(credential)
        except Unauthenticated as problem:
            raise Closed(frames.UNAUTHORIZED, str(problem)) from None
        await self._check_channel()
        self._ready = True
        self._headers = {}
        self._let_in()
        self._alarm = end_in_time(self, self._house.clock)
        await self._send(frame("connection_ack"))

    async def _check_channel(self) -> None:
        origin = self._headers.get(b"origin", b"").decode("latin-1")
        channel = self._caller.principal.channel_id
        if channel is None or not origin or is_same_origin(self._headers, origin):
            return
        if not await self._house.allow_origin(origin, channel):
            raise Closed(frames.UNAUTHORIZED, f"This key's channel does not list the origin {origin}.")

    async def _begin(self, id_: str, payload: Any) -> None:
        if not self._ready:
            raise Closed(frames.UNAUTHORIZED, "Send connection_init and wait for connection_ack before you subscribe.")
        if id_ in self._operations:
            raise Closed(frames.SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists")
        if len(self._operations) >= self._operations_max:
            # Within the reading task: who sends on without reading the refusals is not read from either.
            await self._refuse_for_now(id_)
            return
        self._start(id_, self._operate(id_, payload))

    def _start(self, id_: str, operating: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(operating)
        self._operations[id_] = task
        task.add_done_callback(lambda done: self._done(id_, done))

    def _done(self, id_: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(id_) is task:
            del self._operations[id_]
        if not task.cancelled() and (problem := task.exception()) is not None and not isinstance(problem, PeerGone):
            log.error("fault", exc_info=problem)

    def go_on(self, seat: _Seat) -> None:
        """Have the operation tell by itself again what its group no longer does."""
        if self._operations.get(seat.id) is seat:
            self._start(seat.id, self._follow(seat, seat.operation))

    async def _refuse_for_now(self, id_: str) -> None:
        message = f"{self._operations_max} operations run on this connection already: complete some, or open another."
        await self._send(frame("error", id_, [{"message": message, "extensions": {"code": "TOO_MANY_OPERATIONS"}}]))

    async def _operate(self, id_: str, payload: Any) -> None:
        """Run one operation to its end: `next` frames and `complete`, or `error`."""
        operation = access_log.SocketOperation()
        seat = _Seat(self, id_, operation) if self.wire is not None else None
        await self._follow(seat, operation, id_, payload)

    async def _follow(
        self, seat: _Seat | None, operation: access_log.SocketOperation, id_: str = "", payload: Any = None
    ) -> None:
        """Send the answers of an operation, or what its seat has left, until it ends or has a seat."""
        if seat is not None:
            id_ = seat.id
        try:
            with operation.under_way() as logged:
                last = await self._last_frame(id_, payload, seat, logged)
                if last is None and seat is not None and seat.group is not None:
                    if self._operations.get(id_) is not asyncio.current_task():
                        raise asyncio.CancelledError  # it was completed, and a driver has kept that to itself
                    operation.lay_aside()
                    self._operations[id_] = seat
                    return
        except BaseException:
            if seat is not None:
                seat.leave()
            raise
        if last is not None:
            # Free before the client hears of it: it may use the id again at once.
            self._operations.pop(id_, None)
            await self._send(last)

    async def _last_frame(self, id_: str, payload: Any, seat: _Seat | None, logged: Request) -> str | None:
        """Send the operation's answers; what to send last, None where the socket is closed instead, or a seat taken."""
        try:
            answers = self._answers(payload, seat)
            while True:
                async with aclosing(answers):
                    async for answer in answers:
                        if not answer.began:
                            raise Ended(answer.body["errors"])
                        await self._send(next_frame(id_, answer.encoded).decode())
                if seat is None or (seat.group is None and seat.rest is None):
                    return frame("complete", id_)
                if seat.rest is None:
                    return None
                answers = self._rest(seat)
        except Mistake as mistake:
            logged.status = mistake.status
            return frame("error", id_, mistake.errors)
        except Ended as ended:
            if ended.is_of_the_credential:
                # An `error` frame would be final; 4403 makes clients come back with fresh parameters.
                logged.status = 403
                self.close(frames.FORBIDDEN, str(ended))
                return None
            logged.status = 400
            return frame("error", id_, ended.errors)
        except PeerGone:
            raise
        except Exception as problem:
            logged.status = 500
            return frame("error", id_, [faults.told(problem, str(uuid7()))])

    def _answers(self, payload: Any, seat: _Seat | None) -> AsyncGenerator[Answer, None]:
        """What is to be sent: the rest, where a group had the seat before.  Raises Mistake."""
        if seat is not None and seat.rest is not None:
            return self._rest(seat)
        house, caller = self._house, self._caller
        request = request_of(payload)
        operation = house.graph.operation(request)
        tell(operation.name, operation.kind)
        cost = house.graph.admit(operation, request.variables, caller.principal)
        if operation.type is not OperationType.SUBSCRIPTION:
            return once(house.graph.run(operation, request.variables, house.new_context(caller), cost))
        return house.graph.stream(operation, request.variables, lambda: house.new_context(caller), seat=seat)

    def _rest(self, seat: _Seat) -> AsyncGenerator[Answer, None]:
        house, caller = self._house, self._caller
        rest, seat.rest = seat.rest, None
        assert rest is not None
        return house.graph.go_on(rest, lambda: house.new_context(caller), seat)

    async def _send(self, text: str) -> None:
        """Send a frame; a peer that takes none for ten seconds is given up.  Raises PeerGone."""
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._raw_send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.close(TRY_AGAIN_LATER, "You do not read what is sent: connect again when you can.")
            raise PeerGone from None
        except OSError:
            raise PeerGone from None

    async def _say_goodbye(self, closed: Closed) -> None:
        with suppress(Exception):  # the peer may be gone already; there is nobody left to tell
            async with asyncio.timeout(self._send_seconds):
                message = {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
                await self._raw_send(message)


class _Seat(Seat):
    """A subscription of a connection, told by a group."""

    __slots__ = ("_connection", "id", "operation")

    def __init__(self, connection: Connection, id_: str, operation: access_log.SocketOperation) -> None:
        super().__init__()
        self._connection = connection
        self.id = id_
        self.operation = operation

    def tell(self, answer: Answer, made: dict[str | None, bytes]) -> bool:
        frame_ = made.get(self.id)
        if frame_ is None:
            frame_ = made[self.id] = frames.on_the_wire(next_frame(self.id, answer.encoded))
        wire = self._connection.wire
        assert wire is not None, "who has none is given no seat"
        return wire.write(frame_)

    def go_on(self) -> None:
        self._connection.go_on(self)

    def end(self) -> None:
        """The client has completed the subscription, or is gone."""
        self.leave()
        self.operation.end(access_log.CLIENT_GONE)


def _pong(payload: Any) -> str:
    try:
        return frame("pong", payload=payload)
    except TypeError:
        raise Closed(frames.BAD_REQUEST, "The payload of `ping` is nested too deeply to be sent back.") from None


async def _stopped(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task


__all__ = ["Answer", "Connection", "GraphQLWebSocket"]
