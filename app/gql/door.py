"""Who may come in: the credential of a request, and the browser's origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.gql.caller import Caller
from app.gql.context import Context
from app.gql.execution import Graph
from app.gql.kept import Keeper
from app.gql.streams import Streams
from app.kernel.clock import Clock
from app.kernel.errors import Unauthenticated

CREDENTIAL_LENGTH_MAX = 8 * 1024

Headers = Mapping[bytes, bytes]


class Authenticate(Protocol):
    """Turns a credential, or its absence, into a caller.  Raises Unauthenticated."""

    def __call__(self, credential: str | None) -> Awaitable[Caller]: ...


class AllowOrigin(Protocol):
    """Whether pages of this origin may use the API: of this channel, or of any when the channel is not known yet."""

    def __call__(self, origin: str, channel_id: UUID | None) -> Awaitable[bool]: ...


@dataclass(frozen=True, kw_only=True)
class House:
    """What every transport needs.

    new_context  a fresh context for one operation or one event
    streams      every stream the transports have open, for revocation and drain
    keeper       answers what is asked by GET and id from memory
    """

    graph: Graph
    authenticate: Authenticate
    allow_origin: AllowOrigin
    new_context: Callable[[Caller], Context]
    clock: Clock
    streams: Streams
    keeper: Keeper | None = None


def credential_in(headers: Headers) -> str | None:
    """The key or token that the headers carry.  Raises Unauthenticated when it is in no known form."""
    authorization = _ascii(headers.get(b"authorization"))
    key = _ascii(headers.get(b"x-orderwire-key"))
    if authorization is not None and key is not None:
        raise Unauthenticated("Send either Authorization or X-Orderwire-Key, not both.")
    return bearer(authorization) if authorization is not None else _sized(key)


def credential_in_payload(payload: Mapping[str, Any]) -> str | None:
    """The same for the payload of connection_init, whose names are read without regard to case."""
    lowered = {name.lower(): value for name, value in payload.items()}
    authorization, key = lowered.get("authorization"), lowered.get("x-orderwire-key")
    for value in (authorization, key):
        if value is not None and not isinstance(value, str):
            raise Unauthenticated("The credential in connection_init must be a string.")
    return bearer(authorization) if authorization is not None else _sized(key)


def bearer(authorization: str) -> str:
    scheme, _, credential = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("Authorization must read `Bearer` and an API key or a customer token.")
    return _sized(credential.strip()) or ""


def _sized(credential: str | None) -> str | None:
    if credential is not None and len(credential) > CREDENTIAL_LENGTH_MAX:
        raise Unauthenticated("This credential is longer than any that is issued here.")
    return credential


def _ascii(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated("A credential has ASCII characters only.") from None


def is_same_origin(headers: Headers, origin: str) -> bool:
    """Whether the page comes from the very host it talks to, as the explorer does."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return bool(host) and origin.lower().partition("://")[2] == host
