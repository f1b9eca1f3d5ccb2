"""What a group does when all is not well: its members go on alone, each from where it has been told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from app.gql.context import Context
from app.gql.execution import Answer
from app.gql.groups import Groups, Seat, Still
from app.kernel.principal import Kind, Principal
from app.live.attachment import Settled
from app.live.events import Position
from app.live.hub import Hub

EPOCH = UUID(int=1)


def at(pos: int) -> Position:
    return Position(EPOCH, 0, pos)


@dataclass(frozen=True)
class Says:
    text: str

    def says_the_same_as(self, other: object) -> bool:
        return self == other


@dataclass
class Item:
    pos: int
    told: int
    spoilt: bool = False
    says: Says | None = None


class Member(Seat):
    """Notes what it is told; takes as much as it is told to."""

    def __init__(self, room: int = 1_000) -> None:
        super().__init__()
        self.room = room
        self.heard: list[int] = []
        self.went_on_after: int | None = None

    def tell(self, answer: Answer, made: dict[str, bytes]) -> bool:
        if len(self.heard) >= self.room:
            return False
        self.heard.append(answer.body["data"])
        return True

    def go_on(self) -> None:
        assert self.rest is not None
        self.went_on_after = self.rest.place.pos


@dataclass
class Stage:
    """A group's surroundings: a hub whose head stands at 10, and a source that yields what it is handed."""

    head: int = 10
    waiting: bool = False
    groups: Groups = field(default_factory=Groups)
    source: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    begun_after: list[str] = field(default_factory=list)
    rights: list[Any] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    def attach(self, _: Any, mailbox: Any, *, rights: bool) -> Any:
        self.rights.append(mailbox)
        return mailbox

    def detach(self, mailbox: Any) -> None:
        self.rights.remove(mailbox)

    @property
    def cursors(self) -> Any:
        return SimpleNamespace(seal=lambda place: f"after {place.pos}")

    def place(self) -> Position | None:
        return None if self.waiting else at(self.head)

    @property
    def still(self) -> Still:
        return Still(Settled(cast("Hub", self), self.place), self.items)

    async def items(self, _: Any, cursor: str) -> AsyncGenerator[Any, None]:
        self.begun_after.append(cursor)
        while True:
            item = await self.source.get()
            if isinstance(item, Exception):
                raise item
            yield item

    async def answer(self, item: Item, _: Any) -> Answer:
        self.answered.append(item.pos)
        body: dict[str, Any] = {"data": item.pos}
        if item.spoilt:
            body["errors"] = [{"message": "not for all"}]
        return Answer(body, b"")

    def sit(self, member: Member, client: str = "client:1", knows: Says | None = None) -> bool:
        return self.groups.seat(member, "the same", self.still, self, self.context(client), self.context, knows)

    def context(self, client: str = "client:1") -> Context:
        principal = Principal(kind=Kind.STAFF, id=client)
        nothing = cast("Any", None)
        return Context(principal=principal, reads=nothing, runner=nothing, services=None, request_id="")

    async def comes(self, *items: Any) -> None:
        for item in items:
            self.source.put_nowait(item)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_each_is_told_what_lies_beyond_its_own_place(stage: Stage) -> None:
    first, second = Member(), Member()
    stage.sit(first)
    stage.head = 13  # the second has been told up to there, the group has yet to come so far
    stage.sit(second)

    await stage.comes(Item(12, 12), Item(14, 14))

    assert (first.heard, second.heard) == ([12, 14], [14])
    assert stage.begun_after == ["after 10"]


async def test_nobody_is_seated_for_whom_something_waits(stage: Stage) -> None:
    stage.waiting = True

    assert not stage.sit(Member())
    assert len(stage.groups) == 0


async def test_an_answer_with_an_error_is_everyones_own(stage: Stage) -> None:
    member = Member()
    stage.sit(member)

    await stage.comes(Item(11, 11), Item(15, 15, spoilt=True))

    assert (member.heard, member.went_on_after) == ([11], 14)
    assert len(stage.groups) == 0
    assert stage.rights == []


@pytest.mark.parametrize("odd", [RuntimeError("boom"), object()], ids=["a source that fails", "a snapshot"])
async def test_what_a_group_cannot_tell_its_members_find_out_alone(stage: Stage, odd: object) -> None:
    one, other = Member(), Member()
    stage.sit(one)
    stage.sit(other)

    await stage.comes(Item(12, 12), odd)

    assert (one.went_on_after, other.went_on_after) == (12, 12)
    assert (stage.groups.seats, stage.rights) == (0, [])


