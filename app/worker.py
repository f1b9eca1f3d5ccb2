"""What runs beside the API: the relay of the event log, and the timers."""

from __future__ import annotations

import asyncio

from app import figures
from app.health import Health
from app.jobs import run_timers
from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.settings import Settings
from app.kernel.telemetry import Telemetry
from app.live.relay import Relay


class Worker:
    """One worker; several on the same stores share the work, and take over from each other.

    telemetry  that of the process, where it does other things besides; whoever made it closes it
    """

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        assert settings.database_url is not None, "the stores are found or started before this"
        assert settings.redis_url is not None, "the stores are found or started before this"
        self._settings = settings
        self._clock = SystemClock()
        self._database = Database(settings.database_url, read_pool=2, call_pool=2, session=settings.session_limits)
        self.telemetry = telemetry or Telemetry()
        self.telemetry.watch_database(self._database)
        self._relay = Relay(settings.database_url, settings.redis_url, self._clock)
        figures.of_relay(self.telemetry, self._relay.stats)
        self._timers = figures.TimerFigures(self.telemetry)
        self._health = Health(self._database, self.telemetry, checks={"relay": self._why_not_relaying})

    async def run(self) -> None:
        """Work until cancelled."""
        await self._database.open()
        try:
            async with self._health.served(self._settings), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._relay.run())
                tasks.create_task(run_timers(self._database, self._clock, self._settings, self._timers))
        finally:
            await self._database.close()

    def _why_not_relaying(self) -> str | None:
        return None if self._relay.stats.in_place else "it neither positions events nor waits for the relay that does"
