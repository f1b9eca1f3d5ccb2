"""Holding stock for a checkout: choose the locations as placing would, and hold the units there."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.inventory import events
from app.inventory.commands.reservation import expiry
from app.inventory.refusals import StockTaken
from app.kernel.errors import NotFound, Refusal, ValidationRefused
from app.kernel.ids import uuid7
from app.kernel.texts import spelled
from app.kernel.work import Result, Work, one_call
from app.sourcing import promise, queries
from app.sourcing.cart import Asked
from app.sourcing.promise import Facts
from app.sourcing.rules import Destination

FACTS = "SELECT sourcing_facts($1, NULL, $3, $2)"
LINES_MAX = 250
UNITS_MAX = 1_000_000
PUBLIC_UNITS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    sku: str
    quantity: int


@one_call(scope="stock:reserve")
async def reserve(
    work: Work, *, channel: str | None, lines: Sequence[Wanted], seconds: int, destination: Destination | None = None
) -> Result:
    """Hold all lines for so many seconds, or none of them.

    channel  its code; None for the one that the caller is bound to
    Returns {reservationId, token}.  Raises NotFound, ValidationRefused, InsufficientStock, StockTaken (tried again).
    """
    until = expiry(work.principal, work.now, seconds)
    check_lines(lines)
    facts = await _facts(work, channel, [line.sku for line in lines])
    demand = demand_of(lines, facts)
    if work.principal.is_public:
        _refuse_hoards(lines, demand, facts)
    _refuse_preorders(lines, facts, work)
    if not demand:
        raise ValidationRefused("None of these SKUs has stock: there is nothing to hold.", path=["input", "lines"])
    allotment = promise.allot(demand, facts, destination)
    if allotment.missing:
        raise Refusal.together(_short(lines, facts, allotment.missing, work))
    keys = [(taken.sku, taken.location, taken.owner) for taken in allotment.taken]
    reservation_id, token = uuid7(), secrets.token_urlsafe(24)
    try:
        return await work.call(
            "inventory_reserve_all",
            [reservation_id],
            [token],
            [facts.channel["id"]],
            [until],
            [" ".join([f"reservation:{reservation_id}", *events.topics(keys)])],
            [events.payload(keys, expiresAt=until.isoformat())],
            [reservation_id] * len(keys),
            [taken.sku for taken in allotment.taken],
            [taken.location for taken in allotment.taken],
            [taken.owner for taken in allotment.taken],
            [taken.units for taken in allotment.taken],
            [taken.floor for taken in allotment.taken],
        )
    except StockTaken as taken:
        raise taken.named(facts.sku_codes(), facts.location_codes()) from taken


async def _facts(work: Work, channel: str | None, codes: Sequence[str]) -> Facts:
    """What the channel can promise of these SKUs.  Raises NotFound, ValidationRefused."""
    same = queries.channel_of(work.principal, channel)
    told = await work.read(FACTS, same, [[spelled(each) for each in codes]], Facts.told)
    return promise.usable(work.principal, told, channel)


def check_lines(lines: Sequence[Asked], path: Sequence[str] = ("input", "lines")) -> None:
    """Raises ValidationRefused."""
    if not 1 <= len(lines) <= LINES_MAX:
        raise ValidationRefused(f"Name between 1 and {LINES_MAX} lines, not {len(lines)}.", path=list(path))
    for i, line in enumerate(lines):
        if not 1 <= line.quantity <= UNITS_MAX:
            raise ValidationRefused(
                f"{line.quantity} of {line.sku}: a quantity lies between 1 and {UNITS_MAX:,}.",
                path=[*path, str(i), "quantity"],
            )


def _refuse_preorders(lines: Sequence[Wanted], facts: Facts, work: Work) -> None:
    """Before its release a SKU is sold as a backorder, which no stock is held for.  Raises ValidationRefused."""
    preorders = {sku["id"] for sku in facts.skus.values() if promise.is_preorder(sku, work.now)}
    if not preorders:
        return
    refusals: list[Refusal] = [
        ValidationRefused(
            f"{line.sku} is a preorder, for which no stock is held: place the order without reserving it.",
            path=["input", "lines", str(i), "sku"],
        )
        for i, line in enumerate(lines)
        if not preorders.isdisjoint(demand_of([line], facts))
    ]
    if refusals:
        raise Refusal.together(refusals)


def _refuse_hoards(lines: Sequence[Wanted], demand: Mapping[str, int], facts: Facts) -> None:
    """A visitor holds so many units of a SKU, over all lines and bundles, and no more.  Raises ValidationRefused."""
    codes = {sku["id"]: sku["code"] for sku in facts.skus.values()}
    refusals: list[Refusal] = [
        ValidationRefused(
            f"{units:,} of {codes[sku_id]}: a storefront reserves {PUBLIC_UNITS_MAX:,} units of a SKU at most. Ask for"
            " fewer, or let the shop's own server reserve them.",
            path=["input", "lines", str(_first_that_needs(sku_id, lines, facts)), "quantity"],
        )
        for sku_id, units in demand.items()
        if units > PUBLIC_UNITS_MAX
    ]
    if refusals:
        raise Refusal.together(refusals)


def demand_of(lines: Sequence[Wanted], facts: Facts) -> dict[str, int]:
    """Units by SKU id, bundles taken apart, services left out.

    Raises NotFound for every unknown or inactive code, ValidationRefused for more units than can be counted.
    """
    refusals: list[Refusal] = []
    demand: dict[str, int] = {}
    for i, line in enumerate(lines):
        sku = facts.skus.get(spelled(line.sku))
        if sku is None or promise.retired(sku, facts):
            refusals.append(NotFound("SKU", line.sku, path=["input", "lines", str(i), "sku"]))
            continue
        parts: Sequence[Mapping[str, Any]] = sku["components"] if sku["bundle"] else [{"code": sku["code"], "units": 1}]
        for part in parts:
            stocked = facts.skus[part["code"]]
            if stocked["stockTracked"]:
                units = demand[stocked["id"]] = demand.get(stocked["id"], 0) + line.quantity * part["units"]
                if units > promise.UNITS_MAX:
                    path = ["input", "lines", str(i), "quantity"]
                    refusals.append(promise.beyond_counting(stocked["code"], units, path))
    if refusals:
        raise Refusal.together(refusals)
    return demand


def _short(lines: Sequence[Wanted], facts: Facts, missing: Mapping[str, int], work: Work) -> list[Refusal]:
    """One refusal for each SKU that falls short, at the first line that needs it."""
    refusals: list[Refusal] = []
    codes = {sku["id"]: sku["code"] for sku in facts.skus.values()}
    demand = demand_of(lines, facts)
    for sku_id in missing:
        path = ["input", "lines", str(_first_that_needs(sku_id, lines, facts))]
        refusals.append(promise.insufficient(facts, codes[sku_id], demand[sku_id], work.now, path))
    return refusals


def _first_that_needs(sku_id: str, lines: Sequence[Wanted], facts: Facts) -> int:
    """The place of the first line that takes units of a SKU, by itself or as a bundle."""
    return next(i for i, line in enumerate(lines) if sku_id in demand_of([line], facts))
