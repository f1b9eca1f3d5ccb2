"""docs/states, docs/events and docs/metrics.md, written from the code: `make schema` runs this."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from types import ModuleType

from prometheus_client.core import Metric
from pydantic import SecretStr

from app.kernel.events import EventType
from app.kernel.settings import Settings
from app.kernel.telemetry import Telemetry
from app.wiring import Services
from app.worker import Worker

DOCS = Path(__file__).parents[1] / "docs"
AREAS = ("orders", "inventory", "catalog", "customers", "network", "auth")

Edges = Mapping[str, tuple[frozenset[StrEnum], StrEnum]]

# Page: the area whose states module holds the machine, the name of its edges there, and its states.
MACHINES = {
    "order": ("orders", "EDGES", "Lifecycle"),
    "reservation": ("inventory", "RESERVATION_EDGES", "ReservationStatus"),
}


def pages() -> dict[Path, str]:
    """Every generated page by its path under docs."""
    found = {Path("states") / f"{name}.md": _machine(name, *where) for name, where in MACHINES.items()}
    for area in AREAS:
        found[Path("events") / f"{area}.md"] = _events(area)
    return {**found, Path("metrics.md"): _metrics()}


def event_types() -> dict[str, EventType]:
    """Every kind of row that the event log may hold, by name."""
    return {type_.name: type_ for area in AREAS for type_ in _types(area)}


def write(docs: Path = DOCS) -> None:
    for path, text in pages().items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_text(text)


def _machine(name: str, area: str, edges_name: str, states_name: str) -> str:
    module = import_module(f"app.{area}.states")
    edges: Edges = getattr(module, edges_name)
    states: type[StrEnum] = getattr(module, states_name)
    first = next(iter(states))
    lines = [f"# States of {_article(name)}", "", _origin(f"app/{area}/states.py"), "", *_about(states)]
    lines += ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {_words(action)}" for action, source, target in _arrows(edges, states)]
    lines += [f"    {state} --> [*]" for state in _ends(edges, states)]
    lines += ["```", "", "| action | from | to |", "|---|---|---|"]
    for action, (sources, target) in edges.items():
        lines.append(f"| {_words(action)} | {', '.join(_in_order(sources, states))} | {target} |")
    if derived := list(_derived(module, states)):
        lines += ["", "What follows from the units of its lines, and is never set:", ""]
        lines += ["| status | values |", "|---|---|"]
        lines += [f"| {_spaced(each.__name__)} | {', '.join(each)} |" for each in derived]
    return "\n".join([*lines, ""])


def _arrows(edges: Edges, states: type[StrEnum]) -> Iterator[tuple[str, str, str]]:
    for action, (sources, target) in edges.items():
        for source in _in_order(sources, states):
            yield action, source, target


def _ends(edges: Edges, states: type[StrEnum]) -> list[str]:
    """States that some action leads to and none leads out of."""
    left = {state for sources, _ in edges.values() for state in sources}
    reached = {target for _, target in edges.values()}
    return [state for state in states if state in reached and state not in left]


def _derived(module: ModuleType, states: type[StrEnum]) -> Iterator[type[StrEnum]]:
    if states.__name__ != "Lifecycle":
        return
    for name, each in vars(module).items():
        if name.endswith("Status") and isinstance(each, type) and issubclass(each, StrEnum):
            yield each


def _events(area: str) -> str:
    lines = [f"# Events: {area}", "", _origin(f"app/{area}/events.py"), ""]
    lines += ["A `?` marks what may be missing.", ""]
    lines += ["| type | what happened | aggregate | heard under | fields |", "|---|---|---|---|---|"]
    for type_ in _types(area):
        words = (type_.name, type_.says, type_.aggregate, _code(type_.topics), _code(type_.payload))
        lines.append(f"| {' | '.join(words)} |")
    if fields := _fields(_types(area)):
        lines += ["", "| field | holds |", "|---|---|"]
        lines += [f"| {name} | {holds} |" for name, holds in fields]
    return "\n".join([*lines, ""])


def _fields(types: Iterable[EventType]) -> list[tuple[str, str]]:
    """Each field once with what it holds; where that differs by type, with the types."""
    users: dict[tuple[str, str], list[str]] = {}
    for type_ in types:
        for field in type_.payload.items():
            users.setdefault(field, []).append(type_.name)
    meanings = Counter(name for name, _ in users)
    return [
        (f"`{name}`" + (f" of {', '.join(of)}" if meanings[name] > 1 else ""), holds)
        for (name, holds), of in users.items()
    ]


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def figures() -> dict[str, Metric]:
    """Every figure of an API process and a worker, by the name that is shown at /metrics."""
    return {_shown(figure): figure for _, telemetry in _processes() for figure in telemetry.registry.collect()}


def _metrics() -> str:
    shown: dict[str, list[str]] = {}
    lines = ["# Metrics", "", _origin("app/figures.py and app/kernel/telemetry.py"), ""]
    lines += [
        "At `/metrics`: the API's on its own port, a worker's on `ORDERWIRE_WORKER_PORT`. `orderwire dev` and",
        "`make demo` are both in one process and show everything on the API's port. All show `process_…` as well:",
        "memory, CPU seconds, open files.",
    ]
    lines += ["", "| metric | of | labels | meaning |", "|---|---|---|---|"]
    for name, telemetry in _processes():
        for figure in telemetry.registry.collect():
            row = f"{', '.join(telemetry.labels(figure))} | {figure.documentation} |"
            shown.setdefault(f"| `{_shown(figure)}` | {{of}} | {row}", []).append(name)
    for text in sorted(shown):
        if text.startswith("| `orderwire_"):
            lines.append(text.format(of=" and ".join(shown[text])))
    return "\n".join([*lines, ""])


def _shown(figure: Metric) -> str:
    return f"{figure.name}_total" if figure.type == "counter" else figure.name


def _processes() -> Iterator[tuple[str, Telemetry]]:
    """What the processes would show; nothing is connected."""
    nowhere = {"database_url": "postgresql://nobody@localhost/none", "redis_url": "redis://localhost"}
    settings = Settings(**nowhere, secret_key=SecretStr("none"))
    yield "API", Services(settings).telemetry
    yield "worker", Worker(settings).telemetry


def _types(area: str) -> tuple[EventType, ...]:
    types: tuple[EventType, ...] = import_module(f"app.{area}.events").TYPES
    return types


def _origin(file: str) -> str:
    return f"<!-- Written by `make schema` from {file}. -->"


def _about(states: type[StrEnum]) -> list[str]:
    own = states.__doc__
    return [cleandoc(own), ""] if own and own != StrEnum.__doc__ else []


def _in_order(some: frozenset[StrEnum], states: type[StrEnum]) -> list[str]:
    return [state for state in states if state in some]


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _words(action: str) -> str:
    return str(action).lower().replace("_", " ")


def _spaced(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


if __name__ == "__main__":
    write()
