"""Latest values: bursts conflate, the last value always arrives, cursors never skip a key."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.kernel.db import Reads
from app.live import topics
from app.live.attachment import Reset, Settled, Snapshot, State
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.latest import LatestChange, follow_latest
from app.live.mailbox import BEYOND
from app.live.replay import ResetReason
from tests.live.scene import Scene, eventually, things


class Watcher:
    """Follows the worth of things."""

    def __init__(self, scene: Scene, hub: Hub, **options: Any) -> None:
        self.items: list[Any] = []
        self.worth: dict[UUID, int] = {}
        self.batches: list[int] = []
        self.task = asyncio.create_task(self._run(scene, hub, options))

    async def _run(self, scene: Scene, hub: Hub, options: dict[str, Any]) -> None:
        stream = follow_latest(
            hub,
            scene.viewer(),
            topics=[topics.STOCK],
            keys=self._keys,
            snapshot=self._snapshot,
            read=self._read,
            **options,
        )
        try:
            async for item in stream:
                self.items.append(item)
                if isinstance(item, Snapshot):
                    self.worth = dict(item.items)
                if isinstance(item, LatestChange):
                    self.worth[item.key] = item.value
        finally:
            await stream.aclose()

    def _keys(self, event: LoggedEvent) -> Iterable[UUID]:
        return [UUID(key) for key in event.payload["stock"]]

    async def _snapshot(self, reads: Reads) -> State[Mapping[UUID, int]]:
        rows = await reads.all(text("SELECT id, worth FROM thing"))
        return State({row.id: row.worth for row in rows})

    async def _read(self, reads: Reads, keys: Collection[UUID]) -> Mapping[UUID, int]:
        self.batches.append(len(keys))
        rows = await reads.all(text("SELECT id, worth FROM thing WHERE id = ANY(:ids)"), {"ids": list(keys)})
        return {row.id: row.worth for row in rows}

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    @property
    def changes(self) -> list[LatestChange[UUID, int]]:
        return [item for item in self.items if isinstance(item, LatestChange)]


async def set_worth(scene: Scene, thing: UUID, worth: int) -> None:
    await scene.write(thing, topics=[topics.STOCK], worth=worth, payload={"stock": [str(thing)]})


async def test_a_burst_conflates_and_ends_on_the_last_value(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    all_things = things(3)
    watcher = Watcher(scene, hub, throttle_seconds=0.2)
    await eventually(lambda: watcher.items)

    for worth in range(1, 201):
        await set_worth(scene, all_things[worth % 3], worth)

    await eventually(lambda: sorted(watcher.worth.values()) == [198, 199, 200])
    assert len(watcher.changes) < 60
    assert max(watcher.batches) == 3
    await watcher.stop()


async def test_the_first_change_after_a_pause_is_not_throttled(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    await scene.pushing(hub)
    (thing,) = things(1)
    watcher = Watcher(scene, hub, throttle_seconds=5)
    await eventually(lambda: watcher.items)

    await set_worth(scene, thing, 7)

    await eventually(lambda: watcher.worth == {thing: 7}, 1)
    await watcher.stop()


async def test_resuming_tells_the_present_value_of_what_changed_meanwhile(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    all_things = things(4)
    for thing in all_things:
        await set_worth(scene, thing, 1)
    await scene.settled()
    first = Watcher(scene, hub)
    await eventually(lambda: first.items)
    await first.stop()
    for worth in (2, 3):
        for thing in all_things[:2]:
            await set_worth(scene, thing, worth)
    await scene.settled()
    await eventually(lambda: hub.head().pos == 8)

    second = Watcher(scene, hub, after=first.items[-1].cursor)
    await eventually(lambda: len(second.changes) == 2)

    assert second.worth == {all_things[0]: 3, all_things[1]: 3}
    # Cut after the first of the two, a client must be told the second when it comes back.
    third = Watcher(scene, hub, after=second.changes[0].cursor)
    await eventually(lambda: third.changes)
    assert third.worth == {all_things[1]: 3}
    fourth = Watcher(scene, hub, after=third.changes[0].cursor)
    await set_worth(scene, all_things[3], 9)
    await eventually(lambda: fourth.changes)
    assert fourth.worth == {all_things[3]: 9}
    for watcher in (second, third, fourth):
        await watcher.stop()


async def test_more_keys_than_there_is_room_for_start_over_with_a_snapshot(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    all_things = things(20)
    watcher = Watcher(scene, hub, keys_max=10, throttle_seconds=0.3)
    await eventually(lambda: watcher.items)
    await set_worth(scene, all_things[0], 1)
    await eventually(lambda: watcher.changes)

    for thing in all_things:
        await set_worth(scene, thing, 5)

    await eventually(lambda: list(watcher.worth.values()) == [5] * 20)
    assert [item.reason for item in watcher.items if isinstance(item, Reset)] == [ResetReason.TOO_MANY_CHANGES]
    await watcher.stop()


async def test_a_cursor_of_another_epoch_starts_over_with_a_snapshot(scene: Scene) -> None:
    scene.relay()
    hub = await scene.hub()
    (thing,) = things(1)
    await set_worth(scene, thing, 1)
    await scene.settled()
    watcher = Watcher(scene, hub)
    await eventually(lambda: watcher.items)

    await scene.pool.execute("UPDATE relay_shard SET epoch = gen_random_uuid()")
    await eventually(lambda: len(watcher.items) == 3)
    late = Watcher(scene, hub, after=watcher.items[0].cursor)
    await eventually(lambda: len(late.items) == 2)

    for items in (watcher.items[1:], late.items):
        assert isinstance(items[0], Reset)
        assert items[0].reason == ResetReason.LOG_RENUMBERED
        assert items[1].items == {thing: 1}
    await watcher.stop()
    await late.stop()


class Due:
    """When a thing changes by the passing of time alone: once."""

    def __init__(self, scene: Scene, thing: UUID, seconds: float) -> None:
        self.at: datetime | None = scene.clock.now() + timedelta(seconds=seconds)
        self.thing = thing

    def __call__(self) -> tuple[UUID, datetime] | None:
        return (self.thing, self.at) if self.at is not None else None


class Timed(Watcher):
    """A watcher of things of which one falls due; once it has been read it does not again."""

    def __init__(self, scene: Scene, hub: Hub, due: Due, **options: Any) -> None:
        self.due = due
        self.clock = scene.clock
        super().__init__(scene, hub, due=due, settling=True, **options)

    async def _read(self, reads: Reads, keys: Collection[UUID]) -> Mapping[UUID, int]:
        if self.due.at is not None and self.due.at <= self.clock.now():
            self.due.at = None
        return await super()._read(reads, keys)


async def test_what_falls_due_while_others_are_waited_for_is_beyond_all_positions(scene: Scene) -> None:
    """It is told also to those who know of the event that came with it."""
    scene.relay()
    hub, thing = await scene.hub(), uuid4()
    await set_worth(scene, thing, 1)
    await scene.settled()
    watcher = Timed(scene, hub, Due(scene, thing, 3_600), throttle_seconds=1.0)
    await eventually(lambda: watcher.items)
    await set_worth(scene, thing, 2)
    await eventually(lambda: watcher.changes)

    watcher.due.at = scene.clock.now() + timedelta(seconds=0.3)
    await set_worth(scene, thing, 3)
    await eventually(lambda: len(watcher.changes) == 2)
    await watcher.stop()

    first, second = watcher.changes
    assert first.pos < BEYOND
    assert (second.value, second.pos) == (3, BEYOND)


async def test_nobody_has_been_told_everything_once_something_is_due(scene: Scene) -> None:
    scene.relay()
    hub, thing = await scene.hub(), uuid4()
    await set_worth(scene, thing, 1)
    await scene.settled()
    watcher = Timed(scene, hub, due := Due(scene, thing, 60))
    await eventually(lambda: any(isinstance(item, Settled) for item in watcher.items))
    (settled,) = [item for item in watcher.items if isinstance(item, Settled)]
    assert settled.place() is not None

    due.at = scene.clock.now()
    assert settled.place() is None
    await watcher.stop()


async def test_who_goes_on_is_told_what_fell_due_meanwhile(scene: Scene) -> None:
    scene.relay()
    hub, thing = await scene.hub(), uuid4()
    await set_worth(scene, thing, 1)
    await scene.settled()
    first = Watcher(scene, hub)
    await eventually(lambda: first.items)
    await first.stop()

    second = Timed(scene, hub, Due(scene, thing, 0), after=first.items[0].cursor)
    await eventually(lambda: second.changes)
    await second.stop()

    assert isinstance(second.items[0], LatestChange)
    assert second.items[0].pos == BEYOND
