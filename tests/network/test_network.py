"""Channels and locations are kept in step by their codes, and seen by those who may."""

import asyncio

import pytest
from sqlalchemy import text

from app.kernel.errors import Forbidden, NotFound, ValidationRefused, VersionConflict
from app.kernel.principal import Kind, Principal
from app.network import commands, rules
from tests.assortment import STAFF, customer, partner, storefront


async def test_a_channel_is_created_changed_and_left_alone(shop):
    created = await shop.channel(tax_rate_ppm=200_000)
    equal = await shop.channel()
    changed = await shop.channel(payment_policy="PAID")

    assert [each["outcome"] for each in (created, equal, changed)] == ["CREATED", "UNCHANGED", "UPDATED"]
    assert changed["version"] == 2
    assert [each[:2] for each in await shop.events()] == [("ChannelChanged", 1), ("ChannelChanged", 2)]


async def test_locations_of_a_channel_are_replaced_as_a_whole(shop):
    for code in ("LEEDS", "YORK", "SHUT"):
        await shop.location(code, active=code != "SHUT")
    given = [
        {"location": "YORK", "priority": 2},
        {"location": "SHUT"},
        {"location": "LEEDS", "priority": 1, "safety_stock": 5},
    ]
    web = await shop.channel(locations=given)
    same = await shop.channel(locations=given[::-1])

    facts = await shop.reads().value("SELECT network_channel_facts($1)", web["id"])
    assert [(each["code"], each["safetyStock"]) for each in facts["locations"]] == [("LEEDS", 5), ("YORK", 0)]
    assert facts["currency"] == "EUR"
    assert same["outcome"] == "UNCHANGED"
    assert (await shop.channel(locations=[{"location": "YORK"}]))["version"] == 2
    with pytest.raises(NotFound) as refused:
        await shop.channel(locations=[{"location": "YORK"}, {"location": "HULL"}])
    assert refused.value.path == ["input", "locations", "1", "location"]
    assert await shop.reads().scalar(text("SELECT count(*) FROM channel_location")) == 1
    assert await shop.reads().value("SELECT network_channel_facts($1)", same["id"].__class__(int=1)) is None


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"currency": "EURO"}, ["currency"]),
        ({"currency": "eur"}, ["currency"]),
        ({"time_zone": "Europe/Atlantis"}, ["timeZone"]),
        ({"kind": "BAZAAR"}, ["kind"]),
        ({"tax_rate_ppm": 1_000_001}, ["taxRatePpm"]),
        ({"origins": ["https://shop.example", "https://shop.example/path"]}, ["origins", "1"]),
        ({"origins": ["*"]}, ["origins", "0"]),
        ({"origins": ["https://user@shop.example"]}, ["origins", "0"]),
        ({"origins": ["javascript:alert(1)"]}, ["origins", "0"]),
        ({"origins": ["https://shop.example:99999"]}, ["origins", "0"]),
        ({"locations": [{"location": "A"}, {"location": "A"}]}, ["locations", "1", "location"]),
        ({"locations": [{"location": "A", "safety_stock": -1}]}, ["locations", "0", "safetyStock"]),
    ],
)
def test_a_channel_that_cannot_be_is_refused_by_name(given, at):
    with pytest.raises(ValidationRefused) as refused:
        rules.channel({"code": "WEB", **given}, ("input",))

    assert refused.value.path == ["input", *at]


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"country": "UK"}, ["country"]),
        ({"latitude": 90.1}, ["latitude"]),
        ({"longitude": float("nan")}, ["longitude"]),
        ({"cutoff": "24:00"}, ["cutoff"]),
        ({"cutoff": "9:30"}, ["cutoff"]),
        ({"daily_order_capacity": -1}, ["dailyOrderCapacity"]),
        ({"address": {"lines": ["a"] * 6}}, ["address", "lines"]),
        ({"address": {"lines": ["a", "b\0"]}}, ["address", "lines", "1"]),
        ({"type": None}, ["type"]),
    ],
)
def test_a_location_that_cannot_be_is_refused_by_name(given, at):
    with pytest.raises(ValidationRefused) as refused:
        rules.location({"code": "LEEDS", **given}, ("input",))

    assert refused.value.path == ["input", *at]


