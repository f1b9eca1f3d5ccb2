"""PostgreSQL: three pools, statements counted, reads that know who is asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from time import perf_counter
from typing import Any, Protocol

import asyncpg
import orjson
from sqlalchemy import CheckConstraint, Executable, MetaData, Row, event
from sqlalchemy.engine import ExecutionContext, make_url
from sqlalchemy.engine.interfaces import ExecuteStyle
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.kernel.clock import Clock
from app.kernel.pool import Pool
from app.kernel.principal import Principal

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


CLOSE_SECONDS = 5.0
STATEMENT_BYTES_MAX = 256 * 1024

# Every statement on a table that grows has an index to go by. A plan that was made while the table was small would
# read it whole, and be kept: by foreign keys, SQL functions and prepared statements, until the next ANALYZE.
PLANNING = {"enable_seqscan": "off", "jit": "off"}
# PostgreSQL takes a short array for cheaper than the ten values that a kept plan counts on, and plans anew each time.
_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan"}


class Base(DeclarativeBase):
    """Every area's tables share this metadata; migrations are compared with it."""

    metadata = MetaData(naming_convention=NAMING)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """A CHECK that a text column holds a member of the enum: the states in Python and in SQL cannot drift apart."""
    members = ", ".join(f"'{member}'" for member in values)
    return CheckConstraint(f"{column} IN ({members})", name=column)


