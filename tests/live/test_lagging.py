"""Readers that lag while the log moves on, is pruned or set back behind them."""

import asyncio
from datetime import timedelta

from app.kernel.clock import FixedClock
from app.live.attachment import Snapshot
from app.live.mailbox import OrderedMailbox
from app.live.prune import prune
from app.live.replay import ResetReason
from app.live.ring import Ring
from tests.live.scene import Scene, eventually, things


async def test_a_quiet_stream_is_not_reset_when_a_burst_follows_a_long_silence(scene: Scene) -> None:
    """It had been offered everything: that its last position is pruned by now does not matter."""
    scene.relay()
    hub = await scene.hub(ring=Ring(events_max=10))
    quiet, busy = things(2)
    follower = scene.follow(hub, [quiet], mailbox=OrderedMailbox(events_max=5))
    await eventually(lambda: follower.items)
    for _ in range(60):
        await scene.write(busy)
    await scene.settled()
    await eventually(lambda: hub.head().pos == 60)
    later = FixedClock(scene.clock.now() + timedelta(days=90))
    assert await prune(scene.database, later, retention=timedelta(days=30), keep=20) == 40

    async with scene.pool.acquire() as connection, connection.transaction():
        for _ in range(15):
            await scene.write(quiet, connection=connection)

    await follower.caught_up()
    await eventually(lambda: len(follower.changes) == 15)
    assert hub.stats.overflows >= 1
    assert follower.resets == []


async def test_a_reader_that_the_log_is_pruned_away_from_is_told_so(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub(ring=Ring(events_max=10))
    (thing,) = things(1)
    gate = asyncio.Event()
    follower = scene.follow(hub, [thing], mailbox=OrderedMailbox(events_max=5), gate=gate)
    await eventually(lambda: follower.items)
    for _ in range(60):
        await scene.write(thing)
    await scene.settled()
    await eventually(lambda: hub.head().pos == 60)
    later = FixedClock(scene.clock.now() + timedelta(days=90))
    assert await prune(scene.database, later, retention=timedelta(days=30), keep=20) == 40

    gate.set()

    await follower.caught_up()
    assert [type(item).__name__ for item in follower.items] == ["Snapshot", "Reset", "Snapshot"]
    assert follower.resets[0].reason == ResetReason.CURSOR_EXPIRED


async def test_a_log_that_is_set_back_while_a_reader_pulls_resets_it(scene: Scene) -> None:
    running = scene.relay()
    hub = await scene.hub(ring=Ring(events_max=10))
    (thing,) = things(1)
    gate = asyncio.Event()
    follower = scene.follow(hub, [thing], mailbox=OrderedMailbox(events_max=5), gate=gate)
    await eventually(lambda: follower.items)
    for _ in range(400):
        await scene.write(thing)
    await scene.settled()
    await eventually(lambda: hub.head().pos == 400, 20)
    await running.stop()
    gate.set()
    await eventually(lambda: follower.changes)
    gate.clear()

    await scene.pool.execute("DELETE FROM event_log WHERE pos > 2")
    await scene.pool.execute("UPDATE relay_shard SET pos = 2")
    await eventually(lambda: hub.head().pos == 2, 10)
    gate.set()

    await eventually(lambda: follower.resets and isinstance(follower.items[-1], Snapshot))
    assert [reset.reason for reset in follower.resets] == [ResetReason.LOG_RENUMBERED]
