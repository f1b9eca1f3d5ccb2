"""An event as the log holds it, once the relay has given it a position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True, slots=True)
class Position:
    """A place in one shard of the log. Positions compare only within an epoch: a new epoch numbers anew.

    ahead  ids of events beyond `pos` that a reader has been shown all the same: its snapshot had their changes before
           they had a position
    """

    epoch: UUID
    shard: int
    pos: int
    ahead: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One change of one aggregate. All subscribers of a node share the instance: nobody may alter the payload.

    version  of the aggregate after the change; rises by one, so a reader knows what it has seen
    id       of the row; says which event this is before it has a position
    body     the payload as JSON text; kept as text because most events in memory are never opened
    """

    epoch: UUID
    pos: int
    aggregate: str
    subject: UUID
    version: int
    type: str
    topics: tuple[str, ...]
    body: str
    actor: str
    occurred_at: datetime
    id: int = 0

    @property
    def payload(self) -> Mapping[str, Any]:
        return _opened(self.body)

    @property
    def size(self) -> int:
        """Roughly the bytes it holds in memory."""
        return 400 + len(self.body) + 100 * len(self.topics)


# Subscribers open an event within moments of one another, so that a short memory decodes it once for all of them.
@lru_cache(maxsize=256)
def _opened(body: str) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = orjson.loads(body)
    return payload
