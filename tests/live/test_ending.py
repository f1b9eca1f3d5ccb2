"""Whoever runs until cancelled ends when cancelled, whatever driver it was waiting for."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import asyncpg

from app.kernel.ids import uuid7
from app.live.relay import Relay
from tests.live.scene import Scene

ENDINGS = 40


async def test_a_busy_relay_ends_whenever_it_is_cancelled(scene: Scene) -> None:
    writing = asyncio.create_task(_write_on(scene))
    dice = random.Random(7)
    for _ in range(ENDINGS):
        relay = asyncio.create_task(Relay(scene.dsn, scene.redis_url, scene.clock).run())
        await asyncio.sleep(dice.uniform(0.03, 0.06))
        relay.cancel()

        done, _ = await asyncio.wait({relay}, timeout=5)

        assert done, "it did not hear that it was cancelled"
    writing.cancel()


async def _write_on(scene: Scene) -> None:
    things = [uuid7() for _ in range(20)]
    with suppress(asyncpg.InterfaceError):  # the scene closes
        while True:
            await asyncio.gather(*(scene.write(thing) for thing in things))
            scene.nudger.nudge()
