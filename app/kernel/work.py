"""One command, one function, one transaction.

`Runner.run` alone checks the permission, claims the idempotency key, opens the transaction, tries again on fresh
figures where that may help, and commits. A command comes in two forms under one contract:

- `@command`: Python statements inside BEGIN … COMMIT that the runner opens and closes;
- `@one_call`: reads and decides outside a transaction, then writes by one SQL function that commits by itself and
  claims the key as its first act. Calls that wait at the same time share a statement and its commit: see `combiner`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import asyncpg
import orjson
from sqlalchemy import DateTime, LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import events
from app.kernel.clock import Clock
from app.kernel.combiner import Columns, Combiner, call_alone, statement
from app.kernel.db import Base, Database, Reads
from app.kernel.errors import REFUSED_IN_SQL, Busy, Forbidden, IdempotencyKeyReused, Refusal, VersionConflict
from app.kernel.events import Event
from app.kernel.principal import Principal

ATTEMPTS_MAX = 6
KEY_LIFETIME = timedelta(days=30)

Result = dict[str, Any]
CommandFunction = Callable[..., Awaitable[Result]]
C = TypeVar("C", bound=CommandFunction)
T = TypeVar("T")


class IdempotencyKey(Base):
    """What a key did, kept so that a repeat gets the same answer. Written in the transaction of the effect."""

    __tablename__ = "idempotency_key"

    principal: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class Unavailable(Exception):
    """The database could not be reached, several times over. The request may or may not have taken effect."""


@dataclass(frozen=True, slots=True)
class CommandArguments:
    """What every mutation takes beside its input.

    key  None only for Orderwire's own work that is safe to repeat
    """

    key: str | None
    expected_version: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    scope: str
    one_call: bool


def command(scope: str) -> Callable[[C], C]:
    """A command that runs inside the runner's transaction and never commits."""
    return _declare(scope, one_call=False)


def one_call(scope: str) -> Callable[[C], C]:
    """A command that reads, decides, and writes with a single `work.call`, which commits."""
    return _declare(scope, one_call=True)


def _declare(scope: str, *, one_call: bool) -> Callable[[C], C]:
    def declare(function: C) -> C:
        name = f"{function.__module__.removeprefix('app.')}.{function.__name__}"
        function.spec = _Spec(name, scope, one_call)  # type: ignore[attr-defined]
        return function

    return declare


def scope_of(function: CommandFunction) -> str:
    """The scope a caller needs to run the command."""
    return _spec(function).scope


def _spec(function: CommandFunction) -> _Spec:
    spec: _Spec = function.spec  # type: ignore[attr-defined]
    return spec


@dataclass(kw_only=True)
class Work:
    """One command under way.

    reads     inside the transaction for `@command`, from the pool for `@one_call`
    now       the instant all of the command's rows carry
    combiner  lets a `@one_call` share its commit with others; None where it commits by itself, or not at all
    """

    principal: Principal
    now: datetime
    reads: Reads
    arguments: CommandArguments
    sha256: bytes
    connection: AsyncConnection | None = None
    combiner: Combiner | None = None
    recorded: list[Event] = field(default_factory=list)

    @property
    def db(self) -> AsyncConnection:
        """The open transaction of a `@command`."""
        assert self.connection is not None, "a one-call command has no transaction of its own"
        return self.connection

    def record(self, event: Event) -> None:
        """Tell of a change: the row is written when the command has returned, before the commit."""
        self.recorded.append(event)

    def expect(self, kind: str, actual: int) -> None:
        """Compare the version the caller has seen with the one just locked.  Raises VersionConflict."""
        expected = self.arguments.expected_version
        if expected is not None and expected != actual:
            raise VersionConflict(kind, expected, actual, path=["expectedVersion"])

    async def call(self, function: str, *columns: list[Any] | None) -> Result:
        """Run the SQL function that is the whole write of a `@one_call` command, maybe with calls of others.

        columns  its arguments, of which each is a list, or None for no rows as JSON; before them the function takes the
                 key's: principal, key, hash, now, expiry. It returns a list with one result for each key.
        """
        given: Columns = (
            [self.principal.id],
            [self.arguments.key],
            [self.sha256],
            [self.now],
            [self.now + KEY_LIFETIME],
            *columns,
        )
        try:
            if self.connection is not None:
                (result,) = await self.reads.value(statement(function, len(given)), *given)
            elif self.combiner is not None:
                result = await self.combiner.call(function, given)
            else:
                result = await call_alone(self.reads.database, function, given)
        except asyncpg.PostgresError as problem:
            if problem.sqlstate == REFUSED_IN_SQL:
                raise _refusal_in(problem) from problem
            raise
        return dict(result)

    async def read(
        self, sql: str, same: Sequence[Hashable], lists: Sequence[list[str]], parse: Callable[[Any], T]
    ) -> T:
        """What one value tells, maybe read together with others, of whose lists it then tells too.

        same  the parameters before the lists
        """
        if self.combiner is not None:
            return await self.combiner.read(sql, same, lists, parse)
        return parse(await self.reads.value(sql, *same, *lists))


