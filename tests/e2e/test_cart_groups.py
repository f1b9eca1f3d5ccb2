"""Who watches the same cart is told of it by one, and each as if it were alone: over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.auth import commands as auth
from app.auth.keys import parse_key
from app.gql.execution import Graph
from app.kernel.work import CommandArguments
from app.sourcing import cart
from tests.builders import Shop
from tests.e2e.devices import Device, device, seated, small_buffers, until
from tests.running import OPERATOR, Api

CART = """
subscription Cart($lines: [CartLineInput!]!, $after: Cursor) {
  availabilityChanges(lines: $lines, channel: "WEB", after: $after) {
    __typename
    ... on AvailabilitySnapshot { cursor cart { lines { sku promised status } } }
    ... on AvailabilityChange { cursor cart { lines { sku promised status } } }
    ... on Reset { cursor reason }
  }
}
"""
STOCK = 500
MUGS = [{"sku": "MUG", "quantity": STOCK}]


class Told:
    """What a device is told of the first lines' units, one after the other, and how often from the beginning."""

    def __init__(self, each: Device) -> None:
        self.device = each
        self.units: list[int] = []
        self.snapshots = 0
        each._take = self._take  # type: ignore[method-assign]

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "next" or "errors" in frame["payload"]:
            self.device.other.append(frame)
            return
        item = frame["payload"]["data"]["availabilityChanges"]
        self.device.cursor = item["cursor"]
        self.snapshots += item["__typename"] == "AvailabilitySnapshot"
        self.units.append(sum(line["promised"] for line in item["cart"]["lines"]))

    @property
    def last(self) -> int | None:
        return self.units[-1] if self.units else None

    async def subscribe(self, lines: list[dict[str, Any]] = MUGS, **variables: Any) -> None:
        await self.device.subscribe(CART, lines=lines, **variables)


