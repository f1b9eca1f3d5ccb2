"""What accepted requests add up to, kept in Python by the clients and compared with what the database says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.builders import Shop

Balance = tuple[str, str]  # SKU, location


@dataclass
class Held:
    """lasting  does not expire within the race; the others all have when it is over"""

    units: Counter[str]
    lasting: bool
    closed: bool = False


@dataclass
class Line:
    sku: str
    ordered: int
    cancelled: int = 0


@dataclass
class Book:
    """The sums, whoever came first: nothing here depends on the order in which requests were accepted."""

    on_hand: Counter[Balance] = field(default_factory=Counter)
    damaged: Counter[Balance] = field(default_factory=Counter)
    quality_control: Counter[Balance] = field(default_factory=Counter)
    orders: dict[str, dict[str, Line]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    held: dict[str, Held] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return self.accepted.total() + self.refused.total()

    def sold(self) -> Counter[str]:
        """Units by SKU that orders still want."""
        sold: Counter[str] = Counter()
        for order_id, lines in self.orders.items():
            if order_id not in self.cancelled:
                for line in lines.values():
                    sold[line.sku] += line.ordered - line.cancelled
        return +sold

    def reserved(self) -> Counter[str]:
        """Units by SKU held by what was neither used, released nor left to expire."""
        reserved: Counter[str] = Counter()
        for held in self.held.values():
            if held.lasting and not held.closed:
                reserved.update(held.units)
        return +reserved

    def close(self, token: str) -> None:
        """A reservation was used or released; only one request may."""
        held = self.held[token]
        if held.closed:
            self.faults.append(f"reservation {token} was closed twice")
        held.closed = True

    def summary(self) -> str:
        share = self.accepted.total() / max(1, self.asked)
        return (
            f"{self.asked} asked, {share:.0%} accepted; accepted {dict(self.accepted)}; refused {dict(self.refused)};"
            f" codes {dict(self.codes)}"
        )


async def differences(shop: Shop, book: Book) -> dict[str, Any]:
    """Where the database disagrees with the book; empty when it does not."""
    found: dict[str, Any] = {}
    rows = await shop.rows(
        "SELECT s.code AS sku, l.code AS location, b.on_hand, b.damaged, b.quality_control, b.allocated, b.reserved"
        " FROM stock_level b JOIN sku s ON s.id = b.sku_id JOIN location l ON l.id = b.location_id"
    )
    for name in ("on_hand", "damaged", "quality_control"):
        stored = Counter({(row.sku, row.location): getattr(row, name) for row in rows})
        _compare(found, name, getattr(book, name), stored)
    backordered = {
        row.code: row.units
        for row in await shop.rows("SELECT s.code, b.units FROM backorder_level b JOIN sku s ON s.id = b.sku_id")
    }
    sold: Counter[str] = Counter(backordered)
    reserved: Counter[str] = Counter()
    for row in rows:
        sold[row.sku] += row.allocated
        reserved[row.sku] += row.reserved
    _compare(found, "allocated and backordered", book.sold(), sold)
    _compare(found, "reserved", book.reserved(), reserved)
    orders = (await shop.one("SELECT count(*) AS n FROM orders")).n
    if orders != len(book.orders):
        found["orders"] = {"book": len(book.orders), "stored": orders}
    return found


def _compare(found: dict[str, Any], name: str, book: Mapping[Any, int], stored: Mapping[Any, int]) -> None:
    for key in book.keys() | stored.keys():
        if book.get(key, 0) != stored.get(key, 0):
            found[f"{name} of {key}"] = {"book": book.get(key, 0), "stored": stored.get(key, 0)}
