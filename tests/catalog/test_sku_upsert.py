"""SKUs are kept in step by their codes."""

import asyncio
import unicodedata
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.catalog import commands
from app.kernel import work
from app.kernel.errors import NotFound, ValidationRefused, VersionConflict
from tests.assortment import Assortment, partner


def price(channel: str, amount: str, currency: str = "EUR") -> dict[str, object]:
    return {"channel": channel, "currency": currency, "amount": Decimal(amount)}


async def stored(shop: Assortment, column: str, code: str = "MUG") -> object:
    return await shop.reads().scalar(text(f"SELECT {column} FROM sku WHERE code = :code"), {"code": code})


async def count(shop: Assortment) -> object:
    return await shop.reads().scalar(text("SELECT count(*) FROM sku"))


async def test_a_new_code_creates_a_known_one_updates_and_an_equal_one_is_left_alone(shop):
    created = await shop.sku("MUG", name="Mug", weight_grams=300)
    equal = await shop.sku("MUG", name=" Mug ")
    updated = await shop.sku("MUG", name="Mug", weight_grams=None)

    assert (created["outcome"], created["version"]) == ("CREATED", 1)
    assert equal == created | {"outcome": "UNCHANGED"}
    assert updated == created | {"outcome": "UPDATED", "version": 2}
    assert await stored(shop, "weight_grams") is None
    assert await shop.events() == [("SkuChanged", 1, '{"code": "MUG"}'), ("SkuChanged", 2, '{"code": "MUG"}')]


async def test_what_is_left_out_keeps_its_value(shop):
    await shop.channel()
    await shop.sku("MUG", weight_grams=300, prices=[price("WEB", "9.50")])

    await shop.sku("MUG", hazardous=True)

    assert await stored(shop, "weight_grams") == 300
    assert await shop.reads().scalar(text("SELECT count(*) FROM sku_price")) == 1


async def test_codes_are_case_sensitive(shop):
    upper, lower = await shop.sku("MUG"), await shop.sku("mug")

    assert upper["id"] != lower["id"]


async def test_two_spellings_of_one_unicode_code_are_one_sku(shop):
    composed = await shop.sku("CAFÉ")
    apart = await shop.sku(unicodedata.normalize("NFD", "CAFÉ"), name="Name of CAFÉ")

    assert apart["id"] == composed["id"]
    assert apart["outcome"] == "UNCHANGED"


async def test_a_change_under_another_version_is_refused_and_changes_nothing(shop):
    await shop.sku("MUG", name="Mug")

    with pytest.raises(VersionConflict) as refused:
        await shop.run(commands.upsert_sku, sku={"code": "MUG", "name": "Cup"}, expected=7)

    assert (refused.value.expected, refused.value.actual) == (7, 1)
    assert refused.value.path == ["expectedVersion"]
    assert await stored(shop, "name") == "Mug"


async def test_a_refused_batch_changes_nothing_and_names_every_item_at_fault(shop):
    await shop.sku("MUG", name="Mug")
    batch = [
        {"code": "MUG", "name": "Cup"},
        {"code": "NEW"},
        {"code": "PLATE", "name": "Plate", "weight_grams": 0},
        {"code": " X ", "name": "X\0"},
    ]

    with pytest.raises(ValidationRefused) as refused:
        await shop.run(commands.upsert_skus, skus=batch)

    assert [each.path for each in (refused.value, *refused.value.also)] == [
        ["input", "2", "sku", "weightGrams"],
        ["input", "3", "sku", "code"],
        ["input", "3", "sku", "name"],
    ]
    with pytest.raises(ValidationRefused, match="needs `name`"):
        await shop.run(commands.upsert_skus, skus=batch[:2])
    assert await stored(shop, "name") == "Mug"
    assert await count(shop) == 1
    assert len(await shop.events()) == 1


async def test_a_batch_checks_each_version_by_itself(shop):
    await shop.sku("MUG", name="Mug")

    with pytest.raises(VersionConflict) as refused:
        await shop.run(
            commands.upsert_skus,
            skus=[{"code": "A", "name": "A", "expected_version": 0}, {"code": "MUG", "expected_version": 2}],
        )

    assert refused.value.path == ["input", "1", "expectedVersion"]
    assert await count(shop) == 1


