"""Writes the table of figures into docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, machine

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def write(figures: Sequence[Figure], part: str = "figures") -> None:
    """Put the figures, their date and machine between the marks of that part of the page."""
    marked = re.compile(rf"(<!-- {part} -->\n).*(<!-- /{part} -->)", re.DOTALL)
    text, marks = marked.subn(lambda found: found[1] + table(figures) + found[2], PAGE.read_text())
    assert marks == 1, f"{PAGE} lacks the marks of {part}"
    PAGE.write_text(text)


def table(figures: Sequence[Figure]) -> str:
    today = datetime.now(UTC).date()
    rows = [f"| {f.work} | {f.shown} | {_bound(f, f.reach)} | {_bound(f, f.aim)} | {f.verdict} |" for f in figures]
    return "\n".join(
        [
            f"Measured {today} on {machine()}.",
            "",
            "| work | measured | reach | aim | |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _bound(figure: Figure, bound: float) -> str:
    return f"{bound:,g}{figure.unit}"
