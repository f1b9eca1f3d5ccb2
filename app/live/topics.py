"""Where watchers listen: an event names its topics, a stream attaches to the ones it wants."""

from collections.abc import Iterable
from uuid import UUID

ORDERS = "orders"  # every order event
STOCK = "stock"  # every stock change
AUTH = "auth"  # a key revoked, scopes changed
CATALOG = "catalog"
NETWORK = "network"

_BROAD = frozenset({ORDERS, STOCK, AUTH, CATALOG, NETWORK})


def order(order_id: UUID) -> str:
    return f"order:{order_id}"


def customer(customer_id: UUID) -> str:
    return f"customer:{customer_id}"


def channel(channel_id: UUID) -> str:
    return f"channel:{channel_id}"


def sku(sku_id: UUID) -> str:
    return f"sku:{sku_id}"


def any_broad(topics: Iterable[str]) -> bool:
    """Whether one of them covers a large share of the log, so that walking the log beats looking topics up."""
    return any(topic in _BROAD or topic.startswith("channel:") for topic in topics)
