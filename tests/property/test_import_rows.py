"""Whatever stands in a file, its rows are items or rejected with a reason, and the commands refuse by name."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app.catalog.rules as catalog
import app.customers.rules as customers
import app.network.rules as network
from app.imports import formats
from app.imports.files import File
from app.imports.formats import online_retail, shopify
from app.imports.items import Entry, Figure, Format, Item, Kept, Kind, Site, Target, Upsert
from app.kernel.errors import Refusal
from app.kernel.operator import OperatorProblem
from app.orders.cleaning import cleaned
from app.orders.requests import OrderRequest

_FIELDS = {
    Kind.SKUS: "code name unit_of_measure weight_grams length_mm barcode hazardous backorder_limit preorder_release_at"
    " prices components",
    Kind.LOCATIONS: "code name type country latitude longitude time_zone cutoff address line1 city lines",
    Kind.CUSTOMERS: "code name kind language email phone contacts addresses references shipping_country"
    " shipping_latitude",
    Kind.STOCK: "sku location on_hand owner safety_stock reason reference",
    Kind.ORDERS: "external_ref channel lines sku quantity unit_price discount tax_name tax_percent currency placed_at"
    " priority note expected_total shipping shipping_address shipping_country shipping_amount discounts",
}
_INNER = (
    "sku units channel currency amount kind value country system external_id lines quantity unit_price taxes discounts"
    " name percent rate city is_default latitude code"
)
FIELDS = {kind: names.split() for kind, names in _FIELDS.items()}
INNER = _INNER.split()
WORDS = [
    "536365", "C536365", "A536365", "85123A", "2010-12-01 08:26:00", "United Kingdom", "Unspecified", "17850.0",
    "2026-03-02 12:00:00 +0100", "6", "2.55", "-6",
    "", " ", "MUG", "café", "cafe\u0301", "\0", "\u200b", "GB", "GBP", "WAREHOUSE", "SHIPPING", "EMAIL", "COUNTED",
    "true", "1", "-1", "0", "1e9", "1e400", "1e-400", "NaN", "sNaN", "-Infinity", "1_0", "12:30", "Europe/London", "en",
    "2026-03-02T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "WEB:GBP:1", "MUG*2", "*", "::",
    "a=b", "+44 20 7946 0958", "ada@example.org", "x" * 300,
]  # fmt: skip
PLAIN = st.one_of(
    st.sampled_from(WORDS), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.none(), st.text(max_size=5)
)
NESTED = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=5)
)
_LISTS = {
    "prices": "channel currency amount",
    "components": "sku units",
    "contacts": "kind value is_default",
    "addresses": "kind country lines latitude is_default",
    "references": "system external_id",
    "discounts": "amount code",
    "lines": "sku quantity unit_price taxes discounts",
}


LIKELY = st.one_of(*[st.sampled_from(WORDS)] * 4, PLAIN)


def objects(names: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(names.split(), LIKELY)), min_size=1, max_size=2)


LISTS = {name: objects(inner) for name, inner in _LISTS.items()}
# What a row needs to get anywhere, so that its other fields are looked at too.
FIRM: dict[str, st.SearchStrategy[Any]] = {
    "code": st.just("A"),
    "external_ref": st.just("A"),
    "channel": st.just("WEB"),
    "lines": st.just([{"sku": "MUG", "quantity": 1}]) | LISTS["lines"],
    "sku": st.just("MUG"),
    "location": st.just("LEEDS"),
    "on_hand": LIKELY,
}


@st.composite
def rows_of(draw: st.DrawFn, kind: Kind) -> dict[str, Any]:
    """A row with what it needs, as a rule, and few other fields, as each may end the reading of it."""
    row = {name: draw(FIRM[name]) for name in FIELDS[kind] if name in FIRM and draw(st.integers(0, 9))}
    for name in draw(st.lists(st.sampled_from(FIELDS[kind]), max_size=3)):
        row[name] = draw(st.one_of(*[LISTS.get(name, LIKELY)] * 4, NESTED))
    return row


SITES = (Site("GB-1", "WAREHOUSE", "GB"), Site("GB-2", "STORE", "GB"))
CLEAN: dict[Kind, Callable[..., Any]] = {
    Kind.SKUS: catalog.sku,
    Kind.LOCATIONS: network.location,
    Kind.CUSTOMERS: customers.customer,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "file"


def read(path: Path, format: Format, kind: Kind) -> Iterator[Entry]:
    file = File(path)
    try:
        yield from formats.reader(format, kind)(file, Target("WEB", SITES))
    finally:
        file.close()


def sound(kind: Kind, entry: Entry) -> None:
    """A row is kept with a reason, or the command takes it or refuses it by name."""
    if isinstance(entry, Kept):
        assert entry.reason.strip()
        return
    assert isinstance(entry, Item)
    try:
        match entry.what:
            case Upsert(fields):
                CLEAN[kind](fields, ("input", "0", kind.value))
            case OrderRequest() as order:
                assert order.placed_at is None or order.placed_at.tzinfo is UTC
                cleaned(order)
            case Figure() as figure:
                assert -(2**63) <= figure.on_hand < 2**63
    except Refusal:
        return


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", list(Kind))
@given(data=st.data())
def test_objects_of_any_shape_are_items_or_rejected(path: Path, kind: Kind, data: st.DataObject) -> None:
    row = data.draw(rows_of(kind))
    path.write_text(json.dumps(row) + "\n")

    entries = list(read(path, Format.ORDERWIRE_JSONL, kind))

    assert len(entries) == 1
    sound(kind, entries[0])


HEADERS: dict[tuple[Format, Kind], Sequence[str]] = {
    **{(Format.ORDERWIRE_CSV, kind): fields for kind, fields in FIELDS.items()},
    (Format.SHOPIFY_CSV, Kind.ORDERS): (
        *shopify.COLUMNS,
        *("Shipping", "Taxes", "Tax 1 Name", "Tax 1 Value", "Discount Amount", "Lineitem discount", "Shipping Country"),
    ),
    **{
        (Format.ONLINE_RETAIL, kind): online_retail.COLUMNS
        for kind in (Kind.SKUS, Kind.CUSTOMERS, Kind.STOCK, Kind.ORDERS)
    },
    (Format.ONLINE_RETAIL, Kind.LOCATIONS): online_retail.CITY_COLUMNS,
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(("format", "kind"), list(HEADERS))
@given(data=st.data())
def test_cells_of_any_content_are_items_or_rejected(
    path: Path, format: Format, kind: Kind, data: st.DataObject
) -> None:
    header = HEADERS[format, kind]
    cells = st.sampled_from([word for word in WORDS if word != "\0"]) | st.text(
        st.characters(exclude_characters="\0", codec="utf-8"), max_size=5
    )
    rows = data.draw(st.lists(st.lists(cells, max_size=len(header) + 1), min_size=1, max_size=4))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(row + [""] * (len(header) - len(row)) for row in rows)
    path.write_bytes(text.getvalue().encode())

    for entry in read(path, format, kind):
        sound(kind, entry)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("format", list(Format))
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_one_sentence(path: Path, format: Format, data: bytes) -> None:
    path.write_bytes(data)

    with suppress(OperatorProblem):
        for entry in read(path, format, Kind.ORDERS):
            sound(Kind.ORDERS, entry)
