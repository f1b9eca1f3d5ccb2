"""How many units of a balance stay unsold, whatever is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import DateTime, Integer, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.inventory import events
from app.inventory.commands.adjust import check, keys_of
from app.kernel.events import Event
from app.kernel.ids import uuid7
from app.kernel.work import Result, Work, command


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyStock:
    sku: str
    location: str
    owner: str | None = None
    units: int


@command(scope="stock:write")
async def safety_stock_set(work: Work, *, changes: Sequence[SafetyStock]) -> Result:
    """Set the safety stock of balances; the greater of it and the channel's holds.

    Locks: balances by (sku, location, owner).  Raises NotFound, ValidationRefused.
    """
    check(changes, [change.units for change in changes], least=0)
    keys = await keys_of(work, changes)
    await work.db.execute(
        _SET,
        {
            "skus": [UUID(sku) for sku, _, _ in keys],
            "locations": [UUID(location) for _, location, _ in keys],
            "owners": [owner for _, _, owner in keys],
            "units": [change.units for change in changes],
            "now": work.now,
        },
    )
    change_id = uuid7()
    work.record(
        Event(
            aggregate="stock_adjustment",
            subject=change_id,
            version=1,
            type="SafetyStockSet",
            topics=events.topics(keys),
            payload=events.payload(keys),
        )
    )
    return {"adjustmentId": change_id, "balances": keys}


# Sorted, the lock order of every other writer of stock.
_SET = text(
    "INSERT INTO stock_level AS b (sku_id, location_id, owner, safety_stock, version, updated_at)"
    " SELECT sku, location, owner, units, 1, :now"
    " FROM unnest(:skus, :locations, :owners, :units) AS c (sku, location, owner, units)"
    " ORDER BY sku, location, owner"
    " ON CONFLICT (sku_id, location_id, owner) DO UPDATE"
    " SET safety_stock = excluded.safety_stock, version = b.version + 1, updated_at = excluded.updated_at"
).bindparams(
    bindparam("skus", type_=ARRAY(Uuid)),
    bindparam("locations", type_=ARRAY(Uuid)),
    bindparam("owners", type_=ARRAY(Text)),
    bindparam("units", type_=ARRAY(Integer)),
    bindparam("now", type_=DateTime(timezone=True)),
)
