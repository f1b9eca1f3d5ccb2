"""From a commit to the frame at a subscriber: ten customers watch their orders on ten devices each."""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import time
from collections import defaultdict
from typing import Any
from uuid import UUID

import httpx2
import orjson
import websockets

import app.customers.commands as customers
from app.gql.nodes import global_id
from app.kernel.combiner import call_alone
from bench import sent
from bench.figures import Figure
from bench.stage import Stage, cpu_seconds
from tests.builders import Shop
from tests.running import issue

CUSTOMERS = 10
DEVICES = 10
EVENTS_PER_SECOND = 200
SECONDS = 20.0
WARM_SECONDS = 3.0
_ALL_HEARD_SECONDS = 60.0

TOKEN = """
mutation Token($customer: ID!, $key: String!) {
  customerTokenCreate(input: {customer: $customer}, idempotencyKey: $key) { token userErrors { message } }
}
"""
WATCH = """
subscription Watch {
  orderEvents {
    ... on OrderSnapshot { cursor count }
    ... on OrderChange { cursor type orderId version order { number lifecycle fulfillmentStatus } }
    ... on Reset { reason }
  }
}
"""


class Stopwatch:
    """When each order was sent to be committed, and when each device heard of it, by the order's global id."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.heard: dict[str, list[float]] = defaultdict(list)
        self.subscribed = 0

    @property
    def heard_by_all(self) -> int:
        """How many orders every device of their customer has heard of, once."""
        return sum(len(times) == DEVICES for times in self.heard.values())

    def milliseconds(self, after: float) -> list[float]:
        """From sending the call, hence with the commit itself, in order of length."""
        times = ((self.sent[order], came) for order, all_came in self.heard.items() for came in all_came)
        return sorted((came - began) * 1000 for began, came in times if began >= after)


async def measure(stage: Stage) -> list[Figure]:
    codes = [f"BUYER-{n}" for n in range(CUSTOMERS)]
    tokens = [await _token(stage, code) for code in codes]
    total = int((WARM_SECONDS + SECONDS) * EVENTS_PER_SECOND)
    calls = [await sent.by_placing(stage, ["SKU-10000"], customer=codes[n % CUSTOMERS]) for n in range(total)]

    watch = Stopwatch()
    devices = [asyncio.create_task(_device(stage, token, watch)) for token in tokens for _ in range(DEVICES)]
    try:
        async with asyncio.timeout(60):
            while watch.subscribed < len(devices):
                await asyncio.sleep(0.05)
        gc.collect()
        gc.freeze()  # the prepared calls are a heap whose collection would be taken for a late frame
        began, cpu = time.monotonic(), cpu_seconds(stage.api_pid)
        await _place(stage, calls, watch)
        async with asyncio.timeout(_ALL_HEARD_SECONDS):
            while watch.heard_by_all < total:
                await asyncio.sleep(0.1)
        cpu_us = (cpu_seconds(stage.api_pid) - cpu) * 1e6 / (total * DEVICES)
    finally:
        for device in devices:
            device.cancel()
        await asyncio.gather(*devices, return_exceptions=True)
    return _figures(watch.milliseconds(began + WARM_SECONDS), cpu_us)


def _figures(took: list[float], cpu_us: float) -> list[Figure]:
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    work = "commit → frame received, 100 subscribers, 200 events/s, each event reaching 10 of them"
    detail = {"frames": len(took), "p50_ms": p50, "p99_ms": p99, "max_ms": took[-1], "api_cpu_us": cpu_us}
    common: dict[str, Any] = {"unit": " ms", "less": True, "detail": detail}
    return [
        Figure(work=f"{work}: p50", value=p50, shown=f"{p50:.1f} ms", reach=25, aim=15, **common),
        Figure(work=f"{work}: p99", value=p99, shown=f"{p99:.1f} ms", reach=100, aim=60, **common),
    ]


async def _token(stage: Stage, code: str) -> str:
    """A new customer's token, as a portal gets it."""
    shop = Shop(stage.database)
    shop.runner = stage.runner
    created = await shop.run(customers.upsert_customer, customer={"code": code, "name": code.title()})
    async with httpx2.AsyncClient(base_url=stage.url) as client:
        variables = {"customer": global_id("Customer", UUID(created["customer"]["id"])), "key": code}
        headers = {"authorization": f"Bearer {await issue(stage.runner, 'SERVICE')}"}
        answer = await client.post("/graphql", json={"query": TOKEN, "variables": variables}, headers=headers)
    return str(answer.json()["data"]["customerTokenCreate"]["token"])


async def _place(stage: Stage, calls: list[sent.Sent], watch: Stopwatch) -> None:
    """Place the orders evenly in time, each by its one call; the relay is nudged as after any commit."""
    began, numbers = time.monotonic(), itertools.count()
    now = stage.runner.clock.now()

    async def place(call: sent.Sent) -> None:
        order = str(global_id("Order", call.subject))
        watch.sent[order] = time.monotonic()
        await call_alone(stage.database, call.function, call.under(f"delivery {next(numbers)}", now))
        stage.nudge()

    placing = []
    for number, call in enumerate(calls):
        await asyncio.sleep(max(0.0, began + number / EVENTS_PER_SECOND - time.monotonic()))
        placing.append(asyncio.create_task(place(call)))
    await asyncio.gather(*placing)


async def _device(stage: Stage, token: str, watch: Stopwatch) -> None:
    url = stage.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(url, subprotocols=["graphql-transport-ws"], compression=None) as socket:
        await socket.send(_frame(type="connection_init", payload={"authorization": f"Bearer {token}"}))
        await socket.recv()
        await socket.send(_frame(id="1", type="subscribe", payload={"query": WATCH}))
        async for message in socket:
            now = time.monotonic()
            frame = orjson.loads(message)
            assert frame["type"] in ("next", "ping"), frame
            if frame["type"] == "next":
                _take(frame["payload"]["data"]["orderEvents"], now, watch)


def _take(item: dict[str, Any], now: float, watch: Stopwatch) -> None:
    if "orderId" in item:
        watch.heard[item["orderId"]].append(now)
    else:
        assert "count" in item, item
        watch.subscribed += 1


def _frame(**message: Any) -> str:
    return orjson.dumps(message).decode()
