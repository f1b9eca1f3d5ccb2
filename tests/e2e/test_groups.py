"""Subscribers who ask the same are told by one, and each of them as if it were alone: over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from app.auth import commands as auth
from app.auth.keys import parse_key
from app.gql.nodes import global_id
from app.kernel.work import CommandArguments
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.builders import Shop
from tests.e2e.devices import Device, device, seated, small_buffers, until
from tests.running import OPERATOR, Api


@pytest.fixture
async def mugs(shop: Shop) -> Shop:
    await shop.sku("MUG")
    await shop.stock("MUG", 100_000)
    return shop


async def committed(shop: Shop) -> dict[str, list[int]]:
    """Each order's versions, as they were committed."""
    rows = await shop.rows(
        "SELECT subject, array_agg(version ORDER BY version) AS versions FROM event_log"
        " WHERE aggregate = 'order' GROUP BY subject"
    )
    return {str(global_id("Order", row.subject)): list(row.versions) for row in rows}


async def test_members_are_told_under_their_own_ids_by_one(api: Api, mugs: Shop, open_: Callable[..., Any]) -> None:
    key = await api.key()
    devices = [await open_(key, id_) for id_ in ("1", "1", "a-longer-id-of-its-own", 'with "quotes" and ü')]
    for each in devices:
        await each.subscribe()
    await seated(api, 4)

    for _ in range(5):
        await mugs.place({"MUG": 1})
    await until(lambda: all(each.told == 5 for each in devices))

    told = await committed(mugs)
    assert [each.versions for each in devices] == [told] * 4
    assert len({each.cursor for each in devices}) == 1
    assert [each.other for each in devices] == [[]] * 4
    assert (len(api.services.groups), api.services.groups.let_go, api.services.groups.told) == (1, 0, 20)


