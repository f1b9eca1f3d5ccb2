"""From a credential to a caller: keys are looked up and remembered for a few seconds, tokens are verified.

Every process forgets at once what an `auth` event names; the few seconds are for the time without Redis.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from app.auth import queries
from app.auth.keys import PREFIX, Key, is_secret, parse_key
from app.auth.queries import Holder
from app.auth.tokens import CustomerTokens
from app.gql.caller import Caller
from app.kernel.clock import Clock
from app.kernel.db import Database
from app.kernel.errors import Unauthenticated
from app.kernel.principal import ANONYMOUS, Principal

T = TypeVar("T")

REMEMBERED_SECONDS = 5.0
REMEMBERED_MAX = 10_000


class Authenticator:
    """Knows the callers of one process. An instance is the `authenticate` of the transports.

    environment  the mark of this environment's keys: `live` or `dev`
    """

    def __init__(
        self,
        database: Database,
        tokens: CustomerTokens,
        clock: Clock,
        environment: str,
        *,
        remembered_seconds: float = REMEMBERED_SECONDS,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._environment = environment
        self._prefix = f"{PREFIX}{environment}_"
        self._remembered_seconds = remembered_seconds
        self._holders: OrderedDict[str, tuple[float, Holder | None]] = OrderedDict()
        self._clients: OrderedDict[UUID, tuple[float, bool]] = OrderedDict()
        self._changes = 0  # heard of so far

    async def __call__(self, credential: str | None) -> Caller:
        """The caller; anonymous without a credential.  Raises Unauthenticated."""
        if credential is None:
            return Caller(ANONYMOUS)
        if credential.startswith(PREFIX):
            return self._remembered(credential) or await self._by_key(credential)
        return await self._by_token(credential)

    async def look_again(self, caller: Caller) -> Principal | None:
        """The caller's principal as of now, past every cache; None when the credential is no longer good."""
        if caller.credential is None:
            return caller.principal
        kind, _, id_ = caller.credential.partition(":")
        if kind == "token":
            self._clients.pop(UUID(id_), None)
            return caller.principal if await self._vouched(UUID(id_)) else None
        self._holders.pop(id_, None)
        holder = await self._holder(id_)
        try:
            return None if holder is None else self._principal(holder)
        except Unauthenticated:
            return None

    def forget(self, client_id: UUID) -> None:
        """Look the client and its keys up again before they are believed."""
        self._changes += 1
        self._clients.pop(client_id, None)
        for key_id, (_, holder) in list(self._holders.items()):
            if holder is None or holder.client_id == client_id:
                del self._holders[key_id]

    def _remembered(self, credential: str) -> Caller | None:
        """The caller by a key that was looked up a moment ago; None where there is more to find out.

        Raises Unauthenticated.
        """
        prefix, key_id, secret = credential[:-60], credential[-60:-44], credential[-43:]
        until, holder = self._holders.get(key_id, _UNKNOWN)
        if holder is None or prefix != self._prefix or credential[-44] != "_" or until <= time.monotonic():
            return None
        if not is_secret(secret):
            return None
        if not Key(self._environment, key_id, secret).proves(holder.secret_sha256):
            raise Unauthenticated(_NOT_KNOWN)
        self._principal(holder)
        return holder.caller

    async def _by_key(self, credential: str) -> Caller:
        key = parse_key(credential)
        if key is None:
            raise Unauthenticated("This API key is cut off or mistyped: copy all of it, from ow_ on.")
        if key.environment != self._environment:
            raise Unauthenticated(
                f"This API key belongs to the environment {key.environment!r}, this is {self._environment!r}."
            )
        holder = await self._holder(key.key_id)
        # An unknown id and a wrong secret look alike, and take alike.
        if not key.proves(holder.secret_sha256 if holder is not None else _NOBODY.sha256()) or holder is None:
            raise Unauthenticated(_NOT_KNOWN)
        self._principal(holder)
        return holder.caller

    def _principal(self, holder: Holder) -> Principal:
        if holder.revoked_at is not None or holder.client_revoked_at is not None:
            raise Unauthenticated("This API key has been revoked.")
        if holder.expires_at is not None and holder.expires_at <= self._clock.now():
            raise Unauthenticated("This API key has expired.")
        return holder.principal

    async def _by_token(self, credential: str) -> Caller:
        principal, client_id = self._tokens.principal(credential)
        if not await self._vouched(client_id):
            raise Unauthenticated("The service that issued this customer token has been revoked.")
        return Caller(principal, f"token:{client_id}")

    async def _holder(self, key_id: str) -> Holder | None:
        now = time.monotonic()
        remembered = self._holders.get(key_id)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        holder = await self._read(lambda: queries.holder(self._database, key_id))
        self._holders[key_id] = (now + self._remembered_seconds, holder)
        self._holders.move_to_end(key_id)
        if len(self._holders) > REMEMBERED_MAX:
            self._holders.popitem(last=False)
        return holder

    async def _vouched(self, client_id: UUID) -> bool:
        now = time.monotonic()
        remembered = self._clients.get(client_id)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        live = await self._read(lambda: queries.client_is_live(self._database, client_id))
        self._clients[client_id] = (now + self._remembered_seconds, live)
        self._clients.move_to_end(client_id)
        if len(self._clients) > REMEMBERED_MAX:
            self._clients.popitem(last=False)
        return live

    async def _read(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of the database, asked again when a change was heard of meanwhile: it may be from before."""
        while True:
            heard = self._changes
            answer = await ask()
            if heard == self._changes:
                return answer


_NOT_KNOWN = "This API key is not known here."
_NOBODY = Key("", "", "")
_UNKNOWN: tuple[float, Holder | None] = (0.0, None)
