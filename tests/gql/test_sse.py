"""GraphQL over server-sent events: the form of the stream, resuming, heartbeats and how it ends."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.gql import sse


@contextlib.asynccontextmanager
async def streaming(http, query, *, key=None, last=None, **body):
    headers = {"accept": "text/event-stream"}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    headers |= {"last-event-id": last} if last is not None else {}
    async with http.client.stream("POST", http.url, json={"query": query} | body, headers=headers) as answer:
        yield answer


async def events_of(answer):
    """The events of a stream as dictionaries of their fields, heartbeats left out."""
    text = (await answer.aread()).decode()
    assert "\r" not in text
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(":", 1) for line in block.split("\n")) for block in blocks]


async def numbers_of(http, query, **given):
    async with streaming(http, query, **given) as answer:
        return [json.loads(event["data"])["data"] for event in (await events_of(answer))[:-1]]


async def test_a_subscription_is_a_stream_of_events_with_their_positions(http, shop):
    async with streaming(http, "subscription { count(to: 2) { number } }") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = await events_of(answer)

    assert events == [
        {"event": " next", "id": " 1", "data": ' {"data":{"count":{"number":1}}}'},
        {"event": " next", "id": " 2", "data": ' {"data":{"count":{"number":2}}}'},
        {"event": " complete", "data": ""},
    ]
    assert shop.trace.closed == 1


async def test_get_opens_a_stream_too(http, shop):
    params = {"query": "subscription { count(to: 1) { number } }"}
    answer = await http.client.get(shop.url, params=params, headers={"accept": "text/event-stream"})
    assert "event: complete" in answer.text


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("subscription { count(to: 4) { number } }", {}),
        ('subscription { count(to: 4, after: "1") { number } }', {}),
        ("subscription($c: Cursor) { count(to: 4, after: $c) { number } }", {"c": "1"}),
        ("subscription($c: Cursor) { count(to: 4, after: $c) { number } }", {}),
        ("subscription($n: Int!) { ...F } fragment F on Subscription { count(to: $n) { number } }", {"n": 4}),
        ("subscription { ... on Subscription { ... { count(to: 4) { number } } } }", {}),
    ],
)
async def test_last_event_id_says_where_to_go_on(http, shop, query, variables):
    got = await numbers_of(http, query, last="2", variables=variables)
    assert [each["count"]["number"] for each in got] == [3, 4]
    assert shop.trace.opened == ["2"]


async def test_last_event_id_is_ignored_where_nothing_can_resume(http):
    assert len(await numbers_of(http, "subscription { items { __typename } }", key="reader", last="2")) == 2


async def test_a_last_event_id_that_is_no_cursor_is_refused(http):
    for last in ["not a cursor", "x" * 2000, '"']:
        async with streaming(http, "subscription { count { number } }", last=last) as answer:
            assert answer.status_code == 400, last
            assert "Last-Event-ID" in (await answer.aread()).decode()


async def test_what_cannot_begin_is_a_status_not_a_stream(http):
    for query, key, status in [
        ("subscription { items { __typename } }", None, 401),
        ("subscription { items { __typename } }", "nobody", 401),
        ("subscription { nothing }", "reader", 200),
    ]:
        async with streaming(http, query, key=key) as answer:
            assert answer.status_code == status, query
            assert answer.headers["content-type"].startswith("application/json")
            assert json.loads(await answer.aread())["errors"]


async def test_a_stream_that_breaks_says_so_and_completes(http):
    async with streaming(http, "subscription { breaks }") as answer:
        events = await events_of(answer)
    assert json.loads(events[1]["data"])["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert events[2]["event"] == " complete"
    assert "hunter2" not in json.dumps(events)


async def test_heartbeats_keep_the_stream_alive(http, monkeypatch):
    plain = sse.send_events.__kwdefaults__
    monkeypatch.setattr(sse.send_events, "__kwdefaults__", plain | {"heartbeat": 0.05})
    async with streaming(http, "subscription { count(to: 2, pause: 0.3) { number } }") as answer:
        text = (await answer.aread()).decode()
    assert text.count(":\n\n") > 5


async def test_a_stream_ends_with_its_token_without_complete(http, shop):
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    shop.callers["token"] = replace(shop.callers["reader"], expires_at=soon)
    async with streaming(http, "subscription { count(to: 1000, pause: 0.02) { number } }", key="token") as answer:
        events = await events_of(answer)
    assert {event["event"] for event in events} == {" next"}
    assert shop.trace.closed == 1


async def test_a_stream_that_finds_its_credential_expired_ends_without_complete(http):
    async with streaming(http, "subscription { expires }") as answer:
        assert [event["event"] for event in await events_of(answer)] == [" next"]


async def test_a_revoked_credential_and_a_drain_cut_the_stream(http, shop):
    for end in (
        lambda: shop.streams.revoke("key:reader"),
        lambda: asyncio.ensure_future(shop.streams.drain.drain(0.1)),
    ):
        async with streaming(http, "subscription { count(to: 1000, pause: 0.02) { number } }", key="reader") as answer:
            asyncio.get_running_loop().call_later(0.1, end)
            events = await events_of(answer)
        assert events[-1]["event"] == " next"


async def test_a_client_that_leaves_ends_its_subscription(http, shop):
    async with streaming(http, "subscription { count(to: 1000, pause: 0.02) { number } }") as answer:
        await anext(answer.aiter_bytes())
        assert len(shop.streams) == 1
    async with asyncio.timeout(5):
        while shop.trace.closed < 1 or len(shop.streams):
            await asyncio.sleep(0.01)