class Work:
    """How often carts were judged and answers made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.judged = self.made = 0
        evaluate, shown = cart.evaluate, Graph._shown

        def judging(*given: Any) -> Any:
            self.judged += 1
            return evaluate(*given)

        def showing(*given: Any) -> Any:
            self.made += 1
            return shown(*given)

        monkeypatch.setattr(cart, "evaluate", judging)
        monkeypatch.setattr(Graph, "_shown", showing)

    def begin(self) -> None:
        self.judged = self.made = 0


@pytest.fixture
async def mugs(shop: Shop) -> Shop:
    await shop.sku("MUG")
    await shop.stock("MUG", STOCK)
    return shop


async def watching(open_: Callable[..., Any], key: str, number: int, **given: Any) -> list[Told]:
    found = [Told(await open_(key, f"d{n}")) for n in range(number)]
    for each in found:
        await each.subscribe(**given)
    return found


def falling(units: list[int]) -> bool:
    """Whether something new was told each time, where goods are only sold."""
    return all(earlier > later for earlier, later in pairwise(units))


async def test_a_change_is_judged_and_shown_once_for_all(
    api: Api, mugs: Shop, open_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watchers = await watching(open_, await api.key(), 20)
    await seated(api, 20)
    await asyncio.sleep(0.2)  # the group has begun
    work = Work(monkeypatch)

    for n in range(1, 4):
        await mugs.place({"MUG": 1})
        await until(lambda n=n: all(each.last == STOCK - n for each in watchers))

    assert [each.units for each in watchers] == [[STOCK, STOCK - 1, STOCK - 2, STOCK - 3]] * 20
    assert (work.judged, work.made) == (3, 3)
    assert (len(api.services.groups), api.services.groups.let_go, api.services.groups.told) == (1, 0, 60)


async def test_what_changes_nothing_for_them_is_not_told_and_not_shown(
    api: Api, mugs: Shop, open_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [{"sku": "MUG", "quantity": 5}]
    watchers = await watching(open_, await api.key(), 3, lines=few)
    await seated(api, 3)
    await asyncio.sleep(0.2)
    work = Work(monkeypatch)

    await mugs.place({"MUG": 1})
    await until(lambda: work.judged)
    await asyncio.sleep(0.2)

    assert [each.units for each in watchers] == [[5]] * 3
    assert (work.judged, work.made) == (1, 0)
    assert api.services.groups.seats == 3


async def test_other_carts_and_other_rights_are_other_groups(api: Api, mugs: Shop, open_: Callable[..., Any]) -> None:
    staff, reader = await api.key(), await api.key("STAFF", ["availability:read"])
    one, other = await watching(open_, staff, 1), await watching(open_, reader, 2)
    fewer = await watching(open_, staff, 1, lines=[{"sku": "MUG", "quantity": STOCK - 1}])
    await seated(api, 4)
    assert len(api.services.groups) == 3

    await mugs.place({"MUG": 2})
    everyone = [*one, *other, *fewer]
    await until(lambda: all(each.last == STOCK - 2 for each in everyone))

    assert [each.units for each in everyone] == [[STOCK, STOCK - 2]] * 3 + [[STOCK - 1, STOCK - 2]]


async def test_who_comes_and_goes_with_its_cursor_misses_nothing(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    key, dice, enough = await api.key(), random.Random(5), asyncio.Event()
    (staying,) = await watching(open_, key, 1)
    selling = asyncio.create_task(keep_selling(mugs, enough))

    async def wander(number: int) -> list[list[int]]:
        found, cursor = list[list[int]](), None
        while not enough.is_set():
            async with device(api, key, f"w{number}") as each:
                told = Told(each)
                await told.subscribe(after=cursor)
                await asyncio.sleep(dice.random() * 0.5)
            found.append(told.units)
            cursor = each.cursor or cursor
        async with device(api, key, f"w{number}") as each:
            told = Told(each)
            await told.subscribe(after=cursor)
            await selling
            left = STOCK - await sold(mugs)
            await until(lambda: (told.units or [each for visit in found for each in visit])[-1:] == [left])
        return [*found, told.units]

    wanderers = [asyncio.create_task(wander(number)) for number in range(8)]
    await asyncio.sleep(4)
    enough.set()
    visits = await asyncio.gather(*wanderers)

    left = STOCK - await sold(mugs)
    await until(lambda: staying.last == left)
    assert falling(staying.units)
    for each in visits:
        assert all(map(falling, each))
        # After a cursor how it is comes at the first event, which may be what it was before.
        units = [units for visit in each for units in visit]
        assert units == sorted(units, reverse=True)


async def test_who_begins_amid_changes_is_told_how_it_ends(api: Api, mugs: Shop, open_: Callable[..., Any]) -> None:
    """There and back within a moment: what one was told is not what others were."""
    key, enough, watchers = await api.key(), asyncio.Event(), list[Told]()
    changing = asyncio.create_task(keep_swinging(mugs, enough))
    for n in range(25):
        told = Told(await open_(key, f"s{n}"))
        watchers.append(told)
        await told.subscribe()
        await asyncio.sleep(0.07)
    enough.set()
    await changing
    await seated(api, 25)
    await asyncio.sleep(0.3)

    assert [each.last for each in watchers] == [STOCK] * 25
    for each in watchers:
        assert all(one != next_ for one, next_ in pairwise(each.units))
        assert each.snapshots == 1


async def test_a_slow_member_holds_up_nobody_and_ends_with_the_same(
    api: Api, mugs: Shop, open_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_buffers(monkeypatch)
    lines = [{"sku": "MUG", "quantity": 2}] * 250
    key = await api.key()
    slow, *quick = [Told(await open_(key, f"d{n}", buffer=4096 if n == 0 else None)) for n in range(3)]
    for each in (slow, *quick):
        await each.subscribe(lines)
    await seated(api, 3)

    slow.device.reading.clear()
    for n in range(1, 13):
        await mugs.place({"MUG": 1})
        await until(lambda n=n: all(each.last == STOCK - n for each in quick))
    assert api.services.groups.let_go >= 1
    slow.device.reading.set()
    await until(lambda: slow.last == STOCK - 12)
    await seated(api, 3)
    await mugs.place({"MUG": 1})
    await until(lambda: all(each.last == STOCK - 13 for each in (slow, *quick)))

    assert all(falling(each.units) for each in (slow, *quick))
    assert len(slow.units) < len(quick[0].units)
    assert (slow.snapshots, slow.device.other) == (1, [])


async def test_a_member_whose_key_is_revoked_is_told_nothing_after_it(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    lost = await api.key()
    (staying,) = await watching(open_, await api.key(), 1)
    (ending,) = await watching(open_, lost, 1)
    await seated(api, 2)
    assert len(api.services.groups) == 1
    await mugs.place({"MUG": 1})
    await until(lambda: ending.last == STOCK - 1)

    key = parse_key(lost)
    assert key is not None
    await api.services.runner.run(OPERATOR, auth.revoke_key, CommandArguments(None), key_id=key.key_id)
    await mugs.place({"MUG": 1})

    await until(lambda: staying.last == STOCK - 2 and ending.device.closed is not None)
    assert ending.last == STOCK - 1
    assert ending.device.closed in (4401, 4403)


async def test_all_hear_of_a_release_and_who_was_let_go_before_it_too(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    released_at = datetime.now(UTC) + timedelta(seconds=1.5)
    await mugs.sku("NEW", preorder_release_at=released_at, backorder_limit=9)
    await mugs.stock("NEW", 3)
    watchers = await watching(open_, await api.key(), 5, lines=[{"sku": "NEW", "quantity": 3}])
    await seated(api, 5)

    (group,) = {seat.group for seat in seats_of(api)}
    gone = next(iter(seats_of(api)))
    assert group is not None
    await asyncio.sleep((released_at - datetime.now(UTC)).total_seconds() - 0.01)
    group.let_go(gone)
    await until(lambda: all(each.last == 3 for each in watchers))

    await seated(api, 5)
    assert [each.units for each in watchers] == [[0, 3]] * 5


async def test_parts_that_a_bundle_gets_later_are_watched_by_the_group(
    api: Api, mugs: Shop, open_: Callable[..., Any]
) -> None:
    for sku in ("CUP", "JAR"):
        await mugs.sku(sku)
        await mugs.stock(sku, 5)
    await mugs.sku("SET", components=[{"sku": "CUP", "units": 1}])
    watchers = await watching(open_, await api.key(), 3, lines=[{"sku": "SET", "quantity": 9}])
    await seated(api, 3)

    await mugs.sku("SET", components=[{"sku": "JAR", "units": 1}])
    await until(lambda: all(len(each.units) == 2 for each in watchers))
    await mugs.place({"JAR": 2})
    await until(lambda: all(each.last == 3 for each in watchers))
    await mugs.place({"CUP": 2})
    await asyncio.sleep(0.3)

    assert [each.units for each in watchers] == [[5, 5, 3]] * 3
    assert api.services.groups.let_go == 0


def seats_of(api: Api) -> list[Any]:
    return [seat for group in api.services.groups._groups.values() for seat in group._seats]


async def sold(shop: Shop) -> int:
    row = await shop.one("SELECT count(*) AS orders FROM orders")
    return int(row.orders)


async def keep_selling(shop: Shop, enough: asyncio.Event) -> None:
    for _ in range(STOCK):
        if enough.is_set():
            return
        await shop.place({"MUG": 1})
        await asyncio.sleep(0.005)


async def keep_swinging(shop: Shop, enough: asyncio.Event) -> None:
    """Take one away and give it back, over and over; in the end there are as many as at first."""
    while not enough.is_set():
        await shop.stock("MUG", -1)
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), 0.03)
        await shop.stock("MUG", 1)
        await asyncio.sleep(0.01)
