"""`make demo`: a small shop, a key for each kind of caller, and customers who never stop ordering."""

from __future__ import annotations

from app.demo import callers, shop, traffic
from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.settings import Settings
from app.kernel.work import Runner
from app.live.nudge import Nudger


async def run(settings: Settings, address: str) -> None:
    """Fill an empty database, tell how to look around, and place orders until cancelled."""
    assert settings.database_url is not None, "the stores are found or started before this"
    assert settings.redis_url is not None, "the stores are found or started before this"
    database = Database(settings.database_url, read_pool=2, call_pool=2)
    nudger = Nudger(settings.redis_url)
    await database.open()
    await nudger.open()
    try:
        runner = Runner(database, SystemClock(), nudger.nudge)
        await shop.furnish(runner)
        await callers.introduce(runner, settings, address)
        await traffic.flow(runner)
    finally:
        await nudger.close()
        await database.close()
