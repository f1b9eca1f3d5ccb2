"""A file's orders placed again, as if they came in now: at their own pace many times faster, or so many a second."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from app.imports import formats
from app.imports.files import File
from app.imports.items import Format, Item, Kind, Target
from app.imports.loading import IMPORTER, reason_of
from app.imports.run import CHANNEL_WANTED, GONE, raise_fault
from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.errors import Refusal
from app.kernel.operator import OperatorProblem
from app.kernel.work import CommandArguments, Runner
from app.orders import commands as orders
from app.orders.requests import OrderRequest


@dataclass(frozen=True, kw_only=True)
class Pace:
    """speed  times the file's own;  rate  orders a second, whatever the file's times. One of the two is given."""

    speed: float | None = None
    rate: float | None = None

    def due(self, place: int, since_first: float) -> float:
        """Seconds after the beginning at which an order is due.

        since_first  seconds between the file's first order and this one
        """
        if self.rate is not None:
            return place / self.rate
        assert self.speed is not None
        return since_first / self.speed


@dataclass
class Flow:
    """One replay. run  makes its orders' references new: a replay repeats what was sold, not the orders themselves.

    left_out  rows of the file that are no orders
    reasons   refused orders by the code of what was wrong;  examples  the first message of each
    problem   what ended it early, in one sentence
    """

    run: str = field(default_factory=lambda: secrets.token_hex(4))
    placed: int = 0
    refused: int = 0
    lines: int = 0
    left_out: int = 0
    late_seconds_max: float = 0.0
    seconds: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    problem: str | None = None

    def as_dict(self) -> dict[str, object]:
        return {
            "run": self.run,
            "placed": self.placed,
            "refused": self.refused,
            "lines": self.lines,
            "rowsLeftOut": self.left_out,
            "seconds": round(self.seconds, 3),
            "ordersPerSecond": round(self.placed / self.seconds, 2) if self.seconds else 0.0,
            "lateSecondsMax": round(self.late_seconds_max, 3),
            "reasons": self.reasons,
            "examples": self.examples,
            "problem": self.problem,
        }


async def replay(
    path: Path,
    format: Format,
    pace: Pace,
    database: Database,
    stop: asyncio.Event,
    *,
    channel: str | None = None,
    limit: int | None = None,
    concurrency: int = 4,
    encoding: str = "utf-8",
    moved: Callable[[Flow], None] = lambda _: None,
) -> Flow:
    """Place the file's orders when they are due, until its end, the limit or a stop. Refused ones are counted.

    What ended it early, a file that cannot be read or a database that stays away, is the flow's problem.
    """
    if format is Format.SHOPIFY_CSV and channel is None:
        raise OperatorProblem(CHANNEL_WANTED)
    flow = Flow()
    runner = Runner(database, SystemClock())
    loop = asyncio.get_running_loop()
    begin = loop.time()
    free = asyncio.Semaphore(concurrency)
    file = File(path, encoding)

    async def place(order: OrderRequest) -> None:
        try:
            key = f"replay:{order.channel}:{order.external_ref}"
            await runner.run(IMPORTER, orders.place, CommandArguments(key), order=order)
            flow.placed += 1
            flow.lines += len(order.lines)
        except Refusal as refusal:
            flow.refused += 1
            flow.reasons[refusal.code] = flow.reasons.get(refusal.code, 0) + 1
            flow.examples.setdefault(refusal.code, reason_of(refusal))
        finally:
            free.release()
            moved(flow)

    async def follow(group: asyncio.TaskGroup) -> None:
        for place_no, (order, since_first) in enumerate(_orders(file, format, channel, flow)):
            if place_no == limit:
                return
            due = begin + pace.due(place_no, since_first)
            if await _stopped_before(stop, due - loop.time()):
                return
            await free.acquire()
            flow.late_seconds_max = max(flow.late_seconds_max, loop.time() - due)
            group.create_task(place(order))

    try:
        async with asyncio.TaskGroup() as group:
            try:
                await follow(group)
            except OperatorProblem as bad:  # what was read before the bad place in the file is placed
                flow.problem = str(bad)
    except* GONE as several:
        raise_fault(several.exceptions[0])
        flow.problem = f"The database went away after {flow.placed:,} orders: see that it runs, then replay again."
    finally:
        flow.seconds = loop.time() - begin
        file.close()
    return flow


async def _stopped_before(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so many seconds; whether somebody wanted an end before they were over."""
    if seconds > 0 and not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return False
    return stop.is_set()


def _orders(file: File, format: Format, channel: str | None, flow: Flow) -> Iterator[tuple[OrderRequest, float]]:
    """The file's orders as new ones, placed now, each with its seconds after the first; other rows are counted."""
    first: datetime | None = None
    for entry in formats.reader(format, Kind.ORDERS)(file, Target(channel)):
        if isinstance(entry, Item) and isinstance(entry.what, OrderRequest):
            order = entry.what
            first = first or order.placed_at
            since = (order.placed_at - first).total_seconds() if order.placed_at and first else 0.0
            yield replace(order, external_ref=f"{order.external_ref}/{flow.run}", placed_at=None), since
        else:
            flow.left_out += len(entry.rows)
