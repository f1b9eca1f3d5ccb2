"""The ratios that were committed, and what a run of today says to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

FILE = Path(__file__).with_name("quick.json")
WORSE_MAX = 0.20  # what a busy machine may explain

# Ours by the reference's, by the name of the row: less is better.
Ratios = Mapping[str, float]


def read() -> dict[str, float]:
    found: dict[str, float] = orjson.loads(FILE.read_bytes())
    return found


def renew(ratios: Ratios) -> None:
    """Put today's in the place of what was committed."""
    rounded = {name: float(f"{ratio:.3g}") for name, ratio in ratios.items()}
    FILE.write_bytes(orjson.dumps(rounded, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def worse(found: Ratios, committed: Ratios) -> list[str]:
    """A sentence with the next step for every row that got dearer by more than a fifth, or has nothing to compare."""
    return [
        *_unknown(found, committed),
        *(_dearer(name, found[name], committed[name]) for name in fallen(found, committed)),
    ]


def fallen(found: Ratios, committed: Ratios) -> list[str]:
    """The rows that are dearer than what was committed, by more than a fifth."""
    return [name for name, ratio in found.items() if ratio > committed.get(name, ratio) * (1 + WORSE_MAX)]


def better(found: Ratios, committed: Ratios) -> list[str]:
    """A sentence for every row that got so much cheaper that it could fall again unseen."""
    return [
        f"{name}: {found[name]:.3g}, and {ratio:.3g} is committed. Hold it by `make bench-quick RENEW=1`."
        for name, ratio in committed.items()
        if name in found and found[name] < ratio * (1 - WORSE_MAX)
    ]


def _dearer(name: str, ratio: float, before: float) -> str:
    return (
        f"{name}: {ratio:.3g} times the reference's cost, {ratio / before - 1:.0%} more than the {before:.3g} that is"
        f" committed. Find what made it dearer (profile that request), or, where it is worth it, commit the new figure:"
        f" `make bench-quick RENEW=1`."
    )


def _unknown(found: Ratios, committed: Ratios) -> list[str]:
    names = sorted(found.keys() ^ committed.keys())
    return [
        f"{name}: measured or committed, not both. Make them the same by `make bench-quick RENEW=1`." for name in names
    ]
