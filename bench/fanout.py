"""One event to a thousand subscribers who ask the same, and what a subscriber costs who hears nothing.

The reference is uvicorn itself: an application of thirty lines that sends the same text, which lies ready.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson

from app.gql.nodes import global_id
from app.kernel.combiner import call_alone
from bench import peers, sent
from bench.delivery import WATCH
from bench.figures import Figure
from bench.plots import Panel, Plot, Points
from bench.stage import Stage, cpu_seconds_now

SUBSCRIBERS = 1_000
EVENTS_PER_SECOND = 20
IDLE = 2_000
_LINE_BYTES_MAX = 64 * 1024 * 1024
_HEARD_SECONDS = 60.0
_SETTLE_SECONDS = 2.0
_ORDER = re.compile(r'"orderId":"[^"]+"')


class Watchers:
    """Sockets in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self.answer()

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        return orjson.loads(await self._process.stdout.readline())

    async def heard(self, frames: int) -> None:
        """Wait until they have heard so many changes, together."""
        async with asyncio.timeout(_HEARD_SECONDS):
            while (found := await self.ask("count"))["orders"] < frames:
                await asyncio.sleep(0.05)
        assert found == {"orders": frames, "lost": 0}, found


@asynccontextmanager
async def watchers(port: int, sockets: int, hellos: Sequence[str]) -> AsyncIterator[Watchers]:
    """So many, each subscribed by the hellos."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.watchers", str(port), str(sockets), *hellos),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES_MAX,
    )
    found = Watchers(process)
    try:
        async with asyncio.timeout(_HEARD_SECONDS):
            assert await found.answer() == {"ready": sockets}
        yield found
    finally:
        process.kill()
        await process.wait()


@dataclass(frozen=True)
class Round:
    """CPU of a delivery, and when its frames came after the call that commits, in milliseconds, in order of length."""

    cpu_us: float
    took: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many events a round has, and how they follow each other."""

    rounds: int = 3
    events: int = 120
    per_second: int = EVENTS_PER_SECOND


# Fewer events where each takes a core a fifth of a second.
SIZES = {
    **dict.fromkeys((1, 10, 100, 1_000), Pace(rounds=2, events=30)),
    5_000: Pace(rounds=2, events=12, per_second=4),
}


async def measure(stage: Stage) -> list[Figure]:
    memory = await _idle(stage)
    ours, theirs = await compare(stage, SUBSCRIBERS, Pace())
    return [_delivered(ours, theirs), memory, *_in_time(ours, theirs)]


