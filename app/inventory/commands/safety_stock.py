"""How many units of a balance stay unsold, whatever is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from app.inventory import events
from app.inventory.commands.adjust import check, keys_of
from app.inventory.models import StockLevel
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
    # Sorted, one statement a balance: the lock order of every other writer of stock.
    for (sku, location, owner), units in sorted(
        zip(keys, (change.units for change in changes), strict=True), key=lambda pair: pair[0]
    ):
        await work.db.execute(
            insert(StockLevel)
            .values(
                sku_id=UUID(sku),
                location_id=UUID(location),
                owner=owner,
                safety_stock=units,
                version=1,
                updated_at=work.now,
            )
            .on_conflict_do_update(
                index_elements=["sku_id", "location_id", "owner"],
                set_={"safety_stock": units, "version": StockLevel.version + 1, "updated_at": work.now},
            )
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
