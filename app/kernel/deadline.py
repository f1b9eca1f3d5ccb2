"""Time limits for what nearly always ends in time: one timer for all that is under way, instead of one for each."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """At most so many seconds, counted for each block from where it begins.

    `with deadline.block():` ends like `async with asyncio.timeout(seconds):`, for a fraction of the CPU where the block
    ends in time.  Raises TimeoutError.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._under_way: dict[_Block, None] = {}  # in the order in which they end
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def block(self) -> _Block:
        return _Block(self)

    def begin(self, block: _Block) -> None:
        loop = asyncio.get_running_loop()
        block.ends = loop.time() + self.seconds
        self._under_way[block] = None
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_at(block.ends, self._look)

    def end(self, block: _Block) -> None:
        self._under_way.pop(block, None)

    def _look(self) -> None:
        assert self._loop is not None
        now, self._timer = self._loop.time(), None
        for block in list(self._under_way):
            if block.ends > now:
                self._timer = self._loop.call_at(block.ends, self._look)
                return
            self.end(block)
            block.expire()


class _Block:
    __slots__ = ("_cancelling", "_deadline", "_expired", "_task", "ends")

    ends: float

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task can be given a time limit"
        self._task = task
        self._cancelling = task.cancelling()
        self._deadline.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.end(self)
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from problem

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()
