"""Spans: a request holds its commands, a command its statements; without a collector there are none."""

import json
import subprocess
import sys

import httpx2
import pytest
import websockets
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.inventory import commands as inventory
from app.kernel.access_log import RequestLog
from app.kernel.errors import NotFound
from app.kernel.request import current
from app.kernel.telemetry import Telemetry
from app.kernel.tracing import Tracing
from app.kernel.work import Runner
from tests import running
from tests.builders import Shop
from tests.operators.conftest import Lines

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_request_is_one_trace_from_the_callers_span_to_the_statements(shop: Shop, lines: Lines) -> None:
    exporter, telemetry = InMemorySpanExporter(), Telemetry()
    telemetry.tracing = Tracing(exporter)
    telemetry.watch_requests()
    telemetry.watch_database(shop.database)
    shop.runner = Runner(shop.database, shop.clock, watching=telemetry)

    async def refuse(_: Request) -> Response:
        request = current()
        assert request is not None
        request.kind, request.operation = "mutation", "Release"
        with pytest.raises(NotFound):
            await shop.run(inventory.release, token="c4n4ry")
        return PlainTextResponse("", 422)

    app = RequestLog(Starlette(routes=[Route("/graphql", refuse, methods=["POST"])]), telemetry)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        await client.post("/graphql", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    telemetry.tracing.flush()

    spans = {span.name: span for span in exporter.get_finished_spans()}
    request, command, select = (
        spans[name] for name in ("mutation Release", "inventory.commands.reservation.release", "SELECT")
    )
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert f"{request.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert command.parent.span_id == request.context.span_id
    assert select.parent.span_id == command.context.span_id
    assert command.attributes["orderwire.outcome"] == "NOT_FOUND"
    assert "c4n4ry" not in str([span.to_json() for span in spans.values()])
    assert lines.of("request")[0]["trace_id"] == TRACE
    await telemetry.close()


async def test_each_operation_of_a_socket_is_a_span_with_its_statements(
    database_url: str, redis_url: str, lines: Lines
) -> None:
    exporter = InMemorySpanExporter()
    async with running.api(running.settings(database_url, redis_url)) as api:
        tracing = api.services.telemetry.tracing = Tracing(exporter)
        key = await api.key()
        async with websockets.connect(api.socket_url, subprotocols=["graphql-transport-ws"]) as socket:
            for frame in (
                {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}},
                {"type": "subscribe", "id": "1", "payload": {"query": 'query Mug { sku(code: "MUG") { name } }'}},
            ):
                await socket.send(json.dumps(frame))
                await socket.recv()
            assert json.loads(await socket.recv())["type"] == "complete"
        tracing.flush()

    spans = {span.name: span for span in exporter.get_finished_spans()}
    (line,) = lines.of("operation")
    assert f"{spans['query Mug'].context.trace_id:032x}" == line["trace_id"]
    assert line["trace_id"] != lines.of("socket opened")[0]["trace_id"]  # a socket may live for days
    assert any(
        span.parent is not None and span.parent.span_id == spans["query Mug"].context.span_id for span in spans.values()
    )


def test_without_a_collector_nothing_of_ours_loads_opentelemetry() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, app.main; print(sorted({'app.kernel.tracing', 'opentelemetry.exporter'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"


def test_an_endpoint_switches_spans_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Telemetry().tracing is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    telemetry = Telemetry()

    assert telemetry.tracing is not None
    telemetry.tracing.close()
