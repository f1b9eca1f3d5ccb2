"""What a measurement found, beside what is to be reached, and the machine it was found on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of docs/performance.md.

    value    the figure itself, in the unit of `reach` and `aim`;  shown  as a reader sees it
    less     whether less is better
    detail   the figures behind it: rates, rounds, percentiles
    """

    work: str
    value: float
    shown: str
    reach: float
    aim: float
    unit: str = ""
    less: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.is_within(self.aim):
            return "aim"
        return "reached" if self.is_within(self.reach) else "**short**"

    def is_within(self, bound: float) -> bool:
        return self.value <= bound if self.less else self.value >= bound

    def as_dict(self) -> dict[str, Any]:
        return {"measured": self.work, "value": self.value, "verdict": self.verdict.strip("*"), **self.detail}


class Incomplete(Exception):
    """Some of it can't be measured here; the message says what and why.  found  figures or plots of the rest"""

    def __init__(self, message: str, found: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.found = found


def spread(values: Sequence[float]) -> str:
    """The median, and what it lies between."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def machine() -> str:
    """What the figures were found on, in one sentence."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    kernel = platform.release().partition("-")[0]
    return (
        f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, Linux {kernel}, Python {platform.python_version()},"
        f" load average {os.getloadavg()[2]:.1f} over the fifteen minutes of the run"
    )
