"""`make bench`: each measurement in turn. Figures go to stdout as JSON lines and to docs/performance.md as a table.

Names on the command line choose among the measurements; the table is written when none is left out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import orjson

from bench import delivery, hot_sku, importing, in_memory, placing, reading, report
from bench.figures import Figure, Incomplete
from bench.stage import Stage, memory_mb, stage

AT_REST_SECONDS = 5.0


async def at_rest(on: Stage) -> list[Figure]:
    await asyncio.sleep(AT_REST_SECONDS)
    megabytes = memory_mb(on.api_pid)
    return [
        Figure(
            work="API process at rest",
            value=megabytes,
            unit=" MB",
            shown=f"{megabytes:.0f} MB",
            reach=200,
            aim=120,
            less=True,
        )
    ]


# In the order of the table; each on a stage of its own.
ON_STAGE: dict[str, Callable[[Stage], Awaitable[list[Figure]]]] = {
    "reading": reading.measure,
    "placing": placing.measure,
    "hot-sku": hot_sku.measure,
    "delivery": delivery.measure,
    "at-rest": at_rest,
}
ALONE: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "in-memory": in_memory.measure,
    "import": importing.measure,
}
NAMES = [*ON_STAGE, *ALONE]


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no measurement {', '.join(sorted(unknown))}: choose among {', '.join(NAMES)}.")
    figures: list[Figure] = []
    whole = not names
    for name in names or NAMES:
        print(f"{time.strftime('%H:%M:%S')} measuring {name} …", file=sys.stderr, flush=True)
        try:
            found = await _measured(name)
        except Incomplete as absent:
            print(f"{absent} docs/performance.md stays as it is.", file=sys.stderr)
            whole, found = False, list(absent.figures)
        for figure in found:
            print(orjson.dumps(figure.as_dict()).decode(), flush=True)
        figures += found
    if whole:
        report.write(figures)
        print(f"docs/performance.md has the table of {len(figures)} figures.", file=sys.stderr)


async def _measured(name: str) -> list[Figure]:
    if name in ALONE:
        return await ALONE[name]()
    async with stage() as on:
        return await ON_STAGE[name](on)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
