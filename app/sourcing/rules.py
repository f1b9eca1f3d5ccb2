"""Choosing the locations that serve a demand: the fewest, then the nearest, then by the channel's priority.

Pure functions over plain data; a plan is a proposal, and stock's guarded updates decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from haversine import haversine

SKUS_MAX = 250
# Without coordinates a foreign location counts as far away, a domestic one as near.
ABROAD_KM = 10_000.0
# Up to this many (set of locations × SKU) checks the smallest set is searched exactly; beyond it, greedily.
EXACT_CHECKS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Destination:
    country: str | None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A location that may serve. priority: lower first, as the channel sets it."""

    location: str
    code: str
    priority: int
    distance_km: float


@dataclass(frozen=True, slots=True)
class Pick:
    sku: str
    location: str
    units: int


@dataclass(frozen=True, slots=True)
class Plan:
    """picks  in the order of the demand, nearest first within a SKU;  missing  units that no stock covers, by SKU."""

    picks: tuple[Pick, ...]
    missing: Mapping[str, int]


# Units that may be taken, by location and SKU; absent is none.
Stock = Mapping[str, Mapping[str, int]]


def distance_km(
    country: str, latitude: float | None, longitude: float | None, destination: Destination | None
) -> float:
    """Great-circle distance; by country alone where coordinates are unknown on either side."""
    if destination is None:
        return 0.0
    if latitude is None or longitude is None or destination.latitude is None or destination.longitude is None:
        return 0.0 if destination.country in (None, country) else ABROAD_KM
    return float(haversine((latitude, longitude), (destination.latitude, destination.longitude)))


def plan(demand: Mapping[str, int], candidates: Sequence[Candidate], stock: Stock) -> Plan:
    """The plan that serves as much of the demand as stock allows, from the fewest locations.

    demand  units by SKU, positive
    """
    nearest = sorted(candidates, key=lambda c: (c.distance_km, c.priority, c.code))
    for candidate in nearest:  # most orders need look no further
        units_at = stock.get(candidate.location, {})
        if demand and all(units_at.get(sku, 0) >= units for sku, units in demand.items()):
            return Plan(tuple(Pick(sku, candidate.location, units) for sku, units in demand.items()), {})
    held = [(c, _of_interest(stock[c.location], demand)) for c in nearest if c.location in stock]
    total = dict.fromkeys(demand, 0)
    for _, units_at in held:
        for sku, units in units_at.items():
            total[sku] += units
    reachable = {sku: min(units, total[sku]) for sku, units in demand.items()}
    wanted = {sku: units for sku, units in reachable.items() if units}
    chosen = _fewest(wanted, held)
    picks = tuple(pick for sku, units in wanted.items() for pick in _fill(sku, units, chosen))
    missing = {sku: units - reachable[sku] for sku, units in demand.items() if units > reachable[sku]}
    return Plan(picks, missing)


def _of_interest(units_at: Mapping[str, int], demand: Mapping[str, int]) -> dict[str, int]:
    if len(units_at) <= len(demand):
        return {sku: units for sku, units in units_at.items() if units and sku in demand}
    return {sku: units for sku in demand if (units := units_at.get(sku, 0))}


_Held = tuple[Candidate, Mapping[str, int]]
# A location with two sets of SKUs as bits: those it covers alone, and those it holds any of.
_Masked = tuple[_Held, int, int]


def _fewest(wanted: Mapping[str, int], held: Sequence[_Held]) -> list[_Held]:
    """The smallest set of locations that together cover all that is wanted, nearest in sum among equals."""
    if not wanted:
        return []
    useful = [h for h in held if any(sku in wanted for sku in h[1])]
    masked = _masked(wanted, useful)
    for size, checks in _exact_sizes(len(useful), len(wanted)):
        if checks > EXACT_CHECKS_MAX:
            break
        covering = [[h for h, _, _ in s] for s in combinations(masked, size) if _covers_all(s, wanted)]
        if covering:
            return min(covering, key=_remoteness)
    return _greedily(wanted, useful)


def _masked(wanted: Mapping[str, int], held: Sequence[_Held]) -> list[_Masked]:
    bits = {sku: 1 << place for place, sku in enumerate(wanted)}
    return [
        (
            h,
            sum(bits[sku] for sku, units in h[1].items() if sku in wanted and units >= wanted[sku]),
            sum(bits[sku] for sku in h[1] if sku in wanted),
        )
        for h in held
    ]


def _covers_all(chosen: Sequence[_Masked], wanted: Mapping[str, int]) -> bool:
    """Whether these locations cover everything; the bits settle nearly all cases, the sums the others."""
    everything = (1 << len(wanted)) - 1
    alone = together = 0
    for _, covered, some in chosen:
        alone |= covered
        together |= some
    if alone == everything or together != everything:
        return alone == everything
    return _covers([h for h, _, _ in chosen], wanted)


def _exact_sizes(locations: int, skus: int) -> Iterator[tuple[int, int]]:
    """Set sizes from one up, each with the checks it may take."""
    sets = 1
    for size in range(1, locations + 1):
        sets = sets * (locations - size + 1) // size
        yield size, (sets * skus if size > 1 else 0)


def _covers(chosen: Sequence[_Held], wanted: Mapping[str, int]) -> bool:
    return all(sum(units_at.get(sku, 0) for _, units_at in chosen) >= units for sku, units in wanted.items())


def _remoteness(chosen: Sequence[_Held]) -> tuple[float, int]:
    return sum(c.distance_km for c, _ in chosen), sum(c.priority for c, _ in chosen)


def _greedily(wanted: Mapping[str, int], useful: Sequence[_Held]) -> list[_Held]:
    """The location that fills most units first, again and again; then those that turn out not to be needed go."""
    left, chosen, pool = dict(wanted), [], list(useful)
    while left:
        best = max(pool, key=lambda h: sum(min(units, left[sku]) for sku, units in h[1].items() if sku in left))
        pool.remove(best)
        chosen.append(best)
        left = {sku: rest for sku, units in left.items() if (rest := units - best[1].get(sku, 0)) > 0}
    for candidate in sorted(chosen, key=lambda h: -h[0].distance_km):
        others = [h for h in chosen if h is not candidate]
        if others and _covers(others, wanted):
            chosen = others
    return sorted(chosen, key=lambda h: (h[0].distance_km, h[0].priority, h[0].code))


def _fill(sku: str, units: int, chosen: Sequence[_Held]) -> Iterator[Pick]:
    """Units of one SKU from the nearest location that has them all, else from the nearest on."""
    for candidate, units_at in chosen:
        if units_at.get(sku, 0) >= units:
            yield Pick(sku, candidate.location, units)
            return
    for candidate, units_at in chosen:
        if take := min(units, units_at.get(sku, 0)):
            yield Pick(sku, candidate.location, take)
            units -= take
