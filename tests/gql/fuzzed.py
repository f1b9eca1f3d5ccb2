"""The whole API in a thread of its own, for tests that think up their input and wait for each answer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from structlog.testing import capture_logs

from tests.running import Api, api, settings, worker


@dataclass
class Served:
    """A running API with its worker, a key that may do everything, and what was logged as trouble."""

    api: Api
    key: str
    http: httpx2.Client
    loop: asyncio.AbstractEventLoop
    ours: list[Any]
    standard: list[logging.LogRecord] = field(default_factory=list)

    def take_troubles(self) -> list[Any]:
        troubles = [each for each in self.ours if each["log_level"] == "error" or each.get("exc_info")]
        troubles += [record.getMessage() for record in self.standard if record.levelno >= logging.ERROR]
        self.ours.clear()
        self.standard.clear()
        return troubles

    def run(self, work: Any) -> Any:
        """The result of a coroutine in the loop of the API."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@contextmanager
def served(database_url: str, redis_url: str) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    ready: asyncio.Future[tuple[Api, str]] = loop.create_future()
    over = asyncio.Event()

    async def serve() -> None:
        given = settings(database_url, redis_url)
        async with api(given) as running, worker(given):
            ready.set_result((running, await running.key()))
            await over.wait()

    async def wait_ready() -> tuple[Api, str]:
        return await asyncio.wait_for(ready, 60)

    with capture_logs() as ours:
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        serving = asyncio.run_coroutine_threadsafe(serve(), loop)
        running, key = asyncio.run_coroutine_threadsafe(wait_ready(), loop).result(60)
        handler = _Keeping()
        logging.getLogger().addHandler(handler)
        try:
            with httpx2.Client(base_url=running.url, timeout=30) as http:
                yield Served(running, key, http, loop, ours, handler.records)
        finally:
            logging.getLogger().removeHandler(handler)
            loop.call_soon_threadsafe(over.set)
            serving.result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()


class _Keeping(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
