"""API keys as text: `ow_{environment}_{key id}_{secret}`. The id finds the row, the secret proves the holder."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "ow_"
LIVE, DEVELOPMENT = "live", "dev"

# A secret is 32 random bytes in URL-safe base64, which may itself hold underscores.
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_KEY = re.compile(
    rf"ow_(?P<environment>[a-z]{{1,10}})_(?P<key_id>[0-9a-f]{{16}})_(?P<secret>{_SECRET.pattern})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key in the open. Exists while it is made or checked, and is stored nowhere."""

    environment: str
    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Key({self.key_id})"

    def text(self) -> str:
        return f"{PREFIX}{self.environment}_{self.key_id}_{self.secret}"

    def sha256(self) -> bytes:
        """What is stored of the secret. It has 256 random bits, so that no slow hash is needed to keep it safe."""
        return hashlib.sha256(self.secret.encode()).digest()

    def proves(self, secret_sha256: bytes) -> bool:
        return hmac.compare_digest(self.sha256(), secret_sha256)


def new_key(environment: str) -> Key:
    return Key(environment, secrets.token_hex(8), secrets.token_urlsafe(32))


def parse_key(text: str) -> Key | None:
    """The key in this text, or None where its form is not that of a key."""
    found = _KEY.fullmatch(text)
    return Key(**found.groupdict()) if found else None


def is_secret(text: str) -> bool:
    """Whether this has the form of a secret."""
    return _SECRET.fullmatch(text) is not None


def environment_name(environment: str) -> str:
    """How keys of this environment are marked, so that a test key cannot be mistaken for a real one."""
    return LIVE if environment == "production" else DEVELOPMENT
