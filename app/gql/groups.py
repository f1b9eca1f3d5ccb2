"""Subscribers who ask the same and see the same, told by one: each event is executed once and handed to all of them.

Everyone begins alone: with a snapshot, or with what was missed since a cursor. Whoever has been told everything then
takes a seat in the group, which follows the log from there on. For whatever is not the same for all, the group lets its
members go: each takes its own stream up again at the place in the log up to which it has been told, as if its client
had come back with that cursor. So the group need only know the case in which all is well.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import structlog

from app.gql.context import Context
from app.gql.viewer import Viewer
from app.live.attachment import Settled
from app.live.events import LoggedEvent, Position
from app.live.mailbox import Mailbox

if TYPE_CHECKING:
    from app.gql.execution import Answer

# Where a server on which whole frames can be written at once says so, among a scope's extensions.
WIRE = "orderwire.wire"

# After so many frames others have their turn.
_AT_ONCE = 250

log = structlog.get_logger("orderwire.gql")


@dataclass(frozen=True, slots=True)
class Still:
    """What a subscription's source yields when there is nothing left to tell its subscriber.

    settled  what `app.live` said
    again    the items from a cursor on, for another viewer
    like     what `again` depends on beyond the variables, such as ids that codes stood for
    """

    settled: Settled
    again: Callable[[Viewer, str], AsyncGenerator[Any, None]]
    like: Hashable = None


class Item(Protocol):
    """What a member of a group may be told. Snapshots and resets lack these: they are everyone's own.

    pos   where in the log it comes from: who has been told up to there has no use for it
    told  with it, everything up to here has been told

    Where only news is worth telling, an item also has what it `says`, a `Saying`; snapshots have it too.
    """

    @property
    def pos(self) -> int: ...
    @property
    def told(self) -> int: ...


class Saying(Protocol):
    """How things stand, by an item that comes when they may have changed."""

    def says_the_same_as(self, other: Any) -> bool:
        """Whether it is no news to whom the other was told last; None stands for nothing."""
        ...


def said_by(item: Any) -> Saying | None:
    """What is known to whom the item was told."""
    says: Saying | None = getattr(item, "says", None)
    return says


def is_news(says: Saying | None, known: Any) -> bool:
    """Whether an item that says this is to be told to whom that was said last."""
    return says is None or (says is not known and not says.says_the_same_as(known))


class Wire(Protocol):
    """The way to a peer for those who cannot wait."""

    def write(self, frame: bytes) -> bool:
        """Write a frame; false where the peer has yet to read what it was sent, or nothing more can be sent."""
        ...


class Seat:
    """A subscriber's place in a group. Transports say how it is told.

    told   the position up to which it has been told everything
    knows  what it was told last, where that decides what is news
    rest   after the group has let it go: what it still has to be told, alone
    """

    __slots__ = ("client", "group", "knows", "rest", "told")

    def __init__(self) -> None:
        self.group: Group | None = None
        self.told = 0
        self.knows: Any = None
        self.client = ""
        self.rest: Rest | None = None

    def tell(self, answer: Answer, made: dict[str | None, bytes]) -> bool:
        """Send the answer without waiting; false where the peer has not read enough yet, or has gone.

        made  what was sent to others, by subscription id, for those with the same; None where they have none
        """
        raise NotImplementedError

    def go_on(self) -> None:
        """Take up `rest`. Called once the group has let go; must not raise."""
        raise NotImplementedError

    def leave(self) -> None:
        """The client has completed the subscription, or is gone."""
        if self.group is not None:
            self.group.remove(self)


@dataclass(frozen=True, slots=True)
class Rest:
    """What a member is still to be told when its group has let it go: all after `place`."""

    place: Position
    group: Group

    @property
    def cursor(self) -> str:
        return self.group.hub.cursors.seal(self.place)


class Groups:
    """The groups of one process, by what their members have in common."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, Group] = {}
        self.told = 0
        self.let_go = 0

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def seats(self) -> int:
        return sum(len(group) for group in self._groups.values())

    def seat(
        self,
        seat: Seat,
        same: Hashable,
        still: Still,
        asked: Any,
        context: Context,
        new_context: Callable[[], Context],
        knows: Any = None,
    ) -> bool:
        """Give the subscriber a place, in one step with finding that nothing waits for it; false where something does.

        same   what is asked, and what may be seen
        asked  for the execution of the group's events
        knows  what the subscriber was told last
        """
        place = still.settled.place()
        if place is None:
            return False
        key = (same, still.like)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(self, key, still, asked, new_context, place, knows)
        group.add(seat, place.pos, context.principal.id, knows)
        return True

    def forget(self, key: Hashable) -> None:
        del self._groups[key]


