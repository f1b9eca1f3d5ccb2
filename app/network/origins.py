"""Which web pages may talk to the API: the origins of active channels, remembered for a few seconds."""

from __future__ import annotations

import time
from uuid import UUID

from sqlalchemy import select

from app.kernel.clock import SystemClock
from app.kernel.db import Database, Reads
from app.kernel.principal import system
from app.network.models import Channel

REMEMBERED_SECONDS = 5.0


class Origins:
    """The origins of one process's channels."""

    def __init__(self, database: Database, *, remembered_seconds: float = REMEMBERED_SECONDS) -> None:
        self._reads = Reads(database, system("origins"), SystemClock())
        self._remembered_seconds = remembered_seconds
        self._until = 0.0
        self._channels: dict[str, set[UUID]] = {}

    async def allow(self, origin: str, channel_id: UUID | None) -> bool:
        """Whether pages of this origin may use this channel, or any where none is known yet."""
        if self._until <= time.monotonic():
            rows = await self._reads.all(select(Channel.id, Channel.origins).where(Channel.active))
            found: dict[str, set[UUID]] = {}
            for row in rows:
                for each in row.origins:
                    found.setdefault(each, set()).add(row.id)
            self._channels, self._until = found, time.monotonic() + self._remembered_seconds
        channels = self._channels.get(origin.lower(), set())
        return bool(channels) if channel_id is None else channel_id in channels
