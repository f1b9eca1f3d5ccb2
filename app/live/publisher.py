"""Sends messages to Redis, in order, and drops them when Redis is away: hubs read the log then."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog
from redis.exceptions import RedisError

from app.live import channel
from app.live.outage import give_way

_WAITING_MAX = 1_000
_WAITING_BYTES = 16 * 1024 * 1024


class Publisher:
    """`send` never waits; `run` does the sending until cancelled."""

    def __init__(self, redis_url: str, channel_name: str) -> None:
        self.sent = 0
        self.dropped = 0
        self.up = False
        self._url = redis_url
        self._channel = channel_name
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._log = structlog.get_logger(__name__).bind(channel=channel_name)

    def send(self, message: bytes) -> None:
        if len(self._waiting) >= _WAITING_MAX or self._bytes > _WAITING_BYTES:
            self._drop()
        self._waiting.append(message)
        self._bytes += len(message)
        self._wake.set()

    async def run(self) -> None:
        client = channel.publishing_client(self._url)
        try:
            while True:
                give_way()
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    give_way()
                    message = self._waiting.popleft()
                    self._bytes -= len(message)
                    try:
                        await client.publish(self._channel, message)
                    except (RedisError, OSError, TimeoutError) as error:
                        self._lost(error)
                        await asyncio.sleep(0.05)
                    else:
                        self._found()
        finally:
            await client.aclose()

    def _drop(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()
        self._bytes = 0

    def _lost(self, error: BaseException) -> None:
        # What waits behind a failed message is as late: the heartbeat will send the hubs to the log once for all of it.
        self.dropped += 1
        self._drop()
        if self.up:
            self._log.warning("Redis is away; subscribers are served from PostgreSQL", error=repr(error))
        self.up = False

    def _found(self) -> None:
        if not self.up:
            self._log.info("Redis takes messages")
        self.up = True
        self.sent += 1
