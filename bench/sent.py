"""What a command of ours sends to PostgreSQL, so that others can send the very same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.kernel.clock import SystemClock
from app.kernel.db import Reads
from app.kernel.work import CommandArguments, CommandFunction, Work
from app.orders.commands import place
from app.orders.requests import LineRequest, OrderRequest
from app.sourcing.commands import Wanted, reserve
from bench.stage import Stage
from tests.builders import STAFF

KEY_ARGUMENTS = 5  # principal, key, hash, now, expiry: before what is sent


@dataclass(frozen=True)
class Sent:
    """A call of one of our SQL functions, without the key's five arguments."""

    function: str
    arguments: tuple[object, ...]

    @property
    def subject(self) -> UUID:
        """The id of the order or reservation that it makes."""
        first = self.arguments[0]
        return UUID(str(first["id"] if isinstance(first, dict) else first))

    @property
    def sql(self) -> str:
        places = range(1, KEY_ARGUMENTS + len(self.arguments) + 1)
        return f"SELECT {self.function}({', '.join(f'${place}' for place in places)})"


@dataclass(kw_only=True)
class _Capturing(Work):
    """Work that keeps what would be sent."""

    sent: list[Sent] = field(default_factory=list)

    async def call(self, function: str, *arguments: object) -> dict[str, Any]:
        self.sent.append(Sent(function, arguments))
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