def test_an_origin_is_kept_as_browsers_send_it():
    given = ["HTTPS://Shop.Example:443/", "http://localhost:5173", "https://[::1]:8443", "https://shop.example"]

    assert rules.origins(given, ["origins"]) == ["http://localhost:5173", "https://[::1]:8443", "https://shop.example"]


async def test_half_a_coordinate_is_refused_also_when_the_other_half_is_cleared(shop):
    await shop.location(latitude=53.8, longitude=-1.55)

    with pytest.raises(ValidationRefused, match="half a coordinate") as refused:
        await shop.location(longitude=None)

    assert refused.value.path == ["input", "longitude"]
    assert (await shop.location(latitude=None, longitude=None))["version"] == 2


async def test_a_batch_of_locations_is_all_or_none(shop):
    await shop.location("LEEDS")
    batch = [
        {"code": "LEEDS", "name": "Other"},
        {"code": "YORK", "name": "York", "type": "STORE", "country": "GB", "expected_version": 3},
    ]

    with pytest.raises(VersionConflict) as refused:
        await shop.run(commands.upsert_locations, locations=batch)

    assert refused.value.path == ["input", "1", "expectedVersion"]
    rows = await shop.reads().all(text("SELECT code, name FROM location"))
    assert [tuple(row) for row in rows] == [("LEEDS", "Location LEEDS")]


async def test_eight_at_once_create_one_location(shop):
    results = await asyncio.gather(*(shop.location("LEEDS") for _ in range(8)))

    assert sorted(each["outcome"] for each in results) == ["CREATED"] + ["UNCHANGED"] * 7


async def test_a_key_without_the_scope_is_refused(shop):
    reader = Principal(kind=Kind.STAFF, id="client:reader", scopes=frozenset({"network:read"}))

    with pytest.raises(Forbidden):
        await shop.run(commands.upsert_location, by=reader, location={"code": "A"})


async def test_a_bound_key_changes_its_own_channel_and_no_location(shop):
    web, _ = await shop.channel("WEB"), await shop.channel("B2B")
    by = partner(web["id"])

    await shop.run(commands.upsert_channel, by=by, channel={"code": "WEB", "name": "Mine"})
    for code in ("B2B", "NEW"):
        with pytest.raises(NotFound):
            await shop.run(commands.upsert_channel, by=by, channel={"code": code, "name": "Mine"})
    for given in ({"location": {"code": "LEEDS"}}, {"locations": [{"code": "LEEDS"}]}):
        command = commands.upsert_location if "location" in given else commands.upsert_locations
        with pytest.raises(NotFound):
            await shop.run(command, by=by, **given)
    assert (
        await shop.reads().scalar(text("SELECT string_agg(name, ',' ORDER BY code) FROM channel")) == "Channel B2B,Mine"
    )


async def test_each_caller_sees_its_channels_and_locations(shop):
    await shop.location("LEEDS")
    await shop.location("SHUT", active=False)
    await shop.location("YORK")
    web = await shop.channel("WEB", locations=[{"location": "LEEDS", "safety_stock": 3}, {"location": "SHUT"}])
    await shop.channel("B2B", locations=[{"location": "YORK"}])
    old = await shop.channel("OLD", active=False)
    document = """query($where: ChannelWhere) {
      channels(where: $where) { nodes { code locations { location { code } } } }
      locations { nodes { code } totalCount }
    }"""

    async def seen(by: Principal) -> tuple[list[str], list[str]]:
        everything = {"OR": [{"active": {"eq": False}}, {"NOT": {"code": {"eq": "x"}}}]}
        data = await shop.ask(document, by, where=everything)
        channels, locations = data["channels"]["nodes"], data["locations"]["nodes"]
        assert data["locations"]["totalCount"] == len(locations)
        return [each["code"] for each in channels], [each["code"] for each in locations]

    assert await seen(STAFF) == (["B2B", "OLD", "WEB"], ["LEEDS", "SHUT", "YORK"])
    assert await seen(partner(web["id"])) == (["WEB"], ["LEEDS", "SHUT"])
    assert await seen(storefront(web["id"])) == (["WEB"], ["LEEDS"])
    assert await seen(storefront(old["id"])) == ([], [])
    assert await seen(storefront(None)) == ([], [])
    assert await seen(customer(web["id"])) == (["B2B", "WEB"], ["LEEDS", "YORK"])
    ids = [(await shop.ask(f'{{ channel(code: "{code}") {{ id }} }}'))["channel"]["id"] for code in ("WEB", "B2B")]
    found = await shop.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", storefront(web["id"]), ids=ids)
    assert found["nodes"] == [{"id": ids[0]}, None]
    assert (await shop.ask('{ channel(code: "B2B") { id } }', partner(web["id"])))["channel"] is None


