"""The event log: one row for each change of an aggregate, written in the transaction of the change.

Positions come later, from the relay's leader: dense within a shard, in an order that never turns two versions of one
aggregate around. Rows carry ids and plain values, no personal data and no stock figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Base


class EventLog(Base):
    __tablename__ = "event_log"
    __table_args__ = (
        UniqueConstraint("shard", "pos"),
        UniqueConstraint("aggregate", "subject", "version"),
        Index("ix_event_log_unpositioned", "shard", "id", postgresql_where=text("pos IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    pos: Mapped[int | None] = mapped_column(BigInteger)
    aggregate: Mapped[str] = mapped_column(Text)
    subject: Mapped[UUID] = mapped_column(Uuid)
    version: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    actor: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RelayShard(Base):
    """The head of a shard: the last position given, the last one pruned, and the epoch both belong to."""

    __tablename__ = "relay_shard"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    pos: Mapped[int] = mapped_column(BigInteger)
    pruned_pos: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    epoch: Mapped[UUID] = mapped_column(Uuid)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened to one aggregate.

    subject  the aggregate's id; version is the one that this change gave it, taken under its row lock
    topics   where watchers listen: `order:<id>`, `sku:<id>`, …
    """

    aggregate: str
    subject: UUID
    version: int
    type: str
    topics: list[str]
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """One kind of row in the log, as its readers may rely on it: docs/events is written from these.

    says     what happened, in one sentence
    topics   where it is heard, by their form: `order:<id>`
    payload  its fields and what each holds; a name that ends in ? may be missing
    """

    name: str
    aggregate: str
    says: str
    topics: tuple[str, ...]
    payload: Mapping[str, str] = field(default_factory=dict)


# In the order of the list, so that ids rise in the order in which things were recorded.
_APPEND = text(
    "SELECT event_log_append(e.aggregate, e.subject, e.version, e.type, e.topics, e.payload, :actor, :now)"
    " FROM ROWS FROM (jsonb_to_recordset(:events) AS"
    " (aggregate text, subject uuid, version bigint, type text, topics text[], payload jsonb))"
    " WITH ORDINALITY AS e (aggregate, subject, version, type, topics, payload, place) ORDER BY e.place"
).bindparams(
    bindparam("events", type_=JSONB),
    bindparam("actor", type_=Text),
    bindparam("now", type_=DateTime(timezone=True)),
)


async def append(db: AsyncConnection, events: Sequence[Event], *, actor: str, now: datetime) -> None:
    """Add events to the log, in the transaction of the changes they tell of; one statement, however many."""
    rows = [
        {
            "aggregate": event.aggregate,
            "subject": str(event.subject),
            "version": event.version,
            "type": event.type,
            "topics": event.topics,
            "payload": dict(event.payload),
        }
        for event in events
    ]
    if rows:
        await db.execute(_APPEND, {"events": rows, "actor": actor, "now": now})
