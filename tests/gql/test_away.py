"""The database is away or hangs: clients hear that they may come back, or nothing until there is something to tell."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.gql.raw import Log, logged
from tests.gql.test_websocket import opened
from tests.gql.toy import serving


@pytest.fixture
def log(caplog):
    with logged(caplog) as log:
        yield log
    assert log.troubles == []


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer whose database is away"}, {"origin": "https://whose-database-is-away.example"}],
)
async def test_a_request_that_cannot_be_judged_is_unavailable(log: Log, http, headers):
    answer = await http.raw(b'{"query":"{hello}"}', **headers)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"


async def test_a_socket_that_cannot_be_judged_closes_so_that_its_client_comes_back(log: Log, shop):
    async with opened(shop, init=False) as socket:
        await socket.send("connection_init", payload={"authorization": "Bearer whose database is away"})
        code, reason = await socket.until_closed()
    assert (code, "connect again" in reason) == (1013, True)

    async with opened(shop, init=False, origin="https://whose-database-is-away.example") as socket:
        assert (await socket.until_closed())[0] == 1013


async def test_a_subscription_begins_when_the_database_is_back(log: Log, shop, http):
    query = "subscription { beginsAtTheThirdAttempt }"
    async with opened(shop) as socket:
        await socket.subscribe(query)
        payloads, last = await socket.frames_of()
    assert [payload["data"] for payload in payloads] == [{"beginsAtTheThirdAttempt": 3}]
    assert last["type"] == "complete"

    shop.trace.opened.clear()
    answer = await http.post(query, accept="text/event-stream")
    assert '{"beginsAtTheThirdAttempt":3}' in answer.text


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_an_event_that_hangs_is_shown_in_the_end(caplog, transport):
    query = "subscription { count(to: 2) { number hangingOnce } }"
    with logged(caplog) as log:
        async with serving(timeout=0.2) as shop:
            if transport == "socket":
                async with opened(shop) as socket:
                    await socket.subscribe(query)
                    payloads, _ = await socket.frames_of()
            else:
                async with httpx2.AsyncClient() as client:
                    answer = await client.post(shop.url, json={"query": query}, headers={"accept": "text/event-stream"})
                events = answer.text.split("\n")
                payloads = [json.loads(each[6:]) for each in events if each.startswith("data: ")]

    assert [payload["data"]["count"]["number"] for payload in payloads] == [1, 2]
    assert log.troubles == []
    assert [each["event"] for each in log.ours if each["log_level"] == "warning"] == [
        "an event took too long to show; trying again"
    ]
