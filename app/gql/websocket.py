"""graphql-transport-ws over a bare ASGI WebSocket: queries, mutations and subscriptions, several at once.

One task reads frames, one task runs each operation. A failing operation gets an `error` frame under its id and leaves
the others alone; only a frame that is no frame at all closes the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import ExitStack, aclosing, suppress
from typing import Any

import orjson
import structlog
from graphql import OperationType

from app.gql import faults, frames
from app.gql.caller import Caller
from app.gql.door import Headers, House, credential_in, credential_in_payload, is_same_origin
from app.gql.execution import Answer, Ended
from app.gql.faults import Mistake
from app.gql.frames import Closed, frame, frame_in
from app.gql.payload import request_of
from app.gql.streams import ended_in_time
from app.kernel import access_log
from app.kernel.errors import Unauthenticated
from app.kernel.ids import uuid7
from app.kernel.principal import ANONYMOUS
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
        connection = Connection(
            self._house, headers, receive, send, self._operations_max, self._init_seconds, self._send_seconds
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
    """One socket, from its acceptance to its end."""

    def __init__(
        self,
        house: House,
        headers: Headers,
        receive: Receive,
        send: Send,
        operations_max: int,
        init_seconds: float,
        send_seconds: float,
    ) -> None:
        self._house = house
        self._headers = headers
        self._receive = receive
        self._raw_send = send
        self._operations_max = operations_max
        self._send_seconds = send_seconds
        self._caller = Caller(ANONYMOUS)
        self._ready = False
        self._life = ExitStack()
        self._operations: dict[str, asyncio.Task[None]] = {}
        loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[Closed] = loop.create_future()
        reason = f"Send connection_init within {init_seconds:g} seconds."
        self._timer = loop.call_later(init_seconds, self.close, frames.INITIALISATION_TIMEOUT, reason)

    @property
    def caller(self) -> Caller:
        return self._caller

    def close(self, code: int, reason: str) -> None:
        if not self._closing.done():
            self._closing.set_result(Closed(code, reason))

    async def serve(self) -> None:
        reading = asyncio.ensure_future(self._read())
        try:
            with self._house.streams.entered(self):
                waited: set[asyncio.Future[Any]] = {reading, self._closing}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._timer.cancel()
            self._life.close()
            tasks = [reading, *self._operations.values()]
            for task in tasks:
                task.cancel()
            # Not after they have ended: one may wait for a database that hangs.
            if self._closing.done():
                await self._say_goodbye(self._closing.result())
            await _stopped(tasks)

    async def _read(self) -> None:
        """Handle frames until the peer leaves."""
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                await self._handle(frame_in(dict(message)))
        except Closed as closed:
            self.close(closed.code, closed.reason)
        except PeerGone:
            return
        except Exception as problem:  # the last wall: a fault closes the socket in order, with a reference
            ending = _closed_by(problem)
            self.close(ending.code, ending.reason)

    async def _handle(self, received: dict[str, Any]) -> None:
        match received["type"]:
            case "subscribe":
                await self._begin(received["id"], received.get("payload"))
            case "complete":
                if (task := self._operations.pop(received["id"], None)) is not None:
                    task.cancel()
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
        self._timer.cancel()
        self._life.enter_context(ended_in_time(self, self._house.clock))
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
        task = asyncio.ensure_future(self._operate(id_, payload))
        self._operations[id_] = task
        task.add_done_callback(lambda done: self._done(id_, done))

    def _done(self, id_: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(id_) is task:
            del self._operations[id_]
        if not task.cancelled() and (problem := task.exception()) is not None and not isinstance(problem, PeerGone):
            log.error("fault", exc_info=problem)

    async def _refuse_for_now(self, id_: str) -> None:
        message = f"{self._operations_max} operations run on this connection already: complete some, or open another."
        await self._send(frame("error", id_, [{"message": message, "extensions": {"code": "TOO_MANY_OPERATIONS"}}]))

    async def _operate(self, id_: str, payload: Any) -> None:
        """Run one operation to its end: `next` frames and `complete`, or `error`."""
        with access_log.operation_of_socket() as logged:
            last = await self._last_frame(id_, payload, logged)
        if last is not None:
            # Free before the client hears of it: it may use the id again at once.
            self._operations.pop(id_, None)
            await self._send(last)

    async def _last_frame(self, id_: str, payload: Any, logged: access_log.Request) -> str | None:
        """Send the operation's answers; what to send last, None where the socket is closed instead."""
        try:
            async with aclosing(self._answers(payload)) as answers:
                async for answer in answers:
                    if not answer.began:
                        raise Ended(answer.body["errors"])
                    await self._send(frame("next", id_, orjson.Fragment(answer.encoded)))
            return frame("complete", id_)
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

    async def _answers(self, payload: Any) -> Any:
        house, caller = self._house, self._caller
        request = request_of(payload)
        operation = house.graph.operation(request)
        access_log.tell(operation.name, operation.type.value)
        cost = house.graph.admit(operation, request.variables, caller.principal)
        if operation.type is not OperationType.SUBSCRIPTION:
            yield await house.graph.run(operation, request.variables, house.new_context(caller), cost)
            return
        stream = house.graph.stream(operation, request.variables, lambda: house.new_context(caller))
        async with aclosing(stream) as answers:
            async for answer in answers:
                yield answer

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
