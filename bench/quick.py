"""`make bench-quick`: a few CPU ratios in two minutes, and exit status 1 where one is a fifth worse than committed.

Each is against a reference in the same run, in short turns of which the cheapest counts: whatever else the machine does
can only add. A row that is worse is measured once more before it counts. `--renew` commits what is found.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from bench import in_memory
from bench.committed import Ratios, better, fallen, read, renew, worse
from bench.driver import CLIENTS
from bench.load import Request, Round, once_each, round_of
from bench.peers import Peer
from bench.placing import PLACED_A_SECOND_MAX, orders, placed
from bench.reading import (
    KEPT,
    ORDER,
    OURS,
    RAW,
    Pace,
    Question,
    answering,
    compare,
    furnish,
    questions,
    together,
)
from bench.stage import Stage, stage

PACE = Pace(rounds=8, seconds=0.6, warm_seconds=1.0)

# Measures some rows; called again, it measures them anew.
Part = Callable[[], Awaitable[dict[str, float]]]

READS = {
    "Availability": "availability of 50 SKUs × 5 locations",
    "StockLevels": "100 stock levels",
    "OrderByNumber": "one order with 5 lines",
    "Orders": "a page of 50 orders with their lines",
}


async def measure(before: Ratios) -> dict[str, float]:
    """Ours by the reference's, by row; what is worse than `before` is measured twice."""
    found: dict[str, float] = {}
    async with stage() as on:
        numbers = await furnish(on)
        async with answering(on, [RAW]) as (sides, _):
            reads: list[Part] = [partial(_read, on, question, sides) for question in questions(numbers)]
            for part in [_in_memory, *reads, partial(_placed, on, numbers, sides)]:
                ratios = await part()
                if fallen(ratios, before):
                    again = await part()
                    ratios = {name: min(ratio, again[name]) for name, ratio in ratios.items()}
                for name, ratio in ratios.items():
                    print(f"{ratio:9.3g}  {name}", flush=True)
                found |= ratios
    return found


async def _in_memory() -> dict[str, float]:
    ours, theirs = in_memory.alone(rounds=PACE.rounds, seconds=PACE.seconds / 2)
    return {"execution in memory, without HTTP, beside graphql-core": min(ours) / min(theirs)}


async def _read(stage: Stage, question: Question, sides: Mapping[str, Peer]) -> dict[str, float]:
    rounds = await compare(stage, question, sides, PACE)
    work = READS[question.name]
    found = {
        f"{work}: CPU of the process, beside {RAW}": _ratio(rounds, OURS, lambda each: each.cpu_us),
        f"{work}: with PostgreSQL's, beside {RAW}": _ratio(rounds, OURS, together),
    }
    if KEPT in rounds:
        found[f"{work}, by GET from memory: with PostgreSQL's, beside {RAW}"] = _ratio(rounds, KEPT, together)
    return found


def _ratio(rounds: Mapping[str, Sequence[Round]], side: str, cost: Callable[[Round], float]) -> float:
    return min(map(cost, rounds[side])) / min(map(cost, rounds[RAW]))


async def _placed(stage: Stage, numbers: Sequence[str], sides: Mapping[str, Peer]) -> dict[str, float]:
    """Against a read, for a yardstick that no change to placing moves."""
    ours, raw = sides[OURS], sides[RAW]
    reads = [Request.of(ORDER, "OrderByNumber", {"number": number}) for number in numbers]
    placing, reading = [], []
    for turn in range(PACE.rounds + 1):
        seconds = PACE.seconds if turn else PACE.warm_seconds
        requests = orders(stage.key, f"quick {time.time_ns()}", int(PLACED_A_SECOND_MAX * seconds))
        measured = await once_each(ours.port, ours.pid, None, requests, seconds, clients=CLIENTS, hear=placed)
        placing.append(measured.cpu_us)
        reading.append((await round_of(raw.port, raw.pid, None, reads, seconds)).cpu_us)
    return {f"placing a 3-line order: CPU of the process, beside {RAW} reading an order": min(placing) / min(reading)}


async def main(*, to_renew: bool) -> None:
    before = {} if to_renew else read()
    found = await measure(before)
    if to_renew:
        renew(found)
        print("bench/quick.json holds these now: commit it with what made the difference.")
        return
    for sentence in better(found, before):
        print(sentence)
    if problems := worse(found, before):
        sys.exit("\n".join(problems))
    print(f"None of {len(found)} ratios is more than a fifth worse than committed.")


if __name__ == "__main__":
    asyncio.run(main(to_renew="--renew" in sys.argv[1:]))
