"""Tokens for the portal's customers: JWTs of our own issue, with one algorithm and every claim required.

The claims are kept under the idempotency key, the token is computed from them: a repeat gets the same token and no
token lies in the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from app.auth.states import CUSTOMER_SCOPES
from app.kernel.clock import Clock
from app.kernel.errors import Unauthenticated
from app.kernel.principal import Kind, Principal
from app.kernel.signing import Signer

ISSUER = "orderwire"
AUDIENCE = "orderwire:graphql"
TYPE = "ow-customer+jwt"
ALGORITHM = "HS256"
LENGTH_MAX = 8 * 1024
LIFETIME_SECONDS_MAX = 24 * 3600
_HEADER = {"alg": ALGORITHM, "typ": TYPE}
_FUTURE_SECONDS_MAX = 60


class CustomerTokens:
    """Issues and verifies customer tokens under one secret."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._key = OctKey.import_key(signer.key("customer-token"))
        self._clock = clock
        # The algorithm is ours to say, whatever a token's header asks for.
        self._registry = JWSRegistry(algorithms=[ALGORITHM])

    def sign(self, claims: Mapping[str, Any]) -> str:
        # Sorted, because claims that come back from the store have lost their order, and the token must be the same.
        return jwt.encode(dict(_HEADER), dict(sorted(claims.items())), self._key, registry=self._registry)

    def principal(self, token: str) -> tuple[Principal, UUID]:
        """The customer, and the API client that vouched for it.  Raises Unauthenticated."""
        claims = self._verified(token)
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        if expires_at <= self._clock.now():
            raise Unauthenticated("This customer token has expired: ask the portal for a fresh one.")
        customer_id, client_id = UUID(claims["sub"]), UUID(claims["client"])
        principal = Principal(
            kind=Kind.CUSTOMER,
            id=f"customer:{customer_id}",
            scopes=CUSTOMER_SCOPES,
            customer_id=customer_id,
            expires_at=expires_at,
        )
        return principal, client_id

    def _verified(self, token: str) -> dict[str, Any]:
        if len(token) > LENGTH_MAX:
            raise Unauthenticated("This token is longer than any that is issued here.")
        try:
            decoded = jwt.decode(token, self._key, registry=self._registry)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise _not_ours() from None
        header, claims = decoded.header, decoded.claims
        if header != _HEADER or not isinstance(claims, dict):
            raise _not_ours()
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise _not_ours()
        if not all(_is_uuid(claims.get(name)) for name in ("sub", "client", "jti")):
            raise _not_ours()
        if not all(type(claims.get(name)) is int and 0 < claims[name] < 2**40 for name in ("exp", "iat")):
            raise _not_ours()
        if claims["iat"] > self._clock.now().timestamp() + _FUTURE_SECONDS_MAX:
            raise _not_ours()
        return claims


def claims_of(*, customer_id: UUID, client_id: UUID, token_id: UUID, now: datetime, lifetime: int) -> dict[str, Any]:
    issued = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(customer_id),
        "client": str(client_id),
        "jti": str(token_id),
        "iat": issued,
        "exp": issued + lifetime,
    }


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _not_ours() -> Unauthenticated:
    return Unauthenticated("This is neither an API key (ow_…) nor a customer token that was issued here.")
