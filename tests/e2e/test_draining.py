"""A process that is told to end lets its open streams go in good order, long before its time is over."""

import asyncio
import time

import orjson
import pytest
import websockets

from tests import running

WATCH = "subscription { orderEvents { ... on OrderSnapshot { count } } }"


@pytest.fixture
async def given(database_url: str, redis_url: str) -> running.Settings:
    return running.settings(database_url, redis_url, drain_seconds=20)


async def test_an_event_stream_ends_whole(given: running.Settings) -> None:
    async with running.api(given) as api:
        key = await api.key()
        headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
        opened, body = asyncio.Event(), ""

        async def read() -> None:
            nonlocal body
            async with api.http.stream("POST", "/graphql", json={"query": WATCH}, headers=headers) as answer:
                async for text in answer.aiter_text():  # an end in the middle of a chunk would be an error
                    body += text
                    opened.set()

        reading = asyncio.create_task(read())
        await opened.wait()
        began = time.monotonic()
        api.stop()
        await asyncio.wait_for(reading, 10)

    assert time.monotonic() - began < 15
    assert "event: complete" not in body  # so that the client comes back


async def test_a_socket_is_told_to_come_back(given: running.Settings) -> None:
    async with running.api(given) as api:
        key = await api.key()
        async with websockets.connect(api.socket_url, subprotocols=["graphql-transport-ws"]) as socket:
            for frame in (
                {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}},
                {"type": "subscribe", "id": "1", "payload": {"query": WATCH}},
            ):
                await socket.send(orjson.dumps(frame).decode())
                await socket.recv()
            api.stop()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 10)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "This server is restarting: connect again.")
