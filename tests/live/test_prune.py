"""Old events go, positioned ones only; cursors from before are told so."""

from datetime import UTC, datetime, timedelta

from app.kernel.clock import FixedClock
from app.live.prune import prune
from app.live.replay import ResetReason
from app.live.ring import Ring
from tests.live.scene import Scene, eventually, things

MONTH = timedelta(days=30)


async def log_of(scene: Scene, ages_in_days: list[int]) -> FixedClock:
    clock = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))
    (thing,) = things(1)
    for age in ages_in_days:
        scene.clock = FixedClock(clock.now() - timedelta(days=age))  # type: ignore[assignment]
        await scene.write(thing)
    return clock


async def positions(scene: Scene) -> list[int | None]:
    return [row["pos"] for row in await scene.pool.fetch("SELECT pos FROM event_log ORDER BY id")]


async def test_events_go_up_to_the_first_young_one(scene: Scene) -> None:
    clock = await log_of(scene, [90, 40, 31, 29, 60, 1])
    assert await prune(scene.database, clock, retention=MONTH, keep=0) == 0  # none has a position yet
    running = scene.relay()
    await scene.settled()
    await running.stop()

    assert await prune(scene.database, clock, retention=MONTH, keep=0) == 3
    assert await prune(scene.database, clock, retention=MONTH, keep=0) == 0

    assert await positions(scene) == [4, 5, 6]
    assert await scene.pool.fetchval("SELECT pruned_pos FROM relay_shard") == 3


async def test_the_newest_events_stay_however_old(scene: Scene) -> None:
    clock = await log_of(scene, [90] * 10)
    scene.relay()
    await scene.settled()

    assert await prune(scene.database, clock, retention=MONTH, keep=4) == 6
    assert await positions(scene) == [7, 8, 9, 10]


async def test_a_cursor_from_before_the_pruned_position_is_reset_and_one_at_it_goes_on(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    follower = scene.follow(hub, [thing])
    await eventually(lambda: follower.items)
    for _ in range(6):
        await scene.write(thing)
    await follower.caught_up()
    cursors = {change.event.pos: change.cursor for change in follower.changes}
    later = FixedClock(scene.clock.now() + 2 * MONTH)

    assert await prune(scene.database, later, retention=MONTH, keep=2) == 4
    fresh = await scene.hub(ring=Ring())
    expired = scene.follow(fresh, [thing], after=cursors[3])
    kept = scene.follow(fresh, [thing], after=cursors[4])
    kept.versions[thing] = 4

    await expired.caught_up()
    await kept.caught_up()
    assert [reset.reason for reset in expired.resets] == [ResetReason.CURSOR_EXPIRED]
    assert [change.event.version for change in kept.changes] == [5, 6]
