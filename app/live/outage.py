"""Which errors mean that PostgreSQL is away for the moment, so that waiting mends them."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

T = TypeVar("T")

# Connection failures, an operator's intervention, a server out of resources.
_PASSING = ("08", "57", "53")
# Also of class 57, but it would come again: a statement that takes longer than statement_timeout allows.
_STATEMENT_TIMEOUT = "57014"
# A database that takes no connections says so by a code of others; only it ends the connection.
_TAKES_NO_CONNECTIONS = "55000"


def is_outage(error: BaseException | None) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_outage(error.orig) or is_outage(error.__cause__)
    if isinstance(error, asyncpg.PostgresError):
        return _passes(error.sqlstate) or (error.sqlstate == _TAKES_NO_CONNECTIONS and error.severity_en == "FATAL")
    if isinstance(error, PoolExhausted | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return True
    if isinstance(error, OSError | TimeoutError):
        return True
    # SQLAlchemy wraps the driver's errors in classes of its own.
    return isinstance(cause := getattr(error, "__cause__", None), asyncpg.PostgresError) and is_outage(cause)


def _passes(sqlstate: str | None) -> bool:
    return sqlstate is not None and sqlstate[:2] in _PASSING and sqlstate != _STATEMENT_TIMEOUT


def give_way() -> None:
    """Raise CancelledError if this task was cancelled and did not hear of it.

    A driver may have turned the cancellation into an error of its own, or, where its answer came at that very moment,
    into that answer: `asyncio.wait_for` does so before Python 3.12. Whoever loops over a driver's calls asks here.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, asked for again until PostgreSQL is there to give it.  Raises what is not an outage."""
    pause = 0.05
    while True:
        try:
            answer = await ask()
            give_way()
            return answer
        except Exception as error:
            if not is_outage(error):
                raise
        give_way()
        await asyncio.sleep(pause * uniform(0.5, 1.0))
        pause = min(pause * 2, 1.0)
