"""Why stock says no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.inventory.states import StockState
from app.kernel.errors import Refusal


@dataclass(frozen=True, slots=True)
class UnitsAt:
    location: str
    units: int


class InsufficientStock(Refusal):
    """Not enough of a SKU, with what there is, where, and when more is due."""

    code = "INSUFFICIENT_STOCK"

    def __init__(
        self,
        *,
        sku: str,
        requested: int,
        available: int,
        backorderable: int = 0,
        by_location: Sequence[UnitsAt] = (),
        next_available_at: datetime | None = None,
        path: list[str] | None = None,
    ) -> None:
        beyond = f" and {backorderable} beyond stock" if backorderable else ""
        later = f"the rest is due on {next_available_at:%Y-%m-%d}" if next_available_at else "no more is on its way"
        most = available + backorderable
        super().__init__(
            f"{requested} of {sku} asked for, {available} can be promised now{beyond}; {later}."
            f" {f'Ask for up to {most}' if most else 'Leave it out'}, or wait.",
            path=path,
        )
        self.sku = sku
        self.requested = requested
        self.available = available
        self.backorderable = backorderable
        self.by_location = list(by_location)
        self.next_available_at = next_available_at


class StockTaken(Refusal):
    """Another request took the units between the decision and the write. Trying again decides on fresh figures."""

    code = "STOCK_TAKEN"
    retryable = True

    def __init__(self, *, sku_id: str, location_id: str, **names: str) -> None:
        self.sku, self.location = names.get("sku", sku_id), names.get("location", location_id)
        super().__init__(
            f"Others just took {self.sku} at {self.location}: send the request again to see what is left."
            if names
            else "Others just took the last of these units: send the request again to see what is left."
        )
        self.sku_id = sku_id
        self.location_id = location_id

    def named(self, skus: Mapping[str, str], locations: Mapping[str, str]) -> "StockTaken":
        """The same with codes, by id: SQL knows ids, people know codes."""
        return StockTaken(
            sku_id=self.sku_id,
            location_id=self.location_id,
            sku=skus.get(self.sku_id, self.sku_id),
            location=locations.get(self.location_id, self.location_id),
        )


class BackorderLimit(Refusal):
    """Others took the rest of what may be sold beyond stock, between the decision and the write."""

    code = "BACKORDER_LIMIT"
    retryable = True

    def __init__(self, *, sku_id: str, sku: str | None = None) -> None:
        self.sku = sku or sku_id
        super().__init__(
            f"Others just took the rest of {sku} that may be backordered: send the request again."
            if sku
            else "Others just took the rest of what may be backordered: send the request again."
        )
        self.sku_id = sku_id

    def named(self, skus: Mapping[str, str]) -> "BackorderLimit":
        """The same with the SKU's code, by id."""
        return BackorderLimit(sku_id=self.sku_id, sku=skus.get(self.sku_id))


class StockCompareFailed(Refusal):
    """The units on hand are not what the caller believed."""

    code = "STOCK_COMPARE_FAILED"

    def __init__(
        self,
        *,
        sku_id: str,
        location_id: str,
        expected: int,
        actual: int,
        path: list[str] | None = None,
        **names: str,
    ) -> None:
        sku, location = names.get("sku", sku_id), names.get("location", location_id)
        super().__init__(
            f"{actual} of {sku} lie at {location}, you compared with {expected}: read the balance again, then decide.",
            path=path,
        )
        self.sku, self.location = sku, location
        self.facts: dict[str, Any] = {
            "sku_id": sku_id,
            "location_id": location_id,
            "expected": expected,
            "actual": actual,
        }
        self.expected = expected
        self.actual = actual


class StockBelowCommitted(Refusal):
    """The change would leave less on hand than is allocated, reserved or set aside, or take more than is set aside.

    moved_from  the state that units were to leave, where there are too few of them in it
    """

    code = "STOCK_BELOW_COMMITTED"

    def __init__(
        self,
        *,
        sku_id: str,
        location_id: str,
        on_hand: int,
        allocated: int,
        reserved: int,
        damaged: int,
        quality_control: int,
        moved_from: StockState | None = None,
        path: list[str] | None = None,
        **names: str,
    ) -> None:
        sku, location = names.get("sku", sku_id), names.get("location", location_id)
        if moved_from in (StockState.DAMAGED, StockState.QUALITY_CONTROL):
            free, state = (
                (damaged, "damaged") if moved_from is StockState.DAMAGED else (quality_control, "in quality control")
            )
            message = f"{free} of {sku} at {location} are {state}: move no more than these from there."
        else:
            free = on_hand - allocated - reserved - damaged - quality_control
            message = (
                f"Of {on_hand} {sku} at {location}, {allocated} are allocated, {reserved} reserved, {damaged} damaged"
                f" and {quality_control} in quality control: at most {free} can go. Cancel or release some first."
            )
        super().__init__(message, path=path)
        self.sku, self.location = sku, location
        self.on_hand = on_hand
        self.committed = allocated + reserved
        self.available = free
        self.facts: dict[str, Any] = {
            "sku_id": sku_id,
            "location_id": location_id,
            "on_hand": on_hand,
            "allocated": allocated,
            "reserved": reserved,
            "damaged": damaged,
            "quality_control": quality_control,
        }


class ReservationTooLong(Refusal):
    """Extended like this, a visitor's reservation would hold its units for longer than all of it may last."""

    code = "RESERVATION_TOO_LONG"

    def __init__(self, *, latest: datetime, hours_max: int, path: list[str] | None = None) -> None:
        super().__init__(
            f"A storefront's reservation lasts {hours_max} hours in all, however often it is extended: this one ends by"
            f" {latest:%H:%M:%S} UTC. Ask for no longer, place the order, or reserve again.",
            path=path,
        )
        self.expires_at_max = latest


class ReservationClosed(Refusal):
    """The reservation was used, released, or its time is over."""

    code = "RESERVATION_CLOSED"

    def __init__(self, *, status: str, expires_at: datetime | str, path: list[str] | None = None) -> None:
        at = datetime.fromisoformat(expires_at) if isinstance(expires_at, str) else expires_at
        why = {"CONSUMED": "was used by an order", "RELEASED": "was released"}.get(
            status, f"ended at {at:%H:%M:%S} UTC"
        )
        super().__init__(f"This reservation {why}: reserve again, or place without it.", path=path)
        self.status = status
        self.expires_at = at
