"""`orderwire import` and `orderwire replay` as an operator meets them."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.commandline.replay import pace_of
from app.embedded import StoreOptions, Stores
from app.imports.items import Format
from app.imports.replay import Pace, replay
from app.kernel.db import Database
from app.kernel.migrate import migrate
from app.kernel.operator import OperatorProblem
from tests.conftest import QUICK
from tests.imports.conftest import Desk

ORDERS = "external_ref,channel,placed_at,sku,quantity\n" + "".join(
    f"A{n},WEB,2026-01-01T00:{n:02}:00Z,MUG,{n % 3 + 1}\n" for n in range(30)
)


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    await desk.shop.open()
    await desk.shop.sku("MUG")
    await desk.shop.stock("MUG", 100)
    return desk


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_summary_is_json_alone_on_standard_output(shop: Desk):
    shop.write(ORDERS + "B,WEB,2026-01-01T00:00:00Z,NONE,1\n", "orders.csv")

    status, printed, errors = await ended(await shop.start("orders", "orders.csv", "--json"))

    assert (status, errors) == (0, "")
    summary = json.loads(printed)
    assert summary["counts"] == {
        "orders": {"created": {"count": 30, "rows": 30, "units": 60}, "rejected": {"count": 1, "rows": 1, "units": 0}}
    }
    assert summary["rejects"] == "orders.csv.orders.rejects.csv"
    lines = (shop.folder / summary["rejects"]).read_text().splitlines()
    assert lines[0] == "import_row,import_outcome,import_reason,external_ref,channel,placed_at,sku,quantity"
    assert lines[1].startswith("32,rejected,\"There is no SKU 'NONE'")


async def test_a_file_of_rejects_mended_can_be_imported_as_it_is(shop: Desk):
    shop.write("external_ref,channel,sku,quantity\nA,WEB,MUGG,1\n", "orders.csv")
    await ended(await shop.start("orders", "orders.csv", "--rejects", "left.csv"))
    await ended(await shop.start("orders", "left.csv", "--rejects", "left2.csv"))  # rejected again, written again
    left = shop.folder / "left2.csv"
    left.write_text(left.read_text().replace("WEB,MUGG,1", "WEB,MUG,1"))

    status, printed, _ = await ended(await shop.start("orders", "left2.csv", "--json", "--rejects", "none.csv"))

    assert status == 0
    assert json.loads(printed)["counts"]["orders"]["created"]["count"] == 1
    assert not (shop.folder / "none.csv").exists()


async def test_a_bad_file_ends_in_one_sentence_and_status_1(shop: Desk):
    shop.write("", "orders.csv")

    status, printed, errors = await ended(await shop.start("orders", "orders.csv"))

    assert (status, printed) == (1, "")
    assert errors == "orderwire: orders.csv is empty: a header with the names of the columns is wanted.\n"


async def test_a_file_damaged_in_the_middle_is_loaded_up_to_there(shop: Desk):
    await shop.shop.sku("POST", stock_tracked=False)
    orders = "".join(f"P{n},WEB,POST,1\n" for n in range(2_000))
    (shop.folder / "orders.csv").write_bytes(
        f"external_ref,channel,sku,quantity\n{orders}".encode() + b"B,WEB,M\xfcG,1"
    )

    status, printed, errors = await ended(await shop.start("orders", "orders.csv", "--json"))

    assert status == 1
    assert "orderwire: orders.csv is not UTF-8: after line " in errors
    placed = json.loads(printed)["counts"]["orders"]["created"]["count"]
    assert 1_000 < placed == (await shop.shop.one("SELECT count(*) AS n FROM orders")).n


async def test_a_database_that_goes_away_ends_in_one_sentence(shop: Desk):
    shop.url = "postgresql://nobody@127.0.0.1:1/none"
    shop.write(ORDERS, "orders.csv")

    status, _, errors = await ended(await shop.start("orders", "orders.csv"))

    assert status == 1
    assert "Traceback" not in errors
    assert errors.startswith("orderwire: ")


async def test_a_database_that_dies_midway_ends_in_one_sentence_after_what_was_done(tmp_path: Path):
    with started(tmp_path / "stores") as stores:
        await migrate(stores.database_url)
        database = Database(stores.database_url)
        await database.open()
        desk = Desk(database, tmp_path, stores.database_url)
        await desk.shop.open()
        await desk.shop.sku("POST", stock_tracked=False)
        orders = "".join(f"P{n},WEB,POST,1\n" for n in range(50_000))
        desk.write(f"external_ref,channel,sku,quantity\n{orders}", "orders.csv")
        process = await desk.start("orders", "orders.csv", "--json")
        while (await desk.shop.one("SELECT count(*) AS n FROM orders")).n < 300:
            assert process.returncode is None
            await asyncio.sleep(0.01)
        await database.close()

    status, printed, errors = await ended(process)

    assert status == 1
    assert "orderwire: The database went away (" in errors
    assert "Run the import again: it adds what is missing." in errors
    assert "Traceback" not in errors
    assert json.loads(printed)["counts"]["orders"]["created"]["count"] >= 200


@contextmanager
def started(folder: Path) -> Iterator[Stores]:
    stores = Stores(folder, StoreOptions(postgresql=QUICK))
    stores.start()
    try:
        yield stores
    finally:
        stores.stop()


async def test_a_replay_places_the_files_orders_anew_and_now(shop: Desk):
    path = shop.write(ORDERS)
    await shop.load("orders", path)

    for _ in range(2):
        flow = await replay(path, Format.ORDERWIRE_CSV, Pace(rate=1_000), shop.database, shop.stop, limit=10)
        assert (flow.placed, flow.refused) == (10, 0)

    row = await shop.shop.one(
        "SELECT count(*) AS orders, count(DISTINCT external_ref) AS refs,"
        " count(*) FILTER (WHERE placed_at > '2026-02-01') AS now FROM orders"
    )
    assert tuple(row) == (50, 50, 20)


async def test_a_replay_keeps_the_files_rhythm(shop: Desk):
    path = shop.write(ORDERS)  # one order a minute

    flow = await replay(path, Format.ORDERWIRE_CSV, Pace(speed=600), shop.database, shop.stop, limit=11)

    assert flow.placed == 11
    assert 1.0 <= flow.seconds < 3.0


async def test_a_replay_ends_when_it_is_told_and_counts_what_is_refused(shop: Desk):
    path = shop.write(
        "external_ref,channel,placed_at,sku,quantity\nA,WEB,2026-01-01T00:00:00Z,MUG,1000\n" + ORDERS[52:]
    )
    replaying = asyncio.create_task(replay(path, Format.ORDERWIRE_CSV, Pace(speed=0.001), shop.database, shop.stop))
    await asyncio.sleep(0.3)
    shop.stop.set()

    flow = await asyncio.wait_for(replaying, 2)

    assert (flow.placed, flow.reasons) == (0, {"INSUFFICIENT_STOCK": 1})


async def test_a_replay_of_a_file_that_is_none_ends_in_one_sentence(shop: Desk):
    path = shop.write("code,name\nMUG,Mug\n", "skus.csv")

    flow = await replay(path, Format.ORDERWIRE_CSV, Pace(rate=10), shop.database, shop.stop)

    assert flow.placed == 0
    assert flow.problem is not None
    assert "skus.csv has no columns external_ref, sku, quantity" in flow.problem


async def test_a_replay_of_a_file_damaged_in_the_middle_places_what_came_before(shop: Desk):
    order = '{"external_ref": "A", "channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}]}\n'
    path = shop.write(order * 3 + "\0\n")

    flow = await replay(path, Format.ORDERWIRE_JSONL, Pace(rate=100), shop.database, shop.stop)

    assert flow.placed + flow.refused >= 1
    assert (
        flow.problem == f"{path} holds the character NUL after line 3: it is damaged, or in another encoding that"
        " --encoding has to name."
    )


async def test_a_replay_of_shopifys_orders_needs_their_channel(shop: Desk):
    with pytest.raises(OperatorProblem, match="name the one these orders belong to"):
        await replay(shop.write(ORDERS), Format.SHOPIFY_CSV, Pace(rate=1), shop.database, shop.stop)


async def test_a_replay_whose_database_dies_says_how_far_it_came(tmp_path: Path):
    with started(tmp_path / "stores") as stores:
        await migrate(stores.database_url)
        database = Database(stores.database_url)
        await database.open()
        desk = Desk(database, tmp_path, stores.database_url)
        await desk.shop.open()
        await desk.shop.sku("MUG")
        await desk.shop.stock("MUG", 100)
        path = desk.write(ORDERS)
        replaying = asyncio.create_task(replay(path, Format.ORDERWIRE_CSV, Pace(rate=20), database, desk.stop))
        while (await desk.shop.one("SELECT count(*) AS n FROM orders")).n < 3:
            assert not replaying.done()
            await asyncio.sleep(0.01)
        await asyncio.to_thread(stores.postgresql.stop)

        flow = await asyncio.wait_for(replaying, 20)
        await database.close()

    assert 3 <= flow.placed < 30
    assert flow.problem == f"The database went away after {flow.placed} orders: see that it runs, then replay again."


async def test_a_replay_counts_the_rows_that_are_no_orders(shop: Desk):
    path = shop.write("external_ref,channel,sku,quantity\nA,WEB,MUG,1\nB,WEB,MUG,few\nC,WEB\nD,WEB,MUG,1\n")

    flow = await replay(path, Format.ORDERWIRE_CSV, Pace(rate=1_000), shop.database, shop.stop)

    assert (flow.placed, flow.left_out) == (2, 2)


@pytest.mark.parametrize(
    ("speed", "rate", "pace"),
    [
        (None, None, Pace(speed=3600)),
        ("60x", None, Pace(speed=60)),
        (None, "5/s", Pace(rate=5)),
        (None, "0.5", Pace(rate=0.5)),
    ],
)
def test_a_pace_by_its_name(speed, rate, pace):
    assert pace_of(speed, rate) == pace


@pytest.mark.parametrize(
    ("speed", "rate"), [("fast", None), ("0x", None), ("-1x", None), (None, "inf/s"), ("1x", "1/s")]
)
def test_a_pace_that_is_none_is_refused(speed, rate):
    with pytest.raises(OperatorProblem):
        pace_of(speed, rate)
