"""GraphQL over HTTP, by its specification: POST and GET, JSON or a stream of events, status codes by media type.

A bare ASGI application: a starlette route in front of it is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import GraphQLError, OperationType

from app.gql import faults, sse
from app.gql.caller import Caller
from app.gql.context import Context
from app.gql.documents import Operation
from app.gql.door import Headers, House, credential_in, is_same_origin
from app.gql.execution import Answer
from app.gql.faults import Mistake
from app.gql.groups import WIRE, Wire
from app.gql.kept import VARY, Keeper, KeptAnswer, cache_control, is_known
from app.gql.negotiation import Media, accepted, require_json
from app.gql.payload import GraphQLRequest, decode, request_of
from app.gql.scalars import parse_cursor
from app.kernel.deadline import Deadline
from app.kernel.errors import Unauthenticated
from app.kernel.ids import uuid7
from app.kernel.limits import BODY_BYTES_MAX
from app.kernel.principal import Principal
from app.kernel.request import tell

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

METHODS = "GET, POST, OPTIONS"
# What pages may send: every header that is read here, by the log and the spans too.
_CORS_HEADERS = (
    b"content-type, authorization, x-orderwire-key, last-event-id, if-none-match, x-request-id, traceparent, tracestate"
)
BODY_SECONDS = 30.0
_REMEMBERED_BYTES_MAX = 4 * 1024
_DISCARD_BYTES_MAX = 4 * BODY_BYTES_MAX
_DISCARD_SECONDS = 2.0
_CHALLENGE = 'Bearer realm="orderwire"'
_CONTENT_TYPES = {media: (b"content-type", f"{media}; charset=utf-8".encode()) for media in Media}
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class GraphQLHttp:
    """The endpoint for queries and mutations, and for subscriptions as server-sent events."""

    def __init__(self, house: House, *, body_seconds: float = BODY_SECONDS) -> None:
        self._house = house
        self._body_deadline = Deadline(body_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        cors: list[tuple[bytes, bytes]] = [(b"vary", b"Origin, Accept")]
        media = Media.JSON
        try:
            origin = headers.get(b"origin", b"").decode("latin-1")
            if origin and (is_same_origin(headers, origin) or await self._house.allow_origin(origin, None)):
                cors += [
                    (b"access-control-allow-origin", origin.encode("latin-1")),
                    (b"access-control-expose-headers", b"x-request-id, etag"),
                ]
            if scope["method"] == "OPTIONS":
                await _empty(send, _preflight(cors))
                return
            forms = accepted(headers.get(b"accept", b""))
            if not forms:
                raise Mistake(406, f"This endpoint answers with {', '.join(Media)}.", "NOT_ACCEPTABLE")
            media = next((form for form in forms if form is not Media.EVENTS), Media.JSON)
            request = await self._request(scope, headers, receive)
            await self._serve(scope, headers, request, forms, media, receive, send, cors)
        except Mistake as mistake:
            await _refuse(send, mistake, media, cors)
        except Unauthenticated as problem:
            await _refuse(send, Mistake(401, str(problem), "UNAUTHENTICATED"), media, cors)
        except ClientGone:
            return
        except Exception as problem:  # the last wall: no input and no fault may show a traceback
            error = faults.told(problem, str(uuid7()))
            away = error["extensions"]["code"] == "UNAVAILABLE"
            headers_ = [*cors, (b"retry-after", b"1")] if away else cors
            await _send_json(send, 503 if away else 500, orjson.dumps({"errors": [error]}), media, headers_)

    async def _serve(
        self,
        scope: Scope,
        headers: Headers,
        request: GraphQLRequest,
        forms: tuple[Media, ...],
        media: Media,
        receive: Receive,
        send: Send,
        cors: list[tuple[bytes, bytes]],
    ) -> None:
        caller = await self._caller(headers)
        operation = self._house.graph.operation(request)
        tell(operation.name, operation.kind)
        if scope["method"] == "GET" and operation.type is OperationType.MUTATION:
            raise Mistake(405, "Mutations are sent by POST.", "METHOD_NOT_ALLOWED", allow="POST")
        cost = self._house.graph.admit(operation, request.variables, caller.principal)
        form = _form(operation, forms, media)
        if form is Media.EVENTS:
            await self._stream(scope, operation, request, caller, cost, headers, receive, send, cors)
            return
        context = self._house.new_context(caller)
        keeper = self._house.keeper
        if scope["method"] == "GET" and request.document_id and keeper is not None and keeper.keeps(operation):
            kept = await self._kept(keeper, operation, request, context, cost)
            if kept is not None:
                cors = [*cors, (b"x-request-id", context.request_id.encode("latin-1", "replace"))]
                await _send_kept(send, kept, headers, context.principal, media, cors)
                return
        answer = await self._house.graph.run(operation, request.variables, context, cost)
        status = _status(answer, media)
        cors = [*cors, (b"x-request-id", context.request_id.encode("latin-1", "replace"))]
        await _send_json(send, status, answer.encoded, media, cors)

    async def _kept(
        self, keeper: Keeper, operation: Operation, request: GraphQLRequest, context: Context, cost: int
    ) -> KeptAnswer | None:
        """The answer from memory; None where the operation is to be run."""
        try:
            with self._house.graph.deadline.block():
                return await keeper.answer(operation, request.variables, context, cost)
        except TimeoutError:
            message = f"This took longer than {self._house.graph.deadline.seconds:g} seconds and was given up."
            raise Mistake(504, message, "TIMEOUT") from None

    async def _stream(
        self,
        scope: Scope,
        operation: Operation,
        request: GraphQLRequest,
        caller: Caller,
        cost: int,
        headers: Headers,
        receive: Receive,
        send: Send,
        cors: list[tuple[bytes, bytes]],
    ) -> None:
        house, graph, seat = self._house, self._house.graph, None

        def new_context() -> Context:
            return house.new_context(caller)

        if operation.type is OperationType.SUBSCRIPTION:
            seat, last = _seat(scope), _last_event_id(headers)
            answers = graph.stream(operation, request.variables, new_context, last, seat)
            if seat is not None:
                answers = sse.told(answers, seat, graph, new_context)
        else:
            answers = sse.once(graph.run(operation, request.variables, new_context(), cost))
        await sse.send_events(answers, caller, house.streams, house.clock, receive, send, cors, seat=seat)

    async def _request(self, scope: Scope, headers: Headers, receive: Receive) -> GraphQLRequest:
        if scope["method"] == "POST":
            if headers.get(b"content-encoding", b"identity") != b"identity":
                raise Mistake(415, "Send the body without a Content-Encoding.", "UNSUPPORTED_MEDIA_TYPE")
            require_json(headers.get(b"content-type", b""))
            try:
                with self._body_deadline.block():
                    body = await _body(headers, receive)
            except TimeoutError:
                message = f"The body did not arrive within {self._body_deadline.seconds:g} seconds: send it again."
                raise Mistake(408, message, "REQUEST_TIMEOUT", connection="close") from None
            return request_of(decode(body))
        if scope["method"] == "GET":
            query_string = scope["query_string"]
            return (_remembered if len(query_string) <= _REMEMBERED_BYTES_MAX else _request_in)(query_string)
        raise Mistake(405, "This endpoint takes GET and POST.", "METHOD_NOT_ALLOWED", allow=METHODS)

    async def _caller(self, headers: Headers) -> Caller:
        caller = await self._house.authenticate(credential_in(headers))
        origin = headers.get(b"origin", b"").decode("latin-1")
        channel = caller.principal.channel_id
        if channel is None or not origin or is_same_origin(headers, origin):
            return caller
        if not await self._house.allow_origin(origin, channel):
            raise Mistake(403, f"This key's channel does not list the origin {origin}.", "ORIGIN_NOT_ALLOWED")
        # It may have been revoked meanwhile, when no stream of its was known yet.
        return await self._house.authenticate(credential_in(headers))


class ClientGone(Exception):
    """The client went away before its request was complete."""


def _form(operation: Operation, forms: tuple[Media, ...], media: Media) -> Media:
    """The form of this answer: subscriptions come as events, the rest as JSON unless only events are taken."""
    if operation.type is OperationType.SUBSCRIPTION:
        if Media.EVENTS not in forms:
            message = "A subscription needs Accept: text/event-stream here, or a WebSocket (graphql-transport-ws)."
            raise Mistake(406, message, "NOT_ACCEPTABLE")
        return Media.EVENTS
    return Media.EVENTS if forms == (Media.EVENTS,) else media


def _seat(scope: Scope) -> sse.EventSeat | None:
    """A place among those whom a group tells, where the server can write to this client past ASGI."""
    wire_of: Callable[[Scope], Wire | None] | None = scope.get("extensions", {}).get(WIRE)
    wire = wire_of(scope) if wire_of is not None else None
    return sse.EventSeat(wire) if wire is not None else None


def _status(answer: Answer, media: Media) -> int:
    """A well-formed request that was not executed is a 400, except for clients that know plain JSON only."""
    if answer.began or answer.status != 400:
        return answer.status
    return 400 if media is Media.GRAPHQL else 200


def _last_event_id(headers: Headers) -> str | None:
    """How far the client had come.  Raises Mistake when that is no position of ours."""
    last = headers.get(b"last-event-id", b"").decode("latin-1")
    try:
        return parse_cursor(last) if last else None
    except GraphQLError:
        message = "Last-Event-ID must be the `id` of an event, exactly as this API gave it."
        raise Mistake(400, message, "BAD_REQUEST") from None


async def _body(headers: Headers, receive: Receive) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:12]) > BODY_BYTES_MAX:
        await _discard(receive)
        raise _too_large()
    body, more = await _part(receive)
    if not more and len(body) <= BODY_BYTES_MAX:
        return body
    parts = bytearray(body)
    while len(parts) <= BODY_BYTES_MAX:
        if not more:
            return bytes(parts)
        body, more = await _part(receive)
        parts += body
    await _discard(receive)  # in chunks, whose sum no header tells
    raise _too_large()


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether there are more.  Raises ClientGone."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


async def _discard(receive: Receive) -> None:
    """Read on for a moment: a client that is still sending would not see the answer before the connection breaks."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while read < _DISCARD_BYTES_MAX:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large() -> Mistake:
    return Mistake(413, f"A request has at most {BODY_BYTES_MAX // 1024} kB.", "TOO_LARGE", connection="close")