class Record(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns are attributes, as SQLAlchemy's are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class StatementCount:
    """SQL statements sent on behalf of one operation."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


statements: ContextVar[StatementCount | None] = ContextVar("statements", default=None)


def count_statement(times: int = 1) -> None:
    """Add to the statements of the operation under way, if any."""
    if (count := statements.get()) is not None:
        count.value += times


def _count_sent(
    _connection: object, _cursor: object, _sql: str, parameters: Any, context: ExecutionContext | None, _many: bool
) -> None:
    """A statement that is sent with many sets of parameters runs as often, though its messages travel together."""
    often = context is not None and context.execute_style is ExecuteStyle.EXECUTEMANY
    count_statement(len(parameters) if often else 1)


def _encode_json(value: Any) -> str:
    return orjson.dumps(value).decode()


class Database:
    """One PostgreSQL, reached through SQLAlchemy for general work and through asyncpg for one-call writes.

    read_pool  connections of the SQLAlchemy engine, and as many for hot reads
    call_pool  connections for hot writes; few on purpose: 2 to 8 sell a hot SKU twice as fast as 32
    session    PostgreSQL settings of every connection, beside or instead of the usual ones
    """

    def __init__(
        self,
        url: str,
        *,
        read_pool: int = 10,
        call_pool: int = 6,
        statement_timeout_ms: int = 5_000,
        session: Mapping[str, str] | None = None,
    ) -> None:
        self.url = make_url(url).set(drivername="postgresql")
        self._settings = {
            "application_name": "orderwire",
            "lock_timeout": "2000",
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": "10000",
            "timezone": "UTC",
            **PLANNING,
            **(session or {}),
        }
        self.engine: AsyncEngine = create_async_engine(
            self.url.set(drivername="postgresql+asyncpg"),
            pool_size=read_pool,
            max_overflow=0,
            pool_timeout=5,
            hide_parameters=True,
            json_serializer=_encode_json,
            json_deserializer=orjson.loads,
            connect_args={"server_settings": self._settings},
        )
        self.autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self.engine.sync_engine, "before_cursor_execute", _count_sent)
        # Told the pool of each hot statement, the statement and its seconds; SQLAlchemy's pool has events of its own.
        self.timed: Callable[[str, str, float], None] | None = None
        # Apart from one another: a write that waits for a lock keeps no reader waiting.
        self.calls = Pool(self._connected, call_pool)
        self.reads = Pool(self._connected, read_pool)

    @property
    def dsn(self) -> str:
        """The address in the form that asyncpg takes."""
        return self.url.render_as_string(hide_password=False)

    async def open(self) -> None:
        await self.calls.open(min(2, self.calls.most))
        await self.reads.open(0)

    async def _connected(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self.dsn,
            record_class=Record,
            server_settings={**self._settings, **_PLANNED_ONCE},
            # The largest statements are those that most need to be planned once: an order with all that hangs on it.
            max_cacheable_statement_size=STATEMENT_BYTES_MAX,
            max_cached_statement_lifetime=0,
        )
        try:
            for name in ("json", "jsonb"):
                await connection.set_type_codec(name, schema="pg_catalog", encoder=_encode_json, decoder=orjson.loads)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        """Close all connections; those that do not answer are cut off after a moment."""
        await asyncio.gather(self.calls.close(CLOSE_SECONDS), self.reads.close(CLOSE_SECONDS))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One READ COMMITTED transaction, committed unless an exception leaves it."""
        async with self.engine.begin() as connection:
            yield connection

    async def call(self, sql: str, *arguments: object) -> Any:
        """The single value of one statement, committed on return."""
        count_statement()
        return await self.call_uncounted(sql, *arguments)

    async def call_uncounted(self, sql: str, *arguments: object) -> Any:
        """The same for a statement that several operations share, and have counted."""
        began = perf_counter()
        try:
            return await self.calls.value(sql, *arguments)
        finally:
            if self.timed is not None:
                self.timed("calls", sql, perf_counter() - began)

    async def rows(self, sql: str, *arguments: object) -> Any:
        """The rows of one statement that writes nothing."""
        count_statement()
        return await self.rows_uncounted(sql, *arguments)

    async def rows_uncounted(self, sql: str, *arguments: object) -> Any:
        """The same for a statement that several operations share, and have counted."""
        began = perf_counter()
        try:
            return await self.reads.rows(sql, *arguments)
        finally:
            if self.timed is not None:
                self.timed("reads", sql, perf_counter() - began)


class Shared(Protocol):
    """Reads rows together with whoever asks the same of other keys."""

    async def rows(self, sql: str, arguments: Sequence[Any], place: int) -> Sequence[Any]: ...


class Reads:
    """What one caller reads: single statements from the pool, or all inside one transaction.

    shared  what may be read together with others is, by this
    """

    def __init__(
        self,
        database: Database,
        principal: Principal,
        clock: Clock,
        connection: AsyncConnection | None = None,
        *,
        shared: Shared | None = None,
    ) -> None:
        self.shared = shared
        self.database = database
        self.principal = principal
        self.clock = clock
        self._connection = connection
        # Loaders ask at the same time; one connection answers one after the other.
        self._turn = asyncio.Lock()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    async def all(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        if self._connection is not None:
            async with self._turn:
                return (await self._connection.execute(statement, parameters)).all()
        async with self.database.autocommit.connect() as connection:
            return (await connection.execute(statement, parameters)).all()

    async def first(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row[Any] | None:
        rows = await self.all(statement, parameters)
        return rows[0] if rows else None

    async def scalar(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        row = await self.first(statement, parameters)
        return row[0] if row is not None else None

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row[Any]]:
        """The rows of one hot statement, sent by asyncpg without SQLAlchemy on the way."""
        found: Sequence[Row[Any]]
        if self._connection is None:
            found = await self.database.rows(sql, *arguments)
        else:
            async with self._turn:
                count_statement()
                driver = await driver_of(self._connection)
                found = await driver.fetch(sql, *arguments, record_class=Record)
        return found

    async def value(self, sql: str, *arguments: object) -> Any:
        """The single value of one hot statement, sent by asyncpg without SQLAlchemy on the way."""
        if self._connection is None:
            return await self.database.call(sql, *arguments)
        async with self._turn:
            return await value_within(self._connection, sql, *arguments)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reads]:
        """Reads that all see one instant: a REPEATABLE READ transaction that writes nothing."""
        if self._connection is not None:
            yield self
            return
        async with self.database.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                yield Reads(self.database, self.principal, self.clock, connection)


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """asyncpg's connection below one of SQLAlchemy, in the same transaction."""
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, asyncpg.Connection)
    return driver


async def value_within(connection: AsyncConnection, sql: str, *arguments: object) -> Any:
    """The single value of one statement in the open transaction of a SQLAlchemy connection, sent by asyncpg.

    SQLAlchemy's connections take and give JSON as text, so it is written and read here: an argument that is a dict, or
    a list of dicts, is JSON, and so is a value that comes as text.
    """
    count_statement()
    driver = await driver_of(connection)
    value = await driver.fetchval(sql, *(_encode_json(each) if _is_json(each) else each for each in arguments))
    return orjson.loads(value) if isinstance(value, str) else value


def _is_json(argument: object) -> bool:
    return isinstance(argument, dict) or (
        isinstance(argument, list) and bool(argument) and isinstance(argument[0], dict)
    )
