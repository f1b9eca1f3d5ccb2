"""What happened to channels and locations. Codes and ids only: watchers read what they need."""

from uuid import UUID

from app.kernel.events import Event, EventType


class ChannelChanged(Event):
    """A channel was created or changed, its list of locations included."""

    def __init__(self, *, subject: UUID, version: int, code: str) -> None:
        super().__init__(
            aggregate="channel",
            subject=subject,
            version=version,
            type="ChannelChanged",
            topics=["network", f"channel:{subject}"],
            payload={"code": code},
        )


class LocationChanged(Event):
    """A location was created or changed."""

    def __init__(self, *, subject: UUID, version: int, code: str) -> None:
        super().__init__(
            aggregate="location",
            subject=subject,
            version=version,
            type="LocationChanged",
            topics=["network", f"location:{subject}"],
            payload={"code": code},
        )


TYPES = (
    EventType(
        name="ChannelChanged",
        aggregate="channel",
        says="A channel was created or changed, its list of locations included.",
        topics=("network", "channel:<id>"),
        payload={"code": "the channel's code"},
    ),
    EventType(
        name="LocationChanged",
        aggregate="location",
        says="A location was created or changed.",
        topics=("network", "location:<id>"),
        payload={"code": "the location's code"},
    ),
)
