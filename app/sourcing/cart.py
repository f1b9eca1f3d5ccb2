"""What can be promised of several lines together, and from where: the answer that placing them would give. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from app.kernel.texts import spelled
from app.sourcing import promise
from app.sourcing.promise import Facts, Taken
from app.sourcing.rules import Destination
from app.sourcing.states import CartLineStatus


class Asked(Protocol):
    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Units of one SKU from one location: of the line's own, or of a part of its bundle."""

    sku: str
    location_code: str
    location_name: str
    units: int


@dataclass(frozen=True, slots=True)
class CartLine:
    """promised       units that stock covers now; of a bundle, whole bundles
    backorderable     units of the rest that may be sold beyond stock
    next_available_at when supply covers the rest; None where nothing covers it, or nothing is missing
    """

    sku: str
    quantity: int
    status: CartLineStatus
    promised: int = 0
    backorderable: int = 0
    sources: tuple[Source, ...] = ()
    next_available_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cart:
    """promisable  every line is covered by stock now
    orderable      an order of these lines finds enough: stock, or room to backorder
    watched        ids of the SKUs it depends on, bundles and their parts
    missing_codes  codes without a SKU: a new one may change the answer
    at             as of when
    changes_at     when it changes by the passing of time alone: a preorder is released. Supply that falls due has not
                   come yet
    """

    promisable: bool
    orderable: bool
    location_count: int
    lines: tuple[CartLine, ...]
    watched: frozenset[str]
    missing_codes: frozenset[str]
    at: datetime
    changes_at: datetime | None

    def says_the_same_as(self, other: "Cart | None") -> bool:
        """Whether a shop would show what it showed before. Supply that is overdue is due now, which is not news."""
        return other is not None and self.shown(self.at) == other.shown(self.at)

    def shown(self, now: datetime) -> tuple[Any, ...]:
        """What a shop would show, to compare."""
        lines = [
            replace(line, next_available_at=None)
            if line.next_available_at is not None and line.next_available_at <= now
            else line
            for line in self.lines
        ]
        return self.promisable, self.orderable, lines


@dataclass(slots=True)
class _Part:
    """What a line takes of one stocked SKU."""

    sku: Mapping[str, Any]
    units_each: int
    wanted: int
    got: int = 0
    backordered: int = 0


def evaluate(asked: Sequence[Asked], facts: Facts, destination: Destination | None, now: datetime) -> Cart:
    """Judge a cart. Lines are served in their order; a SKU may stand on several."""
    exploded = [(line, _parts(line, facts)) for line in asked]
    demand: dict[str, int] = {}
    for _, parts in exploded:
        for part in parts or ():
            if not promise.is_preorder(part.sku, now):
                demand[part.sku["id"]] = demand.get(part.sku["id"], 0) + part.wanted
    allotment = promise.allot({sku: units for sku, units in demand.items() if units}, facts, destination)
    piles: dict[str, list[Taken]] = {}
    for taken in reversed(allotment.taken):
        piles.setdefault(taken.sku, []).append(taken)

    lines: list[CartLine] = []
    room: dict[str, int] = {}
    for line, parts in exploded:
        if parts is None:
            lines.append(CartLine(line.sku, line.quantity, CartLineStatus.UNKNOWN))
            continue
        sources = tuple(source for part in parts for source in _serve(part, piles, facts))
        for part in parts:
            left = room.setdefault(part.sku["id"], promise.backorder_room(part.sku, facts))
            part.backordered = min(left, part.wanted - part.got)
            room[part.sku["id"]] = left - part.backordered
        lines.append(_line(line, parts, sources, facts, now))

    known = {spelled(line.sku) for line in asked if spelled(line.sku) in facts.skus}
    return Cart(
        promisable=all(line.status is CartLineStatus.PROMISED for line in lines),
        orderable=facts.channel["active"]
        and all(line.status in (CartLineStatus.PROMISED, CartLineStatus.BACKORDERED) for line in lines),
        location_count=len({taken.location for taken in allotment.taken}),
        lines=tuple(lines),
        watched=frozenset(sku["id"] for sku in facts.skus.values()),
        missing_codes=frozenset(spelled(line.sku) for line in asked) - known,
        at=now,
        changes_at=promise.next_release(facts, now),
    )


def _parts(line: Asked, facts: Facts) -> list[_Part] | None:
    """None where the SKU cannot be sold at all."""
    sku = facts.skus.get(spelled(line.sku))
    if sku is None or promise.retired(sku, facts):
        return None
    parts = sku["components"] if sku["bundle"] else [{"code": sku["code"], "units": 1}]
    found = [(facts.skus[part["code"]], part["units"]) for part in parts]
    return [_Part(part, units, line.quantity * units) for part, units in found if part["stockTracked"]]


def _serve(part: _Part, piles: dict[str, list[Taken]], facts: Facts) -> list[Source]:
    """Give the part what its SKU got, location by location."""
    sources: dict[str, int] = {}
    pile = piles.get(part.sku["id"], [])
    while part.got < part.wanted and pile:
        taken = pile.pop()
        units = min(taken.units, part.wanted - part.got)
        part.got += units
        sources[taken.location] = sources.get(taken.location, 0) + units
        if units < taken.units:
            pile.append(replace(taken, units=taken.units - units))
    return [
        Source(part.sku["code"], facts.locations[at]["code"], facts.locations[at]["name"], units)
        for at, units in sources.items()
    ]


def _line(line: Asked, parts: Sequence[_Part], sources: tuple[Source, ...], facts: Facts, now: datetime) -> CartLine:
    promised = min((part.got // part.units_each for part in parts), default=line.quantity)
    if promised == line.quantity:
        return CartLine(line.sku, line.quantity, CartLineStatus.PROMISED, promised, sources=sources)
    orderable = min((part.got + part.backordered) // part.units_each for part in parts)
    later = [
        promise.covered_at(part.sku, part.wanted - part.got, facts, now) for part in parts if part.got < part.wanted
    ]
    return CartLine(
        line.sku,
        line.quantity,
        CartLineStatus.BACKORDERED if orderable == line.quantity else CartLineStatus.SHORT,
        promised,
        orderable - promised,
        sources,
        None if None in later else max(at for at in later if at is not None),
    )
