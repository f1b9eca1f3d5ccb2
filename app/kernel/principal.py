"""Who is asking, and what they may do."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    STAFF = "STAFF"
    PARTNER = "PARTNER"
    STOREFRONT = "STOREFRONT"
    SERVICE = "SERVICE"
    CUSTOMER = "CUSTOMER"
    SYSTEM = "SYSTEM"
    ANONYMOUS = "ANONYMOUS"


_PUBLIC = frozenset({Kind.STOREFRONT, Kind.CUSTOMER, Kind.ANONYMOUS})


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller.

    id          stays the same when the caller's key is rotated; idempotency keys belong to it
    customer_id set for a customer of the portal: sees own orders only
    channel_id  set where the key is bound to one channel: sees that channel only
    expires_at  UTC; streams opened by this caller end then
    """

    kind: Kind
    id: str
    scopes: frozenset[str] = frozenset()
    customer_id: UUID | None = None
    channel_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def is_public(self) -> bool:
        """Whether this is a shop's visitor rather than somebody who runs the shop."""
        return self.kind in _PUBLIC

    @property
    def sees_as(self) -> Hashable:
        """Equal for all who see the same: every rule of rights and rows goes by this."""
        return self.kind, self.scopes, self.customer_id, self.channel_id

    def may(self, scope: str) -> bool:
        return scope in self.scopes


ANONYMOUS = Principal(kind=Kind.ANONYMOUS, id="anonymous")


def system(name: str, *scopes: str) -> Principal:
    """Orderwire itself at work: a timer, an import, the demo."""
    return Principal(kind=Kind.SYSTEM, id=f"system:{name}", scopes=frozenset(scopes))
