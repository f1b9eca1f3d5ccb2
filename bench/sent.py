"""What a command of ours sends to PostgreSQL, so that others can send the very same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.kernel.clock import SystemClock
from app.kernel.combiner import Columns
from app.kernel.db import Reads
from app.kernel.work import CommandArguments, CommandFunction, Work
from app.orders.commands import place
from app.orders.requests import LineRequest, OrderRequest
from app.sourcing.commands import Wanted, reserve
from bench.stage import Stage
from tests.builders import STAFF


@dataclass(frozen=True)
class Sent:
    """A call of one of our SQL functions.  columns  its arguments, without the key's five"""

    function: str
    columns: Columns

    @property
    def subject(self) -> UUID:
        """The id of the order or reservation that it makes."""
        (id_,) = self.columns[0] or ()
        return UUID(str(id_))

    def under(self, key: str, now: datetime) -> Columns:
        """All arguments, under this key."""
        return [["client:bench"], [key], [b""], [now], [now + timedelta(days=30)], *self.columns]


@dataclass(kw_only=True)
class _Capturing(Work):
    """Work that keeps what would be sent."""

    sent: list[Sent] = field(default_factory=list)

    async def call(self, function: str, *columns: list[Any] | None) -> dict[str, Any]:
        self.sent.append(Sent(function, columns))
        return {}


async def by_placing(stage: Stage, skus: Sequence[str], *, customer: str | None = None) -> Sent:
    """An order of one unit of each SKU."""
    lines = [LineRequest(sku=sku, quantity=1) for sku in skus]
    return await _sent(stage, place, order=OrderRequest(channel="WEB", lines=lines, customer=customer))


async def by_reserving(stage: Stage, skus: Sequence[str]) -> Sent:
    """A reservation of one unit of each SKU."""
    lines = [Wanted(sku=sku, quantity=1) for sku in skus]
    return await _sent(stage, reserve, channel="WEB", lines=lines, seconds=3_600)


async def _sent(stage: Stage, command: CommandFunction, **given: Any) -> Sent:
    clock = SystemClock()
    work = _Capturing(
        principal=STAFF,
        now=clock.now(),
        reads=Reads(stage.database, STAFF, clock),
        arguments=CommandArguments("k"),
        sha256=b"",
    )
    await command(work, **given)
    return work.sent[0]
