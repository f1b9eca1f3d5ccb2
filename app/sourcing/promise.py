"""What stock can promise a set of lines: demand by SKU, what a reservation already holds, what a plan adds.

Pure. Shared by placing, reserving and availability, so that the question and the deed cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.inventory.refusals import InsufficientStock, UnitsAt
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.inputs import INT_MAX
from app.kernel.principal import Kind, Principal
from app.sourcing import rules
from app.sourcing.rules import Candidate, Destination

UNITS_MAX = INT_MAX


@dataclass(frozen=True, slots=True)
class Taken:
    """Units from one balance. floor: the channel's safety stock at the location."""

    sku: str
    location: str
    owner: str
    units: int
    floor: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The world as `sourcing_facts` read it, keyed for deciding. Ids are strings of UUIDs.

    skus       by code
    locations  by id, the channel's active ones
    balances   units that may be taken (safety stock already off) by location, then SKU, then owner, own stock first
    supply     what is due, by SKU and date: (location, due at, units beyond what fills up the safety stock)
    backordered units sold beyond stock, by SKU
    claimed    those of them that lie in stock now and are about to be allocated: in no balance above
    free       what balances hold, of all owners together
    """

    channel: Mapping[str, Any]
    skus: Mapping[str, Mapping[str, Any]]
    locations: Mapping[str, Mapping[str, Any]]
    balances: Mapping[str, Mapping[str, Sequence[tuple[str, int]]]]
    supply: Mapping[str, Sequence[tuple[str, datetime, int]]]
    backordered: Mapping[str, int]
    claimed: Mapping[str, int]
    free: Mapping[str, Mapping[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        free = {
            location: {sku: sum(units for _, units in owners) for sku, owners in by_sku.items()}
            for location, by_sku in self.balances.items()
        }
        object.__setattr__(self, "free", free)

    @classmethod
    def read(cls, raw: Mapping[str, Any], *, for_claims: bool = False) -> "Facts":
        """for_claims  for those who wait: nothing is kept from them"""
        channel = raw["channel"]
        location_list = channel["locations"]
        stock_skus = raw["stockSkus"] or []
        kept = {} if for_claims or not raw["claims"] else _kept_for_claims(raw)
        balances: dict[str, dict[str, list[tuple[str, int]]]] = {}
        for sku_n, location_n, owner, available, safety_stock in raw["stock"]:
            location = location_list[location_n - 1]
            free = available - max(safety_stock, location["safetyStock"])
            if kept:
                free -= kept.get((stock_skus[sku_n - 1], location["id"], owner), 0)
            if free > 0:
                by_sku = balances.setdefault(location["id"], {})
                by_sku.setdefault(stock_skus[sku_n - 1], []).append((owner, free))
        for by_sku in balances.values():
            for owners in by_sku.values():
                owners.sort()
        locations = {location["id"]: location for location in location_list}
        claimed: dict[str, int] = {}
        for (sku, _, _), units in kept.items():
            claimed[sku] = claimed.get(sku, 0) + units
        return cls(
            channel=channel,
            skus={sku["code"]: sku for sku in raw["skus"]},
            locations=locations,
            balances=balances,
            supply=_sellable_supply(raw["supply"]["supply"], locations),
            backordered=raw["supply"]["backordered"],
            claimed=claimed,
        )

    @classmethod
    def told(cls, raw: Mapping[str, Any] | None) -> "Facts | None":
        """The answer of `sourcing_facts`; None where there is no such channel."""
        return cls.read(raw) if raw is not None else None

    def sku_codes(self) -> dict[str, str]:
        """SKU id → code."""
        return {sku["id"]: sku["code"] for sku in self.skus.values()}

    def location_codes(self) -> dict[str, str]:
        """Location id → code."""
        return {location["id"]: location["code"] for location in self.locations.values()}

    def candidates(self, destination: Destination | None) -> list[Candidate]:
        return [
            Candidate(
                location["id"],
                location["code"],
                location["priority"],
                rules.distance_km(location["country"], location["lat"], location["lon"], destination),
            )
            for location in self.locations.values()
            if location["id"] in self.balances
        ]

    def units_promisable(self, sku: str) -> int:
        """Units that can be promised now, over all locations."""
        return sum(at.units for at in self.promisable(sku))

    def promisable(self, sku: str) -> list[UnitsAt]:
        """Units that can be promised now, by location code, in the channel's order."""
        return [
            UnitsAt(location["code"], sum(free for _, free in owners))
            for location in self.locations.values()
            if (owners := self.balances.get(location["id"], {}).get(sku))
        ]

    def owed(self, sku: str) -> int:
        """Backordered units that supply has yet to bring."""
        return max(0, self.backordered.get(sku, 0) - self.claimed.get(sku, 0))

    def next_available_at(self, sku: str, units: int, now: datetime) -> datetime | None:
        """When supply, after what is owed already, covers that many units more."""
        left = units + self.owed(sku)
        for _, due_at, due_units in self.supply.get(sku, ()):
            left -= due_units
            if left <= 0:
                return max(due_at, now)
        return None


