"""Seals: opaque tokens that a client carries and cannot forge."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

_TAG_BYTES = 16


class BadSignature(ValueError):
    """The token was not sealed here, or was changed since."""


class Signer:
    """Seals bytes under keys derived from one secret, one key for each purpose."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def key(self, purpose: str) -> bytes:
        """32 bytes that only this secret and this purpose give."""
        if purpose not in self._keys:
            self._keys[purpose] = hmac.digest(self._secret, b"orderwire/" + purpose.encode(), hashlib.sha256)
        return self._keys[purpose]

    def seal(self, purpose: str, body: bytes) -> str:
        tag = hmac.digest(self.key(purpose), body, hashlib.sha256)[:_TAG_BYTES]
        return urlsafe_b64encode(tag + body).decode().rstrip("=")

    def open(self, purpose: str, token: str) -> bytes:
        """The sealed bytes.  Raises BadSignature."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:
            raise BadSignature from None
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, hmac.digest(self.key(purpose), body, hashlib.sha256)[:_TAG_BYTES]):
            raise BadSignature
        return body
