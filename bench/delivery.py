"""From a commit to the frame at a subscriber: 100 sockets, 200 events a second, each event for ten of them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import orjson
import websockets
from sqlalchemy import event

from app.gql.nodes import global_id
from app.kernel.work import CommandArguments
from app.orders import commands as orders
from app.orders.states import HoldReason
from bench.figures import Figure
from bench.stage import Stage
from tests.builders import STAFF, Shop

SUBSCRIBERS = 100
HEARD_BY = 10
EVENTS_PER_SECOND = 200
SECONDS = 20.0
WARM_SECONDS = 3.0
_SETTLE_SECONDS = 3.0

QUERY = """
subscription Follow($ids: [ID!]) {
  orderEvents(ids: $ids) {
    ... on OrderSnapshot { cursor count }
    ... on OrderChange { cursor type orderId version order { lifecycle isOnHold } }
    ... on Reset { reason }
  }
}
"""

# The change under way, noted when its COMMIT is sent.
_changing: ContextVar[tuple[str, int]] = ContextVar("changing")


class Stopwatch:
    """When each version of each order was committed, and when it came to whom it concerns."""

    def __init__(self) -> None:
        self.committed: dict[tuple[str, int], float] = {}
        self.heard: dict[tuple[str, int], list[float]] = defaultdict(list)
        self.subscribed = 0
        self.measuring_from = 0.0

    def commits(self, _: object) -> None:
        """Called by SQLAlchemy before it sends COMMIT, so that the time of the commit itself is measured too."""
        if (change := _changing.get(None)) is not None:
            self.committed[change] = time.monotonic()

    def milliseconds(self) -> list[float]:
        return sorted(
            (came - self.committed[change]) * 1000
            for change, times in self.heard.items()
            for came in times
            if self.committed.get(change, 0.0) >= self.measuring_from
        )


async def measure(stage: Stage) -> list[Figure]:
    shop = Shop(stage.database)
    ids = [await shop.place({"SKU-10000": 1}) for _ in range(SUBSCRIBERS)]
    watch = Stopwatch()
    engine = stage.database.engine.sync_engine
    event.listen(engine, "commit", watch.commits)
    # Subscriber n follows orders n … n + 9, so that ten follow each order.
    followed = [[ids[(n + i) % SUBSCRIBERS] for i in range(HEARD_BY)] for n in range(SUBSCRIBERS)]
    sockets = [asyncio.create_task(_follow(stage, each, watch)) for each in followed]
    try:
        async with asyncio.timeout(60):
            while watch.subscribed < SUBSCRIBERS:
                await asyncio.sleep(0.05)
        changes = await _change(stage, ids, watch)
        await asyncio.sleep(_SETTLE_SECONDS)
    finally:
        event.remove(engine, "commit", watch.commits)
        for each in sockets:
            each.cancel()
        await asyncio.gather(*sockets, return_exceptions=True)
    return _figures(watch, changes)


def _figures(watch: Stopwatch, changes: int) -> list[Figure]:
    took = watch.milliseconds()
    missing = [change for change in watch.committed if len(watch.heard[change]) != HEARD_BY]
    assert not missing, f"{len(missing)} of {len(watch.committed)} changes were not heard by {HEARD_BY} subscribers"
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    work = "commit → frame received, 100 subscribers, 200 events/s, each event reaching 10 of them"
    detail = {"frames": len(took), "changes": changes, "p50_ms": p50, "p99_ms": p99, "max_ms": took[-1]}
    return [
        Figure(
            work=f"{work}: p50",
            value=p50,
            unit=" ms",
            shown=f"{p50:.1f} ms",
            reach=25,
            aim=15,
            less=True,
            detail=detail,
        ),
        Figure(work=f"{work}: p99", value=p99, unit=" ms", shown=f"{p99:.1f} ms", reach=100, aim=60, less=True),
    ]


async def _change(stage: Stage, ids: list[UUID], watch: Stopwatch) -> int:
    """Hold and release the orders in turn, evenly in time; how many changes there were."""
    version = dict.fromkeys(ids, 1)
    hold: dict[UUID, str] = {}
    running: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    watch.measuring_from = began + WARM_SECONDS

    async def change(order_id: UUID, number: int) -> None:
        version[order_id] += 1
        _changing.set((str(global_id("Order", order_id)), version[order_id]))
        key = CommandArguments(f"delivery {number}")
        if order_id in hold:
            given = {"order_id": order_id, "hold_id": UUID(hold.pop(order_id))}
            await stage.runner.run(STAFF, orders.hold_release, key, **given)
        else:
            done = await stage.runner.run(STAFF, orders.hold, key, order_id=order_id, reason=HoldReason.MANUAL)
            hold[order_id] = done["holdId"]

    total = int((WARM_SECONDS + SECONDS) * EVENTS_PER_SECOND)
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / EVENTS_PER_SECOND - time.monotonic()))
        task = asyncio.create_task(change(ids[number % len(ids)], number))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return total


async def _follow(stage: Stage, ids: list[UUID], watch: Stopwatch) -> None:
    url = stage.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(url, subprotocols=["graphql-transport-ws"], compression=None) as socket:
        await socket.send(_frame(type="connection_init", payload={"authorization": f"Bearer {stage.key}"}))
        await socket.recv()
        variables = {"ids": [global_id("Order", order_id) for order_id in ids]}
        await socket.send(_frame(id="1", type="subscribe", payload={"query": QUERY, "variables": variables}))
        async for message in socket:
            now = time.monotonic()
            frame = orjson.loads(message)
            if frame["type"] == "next":
                _take(frame["payload"]["data"]["orderEvents"], now, watch)
            else:
                assert frame["type"] == "ping", frame


def _take(item: dict[str, Any], now: float, watch: Stopwatch) -> None:
    if "orderId" in item:
        watch.heard[item["orderId"], item["version"]].append(now)
    else:
        assert item["count"] == HEARD_BY, item
        watch.subscribed += 1


def _frame(**message: Any) -> str:
    return orjson.dumps(message).decode()
