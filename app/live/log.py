"""Reading the event log by position, over a few connections of its own.

Its own, so that a crowd of reconnecting clients queues here and not in front of queries and commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern
from typing import Any
from uuid import UUID

import asyncpg

from app.kernel.db import PLANNING
from app.kernel.pool import Pool
from app.live import topics as topic_names
from app.live.events import LoggedEvent, Position

_COLUMNS = (
    "e.id, e.pos, e.aggregate, e.subject, e.version, e.type, e.topics, e.payload::text AS body, e.actor, e.occurred_at"
)

# The shard's row comes along in the same statement, hence from the same instant: a page can be judged by the epoch and
# the pruned position that were true when it was read. A page without events is one row of NULLs.
_PAGE = f"""
    SELECT s.epoch, s.pruned_pos, s.pos AS head_pos, {_COLUMNS}
    FROM relay_shard s LEFT JOIN LATERAL (
        SELECT * FROM event_log
        WHERE shard = $1 AND pos > $2 AND pos <= $3 {{only}}
        ORDER BY pos LIMIT $4
    ) e ON true
    WHERE s.shard = $1 ORDER BY e.pos
"""  # noqa: S608 (constants only)
_EVERYTHING = _PAGE.format(only="")
_BROAD = _PAGE.format(only="AND topics && $5::text[]")
# Few events of a long log: found through the topics first, lest the planner walk the positions from $2 to here.
_NARROW = f"""
    WITH found AS MATERIALIZED (
        SELECT * FROM event_log WHERE shard = $1 AND pos > $2 AND pos <= $3 AND topics && $5::text[]
    )
    SELECT s.epoch, s.pruned_pos, s.pos AS head_pos, {_COLUMNS}
    FROM relay_shard s LEFT JOIN LATERAL (SELECT * FROM found ORDER BY pos LIMIT $4) e ON true
    WHERE s.shard = $1 ORDER BY e.pos
"""  # noqa: S608 (constants only)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a shard of the log stands: the last position given and the last one pruned."""

    epoch: UUID
    pos: int
    pruned_pos: int


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive matches, and the head of the same instant."""

    head: Head
    events: list[LoggedEvent]


class EventLog:
    """One shard of the log, read only."""

    def __init__(self, dsn: str, *, shard: int = 0, connections: int = 3) -> None:
        self.shard = shard
        self._dsn = dsn
        self._pool = Pool(self._connected, connections)

    async def _connected(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._dsn,
            timeout=5,
            command_timeout=10,
            server_settings={
                "application_name": "orderwire-live",
                "statement_timeout": "5000",
                # How many events a topic has decides the plan, so a plan is made for each set of topics.
                "plan_cache_mode": "force_custom_plan",
                **PLANNING,
            },
        )

    async def open(self) -> None:
        """Get ready; does not need PostgreSQL to be there."""
        await self._pool.open(0)

    async def close(self) -> None:
        await self._pool.close(0)  # nothing to finish: reads only

    async def head(self) -> Head:
        rows = await self._fetch("SELECT epoch, pos, pruned_pos FROM relay_shard WHERE shard = $1", self.shard)
        return Head(**rows[0])

    async def consecutive(self, *, after: int, upto: int, limit: int) -> Page:
        """All events with after < pos <= upto, at most `limit`."""
        return self._page(await self._fetch(_EVERYTHING, self.shard, after, upto, limit))

    async def matching(self, topics: Iterable[str], *, after: int, upto: int, limit: int) -> Page:
        """Events of any of the topics with after < pos <= upto, at most `limit`."""
        wanted = list(topics)
        sql = _BROAD if topic_names.any_broad(wanted) else _NARROW
        return self._page(await self._fetch(sql, self.shard, after, upto, limit, wanted))

    async def _fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._pool.rows(sql, *arguments)
        return rows

    def _page(self, rows: list[asyncpg.Record]) -> Page:
        first = rows[0]
        head = Head(first["epoch"], first["head_pos"], first["pruned_pos"])
        if first["pos"] is None:
            return Page(head, [])
        return Page(head, [logged(head.epoch, row) for row in rows])

    def position(self, head: Head) -> Position:
        return Position(head.epoch, self.shard, head.pos)


def logged(epoch: UUID, row: Any) -> LoggedEvent:
    """The event of one row."""
    return LoggedEvent(
        epoch=epoch,
        pos=row["pos"],
        aggregate=intern(row["aggregate"]),
        subject=UUID(int=row["subject"].int),  # asyncpg's own UUIDs are unknown to orjson
        version=row["version"],
        type=intern(row["type"]),
        topics=tuple(map(intern, row["topics"])),
        body=row["body"],
        actor=row["actor"],
        occurred_at=row["occurred_at"],
        id=row["id"],
    )
