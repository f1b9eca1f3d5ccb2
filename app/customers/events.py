"""What happened to customers: ids only, for even a code may be a person's e-mail address."""

from uuid import UUID

from app.kernel.events import Event, EventType


class CustomerChanged(Event):
    """A customer was created or changed, addresses, contact points and references included."""

    def __init__(self, *, subject: UUID, version: int) -> None:
        super().__init__(
            aggregate="customer",
            subject=subject,
            version=version,
            type="CustomerChanged",
            topics=["customers", f"customer:{subject}"],
        )


TYPES = (
    EventType(
        name="CustomerChanged",
        aggregate="customer",
        says="A customer was created or changed, addresses, contact points and references included.",
        topics=("customers", "customer:<id>"),
    ),
)