class Group:
    """Members, and the task that follows the log for all of them."""

    def __init__(
        self,
        groups: Groups,
        key: Hashable,
        still: Still,
        asked: Any,
        new_context: Callable[[], Context],
        place: Position,
        knows: Any,
    ) -> None:
        self.asked = asked
        self.again = still.again
        self._groups = groups
        self._key = key
        self.hub = still.settled.hub
        self._place = place  # everything up to here has been told, to whoever was seated
        self._still: Still | None = None
        self._said = knows  # last, to whom nothing else was said since
        self._new_context = new_context
        self._seats: dict[Seat, None] = {}
        self._rights: _Rights | None = self.hub.attach((), _Rights(self), rights=True)
        # Apart from the operation that happened to come first: its line in the log, its count of statements.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def __len__(self) -> int:
        return len(self._seats)

    def add(self, seat: Seat, told: int, client: str, knows: Any) -> None:
        seat.group, seat.told, seat.client, seat.rest = self, told, client, None
        # One and the same for all who know the same, so that each holds no state of its own.
        seat.knows = knows if is_news(self._said, knows) else self._said
        self._seats[seat] = None

    def remove(self, seat: Seat) -> None:
        seat.group = None
        self._seats.pop(seat, None)
        if not self._seats:
            self._task.cancel()
            self._close()

    def let_go(self, *seats: Seat) -> None:
        """Have these members go on alone from where they have been told."""
        place = self._told()
        for seat in seats:
            seat.rest = Rest(place if place.pos >= seat.told else replace(place, pos=seat.told), self)
            self.remove(seat)
            self._groups.let_go += 1
            seat.go_on()

    def let_all_go(self) -> None:
        self.let_go(*self._seats)

    def let_client_go(self, client: str) -> None:
        """Something has changed about this client's rights: its members look them up before they go on."""
        self.let_go(*[seat for seat in self._seats if seat.client == client])

    def _told(self) -> Position:
        if self._still is not None and (place := self._still.settled.place()) is not None:
            return place
        return self._place

    def context(self) -> Context:
        """For one event, as nobody in particular: all members see the same."""
        context = self._new_context()
        context.principal = replace(context.principal, id="members of a group", expires_at=None)
        context.look_again, context.settles = None, True
        return context

    async def _run(self) -> None:
        try:
            cursor = self.hub.cursors.seal(self._place)
            async with aclosing(self.again(Viewer(self.context(), self._said), cursor)) as items:
                async for item in items:
                    if isinstance(item, Still):
                        self._still = item
                        continue
                    self._still = None
                    if not hasattr(item, "told"):
                        return
                    if self._place.pos < item.pos <= item.told:
                        self._place = replace(self._place, pos=item.pos - 1)
                    if any(self._wants(seat, item) for seat in self._seats):
                        answer = await self.asked.answer(item, self.context)
                        if "errors" in answer.body:
                            self.let_all_go()
                        else:
                            await self._tell(item, answer)
                    if item.told > self._place.pos:
                        self._place = replace(self._place, pos=item.told)
        except Exception:
            log.exception("a group of subscribers stumbled; its members go on alone")
        finally:
            self._close()

    def _wants(self, seat: Seat, item: Item) -> bool:
        return seat.group is self and item.pos > seat.told and is_news(said_by(item), seat.knows)

    async def _tell(self, item: Item, answer: Answer) -> None:
        told, says, made, full = item.told, said_by(item), dict[str | None, bytes](), list[Seat]()
        self._said = says
        for number, seat in enumerate(list(self._seats), 1):
            if not self._wants(seat, item):
                continue
            if seat.tell(answer, made):
                seat.told, seat.knows = max(told, seat.told), says
                self._groups.told += 1
            else:
                full.append(seat)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self.let_go(*[seat for seat in full if seat.group is self])

    def _close(self) -> None:
        """No more is told. Whoever is seated still goes on alone."""
        if self._rights is not None:
            self.hub.detach(self._rights)
            self._rights = None
            self._groups.forget(self._key)
            self.let_all_go()


class _Rights(Mailbox):
    """Hears of clients whose rights have changed, and lets their members go before anything else is told."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group

    def __len__(self) -> int:
        return 0

    def note_rights(self, client: UUID) -> None:
        self._group.let_client_go(f"client:{client}")

    def overflow(self) -> None:
        """Events have been passed over, and whose rights they changed nobody knows."""
        self._group.let_all_go()

    renumber = overflow

    def _take_in(self, event: LoggedEvent) -> None: ...

    def _drop(self) -> None: ...
