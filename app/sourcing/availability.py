"""What can be promised of single SKUs: now, later, and where. Pure, over the facts that placing decides from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.kernel.texts import spelled
from app.sourcing import promise, rules
from app.sourcing.promise import AtpStep, Facts
from app.sourcing.rules import Destination
from app.sourcing.states import AvailabilityStatus


@dataclass(frozen=True, slots=True)
class UnitsFrom:
    """Units that one location can give."""

    location_code: str
    location_name: str
    units: int


@dataclass(frozen=True, slots=True)
class Availability:
    """What can be promised of one SKU.

    available      None where it is unlimited
    atp            the same from now on, a step for each date on which it rises; empty where unlimited or unknown
    by_location    where `available` as of now comes from; of a bundle, what one location has all parts for
    backorderable  units that may be sold beyond what can be promised
    """

    sku: str
    status: AvailabilityStatus
    unlimited: bool = False
    available: int | None = 0
    atp: Sequence[AtpStep] = ()
    by_location: Sequence[UnitsFrom] = ()
    next_available_at: datetime | None = None
    backorderable: int = 0
    preorder_release_at: datetime | None = None


def told(
    known: Availability,
    locations: Mapping[str, Mapping[str, Any]],
    destination: Destination | None,
    at: datetime | None,
    now: datetime,
) -> Availability:
    """What was found without a destination and for now, as somebody is told who names both.

    locations  the channel's, by code
    now        where the first step begins
    """
    if not known.atp:
        return known
    steps = [AtpStep(now, known.atp[0].units), *known.atp[1:]]
    by_location = known.by_location
    if destination is not None and len(by_location) > 1:
        by_location = sorted(by_location, key=lambda found: _nearness(locations[found.location_code], destination))
    available = known.available if at is None else promise.units_at(known.atp, at)
    return replace(known, available=available, atp=steps, by_location=by_location)


def _nearness(location: Mapping[str, Any], destination: Destination) -> tuple[float, int, str]:
    km = rules.distance_km(location["country"], location["lat"], location["lon"], destination)
    return km, location["priority"], location["code"]


class Promises:
    """Answers about the SKUs of one read of the facts.

    destination  decides which locations are named first: the nearest; the channel's priority without one
    at           the instant that `available` is for; None for now
    """

    def __init__(self, facts: Facts, now: datetime, destination: Destination | None, at: datetime | None) -> None:
        self._facts = facts
        self._now = now
        self._at = at
        nearest = sorted(facts.candidates(destination), key=lambda c: (c.distance_km, c.priority, c.code))
        self._held = [(facts.locations[c.location], facts.balances[c.location]) for c in nearest]

    def of(self, code: str) -> Availability:
        sku = self._facts.skus.get(spelled(code))
        if sku is None or promise.retired(sku, self._facts):
            return Availability(code, AvailabilityStatus.UNKNOWN)
        needs = self._needs(sku)
        if not needs:
            return Availability(code, AvailabilityStatus.UNLIMITED, unlimited=True, available=None)
        steps = least_of([(promise_of(self._facts, part, self._now), units) for part, units in needs])
        now_units = steps[0].units
        room = min((self._room(part) // units for part, units in needs), default=0)
        preorder = [part for part, _ in needs if promise.is_preorder(part, self._now)]
        return Availability(
            code,
            _status(now_units, room, bool(preorder)),
            available=_countable(now_units if self._at is None else promise.units_at(steps, self._at)),
            atp=[AtpStep(step.from_, _countable(step.units)) for step in steps],
            by_location=() if preorder else self._by_location(needs),
            next_available_at=next((step.from_ for step in steps if step.units > now_units), None),
            backorderable=_countable(max(0, room - now_units)),
            preorder_release_at=max(
                (datetime.fromisoformat(part["preorderReleaseAt"]) for part in preorder), default=None
            ),
        )

    def _needs(self, sku: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], int]]:
        """The stocked SKUs that one unit takes, each with its units; none of a service."""
        parts = sku["components"] if sku["bundle"] else [{"code": sku["code"], "units": 1}]
        found = [(self._facts.skus[part["code"]], part["units"]) for part in parts]
        return [(part, units) for part, units in found if part["stockTracked"]]

    def _room(self, sku: Mapping[str, Any]) -> int:
        """Units of one SKU that an order may ask for: what is there, and what may be backordered."""
        units = 0 if promise.is_preorder(sku, self._now) else self._facts.units_promisable(sku["id"])
        return units + promise.backorder_room(sku, self._facts)

    def _by_location(self, needs: Sequence[tuple[Mapping[str, Any], int]]) -> list[UnitsFrom]:
        found = []
        for location, by_sku in self._held:
            units = min(_free(by_sku, part["id"]) // need for part, need in needs)
            if units:
                found.append(UnitsFrom(location["code"], location["name"], _countable(units)))
        return found


def _countable(units: int) -> int:
    """No more than one request could ask for, and than an Int of the API can tell."""
    return min(units, promise.UNITS_MAX)


def _free(by_sku: Mapping[str, Sequence[tuple[str, int]]], sku: str) -> int:
    owners = by_sku.get(sku)
    return sum(free for _, free in owners) if owners else 0


def _status(units: int, room: int, preorder: bool) -> AvailabilityStatus:
    if preorder:
        return AvailabilityStatus.PREORDER
    if units:
        return AvailabilityStatus.AVAILABLE
    return AvailabilityStatus.BACKORDER if room else AvailabilityStatus.OUT_OF_STOCK


def promise_of(facts: Facts, sku: Mapping[str, Any], now: datetime) -> list[AtpStep]:
    """Available to promise of one SKU as it may be sold: nothing before a preorder's release."""
    steps = promise.promise_over_time(facts, sku["id"], now)
    if not promise.is_preorder(sku, now):
        return steps
    release = datetime.fromisoformat(sku["preorderReleaseAt"])
    at_release = promise.units_at(steps, release)
    later = [step for step in steps if step.from_ > release]
    return [AtpStep(now, 0), *([AtpStep(release, at_release)] if at_release else []), *later]


def least_of(parts: Sequence[tuple[Sequence[AtpStep], int]]) -> list[AtpStep]:
    """How many of a bundle its parts allow over time; each part with the units that one bundle takes."""
    if len(parts) == 1 and parts[0][1] == 1:
        return list(parts[0][0])
    merged: list[AtpStep] = []
    for at in sorted({step.from_ for steps, _ in parts for step in steps}):
        units = min(promise.units_at(steps, at) // need for steps, need in parts)
        if not merged or merged[-1].units != units:
            merged.append(AtpStep(at, units))
    return merged
