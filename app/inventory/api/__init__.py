"""How clients see stock."""

from app.inventory.api import errors as _errors  # noqa: F401 (gives the refusals their types)
from app.inventory.api.changes import InventoryMutation
from app.inventory.api.lists import InventoryQuery
from app.inventory.api.streams import InventorySubscription
from app.inventory.api.types import Allocation, Reservation, StockLevel, StockMovement, allocations_of

__all__ = [
    "Allocation",
    "InventoryMutation",
    "InventoryQuery",
    "InventorySubscription",
    "Reservation",
    "StockLevel",
    "StockMovement",
    "allocations_of",
]
