"""Alarms keep to the clock, not to the time that passes while they wait."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.kernel import clock as module
from app.kernel.clock import Alarm, FixedClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def looking_often(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)


async def test_an_alarm_rings_when_the_clock_says_so():
    clock, rung = FixedClock(NOON), []
    alarm = Alarm(clock, NOON + timedelta(hours=1), lambda: rung.append(clock.now()))
    await asyncio.sleep(0.05)
    assert rung == []

    clock.advance(timedelta(hours=3))
    await asyncio.sleep(0.05)

    assert rung == [NOON + timedelta(hours=3)]
    alarm.cancel()


async def test_an_alarm_does_not_ring_early_when_the_clock_is_set_back():
    clock, rung = FixedClock(NOON), []
    alarm = Alarm(clock, NOON + timedelta(seconds=0.02), lambda: rung.append(clock.now()))
    clock.advance(timedelta(hours=-1))
    await asyncio.sleep(0.06)
    assert rung == []
    alarm.cancel()


async def test_what_is_over_rings_at_once_and_what_is_cancelled_never():
    clock, rung = FixedClock(NOON), []
    Alarm(clock, NOON, lambda: rung.append(1))
    assert rung == [1]
    Alarm(clock, NOON + timedelta(seconds=0.01), lambda: rung.append(2)).cancel()
    clock.advance(timedelta(hours=1))
    await asyncio.sleep(0.05)
    assert rung == [1]