async def test_a_batch_gives_its_results_in_the_order_of_its_items(shop):
    codes = [f"S{(i * 7) % 250:03}" for i in range(250)]

    result = await shop.run(commands.upsert_skus, skus=[{"code": code, "name": code} for code in codes])

    by_id = {str(row.id): row.code for row in await shop.reads().all(text("SELECT id, code FROM sku"))}
    assert [by_id[each["id"]] for each in result["skus"]] == codes
    with pytest.raises(ValidationRefused, match="up to 250"):
        await shop.run(commands.upsert_skus, skus=[{"code": str(i), "name": "n"} for i in range(251)])
    with pytest.raises(ValidationRefused, match="twice"):
        await shop.run(commands.upsert_skus, skus=[{"code": "A", "name": "n"}, {"code": "A", "name": "m"}])


async def test_eight_at_once_create_one_row_and_count_every_change(shop):
    results = await asyncio.gather(*(shop.sku("MUG", backorder_limit=i) for i in range(8)))

    assert await count(shop) == 1
    assert len({each["id"] for each in results}) == 1
    assert [each["outcome"] for each in results].count("CREATED") == 1
    assert sorted(each["version"] for each in results) == list(range(1, 9))


async def test_batches_in_opposite_order_never_deadlock(shop, monkeypatch):
    monkeypatch.setattr(work, "ATTEMPTS_MAX", 1)  # a deadlock would be retried, and not be seen
    codes = [f"S{i:02}" for i in range(40)]

    def batch(turn: int) -> list[dict[str, object]]:
        ordered = codes if turn % 2 else codes[::-1]
        return [{"code": code, "name": f"turn {turn}"} for code in ordered]

    results = await asyncio.gather(*(shop.run(commands.upsert_skus, skus=batch(turn)) for turn in range(8)))

    assert len(results) == 8
    assert await count(shop) == 40


async def test_prices_are_replaced_as_a_whole_and_keep_six_decimals(shop):
    await shop.channel("WEB")
    await shop.channel("B2B")
    first = await shop.sku("MUG", prices=[price("WEB", "0.001250"), price("B2B", "8", "USD")])
    same = await shop.sku("MUG", prices=[price("B2B", "8.00", "USD"), price("WEB", "0.00125")])
    other = await shop.sku("MUG", prices=[price("WEB", "1.5")])

    assert (first["version"], same["outcome"], other["version"]) == (1, "UNCHANGED", 2)
    rows = await shop.reads().all(text("SELECT currency, trim_scale(amount)::text FROM sku_price"))
    assert [tuple(row) for row in rows] == [("EUR", "1.5")]


async def test_good_barcodes_and_unicode_names_are_kept(shop):
    await shop.sku("MUG", barcode="4006381333931", name="ばら 🌹 Tasse")
    await shop.sku("TIN", barcode="ABC-12/3")

    assert await stored(shop, "barcode") == "4006381333931"
    assert await stored(shop, "name") == "ばら 🌹 Tasse"


async def test_a_price_needs_a_channel_that_the_caller_sees(shop):
    web, b2b = await shop.channel("WEB"), await shop.channel("B2B")
    await shop.sku("MUG", prices=[price("WEB", "1"), price("B2B", "2")])
    by = partner(web["id"])

    with pytest.raises(NotFound) as refused:
        await shop.run(commands.upsert_sku, by=by, sku={"code": "MUG", "prices": [price("B2B", "3")]})
    assert refused.value.path == ["input", "prices", "0", "channel"]
    with pytest.raises(ValidationRefused, match="belongs to one channel"):
        await shop.run(commands.upsert_sku, by=by, sku={"code": "MUG", "name": "Mine"})
    await shop.run(commands.upsert_sku, by=by, sku={"code": "MUG", "prices": [price("WEB", "5")]})

    rows = await shop.reads().all(text("SELECT channel_id, trim_scale(amount)::text FROM sku_price"))
    assert {row[0]: row[1] for row in rows} == {web["id"]: "5", b2b["id"]: "2"}
