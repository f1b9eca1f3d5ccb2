"""Customers are kept in step by their codes, and seen by themselves and those who serve them."""

import asyncio

import pytest
from sqlalchemy import text

from app.customers import commands, rules
from app.kernel.errors import ValidationRefused, VersionConflict
from app.kernel.principal import ANONYMOUS, Kind, Principal
from tests.assortment import SCOPES, STAFF, Assortment, customer, partner, storefront

ADA = {
    "name": "Ada Lovelace",
    "language": "en-gb",
    "addresses": [
        {"kind": "SHIPPING", "country": "GB", "lines": ["12 St James's Sq"], "city": "London", "postcode": "SW1Y 4JH"},
        {"kind": "BILLING", "country": "GB", "lines": ["Ockham Park"], "phone": "020 7946 0958"},
    ],
    "contacts": [
        {"kind": "EMAIL", "value": "Ada@Example.ORG"},
        {"kind": "PHONE", "value": "+44 20 7946 0958"},
        {"kind": "PHONE", "value": "+49 30 901820", "is_default": True},
    ],
    "references": [{"system": "crm", "external_id": "0815"}],
}


async def ids(shop: Assortment, table: str) -> set[object]:
    return {row[0] for row in await shop.reads().all(text(f"SELECT id FROM {table}"))}


async def test_a_customer_is_created_changed_and_left_alone(shop):
    created = await shop.customer("C1", **ADA)
    equal = await shop.customer("C1", **ADA)
    addresses = await ids(shop, "customer_address")
    changed = await shop.customer("C1", addresses=[*ADA["addresses"], {"kind": "SHIPPING", "country": "DE"}])

    assert [each["outcome"] for each in (created, equal, changed)] == ["CREATED", "UNCHANGED", "UPDATED"]
    assert addresses < await ids(shop, "customer_address")
    shown = await shop.ask("""{ customer(reference: {system: "crm", externalId: "0815"}) {
      code language version
      addresses { kind isDefault lines phone country }
      contacts { kind value isDefault }
      references { system externalId }
    } }""")
    assert shown["customer"] == {
        "code": "C1",
        "language": "en-GB",
        "version": 2,
        "addresses": [
            {"kind": "SHIPPING", "isDefault": True, "lines": ["12 St James's Sq"], "phone": None, "country": "GB"},
            {"kind": "SHIPPING", "isDefault": False, "lines": [], "phone": None, "country": "DE"},
            {"kind": "BILLING", "isDefault": True, "lines": ["Ockham Park"], "phone": "+442079460958", "country": "GB"},
        ],
        "contacts": [
            {"kind": "EMAIL", "value": "Ada@example.org", "isDefault": True},
            {"kind": "PHONE", "value": "+4930901820", "isDefault": True},
            {"kind": "PHONE", "value": "+442079460958", "isDefault": False},
        ],
        "references": [{"system": "crm", "externalId": "0815"}],
    }


async def test_a_reference_is_found_as_it_was_given(shop):
    await shop.customer("C1", references=[{"system": "crm", "external_id": " Bu\u0308ro 7 "}])

    shown = await shop.ask(
        """query($id: String!) { customer(reference: {system: "crm", externalId: $id}) { code } }""",
        id=" Bu\u0308ro 7 ",
    )

    assert shown["customer"] == {"code": "C1"}


