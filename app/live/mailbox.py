"""Mailboxes: what one subscriber has not taken yet, bounded whatever the subscriber does.

The hub offers, never waits. A mailbox has one reader, which awaits `ready()` and then looks at what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from app.live.events import LoggedEvent

K = TypeVar("K", bound=Hashable)

BEYOND = 2**63 - 1  # every position of the log


class EndReason(StrEnum):
    """Why a stream ends although the client did nothing."""

    CREDENTIAL_EXPIRED = "CREDENTIAL_EXPIRED"
    ACCESS_REVOKED = "ACCESS_REVOKED"


class Mailbox:
    """Common to both policies: signals, and each event at most once however many topics brought it.

    overflowed      content was dropped for want of room; the reader must look elsewhere for what it missed
    renumbered      the log has a new epoch; what was here is void
    rights_changed  clients whose rights changed, whether there was room or not; the reader takes them out
    """

    def __init__(self) -> None:
        self.overflowed = False
        self.renumbered = False
        self.rights_changed: set[UUID] = set()
        self.ended: EndReason | None = None
        self.failure: Exception | None = None
        self._offered = 0
        self._signalled = False
        self._waiting: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def offer(self, event: LoggedEvent) -> None:
        """Take in an event, or note that there was no room. Never raises: a reader's fault is the reader's."""
        if event.pos <= self._offered:
            return
        self._offered = event.pos
        if self.overflowed or self.renumbered:
            return
        try:
            self._take_in(event)
        except Exception as failure:
            self.failure = failure
        self._signal()

    def note_rights(self, client: UUID) -> None:
        self.rights_changed.add(client)
        self._signal()

    def renumber(self) -> None:
        self._drop()
        self._offered = 0
        self.renumbered = True
        self._signal()

    def overflow(self) -> None:
        self._drop()
        self.overflowed = True
        self._signal()

    def rearm(self) -> None:
        """Take in events again. The caller vouches for everything up to the hub's present position."""
        self._drop()
        self.overflowed = self.renumbered = False

    def end(self, reason: EndReason) -> None:
        self.ended = reason
        self._signal()

    def has_ended(self) -> bool:
        return self.ended is not None

    @property
    def is_quiet(self) -> bool:
        """Whether its reader has dealt with all that it was offered and told."""
        return not (self._signalled or self.overflowed or self.renumbered or self.rights_changed or self.ended)

    async def ready(self) -> None:
        """Return when there is something to look at.  Raises what went wrong while an event was taken in."""
        if not self._signalled:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._signalled = False
        if self.failure is not None:
            raise self.failure

    def _signal(self) -> None:
        self._signalled = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _take_in(self, event: LoggedEvent) -> None:
        raise NotImplementedError

    def _drop(self) -> None:
        raise NotImplementedError


class OrderedMailbox(Mailbox):
    """Every event, in order. When it is full its content goes, and the reader pulls from the log instead."""

    def __init__(self, *, events_max: int = 256, bytes_max: int = 256 * 1024) -> None:
        super().__init__()
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._events: list[LoggedEvent] = []
        self._bytes = 0
        # Before the oldest event that was not taken: the reader has been offered all of its topics up to here.
        self.untaken_after = 0

    def __len__(self) -> int:
        return len(self._events)

    def take(self) -> list[LoggedEvent]:
        """Everything in it, oldest first; it is empty afterwards."""
        taken, self._events, self._bytes = self._events, [], 0
        return taken

    def _take_in(self, event: LoggedEvent) -> None:
        if not self._events:
            self.untaken_after = event.pos - 1
        self._bytes += event.size
        # A single event larger than the bound still passes when it is alone: the log could not deliver it smaller.
        if self._events and (len(self._events) >= self._events_max or self._bytes > self._bytes_max):
            self.overflow()
        else:
            self._events.append(event)

    def renumber(self) -> None:
        super().renumber()
        self.untaken_after = 0

    def _drop(self) -> None:
        self._events, self._bytes = [], 0


class LatestMailbox(Mailbox, Generic[K]):
    """Which keys changed, and where last. Any number of changes of a key take the room of one.

    keys  what an event touches, of what this subscriber watches
    """

    def __init__(self, keys: Callable[[LoggedEvent], Iterable[K]], *, keys_max: int = 10_000) -> None:
        super().__init__()
        self._keys = keys
        self._keys_max = keys_max
        self._touched: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._touched)

    def take(self) -> dict[K, int]:
        """Each key touched, with the position of its last change; it is empty afterwards."""
        taken, self._touched = self._touched, {}
        return taken

    def touch(self, key: K) -> None:
        """Note a key that changed without an event, by the passing of time: no position is past that."""
        self._touched[key] = BEYOND
        self._signal()

    def _take_in(self, event: LoggedEvent) -> None:
        for key in self._keys(event):
            self._touched[key] = max(event.pos, self._touched.get(key, 0))
        if len(self._touched) > self._keys_max:
            self.overflow()

    def _drop(self) -> None:
        self._touched = {}
