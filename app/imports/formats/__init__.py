"""Which file formats there are for what, and the function that reads each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from app.imports.files import File
from app.imports.formats import online_retail, online_retail_stock, orderwire, shopify
from app.imports.items import Entry, Format, Kind, Target
from app.kernel.operator import OperatorProblem

Read = Callable[[File, Target], Iterator[Entry]]

READERS: Mapping[tuple[Format, Kind], Read] = {
    **{(Format.ORDERWIRE_CSV, kind): orderwire.csv_reader(kind) for kind in Kind},
    **{(Format.ORDERWIRE_JSONL, kind): orderwire.jsonl_reader(kind) for kind in Kind},
    (Format.SHOPIFY_CSV, Kind.ORDERS): shopify.orders,
    (Format.ONLINE_RETAIL, Kind.SKUS): online_retail.skus,
    (Format.ONLINE_RETAIL, Kind.LOCATIONS): online_retail.locations,
    (Format.ONLINE_RETAIL, Kind.CUSTOMERS): online_retail.customers,
    (Format.ONLINE_RETAIL, Kind.STOCK): online_retail_stock.stock,
    (Format.ONLINE_RETAIL, Kind.ORDERS): online_retail.orders,
}


def reader(format: Format, kind: Kind) -> Read:
    """Raises OperatorProblem where the format holds nothing of that kind."""
    found = READERS.get((format, kind))
    if found is None:
        kinds = ", ".join(each for each in Kind if (format, each) in READERS)
        raise OperatorProblem(f"A file of the format {format} holds {kinds}, not {kind}: choose another format.")
    return found
