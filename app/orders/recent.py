"""Orders as subscribers are shown them: one read for all who hear of the same change at the same moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from uuid import UUID

from app.kernel.db import Reads
from app.orders import queries
from app.orders.queries import OrderRow

REMEMBERED_MAX = 5_000


class RecentOrders:
    """Rows of one process, each good for events up to its version.

    Whoever asks must have the right to see the order: `queries.may_see` on the event decides that.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[UUID, OrderRow] = OrderedDict()
        self._reading: dict[UUID, asyncio.Task[OrderRow | None]] = {}

    async def at_least(self, reads: Reads, order_id: UUID, version: int) -> OrderRow | None:
        """The order, no older than this version; None where it is gone."""
        row = self._rows.get(order_id)
        if row is not None and row.version >= version:
            return row
        if (task := self._reading.get(order_id)) is None:
            task = self._reading[order_id] = asyncio.ensure_future(self._read(reads, order_id))
        row = await asyncio.shield(task)
        # A read that began before the change was committed shows less than was asked for.
        if row is not None and row.version < version:
            return await self.at_least(reads, order_id, version)
        return row

    async def _read(self, reads: Reads, order_id: UUID) -> OrderRow | None:
        try:
            row = (await queries.any_orders_by_id(reads, [order_id])).get(order_id)
        finally:
            del self._reading[order_id]
        if row is not None:
            self._rows[order_id] = row
            self._rows.move_to_end(order_id)
            if len(self._rows) > REMEMBERED_MAX:
                self._rows.popitem(last=False)
        return row
