"""What a client sends: JSON, and in it the request parameters of GraphQL over HTTP.

Whatever cannot be a request is refused here in one place and in plain words, for HTTP and WebSocket alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.gql.documents import Document, Documents, Refused, UnknownDocument, is_plain
from app.gql.faults import Mistake

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The request parameters. Exactly one of query and document id leads to the document, or both agree."""

    query: str | None = None
    document_id: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


def decode(body: bytes | str) -> Any:
    """The JSON value in these bytes.  Raises Mistake."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Mistake(400, _what_is_wrong(problem), "BAD_REQUEST") from None
    # Only such bodies can hold a NUL at all; searching every value of every request would cost more than parsing it.
    if (b"\\u0000" in body if isinstance(body, bytes) else "\\u0000" in body) and not _all_plain(value):
        raise Mistake(400, "Strings may not contain NUL (\\u0000).", "BAD_REQUEST")
    return value


def request_of(value: Any) -> GraphQLRequest:
    """The request in a decoded body, frame payload or query string.  Raises Mistake."""
    if isinstance(value, list):
        raise Mistake(400, "Batches are not served: send one operation for each request.", "BAD_REQUEST")
    if not isinstance(value, dict):
        raise Mistake(400, 'The body must be a JSON object such as {"query": "…"}.', "BAD_REQUEST")
    query, document_id = _text(value, "query"), _text(value, "documentId")
    request = GraphQLRequest(
        query=query,
        document_id=document_id,
        operation_name=_text(value, "operationName"),
        variables=_object(value, "variables"),
        extensions=_object(value, "extensions"),
    )
    if not query and not document_id and "persistedQuery" not in request.extensions:
        raise Mistake(400, "Send the document as `query`, or the id of a trusted one as `documentId`.", "BAD_REQUEST")
    return request


def document_of(request: GraphQLRequest, documents: Documents) -> Document:
    """The document that the request names.  Raises Mistake, with status 400, and Refused."""
    if request.document_id is not None:
        if request.query is not None:
            raise Mistake(400, "Send either `query` or `documentId`, not both.", "BAD_REQUEST")
        return _by_id(request.document_id, documents)
    if "persistedQuery" in request.extensions:
        return _persisted(request, documents)
    assert request.query is not None
    return documents.by_text(request.query)


def _by_id(document_id: str, documents: Documents) -> Document:
    sha256 = document_id.removeprefix(_PREFIX)
    if not _SHA256.fullmatch(sha256):
        raise Mistake(400, "A `documentId` is `sha256:` and 64 lower-case hexadecimal digits.", "BAD_REQUEST")
    try:
        return documents.by_sha256(sha256)
    except UnknownDocument:
        message = "No trusted document has this id: send its text as `query`."
        raise Mistake(400, message, "PERSISTED_DOCUMENT_NOT_FOUND") from None


def _persisted(request: GraphQLRequest, documents: Documents) -> Document:
    """Apollo's automatic persisted queries: a hash alone, then the hash with its text."""
    persisted = request.extensions["persistedQuery"]
    sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256.lower()):
        raise Mistake(400, "`extensions.persistedQuery.sha256Hash` must be 64 hexadecimal digits.", "BAD_REQUEST")
    if not request.query:
        try:
            return documents.by_sha256(sha256.lower(), trusted_only=False)
        except UnknownDocument:
            raise Mistake(400, "PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND") from None
    document = documents.by_text(request.query)
    if document.sha256 != sha256.lower():
        raise Mistake(400, "The sha256Hash is not that of the query sent with it.", "BAD_REQUEST")
    return document


def _text(value: dict[str, Any], name: str) -> str | None:
    found = value.get(name)
    if found is None or isinstance(found, str):
        return found
    raise Mistake(400, f"`{name}` must be a string.", "BAD_REQUEST")


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    raise Mistake(400, f"`{name}` must be an object.", "BAD_REQUEST")


def _what_is_wrong(problem: orjson.JSONDecodeError) -> str:
    what, where = problem.msg.split(": line")[0], f"at line {problem.lineno}, column {problem.colno}"
    if what.startswith("number is infinity"):  # JSON it is
        return f"A number {where}, is too large to be read: send a smaller one, or a string where one is taken."
    return f"This is not JSON: {what} {where}."


def _all_plain(value: Any) -> bool:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if not is_plain(each):
                return False
        elif isinstance(each, dict):
            waiting.extend(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return True


__all__ = ["GraphQLRequest", "Refused", "decode", "document_of", "request_of"]
