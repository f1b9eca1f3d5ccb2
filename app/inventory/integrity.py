"""Whether what must always hold does hold: every view named integrity_…, of whatever area, is to be empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.kernel.db import Reads

COUNT_MAX = 10_000

_VIEWS = text(
    r"SELECT viewname FROM pg_views WHERE schemaname = current_schema() AND viewname LIKE 'integrity\_%' ORDER BY 1"
)
# The views add up whole tables, which is quicker without an index; elsewhere that is switched off.
_WHOLE_TABLES = text("SELECT set_config('enable_seqscan', 'on', true)")


@dataclass(frozen=True, slots=True)
class Check:
    """violations  rows that say so; counting stops at 10,000;  rows  the first of them"""

    name: str
    violations: int
    rows: Sequence[Any]

    @property
    def healthy(self) -> bool:
        return self.violations == 0


async def checks(reads: Reads, *, rows: int) -> list[Check]:
    """Each invariant, one statement apiece, with up to so many rows that violate it; all of the same instant."""
    async with reads.snapshot() as inside:
        await inside.all(_WHOLE_TABLES)
        return [await _check(inside, str(view.viewname), rows) for view in await inside.all(_VIEWS)]


async def _check(reads: Reads, name: str, rows: int) -> Check:
    # The view's name comes from the catalog, where only migrations write.
    sql = text(
        f"WITH wrong AS MATERIALIZED (SELECT * FROM {name} LIMIT {COUNT_MAX})"  # noqa: S608
        " SELECT (SELECT count(*) FROM wrong) AS violations,"
        " (SELECT coalesce(jsonb_agg(to_jsonb(w)), '[]') FROM (SELECT * FROM wrong LIMIT :rows) AS w) AS rows"
    )
    row = await reads.first(sql, {"rows": rows})
    assert row is not None
    return Check(name.removeprefix("integrity_"), row.violations, row.rows)