def _kept_for_claims(raw: Mapping[str, Any]) -> dict[tuple[str, str, str], int]:
    """Units by SKU, location and owner that orders which wait are about to get: not for those who come now.

    A channel gets only what its own safety stock leaves it, from the location it prefers, our own stock first.
    """
    skus, locations = raw["stockSkus"], raw["channel"]["locations"]
    left: dict[tuple[str, str], list[tuple[str, int, int]]] = {}
    for sku_n, location_n, owner, available, safety_stock in raw["stock"]:
        at = (skus[sku_n - 1], locations[location_n - 1]["id"])
        left.setdefault(at, []).append((owner, available, safety_stock))
    kept: dict[tuple[str, str, str], int] = {}
    for sku, units, floors in raw["claims"]:
        for location, floor in floors:
            for owner, available, safety_stock in sorted(left.get((sku, location), ())):
                key = (sku, location, owner)
                free = available - kept.get(key, 0) - max(safety_stock, floor)
                if (take := min(units, free)) > 0:
                    kept[key] = kept.get(key, 0) + take
                    units -= take
    return kept


def _sellable_supply(
    due: Sequence[Sequence[Any]], locations: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[tuple[str, datetime, int]]]:
    """Supply by SKU, less what it takes to fill up the safety stock it arrives at."""
    unfilled: dict[tuple[str, str, str], int] = {}
    supply: dict[str, list[tuple[str, datetime, int]]] = {}
    for sku, location, due_at, units, owner, available, safety_stock in due:
        key = (sku, location, owner)
        floor = max(safety_stock, locations[location]["safetyStock"])
        kept = min(units, unfilled.setdefault(key, max(0, floor - available)))
        unfilled[key] -= kept
        if units > kept:
            supply.setdefault(sku, []).append((location, datetime.fromisoformat(due_at), units - kept))
    return supply


def seen_by(
    principal: Principal,
    raw: Mapping[str, Any] | None,
    channel: str | None,
    path: Sequence[str] = ("input", "channel"),
) -> Facts:
    """The facts of a channel as its caller may use them.

    raw  the answer of `sourcing_facts`, None where there is no such channel
    Raises what `usable` raises.
    """
    return usable(principal, Facts.told(raw), channel, path)


def usable(
    principal: Principal, facts: Facts | None, channel: str | None, path: Sequence[str] = ("input", "channel")
) -> Facts:
    """The facts of a channel, None where there is no such channel, if the caller may use them.

    Raises NotFound, also for a channel that the caller is not bound to, and for a shop's visitor where it is closed.
    """
    if facts is None:
        raise NotFound("channel", channel or "", path=list(path))
    require_usable(principal, facts.channel, channel, path)
    return facts


def require_usable(
    principal: Principal, facts: Mapping[str, Any], channel: str | None, path: Sequence[str] = ("input", "channel")
) -> None:
    """Make sure that the caller may ask in the channel of these facts.  Raises NotFound as `usable` does."""
    if not _may_use(principal, facts):
        raise NotFound("channel", channel or "", path=list(path))