async def test_where_no_frame_can_be_written_at_once_everyone_is_told_alone(
    api: Api, mugs: Shop, open_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a server that is not ours, or with compression."""
    monkeypatch.setattr("app.gql.websocket.WIRE", "of another server")
    key = await api.key()
    devices = [await open_(key, f"d{n}") for n in range(3)]
    for each in devices:
        await each.subscribe()
    await until(lambda: all(each.snapshots for each in devices))

    for _ in range(5):
        await mugs.place({"MUG": 1})
    await until(lambda: all(each.told == 5 for each in devices))

    assert [each.versions for each in devices] == [await committed(mugs)] * 3
    assert api.services.groups.seats == 0


async def test_other_questions_and_other_rights_are_other_groups(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    one, other = await mugs.place({"MUG": 1}), await mugs.place({"MUG": 1})
    staff, reader = await api.key(), await api.key("STAFF", ["orders:read"])
    asked = [(staff, {}), (staff, {"ids": [global_id("Order", one)]}), (reader, {}), (reader, {})]
    devices = [await open_(key) for key, _ in asked]
    for each, (_, variables) in zip(devices, asked, strict=True):
        await each.subscribe(**variables)
    await seated(api, 4)
    assert len(api.services.groups) == 3

    for order_id in (one, other):
        await mugs.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
    await until(lambda: [each.told for each in devices] == [2, 1, 2, 2])

    assert devices[1].versions == {str(global_id("Order", one)): [2]}


async def test_members_that_began_elsewhere_in_the_log_are_told_the_rest_and_then_the_same(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    """Each comes with a cursor of its own, some of them while orders are placed."""
    key = await api.key()
    first = await open_(key)
    await first.subscribe()
    await seated(api, 1)
    cursors = []
    for n in range(6):
        await mugs.place({"MUG": 1})
        await until(lambda n=n: first.told == n + 1)
        cursors.append(first.cursor)
    devices = [await open_(key, f"d{n}") for n in range(len(cursors))]

    placing = asyncio.create_task(keep_placing(mugs, 30))
    for each, cursor in zip(devices, cursors, strict=True):
        await each.subscribe(after=cursor)
        await asyncio.sleep(0.03)
    await placing
    await seated(api, 7)
    await mugs.place({"MUG": 1})
    await until(lambda: first.told == 37 and all(each.told == 36 - n for n, each in enumerate(devices)))

    in_order = list(first.versions)
    for n, each in enumerate(devices, 1):
        assert list(each.versions) == in_order[n:]
        assert all(versions == [1] for versions in each.versions.values())
        assert (each.snapshots, each.other) == (0, [])
    assert len(api.services.groups) == 1


async def test_who_comes_and_goes_while_the_group_is_told_misses_nothing(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    """Connections break at any moment; with the last cursor everything is told once and in order."""
    key = await api.key()
    dice, enough = random.Random(11), asyncio.Event()
    staying = await open_(key)
    await staying.subscribe()
    await seated(api, 1)
    begin = staying.cursor
    trading = asyncio.create_task(keep_trading(mugs, dice, enough))

    async def wander(number: int) -> dict[str, list[int]]:
        cursor, told = begin, dict[str, list[int]]()
        for _ in range(8):
            async with device(api, key, f"w{number}") as each:
                await each.subscribe(after=cursor)
                await asyncio.sleep(dice.uniform(0.05, 0.4))
                each.raw.transport.abort()
            cursor = each.cursor or cursor
            merge(told, each.versions)
            assert (each.snapshots, each.other) == (0, [])
        async with device(api, key, f"w{number}") as each:
            await each.subscribe(after=cursor)
            await trading
            total = told_by(await committed(mugs))
            await until(lambda: told_by(told) + each.told >= total)
            merge(told, each.versions)
        return told

    wanderers = [asyncio.create_task(wander(number)) for number in range(8)]
    await asyncio.sleep(4)
    enough.set()
    told = await asyncio.gather(*wanderers)
    everything = await committed(mugs)
    await until(lambda: staying.told == told_by(everything))

    assert [*told, staying.versions] == [everything] * 9


async def test_a_snapshot_and_what_follows_fit_together(api: Api, mugs: Shop, open_: Callable[..., Any]) -> None:
    """Subscribed while the order changes: versions go on from the snapshot's, each once."""
    key, order_id = await api.key(), await mugs.place({"MUG": 1})
    changing = asyncio.create_task(keep_changing(mugs, order_id))
    devices, wanted = [], [str(global_id("Order", order_id))]
    for n in range(12):
        each = await open_(key, f"s{n}")
        snapshots = _noting_snapshots(each)
        await each.subscribe(ids=wanted)
        devices.append((each, snapshots))
        await asyncio.sleep(0.05)
    changing.cancel()
    with suppress(asyncio.CancelledError):
        await changing
    await seated(api, 12)
    last = (await committed(mugs))[wanted[0]][-1]
    await until(lambda: all(([*found, *each.versions[wanted[0]]] or [0])[-1] == last for each, found in devices))

    for each, found in devices:
        assert [*found, *each.versions[wanted[0]]] == list(range(found[0], last + 1))


async def test_a_slow_member_holds_up_nobody_and_misses_nothing(
    api: Api, mugs: Shop, open_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_buffers(monkeypatch)
    key = await api.key()
    slow, *quick = [await open_(key, f"d{n}", buffer=4096 if n == 0 else None) for n in range(3)]
    for each in (slow, *quick):
        await each.subscribe()
    await seated(api, 3)

    slow.reading.clear()
    for _ in range(60):
        await mugs.place({"MUG": 1})
    await until(lambda: all(each.told == 60 for each in quick))
    assert api.services.groups.let_go == 1
    assert slow.told < 60
    slow.reading.set()

    await until(lambda: slow.told == 60)
    assert list(slow.versions) == list(quick[0].versions)
    assert (slow.snapshots, slow.other) == (1, [])
    await seated(api, 3)


async def test_who_completes_is_told_no_more_and_may_use_the_id_again(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    key = await api.key()
    leaving, staying = await open_(key), await open_(key)
    for each in (leaving, staying):
        await each.subscribe()
    await seated(api, 2)
    placing = asyncio.create_task(keep_placing(mugs, 40))
    await until(lambda: leaving.told >= 5)

    await leaving.send(type="complete", id="1")
    await leaving.send(type="ping")
    await until(lambda: leaving.other)
    told = leaving.told
    await placing
    await until(lambda: staying.told == 40)

    assert (leaving.told, leaving.other) == (told, [{"type": "pong"}])
    await leaving.subscribe()
    await seated(api, 2)
    assert leaving.snapshots == 2


async def test_the_last_to_leave_takes_the_group_along(api: Api, mugs: Shop) -> None:
    key = await api.key()
    alone = api.services.hub.mailboxes
    async with device(api, key) as one, device(api, key) as other:
        await one.subscribe()
        await other.subscribe()
        await seated(api, 2)
    await seated(api, 0)
    assert len(api.services.groups) == 0
    await until(lambda: api.services.hub.mailboxes == alone)


async def test_a_member_whose_key_is_revoked_is_told_nothing_after_it(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    kept, lost = await api.key(), await api.key()
    staying, ending = await open_(kept), await open_(lost)
    for each in (staying, ending):
        await each.subscribe()
    await seated(api, 2)
    assert len(api.services.groups) == 1
    await mugs.place({"MUG": 1})
    await until(lambda: ending.told == 1)

    key = parse_key(lost)
    assert key is not None
    await api.services.runner.run(OPERATOR, auth.revoke_key, CommandArguments(None), key_id=key.key_id)
    for _ in range(5):
        await mugs.place({"MUG": 1})

    await until(lambda: staying.told == 6 and ending.closed is not None)
    assert ending.told == 1
    assert ending.closed in (4401, 4403)
    assert staying.other == []


async def test_stock_is_told_together_where_the_same_is_watched(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    """A channel's locations are those of the time of subscribing, so who comes later may watch others."""
    query = """subscription { stockChanges(skus: ["MUG"], channel: "WEB", throttleMs: 10) {
        __typename ... on StockSnapshot { cursor count }
        ... on StockChange { cursor version stockLevel { location { code } available } } } }"""
    key = await api.key()
    early = [await open_(key, f"e{n}") for n in range(2)]
    heard: dict[Device, list[tuple[str, int]]] = {each: _noting_stock(each) for each in early}
    for each in early:
        await each.subscribe(query)
    await seated(api, 2)
    await mugs.location("YORK")
    await mugs.stock("MUG", 5, at="YORK")
    await mugs.channel()
    late = await open_(key, "late")
    heard[late] = _noting_stock(late)
    await late.subscribe(query)
    await seated(api, 3)
    assert len(api.services.groups) == 2

    await mugs.stock("MUG", 1)
    await mugs.stock("MUG", 1, at="YORK")
    # What was without a position at the time of the snapshot is told once more.
    await until(lambda: {place for place, _ in heard[late]} == {"LEEDS", "YORK"} and all(heard[each] for each in early))
    await asyncio.sleep(0.1)

    assert [{location for location, _ in heard[each]} for each in early] == [{"LEEDS"}] * 2


def _noting_stock(each: Device) -> list[tuple[str, int]]:
    heard: list[tuple[str, int]] = []

    def take(frame: dict[str, Any]) -> None:
        item = frame["payload"]["data"]["stockChanges"]
        if item["__typename"] == "StockChange":
            heard.append((item["stockLevel"]["location"]["code"], item["version"]))

    each._take = take  # type: ignore[method-assign]
    return heard


def _noting_snapshots(each: Device) -> list[int]:
    found: list[int] = []
    usual = each._take

    def take(frame: dict[str, Any]) -> None:
        item = frame.get("payload", {}).get("data", {}).get("orderEvents", {})
        found.extend(order["version"] for order in item.get("orders", ()))
        usual(frame)

    each._take = take  # type: ignore[method-assign]
    return found


def merge(told: dict[str, list[int]], more: dict[str, list[int]]) -> None:
    for order, versions in more.items():
        told.setdefault(order, []).extend(versions)


def told_by(told: dict[str, list[int]]) -> int:
    return sum(map(len, told.values()))


async def keep_placing(shop: Shop, number: int) -> None:
    for _ in range(number):
        await shop.place({"MUG": 1})
        await asyncio.sleep(0.005)


async def keep_changing(shop: Shop, order_id: UUID) -> None:
    while True:
        done = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
        await shop.run(orders.hold_release, order_id=order_id, hold_id=UUID(done["holdId"]))


async def keep_trading(shop: Shop, dice: random.Random, enough: asyncio.Event) -> None:
    placed: list[UUID] = []
    while not enough.is_set():
        if not placed or dice.random() < 0.5:
            placed.append(await shop.place({"MUG": 1}))
        else:
            order_id = dice.choice(placed)
            done = await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL)
            await shop.run(orders.hold_release, order_id=order_id, hold_id=UUID(done["holdId"]))
