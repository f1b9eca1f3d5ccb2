"""Attaching, resuming, falling behind and being reset: every version once, in order."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest

from app.kernel.ids import uuid7
from app.kernel.principal import Principal
from app.kernel.signing import Signer
from app.live import topics
from app.live.attachment import Ended, Snapshot
from app.live.cursor import CursorRefused, Cursors
from app.live.mailbox import EndReason, OrderedMailbox
from app.live.replay import ResetReason
from app.live.ring import Ring
from tests.live.scene import Follower, Scene, eventually, things


async def test_a_follower_gets_a_snapshot_and_then_every_version_soon(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    await scene.write(thing)
    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)

    for _ in range(20):
        await scene.write(thing)
        await asyncio.sleep(0.01)

    await follower.caught_up()
    assert isinstance(follower.items[0], Snapshot)
    assert follower.items[0].items == {thing: 1}
    assert [change.event.version for change in follower.changes] == list(range(2, 22))
    assert sorted(follower.latencies)[10] < 0.15


async def test_a_change_that_the_snapshot_shows_before_it_has_a_position_is_not_told_again(scene: Scene) -> None:
    hub = await scene.hub()
    thing, other = things(2)
    await scene.write(thing)
    await scene.write(thing)
    follower = scene.follow(hub, [thing, other])
    await eventually(lambda: follower.items)
    await scene.write(thing)
    await scene.write(other)

    scene.relay()

    await follower.caught_up()
    assert follower.items[0].items == {thing: 2}
    assert [(c.event.subject, c.event.version) for c in follower.changes] == [(thing, 3), (other, 1)]


async def test_resuming_at_a_snapshot_repeats_nothing_that_it_showed_ahead_of_its_position(scene: Scene) -> None:
    hub = await scene.hub()
    thing, other = things(2)
    await scene.write(thing)
    await scene.write(thing)
    follower = scene.follow(hub, [thing, other])
    await eventually(lambda: follower.items)
    await scene.write(other)
    await scene.write(thing)
    await follower.reconnect()

    running = scene.relay()
    await follower.caught_up()
    await running.stop()
    for cut in (1, 2):  # after each change, what is still ahead stays known
        again = scene.follow(hub, [thing, other], after=follower.items[cut].cursor)
        again.versions.update({thing: (2, 3)[cut - 1], other: 1})
        await again.caught_up()

    assert [(c.event.subject, c.event.version) for c in follower.changes] == [(other, 1), (thing, 3)]


async def test_a_relay_far_behind_does_not_keep_a_snapshot_waiting(scene: Scene) -> None:
    hub = await scene.hub()
    (thing,) = things(1)
    for _ in range(70):
        await scene.write(thing)

    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)
    await scene.write(thing)
    scene.relay()

    await follower.caught_up()
    assert [change.event.version for change in follower.changes] == [71]


@pytest.mark.parametrize("wait_for_the_position", [True, False])
async def test_changes_while_the_snapshot_is_read_arrive_once(scene: Scene, wait_for_the_position: bool) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    await scene.write(thing)
    await scene.settled()

    async def change_meanwhile() -> None:
        await scene.write(thing)
        if wait_for_the_position:
            await scene.settled()
            await asyncio.sleep(0.05)

    follower = Follower(scene, hub, [thing], before_snapshot=change_meanwhile)
    follower.start()

    await follower.caught_up()
    await eventually(lambda: len(follower.changes) == 1)
    assert follower.items[0].items == {thing: 1}
    await follower.stop()


async def race_attaching(scene: Scene, *, seconds: float, followers: int) -> None:
    """Old snapshot plus events equals fresh snapshot, for streams that begin and resume at any moment."""
    scene.relay()
    hubs = [await scene.hub(), await scene.hub(ring=Ring(events_max=50))]
    all_things = things(8)
    rng = random.Random(5)
    watching = [
        scene.follow(
            hubs[n % 2],
            rng.sample(all_things, rng.randint(1, 4)),
            mailbox=OrderedMailbox(events_max=rng.choice([1, 3, 256])),
            slow=rng.choice([0, 0, 0.02]),
        )
        for n in range(followers)
    ]
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            async with scene.pool.acquire() as connection, connection.transaction():
                for thing in sorted(rng.sample(all_things, 2)):
                    await scene.write(thing, connection=connection)
                    await asyncio.sleep(rng.random() * 0.01)

    async def restart() -> None:
        while not stop.is_set():
            follower = rng.choice(watching)
            if rng.random() < 0.5:
                follower.mailbox = OrderedMailbox(events_max=rng.choice([1, 3, 256]))
                await follower.reconnect(rng.choice(hubs))
            else:  # forget the cursor: a new snapshot must connect as well
                await follower.stop()
                follower.after, follower.last_pos, follower.mailbox = None, 0, None
                follower.start()
            await asyncio.sleep(rng.random() * 0.02)

    tasks = [asyncio.create_task(work()) for work in (write, write, write, restart)]
    await asyncio.sleep(seconds)
    stop.set()
    await asyncio.gather(*tasks)

    for follower in watching:
        follower.slow = 0
        await follower.caught_up()
        assert follower.resets == []


async def test_old_snapshot_plus_events_equals_fresh_snapshot(scene: Scene) -> None:
    await race_attaching(scene, seconds=3, followers=20)


@pytest.mark.long
async def test_old_snapshot_plus_events_equals_fresh_snapshot_for_long(scene: Scene) -> None:
    await race_attaching(scene, seconds=60, followers=40)


@pytest.mark.parametrize("from_memory", [True, False])
async def test_a_follower_resumes_where_it_was(scene: Scene, from_memory: bool) -> None:
    scene.relay()
    hub = await scene.hub()
    all_things = things(3)
    follower = scene.follow(hub, all_things[:2])
    await scene.write(all_things[0])
    await follower.caught_up()
    await follower.stop()

    for _ in range(450):  # more than one page
        await asyncio.gather(*(scene.write(thing) for thing in all_things))
    await scene.settled()
    if not from_memory:
        hub = await scene.hub()
    await eventually(lambda: hub.head().pos == 1351)
    await follower.reconnect(hub)

    await follower.caught_up()
    assert follower.resets == []
    assert (hub.stats.from_ring > 0, hub.stats.from_log > 0) == (from_memory, not from_memory)
    assert not any(change.event.subject == all_things[2] for change in follower.changes)


async def test_one_that_stops_reading_is_served_from_the_log_and_then_pushed_to_again(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub(ring=Ring(events_max=10))
    thing, other = things(2)
    gate = asyncio.Event()
    follower = scene.follow(hub, [thing, other], mailbox=OrderedMailbox(events_max=5), gate=gate)
    await eventually(lambda: follower.items)
    for n in range(600):
        await scene.write((thing, other)[n % 2])
    await eventually(lambda: hub.head().pos == 600, 20)
    assert hub.depth <= 5

    gate.set()
    await follower.caught_up()
    await eventually(lambda: hub.stats.pulling == 0)
    assert hub.stats.overflows >= 1
    from_log = hub.stats.from_log
    assert from_log > 400
    for _ in range(5):
        await scene.write(thing)
        await asyncio.sleep(0.05)
    await follower.caught_up()
    assert hub.stats.from_log == from_log
    assert follower.resets == []


async def test_an_event_on_several_of_ones_topics_comes_once(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    both = [topics.order(thing), topics.ORDERS, "customer:x"]
    follower = scene.follow(hub, [thing], topics=both)
    await eventually(lambda: follower.items)

    await scene.write(thing, topics=["customer:x"])
    await scene.write(thing)

    await follower.caught_up()
    assert len(follower.changes) == 2


async def test_hundreds_who_begin_at_once_all_get_everything(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    followers = [scene.follow(hub, [thing]) for _ in range(200)]
    for _ in range(10):
        await scene.write(thing)

    for follower in followers:
        await follower.caught_up()
    assert hub.mailboxes == 200
    for follower in followers:
        await follower.stop()
    assert hub.mailboxes == 0


async def test_rights_are_asked_for_each_event_also_when_it_is_replayed(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    mine, theirs = things(2)

    def accept(event: object, principal: Principal) -> bool:
        return principal.may("everything") or event.subject == mine  # type: ignore[attr-defined]

    follower = scene.follow(hub, [mine], topics=[topics.ORDERS], accept=accept)
    await eventually(lambda: follower.items)
    await scene.write(theirs)
    await scene.write(mine)
    await follower.caught_up()
    await follower.stop()
    await scene.write(theirs)
    await scene.write(mine)
    await follower.reconnect()

    await follower.caught_up()
    assert {change.event.subject for change in follower.changes} == {mine}


async def test_a_revoked_caller_gets_nothing_after_the_revocation(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    viewer = scene.viewer()
    follower = scene.follow(hub, [thing], viewer=viewer)
    await eventually(lambda: follower.items)
    await scene.announce(topics.AUTH, uuid7(), "api_client")  # somebody else
    await scene.write(thing)
    await follower.caught_up()
    assert viewer.renewals == 0

    viewer.admitted = False
    await scene.announce(topics.AUTH, UUID(int=1), "api_client")
    await scene.write(thing)

    await eventually(lambda: isinstance(follower.items[-1], Ended))
    assert follower.items[-1] == Ended(EndReason.ACCESS_REVOKED)
    assert len(follower.changes) == 1


@pytest.mark.parametrize("reading", [True, False])
async def test_a_revocation_is_heard_also_by_a_mailbox_that_is_full(scene: Scene, reading: bool) -> None:
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    gate, viewer = asyncio.Event(), scene.viewer()
    follower = scene.follow(hub, [thing], viewer=viewer, gate=gate, mailbox=OrderedMailbox(events_max=3))
    await eventually(lambda: follower.items)
    if reading:  # it stops at a change, else at the snapshot
        gate.set()
        await scene.write(thing)
        await follower.caught_up()
        gate.clear()
    for _ in range(10):
        await scene.write(thing)
    viewer.admitted = False
    await scene.announce(topics.AUTH, UUID(int=1), "api_client")
    await scene.settled()
    await eventually(lambda: hub.head().pos == 11 + reading)
    seen = len(follower.changes)

    gate.set()

    await eventually(lambda: isinstance(follower.items[-1], Ended))
    assert len(follower.changes) == seen


async def test_a_stream_ends_when_the_callers_credential_expires(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    soon = scene.follow(hub, [thing], viewer=scene.viewer(expires_at=scene.clock.now() + timedelta(seconds=0.5)))
    expired = scene.follow(hub, [thing], viewer=scene.viewer(expires_at=scene.clock.now()))
    await eventually(lambda: soon.items and expired.items)

    assert expired.items == [Ended(EndReason.CREDENTIAL_EXPIRED)]
    assert isinstance(soon.items[0], Snapshot)
    await eventually(lambda: soon.items[-1] == Ended(EndReason.CREDENTIAL_EXPIRED))
    assert hub.mailboxes == 0


async def test_a_tampered_cursor_is_refused_with_the_remedy(scene: Scene) -> None:
    hub = await scene.hub()
    (thing,) = things(1)
    good = scene.cursors.seal(hub.head())
    foreign = Cursors(Signer(b"another secret")).seal(hub.head())
    altered = ("B" if good.startswith("A") else "A") + good[1:]
    for bad in ("", "x", "nonsense", good[:-1], altered, foreign, good + "AAAA", "é"):
        follower = Follower(scene, hub, [thing], after=bad)
        with pytest.raises(CursorRefused, match="leave `after` out") as refused:
            await follower._run()
        assert refused.value.path == ["after"]


async def test_a_new_epoch_resets_every_stream_and_refuses_cursors_of_the_old_one(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    for _ in range(5):
        await scene.write(thing)
    await follower.caught_up()
    old_cursor = follower.items[-1].cursor

    await scene.pool.execute("UPDATE relay_shard SET epoch = gen_random_uuid()")
    await eventually(lambda: follower.resets and isinstance(follower.items[-1], Snapshot))
    await scene.write(thing)
    await follower.caught_up()
    late = scene.follow(hub, [thing], after=old_cursor)
    await late.caught_up()

    assert [reset.reason for reset in follower.resets] == [ResetReason.LOG_RENUMBERED]
    assert [type(item).__name__ for item in late.items] == ["Reset", "Snapshot"]
    assert late.resets[0].reason == ResetReason.LOG_RENUMBERED
    assert late.resets[0].cursor == old_cursor


async def test_a_log_that_was_set_back_resets_every_stream(scene: Scene) -> None:
    """A restore without a new epoch: positions go back, and cursors beyond the head are not taken."""
    running = scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)
    for _ in range(5):
        await scene.write(thing)
    await follower.caught_up()
    ahead, before = follower.changes[-1].cursor, follower.changes[1].cursor
    await running.stop()

    await scene.pool.execute("DELETE FROM event_log WHERE pos > 2")
    await scene.pool.execute("UPDATE relay_shard SET pos = 2")
    await eventually(lambda: follower.resets)
    late = scene.follow(hub, [thing], after=ahead)
    await eventually(lambda: late.resets)

    assert late.resets[0].reason == ResetReason.LOG_RENUMBERED

    scene.relay()
    await scene.write(thing)
    resumed = scene.follow(hub, [thing], after=before)
    await eventually(lambda: resumed.changes)
    assert [(change.event.pos, change.event.version) for change in resumed.changes] == [(3, 6)]
    assert len(hub.ring) == 1, "nothing of the log as it was before stays in memory"
