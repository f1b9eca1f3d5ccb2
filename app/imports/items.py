"""What a file's rows become on their way in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.imports.files import BadRow, Row
from app.inventory.states import AdjustmentReason
from app.orders.cleaning import LINES_MAX
from app.orders.requests import OrderRequest

REJECT_COLUMNS = ("import_row", "import_outcome", "import_reason")
HELD_ROWS_MAX = 20_000
HELD_ORDERS_MAX = 500


class Kind(StrEnum):
    """What a file holds."""

    SKUS = "skus"
    LOCATIONS = "locations"
    CUSTOMERS = "customers"
    STOCK = "stock"
    ORDERS = "orders"


class Format(StrEnum):
    """How a file says it."""

    ORDERWIRE_CSV = "orderwire-csv"
    ORDERWIRE_JSONL = "orderwire-jsonl"
    SHOPIFY_CSV = "shopify-csv"
    ONLINE_RETAIL = "online-retail"


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    EXISTING = "existing"
    REJECTED = "rejected"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Upsert:
    """A SKU, location or customer, with the fields of its area's upsert command."""

    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """What is on hand of a SKU at a location from now on."""

    sku: str
    location: str
    owner: str | None
    on_hand: int
    safety_stock: int | None
    reason: AdjustmentReason
    reference: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """Units to add to what is on hand, once for each reference.

    location  None where units are to be taken from wherever most of them are free
    """

    sku: str
    location: str | None
    units: int
    reason: AdjustmentReason
    reference: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to load, and the rows it was read from."""

    rows: Sequence[Row]
    what: Upsert | Figure | Change | OrderRequest
    units: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that are not loaded: rejected, or set aside for a good reason."""

    rows: Sequence[Row]
    reason: str
    outcome: Outcome = Outcome.REJECTED


Entry = Item | Kept


@dataclass(frozen=True, slots=True)
class Site:
    """A location that may be given stock."""

    code: str
    type: str
    country: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file is loaded to.

    channel  code of the channel for what does not name one
    sites    the channel's locations, first choice first; only for formats that spread stock by themselves
    times    how often the file's demand is to be covered, at least once; only for formats that generate stock
    """

    channel: str | None = None
    sites: Sequence[Site] = ()
    times: int = 1


def grouped(rows: Iterable[tuple[Row, str]]) -> Iterator[tuple[str, list[Row]] | Kept]:
    """Rows of one order together, also where other orders' rows lie between them.

    rows  each with the reference of its order
    Memory stays bounded: an order is closed when many rows of others have followed. Rows that come later still make a
    second order of that reference, which is rejected because its lines are not those of the first.
    """
    held: dict[str, list[Row]] = {}
    too_long: set[str] = set()
    count = 0
    for row, ref in rows:
        group = held.get(ref)
        if group is None:
            if ref in too_long:
                yield Kept([row], _too_long(ref))
                continue
            group = held[ref] = []
        group.append(row)
        count += 1
        if len(group) > LINES_MAX:
            yield Kept(held.pop(ref), _too_long(ref))
            too_long.add(ref)
            count -= len(group)
        while count > HELD_ROWS_MAX or len(held) > HELD_ORDERS_MAX:
            oldest = next(iter(held))
            count -= len(held[oldest])
            yield oldest, held.pop(oldest)
    yield from held.items()


def _too_long(ref: str) -> str:
    return f"Order {ref} has more than {LINES_MAX} lines: split it."


def kept(rows: Sequence[Row], problem: BadRow) -> Kept:
    return Kept(rows, problem.reason)
