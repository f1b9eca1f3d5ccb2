"""Every request has an id, a line and figures, on the real application."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families

from app.gql.faults import Met
from tests import running
from tests.builders import Shop
from tests.operators.conftest import Lines
from tests.running import Api

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLACE = """
mutation Place($input: OrderPlaceInput!, $key: String!) {
  orderPlace(input: $input, idempotencyKey: $key) { order { id } userErrors { code } } }
"""


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    given = running.settings(database_url, redis_url)
    async with running.worker(given), running.api(given) as api:
        yield api


@pytest.fixture
async def shop(api: Api) -> Shop:
    shop = Shop(api.services.database)
    await shop.open()
    await shop.sku("MUG")
    return shop


async def figures(api: Api) -> dict[str, float]:
    """All figures, as `name{label="value"}`."""
    text = (await api.http.get("/metrics")).text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_a_request_has_one_line_with_its_ids_and_what_it_did(api: Api, shop: Shop, lines: Lines) -> None:
    key = await api.key()
    headers = {
        "authorization": f"Bearer {key}",
        "x-request-id": "req-1",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    body = {"query": 'query Known { sku(code: "MUG") { code } }'}

    answer = await api.http.post("/graphql?secret=c4n4ry", json=body, headers=headers)

    assert answer.headers.get_list("x-request-id") == ["req-1"]
    (line,) = lines.of("request")
    said = {name: line[name] for name in ("request_id", "trace_id", "method", "path", "status", "operation", "type")}
    assert said == {
        "request_id": "req-1",
        "trace_id": TRACE,
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "operation": "Known",
        "type": "query",
    }
    assert line["principal"].startswith("client:")
    assert line["sql"] >= 1
    assert line["ms"] > 0
    assert key not in lines.text
    assert "c4n4ry" not in lines.text


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "né", "a\tb"])
async def test_an_odd_request_id_is_replaced(api: Api, given: str) -> None:
    answer = await api.http.get("/livez", headers={"x-request-id": given.encode(), "traceparent": "00-zz-1-01"})

    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


async def test_a_fault_is_found_by_the_reference_that_its_client_was_given(api: Api, shop: Shop, lines: Lines) -> None:
    await shop.execute("ALTER TABLE sku RENAME COLUMN name TO title")
    before = Met.faults

    answer = await api.send('{ sku(code: "MUG") { name } }', key=await api.key())

    (error,) = answer.json()["errors"]
    (fault,) = lines.of("fault")
    assert error["extensions"]["reference"] == fault["request_id"] == answer.headers["x-request-id"]
    assert "UndefinedColumn" in fault["exception"]
    assert f"orderwire_faults_total {before + 1:.1f}" in (await api.http.get("/metrics")).text


async def test_a_client_that_goes_away_is_told_apart_from_a_fault(api: Api, lines: Lines) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    for _ in range(100):
        if lines.of("request"):
            break
        await asyncio.sleep(0.02)

    (line,) = lines.of("request")
    assert line["status"] == 499
    assert not lines.of("fault")
    assert reader is not None


async def test_a_socket_has_a_line_when_it_opens_and_one_when_it_closes(api: Api, lines: Lines) -> None:
    async with websockets.connect(f"{api.socket_url}?token=c4n4ry", subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": "Bearer c4n4ry"}}))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    for _ in range(100):
        if lines.of("socket closed"):
            break
        await asyncio.sleep(0.02)

    (opened,), (closed,) = lines.of("socket opened"), lines.of("socket closed")
    assert opened["path"] == closed["path"] == "/graphql"
    assert (closed["code"], closed["request_id"]) == (4401, opened["request_id"])
    assert "c4n4ry" not in lines.text


async def test_each_operation_of_a_socket_has_a_line_and_is_counted_like_a_request(api: Api, lines: Lines) -> None:
    key = await api.key()
    async with websockets.connect(api.socket_url, subprotocols=["graphql-transport-ws"]) as socket:

        async def say(**frame: Any) -> None:
            await socket.send(json.dumps(frame))

        await say(type="connection_init", payload={"authorization": f"Bearer {key}"})
        await say(type="subscribe", id="1", payload={"query": 'query Mug { sku(code: "MUG") { name } }'})
        await say(type="subscribe", id="2", payload={"query": "{ nothing }"})
        await say(type="subscribe", id="3", payload={"query": "subscription { orderEvents { __typename } }"})
        answers = [json.loads(await socket.recv())["type"] for _ in range(5)]
        await say(type="complete", id="3")
        await say(type="ping")
        await socket.recv()
        figures = (await api.http.get("/metrics")).text

    assert sorted(answers) == ["complete", "connection_ack", "error", "next", "next"]
    (opened,) = lines.of("socket opened")
    by_status = {line["status"]: line for line in lines.of("operation")}
    assert {line["request_id"] for line in by_status.values()} == {opened["request_id"]}
    assert (by_status[200]["operation"], by_status[200]["type"], by_status[200]["sql"]) == ("Mug", "query", 1)
    assert by_status[200]["principal"].startswith("client:")
    assert by_status[400]["type"] is None
    assert by_status[499]["type"] == "subscription"
    assert 'orderwire_http_requests_total{status="200",type="query"} 1.0' in figures
    assert 'orderwire_http_requests_total{status="400",type="other"} 1.0' in figures


async def test_figures_count_requests_statements_and_how_commands_ended(api: Api, shop: Shop) -> None:
    await shop.stock("MUG", 1)
    key = await api.key()
    given = {"channel": "WEB", "lines": [{"sku": "MUG", "quantity": 1}]}
    before = await figures(api)

    for _ in range(2):
        await api.ask(PLACE, {"input": given, "key": str(uuid4())}, key=key)
    await api.send("{ nonsense }", key=key)
    await asyncio.sleep(0.1)

    after = await figures(api)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    command = 'command="orders.commands.place.place"'
    assert grown[f'orderwire_commands_total{{{command},outcome="done"}}'] == 1
    assert grown[f'orderwire_commands_total{{{command},outcome="INSUFFICIENT_STOCK"}}'] == 1
    assert grown['orderwire_http_requests_total{status="200",type="mutation"}'] == 2
    assert grown['orderwire_http_request_seconds_count{type="mutation"}'] == 2
    assert grown['orderwire_sql_seconds_count{pool="calls"}'] >= 3
    assert after["orderwire_hub_healthy"] == 1
    assert not [name for name in after if "livez" in name or "nonsense" in name or "MUG" in name]


async def test_figures_show_open_sockets_and_subscriptions(api: Api, shop: Shop) -> None:
    key = await api.key()
    before = await figures(api)
    async with websockets.connect(api.socket_url, subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}))
        await socket.recv()
        query = 'subscription { stockChanges(skus: ["MUG"]) { __typename } }'
        for id_ in ("1", "2"):
            await socket.send(json.dumps({"id": id_, "type": "subscribe", "payload": {"query": query}}))
            assert json.loads(await socket.recv())["type"] == "next"
        async with asyncio.timeout(5):
            while api.services.groups.seats < 2:
                await asyncio.sleep(0.01)
        during = await figures(api)

    assert during["orderwire_streams_open"] == 1
    assert during["orderwire_group_seats"] == 2
    assert during["orderwire_groups"] == 1
    for _ in range(100):
        after = await figures(api)
        if not after["orderwire_streams_open"]:
            break
        await asyncio.sleep(0.02)
    assert after["orderwire_streams_open"] == 0
    assert after["orderwire_group_seats"] == 0
    assert after["orderwire_hub_mailboxes"] == before["orderwire_hub_mailboxes"]
