"""Streams end with their credential, by the clock: also when it is set, or the machine slept."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from app.kernel import clock as module
from app.kernel.clock import FixedClock
from tests.gql.test_websocket import opened
from tests.gql.toy import serving

ENDLESS = "subscription { count(to: 100000, pause: 0.02) { number } }"


@pytest.fixture
async def shop(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with serving(clock=clock) as shop:
        shop.callers["token"] = replace(shop.callers["reader"], expires_at=clock.now() + timedelta(hours=1))
        yield shop


async def test_a_socket_ends_when_the_clock_has_jumped(shop):
    async with opened(shop, "token") as socket:
        await socket.subscribe(ENDLESS)
        await socket.receive()
        shop.clock.advance(timedelta(hours=2))
        assert (await asyncio.wait_for(socket.until_closed(), 5))[0] == 4403


async def test_a_stream_of_events_ends_when_the_clock_has_jumped(shop):
    headers = {"accept": "text/event-stream", "authorization": "Bearer token"}
    async with httpx2.AsyncClient() as client:
        asyncio.get_running_loop().call_later(0.3, shop.clock.advance, timedelta(hours=2))
        answer = await asyncio.wait_for(client.post(shop.url, json={"query": ENDLESS}, headers=headers), 5)
    assert "event: next" in answer.text
    assert "event: complete" not in answer.text
    assert len(shop.streams) == 0
