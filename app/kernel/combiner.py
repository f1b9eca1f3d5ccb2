"""Group commit: calls of one SQL function that wait at the same time become one statement, with one commit.

A call that finds nobody at work is sent at once, and alone. What comes while it is under way waits, and goes together
next: nothing is held back to gather a set, so that sets grow with demand and are of one call without it.

The function takes columns, lists with entries for each call; a set is the columns of its calls joined, and the answer a
list with one result a call. Where a set fails, each of its calls is made alone and hears what is wrong with itself.
That holds for a lost connection too: a call that took effect finds its result under its key, and one without a key is
safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.kernel.db import Database, count_statement

CALLS_MAX = 64
# Of all calls of a set together, in the longest column of each: many small calls shall not wait for few large ones.
ROWS_MAX = 1_000

Answer = dict[str, Any]
# Lists of rows as JSON may be None for none; all other columns are lists, empty at times.
Columns = Sequence[list[Any] | None]


@dataclass(slots=True, eq=False)
class _Waiting:
    """answer  None tells the call to be made alone"""

    columns: Columns
    answer: asyncio.Future[Answer | None]


class Combiner:
    """Sends the calls of one process. Calls of different functions do not wait for one another.

    sets       statements with several calls that have committed;  calls  how many calls they held
    separated  calls that were made alone because their set failed
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.sets = 0
        self.calls = 0
        self.separated = 0

    async def call(self, function: str, columns: Columns) -> Answer:
        """The result of one call, committed on return; raises what the function raises for this call.

        Cancelling a call that was sent with others leaves the set alone: it may take effect all the same.
        """
        if function not in self._busy:
            self._busy.add(function)
            try:
                return await call_alone(self._database, function, columns)
            finally:
                self._go_on(function)
        count_statement()
        waiting = _Waiting(columns, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(function, deque()).append(waiting)
        answer = await waiting.answer
        if answer is not None:
            return answer
        self.separated += 1
        return await call_alone(self._database, function, columns)

    def _go_on(self, function: str) -> None:
        """Send those who wait, if any."""
        if self._waiting.get(function):
            # In a context of its own: no request shall have the statements of others counted as its own.
            task = asyncio.get_running_loop().create_task(self._send(function), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._busy.discard(function)

    async def _send(self, function: str) -> None:
        together = _next_set(self._waiting[function])
        answers: Sequence[Answer | None] = [None] * len(together)
        try:
            with suppress(Exception):  # whose fault it is shows when each is made alone
                if together:
                    columns = joined([each.columns for each in together])
                    answers = await self._database.call_uncounted(statement(function, len(columns)), *columns)
                    self.sets += 1
                    self.calls += len(together)
        finally:
            for each, answer in zip(together, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)
            self._go_on(function)


def _next_set(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take as many as go together, leaving out those whose callers are gone."""
    together: list[_Waiting] = []
    rows = 0
    while waiting and len(together) < CALLS_MAX:
        if not waiting[0].answer.done():
            rows += max(len(column or ()) for column in waiting[0].columns)
            if rows > ROWS_MAX and together:
                break
            together.append(waiting[0])
        waiting.popleft()
    return together


def joined(calls: Sequence[Columns]) -> list[list[Any] | None]:
    """The columns of all calls, one after the other."""
    return [_end_to_end(parts) for parts in zip(*calls, strict=True)]


def _end_to_end(parts: Sequence[list[Any] | None]) -> list[Any] | None:
    if all(part is None for part in parts):
        return None
    return [entry for part in parts if part is not None for entry in part]


async def call_alone(database: Database, function: str, columns: Columns) -> Answer:
    """The result of a set of one."""
    answers: list[Answer] = await database.call(statement(function, len(columns)), *columns)
    (answer,) = answers
    return answer


@cache
def statement(function: str, columns: int) -> str:
    """The SQL of a call."""
    return f"SELECT {function}({', '.join(f'${place}' for place in range(1, columns + 1))})"
