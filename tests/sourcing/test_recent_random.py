"""Whatever happens in a shop: once the log has been followed, what is remembered is what PostgreSQL says."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.figures import TimerFigures
from app.inventory import commands as inventory
from app.inventory.commands import safety_stock_set
from app.inventory.commands.adjust import Delta
from app.inventory.commands.safety_stock import SafetyStock
from app.inventory.states import AdjustmentReason
from app.jobs import allocate_backorders
from app.kernel.errors import Refusal
from app.kernel.principal import Principal
from app.kernel.telemetry import Telemetry
from app.kernel.work import Unavailable
from app.orders import commands as orders
from app.orders.states import CancelReason, HoldReason
from tests.builders import STAFF, Shop
from tests.sourcing.window import Window, opened, storefront

PLAIN = ("MUG", "CUP", "JAR", "PAN")
PREORDERS = ("SOON", "LATE")
BUNDLES = ("SET", "BOX")
SERVICE = "POST"
SKUS = (*PLAIN, *PREORDERS, *BUNDLES, SERVICE, "NEXT")
LOCATIONS = {"LEEDS": (53.8, -1.55), "PARIS": (48.86, 2.35), "LYON": (45.76, 4.84)}


class Life:
    """A shop, and what may happen in it."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.orders: list[UUID] = []
        self.holds: list[tuple[UUID, UUID]] = []
        self.tokens: list[str] = []
        self.happened: list[str] = []

    async def furnish(self) -> None:
        for code, (latitude, longitude) in LOCATIONS.items():
            country = "GB" if code == "LEEDS" else "FR"
            await self.shop.location(code, country=country, latitude=latitude, longitude=longitude)
        await self.shop.channel()
        await self.shop.channel("SHOP", safety_stock=2, locations=self._served())
        for code in (*PLAIN, *PREORDERS):
            await self.sku(code)
            for at in LOCATIONS:
                await self.shop.stock(code, self.dice.randint(1, 9), at=at)
        await self.shop.sku(SERVICE, stock_tracked=False)
        await self.shop.sku("SET", components=[{"sku": "MUG", "units": 1}, {"sku": "CUP", "units": 2}])
        await self.shop.sku("BOX", components=[{"sku": "SOON", "units": 1}, {"sku": SERVICE, "units": 1}])

    async def happens(self) -> None:
        """One thing, which may be refused."""
        (what,) = self.dice.choices(list(OFTEN), list(OFTEN.values()))
        self.happened.append(what.__name__)
        with suppress(Refusal):
            await what(self)

    async def place(self) -> None:
        lines = {sku: self.dice.randint(1, 3) for sku in self.dice.sample(SKUS, self.dice.randint(1, 3))}
        self.orders.append(await self.shop.place(lines, channel=self.dice.choice(("WEB", "SHOP"))))

    async def cancel(self) -> None:
        if self.orders:
            await self.shop.run(orders.cancel, order_id=self.dice.choice(self.orders), reason=CancelReason.CUSTOMER)

    async def hold(self) -> None:
        if self.holds and self.dice.random() < 0.5:
            order_id, hold_id = self.holds.pop()
            await self.shop.run(orders.hold_release, order_id=order_id, hold_id=hold_id)
        elif self.orders:
            order_id = self.dice.choice(self.orders)
            held = await self.shop.run(orders.hold, order_id=order_id, reason=HoldReason.FRAUD)
            self.holds.append((order_id, UUID(held["holdId"])))

    async def reserve(self) -> None:
        self.tokens.append(await self.shop.reserve({self.dice.choice(PLAIN): 2}, seconds=3600))

    async def release(self) -> None:
        if self.tokens:
            await self.shop.run(inventory.release, token=self.tokens.pop())

    async def expire(self) -> None:
        await self.shop.database.call(
            "SELECT inventory_reservations_expire($1, 9, 'system:timer')", self.shop.clock.now()
        )

    async def adjust(self) -> None:
        owner = self.dice.choice((None, None, "PARTNER"))
        units, at = self.dice.randint(-4, 6), self.dice.choice(list(LOCATIONS))
        change = Delta(sku=self.dice.choice((*PLAIN, *PREORDERS)), location=at, owner=owner, units=units)
        await self.shop.run(inventory.adjust, changes=[change], reason=AdjustmentReason.COUNTED)

    async def supply(self) -> None:
        """Purchasing will tell of it: here the safety stock of the SKU is set to what it is."""
        sku, at = self.dice.choice((*PLAIN, *PREORDERS)), self.dice.choice(list(LOCATIONS))
        await self.shop.supply(sku, self.dice.randint(1, 9), due_in=timedelta(hours=self.dice.randint(-9, 90)), at=at)
        await self._safety_stock(sku, at)

    async def receive(self) -> None:
        """Supply becomes stock."""
        rows = await self.shop.rows(
            "SELECT s.code, l.code AS at, y.units_open AS units, y.id FROM supply y JOIN sku s ON s.id = y.sku_id"
            " JOIN location l ON l.id = y.location_id WHERE y.units_open > 0 ORDER BY y.due_at, y.id LIMIT 1"
        )
        for row in rows:
            await self.shop.execute("UPDATE supply SET units_open = 0 WHERE id = :id", id=row.id)
            await self.shop.stock(row.code, row.units, at=row.at)

    async def safety_stock(self) -> None:
        await self._safety_stock(self.dice.choice(PLAIN), self.dice.choice(list(LOCATIONS)))

    async def _safety_stock(self, sku: str, at: str) -> None:
        change = SafetyStock(sku=sku, location=at, units=self.dice.randint(0, 4))
        await self.shop.run(safety_stock_set, changes=[change])

    async def sku(self, code: str | None = None) -> None:
        code = code or self.dice.choice((*PLAIN, *PREORDERS, "NEXT"))
        given: dict[str, Any] = {"backorder_limit": self.dice.choice((0, 0, 5, 20)), "active": self.dice.random() < 0.8}
        if code in PREORDERS:
            given["preorder_release_at"] = self.shop.clock.now() + timedelta(hours=self.dice.randint(1, 90))
        await self.shop.sku(code, **given)

    async def bundle(self) -> None:
        parts = self.dice.sample((*PLAIN, *PREORDERS, SERVICE), 2)
        components = [{"sku": part, "units": self.dice.randint(1, 2)} for part in parts]
        await self.shop.sku(self.dice.choice(BUNDLES), components=components, active=self.dice.random() < 0.9)

    async def location(self) -> None:
        code = self.dice.choice(list(LOCATIONS))
        latitude, longitude = self.dice.choice(list(LOCATIONS.values()))
        name = f"{code} {self.dice.randint(1, 9)}"
        active = self.dice.random() < 0.8
        await self.shop.location(code, name=name, latitude=latitude, longitude=longitude, active=active)

    async def channel(self) -> None:
        code = self.dice.choice(("WEB", "SHOP"))
        await self.shop.channel(code, locations=self._served(), active=self.dice.random() < 0.8)

    def _served(self) -> list[dict[str, Any]]:
        chosen = self.dice.sample(list(LOCATIONS), self.dice.randint(1, 3))
        return [
            {"location": at, "priority": n, "safety_stock": self.dice.randint(0, 3)} for n, at in enumerate(chosen, 1)
        ]

    async def allocate(self) -> None:
        await allocate_backorders(self.shop.runner, TimerFigures(Telemetry()))

    async def time_passes(self) -> None:
        self.shop.clock.advance(timedelta(hours=self.dice.choice((0.5, 5, 30))))


