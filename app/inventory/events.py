"""What happens to stock, as rows of the event log: which balances changed, never their figures."""

from collections.abc import Iterable
from typing import Any

StockKey = tuple[str, str, str]


def topics(keys: Iterable[StockKey]) -> list[str]:
    """Where watchers of these SKUs' stock listen."""
    return ["stock", *sorted({f"sku:{sku}" for sku, _, _ in keys})]


def payload(keys: Iterable[StockKey], **details: Any) -> dict[str, Any]:
    return {"stock": sorted(set(keys)), **details}
