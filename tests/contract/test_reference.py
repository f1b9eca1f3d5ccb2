"""docs/states, docs/events and docs/metrics.md say what the code says."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from app import reference

ROOT = Path(__file__).parents[2]


def modules(name: str) -> list[str]:
    return [file.parent.name for file in (ROOT / "app").glob(f"*/{name}.py")]


def test_the_pages_are_up_to_date():
    """After a change of states or events: `make schema`."""
    written = {path.relative_to(ROOT / "docs") for folder in ("states", "events") for path in _pages(folder)}

    assert written | {Path("metrics.md")} == set(reference.pages())
    for path, text in reference.pages().items():
        assert (ROOT / "docs" / path).read_text() == text, f"docs/{path} is old: run make schema"


def _pages(folder: str) -> list[Path]:
    return list((ROOT / "docs" / folder).iterdir())


@pytest.mark.parametrize(
    ("page", "heading"), [("operating.md", "## Alerts"), ("concepts/live.md", "## Figures to watch")]
)
def test_what_is_to_be_watched_are_figures_that_there_are(page, heading):
    text = (ROOT / "docs" / page).read_text()
    told = set(re.findall(r"(?:orderwire|process)_\w+", text.split(heading)[1].split("\n## ")[0]))

    assert len(told) > 8
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in told} <= set(reference.figures())


def test_the_live_layer_tells_every_topic():
    page = (ROOT / "docs" / "concepts" / "live.md").read_text()
    told = re.search(r"^\| topic \|(.*)$", page, re.MULTILINE)[1]
    declared = {topic.rstrip("?") for type_ in reference.event_types().values() for topic in type_.topics}

    assert set(re.findall("`(.*?)`", told)) == declared


def test_every_machine_has_a_page():
    machines = {
        (area, name)
        for area in modules("states")
        for name in vars(import_module(f"app.{area}.states"))
        if name.endswith("EDGES")
    }

    assert machines == {(area, edges) for area, edges, _ in reference.MACHINES.values()}


def test_every_area_tells_its_events():
    areas = {area for area in modules("events") if area not in {"kernel", "live"}}

    assert areas == set(reference.AREAS)
    assert all(type_.says.endswith(".") for type_ in reference.event_types().values())