def _request_in(query_string: bytes) -> GraphQLRequest:
    return request_of(_from_query_string(query_string))


# Pages ask the same over and over. Nobody alters a request, so that all who ask it may share one.
_remembered = lru_cache(maxsize=500)(_request_in)


def _from_query_string(query_string: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise Mistake(400, "The query string must be UTF-8, percent-encoded, of few fields.", "BAD_REQUEST") from None
    value: dict[str, Any] = {}
    for name, text in pairs:
        if name in value:
            raise Mistake(400, f"`{name}` is in the query string twice.", "BAD_REQUEST")
        value[name] = decode(text) if name in ("variables", "extensions") and text else text or None
    return value


def _preflight(cors: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    allowed = [(b"allow", METHODS.encode())]
    if any(name == b"access-control-allow-origin" for name, _ in cors):
        allowed += [
            (b"access-control-allow-methods", METHODS.encode()),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", b"600"),
        ]
    return [*cors, *allowed]


async def _refuse(send: Send, mistake: Mistake, media: Media, cors: list[tuple[bytes, bytes]]) -> None:
    """The errors of a request that was not executed.

    Documents that do not parse or validate are well-formed requests: with plain application/json they answer 200.
    """
    well_formed = {error["extensions"]["code"] for error in mistake.errors} <= _OF_THE_DOCUMENT
    status = 200 if mistake.status == 400 and well_formed and media is Media.JSON else mistake.status
    headers = [(name.encode(), value.encode()) for name, value in mistake.headers.items()]
    if mistake.status == 401:
        headers.append((b"www-authenticate", _CHALLENGE.encode()))
    await _send_json(send, status, orjson.dumps({"errors": mistake.errors}), media, [*cors, *headers])


_OF_THE_DOCUMENT = frozenset(
    {
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "OPERATION_RESOLUTION_FAILED",
        "PERSISTED_QUERY_NOT_FOUND",
        "PERSISTED_DOCUMENT_NOT_FOUND",
        "QUERY_TOO_COMPLEX",
        "DRY_RUN_NOT_ALONE",
    }
)


async def _send_json(
    send: Send, status: int, body: bytes, media: Media, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                _CONTENT_TYPES[media],
                (b"content-length", b"%d" % len(body)),
                *_ALWAYS,
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _send_kept(
    send: Send,
    answer: KeptAnswer,
    asked: Headers,
    principal: Principal,
    media: Media,
    headers: Iterable[tuple[bytes, bytes]],
) -> None:
    """The answer with what caches are to know of it, or that the client has it already."""
    told = [
        (b"etag", answer.tag.encode()),
        (b"cache-control", cache_control(answer, principal).encode()),
        *((name, VARY if name == b"vary" else value) for name, value in headers),
    ]
    if is_known(asked.get(b"if-none-match", b"").decode("latin-1"), answer.tag):
        await send({"type": "http.response.start", "status": 304, "headers": told})
        await send({"type": "http.response.body", "body": b""})
        return
    told += [
        (b"content-type", f"{media}; charset=utf-8".encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": answer.body})


async def _empty(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


__all__ = ["GraphQLHttp"]
