"""OpenTelemetry spans around requests, commands and SQL statements. Imported only where somebody collects them."""

from __future__ import annotations

import time
from contextvars import Token
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.kernel.request import Request

_STATEMENT_LENGTH_MAX = 500


class RequestSpan:
    """A span around a request, the parent of what happens within."""

    def __init__(self, span: trace.Span, request: Request) -> None:
        self._span = span
        self._request = request
        self.enter()

    def enter(self) -> None:
        """From here on it is the parent of what happens in this task."""
        self._mark: Token[contexts.Context] | None = contexts.attach(trace.set_span_in_context(self._span))

    def leave(self) -> None:
        if self._mark is not None:
            contexts.detach(self._mark)
            self._mark = None

    def end(self, status: int) -> None:
        span, request = self._span, self._request
        if request.operation or request.kind:
            span.update_name(f"{request.kind or 'operation'} {request.operation or ''}".strip())
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("orderwire.sql_statements", request.sql.value)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        self.leave()
        span.end()


class CommandSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._mark = contexts.attach(trace.set_span_in_context(span))

    def end(self, outcome: str) -> None:
        self._span.set_attribute("orderwire.outcome", outcome)
        if outcome in ("fault", "UNAVAILABLE"):
            self._span.set_status(Status(StatusCode.ERROR))
        contexts.detach(self._mark)
        self._span.end()


class Tracing:
    """Where spans go is said by OpenTelemetry's own variables; so is how many are kept (OTEL_TRACES_SAMPLER).

    exporter  for tests; by default over OTLP
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        self._provider = TracerProvider(resource=Resource.create({"service.name": "orderwire"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("orderwire")
        self._propagator = TraceContextTextMapPropagator()

    def request(self, request: Request, method: str) -> RequestSpan:
        carrier = {"traceparent": request.traceparent} if request.traceparent else {}
        span = self._tracer.start_span(
            method,
            context=self._propagator.extract(carrier, contexts.Context()),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "orderwire.request_id": request.request_id},
        )
        request.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        return RequestSpan(span, request)

    def command(self, name: str) -> CommandSpan:
        return CommandSpan(self._tracer.start_span(name))

    def statement(self, sql: str, seconds: float) -> None:
        """A span for a statement that has just ended. Its values are no part of it."""
        ended = time.time_ns()
        attributes: dict[str, Any] = {"db.system.name": "postgresql", "db.query.text": sql[:_STATEMENT_LENGTH_MAX]}
        span = self._tracer.start_span(
            sql.split(None, 1)[0].upper() if sql else "SQL",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - round(seconds * 1e9),
        )
        span.end(ended)

    def flush(self) -> None:
        self._provider.force_flush()

    def close(self) -> None:
        self._provider.shutdown()
