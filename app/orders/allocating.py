"""Which of an order's lines get which units of stock. Pure: no database, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.sourcing import promise
from app.sourcing.promise import Facts, Taken
from app.sourcing.rules import Destination


@dataclass(frozen=True, slots=True)
class Allocated:
    """Units of one balance for one line."""

    line_id: UUID
    taken: Taken


@dataclass(frozen=True, slots=True)
class Wanted:
    """Units that a line wants of stock."""

    line_id: UUID
    sku_id: str
    units: int


class Component(Protocol):
    @property
    def allocated(self) -> int: ...
    @property
    def units_per_parent(self) -> int | None: ...


def serve_waiting(
    wanted: Sequence[Wanted], facts: Facts, destination: Destination | None, now: datetime
) -> list[Allocated]:
    """As much as stock has of what lines wait for, chosen as placing chooses. Before its release a SKU is not given.

    wanted  in the order's own order; a SKU may stand on several lines
    facts   with nothing kept for those who wait: these are they
    """
    released = {sku["id"] for sku in facts.skus.values() if not promise.is_preorder(sku, now)}
    demand: dict[str, int] = {}
    for line in wanted:
        if line.sku_id in released:
            demand[line.sku_id] = demand.get(line.sku_id, 0) + line.units
    return deal(wanted, promise.allot(demand, facts, destination).taken)


def deal(wanted: Sequence[Wanted], taken: Sequence[Taken]) -> list[Allocated]:
    """Hand out what each SKU got to the lines that want it, in their order."""
    piles: dict[str, list[Taken]] = {}
    for pick in reversed(taken):
        piles.setdefault(pick.sku, []).append(pick)
    dealt = []
    for line in wanted:
        pile, missing = piles.get(line.sku_id, []), line.units
        while missing and pile:
            pick = pile.pop()
            units = min(pick.units, missing)
            dealt.append(Allocated(line.line_id, pick if units == pick.units else _part_of(pick, units)))
            missing -= units
            if units < pick.units:
                pile.append(_part_of(pick, pick.units - units))
    return dealt


def _part_of(pick: Taken, units: int) -> Taken:
    return Taken(pick.sku, pick.location, pick.owner, units, pick.floor)


def units_by_line(allocations: Sequence[Allocated]) -> Mapping[UUID, int]:
    units: dict[UUID, int] = {}
    for each in allocations:
        units[each.line_id] = units.get(each.line_id, 0) + each.taken.units
    return units


def whole_bundles(ordered: int, components: Sequence[Component]) -> int:
    """How many bundles have all their components allocated."""
    return min((c.allocated // (c.units_per_parent or 1) for c in components), default=ordered)
