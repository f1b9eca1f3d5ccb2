"""Real orders: the UCI Online Retail set, and what stands in the database against what stands in the file."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from app.imports.items import Format, Outcome
from app.imports.replay import Pace, replay
from app.imports.summary import ADJUSTMENTS
from app.kernel.operator import OperatorProblem
from tests.imports import oracle
from tests.imports.conftest import Desk, counted

FORMAT = "online-retail"


@pytest.fixture(scope="session")
def whole_set(shared_data: Path) -> Path:
    return shared_data / "uci_online_retail" / "online_retail.csv.xz"


@pytest.fixture(scope="session")
def cities(shared_data: Path) -> Path:
    return shared_data / "geonames_cities" / "cities.csv"


async def furnish(desk: Desk, cities: Path, path: Path) -> None:
    """Everything but the orders."""
    assert counted(await desk.load("locations", cities, FORMAT)) == {"created": 30}
    for kind in ("skus", "customers", "stock"):
        summary = await desk.load(kind, path, FORMAT)
        assert set(counted(summary)) <= {"created"}, summary.as_dict()


async def stored(desk: Desk) -> tuple[int, int, int, int]:
    """Orders, lines, units and pence."""
    row = await desk.shop.one(
        "SELECT count(*) AS lines, count(DISTINCT order_id) AS orders, sum(ordered) AS units, sum(total_minor) AS minor"
        " FROM order_line"
    )
    return row.orders, row.lines, row.units, row.minor


async def known(desk: Desk) -> tuple[int, int]:
    """SKUs and customers."""
    row = await desk.shop.one("SELECT (SELECT count(*) FROM sku) AS skus, (SELECT count(*) FROM customer) AS customers")
    return row.skus, row.customers


async def written_off(desk: Desk) -> tuple[int, int]:
    """Documents and units."""
    row = await desk.shop.one(
        "SELECT count(DISTINCT reference) AS documents, -sum(d_on_hand) AS units FROM stock_movement"
        " WHERE reason = 'WRITTEN_OFF'"
    )
    return row.documents, row.units


async def agree(desk: Desk, expected: oracle.Counts) -> None:
    """The database holds what the file holds."""
    assert await known(desk) == (len(expected.codes), len(expected.customers))
    assert await stored(desk) == (
        expected.sales,
        expected.sale_lines,
        expected.sale_units,
        expected.sale_minor,
    )
    assert await written_off(desk) == (expected.write_offs, expected.write_off_units)
    row = await desk.shop.one(
        "SELECT count(*) FILTER (WHERE customer_id IS NULL) AS guests,"
        " count(*) FILTER (WHERE fulfillment_status <> 'SCHEDULED') AS unscheduled,"
        " sum(total_minor) AS minor FROM orders"
    )
    assert (row.guests, row.unscheduled, row.minor) == (expected.without_customer, 0, expected.sale_minor)
    rows = await desk.shop.rows(
        "SELECT sku_code, sum(allocated) AS units FROM order_line WHERE takes_stock GROUP BY sku_code"
    )
    assert dict(map(tuple, rows)) == dict(expected.goods_units)
    assert await desk.shop.violations() == {}


async def test_the_first_2000_invoices_arrive_as_they_stand_in_the_file(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 2_000, desk.folder / "first.csv")
    expected = oracle.count(path)
    assert expected.cancelled_lines
    assert expected.write_offs
    await furnish(desk, cities, path)

    summary = await desk.load("orders", path, FORMAT)

    assert counted(summary)["created"] == expected.sales
    assert summary.of(Outcome.CREATED).rows == expected.sale_lines
    assert summary.of(Outcome.ASIDE).rows == expected.cancelled_lines
    assert counted(summary, ADJUSTMENTS) == {"created": expected.write_offs}
    assert summary.of(Outcome.REJECTED).rows == expected.bad_debts
    assert summary.rows == expected.rows
    await agree(desk, expected)

    aside = desk.rejects()
    assert {row["import_reason"] for row in aside} == {"returns come later"}
    assert len(aside) == expected.cancelled_lines

    again = await desk.load("orders", path, FORMAT)
    assert counted(again)["existing"] == expected.sales
    assert counted(again, ADJUSTMENTS) == {"existing": expected.write_offs}
    for kind, outcome in (("skus", "unchanged"), ("customers", "unchanged"), ("stock", "existing")):
        assert set(counted(await desk.load(kind, path, FORMAT))) == {outcome}
    assert counted(await desk.load("locations", cities, FORMAT)) == {"unchanged": 30}
    await agree(desk, expected)


async def test_a_dry_run_on_an_empty_database_knows_what_the_import_would_create(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 20, desk.folder / "first.csv")

    for kind, file, created in (("locations", cities, 30), ("skus", path, len(oracle.count(path).codes))):
        summary = await desk.load(kind, file, FORMAT, dry_run=True)
        assert counted(summary) == {"created": created}, summary.reasons
    for kind in ("stock", "orders"):
        with pytest.raises(OperatorProblem, match="There is no channel 'ONLINE-RETAIL'"):
            await desk.load(kind, path, FORMAT, dry_run=True)

    assert (await desk.shop.one("SELECT count(*) AS n FROM event_log")).n == 0
    assert (await desk.shop.one("SELECT count(*) AS n FROM channel")).n == 0


async def test_an_order_keeps_its_time_its_country_and_its_customer(desk, cities):
    path = desk.write(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,10002,TRAY,2,2011-07-01 09:30:00,0.85,12583.0,EIRE\n"
        "1,POST,POSTAGE,1,2011-07-01 09:30:00,18.0,12583.0,EIRE\n"
        "2,PADS,PADS,5,2011-01-05 09:30:00,0.001,,Unspecified\n"
        "3,10002,TRAY,1,2011-01-05 09:31:00,0.85,,Channel Islands\n"
    )
    await furnish(desk, cities, path)

    await desk.load("orders", path, FORMAT)

    rows = await desk.shop.rows(
        "SELECT o.external_ref, o.placed_at::text AS at, o.destination_country AS country, c.code AS customer,"
        " o.total_minor AS minor, o.note, a.region"
        " FROM orders o LEFT JOIN customer c ON c.id = o.customer_id LEFT JOIN order_address a ON a.order_id = o.id"
        " ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [
        ("1", "2011-07-01 08:30:00+00", "IE", "12583", 1970, None, None),  # summer time in London
        ("2", "2011-01-05 09:30:00+00", None, None, 1, "Country in the file: Unspecified", None),  # half a penny, up
        ("3", "2011-01-05 09:31:00+00", "JE", None, 85, None, "Channel Islands"),
    ]
    services = await desk.shop.rows("SELECT sku_code FROM order_line WHERE NOT takes_stock ORDER BY 1")
    assert [code for (code,) in services] == ["PADS", "POST"]


async def test_lines_of_an_invoice_that_others_interrupt_make_one_order(desk, cities):
    path = desk.write(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,10002,TRAY,2,2011-07-01 09:30:00,0.85,,United Kingdom\n"
        "2,10002,TRAY,4,2011-07-01 09:30:00,0.85,,United Kingdom\n"
        "1,10003,JUG,3,2011-07-01 09:31:00,0.85,,United Kingdom\n"
    )
    await furnish(desk, cities, path)

    await desk.load("orders", path, FORMAT)

    rows = await desk.shop.rows(
        "SELECT o.external_ref, count(*), sum(l.ordered) FROM orders o JOIN order_line l ON l.order_id = o.id"
        " GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("1", 2, 5), ("2", 1, 4)]


async def test_bad_debts_and_mixed_documents_are_rejected_with_the_reason(desk, cities):
    path = desk.write(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "A1,B,Adjust bad debt,1,2011-07-01 09:30:00,11062.06,,United Kingdom\n"
        "2,10002,TRAY,4,2011-07-01 09:30:00,0.85,,Atlantis\n"
        "3,10002,TRAY,4,2011-07-01 09:30:00,0.85,,United Kingdom\n"
        "3,10002,TRAY,-4,2011-07-01 09:30:00,0.85,,United Kingdom\n"
        "4,10002,TRAY,many,2011-07-01 09:30:00,0.85,,United Kingdom\n"
        "5,10002,TRAY,1,yesterday,0.85,,United Kingdom\n"
    )
    await desk.load("locations", cities, FORMAT)

    summary = await desk.load("orders", path, FORMAT)

    assert counted(summary) == {"rejected": 5}
    reasons = {row["InvoiceNo"]: row["import_reason"] for row in desk.rejects()}
    assert reasons == {
        "A1": "bad debt: an entry of bookkeeping, no order",
        "2": "'Atlantis' is no country of this set.",
        "3": "3 is neither a sale nor a write-off: its quantities and prices do not go together.",
        "4": "Quantity is 'many': a whole number is wanted.",
        "5": "InvoiceDate is 'yesterday': a time such as 2010-12-01 08:26:00 is wanted.",
    }
    assert [row["import_row"] for row in desk.rejects()] == ["2", "3", "4", "5", "6", "7"]


async def test_the_starting_stock_covers_the_demand_and_says_that_it_is_generated(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 400, desk.folder / "first.csv")
    await furnish(desk, cities, path)

    rows = await desk.shop.rows("SELECT DISTINCT reason, reference, actor FROM stock_movement")
    assert [tuple(row) for row in rows] == [
        ("OPENING_BALANCE", "generated:online-retail:demand-of-the-file", "system:import")
    ]
    rows = await desk.shop.rows(
        "SELECT s.code, count(*) AS places, sum(b.on_hand) AS units FROM stock_level b JOIN sku s ON s.id = b.sku_id"
        " GROUP BY s.code"
    )
    assert {row.places for row in rows} <= {1, 2, 3}
    on_hand = {row.code: row.units for row in rows}
    demand = oracle.count(path).goods_units
    assert all(on_hand[code] >= units for code, units in demand.items())


async def test_a_replay_after_the_import_is_placed_where_the_stock_covers_both(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 300, desk.folder / "first.csv")
    sales = oracle.count(path).sales
    await furnish(desk, cities, path)
    await desk.load("orders", path, FORMAT)
    sold_out = await placed_again(desk, path)
    once = await opening_balances(desk)

    summary = await desk.load("stock", path, FORMAT, times=3)  # one pass is there: the import has sold it

    assert sold_out < sales // 10
    assert counted(summary) == {"existing": len(once), "created": 2 * len(once)}
    for _ in range(2):
        assert await placed_again(desk, path) == sales
    assert await opening_balances(desk) == {
        (*balance, f"{reference}{more}"): units
        for (*balance, reference), units in once.items()
        for more in ("", ":2", ":3")
    }
    assert counted(await desk.load("stock", path, FORMAT, times=2)) == {"existing": 2 * len(once)}


async def placed_again(desk: Desk, path: Path) -> int:
    """How many of the file's orders a replay places."""
    return (await replay(path, Format.ONLINE_RETAIL, Pace(rate=10_000), desk.database, desk.stop)).placed


