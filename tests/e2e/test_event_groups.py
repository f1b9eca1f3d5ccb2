"""Subscribers over server-sent events are told by a group too, together with those over WebSockets."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.auth import commands as auth
from app.auth.keys import parse_key
from app.gql import sse
from app.gql.execution import Graph
from app.gql.nodes import global_id
from app.kernel.work import CommandArguments
from app.protocols import Http
from tests.builders import Shop
from tests.e2e.devices import seated, small_buffers, until
from tests.e2e.listeners import Listener, listener
from tests.running import OPERATOR, Api


@pytest.fixture
async def listen(api: Api) -> AsyncIterator[Callable[..., Any]]:
    """Opens listeners that stay until the test ends."""
    async with AsyncExitStack() as stack:

        async def opened(key: str, **given: Any) -> Listener:
            return await stack.enter_async_context(listener(api, key, **given))

        yield opened


@pytest.fixture
async def mugs(shop: Shop) -> Shop:
    await shop.sku("MUG")
    await shop.stock("MUG", 100_000)
    return shop


async def place(shop: Shop, number: int) -> None:
    for _ in range(number):
        await shop.place({"MUG": 1})


async def committed(shop: Shop) -> dict[str, list[int]]:
    """Each order's versions, as they were committed."""
    rows = await shop.rows("SELECT subject, version FROM event_log WHERE aggregate = 'order' ORDER BY id")
    found = defaultdict[str, list[int]](list)
    for row in rows:
        found[str(global_id("Order", row.subject))].append(row.version)
    return dict(found)


async def test_they_and_sockets_are_one_group(
    api: Api, mugs: Shop, open_: Callable[..., Any], listen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await api.key()
    listeners = [await listen(key) for _ in range(10)]
    devices = [await open_(key, f"d{n}") for n in range(3)]
    everyone = [*listeners, *devices]
    for each in everyone:
        await each.subscribe()
    await seated(api, 13)
    made, shown = 0, Graph._shown

    def showing(*given: Any) -> Any:
        nonlocal made
        made += 1
        return shown(*given)

    monkeypatch.setattr(Graph, "_shown", showing)
    await place(mugs, 5)
    await until(lambda: all(each.told == 5 for each in everyone))

    assert [each.versions for each in everyone] == [await committed(mugs)] * 13
    assert made == 5
    assert len({tuple(each.ids[1:]) for each in listeners}) == 1
    assert all((each.ids[-1], len(each.ids), each.other) == (each.cursor, 6, []) for each in listeners)
    assert (len(api.services.groups), api.services.groups.let_go, api.services.groups.told) == (1, 0, 65)


async def test_who_comes_and_goes_with_the_last_id_misses_nothing(api: Api, mugs: Shop) -> None:
    key, dice, enough, begun = await api.key(), random.Random(4), asyncio.Event(), asyncio.Semaphore(0)

    async def wander() -> dict[str, list[int]]:
        found, last = defaultdict[str, list[int]](list), None
        while True:
            final = enough.is_set()
            async with listener(api, key) as each:
                await each.subscribe(last=last)
                if last is None:
                    await until(lambda each=each: each.ids)
                    begun.release()
                if final:
                    await placing
                    await until(lambda each=each: sum(map(len, found.values())) + each.told >= 150)
                else:
                    await asyncio.sleep(dice.random() * 0.3)
            last = each.ids[-1] if each.ids else last
            assert each.snapshots == 0 or not found
            for order, versions in each.versions.items():
                found[order] += versions
            if final:
                return dict(found)

    async with listener(api, key) as staying:
        await staying.subscribe()
        await seated(api, 1)
        wanderers = [asyncio.create_task(wander()) for _ in range(6)]
        for _ in wanderers:
            await begun.acquire()
        placing = asyncio.create_task(place(mugs, 150))
        await asyncio.sleep(1.5)
        enough.set()
        found = await asyncio.gather(*wanderers)
        everything = await committed(mugs)
        await until(lambda: staying.told == 150)

    assert [*found, staying.versions] == [everything] * 7


async def test_a_slow_listener_holds_up_nobody_and_misses_nothing(
    api: Api, mugs: Shop, listen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_buffers(monkeypatch, Http, "on_headers_complete")
    key = await api.key()
    slow, *quick = [await listen(key, buffer=4096 if n == 0 else None) for n in range(3)]
    for each in (slow, *quick):
        await each.subscribe()
    await seated(api, 3)

    slow.reading.clear()
    await place(mugs, 200)
    await until(lambda: all(each.told == 200 for each in quick))
    assert api.services.groups.let_go >= 1
    assert slow.told < 200
    slow.reading.set()
    await until(lambda: slow.told == 200)
    await seated(api, 3)
    await place(mugs, 1)
    await until(lambda: all(each.told == 201 for each in (slow, *quick)))

    assert list(slow.versions) == list(quick[0].versions)
    assert (slow.snapshots, slow.other) == (1, [])


async def test_a_listener_whose_key_is_revoked_is_told_nothing_after_it(
    api: Api, mugs: Shop, listen: Callable[..., Any]
) -> None:
    lost = await api.key()
    staying, ending = await listen(await api.key()), await listen(lost)
    for each in (staying, ending):
        await each.subscribe()
    await seated(api, 2)
    assert len(api.services.groups) == 1
    await place(mugs, 1)
    await until(lambda: ending.told == 1)

    key = parse_key(lost)
    assert key is not None
    await api.services.runner.run(OPERATOR, auth.revoke_key, CommandArguments(None), key_id=key.key_id)
    await place(mugs, 5)

    await until(lambda: staying.told == 6 and ending.ended)
    assert (ending.told, ending.completed) == (1, False)
    await seated(api, 1)


async def test_heartbeats_go_on_in_a_group(
    api: Api, mugs: Shop, listen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse.send_events, "__kwdefaults__", {**sse.send_events.__kwdefaults__, "heartbeat": 0.05})
    each = await listen(await api.key())
    await each.subscribe()
    await seated(api, 1)
    await until(lambda: each.heartbeats > 10)

    await place(mugs, 3)
    await until(lambda: each.told == 3)
    assert (api.services.groups.seats, each.other) == (1, [])


async def test_who_leaves_leaves_the_group_and_a_drain_ends_all(
    api: Api, mugs: Shop, listen: Callable[..., Any]
) -> None:
    key, alone = await api.key(), api.services.hub.mailboxes
    leaving, staying = await listen(key), await listen(key)
    for each in (leaving, staying):
        await each.subscribe()
    await seated(api, 2)

    await leaving.leave()
    await seated(api, 1)
    await place(mugs, 1)
    await until(lambda: staying.told == 1)
    await api.services.hub.drain(1)
    await until(lambda: staying.ended)

    assert not staying.completed
    await until(lambda: api.services.hub.mailboxes == alone)
    assert len(api.services.groups) == 0