async def test_no_personal_data_leaves_the_customers_tables(shop):
    await shop.customer("ada@example.org", **ADA)
    await shop.customer("ada@example.org", name="Ada King")

    kept = await shop.reads().all(
        text("SELECT e::text FROM event_log e UNION ALL SELECT k.result::text FROM idempotency_key k")
    )
    for personal in ("ada", "Lovelace", "King", "Ockham", "0815", "7946"):
        assert not [row[0] for row in kept if personal in row[0]]


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"contacts": [{"kind": "EMAIL", "value": "secret@"}]}, ["contacts", "0", "value"]),
        ({"contacts": [{"kind": "PHONE", "value": "secret"}]}, ["contacts", "0", "value"]),
        ({"contacts": [{"kind": "PHONE", "value": "020 7946 0958"}]}, ["contacts", "0", "value"]),
        ({"contacts": [{"kind": "EMAIL", "value": "secret@a.org"}] * 2}, ["contacts", "1", "value"]),
        ({"contacts": [{"kind": "EMAIL", "value": f"{i}@a.org", "is_default": True} for i in "ab"]}, ["contacts"]),
        ({"addresses": [{"kind": "SHIPPING", "country": "XX"}]}, ["addresses", "0", "country"]),
        ({"addresses": [{"kind": "SHIPPING", "country": "DE", "latitude": 1.0}]}, ["addresses", "0", "longitude"]),
        ({"addresses": [{"kind": "SHIPPING", "country": "DE", "city": "secret\0"}]}, ["addresses", "0", "city"]),
        ({"references": [{"system": "", "external_id": "secret"}]}, ["references", "0", "system"]),
        ({"language": "klingon"}, ["language"]),
        ({"name": "secret\nname"}, ["name"]),
        ({"kind": "ROBOT"}, ["kind"]),
    ],
)
def test_a_customer_that_cannot_be_is_refused_by_name_without_repeating_what_is_personal(given, at):
    with pytest.raises(ValidationRefused) as refused:
        rules.customer({"code": "C1", **given}, ("input",))

    assert refused.value.path == ["input", *at]
    assert "secret" not in refused.value.message


async def test_a_reference_belongs_to_one_customer(shop):
    await shop.customer("C1", **ADA)
    with pytest.raises(ValidationRefused, match="another customer"):
        await shop.customer("C2", references=ADA["references"])
    assert await shop.reads().scalar(text("SELECT count(*) FROM customer")) == 1

    moved = [{"code": "C1", "references": []}, {"code": "C2", "name": "Bob", "references": ADA["references"]}]
    await shop.run(commands.upsert_customers, customers=moved)

    owner = "SELECT c.code FROM customer_reference r JOIN customer c ON c.id = r.customer_id"
    assert await shop.reads().scalar(text(owner)) == "C2"


async def test_a_batch_is_all_or_none_and_a_version_is_checked(shop):
    await shop.customer("C1")
    batch = [{"code": "C2", "name": "Bob"}, {"code": "C1", "name": "Eve", "expected_version": 9}]
    with pytest.raises(VersionConflict):
        await shop.run(commands.upsert_customers, customers=batch)
    with pytest.raises(VersionConflict):
        await shop.run(commands.upsert_customer, customer=batch[1] | {"expected_version": 1}, expected=9)

    rows = await shop.reads().all(text("SELECT code, name FROM customer"))
    assert [tuple(row) for row in rows] == [("C1", "Ada")]


async def test_eight_at_once_create_one_customer(shop):
    results = await asyncio.gather(*(shop.customer("C1", **ADA) for _ in range(8)))

    assert sorted(each["outcome"] for each in results) == ["CREATED"] + ["UNCHANGED"] * 7
    assert len(await ids(shop, "customer_address")) == 2


