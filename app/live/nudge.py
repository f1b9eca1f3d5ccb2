"""Telling the relay that something was committed, so that it need not wait for its next look."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from redis.exceptions import RedisError

from app.live import channel
from app.live.outage import give_way

_GATHER_SECONDS = 0.001


class Nudger:
    """`nudge()` after a commit costs the request nothing. Lost nudges cost up to one poll of the relay, 50 ms."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def nudge(self) -> None:
        self._wake.set()

    async def _run(self) -> None:
        client = channel.publishing_client(self._url)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await client.publish(channel.NUDGE, b"")
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(0.5)
                give_way()
                await asyncio.sleep(_GATHER_SECONDS)  # commits of the same moment share a nudge
        finally:
            with suppress(RedisError, OSError):
                await client.aclose()
