"""Stock: figures to be set, and units to be added once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from uuid import UUID

from app.catalog.queries import skus_by_code
from app.imports.items import Change, Entry, Figure, Item, Outcome
from app.imports.loading import Load, batches, settle
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta
from app.inventory.commands.adjust import Figure as Compared
from app.inventory.commands.safety_stock import SafetyStock
from app.inventory.queries import levels_by_key, levels_of_skus, recorded_references
from app.inventory.refusals import StockBelowCommitted, StockCompareFailed
from app.kernel.errors import IdempotencyKeyReused, NotFound, Refusal, ValidationRefused
from app.network.queries import locations_by_code, locations_by_id

TRIES_MAX = 5


async def load_stock(load: Load, entries: Iterator[Entry]) -> None:
    for batch in batches(load.items(entries), _balance):
        for is_figure, alike in groupby(batch, lambda item: isinstance(item.what, Figure)):
            if is_figure:
                await _load_figures(load, list(alike))
            else:
                await _load_changes(load, list(alike))


def _balance(item: Item) -> tuple[str, str | None, str | None]:
    what = item.what
    assert isinstance(what, Figure | Change)
    return what.sku, what.location, what.owner if isinstance(what, Figure) else None


# --- figures ---------------------------------------------------------------------------------------------------------


async def _load_figures(load: Load, items: Sequence[Item]) -> None:
    """Set balances to figures. No keys are claimed: the comparison with what is there makes a repeat harmless."""

    async def attempt(batch: Sequence[Item]) -> list[Outcome]:
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return await _set(load, batch)
            except StockCompareFailed:  # others have changed it meanwhile
                if not tries_left:
                    raise
        raise AssertionError("unreachable")

    by_cause: dict[tuple[str, str | None], list[Item]] = {}
    for item in items:
        figure = _figure(item)
        by_cause.setdefault((figure.reason, figure.reference), []).append(item)
    for batch in by_cause.values():
        await settle(load, batch, attempt)


def _figure(item: Item) -> Figure:
    assert isinstance(item.what, Figure)
    return item.what


async def _set(load: Load, items: Sequence[Item]) -> list[Outcome]:
    figures = [_figure(item) for item in items]
    keys = await _keys(load, figures)
    levels = await levels_by_key(load.reads, keys)
    on_hand = [levels[key].on_hand if key in levels else 0 for key in keys]
    safety = [levels[key].safety_stock if key in levels else 0 for key in keys]
    moved = [f.on_hand != there for f, there in zip(figures, on_hand, strict=True)]
    kept_back = [f.safety_stock not in (None, there) for f, there in zip(figures, safety, strict=True)]
    with _places_of(moved):
        if any(moved):
            await load.run(
                inventory.set_,
                None,
                changes=[
                    Compared(sku=f.sku, location=f.location, owner=f.owner, units=f.on_hand, compare_units=there)
                    for f, there, changed in zip(figures, on_hand, moved, strict=True)
                    if changed
                ],
                reason=figures[0].reason,
                reference=figures[0].reference,
            )
    with _places_of(kept_back):
        if any(kept_back):
            await load.run(
                inventory.safety_stock_set,
                None,
                changes=[
                    SafetyStock(sku=f.sku, location=f.location, owner=f.owner, units=f.safety_stock or 0)
                    for f, changed in zip(figures, kept_back, strict=True)
                    if changed
                ],
            )
    return [
        Outcome.UNCHANGED if not (a or b) else Outcome.UPDATED if key in levels else Outcome.CREATED
        for a, b, key in zip(moved, kept_back, keys, strict=True)
    ]


@contextmanager
def _places_of(given: Sequence[bool]) -> Iterator[None]:
    """Let refusals lead to the items of a batch of which only some were given to the command."""
    places = [str(place) for place, was_given in enumerate(given) if was_given]
    try:
        yield
    except Refusal as refusal:
        for each in (refusal, *refusal.also):
            each.path = [places[int(step)] if step.isdigit() else step for step in each.path or ()]
        raise


async def _keys(load: Load, figures: Sequence[Figure]) -> list[tuple[UUID, UUID, str]]:
    """The stock keys behind the names.  Raises the refusals of all that are wrong, each with its place."""
    skus = await skus_by_code(load.reads, list({f.sku for f in figures}))
    locations = await locations_by_code(load.reads, list({f.location for f in figures}))
    refusals: list[Refusal] = []
    keys = []
    for place, figure in enumerate(figures):
        path = ["input", "changes", str(place)]
        sku, location = skus.get(figure.sku), locations.get(figure.location)
        if sku is None:
            refusals.append(NotFound("SKU", figure.sku, path=path))
        elif sku.bundle or not sku.stock_tracked:
            refusals.append(ValidationRefused(f"{figure.sku} has no stock: it is a service or a bundle.", path=path))
        if location is None:
            refusals.append(NotFound("location", figure.location, path=path))
        if sku is not None and location is not None:
            keys.append((sku.id, location.id, figure.owner or ""))
    if refusals:
        raise Refusal.together(refusals)
    return keys


# --- units to be added once ------------------------------------------------------------------------------------------


async def _load_changes(load: Load, items: Sequence[Item]) -> None:
    """Add units at named locations, each only where its reference is not in the ledger yet."""
    skus = await skus_by_code(load.reads, list({_change(item).sku for item in items}))
    locations = await locations_by_code(load.reads, list({_change(item).location or "" for item in items}))
    ids = {code: row.id for code, row in skus.items()}, {code: row.id for code, row in locations.items()}
    recorded = await recorded_references(
        load.reads, list(ids[0].values()), list({_change(item).reference for item in items})
    )
    new: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        what = _change(item)
        if (ids[0].get(what.sku), ids[1].get(what.location or ""), what.reference) in recorded:
            load.count(item, Outcome.EXISTING)
        else:
            new.setdefault((what.reason, what.reference), []).append(item)

    async def attempt(batch: Sequence[Item]) -> list[Outcome]:
        first = _change(batch[0])
        deltas = [Delta(sku=c.sku, location=c.location or "", units=c.units) for c in map(_change, batch)]
        given = "\n".join(f"{d.sku}\t{d.location}\t{d.units}" for d in deltas)
        key = f"stock:{first.reference}:{hashlib.sha256(given.encode()).hexdigest()}"
        await load.run(inventory.adjust, key, changes=deltas, reason=first.reason, reference=first.reference)
        return [Outcome.CREATED] * len(batch)

    for batch in new.values():
        await settle(load, batch, attempt)


def _change(item: Item) -> Change:
    assert isinstance(item.what, Change)
    return item.what


async def take(load: Load, item: Item) -> None:
    """Take units of a SKU from where most of them are free, once for its reference."""
    change = _change(item)
    for tries_left in reversed(range(TRIES_MAX)):
        sku = (await skus_by_code(load.reads, [change.sku])).get(change.sku)
        if sku is None:
            load.reject(item, NotFound("SKU", change.sku))
            return
        if any(
            row[2] == change.reference for row in await recorded_references(load.reads, [sku.id], [change.reference])
        ):
            load.count(item, Outcome.EXISTING)
            return
        try:
            deltas = await _from_fullest(load, change, sku.id)
            await load.run(
                inventory.adjust,
                f"adjust:{change.reference}",
                changes=deltas,
                reason=change.reason,
                reference=change.reference,
            )
        except IdempotencyKeyReused:  # another import was quicker, and took the units elsewhere
            load.count(item, Outcome.EXISTING)
        except StockBelowCommitted as refusal:
            if tries_left:
                continue
            load.reject(item, refusal)
        except Refusal as refusal:
            load.reject(item, refusal)
        else:
            load.count(item, Outcome.CREATED)
        return


async def _from_fullest(load: Load, change: Change, sku_id: UUID) -> list[Delta]:
    """Raises ValidationRefused where there are not so many units."""
    levels = [row for row in (await levels_of_skus(load.reads, [sku_id]))[sku_id] if row.owner == ""]
    places = await locations_by_id(load.reads, [row.location_id for row in levels])
    left = -change.units
    deltas: list[Delta] = []
    for row in sorted(levels, key=lambda row: (-row.available, places[row.location_id].code)):
        units = min(left, row.available)
        if units > 0:
            deltas.append(Delta(sku=change.sku, location=places[row.location_id].code, units=-units))
            left -= units
    if left:
        raise ValidationRefused(
            f"{-change.units} of {change.sku} are to be taken from stock, and {-change.units - left} are free:"
            " import the stock first, or count it anew."
        )
    return deltas
