"""What happened to API clients and their keys. Every process listens, so that nothing revoked is served for long."""

from __future__ import annotations

from uuid import UUID

from app.kernel.events import Event, EventType
from app.live.topics import AUTH


class ApiClientEvent(Event):
    def __init__(self, type_: str, subject: UUID, version: int, **payload: str) -> None:
        super().__init__(
            aggregate="api_client", subject=subject, version=version, type=type_, topics=[AUTH], payload=payload
        )


def client_created(subject: UUID, kind: str) -> ApiClientEvent:
    return ApiClientEvent("ApiClientCreated", subject, 1, kind=kind)


def client_changed(subject: UUID, version: int) -> ApiClientEvent:
    """Its scopes are others now, or it is revoked as a whole."""
    return ApiClientEvent("ClientChanged", subject, version)


def key_added(subject: UUID, version: int, key_id: str) -> ApiClientEvent:
    return ApiClientEvent("KeyAdded", subject, version, key=key_id)


def key_revoked(subject: UUID, version: int, key_id: str) -> ApiClientEvent:
    return ApiClientEvent("KeyRevoked", subject, version, key=key_id)


TYPES = (
    EventType(
        name="ApiClientCreated",
        aggregate="api_client",
        says="A client was created with its first key.",
        topics=(AUTH,),
        payload={"kind": "STAFF, PARTNER, STOREFRONT or SERVICE"},
    ),
    EventType(
        name="ClientChanged",
        aggregate="api_client",
        says="A client's scopes are others now, or it is revoked as a whole.",
        topics=(AUTH,),
    ),
    EventType(
        name="KeyAdded",
        aggregate="api_client",
        says="A client was given a further key.",
        topics=(AUTH,),
        payload={"key": "the key's id, never its secret"},
    ),
    EventType(
        name="KeyRevoked",
        aggregate="api_client",
        says="A key ended for good.",
        topics=(AUTH,),
        payload={"key": "the key's id"},
    ),
)