async def test_a_channel_and_its_locations_through_the_api(shop):
    document = """mutation($input: ChannelUpsertInput!, $dry: Boolean = false, $expected: Int) {
      channelUpsert(input: $input, idempotencyKey: "k1", dryRun: $dry, expectedVersion: $expected) {
        channel { code taxRatePercent origins version locations { priority safetyStock location { code country } } }
        outcome
        userErrors { code message path }
      }
    }"""
    location = """mutation($input: [LocationsUpsertItem!]!) {
      locationsUpsert(input: $input, idempotencyKey: "k2") {
        results { outcome location { code cutoff dailyOrderCapacity address { lines postcode } } }
        userErrors { code path ... on VersionConflict { expected actual } }
      }
    }"""
    leeds = {
        "code": "LEEDS",
        "name": "Leeds",
        "type": "WAREHOUSE",
        "country": "GB",
        "cutoff": "16:30",
        "address": {"lines": ["1 Mill St"], "postcode": "LS1 1AA"},
    }
    refused = (await shop.ask(location, input=[{"location": leeds, "expectedVersion": 2}]))["locationsUpsert"]
    done = (await shop.ask(location, input=[{"location": leeds}]))["locationsUpsert"]

    conflict = {"code": "VERSION_CONFLICT", "path": ["input", "0", "expectedVersion"], "expected": 2, "actual": 0}
    assert refused == {"results": [], "userErrors": [conflict]}
    assert done["results"] == [
        {
            "outcome": "CREATED",
            "location": {
                "code": "LEEDS",
                "cutoff": "16:30",
                "dailyOrderCapacity": None,
                "address": {"lines": ["1 Mill St"], "postcode": "LS1 1AA"},
            },
        }
    ]
    web = {
        "code": "WEB",
        "name": "Web",
        "kind": "WEBSHOP",
        "currency": "GBP",
        "taxRatePercent": "17.5",
        "origins": ["https://shop.example"],
        "locations": [{"location": "LEEDS", "safetyStock": 2}],
    }
    dry = (await shop.ask(document, input=web, dry=True))["channelUpsert"]
    assert await shop.reads().scalar(text("SELECT count(*) FROM channel")) == 0
    wet = (await shop.ask(document, input=web))["channelUpsert"]
    assert dry == wet
    assert wet["channel"] == {
        "code": "WEB",
        "taxRatePercent": "17.5",
        "origins": ["https://shop.example"],
        "version": 1,
        "locations": [{"priority": 0, "safetyStock": 2, "location": {"code": "LEEDS", "country": "GB"}}],
    }
    wrong = web | {"code": "B2B", "taxRatePercent": "17.00001"}
    errors = (await shop.ask(document.replace("k1", "k3"), input=wrong))["channelUpsert"]["userErrors"]
    assert [(each["code"], each["path"]) for each in errors] == [("VALIDATION", ["input", "taxRatePercent"])]


async def test_one_of_id_and_code_is_needed(shop):
    for arguments in ("", '(id: "x", code: "y")'):
        result = await shop.execute(f"{{ channel{arguments} {{ id }} }}")
        assert "exactly one" in result.errors[0].message
    assert "not the id of a Channel" in (await shop.execute('{ channel(id: "x") { id } }')).errors[0].message
