"""Clients that ask for anything at random, on few SKUs, all at once."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from app.figures import TimerFigures
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta, Figure, Shift
from app.inventory.states import AdjustmentReason, StockState
from app.jobs import allocate_backorders
from app.kernel.clock import FixedClock
from app.kernel.db import Database
from app.kernel.errors import Refusal
from app.kernel.telemetry import Telemetry
from app.kernel.work import CommandArguments, CommandFunction, Runner
from app.live.outage import give_way
from app.orders import commands as orders
from app.orders.commands.cancel import CancelLine
from app.orders.requests import LineRequest, OrderRequest
from app.orders.states import CancelReason, HoldReason
from app.sourcing import commands as sourcing
from app.sourcing.commands import Wanted
from tests.builders import NOON, STAFF, Shop
from tests.race.book import Book, Held, Line

SKUS = ["MUG", "CUP", "JUG", "PAN"]
LOCATIONS = ["LEEDS", "YORK", "HULL"]
STOCK_AT_START = 40
LASTING_SECONDS = 86_400
PLENTY = 1_000
RECENT = 24  # orders, holds and reservations that clients reach for, so that they meet


async def open_shop(database: Database, skus: list[str] = SKUS, locations: list[str] = LOCATIONS) -> tuple[Shop, Book]:
    """A shop with some stock of everything everywhere; two SKUs may be sold beyond it."""
    shop, book = Shop(database), Book()
    for location in locations:
        await shop.location(location)
    await shop.channel()
    for i, sku in enumerate(skus):
        await shop.sku(sku, backorder_limit=15 if i < 2 else 0)
        for location in locations:
            await shop.stock(sku, STOCK_AT_START, at=location)
            book.on_hand[sku, location] += STOCK_AT_START
    return shop, book


class Clients:
    """Any number of clients at one database; `race` runs them until the requests or the time are used up."""

    def __init__(
        self,
        database: Database,
        book: Book,
        *,
        seed: int,
        skus: list[str] = SKUS,
        locations: list[str] = LOCATIONS,
        together: bool = True,
    ) -> None:
        self.database = database
        self.clock = FixedClock(NOON)
        self.runner = Runner(database, self.clock, watching=self, together=together)
        self.book = book
        self.skus = skus
        self.locations = locations
        self.retries: Counter[str] = Counter()
        self.served = 0  # units that came to orders which waited for them
        self._figures = TimerFigures(Telemetry())
        self._random = random.Random(seed)
        self._holds: list[tuple[str, str]] = []
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self._place: 34,
            self._place_reserved: 8,
            self._reserve: 14,
            self._extend: 5,
            self._release: 8,
            self._hold: 6,
            self._hold_release: 6,
            self._confirm: 6,
            self._cancel: 18,
            self._adjust: 8,
            self._set: 5,
            self._move: 5,
        }

    # kernel.work's Watching

    def command(self, _: str) -> Any:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def retried(self, name: str) -> None:
        self.retries[name] += 1

    async def race(self, *, clients: int = 32, requests: int = 6_000, seconds: float = 12.0) -> None:
        until = time.monotonic() + seconds
        left = iter(range(requests))
        kinds, weights = list(self._kinds), list(self._kinds.values())

        async def client() -> None:
            while time.monotonic() < until and next(left, None) is not None and not self.book.faults:
                (act,) = self._random.choices(kinds, weights)
                try:
                    await act()
                except Exception as problem:
                    self.book.faults.append(f"{act.__name__}: {type(problem).__name__}: {problem}")

        timing = asyncio.create_task(self._let_time_pass())
        await asyncio.gather(*(client() for _ in range(clients)))
        timing.cancel()
        await asyncio.gather(timing, return_exceptions=True)
        await self.expire()

    async def expire(self) -> None:
        """Let the time of all but the lasting reservations be over."""
        self.clock.advance(timedelta(hours=1))
        await self._release_expired()

    async def serve_everybody(self) -> None:
        """Let so much come in that nobody needs to wait, and one worker look once."""
        changes = [Delta(sku=sku, location=location, units=PLENTY) for sku in self.skus for location in self.locations]
        await self._ask(inventory.adjust, changes=changes, reason=AdjustmentReason.RECEIVED)
        for change in changes:
            self.book.on_hand[change.sku, change.location] += change.units
        await self._serve_waiting()

    async def _let_time_pass(self) -> None:
        """A second in every hundredth, and the timers of two workers."""
        while True:
            give_way()
            await asyncio.sleep(0.01)
            self.clock.advance(timedelta(seconds=1))
            try:
                await asyncio.gather(*(timer() for timer in (self._release_expired, self._serve_waiting) for _ in "12"))
            except Exception as problem:
                self.book.faults.append(f"timer: {type(problem).__name__}: {problem}")
                return

    async def _release_expired(self) -> None:
        expire = "SELECT inventory_reservations_expire($1, 20, 'system:timer')"
        while await self.database.call(expire, self.clock.now()):
            pass

    async def _serve_waiting(self) -> None:
        self.served += await allocate_backorders(self.runner, self._figures)

    async def _ask(self, command: CommandFunction, **given: Any) -> dict[str, Any] | None:
        """The result; None when refused. At times the same request is sent twice at once, as impatient clients do."""
        arguments = CommandArguments(str(uuid4()))
        times = 2 if self._random.random() < 0.05 else 1
        answers = await asyncio.gather(
            *(self.runner.run(STAFF, command, arguments, **given) for _ in range(times)), return_exceptions=True
        )
        results = []
        for answer in answers:
            if isinstance(answer, dict):
                results.append(answer)
            elif not isinstance(answer, Refusal):
                raise answer
        if any(result != results[0] for result in results):
            self.book.faults.append(f"{command.__name__}: one key, two results: {results}")
        if results:
            self.book.accepted[command.__name__] += 1
            return results[0]
        self.book.refused[command.__name__] += 1
        self.book.codes[getattr(answers[0], "code", "")] += 1
        return None

    def _recent(self, these: Any) -> Any:
        """One of the newest, or None."""
        these = list(these)[-RECENT:]
        return self._random.choice(these) if these else None

    def _lines(self) -> list[tuple[str, int]]:
        """SKUs in any order, at times named twice."""
        count = self._random.randint(1, 4)
        return [(self._random.choice(self.skus), self._random.randint(1, 6)) for _ in range(count)]

    async def _place(self, token: str | None = None) -> None:
        wanted = self._lines()
        lines = [LineRequest(sku=sku, quantity=quantity) for sku, quantity in wanted]
        order = OrderRequest(channel="WEB", lines=lines, reservation_token=token)
        result = await self._ask(orders.place, order=order)
        if result is None:
            return
        if token is not None:
            self.book.close(token)
        sql = "SELECT array_agg(id ORDER BY line_no) FROM order_line WHERE order_id = $1"
        ids = await self.database.call(sql, UUID(result["orderId"]))
        self.book.orders[result["orderId"]] = {
            str(id_): Line(sku, quantity) for id_, (sku, quantity) in zip(ids, wanted, strict=True)
        }

    async def _place_reserved(self) -> None:
        if token := self._recent(self.book.held):
            await self._place(token)

    async def _reserve(self) -> None:
        lasting = self._random.random() < 0.5
        wanted = self._lines()
        seconds = LASTING_SECONDS if lasting else self._random.randint(1, 30)
        lines = [Wanted(sku=sku, quantity=quantity) for sku, quantity in wanted]
        result = await self._ask(sourcing.reserve, channel="WEB", lines=lines, seconds=seconds)
        if result is not None:
            units: Counter[str] = Counter()
            for sku, quantity in wanted:
                units[sku] += quantity
            self.book.held[result["token"]] = Held(units, lasting)

    async def _extend(self) -> None:
        if token := self._recent(self.book.held):
            seconds = LASTING_SECONDS if self.book.held[token].lasting else self._random.randint(1, 30)
            await self._ask(inventory.extend, token=token, seconds=seconds)

    async def _release(self) -> None:
        if (token := self._recent(self.book.held)) and await self._ask(inventory.release, token=token):
            self.book.close(token)

    async def _hold(self) -> None:
        if order_id := self._recent(self.book.orders):
            result = await self._ask(orders.hold, order_id=UUID(order_id), reason=HoldReason.FRAUD)
            if result is not None:
                self._holds.append((order_id, result["holdId"]))

    async def _hold_release(self) -> None:
        if hold := self._recent(self._holds):
            await self._ask(orders.hold_release, order_id=UUID(hold[0]), hold_id=UUID(hold[1]))

    async def _confirm(self) -> None:
        if order_id := self._recent(self.book.orders):
            await self._ask(orders.confirm, order_id=UUID(order_id))

    async def _cancel(self) -> None:
        order_id = self._recent(self.book.orders)
        if order_id is None:
            return
        given: dict[str, Any] = {"order_id": UUID(order_id), "reason": CancelReason.CUSTOMER}
        if self._random.random() < 0.4:
            if await self._ask(orders.cancel, **given) is not None:
                self.book.cancelled.add(order_id)
            return
        lines = self.book.orders[order_id]
        chosen = self._random.sample(sorted(lines), self._random.randint(1, len(lines)))
        parts = [CancelLine(line_id=UUID(line), quantity=self._random.randint(1, 4)) for line in chosen]
        if await self._ask(orders.cancel, lines=parts, **given) is not None:
            for part in parts:
                lines[str(part.line_id)].cancelled += part.quantity or 0

    def _balances(self) -> list[tuple[str, str]]:
        every = [(sku, location) for sku in self.skus for location in self.locations]
        return self._random.sample(every, self._random.randint(1, min(3, len(every))))

    async def _adjust(self) -> None:
        changes = [
            Delta(sku=sku, location=location, units=self._random.choice([-12, -5, -1, 1, 3, 6]))
            for sku, location in self._balances()
        ]
        if await self._ask(inventory.adjust, changes=changes, reason=AdjustmentReason.CORRECTION):
            for change in changes:
                self.book.on_hand[change.sku, change.location] += change.units

    async def _set(self) -> None:
        sql = (
            "SELECT on_hand FROM stock_level b JOIN sku s ON s.id = b.sku_id JOIN location l ON l.id = b.location_id"
            " WHERE s.code = $1 AND l.code = $2 AND owner = ''"
        )
        changes = []
        for sku, location in self._balances():
            seen = await self.database.call(sql, sku, location) or 0
            units = max(0, seen + self._random.randint(-6, 6))
            changes.append(Figure(sku=sku, location=location, units=units, compare_units=seen))
        if await self._ask(inventory.set_, changes=changes, reason=AdjustmentReason.COUNTED):
            for change in changes:
                self.book.on_hand[change.sku, change.location] += change.units - change.compare_units

    async def _move(self) -> None:
        changes = []
        for sku, location in self._balances():
            from_state, to_state = self._random.sample(list(StockState), 2)
            units = self._random.randint(1, 3)
            changes.append(Shift(sku=sku, location=location, units=units, from_state=from_state, to_state=to_state))
        if await self._ask(inventory.move, changes=changes, reason=AdjustmentReason.DAMAGED):
            for change in changes:
                key = (change.sku, change.location)
                for state, sums in (
                    (StockState.DAMAGED, self.book.damaged),
                    (StockState.QUALITY_CONTROL, self.book.quality_control),
                ):
                    sums[key] += change.units * ((change.to_state == state) - (change.from_state == state))


async def race_here(database_url: str, seed: int, seconds: float) -> None:
    """The clients of one process of several; prints what they count."""
    database, book = Database(database_url, read_pool=6, call_pool=4), Book()
    await database.open()
    clients = Clients(database, book, seed=seed)
    await clients.race(clients=16, requests=10_000_000, seconds=seconds)
    await database.close()
    assert clients.runner.combiner is not None
    by_balance = {
        name: {"@".join(key): units for key, units in getattr(book, name).items()}
        for name in ("on_hand", "damaged", "quality_control")
    }
    sums = {"reserved": book.reserved(), "sold": book.sold(), "accepted": book.accepted, "refused": book.refused}
    print(json.dumps({**by_balance, **sums, "sets": clients.runner.combiner.writes.sets, "faults": book.faults}))


if __name__ == "__main__":
    asyncio.run(race_here(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
