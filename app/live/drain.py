"""Letting streams go in random batches, so that their clients do not all come back in the same moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

_STEPS_PER_SECOND = 10


class Drain:
    """Holds, for every open socket, how to close it with 1012, `service restart`: clients reconnect by themselves.

    `closing` tells a transport to take in no new stream.
    """

    def __init__(self) -> None:
        self.closing = False
        self._closers: set[Callable[[], None]] = set()

    def __len__(self) -> int:
        return len(self._closers)

    def register(self, close: Callable[[], None]) -> Callable[[], None]:
        """Have `close` called once when this process drains; returns how to take that back. Close must not block."""
        self._closers.add(close)
        return lambda: self._closers.discard(close)

    async def drain(self, seconds: float) -> None:
        """Close all within the time, a random few in each step. Streams opened meanwhile are closed as well."""
        self.closing = True
        steps = max(1, round(seconds * _STEPS_PER_SECOND))
        for step in range(steps):
            share = -(-len(self._closers) // (steps - step))
            self._close(random.sample(list(self._closers), share))
            if not self._closers:
                return
            await asyncio.sleep(seconds / steps)
        self._close(list(self._closers))

    def _close(self, closers: list[Callable[[], None]]) -> None:
        for close in closers:
            self._closers.discard(close)
            try:
                close()
            except Exception:
                structlog.get_logger(__name__).exception("a socket did not close")