async def compare(stage: Stage, subscribers: int, pace: Pace) -> tuple[list[Round], list[Round]]:
    """Our rounds and uvicorn's, in turns."""
    async with AsyncExitStack() as running:
        peer = await running.enter_async_context(_uvicorn(stage))
        ours = await running.enter_async_context(watchers(_port(stage), subscribers, _hellos(stage)))
        theirs = await running.enter_async_context(watchers(peer.port, subscribers, ["hello"]))
        http = await running.enter_async_context(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{peer.port}"))
        placing = Placing(stage)
        warm = await placing.prepared(2 * pace.per_second)
        await _round(stage.api_pid, ours, subscribers, warm, pace.per_second)
        text = (await ours.ask("last"))["text"]
        ours_found, theirs_found = [], []
        for _ in range(pace.rounds):
            calls = await placing.prepared(pace.events)
            ours_found.append(await _round(stage.api_pid, ours, subscribers, calls, pace.per_second))
            sends = {order: _posting(http, _ORDER.sub(f'"orderId":"{order}"', text)) for order in calls}
            theirs_found.append(await _round(peer.pid, theirs, subscribers, sends, pace.per_second))
    return ours_found, theirs_found


def _port(stage: Stage) -> int:
    return int(stage.url.rpartition(":")[2])


def _hellos(stage: Stage) -> list[str]:
    return [
        orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {stage.key}"}}).decode(),
        orjson.dumps({"id": "subscriber-{number}", "type": "subscribe", "payload": {"query": WATCH}}).decode(),
    ]


def _uvicorn(stage: Stage) -> Any:
    settings = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--no-server-header")
    return peers.started("uvicorn", [*peers.by_uvicorn("broadcast"), *settings], stage.stores.database_url)


Send = Callable[[], Awaitable[None]]


def _posting(http: httpx2.AsyncClient, text: str) -> Send:
    async def post() -> None:
        (await http.post("/", content=text.encode())).raise_for_status()

    return post


class Placing:
    """Orders that are placed each by one call; the relay is nudged as after any commit."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def prepared(self, number: int) -> dict[str, Send]:
        """By the order's global id, what places it."""
        return dict([await self._one() for _ in range(number)])

    async def _one(self) -> tuple[str, Send]:
        stage = self._stage
        call = await sent.by_placing(stage, ["SKU-10000"])
        now = stage.runner.clock.now()
        columns = call.under(f"fan-out {call.subject}", now)

        async def place() -> None:
            await call_alone(stage.database, call.function, columns)
            stage.nudge()

        return str(global_id("Order", call.subject)), place


async def _round(pid: int, watching: Watchers, subscribers: int, calls: Mapping[str, Send], per_second: int) -> Round:
    """Make the calls evenly in time; every watcher hears of each."""
    cpu, began, at, running = cpu_seconds_now(pid), time.monotonic(), dict[str, float](), []
    for number, (order, call) in enumerate(calls.items()):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        at[order] = time.monotonic()
        running.append(asyncio.ensure_future(call()))
    await asyncio.gather(*running)
    frames = len(calls) * subscribers
    await watching.heard(frames)
    cpu = cpu_seconds_now(pid) - cpu
    heard = await watching.ask("orders")
    assert {order: len(times) for order, times in heard.items()} == dict.fromkeys(calls, subscribers)
    took = sorted((came - at[order]) * 1000 for order, times in heard.items() for came in times)
    return Round(cpu * 1e6 / frames, took)


async def _idle(stage: Stage) -> Figure:
    """Memory that an open subscription takes, beside that of a socket on which nothing was asked."""
    async with _uvicorn(stage) as peer:
        ours = await _kilobytes(stage.api_pid, _port(stage), _hellos(stage))
        theirs = await _kilobytes(peer.pid, peer.port, ["hello"])
    return Figure(
        work="memory of an idle subscriber, beside a bare uvicorn socket",
        value=ours / theirs,
        shown=f"{ours / theirs:.2f} : {ours:.1f} kB against {theirs:.1f}",
        reach=1.5,
        aim=1.25,
        less=True,
        detail={"ours_kb": ours, "reference_kb": theirs},
    )


async def _kilobytes(pid: int, port: int, hellos: Sequence[str]) -> float:
    """Of one of many, once a first few have filled what is filled once."""
    async with watchers(port, IDLE // 10, hellos):
        await asyncio.sleep(_SETTLE_SECONDS)
        before = _own_kilobytes(pid)
        async with watchers(port, IDLE, hellos):
            await asyncio.sleep(_SETTLE_SECONDS)
            return (_own_kilobytes(pid) - before) / IDLE


def _own_kilobytes(pid: int) -> float:
    """What the process holds of its own in memory, and its share of what it holds with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    raise AssertionError("every process has a Pss")


async def sizes(stage: Stage) -> list[Plot]:
    """What a delivery costs and how late it comes, by the number of subscribers."""
    found = {size: await compare(stage, size, pace) for size, pace in SIZES.items()}

    def curves(cost: Callable[[Round], float]) -> dict[str, Points]:
        return {
            side: {size: [cost(each) for each in rounds[place]] for size, rounds in found.items()}
            for place, side in enumerate(("ours", "uvicorn"))
        }

    cpu, late = curves(lambda each: each.cpu_us), curves(lambda each: percentile(each, 0.99))
    panels = [Panel("µs CPU of the process, a delivery", cpu), Panel("ms until 99 of 100 have it", late)]
    return [Plot("subscribers", "An event to identical subscribers", "subscribers", panels)]


def _delivered(ours: Sequence[Round], theirs: Sequence[Round]) -> Figure:
    our_cost, their_cost = [each.cpu_us for each in ours], [each.cpu_us for each in theirs]
    ratio = statistics.median(our_cost) / statistics.median(their_cost)
    return Figure(
        work=f"deliver an event to {SUBSCRIBERS:,} identical subscribers: CPU, beside uvicorn sending the ready text",
        value=ratio,
        shown=f"{ratio:.2f} : {_micro(our_cost)} µs a delivery against {_micro(their_cost)}",
        reach=1.5,
        aim=1.2,
        less=True,
        detail={"ours_us": our_cost, "reference_us": their_cost},
    )


def _in_time(ours: Sequence[Round], theirs: Sequence[Round]) -> list[Figure]:
    work = f"commit → frame, {EVENTS_PER_SECOND} events/s, all of {SUBSCRIBERS:,} receive"
    p50, p99 = ([percentile(each, share) for each in ours] for share in (0.5, 0.99))
    detail = {
        "p50_ms": p50,
        "p99_ms": p99,
        "reference_p50_ms": [percentile(each, 0.5) for each in theirs],
        "reference_p99_ms": [percentile(each, 0.99) for each in theirs],
    }
    return [
        Figure(
            work=f"{work}: {name}",
            value=statistics.median(found),
            unit=" ms",
            shown=f"{_micro(found)} ms",
            reach=reach,
            aim=aim,
            less=True,
            detail=detail,
        )
        for name, found, reach, aim in (("p50", p50, 25, 15), ("p99", p99, 90, 60))
    ]


def percentile(each: Round, share: float) -> float:
    return each.took[int(len(each.took) * share)]


def _micro(values: Sequence[float]) -> str:
    """The median, and what it lies between."""
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"
