"""What happened to SKUs. Codes and ids only: watchers read what they need."""

from uuid import UUID

from app.kernel.events import Event, EventType


class SkuChanged(Event):
    """A SKU was created or changed, its prices and components included."""

    def __init__(self, *, subject: UUID, version: int, code: str) -> None:
        super().__init__(
            aggregate="sku",
            subject=subject,
            version=version,
            type="SkuChanged",
            topics=["catalog", f"sku:{subject}"],
            payload={"code": code},
        )


TYPES = (
    EventType(
        name="SkuChanged",
        aggregate="sku",
        says="A SKU was created or changed, its prices and components included.",
        topics=("catalog", "sku:<id>"),
        payload={"code": "the SKU's code"},
    ),
)
