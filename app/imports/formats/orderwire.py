"""Orderwire's own two formats: CSV with a header of field names, and one JSON object a line with the same names.

docs/concepts/import.md lists the fields. An empty cell and an absent field leave what is stored as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from app.imports.files import BadRow, File, Row, cells_of
from app.imports.formats import cells, orderwire_orders
from app.imports.formats.cells import Given
from app.imports.items import REJECT_COLUMNS, Entry, Figure, Item, Kept, Kind, Target, Upsert, grouped, kept
from app.inventory.states import AdjustmentReason

Read = Callable[[File, Target], Iterator[Entry]]

COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SKUS: ("code",),
    Kind.LOCATIONS: ("code",),
    Kind.CUSTOMERS: ("code",),
    Kind.STOCK: ("sku", "location", "on_hand"),
    Kind.ORDERS: ("external_ref", "sku", "quantity"),
}
NOT_JSON = "The line is no JSON object."


def csv_reader(kind: Kind) -> Read:
    def read(file: File, target: Target) -> Iterator[Entry]:
        rows = file.rows(COLUMNS[kind])
        file.unread = [name for name in file.header if name and name not in known(kind)]
        if kind is Kind.ORDERS:
            yield from _orders_of_rows(file, rows, target)
            return
        for row in rows:
            try:
                yield _item(kind, row, cells_of(file.header, row), flat=True)
            except BadRow as problem:
                yield kept([row], problem)

    return read


def jsonl_reader(kind: Kind) -> Read:
    def read(file: File, target: Target) -> Iterator[Entry]:
        for row, given in file.objects():
            try:
                if given is None:
                    raise BadRow(NOT_JSON)
                if kind is Kind.ORDERS:
                    order = orderwire_orders.order(given, orderwire_orders.lines_of(given), target.channel)
                    yield Item([row], order, sum(line.quantity for line in order.lines))
                else:
                    yield _item(kind, row, given, flat=False)
            except BadRow as problem:
                yield kept([row], problem)

    return read


def _orders_of_rows(file: File, rows: Iterator[Row], target: Target) -> Iterator[Entry]:
    ref = file.header.index("external_ref")
    keyed = ((row, row.cells[ref].strip() if len(row.cells) > ref else "") for row in rows)
    for group in grouped(keyed):
        if isinstance(group, Kept):
            yield group
            continue
        _, lines = group
        try:
            given = [cells_of(file.header, row) for row in lines]
            order = orderwire_orders.order_of_rows(given, target.channel)
            yield Item(lines, order, sum(line.quantity for line in order.lines))
        except BadRow as problem:
            yield kept(lines, problem)


def _item(kind: Kind, row: Row, given: Given, *, flat: bool) -> Item:
    if kind is Kind.STOCK:
        return _figure(row, given)
    build = {Kind.SKUS: _sku, Kind.LOCATIONS: _location, Kind.CUSTOMERS: _customer}[kind]
    return Item([row], Upsert({"code": cells.wanted(given, "code"), **build(given, flat)}))


def _figure(row: Row, given: Given) -> Item:
    on_hand = cells.whole(given, "on_hand")
    if on_hand is None:
        raise BadRow("on_hand is missing: give it.")
    reason = cells.text(given, "reason") or AdjustmentReason.COUNTED
    if reason not in list(AdjustmentReason):
        raise BadRow(f"reason is {reason!r}: one of {', '.join(AdjustmentReason)} is wanted.")
    what = Figure(
        sku=cells.wanted(given, "sku"),
        location=cells.wanted(given, "location"),
        owner=cells.text(given, "owner"),
        on_hand=on_hand,
        safety_stock=cells.whole(given, "safety_stock"),
        reason=AdjustmentReason(reason),
        reference=cells.text(given, "reference"),
    )
    return Item([row], what, on_hand)


_SKU_FIELDS = {
    "name": cells.text,
    "unit_of_measure": cells.text,
    "weight_grams": cells.whole,
    "length_mm": cells.whole,
    "width_mm": cells.whole,
    "height_mm": cells.whole,
    "barcode": cells.text,
    "hazardous": cells.flag,
    "stock_tracked": cells.flag,
    "backorder_limit": cells.whole,
    "preorder_release_at": cells.instant,
    "active": cells.flag,
}


def _sku(given: Given, flat: bool) -> dict[str, Any]:
    found = cells.set_fields(given, _SKU_FIELDS)
    prices, components = (
        (_split if flat else cells.things)(given, "prices"),
        (_split if flat else cells.things)(given, "components"),
    )
    if prices is not None:
        found["prices"] = [_price(each) for each in prices]
    if components is not None:
        found["components"] = [_component(each) for each in components]
    return found


def _split(given: Given, name: str) -> list[Any] | None:
    """The parts of a cell that holds several, such as WEB:GBP:10.00; SHOP:EUR:11.50."""
    value = given.get(name)
    return None if value is None else [part.strip() for part in value.split(";") if part.strip()]


def _price(each: Any) -> dict[str, Any]:
    if isinstance(each, str):
        parts = each.rsplit(":", 2)
        if len(parts) != 3:
            raise BadRow(f"prices holds {each!r}: CHANNEL:CURRENCY:AMOUNT is wanted, several with ; between them.")
        each = dict(zip(("channel", "currency", "amount"), parts, strict=True))
    amount = cells.decimal(each, "amount")
    if amount is None:
        raise BadRow("A price has no amount: give it.")
    return {"channel": cells.wanted(each, "channel"), "currency": cells.wanted(each, "currency"), "amount": amount}


def _component(each: Any) -> dict[str, Any]:
    if isinstance(each, str):
        code, star, count = each.rpartition("*")
        each = {"sku": code if star else count, "units": count if star else "1"}
    units = cells.whole(each, "units")
    return {"sku": cells.wanted(each, "sku"), "units": 1 if units is None else units}


_LOCATION_FIELDS = {
    "name": cells.text,
    "type": cells.text,
    "latitude": cells.number,
    "longitude": cells.number,
    "country": cells.text,
    "time_zone": cells.text,
    "daily_order_capacity": cells.whole,
    "daily_unit_capacity": cells.whole,
    "cutoff": cells.text,
    "active": cells.flag,
}


def _location(given: Given, flat: bool) -> dict[str, Any]:
    found = cells.set_fields(given, _LOCATION_FIELDS)
    place = _postal(given if flat else _inner(given, "address"), "")
    if place:
        found["address"] = place
    return found


_CUSTOMER_FIELDS = {
    "kind": cells.text,
    "name": cells.text,
    "company_name": cells.text,
    "tax_number": cells.text,
    "preferred_payment": cells.text,
    "language": cells.text,
    "active": cells.flag,
}
_ADDRESS_KINDS = ("shipping", "billing")
_ADDRESS_FIELDS = ("name", "company", "phone", "country", "latitude", "longitude")


def _customer(given: Given, flat: bool) -> dict[str, Any]:
    found = cells.set_fields(given, _CUSTOMER_FIELDS)
    for name, value in (_parts_of_cells if flat else _parts_of_object)(given).items():
        if value is not None:
            found[name] = value
    return found


def known(kind: Kind) -> frozenset[str]:
    """The columns that are read, those that a file of rejects has put before them included."""
    postal = {"city", "region", "postcode", *(f"line{n}" for n in range(1, 6))}
    person = {f"{role}_{name}" for role in _ADDRESS_KINDS for name in (*postal, *_ADDRESS_FIELDS)}
    own: dict[Kind, set[str]] = {
        Kind.SKUS: {*_SKU_FIELDS, "prices", "components"},
        Kind.LOCATIONS: {*_LOCATION_FIELDS, *postal},
        Kind.CUSTOMERS: {*_CUSTOMER_FIELDS, "email", "phone", "references", *person},
        Kind.STOCK: {"owner", "safety_stock", "reason", "reference"},
        Kind.ORDERS: {*orderwire_orders.LINE_COLUMNS, *orderwire_orders.ORDER_COLUMNS, *person}
        | {f"{role}_email" for role in _ADDRESS_KINDS},
    }
    return frozenset({*COLUMNS[kind], *own[kind], *REJECT_COLUMNS})


def _parts_of_cells(given: Given) -> dict[str, list[Any] | None]:
    addresses = [
        {"kind": kind.upper(), **place} for kind in _ADDRESS_KINDS if (place := _address(given, f"{kind}_")) is not None
    ]
    contacts = [
        {"kind": kind, "value": value} for kind in ("EMAIL", "PHONE") if (value := cells.text(given, kind.lower()))
    ]
    references = [_reference(each) for each in _split(given, "references") or []]
    return {"addresses": addresses or None, "contacts": contacts or None, "references": references or None}


def _parts_of_object(given: Given) -> dict[str, list[Any] | None]:
    addresses, contacts = cells.things(given, "addresses"), cells.things(given, "contacts")
    return {
        "addresses": None
        if addresses is None
        else [
            {
                "kind": cells.wanted(each, "kind"),
                "is_default": bool(cells.flag(each, "is_default")),
                "country": cells.wanted(each, "country"),
                **(_address(each) or {}),
            }
            for each in addresses
        ],
        "contacts": None
        if contacts is None
        else [
            {
                "kind": cells.wanted(each, "kind"),
                "value": cells.wanted(each, "value"),
                "is_default": bool(cells.flag(each, "is_default")),
            }
            for each in contacts
        ],
        "references": _strings(cells.things(given, "references"), ("system", "external_id")),
    }


def _strings(values: Sequence[Given] | None, names: tuple[str, ...]) -> list[Any] | None:
    return None if values is None else [{name: cells.wanted(each, name) for name in names} for each in values]


def _reference(each: str) -> dict[str, str]:
    system, equals, external_id = each.partition("=")
    if not equals:
        raise BadRow(f"references holds {each!r}: SYSTEM=ID is wanted, several with ; between them.")
    return {"system": system.strip(), "external_id": external_id.strip()}


def _inner(given: Given, name: str) -> Given:
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise BadRow(f"{name} is to be an object.")
    return value


def _postal(given: Given, prefix: str) -> dict[str, Any]:
    """lines, city, region and postcode, where any of them is given."""
    lines = given.get("lines")
    if not isinstance(lines, list):
        lines = [text for n in range(1, 6) if (text := cells.text(given, f"{prefix}line{n}"))]
    rest = {name: cells.text(given, prefix + name) for name in ("city", "region", "postcode")}
    return {"lines": cells.texts(lines), **rest} if lines or any(rest.values()) else {}


def _address(given: Given, prefix: str = "") -> dict[str, Any] | None:
    country = cells.text(given, f"{prefix}country")
    names = {name: cells.text(given, prefix + name) for name in ("name", "company", "phone")}
    place = _postal(given, prefix)
    if country is None:
        if place or any(names.values()):
            raise BadRow(f"{prefix}country is missing: an address needs its country as two letters.")
        return None
    at = {name: cells.number(given, prefix + name) for name in ("latitude", "longitude")}
    return {"country": country, **place, **names, **at}
