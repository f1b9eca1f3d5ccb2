"""The execution alone: 250 objects of six fields that lie in memory, by our engine and by graphql-core."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import orjson

from bench import peers
from bench.figures import Figure, spread
from bench.load import Request, asked, round_of
from bench.peers.in_memory import DOCUMENT, VARIABLES, Run, by_engine, by_graphql_core
from bench.stage import API_CORE, OTHER_CORE

ROUNDS = 3
SECONDS = 2.0
WARM_SECONDS = 1.0
WARM_TIMES = 50

# Two sides' CPU in µs, a figure a round.
Costs = tuple[list[float], list[float]]


async def measure() -> list[Figure]:
    without, with_http = alone(rounds=ROUNDS, seconds=SECONDS), await _over_http()
    return [_figure("without", without, reach=25, aim=40), _figure("with", with_http, reach=15, aim=20)]


def alone(*, rounds: int, seconds: float) -> Costs:
    """CPU of an execution, in turns, parsed and validated before."""
    ours, theirs = by_engine(DOCUMENT), by_graphql_core(DOCUMENT)
    assert _answer(ours) == _answer(theirs)
    with _pinned(API_CORE):
        for run in (ours, theirs):
            for _ in range(WARM_TIMES):
                _answer(run)
        found = [(_cpu_us(ours, seconds), _cpu_us(theirs, seconds)) for _ in range(rounds)]
    return [our for our, _ in found], [their for _, their in found]


def _answer(run: Run) -> bytes:
    result = run(VARIABLES)
    assert not result.errors, result.errors
    return orjson.dumps({"data": result.data})


def _cpu_us(run: Run, seconds: float) -> float:
    times, cpu, ends = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < ends:
        _answer(run)
        times += 1
    return (time.process_time() - cpu) * 1e6 / times


async def _over_http() -> Costs:
    """CPU of a request, in turns, of two processes that do nothing else."""
    request = Request.of(DOCUMENT, "Levels", VARIABLES)
    found: Costs = ([], [])
    async with AsyncExitStack() as running:
        running.enter_context(_pinned(OTHER_CORE))
        sides = [
            await running.enter_async_context(peers.started(app, peers.by_uvicorn("in_memory", app)))
            for app in ("compiled", "interpreted")
        ]
        answers = [await asked(side.port, request) for side in sides]
        assert answers[0] == answers[1]
        for turn in range(ROUNDS + 1):
            for side, costs in zip(sides, found, strict=True):
                measured = await round_of(side.port, side.pid, None, [request], SECONDS if turn else WARM_SECONDS)
                if turn:
                    costs.append(measured.cpu_us)
    return found


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """This thread, on one core for a while."""
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, affinity)


def _figure(which: str, costs: Costs, *, reach: float, aim: float) -> Figure:
    ours, theirs = costs
    ratio = statistics.median(theirs) / statistics.median(ours)
    return Figure(
        work=f"execution in memory, 50 × 5 objects of 6 fields, {which} HTTP: times less CPU than graphql-core",
        value=ratio,
        unit="×",
        shown=f"{ratio:.1f}× : {spread(ours)} µs against {spread(theirs)}",
        reach=reach,
        aim=aim,
        detail={"ours_us": ours, "graphql_core_us": theirs},
    )
