"""What may be done to SKUs: keep them in step with the system that owns them, by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from app.catalog import rules
from app.catalog.events import SkuChanged
from app.catalog.models import BundleComponent, Sku, SkuPrice
from app.catalog.refusals import SkuInUse
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.filters import same_as_any
from app.kernel.rows import insert_rows
from app.kernel.upserts import Aggregate, Change, Gathering, Item, Outcome, read_batch, upsert
from app.kernel.work import Work, command
from app.network.queries import channels_by_code, visible_channels

Result = dict[str, Any]


@command(scope="catalog:write")
async def upsert_sku(work: Work, *, sku: Mapping[str, Any]) -> Result:
    """Create a SKU or change what is given of it.

    sku  `code`; `name` where it is new; the other fields of rules.FIELDS. `prices` ({channel: code, currency, amount})
         and `components` ({sku: code, units}) replace their whole lists; no components makes it no bundle.
    Raises NotFound, ValidationRefused, VersionConflict, SkuInUse.
    """
    item = rules.sku({**sku, "expected_version": work.arguments.expected_version}, ("input",))
    return {"sku": (await _upsert(work, [item]))[0].result()}


@command(scope="catalog:write")
async def upsert_skus(work: Work, *, skus: Sequence[Mapping[str, Any]]) -> Result:
    """Create or change up to 250 SKUs, all or none. Each may carry its `expected_version`.

    A bundle may name components that are created in the same batch.
    """
    return {"skus": [change.result() for change in await _upsert(work, read_batch(skus, rules.sku, "sku"))]}


async def _upsert(work: Work, items: Sequence[Item]) -> list[Change]:
    if work.principal.channel_id is not None:
        _only_prices(items)
    changes = await upsert(work, _SKU, items)
    await _write_prices(work, [change for change in changes if change.rewrites("prices")])
    await _write_components(work, [change for change in changes if change.rewrites("components")])
    await _refuse_nested(work, [change for change in changes if "bundle" in change.changed and change.facts["bundle"]])
    await _refuse_stranded(work, [change for change in changes if _loses_stock(change)])
    for change in changes:
        if change.outcome is not Outcome.UNCHANGED:
            work.record(SkuChanged(subject=change.id, version=change.version, code=change.item.code))
    return changes


def _only_prices(items: Sequence[Item]) -> None:
    """A SKU is sold in many channels, so a key that belongs to one of them sets nothing but its prices there."""
    gathering = Gathering()
    for item in items:
        with gathering.part():
            if set(item.given) - {"prices"}:
                raise ValidationRefused(
                    f"Your key belongs to one channel, so it may set the prices of {item.code!r} there and nothing"
                    " else: leave out the other fields, or use a key that is bound to no channel.",
                    path=list(item.path),
                )
    gathering.settle()


async def _stored_children(work: Work, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    found: dict[UUID, dict[str, Any]] = {each: {"prices": {}, "components": {}} for each in ids}
    channel = visible_channels(work.principal).subquery()
    for price in await work.db.execute(
        select(SkuPrice.sku_id, channel.c.code, SkuPrice.currency, SkuPrice.amount)
        .join(channel, channel.c.id == SkuPrice.channel_id)
        .where(same_as_any(SkuPrice.sku_id.expression, ids))
    ):
        found[price.sku_id]["prices"][price.code, price.currency] = price.amount
    component = aliased(Sku)
    for part in await work.db.execute(
        select(BundleComponent.bundle_id, component.code, BundleComponent.units)
        .join(component, component.id == BundleComponent.component_id)
        .where(same_as_any(BundleComponent.bundle_id.expression, ids))
    ):
        found[part.bundle_id]["components"][part.code] = part.units
    return found


async def _write_prices(work: Work, changes: Sequence[Change]) -> None:
    """Replace the price lists of these SKUs, as far as the caller sees them.  Raises NotFound for a channel."""
    if not changes:
        return
    codes = {channel for change in changes for channel, _ in change.facts["prices"]}
    channels = await channels_by_code(work.reads, sorted(codes))
    rows = []
    gathering = Gathering()
    for change in changes:
        for place, ((channel, currency), amount) in enumerate(change.facts["prices"].items()):
            with gathering.part():
                if channel not in channels:
                    raise NotFound("channel", channel, path=change.item.at("prices", str(place), "channel"))
                rows.append(
                    {
                        "sku_id": change.id,
                        "channel_id": channels[channel].id,
                        "currency": currency,
                        "amount": amount,
                    }
                )
    gathering.settle()
    old = delete(SkuPrice).where(same_as_any(SkuPrice.sku_id.expression, [change.id for change in changes]))
    if work.principal.channel_id is not None:
        old = old.where(SkuPrice.channel_id == work.principal.channel_id)
    await work.db.execute(old)
    await insert_rows(work.db, SkuPrice.__table__, rows)  # type: ignore[arg-type]


async def _write_components(work: Work, changes: Sequence[Change]) -> None:
    """Replace the parts of these bundles.  Raises NotFound and ValidationRefused for a part."""
    if not changes:
        return
    codes = {code for change in changes for code in change.facts["components"]}
    # Locked, so that no part becomes a bundle between this look and the commit.
    parts = {
        row.code: row
        for row in await work.db.execute(
            select(Sku.code, Sku.id, Sku.bundle)
            .where(same_as_any(Sku.code.expression, sorted(codes)))
            .order_by(Sku.code)
            .with_for_update(read=True)
        )
    }
    gathering = Gathering()
    rows = []
    for change in changes:
        for place, (code, units) in enumerate(change.facts["components"].items()):
            path = change.item.at("components", str(place), "sku")
            with gathering.part():
                if code not in parts:
                    raise NotFound("SKU", code, path=path)
                if parts[code].bundle:
                    raise ValidationRefused(
                        f"{code!r} is a bundle, and bundles do not nest: name its parts in {change.item.code!r}.",
                        path=path,
                    )
                rows.append({"bundle_id": change.id, "component_id": parts[code].id, "units": units})
    gathering.settle()
    bundles = [change.id for change in changes]
    await work.db.execute(delete(BundleComponent).where(same_as_any(BundleComponent.bundle_id.expression, bundles)))
    await insert_rows(work.db, BundleComponent.__table__, rows)  # type: ignore[arg-type]


def _loses_stock(change: Change) -> bool:
    """Whether it was counted in stock, perhaps, and is no more."""
    return change.outcome is Outcome.UPDATED and (
        ("stock_tracked" in change.changed and not change.facts["stock_tracked"])
        or ("bundle" in change.changed and change.facts["bundle"])
    )


async def _refuse_stranded(work: Work, changes: Sequence[Change]) -> None:
    """No SKU that has units, or for which orders wait, becomes a service or a bundle.  Raises SkuInUse.

    Locks: all stock, after the SKUs, whose rows nobody locks who writes stock. What such a writer has read of a SKU is
    read again after its write (catalog_expect_stocked), so that one of the two sees the other.
    """
    if not changes:
        return
    found = await work.db.execute(_IN_USE, {"skus": [change.id for change in changes]})
    used = {row.sku: row for row in found}
    gathering = Gathering()
    for change in changes:
        with gathering.part():
            if (row := used.get(change.id)) is not None:
                field = "stockTracked" if "stock_tracked" in change.changed else "components"
                raise SkuInUse(
                    sku=change.item.code,
                    has_stock=row.has_stock,
                    is_awaited=row.is_awaited,
                    path=change.item.at(field),
                )
    gathering.settle()


_IN_USE = text("SELECT sku, has_stock, is_awaited FROM inventory_skus_in_use(:skus)").bindparams(
    bindparam("skus", type_=ARRAY(Uuid))
)


async def _refuse_nested(work: Work, changes: Sequence[Change]) -> None:
    """No new bundle may be part of another.  Raises ValidationRefused."""
    if not changes:
        return
    whole = aliased(Sku)
    rows = await work.db.execute(
        select(BundleComponent.component_id, whole.code)
        .join(whole, whole.id == BundleComponent.bundle_id)
        .where(same_as_any(BundleComponent.component_id.expression, [change.id for change in changes]))
        .order_by(whole.code)
    )
    wholes = {row.component_id: row.code for row in rows}
    gathering = Gathering()
    for change in changes:
        with gathering.part():
            if change.id in wholes:
                raise ValidationRefused(
                    f"{change.item.code!r} is part of the bundle {wholes[change.id]!r}, and bundles do not nest:"
                    f" take it out of {wholes[change.id]!r} first.",
                    path=change.item.at("components"),
                )
    gathering.settle()


_SKU = Aggregate(
    kind="SKU",
    table=Sku.__table__,  # type: ignore[arg-type]
    required=rules.REQUIRED,
    defaults=rules.DEFAULTS,
    children=_stored_children,
    derive=rules.sort_and_search,
)
