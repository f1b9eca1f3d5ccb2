"""What runs beside the API: the relay of the event log, and the timers."""

from __future__ import annotations

import asyncio

from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.settings import Settings
from app.live.relay import Relay


class Worker:
    """One worker; several on the same stores share the work, and take over from each other."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None, "the stores are found or started before this"
        assert settings.redis_url is not None, "the stores are found or started before this"
        self._clock = SystemClock()
        self._database = Database(settings.database_url, read_pool=2, call_pool=2)
        self._relay = Relay(settings.database_url, settings.redis_url, self._clock)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._database.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._relay.run())
        finally:
            await self._database.close()
