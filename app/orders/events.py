"""What happens to orders, as rows of the event log: ids and plain values, no personal data.

`facts` are what a subscription's `where` may ask about, after the event; `was` holds those that changed, before it, so
that an order leaving a filter is seen without anybody remembering who was in it.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.kernel.events import Event, EventType

# Event payload keys in the order of the orders table's columns.
FACTS = {
    "number": "number",
    "externalRef": "external_ref",
    "channelId": "channel_id",
    "customerId": "customer_id",
    "lifecycle": "lifecycle",
    "fulfillmentStatus": "fulfillment_status",
    "paymentStatus": "payment_status",
    "returnStatus": "return_status",
    "isOnHold": "is_on_hold",
    "priority": "priority",
    "currency": "currency",
    "totalMinor": "total_minor",
    "destinationCountry": "destination_country",
    "placedAt": "placed_at",
    "updatedAt": "updated_at",
}

StockKey = tuple[str | UUID, str | UUID, str]


def facts(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order's filterable facts, from its columns."""
    return {fact: _plain(order[column]) for fact, column in FACTS.items()}


_READ: Mapping[str, Callable[[str], Any]] = {
    "channelId": UUID,
    "customerId": UUID,
    "placedAt": datetime.fromisoformat,
    "updatedAt": datetime.fromisoformat,
}


def comparable(order_id: UUID, payload: Mapping[str, Any], *, before: bool = False) -> dict[str, Any]:
    """An event's facts as a filter compares them, by the fields of `queries.FIELDS`; or those before the event."""
    told = {**payload["facts"], **payload["was"]} if before else payload["facts"]
    found: dict[str, Any] = {"id": order_id}
    for fact, field in FACTS.items():
        value = told.get(fact)
        found[field] = _READ[fact](value) if value is not None and fact in _READ else value
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def topics(
    order_id: UUID, channel_id: str | UUID, customer_id: str | UUID | None, skus: Iterable[str | UUID] = ()
) -> list[str]:
    """Where watchers of this order, its channel, its customer and of what can be promised of its SKUs listen."""
    heard = ["orders", f"order:{order_id}", f"channel:{channel_id}"]
    if customer_id is not None:
        heard.append(f"customer:{customer_id}")
    moved = sorted({f"sku:{sku}" for sku in skus})
    return [*heard, "stock", *moved] if moved else heard


def payload(
    after: Mapping[str, Any],
    before: Mapping[str, Any],
    stock: Iterable[StockKey] = (),
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """after, before: facts of the order."""
    body: dict[str, Any] = {
        "facts": dict(after),
        "was": {key: value for key, value in before.items() if after[key] != value},
    }
    if keys := sorted({(str(sku), str(location), owner) for sku, location, owner in stock}):
        body["stock"] = keys
    if details:
        body["details"] = dict(details)
    return body


def changed(
    name: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    stock: Iterable[StockKey] = (),
    skus: Iterable[UUID] = (),
    details: Mapping[str, Any] | None = None,
) -> Event:
    """An order's next version.

    before, after  the order's columns
    skus           whose promises changed without a balance changing: backorders given up
    """
    stock = list(stock)
    return Event(
        aggregate="order",
        subject=after["id"],
        version=after["version"],
        type=name,
        topics=topics(after["id"], after["channel_id"], after["customer_id"], [*(key[0] for key in stock), *skus]),
        payload=payload(facts(after), facts(before), stock, details),
    )


_PAYLOAD = {
    "facts": f"the order after the event: {', '.join(FACTS)}",
    "was": "those facts that the event changed, as they were before",
    "stock?": "the balances that changed, each as [SKU id, location id, owner]",
}
_LINES = "lines, each {lineId, units}"
_HOLD = "holdId, and reason as a HoldReason"


def _type(name: str, says: str, details: str | None = None) -> EventType:
    return EventType(
        name=name,
        aggregate="order",
        says=says,
        topics=("orders", "order:<id>", "channel:<id>", "customer:<id>?", "stock?", "sku:<id>?"),
        payload=_PAYLOAD if details is None else {**_PAYLOAD, "details": details},
    )


TYPES = (
    _type("OrderPlaced", "An order was taken."),
    _type("OrderConfirmed", "The order was accepted: it may be fulfilled."),
    _type("OrderHeld", "The order must not go on until the hold is released.", _HOLD),
    _type("OrderHoldReleased", "A hold was released; another may still be open.", _HOLD),
    _type("OrderAllocated", "Units that waited for stock have got it.", _LINES),
    _type("OrderLinesCancelled", "Some units will not be delivered; the order goes on.", f"reason, and {_LINES}"),
    _type("OrderCancelled", "No unit of the order is left: it has ended.", f"reason, and {_LINES}"),
)
