"""What a process remembers of availability is what PostgreSQL says, and follows every event."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.kernel.principal import Kind, Principal
from app.live import channel
from tests.builders import STAFF, Shop
from tests.sourcing.test_promise_stream import WATCH
from tests.sourcing.window import Window, opened, storefront


@pytest.fixture
async def window(shop: Shop, redis_url: str) -> AsyncIterator[Window]:
    for sku in ("MUG", "CUP", "JAR"):
        await shop.sku(sku)
        await shop.stock(sku, 5)
    async with opened(shop, redis_url) as window:
        yield window


async def test_what_is_remembered_takes_no_statement(window: Window) -> None:
    first = await window.told("MUG", "CUP", channel="WEB")
    assert window.statements == 1

    again = await window.told("MUG", "CUP", channel="WEB")

    assert window.statements == 0
    assert first == again == await window.fresh("MUG", "CUP", channel="WEB")
    await window.told("CUP", "JAR", channel="WEB")
    assert window.statements == 1
    assert (window.recent.stats.hits, window.recent.stats.misses) == (3, 3)


@pytest.mark.parametrize("given", [{"engine": False}, {"direct_reads": False}])
async def test_whatever_runs_operations_the_answer_is_the_same(window: Window, given: dict[str, Any]) -> None:
    await window.stage.settled()
    other = Window(window.stage, window.recent, **given)
    for skus in (["MUG", "NONE"], ["CUP", "MUG"]):
        answers = [await each.ask(*skus, channel="WEB") for each in (window, other)]
        assert answers[0] == answers[1] is not None


async def test_an_event_of_a_sku_drops_it_and_no_other(shop: Shop, window: Window) -> None:
    await window.warm("MUG", "CUP", channel="WEB")
    await shop.place({"MUG": 2})
    await window.stage.settled()

    (cup,) = await window.told("CUP", channel="WEB")
    assert window.statements == 0
    (mug,) = await window.told("MUG", channel="WEB")
    assert (cup["available"], mug["available"]) == (5, 3)


async def test_what_was_asked_for_is_read_again_together_before_it_is_asked(shop: Shop, window: Window) -> None:
    await window.warm("MUG", "CUP", "JAR", channel="WEB")
    reads = window.recent.stats.reads
    for sku in ("MUG", "CUP", "JAR"):
        await shop.stock(sku, 1)
    await window.stage.settled()
    async with asyncio.timeout(5):
        while len(window.recent) < 3:
            await asyncio.sleep(0.01)
    assert window.recent.stats.renewed == 3
    assert window.recent.stats.reads - reads < 3

    found = await window.told("MUG", "CUP", "JAR", channel="WEB")

    assert window.statements == 0
    assert [each["available"] for each in found] == [6, 6, 6]
    # Nobody has asked since: what is dropped now is read when somebody does.
    window.recent.stats.renewed = 0
    for _ in range(2):
        await shop.stock("MUG", 1)
        await window.stage.settled()
        await asyncio.sleep(0.1)
    assert window.recent.stats.renewed == 1


async def test_a_code_that_is_not_sold_yet_is_heard_of_when_it_is(shop: Shop, window: Window) -> None:
    await window.warm("NEW", channel="WEB")
    await shop.sku("OTHER")
    await window.stage.settled()
    await window.told("NEW", channel="WEB")
    assert window.statements == 0

    await shop.sku("NEW", backorder_limit=3)
    await window.stage.settled()

    assert (await window.told("NEW", channel="WEB"))[0]["status"] == "BACKORDER"


async def test_time_alone_changes_what_is_told(shop: Shop, window: Window) -> None:
    await shop.sku("SOON", preorder_release_at=shop.clock.now() + timedelta(days=2), backorder_limit=3)
    await shop.stock("SOON", 2)
    await shop.supply("SOON", 4, due_in=timedelta(days=1))
    await shop.sku("SET", components=[{"sku": "SOON", "units": 2}])
    asked = {"channel": "WEB", "at": (shop.clock.now() + timedelta(hours=40)).isoformat()}
    await window.warm("SOON", "SET", **asked)

    for days in (0.5, 0.5, 0.5, 0.5, 0.5):
        shop.clock.advance(timedelta(days=days))
        for _ in range(2):
            assert await window.told("SOON", "SET", **asked) == await window.fresh("SOON", "SET", **asked)
        assert window.statements == 0


async def test_the_same_answer_bears_the_same_tag_however_late_it_is_given(shop: Shop, window: Window) -> None:
    first = await window.ask("MUG", "CUP", channel="WEB")
    shop.clock.advance(timedelta(seconds=5))
    later = await window.ask("MUG", "CUP", channel="WEB")
    await shop.place({"MUG": 1})
    await window.stage.settled()
    changed = await window.ask("MUG", "CUP", channel="WEB")
    others = await window.ask("CUP", channel="WEB")
    await shop.stock("MUG", 1)
    await window.stage.settled()
    as_before = await window.ask("MUG", "CUP", channel="WEB")

    assert first is not None
    assert later is not None
    assert changed is not None
    assert others is not None
    assert as_before is not None
    assert first.tag == later.tag == as_before.tag
    assert first.body != later.body
    assert len({first.tag, changed.tag, others.tag}) == 3


async def test_readers_of_the_same_moment_share_statements(window: Window) -> None:
    shop = window.shop
    for n in range(40):
        await shop.sku(f"S{n}")
    await window.stage.settled()
    lots = [[f"S{(n + m) % 40}" for m in range(10)] for n in range(40)]

    found = await asyncio.gather(*(window.told(*lot, channel="WEB") for lot in lots))

    assert [[each["sku"] for each in answer] for answer in found] == lots
    # The first begins at once; all that is asked for meanwhile goes together.
    assert window.recent.stats.reads <= 3


async def test_memory_is_bounded_in_skus_and_in_bytes(shop: Shop, redis_url: str) -> None:
    for n in range(20):
        await shop.sku(f"S{n}")
        await shop.stock(f"S{n}", n + 1)
    async with opened(shop, redis_url, entries_max=8) as window:
        for n in range(20):
            await window.told(f"S{n}", channel="WEB")
        assert len(window.recent) == 8
        await window.told("S19", channel="WEB")
        assert window.statements == 0
        await window.told("S0", channel="WEB")
        assert window.statements == 1
    async with opened(shop, redis_url, bytes_max=20_000) as window:
        codes = [f"S{n}" for n in range(20)]
        for at in range(12):  # each instant is another form
            when = (shop.clock.now() + timedelta(days=at)).isoformat()
            assert await window.told(*codes, channel="WEB", at=when) == await window.fresh(
                *codes, channel="WEB", at=when
            )
            assert window.recent.bytes <= 20_000
        held = list(window.recent._entries.values())
        assert window.recent.bytes == sum(each.size for each in held)
        assert held
        for each in held:
            await shop.stock(each.answer.sku, 1)
        await window.stage.settled()
        assert window.recent.bytes == len(window.recent) == 0
        assert window.recent._by_topic == {}


async def test_what_is_not_followed_is_read_each_time(shop: Shop, redis_url: str) -> None:
    await shop.sku("MUG")
    await shop.stock("MUG", 5)
    async with opened(shop, redis_url, enabled=False) as window:
        for units in (5, 6, 7):
            (found,) = await window.told("MUG", channel="WEB")
            assert (found["available"], window.statements) == (units, 1)
            await shop.stock("MUG", 1)
    async with opened(shop, redis_url) as window:
        await window.warm("MUG", channel="WEB")
        window.stage.hub.source.in_step = False
        await shop.execute("UPDATE stock_level SET on_hand = 1")  # unheard of

        (found,) = await window.told("MUG", channel="WEB")

        assert (found["available"], window.statements) == (1, 1)
        await shop.execute("UPDATE stock_level SET on_hand = 8")  # as the ledger says


async def test_a_log_that_begins_anew_leaves_nothing_behind(shop: Shop, window: Window) -> None:
    await window.warm("MUG", channel="WEB")
    before = window.stage.hub.head()
    await shop.execute("UPDATE stock_level SET on_hand = 4")  # as a restore would
    await shop.execute("UPDATE relay_shard SET epoch = gen_random_uuid()")
    async with asyncio.timeout(5):
        while window.stage.hub.head().epoch == before.epoch or not window.recent.is_followed:
            await asyncio.sleep(0.01)

    (found,) = await window.told("MUG", channel="WEB")

    assert found["available"] == 4
    answer = await window.ask("MUG", channel="WEB")
    assert answer is not None
    assert window.position(answer).epoch == window.stage.hub.head().epoch
    await shop.execute("UPDATE stock_level SET on_hand = 5")


async def test_each_caller_is_told_what_it_may_know(shop: Shop, window: Window) -> None:
    await shop.channel("SHOP", safety_stock=2)
    web, other = await storefront(shop, "WEB"), await storefront(shop, "SHOP")
    customer = Principal(Kind.CUSTOMER, "customer:1", frozenset({"availability:read"}))
    unbound = Principal(Kind.STOREFRONT, "client:x", frozenset({"availability:read"}))
    await window.warm("MUG", channel="WEB")
    await window.warm("MUG", channel="SHOP")

    async def available(principal: Principal, channel: str | None) -> int | None:
        answer = await window.ask("MUG", principal=principal, **({"channel": channel} if channel else {}))
        assert window.statements == 0
        if answer is None:
            return None
        return int((await window.told("MUG", principal=principal, channel=channel))[0]["available"])

    assert await available(web, None) == await available(web, "WEB") == await available(customer, "WEB") == 5
    assert await available(other, None) == await available(other, "SHOP") == await available(customer, "SHOP") == 3
    assert await available(web, "SHOP") is await available(other, "WEB") is await available(unbound, "WEB") is None
    assert await available(customer, None) is None

    await shop.channel("SHOP", safety_stock=2, active=False)
    await window.stage.settled()
    await window.warm("MUG", channel="SHOP")
    assert await available(other, None) is await available(customer, "SHOP") is None
    assert (await window.fresh("MUG", channel="SHOP"))[0] == (await window.told("MUG", channel="SHOP"))[0]


@pytest.mark.parametrize(
    "variables",
    [
        {"skus": []},
        {"skus": ["MUG"] * 251},
        {"skus": None},
        {"skus": ["MUG"], "channel": "NONE"},
        {"skus": ["MUG"], "channel": None},
        {"skus": ["MUG"], "to": {"latitude": 1.0}},
        {"skus": ["MUG"], "at": "yesterday"},
    ],
)
async def test_what_cannot_be_answered_is_left_to_the_operation(window: Window, variables: dict[str, object]) -> None:
    asked = {"channel": "WEB", **variables}

    assert await window.kept.answer(window.operation, asked, window.context(STAFF), 0) is None
    assert "errors" in (await window.graph.run(window.operation, asked, window.context(STAFF), 0)).body


async def test_codes_stay_as_they_were_asked_for(shop: Shop, window: Window) -> None:
    await shop.sku("\u00c9")
    await shop.stock("\u00c9", 1)
    skus = ("\u00c9", "E\u0301", "mug", "M\u0000G", "0001-01-01T00:00:00Z")
    for _ in range(2):
        assert await window.told(*skus, channel="WEB") == await window.fresh(*skus, channel="WEB")


class HeldReads:
    """Reads whose answers are kept back until they are let go."""

    def __init__(self, reads: Any) -> None:
        self.reads = reads
        self.reading = asyncio.Event()
        self.go = asyncio.Event()

    async def value(self, sql: str, *arguments: object) -> Any:
        found = await self.reads.value(sql, *arguments)
        self.reading.set()
        await self.go.wait()
        return found


async def test_a_read_that_an_event_overtakes_is_told_as_of_before_and_not_remembered(
    shop: Shop, window: Window
) -> None:
    await window.stage.settled()
    await window.told("CUP", channel="WEB")
    before = window.stage.hub.head().pos
    reads = window.recent._reads
    window.recent._reads = held = HeldReads(reads)  # type: ignore[assignment]
    overtaken = asyncio.create_task(window.ask("MUG", "CUP", channel="WEB"))
    await held.reading.wait()
    await shop.stock("JAR", 1)
    await window.stage.settled()
    joined = asyncio.create_task(window.ask("MUG", channel="WEB"))
    await shop.stock("MUG", 1)
    await shop.stock("JAR", 1)
    await window.stage.settled()
    window.recent._reads = reads
    held.go.set()

    first, second = await overtaken, await joined

    assert first is not None
    assert second is not None
    assert b'"available":5' in first.body
    # True up to the event of another SKU, which came first, and not to its own.
    assert window.position(first).pos == before + 1
    # Whoever asked after an event had been heard got a read of their own.
    assert b'"available":6' in second.body
    assert window.position(second).pos == window.stage.hub.head().pos
    assert (await window.told("MUG", channel="WEB"))[0]["available"] == 6
    assert window.statements == 0


async def test_who_asks_for_what_is_being_read_shares_the_read(window: Window) -> None:
    await window.stage.settled()
    window.recent._reads = held = HeldReads(window.recent._reads)  # type: ignore[assignment]
    first = asyncio.create_task(window.told("MUG", "CUP", channel="WEB"))
    await held.reading.wait()
    second = asyncio.create_task(window.told("CUP", "MUG", channel="WEB"))
    gone = asyncio.create_task(window.told("CUP", channel="WEB"))
    await asyncio.sleep(0.05)
    gone.cancel()
    held.go.set()

    assert list(reversed(await first)) == await second
    assert window.recent.stats.reads == 1


async def test_a_read_that_fails_fails_for_those_who_wait_and_no_longer(window: Window) -> None:
    class Broken:
        async def value(self, *_: object) -> None:
            raise OSError("away")

    reads, window.recent._reads = window.recent._reads, Broken()  # type: ignore[assignment]
    found = await asyncio.gather(*(window.ask("MUG", channel="WEB") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [OSError] * 3

    window.recent._reads = reads
    assert (await window.told("MUG", channel="WEB"))[0]["available"] == 5


async def test_a_stream_goes_on_from_where_an_answer_was_true(shop: Shop, window: Window) -> None:
    await window.warm("MUG", channel="WEB")
    answer = await window.ask("MUG", channel="WEB")
    assert answer is not None
    cursor = orjson.loads(answer.body)["extensions"]["asOf"]
    lines = [{"sku": "MUG", "quantity": 9}]

    async with window.stage.watching(WATCH, lines=lines, after=cursor) as watcher:
        await asyncio.sleep(0.2)
        assert watcher.items == []
        await shop.place({"MUG": 2})
        await watcher.until(lambda items: items[-1]["cart"]["lines"][0]["promised"] == 3)
        assert watcher.items[0]["__typename"] == "AvailabilityChange"


async def test_a_fault_while_an_event_is_taken_in_leaves_nothing_behind(
    shop: Shop, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    await window.warm("MUG", channel="WEB")

    def stumble(*_: object) -> None:
        raise RuntimeError("stumbled")

    monkeypatch.setattr(window.recent, "heard", stumble)
    await shop.stock("MUG", 1)
    await window.stage.settled()
    monkeypatch.undo()

    assert (await window.told("MUG", channel="WEB"))[0]["available"] == 6
    await window.warm("MUG", channel="WEB")
    await shop.stock("MUG", 1)
    await window.stage.settled()
    assert (await window.told("MUG", channel="WEB"))[0]["available"] == 7


async def test_what_lacks_an_event_is_not_told(shop: Shop, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    await window.warm("MUG", channel="WEB")
    hub = window.stage.hub
    head = hub.head()

    async def away() -> None:
        raise OSError("PostgreSQL is away for the hub")

    monkeypatch.setattr(hub.log, "head", away)
    hub.source._hear(channel.heartbeat(head.epoch, head.pos + 1))
    async with asyncio.timeout(5):
        while hub.source.in_step:
            await asyncio.sleep(0)
    await window.told("MUG", channel="WEB")
    assert window.statements == 1

    monkeypatch.undo()
    async with asyncio.timeout(5):
        while not window.recent.is_followed:
            await asyncio.sleep(0.01)
    await window.told("MUG", channel="WEB")
    assert window.statements == 0
