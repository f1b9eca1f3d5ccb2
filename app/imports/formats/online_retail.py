"""The UCI Online Retail set: a British wholesaler's invoices, one row an invoice line.

InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country. Invoices that begin with C are
cancellations, those with A bad debts; invoices without a letter are sales, or write-offs where the quantity is
negative and the price zero. Times are the shop's own, Europe/London.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from app.imports.files import BadRow, File, Row, cells_of
from app.imports.formats.cells import decimal, number, wanted, whole
from app.imports.items import Change, Entry, Item, Kept, Outcome, Target, Upsert, grouped, kept
from app.inventory.states import AdjustmentReason
from app.orders.requests import AddressRequest, LineRequest, OrderRequest

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CHANNEL: Mapping[str, Any] = {
    "code": "ONLINE-RETAIL",
    "name": "Online Retail (UCI)",
    "kind": "WEBSHOP",
    "currency": "GBP",
    "time_zone": "Europe/London",
}
LATER = "returns come later"
BAD_DEBT = "bad debt: an entry of bookkeeping, no order"

# Codes of goods are five digits with letters behind, or the series DCGS; all others (POST, M, D, DOT, BANK CHARGES,
# gift_0001_10, …) are postage, fees, discounts, vouchers and corrections: sold, but never on a shelf.
_GOODS = re.compile(r"\d{5}|DCGS")
_ZONE = ZoneInfo("Europe/London")
_READ_AS: Mapping[str, str | None] = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA",
    "Channel Islands": "JE", "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE",
    "European Community": None, "Finland": "FI", "France": "FR", "Germany": "DE", "Greece": "GR", "Hong Kong": "HK",
    "Iceland": "IS", "Israel": "IL", "Italy": "IT", "Japan": "JP", "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT",
    "Netherlands": "NL", "Norway": "NO", "Poland": "PL", "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA",
    "Singapore": "SG", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH", "USA": "US", "United Arab Emirates": "AE",
    "United Kingdom": "GB", "Unspecified": None,
}  # fmt: skip

Cells = tuple[str, ...]
"""A row's cells in the order of COLUMNS."""


def columns_of(file: File) -> tuple[Iterator[Row], Any]:
    """The rows, and a function that gives a row's cells in the order of COLUMNS."""
    rows = file.rows(COLUMNS)
    return rows, itemgetter(*(file.header.index(name) for name in COLUMNS))


def is_goods(code: str) -> bool:
    return _GOODS.match(code) is not None


@lru_cache(maxsize=1024)
def country_of(name: str) -> str | None:
    """ISO code of a country as the file calls it; None where it names none.  Raises BadRow."""
    if name not in _READ_AS:
        raise BadRow(f"{name!r} is no country of this set.")
    return _READ_AS[name]


@lru_cache(maxsize=65_536)
def _price(text: str) -> Decimal:
    price = decimal({"UnitPrice": text}, "UnitPrice")
    if price is None:
        raise BadRow("UnitPrice is missing: a number is wanted.")
    return price


@lru_cache(maxsize=65_536)
def units_of(text: str) -> int:
    units = whole({"Quantity": text}, "Quantity")
    if units is None:
        raise BadRow("Quantity is missing: a whole number is wanted.")
    return units


def customer_code(text: str) -> str | None:
    """The set's figures for customers have lost their integer type on the way: 17850.0 is customer 17850."""
    return text.removesuffix(".0") or None


def _instant(text: str) -> datetime:
    """The shop's local time in UTC; an hour that comes twice in autumn is taken as its first."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=_ZONE).astimezone(UTC)
    except ValueError:
        raise BadRow(f"InvoiceDate is {text!r}: a time such as 2010-12-01 08:26:00 is wanted.") from None


def orders(file: File, target: Target) -> Iterator[Entry]:
    """Sales as orders, write-offs as adjustments; cancellations are set aside, bad debts rejected."""
    rows, cells = columns_of(file)
    width = len(file.header)
    channel = target.channel or CHANNEL["code"]
    for group in grouped(_by_invoice(rows, file.header.index("InvoiceNo"), width)):
        if isinstance(group, Kept):
            yield group
            continue
        ref, lines = group
        try:
            if not ref:
                raise BadRow("The row has another number of cells than the header, or no InvoiceNo.")
            yield from _document(ref, lines, [cells(row.cells) for row in lines], channel)
        except BadRow as problem:
            yield kept(lines, problem)


def _by_invoice(rows: Iterable[Row], invoice: int, width: int) -> Iterator[tuple[Row, str]]:
    for row in rows:
        yield row, row.cells[invoice] if len(row.cells) == width else ""


def _document(ref: str, rows: Sequence[Row], lines: Sequence[Cells], channel: str) -> Iterator[Entry]:
    if ref.startswith("C"):
        yield Kept(rows, LATER, Outcome.ASIDE)
        return
    if ref.startswith("A"):
        raise BadRow(BAD_DEBT)
    units = [units_of(line[3]) for line in lines]
    if min(units) > 0:
        yield Item(rows, _order(ref, lines, units, channel), sum(units))
    elif max(units) < 0 and not any(_price(line[5]) for line in lines):
        for place, (row, line, change) in enumerate(zip(rows, lines, units, strict=True), 1):
            reference = f"online-retail:{ref}" + (f":{place}" if len(lines) > 1 else "")
            what = Change(line[1], None, change, AdjustmentReason.WRITTEN_OFF, reference)
            yield Item([row], what, change)
    else:
        raise BadRow(f"{ref} is neither a sale nor a write-off: its quantities and prices do not go together.")


def _order(ref: str, lines: Sequence[Cells], units: Sequence[int], channel: str) -> OrderRequest:
    _, _, _, _, at, _, customer, place = lines[0]
    country = country_of(place)
    return OrderRequest(
        channel=channel,
        external_ref=ref,
        customer=customer_code(customer),
        lines=[
            LineRequest(sku=line[1], quantity=quantity, unit_price=_price(line[5]))
            for line, quantity in zip(lines, units, strict=True)
        ],
        shipping_address=None if country is None else AddressRequest(country=country, region=_as_written(place)),
        note=f"Country in the file: {place}" if country is None else None,
        placed_at=_instant(at),
    )


def _as_written(place: str) -> str | None:
    """What a country's code does not tell."""
    return place if place == "Channel Islands" else None


