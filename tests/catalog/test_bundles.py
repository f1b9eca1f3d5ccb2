"""Bundles explode to parts that are no bundles."""

import asyncio

import pytest
from sqlalchemy import text

from app.catalog import commands
from app.kernel.errors import NotFound, Refusal, ValidationRefused


def parts(**units: int) -> list[dict[str, object]]:
    return [{"sku": code, "units": number} for code, number in units.items()]


async def test_a_bundle_may_name_parts_of_its_own_batch_services_included(shop):
    result = await shop.run(
        commands.upsert_skus,
        skus=[
            {"code": "BOX", "name": "Box", "components": parts(MUG=2, WRAP=1)},
            {"code": "MUG", "name": "Mug"},
            {"code": "WRAP", "name": "Gift wrapping", "stock_tracked": False},
        ],
    )

    assert [each["version"] for each in result["skus"]] == [1, 1, 1]
    rows = await shop.reads().all(
        text("SELECT s.code, b.units FROM bundle_component b JOIN sku s ON s.id = b.component_id ORDER BY 1")
    )
    assert [tuple(row) for row in rows] == [("MUG", 2), ("WRAP", 1)]


async def test_components_are_replaced_as_a_whole_and_none_makes_it_no_bundle(shop):
    for code in ("MUG", "CUP"):
        await shop.sku(code)
    await shop.sku("BOX", components=parts(MUG=1))
    same = await shop.sku("BOX", components=parts(MUG=1))
    other = await shop.sku("BOX", components=parts(CUP=3))
    plain = await shop.sku("BOX", components=[])

    assert (same["outcome"], other["version"], plain["version"]) == ("UNCHANGED", 2, 3)
    assert await shop.reads().scalar(text("SELECT bundle FROM sku WHERE code = 'BOX'")) is False


@pytest.mark.parametrize(
    ("bundle", "components", "refusal"),
    [
        ("BOX", parts(NONE=1), NotFound),
        ("BOX", parts(BOX=1), ValidationRefused),  # itself
        ("CRATE", parts(BOX=1), ValidationRefused),  # nested
        ("MUG", parts(CUP=1), ValidationRefused),  # a part becomes a bundle
        ("MUG", parts(BOX=1), ValidationRefused),  # in a circle
        ("BOX", [*parts(CUP=1), *parts(CUP=2)], ValidationRefused),
        ("BOX", parts(CUP=0), ValidationRefused),
    ],
)
async def test_a_bundle_that_cannot_be_is_refused_and_changes_nothing(shop, bundle, components, refusal):
    await shop.sku("MUG")
    await shop.sku("CUP")
    await shop.sku("BOX", components=parts(MUG=1))
    before = await shop.events()

    with pytest.raises(refusal) as refused:
        await shop.sku(bundle, components=components)

    assert refused.value.path[:2] == ["input", "components"]
    assert await shop.events() == before
    assert await shop.reads().scalar(text("SELECT count(*) FROM bundle_component")) == 1


async def test_two_at_once_cannot_nest_bundles(shop):
    for round_ in range(5):
        low, middle, top = f"LOW{round_}", f"MIDDLE{round_}", f"TOP{round_}"
        for code in (low, middle, top):
            await shop.sku(code)

        outcomes = await asyncio.gather(
            shop.sku(middle, components=parts(**{low: 1})),
            shop.sku(top, components=parts(**{middle: 1})),
            return_exceptions=True,
        )

        assert sum(isinstance(each, Refusal) for each in outcomes) == 1, outcomes
    nested = "SELECT count(*) FROM bundle_component b JOIN sku s ON s.id = b.component_id WHERE s.bundle"
    assert await shop.reads().scalar(text(nested)) == 0
