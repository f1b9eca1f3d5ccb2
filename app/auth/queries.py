"""What is known of API clients and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from app.auth.models import ApiClient, ApiKey
from app.gql.caller import Caller
from app.kernel.db import Database, Reads
from app.kernel.principal import Kind, Principal


# The same object for all who have the same: every open socket holds its caller's.
@lru_cache(maxsize=1_024)
def _scopes(given: tuple[str, ...]) -> frozenset[str]:
    return frozenset(given)


@dataclass(frozen=True)
class Holder:
    """A key's row with its client's."""

    key_id: str
    secret_sha256: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    client_id: UUID
    kind: str
    scopes: tuple[str, ...]
    channel_id: UUID | None
    client_revoked_at: datetime | None

    @cached_property
    def principal(self) -> Principal:
        """Who the key's holder is to the rest of Orderwire, while the key is good."""
        return Principal(
            kind=Kind(self.kind),
            id=f"client:{self.client_id}",
            scopes=_scopes(tuple(self.scopes)),
            channel_id=self.channel_id,
            expires_at=self.expires_at,
        )

    @cached_property
    def caller(self) -> Caller:
        """The same as transports take it."""
        return Caller(self.principal, f"key:{self.key_id}")


_HOLDER = """
    SELECT k.key_id, k.secret_sha256, k.expires_at, k.revoked_at,
           c.id, c.kind, c.scopes, c.channel_id, c.revoked_at
    FROM api_key k JOIN api_client c ON c.id = k.client_id
    WHERE k.key_id = $1
"""


async def holder(database: Database, key_id: str) -> Holder | None:
    """Who holds the key of this id; one statement, on the way of every call that no cache answers."""
    rows = await database.reads.rows(_HOLDER, key_id)
    if not rows:
        return None
    key_id, secret_sha256, expires_at, revoked_at, client_id, kind, scopes, channel_id, client_revoked_at = rows[0]
    return Holder(
        key_id, secret_sha256, expires_at, revoked_at, client_id, kind, tuple(scopes), channel_id, client_revoked_at
    )


async def client_is_live(database: Database, client_id: UUID) -> bool:
    """Whether the client exists and has not been revoked."""
    sql = "SELECT EXISTS (SELECT 1 FROM api_client WHERE id = $1 AND revoked_at IS NULL)"
    return bool(await database.reads.value(sql, client_id))


async def keys(reads: Reads) -> Sequence[Row[Any]]:
    """All keys with their clients, by the client's name, oldest key first."""
    statement = (
        select(
            ApiClient.name,
            ApiClient.kind,
            ApiClient.scopes,
            ApiClient.channel_id,
            ApiClient.revoked_at.label("client_revoked_at"),
            ApiKey.key_id,
            ApiKey.created_at,
            ApiKey.expires_at,
            ApiKey.revoked_at,
        )
        .join(ApiKey, ApiKey.client_id == ApiClient.id)
        .order_by(ApiClient.name, ApiKey.created_at, ApiKey.key_id)
    )
    return await reads.all(statement)
