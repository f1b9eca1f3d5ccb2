"""The live layer's parts that need no store: cursors, ring, mailboxes, messages, drain."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.signing import Signer
from app.live import channel
from app.live.cursor import CursorRefused, Cursors
from app.live.drain import Drain
from app.live.events import LoggedEvent, Position
from app.live.mailbox import LatestMailbox, Mailbox, OrderedMailbox
from app.live.ring import Ring

EPOCH = UUID(int=7)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(pos: int, *topics: str, size: int = 2) -> LoggedEvent:
    body = orjson.dumps({"x": "y" * size}).decode()
    return LoggedEvent(EPOCH, pos, "order", UUID(int=pos), 1, "Changed", topics or ("orders",), body, "system:test", AT)


# Cursors


@given(
    st.uuids(), st.integers(0, 2**16 - 1), st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**63 - 1), max_size=64)
)
def test_a_cursor_opens_to_what_was_sealed(epoch: UUID, shard: int, pos: int, ahead: list[int]) -> None:
    cursors = Cursors(Signer(b"secret"))
    position = Position(epoch, shard, pos, tuple(ahead))

    assert cursors.open(cursors.seal(position)) == position


@given(st.integers(0), st.characters(codec="ascii", categories=["L", "N"]))
def test_a_cursor_with_one_letter_changed_is_refused(where: int, letter: str) -> None:
    cursors = Cursors(Signer(b"secret"))
    cursor = cursors.seal(Position(EPOCH, 0, 12))
    at = where % len(cursor)
    altered = cursor[:at] + letter + cursor[at + 1 :]

    if altered == cursor:
        return
    try:
        assert cursors.open(altered) == Position(EPOCH, 0, 12)  # spare bits of the last letter of base64
    except CursorRefused:
        return
    assert at == len(cursor) - 1


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(CursorRefused):
        Cursors(Signer(b"secret")).open(text)


# Ring


@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), max_size=60),
    st.integers(1, 20),
    st.integers(1, 5),
)
def test_a_ring_pages_like_a_list(all_topics: list[list[str]], events_max: int, limit: int) -> None:
    ring = Ring(events_max=events_max)
    events = [event(pos, *topics) for pos, topics in enumerate(all_topics, 1)]
    for each in events:
        ring.append(each)
    kept = events[-events_max:]

    assert len(ring) == len(kept)
    for after in range(len(events) + 1):
        assert ring.covers(after) == (bool(kept) and after >= kept[0].pos - 1)
        if ring.covers(after):
            wanted = [e for e in kept if e.pos > after and {"a", "b"} & set(e.topics)]
            assert ring.page(["a", "b"], after=after, upto=99, limit=limit) == wanted[:limit]
            assert ring.page(["a", "b"], after=after, upto=after + 3, limit=99) == [
                e for e in wanted if e.pos <= after + 3
            ]


def test_a_ring_is_bounded_in_bytes_and_forgets_topics() -> None:
    ring = Ring(bytes_max=50_000)
    for pos in range(1, 2_000):
        ring.append(event(pos, f"order:{pos}", "orders", size=1_000))

    assert 20 < len(ring) < 50
    assert len(ring._by_topic) == len(ring) + 1
    assert len(ring._by_topic["orders"]) < 4 * len(ring)


# Mailboxes


async def test_a_full_mailbox_drops_its_content_and_says_so() -> None:
    mailbox = OrderedMailbox(events_max=3)
    for pos in range(1, 6):
        mailbox.offer(event(pos))

    assert mailbox.overflowed
    assert mailbox.take() == []
    mailbox.rearm()
    mailbox.offer(event(6))
    assert [each.pos for each in mailbox.take()] == [6]


async def test_a_mailbox_is_bounded_in_bytes_but_takes_one_large_event() -> None:
    mailbox = OrderedMailbox(bytes_max=2_000)
    mailbox.offer(event(1, size=100_000))
    assert len(mailbox.take()) == 1

    for pos in range(2, 10):
        mailbox.offer(event(pos, size=500))
    assert mailbox.overflowed


async def test_an_event_offered_twice_is_taken_once() -> None:
    mailbox = OrderedMailbox()
    for pos in (1, 1, 2, 1):
        mailbox.offer(event(pos))

    assert [each.pos for each in mailbox.take()] == [1, 2]


async def test_a_mailbox_wakes_its_reader_also_for_what_came_before_it_waited() -> None:
    mailbox = OrderedMailbox()
    mailbox.offer(event(1))
    await asyncio.wait_for(mailbox.ready(), 1)
    mailbox.take()
    waiting = asyncio.create_task(mailbox.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    mailbox.offer(event(2))
    await asyncio.wait_for(waiting, 1)


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=40))
def test_a_latest_mailbox_keeps_each_keys_last_position(touches: list[list[int]]) -> None:
    mailbox = LatestMailbox(lambda e: touches[e.pos - 1])
    for pos in range(1, len(touches) + 1):
        mailbox.offer(event(pos))
    expected = {key: pos for pos, keys in enumerate(touches, 1) for key in keys}
    assert mailbox.take() == expected
    assert mailbox.take() == {}


async def test_a_fault_in_ones_keys_reaches_that_reader_only() -> None:
    def fail(event: LoggedEvent) -> list[int]:
        raise KeyError("stock")

    broken, sound = LatestMailbox(fail), OrderedMailbox()
    mailboxes: list[Mailbox] = [broken, sound]
    for mailbox in mailboxes:
        mailbox.offer(event(1))

    assert len(sound.take()) == 1
    with pytest.raises(KeyError):
        await broken.ready()


# Messages


def row(pos: int, size: int = 10) -> dict[str, object]:
    return {
        "pos": pos,
        "id": pos,
        "aggregate": "order",
        "subject": UUID(int=pos),
        "version": 1,
        "type": "Changed",
        "topics": ["orders", "é"],
        "body": orjson.dumps({"name": "ü" * size}).decode(),
        "actor": "system:test",
        "occurred_at": AT,
    }


def test_batches_arrive_as_sent_in_messages_of_bounded_size() -> None:
    rows = [row(pos, size=5_000) for pos in range(1, 101)]
    messages = list(channel.batches(EPOCH, rows))

    assert len(messages) > 5
    assert max(map(len, messages)) < 150_000
    read = [channel.read(message) for message in messages]
    events = [each for message in read for each in message.events]
    assert [each.pos for each in events] == list(range(1, 101))
    assert [message.pos for message in read] == [message.events[-1].pos for message in read]
    assert events[0].payload == {"name": "ü" * 5_000}
    assert events[0].topics == ("orders", "é")
    assert (events[0].epoch, events[0].subject, events[0].occurred_at) == (EPOCH, UUID(int=1), AT)


@given(st.one_of(st.binary(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr).map(str.encode)))
def test_what_is_not_a_message_is_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(channel.Malformed):
        channel.read(data)


# Drain


async def test_sockets_are_let_go_in_batches_over_the_time() -> None:
    drain, closed = Drain(), list[float]()
    for _ in range(100):
        drain.register(lambda: closed.append(time.monotonic()))
    take_back = drain.register(lambda: pytest.fail("it had closed by itself"))
    take_back()

    started = time.monotonic()
    await drain.drain(0.5)

    assert drain.closing
    assert len(closed) == 100
    assert 0.2 < closed[-1] - started < 1
    assert sum(at - started < 0.05 for at in closed) < 40


async def test_a_socket_that_cannot_be_closed_keeps_no_other_open() -> None:
    drain, closed = Drain(), list[int]()

    def fail() -> None:
        raise OSError

    drain.register(fail)
    drain.register(lambda: closed.append(1))
    await drain.drain(0)

    assert closed == [1]
    assert len(drain) == 0