def _may_use(principal: Principal, channel: Mapping[str, Any]) -> bool:
    if principal.channel_id is None:
        # A storefront key sells in its channel: without one it sells nowhere.
        return principal.kind is not Kind.STOREFRONT and (channel["active"] or not principal.is_public)
    return principal.channel_id == UUID(channel["id"]) and (channel["active"] or not principal.is_public)


def retired(sku: Mapping[str, Any], facts: Facts) -> str | None:
    """The code that keeps a SKU from being sold because it is not active: its own, or that of a bundle's part."""
    parts = [facts.skus[part["code"]] for part in sku["components"]] if sku["bundle"] else []
    return next((str(each["code"]) for each in (sku, *parts) if not each["active"]), None)


def beyond_counting(code: str, units: int, path: Sequence[str]) -> ValidationRefused:
    """The refusal of a quantity that no order line and no balance can hold."""
    return ValidationRefused(
        f"{units:,} of {code} are more than can be counted: ask for {UNITS_MAX:,} at most.", path=list(path)
    )


def is_preorder(sku: Mapping[str, Any], now: datetime) -> bool:
    """Before its release date a SKU is sold from its backorder limit alone, whatever lies in stock."""
    release = sku["preorderReleaseAt"]
    return release is not None and datetime.fromisoformat(release) > now


def next_change(facts: Facts, skus: Sequence[Mapping[str, Any]], now: datetime) -> datetime | None:
    """When what is promised of these SKUs changes though nothing happens: a preorder is released, or supply is due.

    Until then it differs in nothing but its first step, which begins now.
    """
    instants = [due_at for sku in skus for _, due_at, _ in facts.supply.get(sku["id"], ())]
    instants += [datetime.fromisoformat(sku["preorderReleaseAt"]) for sku in skus if sku["preorderReleaseAt"]]
    return min((instant for instant in instants if instant > now), default=None)


def next_release(facts: Facts, now: datetime) -> datetime | None:
    """When the first of the preorders among these SKUs is released."""
    preorders = (sku for sku in facts.skus.values() if is_preorder(sku, now))
    return min((datetime.fromisoformat(sku["preorderReleaseAt"]) for sku in preorders), default=None)


@dataclass(frozen=True, slots=True)
class Allotment:
    """taken    what each SKU gets and from where, reserved units first
    missing  units by SKU that no stock covers
    """

    taken: Sequence[Taken]
    missing: Mapping[str, int]


def allot(
    demand: Mapping[str, int], facts: Facts, destination: Destination | None, held: Sequence[Sequence[Any]] = ()
) -> Allotment:
    """Serve a demand: first from what the caller's reservation holds, then by the sourcing plan.

    demand  units by SKU id
    held    [sku, location, owner, units] of the reservation
    """
    left = dict(demand)
    taken: list[Taken] = []
    for sku, location, owner, units in held:
        if take := min(units, left.get(sku, 0)):
            taken.append(Taken(sku, location, owner, take, 0))
            left[sku] -= take
    rest = {sku: units for sku, units in left.items() if units}
    plan = rules.plan(rest, facts.candidates(destination), facts.free)
    for pick in plan.picks:
        units = pick.units
        floor = facts.locations[pick.location]["safetyStock"]
        for owner, free in facts.balances[pick.location][pick.sku]:
            if take := min(units, free):
                taken.append(Taken(pick.sku, pick.location, owner, take, floor))
                units -= take
    return Allotment(taken, plan.missing)


def backorder_room(sku: Mapping[str, Any], facts: Facts) -> int:
    """Units of a SKU that may still be sold beyond stock."""
    return max(0, int(sku["backorderLimit"]) - facts.backordered.get(sku["id"], 0))