def skus(file: File, target: Target) -> Iterator[Entry]:
    """Every stock code: named by its most frequent description, priced by its most frequent price above zero."""
    rows, cells = columns_of(file)
    channel = target.channel or CHANNEL["code"]
    first: dict[str, Row] = {}
    names: dict[str, Counter[str]] = {}
    prices: dict[str, Counter[Decimal]] = {}
    for row, line in _sound(rows, cells, len(file.header)):
        if line is None:
            yield Kept([row], "The row has another number of cells than the header.")
            continue
        code = line[1]
        if code not in first:
            first[code], names[code], prices[code] = row, Counter(), Counter()
        if name := line[2].strip():
            names[code][name] += 1
        try:
            if (price := _price(line[5])) > 0:
                prices[code][price] += 1
        except BadRow as problem:
            yield kept([row], problem)
    for code, row in first.items():
        given: dict[str, Any] = {"code": code, "name": _most(names[code]) or code, "stock_tracked": is_goods(code)}
        if (price := _most(prices[code])) is not None:
            given["prices"] = [{"channel": channel, "currency": CHANNEL["currency"], "amount": price}]
        yield Item([row], Upsert(given))


def customers(file: File, target: Target) -> Iterator[Entry]:
    """Every customer, with an address for each country of its invoices, the most frequent one first."""
    rows, cells = columns_of(file)
    first: dict[str, Row] = {}
    places: dict[str, Counter[str]] = {}
    for row, line in _sound(rows, cells, len(file.header)):
        if line is None:
            yield Kept([row], "The row has another number of cells than the header.")
        elif code := customer_code(line[6]):
            if code not in first:
                first[code], places[code] = row, Counter()
            places[code][line[7]] += 1
    for code, row in first.items():
        try:
            countries = [(name, iso) for name, _ in places[code].most_common() if (iso := country_of(name))]
        except BadRow as problem:
            yield kept([row], problem)
            continue
        addresses = [
            {"kind": "SHIPPING", "country": iso, "region": _as_written(name), "is_default": place == 0}
            for place, (name, iso) in enumerate(countries)
        ]
        given = {"code": code, "name": f"Customer {code}", "addresses": addresses}
        yield Item([row], Upsert(given))


def _sound(rows: Iterable[Row], cells: Any, width: int) -> Iterator[tuple[Row, Cells | None]]:
    for row in rows:
        yield row, cells(row.cells) if len(row.cells) == width else None


def _most(counted: Counter[Any]) -> Any:
    """The most frequent one, the first of them among equals."""
    return max(counted, key=lambda each: counted[each], default=None)


# --- locations -------------------------------------------------------------------------------------------------------

# (country, locations, of these warehouses): about as the set's lines are spread, with every neighbour served.
QUOTA = (("GB", 16, 2), ("DE", 5, 1), ("FR", 4, 1), ("NL", 3, 1), ("IE", 2, 1))
CITY_COLUMNS = ("geonameid", "name", "country", "lat", "lon", "population", "timezone")


def locations(file: File, target: Target) -> Iterator[Entry]:
    """Thirty locations in the largest cities of five countries, from a file of GeoNames; the largest are warehouses."""
    cities: dict[str, list[tuple[int, int, Row, dict[str, Any]]]] = {country: [] for country, _, _ in QUOTA}
    for row in file.rows(CITY_COLUMNS):
        try:
            city = cells_of(file.header, row)
            if (country := city.get("country", "")) in cities:
                largest_first = -(whole(city, "population") or 0), whole(city, "geonameid") or 0
                cities[country].append((*largest_first, row, _place(city)))
        except BadRow as problem:
            yield kept([row], problem)
    for country, most, warehouses in QUOTA:
        for place, (_, _, row, fields) in enumerate(sorted(cities[country], key=itemgetter(0, 1))[:most]):
            kind = "WAREHOUSE" if place < warehouses else "STORE"
            yield Item([row], Upsert({"code": f"{country}-{_slug(fields['name'])}", "type": kind, **fields}))


def _place(city: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": wanted(city, "name"),
        "country": wanted(city, "country"),
        "latitude": number(city, "lat"),
        "longitude": number(city, "lon"),
        "time_zone": wanted(city, "timezone"),
    }


def _slug(name: str) -> str:
    """A name as part of a code: capitals and hyphens, letters without their accents."""
    apart = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    return re.sub(r"[^A-Z0-9]+", "-", apart.encode("ascii", "ignore").decode().upper()).strip("-")
