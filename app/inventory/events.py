"""What happens to stock, as rows of the event log: which balances changed, never their figures."""

from collections.abc import Iterable
from typing import Any

from app.kernel.events import EventType

StockKey = tuple[str, str, str]


def topics(keys: Iterable[StockKey]) -> list[str]:
    """Where watchers of these SKUs' stock listen."""
    return ["stock", *sorted({f"sku:{sku}" for sku, _, _ in keys})]


def payload(keys: Iterable[StockKey], **details: Any) -> dict[str, Any]:
    return {"stock": sorted(set(keys)), **details}


_STOCK = {"stock": "the balances that changed, each as [SKU id, location id, owner]; owner is empty for your own stock"}
_HEARD = ("stock", "sku:<id>")


def _by_hand(name: str, says: str, **payload: str) -> EventType:
    return EventType(name=name, aggregate="stock_adjustment", says=says, topics=_HEARD, payload={**_STOCK, **payload})


def _reservation(name: str, says: str, *heard: str, **payload: str) -> EventType:
    return EventType(
        name=name, aggregate="reservation", says=says, topics=("reservation:<id>", *heard), payload=payload
    )


_EXPIRES = "until when it holds the units"
_REASON = "why, as an AdjustmentReason"

TYPES = (
    _by_hand("StockAdjusted", "Balances were changed by so many units.", reason=_REASON),
    _by_hand("StockSet", "Balances were counted, and set to what was found.", reason=_REASON),
    _by_hand("StockMoved", "Units went from one state to another.", reason=_REASON),
    _by_hand("SafetyStockSet", "How much is kept back at a location was changed."),
    _reservation("StockReserved", "Units are held for a while.", *_HEARD, **_STOCK, expiresAt=_EXPIRES),
    _reservation("ReservationExtended", "Units are held for longer.", expiresAt=_EXPIRES),
    _reservation("ReservationReleased", "What was held was given back by its holder.", *_HEARD, **_STOCK),
    _reservation("ReservationExpired", "What was held was given back because its time was over.", *_HEARD, **_STOCK),
    _reservation("ReservationConsumed", "An order took what was held.", orderId="the order that took it"),
)
