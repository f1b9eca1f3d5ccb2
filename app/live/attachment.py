"""What every stream does: attach a mailbox, read a snapshot at the log's head, end when the caller's access ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID

from sqlalchemy import text

from app.kernel.clock import Alarm
from app.kernel.db import Reads
from app.kernel.principal import Principal
from app.live.events import Position
from app.live.hub import Hub
from app.live.mailbox import EndReason, Mailbox
from app.live.outage import patiently
from app.live.replay import ResetReason

T = TypeVar("T")
M = TypeVar("M", bound=Mailbox)

_SETTLE_SECONDS = 0.02
_SETTLE_TRIES = 6
# As many changes without a position as a cursor has room for; there are more only while the relay is far behind.
_AHEAD_MAX = 64

# `ahead`: what this very snapshot shows although it has no position yet, so that `pos` alone does not cover it.
_HEAD = text(
    """
    SELECT epoch, pos, ARRAY(
        SELECT id FROM event_log WHERE shard = :shard AND pos IS NULL AND topics && CAST(:topics AS text[])
        ORDER BY id LIMIT :most
    ) AS ahead
    FROM relay_shard WHERE shard = :shard
    """
)


class Viewer(Protocol):
    """Who is at the other end of a stream, as known now."""

    @property
    def principal(self) -> Principal: ...

    @property
    def reads(self) -> Reads:
        """Reads as this principal."""
        ...

    async def renew(self) -> bool:
        """Look the caller's rights up again; false when they no longer allow this stream."""
        ...


@dataclass(frozen=True, slots=True)
class State(Generic[T]):
    """What a snapshot shows.

    versions  of each aggregate shown in full, by (aggregate, subject): their events up to it are not sent again
    """

    items: T
    versions: Mapping[tuple[str, UUID], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """How things stand at the cursor; what follows are the changes since."""

    items: T
    position: Position
    cursor: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The client's state is void; a snapshot follows.

    cursor  the last one the client had: handing it back leads to a reset again, never to a gap
    """

    reason: ResetReason
    cursor: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last item. For an expired credential the transport closes with 4403: clients come back with a new one."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Settled:
    """Between two items: whoever follows has been told everything that the hub has handed out.

    place  up to where in the log that is, as of now; None once something waits, so that it no longer is
    """

    hub: Hub
    place: Callable[[], Position | None]


class Attachment(Generic[M]):
    """A mailbox on the hub for the time of a stream.

    unnamed  the snapshot shows changes that its position does not name: only versions tell them when they come
    """

    def __init__(self, hub: Hub, viewer: Viewer, topics: Collection[str], mailbox: M) -> None:
        self.mailbox = mailbox
        self.topics = frozenset(topics)
        self.unnamed = False
        self._hub = hub
        self._viewer = viewer
        self._expiry: Alarm | None = None

    async def __aenter__(self) -> Self:
        await self._hub.started.wait()
        self._hub.attach(self.topics, self.mailbox, rights=True)
        self._watch_expiry()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.detach(self.mailbox)
        if self._expiry is not None:
            self._expiry.cancel()

    async def snapshot(self, show: Callable[[Reads], Awaitable[State[T]]]) -> tuple[Position, State[T]]:
        """A state and the place in the log that it shows, of the same instant; waits while PostgreSQL is away.

        With more changes on their way than a cursor can name it waits a moment for the relay, then goes on without
        naming them: versions tell the repetition as long as the stream lasts.
        """
        for _ in range(_SETTLE_TRIES):
            position, state = await patiently(lambda: self._look(show))
            if len(position.ahead) <= _AHEAD_MAX:
                self.unnamed = False
                return position, state
            await asyncio.sleep(_SETTLE_SECONDS)
        self.unnamed = True
        return replace(position, ahead=()), state

    def told(self, place: Position) -> Position | None:
        """Up to where all has been told by a reader who has dealt with it up to `place`; None where something waits."""
        head = self._hub.head()
        if not self.mailbox.is_quiet or self.unnamed or place.ahead or head.epoch != place.epoch:
            return None
        # A snapshot may show more than this process has heard of yet.
        return head if head.pos >= place.pos else place

    async def _look(self, show: Callable[[Reads], Awaitable[State[T]]]) -> tuple[Position, State[T]]:
        shard = self._hub.log.shard
        async with self._viewer.reads.snapshot() as reads:
            asked = {"shard": shard, "topics": sorted(self.topics), "most": _AHEAD_MAX + 1}
            head = await reads.first(_HEAD, asked)
            assert head is not None, "relay_shard has no row for this shard: run the migrations"
            return Position(UUID(int=head.epoch.int), shard, head.pos, tuple(head.ahead)), await show(reads)

    async def check_rights(self) -> None:
        """If `auth` events told of the client at the other end, look its rights up again."""
        changed, self.mailbox.rights_changed = self.mailbox.rights_changed, set()
        if any(self._viewer.principal.id == f"client:{client}" for client in changed):
            await self.renew()

    async def renew(self) -> None:
        """Look the caller's rights up again; the mailbox ends when they are gone."""
        if await patiently(self._viewer.renew):
            self._watch_expiry()
        else:
            self.mailbox.end(EndReason.ACCESS_REVOKED)

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        expires_at = self._viewer.principal.expires_at
        if expires_at is not None:
            expire = partial(self.mailbox.end, EndReason.CREDENTIAL_EXPIRED)
            self._expiry = Alarm(self._hub.clock, expires_at, expire)
