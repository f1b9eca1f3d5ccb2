"""Positions: dense, in order per aggregate, whatever happens to leaders."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import structlog

from app.live.relay import Relay
from tests.live.scene import Scene, eventually, things

RELAY = """
import asyncio, sys
from app.kernel.clock import SystemClock
from app.live.relay import Relay
asyncio.run(Relay(sys.argv[1], sys.argv[2], SystemClock()).run())
"""
LEADER = """
    SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted
        AND a.application_name = 'orderwire-relay' AND a.datname = current_database()
"""


async def relay_process(scene: Scene) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RELAY,
        scene.dsn,
        scene.redis_url,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.DEVNULL,
    )


async def leader_pid(scene: Scene) -> int | None:
    return await scene.pool.fetchval(LEADER)


async def until_led(scene: Scene) -> int:
    async with asyncio.timeout(10):
        while (pid := await leader_pid(scene)) is None:
            await asyncio.sleep(0.02)
    return pid


async def write_at_random(scene: Scene, all_things: list[UUID], until: float, rng: random.Random) -> int:
    """Short and long transactions of one to three changes, some rolled back; how many changes were committed."""
    committed = 0
    while time.monotonic() < until:
        chosen = sorted(rng.sample(all_things, rng.randint(1, 3)))
        async with scene.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            for thing in chosen:
                await scene.write(thing, connection=connection)
                if rng.random() < 0.5:
                    await asyncio.sleep(rng.random() * 0.01)
            if rng.random() < 0.05:
                await transaction.rollback()
            else:
                await transaction.commit()
                committed += len(chosen)
                scene.nudger.nudge()
    return committed


async def race_writers_and_leaders(scene: Scene, seconds: float, kills: int) -> None:
    relays = [scene.relay(), scene.relay()]
    hub = await scene.hub()
    await scene.pushing(hub)
    all_things = things(100)
    follower = scene.follow(hub, all_things, topics=["orders"])
    await eventually(lambda: follower.items)

    until = time.monotonic() + seconds
    writers = [asyncio.create_task(write_at_random(scene, all_things, until, random.Random(n))) for n in range(24)]
    for killed in range(kills):
        await asyncio.sleep(seconds / (kills + 1))
        # Whoever leads has counted it: a leader killed before would be one too few.
        await eventually(lambda led=killed + 1: sum(running.relay.stats.elections for running in relays) == led)
        await scene.pool.execute("SELECT pg_terminate_backend($1)", await until_led(scene))
    committed = sum(await asyncio.gather(*writers))
    head = await scene.settled()

    assert committed > 500
    # The last one may have been killed with nothing left to do, and is missed a moment later.
    await eventually(lambda: sum(running.relay.stats.elections for running in relays) == kills + 1)
    rows = await scene.pool.fetch("SELECT pos, subject, version FROM event_log ORDER BY pos")
    assert [row["pos"] for row in rows] == list(range(1, committed + 1))
    assert head == committed
    seen: dict[UUID, int] = {}
    for row in rows:
        assert row["version"] == seen.get(row["subject"], 0) + 1
        seen[row["subject"]] = row["version"]
    await follower.caught_up()
    assert len(follower.changes) == committed


async def test_positions_are_dense_and_ordered_under_concurrent_writers_and_killed_leaders(scene: Scene) -> None:
    await race_writers_and_leaders(scene, seconds=4, kills=3)


@pytest.mark.long
async def test_positions_are_dense_and_ordered_for_a_minute(scene: Scene) -> None:
    await race_writers_and_leaders(scene, seconds=60, kills=40)


async def test_a_standby_takes_over_within_two_seconds_of_kill_9(scene: Scene) -> None:
    first = await relay_process(scene)
    pid = await until_led(scene)
    standby = scene.relay()
    await asyncio.sleep(0.3)
    assert await leader_pid(scene) == pid
    (thing,) = things(1)

    first.kill()
    killed_at = time.monotonic()
    await scene.write(thing)
    await scene.settled()

    assert time.monotonic() - killed_at < 2
    assert standby.relay.stats.leading
    await first.wait()


async def test_a_leader_that_hangs_is_deposed_and_stays_harmless_when_it_wakes(scene: Scene) -> None:
    first = await relay_process(scene)
    await until_led(scene)
    standby = scene.relay()
    (thing,) = things(1)

    os.kill(first.pid, signal.SIGSTOP)
    try:
        await scene.write(thing)
        await asyncio.wait_for(scene.settled(), 10)
        assert standby.relay.stats.leading
    finally:
        os.kill(first.pid, signal.SIGCONT)
    for _ in range(50):
        await scene.write(thing)
    head = await scene.settled()

    assert head == 51
    assert standby.relay.stats.leading
    first.kill()
    await first.wait()


async def test_two_leaders_at_once_are_kept_apart_by_the_fence(scene: Scene) -> None:
    """As if the lock had failed: both assign, and the row lock alone keeps positions dense."""
    relays = [scene.relay(), scene.relay()]
    await eventually(lambda: any(running.relay.stats.leading for running in relays))
    second = next(running.relay for running in relays if not running.relay.stats.leading)
    intruder = await asyncpg.connect(scene.dsn)
    lead = asyncio.create_task(second._lead(intruder))
    all_things = things(20)

    for _ in range(10):
        await asyncio.gather(*(scene.write(thing) for thing in all_things))
    head = await scene.settled()

    assert head == 200
    positions = await scene.pool.fetch("SELECT pos FROM event_log ORDER BY pos")
    assert [row["pos"] for row in positions] == list(range(1, 201))
    assert second.stats.positioned > 0
    assert not lead.done(), "neither ran into the other's positions"
    lead.cancel()
    await asyncio.gather(lead, return_exceptions=True)
    await intruder.close()


async def test_the_oldest_waiting_event_is_told(scene: Scene) -> None:
    (thing,) = things(1)
    await scene.write(thing)
    await asyncio.sleep(0.3)
    told: list[float] = []

    scene.relay(watched=lambda stats: told.append(stats.oldest_seconds))
    await scene.settled()

    await eventually(lambda: told and told[-1] == 0.0)
    assert max(told) >= 0.3


async def test_what_keeps_it_from_its_work_is_told_once_and_so_is_the_end_of_it(scene: Scene) -> None:
    with structlog.testing.capture_logs() as logged:
        relay = Relay(scene.dsn, scene.redis_url, scene.clock)
        running = asyncio.create_task(relay.run())
        await eventually(lambda: relay.stats.in_place)
        await scene.pool.execute("ALTER TABLE event_log RENAME COLUMN topics TO gone")
        await scene.pool.execute(
            "INSERT INTO event_log (aggregate, subject, version, type, gone, payload, actor, occurred_at)"
            " VALUES ('order', gen_random_uuid(), 1, 'ThingChanged', '{}', '{}', 'system:test', now())"
        )
        await eventually(lambda: relay.stats.outages > 3)
        was_in_place = relay.stats.in_place
        await scene.pool.execute("ALTER TABLE event_log RENAME COLUMN gone TO topics")
        await eventually(lambda: relay.stats.in_place and relay.stats.positioned == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    told = [line["event"] for line in logged if line["event"].startswith("relay")]
    assert told == ["relay leads", "relay stumbled; it goes on", "relay leads again"]
    assert not was_in_place


async def test_one_that_waits_for_the_leader_to_fall_is_in_its_place(scene: Scene) -> None:
    relays = [Relay(scene.dsn, scene.redis_url, scene.clock) for _ in range(2)]
    running = [asyncio.create_task(relay.run()) for relay in relays]

    await eventually(lambda: all(relay.stats.in_place for relay in relays))

    assert sorted(relay.stats.leading for relay in relays) == [False, True]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
