"""`make bench`: each measurement in turn. What is found goes to stdout as JSON lines.

Names on the command line choose among the measurements. When none is left out, figures go into the table of
docs/performance.md, plots to docs/plots.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import orjson

from bench import delivery, fanout, footprint, hot_sku, importing, in_memory, placing, plots, reading, report, sizes
from bench.figures import Figure, Incomplete
from bench.plots import Plot
from bench.stage import Stage, stage

Found = Sequence[Figure | Plot]


# In the order of the table; each on a stage of its own.
ON_STAGE: dict[str, Callable[[Stage], Awaitable[Found]]] = {
    "reading": reading.measure,
    "sizes": sizes.measure,
    "placing": placing.measure,
    "hot-sku": hot_sku.measure,
    "delivery": delivery.measure,
    "fanout": fanout.measure,
    "subscribers": fanout.sizes,
    "footprint": footprint.measure,
}
ALONE: dict[str, Callable[[], Awaitable[Found]]] = {
    "in-memory": in_memory.measure,
    "import": importing.measure,
}
NAMES = [*ON_STAGE, *ALONE]


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no measurement {', '.join(sorted(unknown))}: choose among {', '.join(NAMES)}.")
    found: list[Figure | Plot] = []
    whole = not names
    for name in names or NAMES:
        print(f"{time.strftime('%H:%M:%S')} measuring {name} …", file=sys.stderr, flush=True)
        try:
            new = await _measured(name)
        except Incomplete as absent:
            print(f"{absent} docs/performance.md stays as it is.", file=sys.stderr)
            whole, new = False, absent.found
        for each in new:
            print(orjson.dumps(each.as_dict(), option=orjson.OPT_NON_STR_KEYS).decode(), flush=True)
        found += new
    if whole:
        _publish(found)


def _publish(found: Found) -> None:
    figures = [each for each in found if isinstance(each, Figure)]
    drawn = [each for each in found if isinstance(each, Plot)]
    report.write(figures)
    for plot in drawn:
        plots.write(plot)
    print(f"docs/performance.md has the table of {len(figures)} figures and {len(drawn)} plots.", file=sys.stderr)


async def _measured(name: str) -> Found:
    if name in ALONE:
        return await ALONE[name]()
    async with stage() as on:
        return await ON_STAGE[name](on)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
