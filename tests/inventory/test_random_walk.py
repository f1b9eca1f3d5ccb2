"""Whatever is done with stock, in any order and at the same time: nothing is oversold and the ledger adds up."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from app.figures import TimerFigures
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta, Figure, Shift
from app.inventory.commands.safety_stock import SafetyStock
from app.inventory.states import AdjustmentReason, StockState
from app.jobs import allocate_backorders
from app.kernel.errors import Refusal
from app.kernel.telemetry import Telemetry
from app.orders import commands as orders
from app.orders.states import CancelReason
from tests.builders import Shop

SKUS = ("MUG", "CUP", "JAR", "SET")
STOCKED = SKUS[:3]
PLACES = ("LEEDS", "YORK")
OTHER = AdjustmentReason.OTHER


class Walk:
    """Random steps in one shop; the seed decides all of them."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.tokens: list[str] = []
        self.orders: list[Any] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()

    async def prepare(self) -> None:
        await self.shop.location("YORK")
        await self.shop.channel()
        for sku in STOCKED:
            await self.shop.sku(sku, backorder_limit=3 if sku == "JAR" else 0)
            for at in PLACES:
                await self.shop.stock(sku, 10, at=at)
        await self.shop.sku("SET", components=[{"sku": "MUG", "units": 2}, {"sku": "JAR", "units": 1}])

    async def step(self) -> None:
        """One thing, done or refused."""
        name = self.random.choice(
            ("adjust", "set", "move", "floor", "reserve", "reserve", "extend", "release", "expire", "place", "place",
             "use", "cancel", "cancel", "serve")
        )  # fmt: skip
        try:
            await getattr(self, name)()
        except Refusal as refusal:
            self.outcomes[name, refusal.code] += 1
        else:
            self.outcomes[name, "DONE"] += 1

    def balances(self) -> list[tuple[str, str]]:
        every = [(sku, at) for sku in STOCKED for at in PLACES]
        return self.random.sample(every, self.random.randint(1, 3))

    def lines(self) -> dict[str, int]:
        return {sku: self.random.randint(1, 4) for sku in self.random.sample(SKUS, self.random.randint(1, 3))}

    async def adjust(self) -> None:
        changes = [Delta(sku=sku, location=at, units=self.random.choice((-4, -1, 1, 3))) for sku, at in self.balances()]
        await self.shop.run(inventory.adjust, changes=changes, reason=OTHER)

    async def set(self) -> None:
        changes = []
        for sku, at in self.balances():
            there = (await self.shop.level(sku, at)).on_hand
            units = max(0, there + self.random.randint(-3, 3))
            changes.append(Figure(sku=sku, location=at, units=units, compare_units=there))
        await self.shop.run(inventory.set_, changes=changes, reason=OTHER)

    async def move(self) -> None:
        states = self.random.sample(list(StockState), 2)
        changes = [
            Shift(sku=sku, location=at, units=self.random.randint(1, 2), from_state=states[0], to_state=states[1])
            for sku, at in self.balances()
        ]
        await self.shop.run(inventory.move, changes=changes, reason=OTHER)

    async def floor(self) -> None:
        changes = [SafetyStock(sku=sku, location=at, units=self.random.randint(0, 2)) for sku, at in self.balances()]
        await self.shop.run(inventory.safety_stock_set, changes=changes)

    async def reserve(self) -> None:
        self.tokens.append(await self.shop.reserve(self.lines(), seconds=self.random.randint(1, 20)))

    async def extend(self) -> None:
        await self.shop.run(inventory.extend, token=self.token(), seconds=self.random.randint(1, 20))

    async def release(self) -> None:
        await self.shop.run(inventory.release, token=self.token())

    async def expire(self) -> None:
        self.shop.clock.advance(timedelta(seconds=self.random.randint(0, 10)))
        await self.shop.database.call(
            "SELECT inventory_reservations_expire($1, 2, 'system:timer')", self.shop.clock.now()
        )

    async def place(self) -> None:
        self.orders.append(await self.shop.place(self.lines()))

    async def use(self) -> None:
        self.orders.append(await self.shop.place(self.lines(), reservation_token=self.token()))

    async def cancel(self) -> None:
        if self.orders:
            await self.shop.run(
                orders.cancel, order_id=self.random.choice(self.orders), reason=CancelReason.CUSTOMER, lines=None
            )

    async def serve(self) -> None:
        await allocate_backorders(self.shop.runner, TimerFigures(Telemetry()))

    def token(self) -> str:
        return self.random.choice(self.tokens[-4:]) if self.tokens else "none"


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_oversold_step_by_step(shop: Shop, seed: int) -> None:
    walk = Walk(shop, seed)
    await walk.prepare()

    for n in range(80):
        await walk.step()
        if n % 8 == 0:
            assert await shop.violations() == {}, walk.outcomes

    assert await shop.violations() == {}
    mixed(walk)


@pytest.mark.parametrize("seed", range(3, 6))
async def test_nothing_is_oversold_six_at_a_time(shop: Shop, seed: int) -> None:
    walk = Walk(shop, seed)
    await walk.prepare()

    for _ in range(25):
        await asyncio.gather(*(walk.step() for _ in range(6)))
        assert await shop.violations() == {}, walk.outcomes

    mixed(walk)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
async def test_nothing_is_oversold_in_a_long_walk(shop: Shop, seed: int) -> None:
    walk = Walk(shop, seed)
    await walk.prepare()

    for _ in range(500):
        await asyncio.gather(*(walk.step() for _ in range(6)))
    assert await shop.violations() == {}, walk.outcomes
    mixed(walk)


def mixed(walk: Walk) -> None:
    """A walk that is mostly refused, or never, would prove little."""
    done = sum(times for (_, outcome), times in walk.outcomes.items() if outcome == "DONE")
    total = walk.outcomes.total()
    assert total * 0.3 < done < total * 0.95, walk.outcomes
    assert "BUSY" not in {outcome for _, outcome in walk.outcomes}, walk.outcomes
