"""What travels through Redis: batches of events, heartbeats, nudges. A fast path: any message may be lost.

A batch is {epoch, pos, events: [...]}, a heartbeat the same without events; `pos` is the head after it. An event's
payload travels as text, so that a node opens only those that somebody looks into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.live.events import LoggedEvent

NUDGE = "orderwire:nudge"
HEARTBEAT_SECONDS = 0.5
# Redis drops a subscriber whose unread messages pass its limit (8 MB for a minute): many small ones get through.
_MESSAGE_BYTES = 128 * 1024


def channel(shard: int) -> str:
    return f"orderwire:{shard}"


class Malformed(ValueError):
    """Not a message of ours: somebody else publishes on the channel."""


@dataclass(frozen=True, slots=True)
class Message:
    """Events in consecutive positions, or none: a heartbeat."""

    epoch: UUID
    pos: int
    events: list[LoggedEvent]


def heartbeat(epoch: UUID, pos: int) -> bytes:
    return orjson.dumps({"epoch": str(epoch), "pos": pos})


def batches(epoch: UUID, rows: Sequence[Any]) -> Iterator[bytes]:
    """Messages for rows of the log in the order of their positions, none much larger than the limit."""
    pending: list[bytes] = []
    size = pos = 0
    for row in rows:
        encoded = orjson.dumps(
            {
                "pos": row["pos"],
                "id": row["id"],
                "aggregate": row["aggregate"],
                "subject": str(row["subject"]),
                "version": row["version"],
                "type": row["type"],
                "topics": row["topics"],
                "payload": row["body"],
                "actor": row["actor"],
                "occurred_at": row["occurred_at"],
            }
        )
        if pending and size + len(encoded) > _MESSAGE_BYTES:
            yield _batch(epoch, pos, pending)
            pending, size = [], 0
        pending.append(encoded)
        size += len(encoded)
        pos = row["pos"]
    if pending:
        yield _batch(epoch, pos, pending)


def _batch(epoch: UUID, pos: int, events: list[bytes]) -> bytes:
    return orjson.dumps({"epoch": str(epoch), "pos": pos, "events": [orjson.Fragment(event) for event in events]})


def read(data: bytes) -> Message:
    """The message.  Raises Malformed."""
    try:
        message = orjson.loads(data)
        epoch = UUID(message["epoch"])
        return Message(epoch, int(message["pos"]), [_event(epoch, event) for event in message.get("events", ())])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Malformed(str(error)) from None


def _event(epoch: UUID, event: dict[str, Any]) -> LoggedEvent:
    return LoggedEvent(
        epoch=epoch,
        pos=int(event["pos"]),
        aggregate=intern(event["aggregate"]),
        subject=UUID(event["subject"]),
        version=int(event["version"]),
        type=intern(event["type"]),
        topics=tuple(map(intern, event["topics"])),
        body=event["payload"],
        actor=event["actor"],
        occurred_at=datetime.fromisoformat(event["occurred_at"]),
        id=int(event["id"]),
    )


def publishing_client(url: str) -> redis.asyncio.Redis:
    """A client for sending: gives up quickly and never sends twice by itself."""
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=2.0, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )


def listening_client(url: str) -> redis.asyncio.Redis:
    """A client for pub/sub: no read time limit, because silence is judged by heartbeats.

    redis-py 8 otherwise reads with one of 5 s, and would reconnect behind our back without telling of the gap.
    """
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=None, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )
