"""`make bench`: each measurement in turn, its figures as one JSON line on stdout."""

from __future__ import annotations

import asyncio

import orjson

from bench import placing
from bench.stage import memory_mb, stage

AT_REST_SECONDS = 5.0


async def main() -> None:
    async with stage() as on:
        await asyncio.sleep(AT_REST_SECONDS)
        _tell("API process at rest", {"rss_mb": memory_mb(on.api_pid)})
        _tell("place 3-line orders over HTTP, 32 clients", await placing.measure(on))


def _tell(name: str, figures: dict[str, object]) -> None:
    print(orjson.dumps({"measured": name, **figures}).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
