"""A time limit of one timer ends like one that asyncio gives each block."""

import asyncio

import pytest

from app.kernel.deadline import Deadline


async def test_what_takes_too_long_ends_with_a_timeout() -> None:
    deadline = Deadline(0.05)

    with pytest.raises(TimeoutError), deadline.block():
        await asyncio.sleep(5)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_block_has_its_own_time() -> None:
    deadline, loop = Deadline(0.1), asyncio.get_running_loop()
    took: list[float] = []

    async def run(begin: float, seconds: float) -> bool:
        await asyncio.sleep(begin)
        began = loop.time()
        try:
            with deadline.block():
                await asyncio.sleep(seconds)
        except TimeoutError:
            took.append(loop.time() - began)
            return False
        return True

    ended = await asyncio.gather(run(0, 5), run(0.03, 0.01), run(0.06, 5), run(0.3, 5))

    assert ended == [False, True, False, False]
    assert all(0.09 < seconds < 0.3 for seconds in took), took


async def test_a_cancellation_from_outside_stays_one() -> None:
    deadline = Deadline(5)

    async def run() -> None:
        with deadline.block():
            await asyncio.sleep(5)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_within_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="own"), Deadline(5).block():
        raise ValueError("its own")


async def test_the_inner_of_two_ends_alone() -> None:
    outer, inner = Deadline(5), Deadline(0.02)

    with outer.block():
        with pytest.raises(TimeoutError), inner.block():
            await asyncio.sleep(5)
        await asyncio.sleep(0)


def test_it_serves_one_loop_after_another() -> None:
    deadline = Deadline(0.05)

    async def hang() -> None:
        with deadline.block():
            await asyncio.sleep(5)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(hang())
