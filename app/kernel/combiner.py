"""What waits at the same time goes together: reads become one statement, writes one statement with one commit.

Whoever finds nobody at work goes at once, and alone. What comes while that is under way waits, and goes together next,
with those who ask again as soon as they are answered: no time passes to gather a set, so that sets grow with demand and
are of one without it. A read sees what had committed when it was asked for, as it does alone.

A write's SQL function takes columns, lists with entries for each call; a set is the columns of its calls joined, and
the answer a list with one result a call. Where a set fails, each of it goes alone and hears what is wrong with itself.
That holds for a lost connection too: a call that took effect finds its result under its key, and one without a key is
safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from app.kernel.db import Database, count_statement

SET_MAX = 64
# Of a set together, in the longest list of each: many small requests shall not wait for few large ones.
ROWS_MAX = 1_000

T = TypeVar("T")
Answer = dict[str, Any]
# Lists of rows as JSON may be None for none; all other columns are lists, empty at times.
Columns = Sequence[list[Any] | None]
_Send = Callable[[Sequence[Columns]], Awaitable[Sequence[Any]]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """answer  `_SEPARATELY` tells the request to go alone"""

    columns: Columns
    answer: asyncio.Future[Any]


_SEPARATELY = object()


@dataclass(slots=True)
class Tally:
    """sets       statements that served several requests;  requests  how many they served
    separated  requests that went alone because their set failed
    """

    sets: int = 0
    requests: int = 0
    separated: int = 0


class Combiner:
    """Sends the combined statements of one process. Those of different functions do not wait for one another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[Hashable, deque[_Waiting]] = {}  # has the keys that are under way
        self._tasks: set[asyncio.Task[None]] = set()
        self.reads = Tally()
        self.writes = Tally()

    async def call(self, function: str, columns: Columns) -> Answer:
        """The result of one write, committed on return; raises what the function raises for this call.

        Cancelling a call that was sent with others leaves the set alone: it may take effect all the same.
        """

        async def send(together: Sequence[Columns]) -> Sequence[Answer]:
            given = joined(together)
            answers: Sequence[Answer] = await self._database.call_uncounted(statement(function, len(given)), *given)
            return answers

        answer: Answer = await self._run(function, columns, send, self.writes)
        return answer

    async def read(
        self, sql: str, same: Sequence[Hashable], lists: Sequence[list[str]], parse: Callable[[Any], T]
    ) -> T:
        """What a statement tells of these lists and of those of others, parsed once for all of them.

        same  its parameters before the lists; requests with others of these have statements of their own
        """

        async def send(together: Sequence[Columns]) -> Sequence[T]:
            given = [*same, *(list(dict.fromkeys(each or ())) for each in joined(together))]
            told = parse(await self._database.call_uncounted(sql, *given))
            return [told] * len(together)

        told: T = await self._run((sql, *same), lists, send, self.reads)
        return told

    async def rows(self, sql: str, arguments: Sequence[Any], place: int) -> Sequence[Any]:
        """The rows of a statement for these keys, and for those of others who ask the same at the same time.

        place  of the list of keys among the arguments, of which all others are hashable
        """
        before, (keys, *after) = arguments[:place], arguments[place:]

        async def send(together: Sequence[Columns]) -> Sequence[Any]:
            (given,) = joined(together)
            found = await self._database.rows_uncounted(sql, *before, list(dict.fromkeys(given or ())), *after)
            return [found] * len(together)

        found: Sequence[Any] = await self._run((sql, *before, *after), [keys], send, self.reads)
        return found

    async def _run(self, key: Hashable, columns: Columns, send: _Send, tally: Tally) -> Any:
        count_statement()
        if key not in self._waiting:
            self._waiting[key] = deque()
            try:
                (answer,) = await send([columns])
            finally:
                self._go_on(key, send, tally)
            return answer
        waiting = _Waiting(columns, asyncio.get_running_loop().create_future())
        self._waiting[key].append(waiting)
        answer = await waiting.answer
        if answer is _SEPARATELY:
            tally.separated += 1
            count_statement()
            (answer,) = await send([columns])
        return answer

    def _go_on(self, key: Hashable, send: _Send, tally: Tally) -> None:
        """Send those who wait, if any."""
        if self._waiting[key]:
            # In a context of its own: no request shall have the statements of others counted as its own.
            task = asyncio.get_running_loop().create_task(self._send(key, send, tally), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            del self._waiting[key]

    async def _send(self, key: Hashable, send: _Send, tally: Tally) -> None:
        together = _next_set(self._waiting[key])
        answers: Sequence[Any] = [_SEPARATELY] * len(together)
        try:
            with suppress(Exception):  # whose fault it is shows when each goes alone
                if together:
                    answers = await send([each.columns for each in together])
                    if len(together) > 1:
                        tally.sets += 1
                        tally.requests += len(together)
        finally:
            for each, answer in zip(together, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)
            try:
                await asyncio.sleep(0)  # those who were answered and ask again at once belong to the next set
            finally:
                self._go_on(key, send, tally)


def _next_set(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take as many as go together, leaving out those whose callers are gone."""
    together: list[_Waiting] = []
    rows = 0
    while waiting and len(together) < SET_MAX:
        if not waiting[0].answer.done():
            rows += max(len(column or ()) for column in waiting[0].columns)
            if rows > ROWS_MAX and together:
                break
            together.append(waiting[0])
        waiting.popleft()
    return together


def joined(calls: Sequence[Columns]) -> Columns:
    """The columns of all calls, one after the other."""
    if len(calls) == 1:
        return calls[0]
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