async def opening_balances(desk: Desk) -> dict[tuple[str, str, str], int]:
    """Units by SKU, location and reference."""
    rows = await desk.shop.rows(
        "SELECT s.code, l.code, m.reference, sum(m.d_on_hand) FROM stock_movement m"
        " JOIN sku s ON s.id = m.sku_id JOIN location l ON l.id = m.location_id"
        " WHERE m.reason = 'OPENING_BALANCE' GROUP BY 1, 2, 3"
    )
    return {(sku, location, reference): units for sku, location, reference, units in rows}


@pytest.mark.parametrize(("kind", "format"), [("orders", FORMAT), ("stock", "orderwire-csv")])
async def test_passes_of_what_is_not_generated_are_refused(desk, kind, format):
    with pytest.raises(OperatorProblem, match="--times is for stock that is generated"):
        await desk.load(kind, desk.write(""), format, times=2)


async def test_the_command_takes_the_number_of_passes(desk, cities):
    path = desk.write(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,10002,TRAY,2,2011-07-01 09:30:00,0.85,,United Kingdom\n"
    )
    for kind, file in (("locations", cities), ("skus", path)):
        await desk.load(kind, file, FORMAT)

    process = await desk.start("stock", str(path), "--format", FORMAT, "--times", "4")
    _, errors = await process.communicate()

    assert process.returncode == 0, errors
    assert sum((await opening_balances(desk)).values()) == 8