def fingerprint(name: str, arguments: Mapping[str, Any]) -> bytes:
    """The hash that tells a repeat from a different request under the same key."""
    body = orjson.dumps([name, arguments], default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(body).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)


_CLAIM = text("SELECT idempotency_claim(:principal, :key, :sha256, :now, :expires, NULL)").bindparams(
    bindparam("principal", type_=Text),
    bindparam("key", type_=Text),
    bindparam("sha256", type_=LargeBinary),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("expires", type_=DateTime(timezone=True)),
)


class Watching(Protocol):
    """Whoever counts what commands do."""

    def command(self, name: str) -> AbstractContextManager[None]:
        """Entered around a command; sees the exception it ended with."""
        ...

    def retried(self, name: str) -> None: ...


class _Unwatched:
    _nothing: AbstractContextManager[None] = nullcontext()

    def command(self, _: str) -> AbstractContextManager[None]:
        return self._nothing

    def retried(self, _: str) -> None:
        return


class Runner:
    """Runs commands against one database.

    committed  called after every commit that may have written events, to wake the relay early
    together   one-call commands that are under way at the same time share statements and commits
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        committed: Callable[[], None] = lambda: None,
        watching: Watching | None = None,
        *,
        together: bool = True,
    ) -> None:
        self.database = database
        self.clock = clock
        self.combiner = Combiner(database) if together else None
        self._committed = committed
        self._watching = watching or _Unwatched()

    async def run(
        self, principal: Principal, function: CommandFunction, arguments: CommandArguments, **given: Any
    ) -> Result:
        """Run the command once, whatever number of times this is called with the same key.

        Raises Forbidden, any Refusal of the command, IdempotencyKeyReused, Busy, Unavailable.
        """
        with self._watching.command(_spec(function).name):
            return await self._run(principal, function, arguments, given)

    async def _run(
        self, principal: Principal, function: CommandFunction, arguments: CommandArguments, given: Mapping[str, Any]
    ) -> Result:
        spec = _spec(function)
        if not principal.may(spec.scope):
            raise Forbidden(spec.scope)
        sha256 = fingerprint(spec.name, given)
        form = self._one_call if spec.one_call else self._in_transaction
        result = await self._tried(spec.name, lambda again: form(principal, function, arguments, sha256, given, again))
        self._committed()
        return result

    async def _tried(self, name: str, attempt: Callable[[bool], Awaitable[T]]) -> T:
        """What the attempt gives, made again on fresh figures where that may help.

        attempt  is told whether it is a repeat
        """
        for tries_left in reversed(range(ATTEMPTS_MAX)):
            try:
                return await attempt(tries_left < ATTEMPTS_MAX - 1)
            except (Refusal, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as problem:
                again = _worth_another_try(problem)
                if not again or not tries_left:
                    raise _final(problem) from problem
                self._watching.retried(name)
                await asyncio.sleep(random.uniform(0, 0.01 * 2 ** (ATTEMPTS_MAX - tries_left)))
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def rehearse(
        self, principal: Principal, function: CommandFunction, arguments: CommandArguments, **given: Any
    ) -> AsyncIterator[tuple[Result, Reads]]:
        """Run the command, let the caller look at its effects through the yielded reads, then undo everything.

        No key is claimed: a dry run may be repeated, and the real run after it may use the same key. It is tried again
        as the real run is; each attempt is undone before the next, and only the last is looked at.
        Raises Forbidden, any Refusal of the command, Busy, Unavailable.
        """
        spec = _spec(function)
        if not principal.may(spec.scope):
            raise Forbidden(spec.scope)
        keyless = CommandArguments(key=None, expected_version=arguments.expected_version, dry_run=True)
        async with AsyncExitStack() as opened:
            yield await self._tried(
                spec.name,
                lambda _: opened.enter_async_context(self._rehearsal(principal, function, keyless, given)),
            )

    @asynccontextmanager
    async def _rehearsal(
        self, principal: Principal, function: CommandFunction, keyless: CommandArguments, given: Mapping[str, Any]
    ) -> AsyncIterator[tuple[Result, Reads]]:
        """One attempt of a dry run, undone at the end or when it fails."""
        async with self.database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))  # SQLAlchemy begins at its first statement, not asyncpg's
            reads = Reads(self.database, principal, self.clock, connection)
            work = Work(
                principal=principal,
                now=self.clock.now(),
                reads=reads,
                arguments=keyless,
                sha256=b"",
                connection=connection,
            )
            try:
                result = _plain_result(await function(work, **given))
                await events.append(connection, work.recorded, actor=work.principal.id, now=work.now)
                yield result, reads
            finally:
                await connection.rollback()

    async def _in_transaction(
        self,
        principal: Principal,
        function: CommandFunction,
        arguments: CommandArguments,
        sha256: bytes,
        given: Mapping[str, Any],
        _: bool,
    ) -> Result:
        now = self.clock.now()
        async with self.database.transaction() as db:
            if (stored := await _claim(db, principal, arguments.key, sha256, now)) is not None:
                return stored
            work = Work(
                principal=principal,
                now=now,
                reads=Reads(self.database, principal, self.clock, db),
                arguments=arguments,
                sha256=sha256,
                connection=db,
            )
            result = _plain_result(await function(work, **given))
            await events.append(db, work.recorded, actor=work.principal.id, now=work.now)
            if arguments.key is not None:
                await db.execute(
                    IdempotencyKey.__table__.update()  # type: ignore[attr-defined]
                    .where(IdempotencyKey.principal == principal.id, IdempotencyKey.key == arguments.key)
                    .values(result=result)
                )
        return result

    async def _one_call(
        self,
        principal: Principal,
        function: CommandFunction,
        arguments: CommandArguments,
        sha256: bytes,
        given: Mapping[str, Any],
        again: bool,
    ) -> Result:
        work = Work(
            principal=principal,
            now=self.clock.now(),
            reads=Reads(self.database, principal, self.clock),
            arguments=arguments,
            sha256=sha256,
            # Where others were faster, waiting for a set would only let them be faster again.
            combiner=None if again else self.combiner,
        )
        try:
            return _plain_result(await function(work, **given))
        except (Refusal, asyncpg.PostgresError):
            # The first request with this key may have succeeded, and used up what is missing now.
            if (stored := await self._settled(principal, arguments.key, sha256, work.now)) is not None:
                return stored
            raise

    async def _settled(self, principal: Principal, key: str | None, sha256: bytes, now: datetime) -> Result | None:
        """The result of an earlier request with this key, waiting for one under way; claims nothing itself."""
        if key is None:
            return None
        async with self.database.engine.connect() as db:
            stored = await _claim(db, principal, key, sha256, now)
            await db.rollback()
            return stored


async def _claim(
    db: AsyncConnection, principal: Principal, key: str | None, sha256: bytes, now: datetime
) -> Result | None:
    if key is None:
        return None
    parameters = {"principal": principal.id, "key": key, "sha256": sha256, "now": now, "expires": now + KEY_LIFETIME}
    stored: Result | None = (await db.execute(_CLAIM, parameters)).scalar_one()
    return stored


def _plain_result(result: Result) -> Result:
    """The result as a repeat will read it back from the store."""
    plain: Result = orjson.loads(orjson.dumps(result, default=str))  # the driver's UUIDs are a subclass
    return plain


_CONTENDED = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not to be had in time
# Read-only after a failover; out of disk, memory or connections; shutting down, crashed, starting up.
_AWAY = frozenset({"25006", "53100", "53200", "53300", "57P01", "57P02", "57P03"})


def _cause(problem: BaseException) -> BaseException:
    """The driver's exception inside SQLAlchemy's."""
    if isinstance(problem, DBAPIError) and problem.orig is not None:
        return problem.orig.__cause__ or problem.orig
    return problem


def _is_lost_connection(problem: BaseException) -> bool:
    cause = _cause(problem)
    return isinstance(cause, OSError | asyncpg.InterfaceError | asyncpg.PostgresConnectionError) or (
        isinstance(problem, DBAPIError) and problem.connection_invalidated
    )


def _worth_another_try(problem: BaseException) -> bool:
    if isinstance(problem, Refusal):
        return problem.retryable
    cause = _cause(problem)
    if _is_lost_connection(problem):
        return True
    if isinstance(cause, asyncpg.PostgresError):
        if cause.sqlstate == REFUSED_IN_SQL:
            return _refusal_in(cause).retryable
        return cause.sqlstate in _CONTENDED | _AWAY
    return False


def _final(problem: BaseException) -> BaseException:
    """What to tell the caller when no further try is made."""
    cause = _cause(problem)
    if isinstance(cause, asyncpg.PostgresError):
        if cause.sqlstate == REFUSED_IN_SQL:
            return _refusal_in(cause)
        if cause.sqlstate in _CONTENDED:
            return Busy()
    if _is_lost_connection(problem) or getattr(cause, "sqlstate", None) in _AWAY:
        return Unavailable("The database cannot be reached or has no room: send the request again with the same key.")
    return problem


def _refusal_in(cause: asyncpg.PostgresError) -> Refusal:
    facts = orjson.loads(cause.detail or "{}")
    if cause.args[0] == IdempotencyKeyReused.code:
        return IdempotencyKeyReused(facts["key"])
    return Refusal.from_sql(str(cause.args[0]), facts)