async def test_a_customer_sees_itself_and_visitors_and_bound_keys_see_nobody(shop):
    web = await shop.channel()
    ada, bob = await shop.customer("C1", **ADA), await shop.customer("C2", name="Bob")
    document = """query($where: CustomerWhere, $search: String) {
      customers(where: $where, search: $search) { nodes { code contacts { value } } totalCount }
      one: customer(code: "C1") { code }
      two: customer(reference: {system: "crm", externalId: "0815"}) { code }
    }"""
    staff_ids = (await shop.ask("{ customers { nodes { id } } }"))["customers"]["nodes"]
    every = {"where": {"OR": [{"code": {"startsWith": ""}}, {"active": {"eq": True}}]}}
    nobody = Principal(kind=Kind.CUSTOMER, id="customer:none", scopes=SCOPES)
    for by, sees in [
        (STAFF, ["C1", "C2"]),
        (customer(ada["id"]), ["C1"]),
        (customer(bob["id"]), ["C2"]),
        (customer(web["id"]), []),
        (nobody, []),
        (storefront(web["id"]), []),
        (storefront(None), []),
        (partner(web["id"]), []),
        (ANONYMOUS, []),
    ]:
        data = await shop.ask(document, by, **every)
        assert [each["code"] for each in data["customers"]["nodes"]] == sees
        assert data["customers"]["totalCount"] == len(sees)
        for single in (data["one"], data["two"]):
            assert (single is not None) == ("C1" in sees)
        if by is not ANONYMOUS:
            look = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer { code } } }"
            found = (await shop.ask(look, by, ids=[each["id"] for each in staff_ids]))["nodes"]
            assert [each["code"] for each in found if each] == sees
        hits = (await shop.ask(document, by, search="lovel"))["customers"]["nodes"]
        assert [each["code"] for each in hits] == [code for code in sees if code == "C1"]


async def test_a_bound_key_changes_nobody(shop):
    web = await shop.channel()
    await shop.customer("C2", name="Bob")

    with pytest.raises(ValidationRefused, match="bound to no channel"):
        await shop.run(commands.upsert_customer, by=partner(web["id"]), customer={"code": "C2", "name": "Eve"})

    assert await shop.reads().scalar(text("SELECT name FROM customer")) == "Bob"


async def test_a_clerk_finds_a_customer_by_whatever_is_at_hand(shop):
    await shop.customer("C1", **ADA)
    await shop.customer("C2", name="Bob", company_name="Übersee GmbH", kind="COMPANY", tax_number="DE123456789")

    for search, code in [
        ("lovelace ada", "C1"),
        ("ada@example", "C1"),
        ("+442079", "C1"),
        ("SW1Y 4", "C1"),
        ("0815", "C1"),
        ("ubersee", "C2"),
        ("de1234", "C2"),
        ("c2", "C2"),
    ]:
        found = await shop.ask("query($s: String) { customers(search: $s) { nodes { code } } }", s=search)
        assert found["customers"]["nodes"] == [{"code": code}], search


async def test_a_customer_through_the_api(shop):
    document = """mutation($input: CustomerUpsertInput!) { customerUpsert(input: $input, idempotencyKey: "k") {
      customer { name companyName contacts { value } } outcome userErrors { code path }
    } }"""
    given = {"code": "C1", "name": "Zoë", "contacts": [{"kind": "EMAIL", "value": "zoë@example.org"}]}

    first = (await shop.ask(document, input=given))["customerUpsert"]
    again = (await shop.ask(document, input=given))["customerUpsert"]

    assert first == again
    assert first["outcome"] == "CREATED"
    assert first["customer"] == {"name": "Zoë", "companyName": None, "contacts": [{"value": "zoë@example.org"}]}
    batch = """mutation($input: [CustomersUpsertItem!]!) { customersUpsert(input: $input, idempotencyKey: "b") {
      results { outcome customer { code name } } userErrors { code path } } }"""
    bad = [{"customer": {"code": "C2", "name": ""}}, {"customer": {"code": "C3", "kind": None}}]
    assert (await shop.ask(batch, input=bad))["customersUpsert"] == {
        "results": [],
        "userErrors": [
            {"code": "VALIDATION", "path": ["input", "0", "customer", "name"]},
            {"code": "VALIDATION", "path": ["input", "1", "customer", "kind"]},
        ],
    }
    good = [{"customer": {"code": f"C{i}", "name": "N"}} for i in range(20, 0, -1)]
    results = (await shop.ask(batch, input=good))["customersUpsert"]["results"]
    assert [each["customer"]["code"] for each in results] == [f"C{i}" for i in range(20, 0, -1)]
    assert results[-1]["outcome"] == "UPDATED"