async def test_a_killed_import_run_again_adds_only_what_is_missing(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 900, desk.folder / "first.csv")
    expected = oracle.count(path)
    await furnish(desk, cities, path)

    killed = await desk.start("orders", str(path), "--format", FORMAT)
    while (await stored(desk))[0] < expected.sales // 3:
        assert killed.returncode is None
        await asyncio.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    orders_before = (await stored(desk))[0]
    assert expected.sales // 3 <= orders_before < expected.sales

    summary = await desk.load("orders", path, FORMAT)

    assert counted(summary)["created"] == expected.sales - orders_before
    assert counted(summary)["existing"] == orders_before
    await agree(desk, expected)


async def test_ctrl_c_ends_with_what_was_done(desk, whole_set, cities):
    path = oracle.write_first(whole_set, 900, desk.folder / "first.csv")
    await furnish(desk, cities, path)

    process = await desk.start("orders", str(path), "--format", FORMAT)
    while (await stored(desk))[0] < 50:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, errors = await process.communicate()

    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert b"Interrupted: run it again to add what is missing." in printed
    orders = (await stored(desk))[0]
    (told,) = re.findall(rb"orders +\S+ created +\S+ +([\d,]+)", printed)
    assert int(told.replace(b",", b"")) == orders


@pytest.mark.long
async def test_the_whole_set(desk, whole_set, cities):
    expected = oracle.count(whole_set)
    assert (expected.rows, len(expected.codes), len(expected.customers)) == (541_909, 4_070, 4_372)
    assert (expected.sales, expected.sale_lines, expected.sale_units) == (20_725, 531_282, 5_660_978)
    assert (expected.write_offs, expected.cancelled_lines, expected.bad_debts) == (1_336, 9_288, 3)
    assert (expected.below_a_penny, expected.without_customer, expected.longest) == (4, 2_189, 1_114)
    await furnish(desk, cities, whole_set)

    process = await desk.start("orders", str(whole_set), "--format", FORMAT, "--json")
    peak = 0
    while process.returncode is None:
        peak = max(peak, resident(process.pid))
        await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.5)
    printed, errors = await process.communicate()

    assert process.returncode == 0, errors
    assert b'"rejected": {\n        "count": 3,\n        "rows": 3,' in printed
    await agree(desk, expected)
    assert peak < 500_000_000


def resident(pid: int) -> int:
    """Bytes of memory a process holds at most so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
