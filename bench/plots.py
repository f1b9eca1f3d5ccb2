"""Cost against size as SVG, ours beside the references. Both axes are logarithmic: ten times is as far everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "plots"

_WIDTH, _HEIGHT = 470, 340  # of a panel, with what stands around it
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 168, 34, 42
_LINE_HEIGHT = 14
_HEAD = 24
_TICKS_MAX = 14
# A side has the same colour everywhere.
_COLOURS = {
    "ours": "#0b6e4f",
    "ours, by GET from memory": "#3fae7f",
    "Mercurius": "#c1440e",
    "raw asyncpg": "#8a5fa8",
    "uvicorn": "#8a5fa8",
}
_COLOUR = "#2f5fb3"
_STEPS = [step * 10.0**power for power in range(-3, 9) for step in (1, 2, 5)]

# What each round cost, by size.
Points = Mapping[int, Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.  title  says what is counted, and in what unit;  curves  by the side's name"""

    title: str
    curves: Mapping[str, Points]


@dataclass(frozen=True)
class Plot:
    """A file in docs/plots.  size  what the horizontal axes count"""

    name: str
    title: str
    size: str
    panels: Sequence[Panel]

    def as_dict(self) -> dict[str, Any]:
        return {"plotted": self.name, "panels": [asdict(panel) for panel in self.panels]}


def write(plot: Plot, folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{plot.name}.svg").write_text(svg(plot))


def svg(plot: Plot) -> str:
    """The whole file."""
    width, height = _WIDTH * len(plot.panels), _HEIGHT + _HEAD
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="11" fill="#222"'
    panels = [
        f'<g transform="translate({_WIDTH * n} {_HEAD})">\n' + "\n".join(_panel(plot, panel)) + "\n</g>"
        for n, panel in enumerate(plot.panels)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} {font}>',
            f"<title>{escape(plot.title)}</title>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">{escape(plot.title)}</text>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(plot: Plot, panel: Panel) -> Iterator[str]:
    sizes = sorted({size for points in panel.curves.values() for size in points})
    costs = [cost for points in panel.curves.values() for each in points.values() for cost in each]
    across = _Axis(sizes[0], sizes[-1], _LEFT, _WIDTH - _RIGHT)
    up = _Axis(*_rounded(min(costs), max(costs)), _HEIGHT - _BOTTOM, _TOP)
    yield f'<text x="{_LEFT}" y="18" font-weight="600">{escape(panel.title)}</text>'
    for cost in _ticks(up.least, up.most):
        yield f'<path d="M{across.begin} {up.at(cost):.1f}H{across.end}" stroke="#ddd"/>'
        yield _text(across.begin - 6, up.at(cost) + 4, f"{cost:,g}", "end")
    for size in sizes:
        yield f'<path d="M{across.at(size):.1f} {up.end}V{up.begin}" stroke="#eee"/>'
        yield _text(across.at(size), up.begin + 15, f"{size:,}", "middle")
    yield _text((across.begin + across.end) / 2, _HEIGHT - 8, plot.size, "middle")
    ends = {name: up.at(median(points[max(points)])) for name, points in panel.curves.items()}
    beside = _apart(ends)
    for name, points in panel.curves.items():
        colour = _COLOURS.get(name, _COLOUR)
        yield from _curve(points, colour, across, up)
        yield f'<text x="{across.end + 8}" y="{beside[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>'


@dataclass(frozen=True)
class _Axis:
    """Logarithmic, from the least value at `begin` to the most at `end`, in pixels."""

    least: float
    most: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        share = log10(value / self.least) / log10(self.most / self.least)
        return self.begin + share * (self.end - self.begin)


def _curve(points: Points, colour: str, across: _Axis, up: _Axis) -> Iterator[str]:
    """A line through the medians, at each a bar from the lowest to the highest round."""
    middles = [(across.at(size), up.at(median(costs))) for size, costs in sorted(points.items())]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in middles)
    yield f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), (_, costs) in zip(middles, sorted(points.items()), strict=True):
        yield f'<path d="M{x:.1f} {up.at(max(costs)):.1f}V{up.at(min(costs)):.1f}" stroke="{colour}"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Where each name is written: beside the end of its line, and below the name above it."""
    found: dict[str, float] = {}
    above = -float("inf")
    for name, y in sorted(ends.items(), key=lambda end: end[1]):
        found[name] = above = max(y, above + _LINE_HEIGHT)
    return found


def _ticks(least: float, most: float) -> list[float]:
    """1, 2 and 5 times each power of ten between them; powers of ten alone where those would be many."""
    found = [tick for tick in _STEPS if least <= tick <= most]
    return found if len(found) <= _TICKS_MAX else [tick for tick in found if log10(tick).is_integer()]


def _rounded(least: float, most: float) -> tuple[float, float]:
    """Out to the next 1, 2 or 5 times a power of ten."""
    return max(step for step in _STEPS if step <= least), min(step for step in _STEPS if step >= most and step > least)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