OFTEN = {
    Life.place: 8,
    Life.cancel: 3,
    Life.hold: 2,
    Life.reserve: 4,
    Life.release: 2,
    Life.expire: 2,
    Life.adjust: 6,
    Life.supply: 3,
    Life.receive: 3,
    Life.safety_stock: 2,
    Life.sku: 4,
    Life.bundle: 2,
    Life.location: 2,
    Life.channel: 2,
    Life.allocate: 3,
    Life.time_passes: 3,
}


async def compare(window: Window, life: Life, callers: list[Principal]) -> None:
    """Ask as several callers, for several destinations and instants."""
    later = (life.shop.clock.now() + timedelta(hours=life.dice.randint(-9, 90))).isoformat()
    for principal in callers:
        for channel in (None, "WEB", "SHOP"):
            skus = life.dice.sample(SKUS, life.dice.randint(1, len(SKUS)))
            asked = {"channel": channel, "to": life.dice.choice(DESTINATIONS), "at": life.dice.choice((None, later))}
            answer = await window.ask(*skus, principal=principal, **asked)
            fresh = await window.fresh(*skus, principal=principal, **asked)
            if answer is None:
                assert "message" in fresh[0], (fresh, life.happened)
            else:
                told = await window.told(*skus, principal=principal, **asked)
                assert told == fresh, (asked, life.happened)


