"""Redis and PostgreSQL go away and come back; nothing is lost, nothing comes twice."""

import asyncio
import os
import random
import signal
import time
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.embedded import Stores
from app.live.channel import channel
from app.live.outage import is_outage
from tests.live.scene import Follower, Scene, eventually, things


async def steady_writing(scene: Scene, all_things: list[UUID], until: asyncio.Event, pause: float = 0.005) -> int:
    """Change things at random until told to stop, over outages of PostgreSQL; how many changes were committed."""
    rng, written = random.Random(1), 0
    while not until.is_set():
        try:
            await scene.write(rng.choice(all_things))
            written += 1
        except Exception:
            await asyncio.sleep(0.05)
        await asyncio.sleep(pause)
    return written


async def crowd(scene: Scene, number: int) -> tuple[list[UUID], list[Follower]]:
    scene.relay()
    hubs = [await scene.hub(), await scene.hub()]
    for hub in hubs:
        await scene.pushing(hub)
    all_things = things(number)
    return all_things, [scene.follow(hubs[n % 2], [thing]) for n, thing in enumerate(all_things)]


async def churn(followers: list[Follower], until: asyncio.Event) -> int:
    """Followers reconnect at random with their last cursor, to another hub half of the time."""
    rng, reconnects = random.Random(2), 0
    hubs = [follower.hub for follower in followers[:2]]
    while not until.is_set():
        await rng.choice(followers).reconnect(rng.choice(hubs))
        reconnects += 1
        await asyncio.sleep(0.03)
    return reconnects


async def outages(stores: Stores, scene: Scene, *, rounds: int, down: float) -> None:
    all_things, followers = await crowd(scene, 20)
    done = asyncio.Event()
    writing = asyncio.create_task(steady_writing(scene, all_things, done))
    churning = asyncio.create_task(churn(followers, done))
    for _ in range(rounds):
        await asyncio.sleep(0.7)
        await asyncio.to_thread(stores.valkey.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(stores.valkey.stop)
        await asyncio.sleep(down)
        await asyncio.to_thread(stores.valkey.start)
        await asyncio.sleep(0.7)
        await asyncio.to_thread(stores.postgresql.kill)
        await asyncio.to_thread(stores.postgresql.wait_ready)
    await asyncio.sleep(1)
    done.set()
    written, reconnects = await writing, await churning
    await scene.settled()

    for follower in followers:
        await follower.caught_up(20)
        assert follower.resets == []
    assert written > 200 * rounds
    assert reconnects > 20 * rounds
    head = await scene.pool.fetchval("SELECT pos FROM relay_shard")
    assert head == await scene.pool.fetchval("SELECT count(*) FROM event_log")


async def test_no_version_is_missed_or_repeated_while_stores_die(mortal: Stores, mortal_scene: Scene) -> None:
    await outages(mortal, mortal_scene, rounds=1, down=1)


@pytest.mark.long
async def test_no_version_is_missed_or_repeated_while_stores_die_again_and_again(
    mortal: Stores, mortal_scene: Scene
) -> None:
    await outages(mortal, mortal_scene, rounds=12, down=3)


async def test_events_arrive_within_two_seconds_without_redis_and_are_pushed_again_after(
    mortal: Stores, mortal_scene: Scene
) -> None:
    scene = mortal_scene
    all_things, followers = await crowd(scene, 2)
    await eventually(lambda: all(follower.items for follower in followers))
    await asyncio.to_thread(mortal.valkey.stop)

    for _ in range(20):
        await scene.write(all_things[0])
        await asyncio.sleep(0.05)
    await followers[0].caught_up()
    assert max(followers[0].latencies) < 2

    await asyncio.to_thread(mortal.valkey.start)
    await scene.pushing(followers[0].hub)
    followers[0].latencies.clear()
    for _ in range(10):
        await scene.write(all_things[0])
        await asyncio.sleep(0.02)
    await followers[0].caught_up()
    assert sorted(followers[0].latencies)[5] < 0.15
    assert followers[0].hub.source.stats.reconnects >= 1


async def test_a_redis_that_hangs_is_noticed_by_its_silence(mortal: Stores, mortal_scene: Scene) -> None:
    scene = mortal_scene
    (thing, _), (follower, _) = await crowd(scene, 2)
    await eventually(lambda: follower.items)
    assert mortal.valkey.pid is not None
    os.kill(mortal.valkey.pid, signal.SIGSTOP)
    try:
        await scene.write(thing)
        await follower.caught_up()
    finally:
        os.kill(mortal.valkey.pid, signal.SIGCONT)

    assert follower.latencies[0] < 2
    assert follower.hub.healthy


async def test_streams_outlive_postgresql_and_begin_while_it_is_away(mortal: Stores, mortal_scene: Scene) -> None:
    scene = mortal_scene
    (thing, other), (follower, _) = await crowd(scene, 2)
    await scene.write(thing)
    await follower.caught_up()
    await asyncio.to_thread(mortal.postgresql.stop)

    begun = scene.follow(follower.hub, [other])
    await asyncio.sleep(0.5)
    assert begun.task is not None
    assert not begun.task.done()
    await asyncio.to_thread(mortal.postgresql.start)
    await scene.write(thing)
    await scene.write(other)

    await follower.caught_up()
    await begun.caught_up()
    assert follower.resets == []


async def test_messages_that_are_not_ours_are_counted_and_passed_over(scene: Scene, redis) -> None:  # type: ignore[no-untyped-def]
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    strangers = [
        b"\xff\xfe\x00",
        b"",
        b"[]",
        b"7",
        b'"x"',
        b"null",
        b"{}",
        b'{"epoch": 1, "pos": 2}',
        b'{"epoch": "x"}',
    ]
    strangers.append(b'{"epoch": "00000000-0000-0000-0000-000000000000", "pos": 5, "events": [{"pos": "a"}]}')

    for stranger in strangers:
        await redis.publish(channel(0), stranger)
    await scene.write(thing)

    await follower.caught_up()
    assert hub.source.stats.malformed == len(strangers)
    assert follower.resets == []


async def test_a_message_of_a_foreign_epoch_resets_nobody(scene: Scene, redis) -> None:  # type: ignore[no-untyped-def]
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)

    await redis.publish(channel(0), b'{"epoch": "00000000-0000-0000-0000-000000000000", "pos": 99}')
    await scene.write(thing)

    await follower.caught_up()
    assert follower.resets == []


async def test_a_message_that_was_never_sent_is_found_missing(scene: Scene) -> None:
    running = scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)
    send, lost = running.relay.publisher.send, []

    def lose_events(message: bytes) -> None:
        lost.append(message) if b'"events"' in message else send(message)

    running.relay.publisher.send = lose_events  # type: ignore[method-assign]
    started = time.monotonic()
    await scene.write(thing)
    await follower.caught_up()

    assert lost
    assert hub.source.stats.gaps >= 1
    assert time.monotonic() - started < 1.5


async def test_what_is_wrong_with_a_statement_is_no_outage(scene: Scene) -> None:
    """Though it may bear the code with which a database refuses connections, which waiting mends."""
    wrong = "DO $$ DECLARE nothing record; BEGIN RAISE NOTICE '%', nothing.id; END $$"

    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError) as hot:
        await scene.database.calls.value(wrong)
    with pytest.raises(DBAPIError) as general:
        async with scene.database.transaction() as db:
            await db.execute(text(wrong))

    assert not is_outage(hot.value)
    assert not is_outage(general.value)
