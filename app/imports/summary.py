"""What an import has done, counted as it goes."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from app.imports.files import Row
from app.imports.items import REJECT_COLUMNS, Change, Format, Item, Kept, Kind, Outcome
from app.kernel.operator import OperatorProblem

ADJUSTMENTS = "stock adjustments"


@dataclass(slots=True)
class Tally:
    """things  orders, SKUs and so on;  rows  of the file that they came from"""

    things: int = 0
    rows: int = 0
    units: int = 0


@dataclass
class Summary:
    """counts  by what was loaded and what became of it;  reasons  why rows were not loaded, with how many rows

    problem  what ended the import before its file did
    unread   columns of the file that mean nothing to the format: often a name misspelled
    """

    kind: Kind
    format: Format
    file: str
    dry_run: bool = False
    interrupted: bool = False
    problem: str | None = None
    counts: dict[str, dict[Outcome, Tally]] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    rejects: Path | None = None
    unread: Sequence[str] = ()
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def count(self, item: Item, outcome: Outcome) -> None:
        is_change = self.kind is Kind.ORDERS and isinstance(item.what, Change)
        self._add(ADJUSTMENTS if is_change else self.kind.value, outcome, len(item.rows), item.units)

    def count_kept(self, kept: Kept) -> None:
        self._add(self.kind.value, kept.outcome, len(kept.rows), 0)
        reason = kept.reason if kept.reason in self.reasons or len(self.reasons) < REASONS_MAX else OTHER_REASONS
        self.reasons[reason] = self.reasons.get(reason, 0) + len(kept.rows)

    def _add(self, kind: str, outcome: Outcome, rows: int, units: int) -> None:
        tally = self.counts.setdefault(kind, {}).setdefault(outcome, Tally())
        tally.things += 1
        tally.rows += rows
        tally.units += units

    def end(self) -> None:
        self.seconds = time.monotonic() - self.began

    def of(self, outcome: Outcome, kind: str | None = None) -> Tally:
        return self.counts.get(kind or self.kind.value, {}).get(outcome, Tally())

    @property
    def rows(self) -> int:
        return sum(tally.rows for by_outcome in self.counts.values() for tally in by_outcome.values())

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "format": self.format.value,
            "file": self.file,
            "dryRun": self.dry_run,
            "interrupted": self.interrupted,
            "problem": self.problem,
            "seconds": round(self.seconds, 3),
            "rows": self.rows,
            "rowsPerSecond": round(self.rows_per_second, 1),
            "counts": {
                kind: {
                    outcome.value: {"count": tally.things, "rows": tally.rows, "units": tally.units}
                    for outcome, tally in by_outcome.items()
                }
                for kind, by_outcome in self.counts.items()
            },
            "reasons": self.reasons,
            "unreadColumns": list(self.unread),
            "rejects": str(self.rejects) if self.rejects else None,
        }


REASONS_MAX = 50
OTHER_REASONS = "other reasons, in the file of rejects"


class Rejects:
    """The CSV file of rows that were not loaded: row, outcome and reason, then the row's own columns.

    It is made when there is a first one. Cells that a spreadsheet would take for a formula are left as they are: the
    file is to be mended and imported again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._writer: Any = None
        self._own: list[int] = []
        self._width = 0

    def write(self, header: Sequence[str], kept: Kept) -> None:
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8", newline="")
            except OSError as problem:
                raise OperatorProblem(
                    f"{self.path} cannot be written: {problem.strerror}. Name another file with --rejects."
                ) from None
            self._writer = csv.writer(self._file)
            self._width = len(header)
            self._own = [place for place, name in enumerate(header) if name not in REJECT_COLUMNS]
            self._writer.writerow([*REJECT_COLUMNS, *(header[place] for place in self._own)])
        self._writer.writerows(self._lines(kept))
        self._file.flush()

    def _lines(self, kept: Kept) -> list[list[str]]:
        told = kept.outcome.value, kept.reason
        return [[str(row.line), *told, *self._cells(row)] for row in kept.rows]

    def _cells(self, row: Row) -> Sequence[str]:
        """A row's cells without what an earlier file of rejects said; all of them where they fit no header."""
        if len(row.cells) != self._width:
            return row.cells
        return [row.cells[place] for place in self._own]

    @property
    def written(self) -> Path | None:
        return self.path if self._file is not None else None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