def covered_at(sku: Mapping[str, Any], lacking: int, facts: Facts, now: datetime) -> datetime | None:
    """When units that stock does not give now could be had: supply has come, and a preorder is released."""
    if not is_preorder(sku, now):
        return facts.next_available_at(sku["id"], lacking, now)
    released = datetime.fromisoformat(sku["preorderReleaseAt"])
    beyond = lacking - facts.units_promisable(sku["id"])
    due = facts.next_available_at(sku["id"], beyond, now) if beyond > 0 else now
    return max(released, due) if due is not None else None


def insufficient(
    facts: Facts,
    code: str,
    requested: int,
    now: datetime,
    path: list[str],
    *,
    held: Sequence[Sequence[Any]] = (),
    backorderable: int = 0,
) -> InsufficientStock:
    """The refusal that says what is missing, where the rest lies, and when more could be had.

    held           [sku, location, owner, units] of the caller's reservation: nobody else's, and so available
    backorderable  units that would be taken beyond stock
    """
    sku = facts.skus[code]
    by_location = [] if is_preorder(sku, now) else _within_reach(sku["id"], facts, held)
    available = sum(at.units for at in by_location)
    return InsufficientStock(
        sku=code,
        requested=requested,
        available=available,
        backorderable=backorderable,
        by_location=by_location,
        next_available_at=covered_at(sku, requested - available, facts, now),
        path=path,
    )


def _within_reach(sku: str, facts: Facts, held: Sequence[Sequence[Any]]) -> list[UnitsAt]:
    """Units that can be promised now to whoever holds a reservation, by location code, in the channel's order."""
    codes = facts.location_codes()
    units = {at.location: at.units for at in facts.promisable(sku)}
    for held_sku, location, _, held_units in held:
        if held_sku == sku:
            # Held units stay the caller's when their location has left the channel since, which then knows no code.
            code = codes.get(location, location)
            units[code] = units.get(code, 0) + held_units
    first = {code: n for n, code in enumerate(codes.values())}
    return [UnitsAt(code, units[code]) for code in sorted(units, key=lambda code: first.get(code, len(first)))]


@dataclass(frozen=True, slots=True)
class AtpStep:
    """From this instant on, so many units can be promised, until the next step."""

    from_: datetime
    units: int


def available_to_promise(now: datetime, units_now: int, changes: Sequence[tuple[datetime, int]]) -> list[AtpStep]:
    """How many units can be promised for each date: never more than what every later date still leaves.

    units_now  sellable at once
    changes    dated supply (positive) and demand that is promised already (negative), any order
    Stopping a sale today that a promise of tomorrow needs is the point: ATP(t) = max(0, min over s ≥ t of A(s)).
    """
    dated: dict[datetime, int] = {now: units_now}
    for at, units in changes:
        due = max(at, now)
        dated[due] = dated.get(due, 0) + units
    levels: list[tuple[datetime, int]] = []
    level = 0
    for at in sorted(dated):
        level += dated[at]
        levels.append((at, level))
    steps: list[AtpStep] = []
    least = levels[-1][1]
    for at, level in reversed(levels):
        least = min(least, level)
        if steps and steps[-1].units == max(0, least):
            steps.pop()
        steps.append(AtpStep(at, max(0, least)))
    return steps[::-1]


def promise_over_time(facts: Facts, sku: str, now: datetime) -> list[AtpStep]:
    """Available to promise of one SKU in the channel, now and at each date on which it rises.

    Units owed to backorders are taken from supply as it comes, before anything of it is promised again.
    """
    units_now = facts.units_promisable(sku)
    if sku not in facts.supply:
        return [AtpStep(now, units_now)]
    owed = facts.owed(sku)
    changes = []
    for _, due_at, units in facts.supply[sku]:
        kept = min(owed, units)
        owed -= kept
        changes.append((due_at, units - kept))
    return available_to_promise(now, units_now, changes)


def units_at(steps: Sequence[AtpStep], at: datetime) -> int:
    """Units that can be promised for an instant; one before the first step counts as the first."""
    return next((step.units for step in reversed(steps) if step.from_ <= at), steps[0].units)
