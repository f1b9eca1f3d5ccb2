"""Figures and spans of one process: what an operator's graphs and traces are made of.

Figures go to a registry of their own, shown at /metrics. Spans exist only where OTEL_EXPORTER_OTLP_ENDPOINT says where
to send them; without it OpenTelemetry is not even imported.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import event

from app.kernel.db import Database
from app.kernel.errors import Forbidden, Refusal
from app.kernel.request import Request
from app.kernel.work import Unavailable

if TYPE_CHECKING:
    from app.kernel.tracing import RequestSpan, Tracing

ENDPOINT = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SQL_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

Read = Callable[[], float]


class _Command:
    __slots__ = ("_name", "_span", "_telemetry")

    def __init__(self, telemetry: Telemetry, name: str) -> None:
        self._telemetry = telemetry
        self._name = name

    def __enter__(self) -> None:
        tracing = self._telemetry.tracing
        self._span = tracing.command(self._name) if tracing is not None else None

    def __exit__(self, _: object, problem: BaseException | None, __: TracebackType | None) -> None:
        outcome = _outcome(problem)
        self._telemetry.ended(self._name, outcome)
        if self._span is not None:
            self._span.end(outcome)


def _outcome(problem: BaseException | None) -> str:
    match problem:
        case None:
            return "done"
        case Refusal():
            return problem.code
        case Forbidden():
            return "FORBIDDEN"
        case Unavailable():
            return "UNAVAILABLE"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return "fault"


class Figures(Collector):
    """Figures that are kept elsewhere and read when somebody looks."""

    def __init__(self) -> None:
        self._read: dict[
            str, tuple[type[GaugeMetricFamily | CounterMetricFamily], str, list[tuple[dict[str, str], Read]]]
        ] = {}

    def add(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        says: str,
        read: Read,
        labels: dict[str, str],
    ) -> None:
        self._read.setdefault(name, (kind, says, []))[2].append((labels, read))

    def labels(self, name: str) -> list[str]:
        return list(self._read[name][2][0][0]) if name in self._read else []

    def collect(self) -> Iterable[Metric]:
        for name, (kind, says, reads) in self._read.items():
            family = kind(name, says, labels=list(reads[0][0]))
            for labels, read in reads:
                family.add_metric(list(labels.values()), float(read()))
            yield family


class Telemetry:
    """The figures of this process. Counting costs a microsecond or two; what can be read later is.

    It begins with what every process does; `watch_…` and app.figures add what this one does besides, so that no figure
    is shown that could not move. Parts that share a process share one of these.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._figures = Figures()
        self._labels: dict[str, tuple[str, ...]] = {}
        self.registry.register(self._figures)
        ProcessCollector(registry=self.registry)
        self._sql_seconds = self._histogram(
            "sql_seconds", "Time of SQL statements; their number is the count.", _SQL_SECONDS, "pool"
        )
        self._commands = self.counter(
            "commands",
            "Commands run, by how they ended: done, a refusal's code, forbidden, fault.",
            "command",
            "outcome",
        )
        self._retries = self.counter("command_retries", "Further attempts of commands, on fresh figures.", "command")
        self._databases: list[Database] = []
        self._by_request: dict[tuple[str, int], Counter] = {}
        self._by_type: dict[str, Histogram] = {}
        self._by_outcome: dict[tuple[str, str], Counter] = {}
        self.tracing: Tracing | None = None
        if any(os.environ.get(name) for name in ENDPOINT):
            from app.kernel.tracing import Tracing

            self.tracing = Tracing()

    def labels(self, figure: Metric) -> Sequence[str]:
        """The names of a figure's labels."""
        return self._labels.get(figure.name, ()) or self._figures.labels(figure.name)

    def counter(self, name: str, says: str, *labels: str) -> Counter:
        """Show a figure that only grows, counted as it happens."""
        self._labels[f"orderwire_{name}"] = labels
        return Counter(f"orderwire_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        self._labels[f"orderwire_{name}"] = labels
        return Histogram(f"orderwire_{name}", says, labels, buckets=buckets, registry=self.registry)

    def gauge(self, name: str, says: str, read: Read, **labels: str) -> None:
        """Show a figure that goes up and down, read when somebody looks."""
        self._figures.add(GaugeMetricFamily, f"orderwire_{name}", says, read, labels)

    def total(self, name: str, says: str, read: Read, **labels: str) -> None:
        """Show a figure that only grows, read when somebody looks."""
        self._figures.add(CounterMetricFamily, f"orderwire_{name}", says, read, labels)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)

    async def close(self) -> None:
        """Send the spans that wait."""
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)

    def watch_requests(self) -> None:
        """Count and time the requests of clients: in a process that answers them."""
        self._requests = self.counter("http_requests", "Requests answered.", "type", "status")
        self._request_seconds = self._histogram(
            "http_request_seconds", "Time to answer, streams left out.", _REQUEST_SECONDS, "type"
        )

    def requested(self, kind: str, status: int, seconds: float) -> None:
        key = (kind, status)
        if (counter := self._by_request.get(key)) is None:
            counter = self._by_request[key] = self._requests.labels(kind, str(status))
        counter.inc()
        if kind != "subscription":
            if (histogram := self._by_type.get(kind)) is None:
                histogram = self._by_type[kind] = self._request_seconds.labels(kind)
            histogram.observe(seconds)

    def serving(self, request: Request, method: str) -> RequestSpan | None:
        """A span around a request; None while nobody collects spans."""
        return self.tracing.request(request, method) if self.tracing is not None else None

    def command(self, name: str) -> AbstractContextManager[None]:
        """Entered around a command: counts how it ends."""
        return _Command(self, name)

    def ended(self, command: str, outcome: str) -> None:
        key = (command, outcome)
        if (counter := self._by_outcome.get(key)) is None:
            counter = self._by_outcome[key] = self._commands.labels(command, outcome)
        counter.inc()

    def retried(self, command: str) -> None:
        self._retries.labels(command).inc()

    def watch_database(self, database: Database) -> None:
        """Time every statement, and show how full the pools are; several databases are counted together."""
        general = self._sql_seconds.labels("general")
        hot = {pool: self._sql_seconds.labels(pool) for pool in ("calls", "reads")}
        engine = database.engine.sync_engine

        def begin(_c: Any, _cursor: Any, _s: str, _p: Any, context: Any, _many: bool) -> None:
            if context is not None:
                context.began_at = time.perf_counter()

        def end(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _many: bool) -> None:
            if context is not None and (began := getattr(context, "began_at", None)) is not None:
                tell(general, statement, time.perf_counter() - began)

        def tell(histogram: Histogram, statement: str, seconds: float) -> None:
            histogram.observe(seconds)
            if self.tracing is not None:
                self.tracing.statement(statement, seconds)

        event.listen(engine, "before_cursor_execute", begin)
        event.listen(engine, "after_cursor_execute", end)
        database.timed = lambda pool, statement, seconds: tell(hot[pool], statement, seconds)

        if not self._databases:
            self._watch_pools()
        self._databases.append(database)

    def _watch_pools(self) -> None:
        def of_all(read: Callable[[Database], float]) -> Read:
            return lambda: sum(map(read, self._databases))

        says, limit = "Connections to PostgreSQL, by pool and state.", "Connections to PostgreSQL that a pool may open."
        self.gauge("sql_connections", says, of_all(lambda db: _pool(db).checkedout()), pool="general", state="busy")
        self.gauge("sql_connections", says, of_all(lambda db: _pool(db).checkedin()), pool="general", state="idle")
        self.gauge("sql_connections_max", limit, of_all(lambda db: _pool(db).size()), pool="general")
        self.gauge("sql_connections", says, of_all(lambda db: db.calls.busy), pool="calls", state="busy")
        self.gauge("sql_connections", says, of_all(lambda db: db.calls.idle), pool="calls", state="idle")
        self.gauge("sql_connections_max", limit, of_all(lambda db: db.calls.most), pool="calls")
        self.gauge("sql_connections", says, of_all(lambda db: db.reads.busy), pool="reads", state="busy")
        self.gauge("sql_connections", says, of_all(lambda db: db.reads.idle), pool="reads", state="idle")
        self.gauge("sql_connections_max", limit, of_all(lambda db: db.reads.most), pool="reads")


def _pool(database: Database) -> Any:
    return database.engine.sync_engine.pool