async def test_who_takes_no_more_goes_on_from_there_and_the_others_stay(stage: Stage) -> None:
    slow, quick = Member(room=1), Member()
    stage.sit(slow)
    stage.sit(quick)

    await stage.comes(Item(11, 11), Item(20, 20), Item(21, 21))

    assert (slow.heard, slow.went_on_after) == ([11], 19)
    assert (quick.heard, quick.went_on_after) == ([11, 20, 21], None)
    assert stage.groups.seats == 1


async def test_of_changes_that_one_event_made_none_is_passed_over(stage: Stage) -> None:
    """Only the last of them says that all up to there has been told."""
    member = Member(room=1)
    stage.sit(member)

    await stage.comes(Item(12, 10), Item(12, 12))

    assert (member.heard, member.went_on_after) == ([12], 11)


async def test_a_long_silence_has_been_told_too(stage: Stage) -> None:
    """Who leaves after it goes on from the head, not from the last item, which the log may no longer hold."""
    member = Member()
    stage.sit(member)
    await stage.comes(stage.still)
    stage.head = 900

    stage.rights[0].note_rights(UUID(int=5))
    assert member.group is not None
    member.client = f"client:{UUID(int=5)}"
    stage.rights[0].note_rights(UUID(int=5))

    assert member.went_on_after == 900


async def test_only_the_client_whose_rights_have_changed_goes(stage: Stage) -> None:
    changed, other = Member(), Member()
    stage.sit(changed, f"client:{UUID(int=7)}")
    stage.sit(other)

    stage.rights[0].note_rights(UUID(int=7))
    await stage.comes(Item(11, 11))

    assert (changed.heard, changed.went_on_after) == ([], 10)
    assert other.heard == [11]


@pytest.mark.parametrize("what", ["overflow", "renumber"])
async def test_when_it_is_unknown_whose_rights_have_changed_all_go(stage: Stage, what: str) -> None:
    member = Member()
    stage.sit(member)

    getattr(stage.rights[0], what)()
    await stage.comes(Item(11, 11))

    assert (member.heard, member.went_on_after) == ([], 10)


async def test_who_leaves_while_a_large_group_is_told_hears_no_more(stage: Stage) -> None:
    members = [Member() for _ in range(600)]
    for member in members:
        stage.sit(member)
    members[0].tell = lambda *_: bool(members[-1].leave() or True)  # type: ignore[method-assign]

    await stage.comes(Item(11, 11))

    assert members[-1].heard == []
    assert all(member.heard == [11] for member in members[1:-1])
    assert stage.groups.seats == 599


async def test_the_group_ends_with_its_last_member(stage: Stage) -> None:
    member = Member()
    stage.sit(member)
    await stage.comes()

    member.leave()

    assert (len(stage.groups), stage.rights) == (0, [])
    await stage.comes(Item(11, 11))
    assert (member.heard, member.went_on_after) == ([], None)


async def test_only_news_is_told_and_made(stage: Stage) -> None:
    """Each is told what it does not know, whatever was told to others last."""
    one, other = Member(), Member()
    stage.sit(one, knows=Says("C"))
    stage.sit(other, knows=Says("D"))  # which it was told while the group was behind

    await stage.comes(Item(11, 11, says=Says("C")))
    assert (one.heard, other.heard) == ([], [11])
    await stage.comes(Item(12, 12, says=Says("C")))
    await stage.comes(Item(13, 13, says=Says("E")))

    assert (one.heard, other.heard) == ([13], [11, 13])
    assert stage.answered == [11, 13]


async def test_who_is_let_go_keeps_what_it_knows(stage: Stage) -> None:
    slow, quick = Member(room=1), Member()
    stage.sit(slow, knows=Says("A"))
    stage.sit(quick, knows=Says("A"))

    await stage.comes(Item(11, 11, says=Says("B")), Item(12, 12, says=Says("C")))

    assert (slow.went_on_after, slow.knows) == (11, Says("B"))
    assert (quick.heard, quick.knows) == ([11, 12], Says("C"))


async def test_all_who_know_the_same_share_what_they_know(stage: Stage) -> None:
    members = [Member() for _ in range(3)]
    for member in members:
        stage.sit(member, knows=Says("A"))

    assert len({id(member.knows) for member in members}) == 1
