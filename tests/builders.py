"""A small shop to test in: sensible defaults, so that a test mentions only what matters to it."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

import app.catalog.commands as catalog
import app.network.commands as network
from app import reference
from app.auth.states import SCOPES
from app.inventory import commands as inventory
from app.inventory.commands.adjust import Delta
from app.inventory.states import AdjustmentReason
from app.kernel.clock import FixedClock
from app.kernel.db import Database, Reads
from app.kernel.ids import uuid7
from app.kernel.principal import Kind, Principal
from app.kernel.work import CommandArguments, CommandFunction, Runner
from app.orders import commands as orders
from app.orders.requests import LineRequest, OrderRequest
from app.sourcing import commands as sourcing
from app.sourcing.commands import Wanted

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STAFF = Principal(kind=Kind.STAFF, id="client:staff", scopes=SCOPES)


class Shop:
    """One database with a channel WEB; commands run as staff at a clock that stands still."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(NOON)
        self.runner = Runner(database, self.clock)
        self.reads = Reads(database, STAFF, self.clock)
        self._counter = itertools.count(1)
        self._locations: dict[str, int] = {}

    async def open(self, *, currency: str = "GBP", **channel: Any) -> None:
        """A channel WEB served by the location LEEDS."""
        await self.location("LEEDS")
        await self.channel(currency=currency, **channel)

    async def channel(self, code: str = "WEB", *, safety_stock: int = 0, **given: Any) -> None:
        fields = {"name": code, "kind": "WEBSHOP", "currency": "GBP", "time_zone": "Europe/London", **given}
        fields.setdefault(
            "locations",
            [
                {"location": location, "priority": priority, "safety_stock": safety_stock}
                for location, priority in self._locations.items()
            ],
        )
        await self.run(network.upsert_channel, channel={"code": code, **fields})

    async def location(self, code: str, **given: Any) -> None:
        self._locations.setdefault(code, len(self._locations) + 1)
        fields = {"name": code, "type": "WAREHOUSE", "country": "GB", "time_zone": "Europe/London", **given}
        await self.run(network.upsert_location, location={"code": code, **fields})

    async def sku(self, code: str, price: str = "10.00", *, currency: str = "GBP", **given: Any) -> None:
        prices = [{"channel": "WEB", "currency": currency, "amount": Decimal(price)}]
        await self.run(catalog.upsert_sku, sku={"code": code, "name": code.title(), "prices": prices, **given})

    async def stock(self, code: str, units: int, at: str = "LEEDS", *, owner: str | None = None) -> None:
        """Add units to what is on hand."""
        await self.run(
            inventory.adjust,
            changes=[Delta(sku=code, location=at, owner=owner, units=units)],
            reason=AdjustmentReason.RECEIVED,
        )

    async def place(self, lines: Mapping[str, int], **order: Any) -> UUID:
        """Place an order of these quantities by SKU code."""
        result = await self.run(orders.place, order=self.order(lines, **order))
        return UUID(result["orderId"])

    async def place_lines(self, *lines: LineRequest, principal: Principal = STAFF, **order: Any) -> UUID:
        request = OrderRequest(channel="WEB", lines=lines, **order)
        return UUID((await self.run(orders.place, principal=principal, order=request))["orderId"])

    def order(self, lines: Mapping[str, int], **given: Any) -> OrderRequest:
        given.setdefault("channel", "WEB")
        return OrderRequest(lines=[LineRequest(sku=sku, quantity=quantity) for sku, quantity in lines.items()], **given)

    async def reserve(self, lines: Mapping[str, int], *, seconds: int = 600) -> str:
        """Hold stock; the reservation's token."""
        wanted = [Wanted(sku=sku, quantity=quantity) for sku, quantity in lines.items()]
        result = await self.run(sourcing.reserve, channel="WEB", lines=wanted, seconds=seconds)
        return str(result["token"])

    async def run(
        self,
        command: CommandFunction,
        *,
        key: str | None = "fresh",
        principal: Principal = STAFF,
        expected_version: int | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        """Run a command, by default with a key of its own."""
        key = f"test-{next(self._counter)}-{uuid4()}" if key == "fresh" else key
        return await self.runner.run(principal, command, CommandArguments(key, expected_version), **given)

    async def supply(self, code: str, units: int, *, due_in: timedelta, at: str = "LEEDS") -> None:
        """Units on their way, as purchasing will record them."""
        await self.execute(
            "INSERT INTO supply (id, source, source_line_id, sku_id, location_id, units_open, due_at)"
            " SELECT :id, 'PURCHASE_ORDER', :id, s.id, l.id, :units, :due FROM sku s, location l"
            " WHERE s.code = :code AND l.code = :at",
            id=uuid7(),
            units=units,
            due=self.clock.now() + due_in,
            code=code,
            at=at,
        )

    async def execute(self, sql: str, **parameters: Any) -> None:
        async with self.database.transaction() as db:
            await db.execute(text(sql), parameters)

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Any]:
        return await self.reads.all(text(sql), parameters)

    async def one(self, sql: str, **parameters: Any) -> Any:
        (row,) = await self.rows(sql, **parameters)
        return row

    async def level(self, code: str, at: str = "LEEDS", owner: str = "") -> Any:
        """The balance of a SKU at a location."""
        return await self.one(
            "SELECT b.* FROM stock_level b JOIN sku s ON s.id = b.sku_id JOIN location l ON l.id = b.location_id"
            " WHERE s.code = :code AND l.code = :at AND b.owner = :owner",
            code=code,
            at=at,
            owner=owner,
        )

    async def violations(self) -> dict[str, int]:
        """Invariants that do not hold, with how many rows say so; empty when healthy."""
        views = await self.rows(
            "SELECT table_name FROM information_schema.views WHERE table_name LIKE 'integrity\\_%' ORDER BY 1"
        )
        assert len(views) >= 10
        counts = {view: (await self.one(f"SELECT count(*) AS n FROM {view}")).n for (view,) in views}
        counts["undeclared events"] = len(await self.undeclared_events())
        return {view: n for view, n in counts.items() if n}

    async def undeclared_events(self) -> list[str]:
        """Forms of events in the log that docs/events does not tell of."""
        forms = await self.rows(
            """
            SELECT DISTINCT type, aggregate,
                ARRAY(SELECT DISTINCT regexp_replace(t, ':.*', ':<id>') FROM unnest(topics) t) AS topics,
                ARRAY(SELECT jsonb_object_keys(payload)) AS fields
            FROM event_log
            """
        )
        return [f"{form}: {wrong}" for form in forms if (wrong := _undeclared(*form))]


def _undeclared(name: str, aggregate: str, topics: Sequence[str], fields: Sequence[str]) -> str | None:
    """What is wrong with an event's form; None where it is as declared."""
    declared = reference.event_types().get(name)
    if declared is None:
        return "no such type"
    if aggregate != declared.aggregate:
        return "another aggregate"
    for found, told in ((set(topics), declared.topics), (set(fields), tuple(declared.payload))):
        needed, allowed = {each for each in told if not each.endswith("?")}, {each.rstrip("?") for each in told}
        if not needed <= found <= allowed:
            return f"{sorted(found)} instead of {told}"
    return None
