"""What the Online Retail set holds, counted without any of Orderwire's code: csv, lzma and a few dictionaries."""

import csv
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

Line = dict[str, str]


def lines(path: Path) -> Iterator[Line]:
    with lzma.open(path, "rt", newline="") if path.suffix == ".xz" else path.open(newline="") as file:
        yield from csv.DictReader(file)


@dataclass
class Counts:
    rows: int
    codes: set[str]
    customers: set[str]
    sales: int
    sale_lines: int
    sale_units: int
    sale_minor: int
    without_customer: int
    longest: int
    write_offs: int
    write_off_units: int
    cancelled_lines: int
    bad_debts: int
    below_a_penny: int
    goods_units: Counter[str]


def count(path: Path) -> Counts:
    invoices: dict[str, list[Line]] = defaultdict(list)
    for line in lines(path):
        invoices[line["InvoiceNo"]].append(line)
    every = [line for invoice in invoices.values() for line in invoice]
    plain = {number: invoice for number, invoice in invoices.items() if number.isdigit()}
    sales = [invoice for invoice in plain.values() if all(int(line["Quantity"]) > 0 for line in invoice)]
    offs = [invoice for invoice in plain.values() if all(int(line["Quantity"]) < 0 for line in invoice)]
    assert len(sales) + len(offs) == len(plain)
    assert all(float(line["UnitPrice"]) == 0 for invoice in offs for line in invoice)
    goods: Counter[str] = Counter()
    for invoice in sales:
        for line in invoice:
            if line["StockCode"][:5].isdigit() or line["StockCode"].startswith("DCGS"):
                goods[line["StockCode"]] += int(line["Quantity"])
    return Counts(
        rows=len(every),
        codes={line["StockCode"] for line in every},
        customers={line["CustomerID"] for line in every} - {""},
        sales=len(sales),
        sale_lines=sum(len(invoice) for invoice in sales),
        sale_units=sum(int(line["Quantity"]) for invoice in sales for line in invoice),
        sale_minor=sum(minor(line) for invoice in sales for line in invoice),
        without_customer=sum(not any(line["CustomerID"] for line in invoice) for invoice in sales),
        longest=max(map(len, sales)),
        write_offs=len(offs),
        write_off_units=-sum(int(line["Quantity"]) for invoice in offs for line in invoice),
        cancelled_lines=sum(len(invoice) for number, invoice in invoices.items() if number[0] == "C"),
        bad_debts=sum(len(invoice) for number, invoice in invoices.items() if number[0] == "A"),
        below_a_penny=sum(0 < Decimal(line["UnitPrice"]) < Decimal("0.01") for line in every),
        goods_units=goods,
    )


def minor(line: Line) -> int:
    """Pence of one line, halves up."""
    amount = Decimal(line["UnitPrice"]) * int(line["Quantity"]) * 100
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def write_first(path: Path, invoices: int, to: Path) -> Path:
    """The lines up to the one that begins invoice number `invoices` + 1, as a file of its own."""
    seen: set[str] = set()
    chosen: list[Line] = []
    for line in lines(path):
        seen.add(line["InvoiceNo"])
        if len(seen) > invoices:
            break
        chosen.append(line)
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(chosen[0]))
        writer.writeheader()
        writer.writerows(chosen)
    return to
