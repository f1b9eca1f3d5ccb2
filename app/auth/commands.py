"""What may be done to API clients and keys, and the vouching for a customer.

Secrets are made outside: a command sees a hash only, so that no log and no idempotency record can hold a secret.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.auth import events, tokens
from app.auth.models import ApiClient, ApiKey
from app.auth.ports import CustomerExists
from app.auth.states import DEFAULT_SCOPES, PUBLISHABLE_SCOPES, SCOPES, ClientKind
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.ids import uuid7
from app.kernel.work import CommandFunction, Result, Work, command

SCOPE = "keys:write"
LIVE_KEYS_MAX = 2


@command(scope=SCOPE)
async def create(
    work: Work,
    *,
    name: str,
    kind: str,
    key_id: str,
    secret_sha256: bytes,
    scopes: Collection[str] | None = None,
    channel_id: UUID | None = None,
    days: int | None = None,
) -> Result:
    """Create a client with its first key.

    scopes  what it may do; by default what its kind usually may
    Raises ValidationRefused.
    """
    wanted = _scopes(ClientKind(kind), scopes, channel_id)
    client_id = uuid7()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise ValidationRefused("A client's name has 1 to 100 printable characters.", path=["name"])
    try:
        await work.db.execute(
            insert(ApiClient).values(
                id=client_id, name=name, kind=kind, scopes=wanted, channel_id=channel_id, created_at=work.now
            )
        )
    except IntegrityError:
        raise ValidationRefused(f"There is a client named {name!r} already: rotate its key.", path=["name"]) from None
    await _add_key(work, client_id, key_id, secret_sha256, days)
    work.record(events.client_created(client_id, kind))
    return {"client": str(client_id), "key": key_id, "scopes": wanted}


@command(scope=SCOPE)
async def rotate(work: Work, *, name: str, key_id: str, secret_sha256: bytes, days: int | None = None) -> Result:
    """Give a client a second key; the first lives on until it is revoked.  Raises NotFound, ValidationRefused."""
    client = await _in_use(work, name)
    live = select(func.count()).where(
        ApiKey.client_id == client.id,
        ApiKey.revoked_at.is_(None),
        (ApiKey.expires_at.is_(None)) | (ApiKey.expires_at > work.now),
    )
    if (await work.db.execute(live)).scalar_one() >= LIVE_KEYS_MAX:
        raise ValidationRefused(f"{name!r} has {LIVE_KEYS_MAX} live keys already: revoke one first.", path=["name"])
    await _add_key(work, client.id, key_id, secret_sha256, days)
    version = await _next_version(work, client.id)
    work.record(events.key_added(client.id, version, key_id))
    return {"client": str(client.id), "key": key_id}


@command(scope=SCOPE)
async def revoke_key(work: Work, *, key_id: str) -> Result:
    """End a key for good. What it opened ends within seconds.  Raises NotFound."""
    found = (await work.db.execute(select(ApiKey.client_id).where(ApiKey.key_id == key_id))).first()
    if found is None:
        raise NotFound("key", key_id, path=["key"])
    version = await _next_version(work, found.client_id)
    unrevoked = ApiKey.revoked_at.is_(None)
    await work.db.execute(update(ApiKey).where(ApiKey.key_id == key_id, unrevoked).values(revoked_at=work.now))
    work.record(events.key_revoked(found.client_id, version, key_id))
    return {"client": str(found.client_id), "key": key_id}


@command(scope=SCOPE)
async def revoke_client(work: Work, *, name: str) -> Result:
    """End a client with all its keys, and the customer tokens that it asked for.  Raises NotFound."""
    client = await _locked(work, name)
    await work.db.execute(update(ApiClient).where(ApiClient.id == client.id).values(revoked_at=work.now))
    unrevoked = ApiKey.revoked_at.is_(None)
    await work.db.execute(update(ApiKey).where(ApiKey.client_id == client.id, unrevoked).values(revoked_at=work.now))
    work.record(events.client_changed(client.id, await _next_version(work, client.id)))
    return {"client": str(client.id)}


@command(scope=SCOPE)
async def set_scopes(work: Work, *, name: str, scopes: Collection[str] | None = None) -> Result:
    """Say anew what a client may do; by default what its kind usually may.  Raises NotFound, ValidationRefused."""
    client = await _in_use(work, name)
    wanted = _scopes(ClientKind(client.kind), scopes, client.channel_id)
    await work.db.execute(update(ApiClient).where(ApiClient.id == client.id).values(scopes=wanted))
    work.record(events.client_changed(client.id, await _next_version(work, client.id)))
    return {"client": str(client.id), "scopes": wanted}


def vouching(customer_exists: CustomerExists) -> CommandFunction:
    """The command that says that the bearer of a token is this customer, and gives the token's claims.

    It asks for the customer itself, when its key is claimed: a repeat gets the first answer whatever became of them.
    """

    @command(scope="tokens:create")
    async def vouch(work: Work, *, customer_id: UUID, lifetime_seconds: int) -> Result:
        """Raises NotFound, ValidationRefused."""
        if not await customer_exists(work.reads, customer_id):
            raise NotFound("customer", str(customer_id), path=["input", "customer"])
        if not 60 <= lifetime_seconds <= tokens.LIFETIME_SECONDS_MAX:
            raise ValidationRefused(
                f"A customer token lives 60 to {tokens.LIFETIME_SECONDS_MAX} seconds.",
                path=["input", "lifetimeSeconds"],
            )
        kind, _, client = work.principal.id.partition(":")
        if kind != "client":
            raise ValidationRefused("Only an API client can vouch for a customer.")
        return tokens.claims_of(
            customer_id=customer_id, client_id=UUID(client), token_id=uuid7(), now=work.now, lifetime=lifetime_seconds
        )

    return vouch


async def _locked(work: Work, name: str) -> Row[UUID, str, UUID | None, datetime | None]:
    statement = (
        select(ApiClient.id, ApiClient.kind, ApiClient.channel_id, ApiClient.revoked_at)
        .where(ApiClient.name == name)
        .with_for_update()
    )
    found = (await work.db.execute(statement)).first()
    if found is None:
        raise NotFound("client", name, path=["name"])
    return found


async def _in_use(work: Work, name: str) -> Row[UUID, str, UUID | None, datetime | None]:
    """A client that has not been revoked, locked.  Raises NotFound, ValidationRefused."""
    client = await _locked(work, name)
    if client.revoked_at is not None:
        raise ValidationRefused(f"The client {name!r} has been revoked: create another.", path=["name"])
    return client


async def _next_version(work: Work, client_id: UUID) -> int:
    rising = update(ApiClient).where(ApiClient.id == client_id).values(version=ApiClient.version + 1)
    version: int = (await work.db.execute(rising.returning(ApiClient.version))).scalar_one()
    return version


async def _add_key(work: Work, client_id: UUID, key_id: str, secret_sha256: bytes, days: int | None) -> None:
    expires_at = None if days is None else work.now + timedelta(days=days)
    await work.db.execute(
        insert(ApiKey).values(
            key_id=key_id,
            client_id=client_id,
            secret_sha256=secret_sha256,
            created_at=work.now,
            expires_at=expires_at,
        )
    )


def _scopes(kind: ClientKind, asked: Collection[str] | None, channel_id: UUID | None) -> list[str]:
    wanted = DEFAULT_SCOPES[kind] if asked is None else frozenset(asked)
    if unknown := wanted - SCOPES:
        raise ValidationRefused(
            f"There is no scope {', '.join(sorted(unknown))}. There are: {', '.join(sorted(SCOPES))}.", path=["scopes"]
        )
    if kind is ClientKind.STOREFRONT:
        if channel_id is None:
            raise ValidationRefused("A storefront's key is bound to a channel: name it.", path=["channel"])
        if excess := wanted - PUBLISHABLE_SCOPES:
            raise ValidationRefused(
                f"A storefront's key can be read by anybody, so it may not have {', '.join(sorted(excess))}.",
                path=["scopes"],
            )
    if not wanted:
        raise ValidationRefused("A client without a scope could do nothing: name at least one.", path=["scopes"])
    return sorted(wanted)
