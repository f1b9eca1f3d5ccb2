"""The streams open in this process: a revoked credential ends its own, a shutdown ends all in good order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from app.gql.caller import Caller

# What clients of graphql-transport-ws make of these: 1012 and 4403 are tried again, 4401 is final.
RESTARTING = 1012
UNAUTHORIZED = 4401
FORBIDDEN = 4403


class Stream(Protocol):
    """A WebSocket or a stream of events."""

    @property
    def caller(self) -> Caller: ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close; returns at once, and may be called again."""
        ...


class Streams:
    """All open streams of one process."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def entered(self, stream: Stream) -> Iterator[None]:
        self._open.add(stream)
        self._empty.clear()
        try:
            yield
        finally:
            self._open.discard(stream)
            if not self._open:
                self._empty.set()

    def revoke(self, credential: str) -> None:
        """End what this credential opened; the client is told not to try again with it."""
        for stream in list(self._open):
            if stream.caller.credential == credential:
                stream.close(UNAUTHORIZED, "This credential has been revoked.")

    def recheck(self, principal_id: str) -> None:
        """End what this principal opened, so that it connects again under its present rights."""
        for stream in list(self._open):
            if stream.caller.principal.id == principal_id:
                stream.close(FORBIDDEN, "Your rights have changed: connect again.")

    async def drain(self, seconds: float, *, steps: int = 20) -> None:
        """Close all streams in random batches over this time, so that their clients do not all return at once."""
        waiting = list(self._open)
        random.shuffle(waiting)
        batch = -(-len(waiting) // steps) or 1
        pause = seconds / steps
        while waiting:
            for stream in waiting[:batch]:
                stream.close(RESTARTING, "This server is restarting: connect again.")
            del waiting[:batch]
            if waiting:
                await asyncio.sleep(pause)
        for stream in list(self._open):  # those that came in the meantime
            stream.close(RESTARTING, "This server is restarting: connect again.")
        try:
            await asyncio.wait_for(self._empty.wait(), timeout=max(pause, 1.0))
        except TimeoutError:
            return


def seconds_left(caller: Caller, now: datetime) -> float | None:
    """How long the caller's credential is good for; None when it does not expire."""
    if caller.principal.expires_at is None:
        return None
    return max(0.0, (caller.principal.expires_at - now).total_seconds())
