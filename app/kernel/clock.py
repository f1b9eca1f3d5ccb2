"""The one source of time, injected, so that tests and replays can move it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

LOOK_SECONDS = 30.0


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until told to advance."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self._at

    def advance(self, delta: timedelta) -> None:
        self._at += delta


class Alarm:
    """Calls `ring` once, when the clock has reached the instant; at once where it has already.

    A timer alone would not do: clocks are set, and machines sleep while timers stand still. So the clock is looked at
    twice a minute, and once more before it rings.
    """

    def __init__(self, clock: Clock, at: datetime, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._at = at
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        left = (self._at - self._clock.now()).total_seconds()
        if left <= 0:
            self._ring()
        else:
            self._timer = asyncio.get_running_loop().call_later(min(left, LOOK_SECONDS), self._look)
