"""The streams open in this process: a revoked credential ends its own, a shutdown ends all in good order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from app.gql.caller import Caller
from app.kernel.clock import Alarm, Clock
from app.live.drain import Drain

# What clients of graphql-transport-ws make of these: 1012 and 4403 are tried again, 4401 is final.
RESTARTING = 1012
UNAUTHORIZED = 4401
FORBIDDEN = 4403
_RESTARTING_REASON = "This server is restarting: connect again."


class Stream(Protocol):
    """A WebSocket or a stream of events."""

    @property
    def caller(self) -> Caller: ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close; returns at once, and may be called again."""
        ...


class Streams:
    """All open streams of one process. When the process drains, each is closed with 1012 and comes back elsewhere."""

    def __init__(self, drain: Drain | None = None) -> None:
        self.drain = drain if drain is not None else Drain()  # an empty one counts as false
        self._open: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._open))

    @contextmanager
    def entered(self, stream: Stream) -> Iterator[None]:
        leave = self.enter(stream)
        try:
            yield
        finally:
            leave()

    def enter(self, stream: Stream) -> Callable[[], None]:
        """Take in a stream; returns how it leaves."""
        self._open.add(stream)
        let_go = self.drain.register(partial(stream.close, RESTARTING, _RESTARTING_REASON))
        if self.drain.closing:
            stream.close(RESTARTING, _RESTARTING_REASON)

        def leave() -> None:
            let_go()
            self._open.discard(stream)

        return leave

    def revoke(self, credential: str) -> None:
        """End what this credential opened; the client is told not to try again with it."""
        for stream in self:
            if stream.caller.credential == credential:
                stream.close(UNAUTHORIZED, "This credential has been revoked.")

    def reconnect(self, credential: str) -> None:
        """End what this credential opened; whether it is still good is found out when the client comes back."""
        for stream in self:
            if stream.caller.credential == credential:
                stream.close(FORBIDDEN, "Connect again.")

    def recheck(self, principal_id: str) -> None:
        """End what this principal opened, so that it connects again under its present rights."""
        for stream in self:
            if stream.caller.principal.id == principal_id:
                stream.close(FORBIDDEN, "Your rights have changed: connect again.")


def end_in_time(stream: Stream, clock: Clock) -> Alarm | None:
    """Close the stream once its caller's credential expires, unless the alarm is cancelled; None if it never does."""
    expires_at = stream.caller.principal.expires_at
    reason = "Your token has expired: connect again with a fresh one."
    return None if expires_at is None else Alarm(clock, expires_at, lambda: stream.close(FORBIDDEN, reason))


@contextmanager
def ended_in_time(stream: Stream, clock: Clock) -> Iterator[None]:
    """Within the block the stream is closed as soon as its caller's credential expires."""
    alarm = end_in_time(stream, clock)
    try:
        yield
    finally:
        if alarm is not None:
            alarm.cancel()
