"""Forgetting events beyond their retention, a bounded batch at a time."""

from datetime import timedelta

from sqlalchemy import text

from app.kernel.clock import Clock
from app.kernel.db import Database

_BATCH = 2_000
# However old, so many stay: clients that just missed a moment resume, also after an import of last year's orders.
KEEP_EVENTS = 50_000

# Up to the first event that is young, so that what remains has no hole.
_OLD = text(
    """
    WITH batch AS (
        SELECT e.pos, bool_and(e.occurred_at < :before) OVER (ORDER BY e.pos) AS old
        FROM event_log e, relay_shard s
        WHERE s.shard = :shard AND e.shard = :shard AND e.pos > s.pruned_pos AND e.pos <= s.pos - :keep
        ORDER BY e.pos LIMIT :batch
    )
    SELECT max(pos) FROM batch WHERE old
    """
)
_DELETE = text("DELETE FROM event_log WHERE shard = :shard AND pos <= :upto")
# Last, because the relay's leader waits for this row: it is locked for the commit only.
_MARK = text("UPDATE relay_shard SET pruned_pos = :upto WHERE shard = :shard AND pruned_pos < :upto")


async def prune(
    database: Database, clock: Clock, *, retention: timedelta, keep: int = KEEP_EVENTS, shard: int = 0
) -> int:
    """Delete positioned events older than the retention; how many went.

    Deletion and the mark that readers judge cursors by commit together, batch by batch.
    """
    pruned = 0
    before = clock.now() - retention
    while True:
        async with database.transaction() as connection:
            arguments = {"shard": shard, "before": before, "keep": keep, "batch": _BATCH}
            upto = (await connection.execute(_OLD, arguments)).scalar()
            if upto is None:
                return pruned
            deleted = await connection.execute(_DELETE, {"shard": shard, "upto": upto})
            await connection.execute(_MARK, {"shard": shard, "upto": upto})
        pruned += deleted.rowcount
