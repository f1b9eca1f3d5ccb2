"""Starting stock for the Online Retail set. The set holds none: it is generated from the set's own demand, and says so.

Every SKU of goods lies at one to three of the channel's locations:

- at its home, one of the warehouses in the channel's first country, all units that the file sells or writes off: so
  every order can be served, in whatever order they come;
- at the warehouse of the other country that buys most of it, the units sold there;
- at one store, a fiftieth of all units sold.

Stock for several passes, an import and the replays after it, is the same again for each pass, under references of its
own: what an earlier run has added is known by them.

Which home and which store is a matter of the code alone, so that a second run generates the same figures.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from zlib import crc32

from app.imports.files import BadRow, File, Row
from app.imports.formats.online_retail import columns_of, country_of, is_goods, units_of
from app.imports.items import Change, Entry, Item, Kept, Site, Target
from app.inventory.states import AdjustmentReason
from app.kernel.operator import OperatorProblem

REFERENCE = "generated:online-retail:demand-of-the-file"
STORE_SHARE = 50


def stock(file: File, target: Target) -> Iterator[Entry]:
    """Opening balances that cover the file's sales and write-offs as often as the target wants."""
    if not target.sites:
        raise OperatorProblem(
            "The channel has no locations to hold stock: import the locations first, with the same --channel."
        )
    rows, cells = columns_of(file)
    width = len(file.header)
    first: dict[str, Row] = {}
    gone: Counter[str] = Counter()
    sold: dict[str, Counter[str | None]] = {}
    for row in rows:
        if len(row.cells) != width:
            yield Kept([row], "The row has another number of cells than the header.")
            continue
        invoice, code, _, quantity, _, _, _, place = cells(row.cells)
        if not invoice[:1].isdigit() or not is_goods(code):
            continue
        try:
            units, country = units_of(quantity), country_of(place)
        except BadRow as problem:
            yield Kept([row], problem.reason)
            continue
        first.setdefault(code, row)
        gone[code] += abs(units)
        if units > 0:
            sold.setdefault(code, Counter())[country] += units
    # Pass by pass: a batch holds no balance twice, so that this order fills the batches.
    for reference in map(reference_of, range(1, target.times + 1)):
        for code, row in first.items():
            for location, units in spread(code, gone[code], sold.get(code, Counter()), target.sites):
                what = Change(code, location, units, AdjustmentReason.OPENING_BALANCE, reference)
                yield Item([row], what, units)


def reference_of(number: int) -> str:
    """The ledger's reference for a pass, counted from one."""
    return REFERENCE if number == 1 else f"{REFERENCE}:{number}"


def spread(code: str, gone: int, sold: Counter[str | None], sites: Sequence[Site]) -> list[tuple[str, int]]:
    """Where a SKU's units lie at the start.

    gone  units sold and written off;  sold  units by country
    """
    domestic = sites[0].country
    warehouses = [site for site in sites if site.type == "WAREHOUSE"] or list(sites)
    homes = [site for site in warehouses if site.country == domestic] or warehouses
    hashed = crc32(code.encode())
    home = homes[hashed % len(homes)]
    shares = [(home.code, gone)]
    abroad = {site.country: site for site in reversed(warehouses) if site.country != domestic}
    buyers = sorted((-units, country) for country, units in sold.items() if country in abroad)
    if buyers:
        units, country = buyers[0]
        shares.append((abroad[country].code, -units))
    stores = [site for site in sites if site.type != "WAREHOUSE"]
    if stores and (kept_back := sold.total() // STORE_SHARE):
        shares.append((stores[hashed // len(homes) % len(stores)].code, kept_back))
    return shares