DESTINATIONS = (
    None,
    {"country": "FR"},
    {"country": "GB", "latitude": 50.0, "longitude": 1.0},
    {"country": "FR", "latitude": 45.0, "longitude": 5.0},
)


async def live(shop: Shop, redis_url: str, seed: int, steps: int) -> None:
    life = Life(shop, seed)
    await life.furnish()
    async with opened(shop, redis_url) as window:
        callers = [STAFF, await storefront(shop, "WEB"), await storefront(shop, "SHOP")]
        await compare(window, life, callers)
        for _ in range(steps):
            await life.happens()
            await window.stage.settled()
            await compare(window, life, callers)
        assert window.recent.stats.hits > window.recent.stats.misses > 0
        assert window.recent.stats.dropped > 0


class SlowReads:
    """Reads whose answers are late, so that events overtake them."""

    def __init__(self, reads: Any, dice: random.Random) -> None:
        self._reads = reads
        self._dice = dice

    async def value(self, sql: str, *arguments: object) -> Any:
        found = await self._reads.value(sql, *arguments)
        await asyncio.sleep(self._dice.choice((0, 0, 0.03, 0.06)))
        return found


async def race(shop: Shop, redis_url: str, seed: int, bursts: int) -> None:
    """Writers and readers at the same time; after each burst nothing that an event overtook may have stayed."""
    life = Life(shop, seed)
    await life.furnish()
    async with opened(shop, redis_url) as window:
        callers = [STAFF, await storefront(shop, "WEB"), await storefront(shop, "SHOP")]
        window.recent._reads = SlowReads(window.recent._reads, life.dice)  # type: ignore[assignment]
        done = asyncio.Event()
        heads: list[int] = []

        async def write() -> None:
            for _ in range(3):
                with suppress(Unavailable):  # others were faster, again and again
                    await life.happens()

        async def read(dice: random.Random) -> None:
            while not done.is_set():
                skus = dice.sample(SKUS, dice.randint(1, len(SKUS)))
                before = window.stage.hub.head().pos
                answer = await window.ask(*skus, principal=dice.choice(callers), channel=dice.choice(("WEB", "SHOP")))
                if answer is not None:
                    assert before <= window.position(answer).pos <= window.stage.hub.head().pos
                    heads.append(before)
                await asyncio.sleep(dice.choice((0, 0, 0.001)))

        readers = [asyncio.create_task(read(random.Random(seed + n))) for n in range(4)]
        for _ in range(bursts):
            await asyncio.gather(*(write() for _ in range(4)))
            await window.stage.settled()
            await compare(window, life, callers)
        done.set()
        await asyncio.gather(*readers)
        assert len(set(heads)) > 10
        assert window.recent.stats.hits > 0


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_that_an_event_overtook_stays(shop: Shop, redis_url: str, seed: int) -> None:
    await race(shop, redis_url, seed, 30)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
async def test_nothing_that_an_event_overtook_stays_in_longer_races(shop: Shop, redis_url: str, seed: int) -> None:
    await race(shop, redis_url, seed, 300)


@pytest.mark.parametrize("seed", range(3))
async def test_memory_says_what_postgresql_says_after_every_change(shop: Shop, redis_url: str, seed: int) -> None:
    await live(shop, redis_url, seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
async def test_the_same_for_longer_lives(shop: Shop, redis_url: str, seed: int) -> None:
    await live(shop, redis_url, seed, 400)
