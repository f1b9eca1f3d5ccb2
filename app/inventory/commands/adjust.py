"""Changing balances by hand: by a difference, to a figure, or from one state to another. One SQL call each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from app.inventory import events
from app.inventory.models import OWN
from app.inventory.refusals import StockBelowCommitted, StockCompareFailed
from app.inventory.states import AdjustmentReason, MovementType, StockState
from app.kernel import texts
from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.kernel.ids import uuid7
from app.kernel.inputs import INT_MAX
from app.kernel.texts import spelled
from app.kernel.work import Result, Work, one_call
from app.network.queries import locations_by_code

FACTS = "SELECT inventory_adjust_facts($1, $2)"
UNITS_MAX = 1_000_000_000
BALANCES_MAX = 250


class Named(Protocol):
    """A balance by the names people use."""

    @property
    def sku(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def owner(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """units  added to what is on hand; negative takes away"""

    sku: str
    location: str
    owner: str | None = None
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """units  on hand afterwards;  compare_units  on hand before, as the caller believes"""

    sku: str
    location: str
    owner: str | None = None
    units: int
    compare_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """units  moved from one state to the other, at the same location"""

    sku: str
    location: str
    owner: str | None = None
    units: int
    from_state: StockState
    to_state: StockState


@dataclass(frozen=True, slots=True)
class _Change:
    on_hand: int = 0
    damaged: int = 0
    quality_control: int = 0
    compare: int | None = None


@one_call(scope="stock:write")
async def adjust(
    work: Work, *, changes: Sequence[Delta], reason: AdjustmentReason, reference: str | None = None
) -> Result:
    """Add to or take from what is on hand.

    Raises NotFound, ValidationRefused, StockBelowCommitted: what is allocated, reserved or set aside cannot go.
    """
    check(changes, [abs(change.units) for change in changes])
    deltas = [_Change(on_hand=change.units) for change in changes]
    return await _write(work, MovementType.ADJUST, "StockAdjusted", changes, deltas, reason, reference)


@one_call(scope="stock:write")
async def set_(
    work: Work, *, changes: Sequence[Figure], reason: AdjustmentReason, reference: str | None = None
) -> Result:
    """Set what is on hand, where it is what the caller believes.

    Raises StockCompareFailed where it is not, and what `adjust` raises.
    """
    check(changes, [change.units for change in changes], least=0)
    check(changes, [change.compare_units for change in changes], least=0, field="compareUnits")
    deltas = [_Change(on_hand=change.units - change.compare_units, compare=change.compare_units) for change in changes]
    return await _write(work, MovementType.SET, "StockSet", changes, deltas, reason, reference)


@one_call(scope="stock:write")
async def move(
    work: Work, *, changes: Sequence[Shift], reason: AdjustmentReason, reference: str | None = None
) -> Result:
    """Move units between available, damaged and quality control; what is on hand stays the same.

    Raises what `adjust` raises.
    """
    check(changes, [change.units for change in changes])
    for i, change in enumerate(changes):
        if change.from_state == change.to_state:
            raise ValidationRefused(
                f"{change.sku} would move from {change.from_state} to itself: name two different states.",
                path=["input", "changes", str(i), "toState"],
            )
    deltas = [
        _Change(damaged=_gain(change, StockState.DAMAGED), quality_control=_gain(change, StockState.QUALITY_CONTROL))
        for change in changes
    ]
    return await _write(work, MovementType.MOVE, "StockMoved", changes, deltas, reason, reference)


def _gain(change: Shift, state: StockState) -> int:
    return change.units * ((change.to_state == state) - (change.from_state == state))


def check(changes: Sequence[Named], sizes: Sequence[int], *, least: int = 1, field: str = "units") -> None:
    """Shape of the input.

    sizes  the figures in the field of each change, without their signs
    Raises ValidationRefused.
    """
    if not 1 <= len(changes) <= BALANCES_MAX:
        raise ValidationRefused(
            f"Name between 1 and {BALANCES_MAX} balances, not {len(changes)}.", path=["input", "changes"]
        )
    seen: set[tuple[str, str, str]] = set()
    for i, (change, size) in enumerate(zip(changes, sizes, strict=True)):
        path = ["input", "changes", str(i)]
        if not least <= size <= UNITS_MAX:
            raise ValidationRefused(
                f"{change.sku} at {change.location}: `{field}` is {size:,}, and {least} to {UNITS_MAX:,} are taken.",
                path=[*path, field],
            )
        if change.owner is not None:
            texts.code(change.owner, [*path, "owner"])
        key = (spelled(change.sku), spelled(change.location), change.owner or OWN)
        if key in seen:
            raise ValidationRefused(
                f"{change.sku} at {change.location} is named twice: name each balance once.", path=path
            )
        seen.add(key)


async def keys_of(work: Work, named: Sequence[Named]) -> list[events.StockKey]:
    """The stock keys behind the names.  Raises NotFound, ValidationRefused for SKUs without stock; all at once."""
    skus = list({spelled(one.sku) for one in named})
    locations = list({spelled(one.location) for one in named})
    facts: dict[str, Any] = await work.reads.value(FACTS, skus, locations)
    if work.principal.channel_id is not None:
        seen = await locations_by_code(work.reads, locations)
        facts["locations"] = {code: id_ for code, id_ in facts["locations"].items() if code in seen}
    refusals: list[Refusal] = []
    keys: list[events.StockKey] = []
    for i, one in enumerate(named):
        path = ["input", "changes", str(i)]
        sku, location = facts["skus"].get(spelled(one.sku)), facts["locations"].get(spelled(one.location))
        if sku is None:
            refusals.append(NotFound("SKU", one.sku, path=[*path, "sku"]))
        elif not sku["stockTracked"] or sku["bundle"]:
            refusals.append(
                ValidationRefused(
                    f"{one.sku} has no stock of its own: it is a service or a bundle.", path=[*path, "sku"]
                )
            )
        if location is None:
            refusals.append(NotFound("location", one.location, path=[*path, "location"]))
        if sku is not None and location is not None:
            keys.append((sku["id"], location, one.owner or OWN))
    if refusals:
        raise Refusal.together(refusals)
    return keys


async def _write(
    work: Work,
    type_: MovementType,
    event: str,
    named: Sequence[Named],
    changes: Sequence[_Change],
    reason: AdjustmentReason,
    reference: str | None,
) -> Result:
    if reference is not None:
        reference = texts.line(reference, ["input", "reference"])
    keys = await keys_of(work, named)
    adjustment_id = uuid7()
    try:
        return await work.call(
            "inventory_adjust_all",
            [adjustment_id],
            [type_],
            [event],
            [reason],
            [reference],
            [" ".join(events.topics(keys))],
            [events.payload(keys, reason=reason)],
            [{"adjustmentId": adjustment_id, "balances": keys}],
            [adjustment_id] * len(keys),
            [sku for sku, _, _ in keys],
            [location for _, location, _ in keys],
            [owner for _, _, owner in keys],
            [change.on_hand for change in changes],
            [change.damaged for change in changes],
            [change.quality_control for change in changes],
            [change.compare for change in changes],
        )
    except (StockCompareFailed, StockBelowCommitted) as refusal:
        raise _named(refusal, keys, named) from refusal
    except asyncpg.NumericValueOutOfRangeError as beyond:
        raise ValidationRefused(
            f"A stock level counts up to {INT_MAX:,} units, and one of these would hold more: add fewer.",
            path=["input", "changes"],
        ) from beyond


def _named(
    refusal: StockCompareFailed | StockBelowCommitted, keys: Sequence[events.StockKey], named: Sequence[Named]
) -> Refusal:
    """The refusal with codes and the place of the change at fault: SQL knows ids, people know codes.

    Where several owners' stock of the SKU lies there, SQL does not say whose it was.
    """
    at = refusal.facts["sku_id"], refusal.facts["location_id"]
    places = [place for place, (sku, location, _) in enumerate(keys) if (sku, location) == at]
    one = named[places[0]]
    path = ["input", "changes", *([str(places[0])] if len(places) == 1 else [])]
    facts = {**refusal.facts, "sku": one.sku, "location": one.location, "path": path}
    if isinstance(refusal, StockBelowCommitted) and isinstance(one, Shift) and len(places) == 1:
        facts["moved_from"] = one.from_state
    return type(refusal)(**facts)
