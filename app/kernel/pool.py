"""Connections to PostgreSQL, each lent for one statement.

asyncpg's own pool spends more CPU on lending a connection than the connection on a statement: it guards against what
borrowers do, and here nobody but the pool has a connection in hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import asyncpg

RECOVERY_SECONDS = 5.0
REST_SECONDS = 300.0

# Of the connection, and by the operator: the server ends it, though it may not have done so yet.
_ENDING = ("08", "57P")


class Pool:
    """Few connections for many: who finds none is served in the order of asking.

    connect  opens one;  most  so many at once
    A connection that failed is closed, and one that nobody needed for a while, when it is next looked at. One whose
    statement was given up is lent again once PostgreSQL has ended that statement, or closed where that takes long.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], most: int) -> None:
        self.most = most
        self._connect = connect
        self._idle: list[tuple[float, asyncpg.Connection]] = []  # since when; the one used last at the end
        self._lent: set[asyncpg.Connection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._closed: asyncio.Future[None] | None = None
        self._recovering: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        return len(self._idle) + len(self._lent) + self._connecting

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return self.size - self.idle

    async def open(self, at_once: int) -> None:
        """Connect so many.  Raises what keeps it from connecting."""
        self._closed = None
        opened: list[asyncpg.Connection] = []
        try:
            while len(opened) < at_once:
                opened.append(await self._borrowed())
        finally:
            for connection in opened:
                self._give_back(connection)

    async def rows(self, sql: str, *arguments: object) -> Any:
        """The rows of a statement, which commits by itself."""
        connection = self._at_hand() or await self._borrowed()
        try:
            found = await connection.fetch(sql, *arguments)
        except BaseException as problem:
            self._failed(connection, problem)
            raise
        self._give_back(connection)
        return found

    async def value(self, sql: str, *arguments: object) -> Any:
        """The single value of a statement, which commits by itself."""
        connection = self._at_hand() or await self._borrowed()
        try:
            found = await connection.fetchval(sql, *arguments)
        except BaseException as problem:
            self._failed(connection, problem)
            raise
        self._give_back(connection)
        return found

    async def close(self, seconds: float) -> None:
        """Close what is idle, and what is lent once its statement is done; cut off what takes longer."""
        self._closed = asyncio.get_running_loop().create_future()
        while (waiting := self._first_waiting()) is not None:
            waiting.set_result(None)  # who then finds it closed
        idle, self._idle = self._idle, []
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*(connection.close() for _, connection in idle), return_exceptions=True)
                    while self._lent or self._connecting:
                        await asyncio.shield(self._closed)
                        self._closed = asyncio.get_running_loop().create_future()
        finally:
            for connection in [connection for _, connection in idle] + list(self._lent):
                connection.terminate()

    def _at_hand(self) -> asyncpg.Connection | None:
        while self._idle:
            since, connection = self._idle.pop()
            if not connection.is_closed():
                if since > monotonic() - REST_SECONDS:
                    self._lent.add(connection)
                    return connection
                connection.terminate()  # nobody knows what became of the way to it
        return None

    async def _borrowed(self) -> asyncpg.Connection:
        while self._closed is None:
            if (connection := self._at_hand()) is not None:
                return connection
            if self.size < self.most:
                return await self._another()
            if (connection := await self._next()) is not None:
                if not connection.is_closed():
                    return connection
                self._give_back(connection)
        raise asyncpg.InterfaceError("the pool is closed")

    async def _another(self) -> asyncpg.Connection:
        self._connecting += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._connecting -= 1
            self._room()
            raise
        self._connecting -= 1
        self._lent.add(connection)
        return connection

    async def _next(self) -> asyncpg.Connection | None:
        """The next connection that is given back; None where one may be opened in its place."""
        waiting: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():  # it came at that very moment
                if (connection := waiting.result()) is not None:
                    self._give_back(connection)
                else:
                    self._room()
            raise

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            self._lent.discard(connection)
            self._room()
        elif self._closed is not None:
            self._lent.discard(connection)
            connection.terminate()
            self._room()
        elif (waiting := self._first_waiting()) is not None:
            waiting.set_result(connection)
        else:
            now = monotonic()
            self._lent.discard(connection)
            self._idle.append((now, connection))
            while self._idle[0][0] < now - REST_SECONDS:
                self._idle.pop(0)[1].terminate()

    def _failed(self, connection: asyncpg.Connection, problem: BaseException) -> None:
        """After an error that PostgreSQL told a connection is as good as before; after most others nobody knows."""
        if isinstance(problem, asyncio.CancelledError) and not connection.is_closed():
            task = asyncio.get_running_loop().create_task(self._recover(connection))
            self._recovering.add(task)
            task.add_done_callback(self._recovering.discard)
            return
        if not isinstance(problem, asyncpg.PostgresError) or str(problem.sqlstate).startswith(_ENDING):
            connection.terminate()
        self._give_back(connection)

    async def _recover(self, connection: asyncpg.Connection) -> None:
        """Have PostgreSQL end the statement that was given up, which asyncpg asks it to before it sends another."""
        recovered = False
        try:
            with suppress(Exception):  # whatever it is, another connection takes its place
                await connection.fetchval("SELECT 1", timeout=RECOVERY_SECONDS)
                recovered = True
        finally:
            if not recovered:
                connection.terminate()
            self._give_back(connection)

    def _room(self) -> None:
        """One connection fewer: another may be opened."""
        if self._closed is not None:
            if not self._closed.done():
                self._closed.set_result(None)
        elif (waiting := self._first_waiting()) is not None:
            waiting.set_result(None)

    def _first_waiting(self) -> asyncio.Future[asyncpg.Connection | None] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None
