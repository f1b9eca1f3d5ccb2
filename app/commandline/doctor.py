"""`orderwire doctor`: every misconfiguration by name, with its remedy."""

import os
import re
import resource
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Literal

import asyncpg

from app.commandline import listeners
from app.embedded import Running, StoreOptions, Stores, embedded_programs, running
from app.kernel.migrate import connect, revision_of
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Misconfigured, Settings, unknown_variables
from app.kernel.state_folder import StateFolder

CLOCK_SKEW_SECONDS_MAX = 2.0
OPEN_FILES_MIN = 4096
ROUND_TRIP_SECONDS_MAX = 0.02


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, worth knowing, or to be mended."""

    check: str
    verdict: Literal["ok", "warning", "problem"]
    sentence: str

    @property
    def is_problem(self) -> bool:
        return self.verdict == "problem"

    @property
    def mark(self) -> str:
        return {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}[self.verdict]

    @property
    def colour(self) -> str:
        return {"ok": "green", "warning": "yellow", "problem": "red"}[self.verdict]

    def as_dict(self) -> dict[str, str]:
        return {"check": self.check, "verdict": self.verdict, "message": self.sentence}


async def examine() -> list[Finding]:
    """Look at everything that can be looked at, whatever else is wrong."""
    findings = [Finding("settings", "warning", sentence) for sentence in unknown_variables(os.environ)]
    try:
        settings = Settings()
    except Misconfigured as refused:
        return [*findings, *(Finding("settings", "problem", problem) for problem in refused.problems)]
    findings.append(Finding("settings", "ok", f"Settings are complete for {settings.environment}."))
    findings += _secret(settings)
    findings += _state_folder(settings)
    findings += _ports(settings)
    findings += _open_files()
    findings += [finding async for finding in _stores(settings)]
    return findings


def _secret(settings: Settings) -> Iterator[Finding]:
    if settings.secret_key is None:
        yield Finding(
            "secret", "warning", "ORDERWIRE_SECRET_KEY is not set: a development secret in the state folder is used."
        )
    else:
        yield Finding("secret", "ok", "The secret key is set.")


def _state_folder(settings: Settings) -> Iterator[Finding]:
    """What embedded stores and the development secret need of the disk."""
    if settings.database_url and settings.redis_url and settings.secret_key:
        return
    folder = settings.state_dir
    programs = embedded_programs(settings)
    if programs and running(folder):
        return  # its stores answer for themselves
    try:
        Stores(folder, StoreOptions(programs=programs)).examine() if programs else StateFolder(folder).examine()
    except OperatorProblem as refused:
        yield Finding("state folder", "problem", str(refused))
        return
    what = f"Embedded stores can start on {folder}." if programs else f"{folder} can be written."
    yield Finding("state folder", "ok", what)


def _ports(settings: Settings) -> Iterator[Finding]:
    from app import serving

    if settings.port:
        yield _port(settings, settings.port, "ORDERWIRE_PORT")
    try:
        serving.refuse_one_port_for_both(settings)
    except OperatorProblem as refused:
        yield Finding("port", "problem", str(refused))
        return
    if settings.worker_port:
        yield _port(settings, settings.worker_port, "ORDERWIRE_WORKER_PORT")


def _port(settings: Settings, port: int, variable: str) -> Finding:
    from app import serving

    try:
        serving.listen(settings.host, port, variable=variable).close()
    except serving.PortTaken as refused:
        return _taken(running(settings.state_dir), port, refused)
    except OperatorProblem as refused:
        return Finding("port", "problem", str(refused))
    return Finding("port", "ok", f"Port {port} on {settings.host} is free.")


def _taken(other: Running | None, port: int, refused: OperatorProblem) -> Finding:
    """A port that is taken is fine only where the Orderwire of this folder has it."""
    if other is None:
        return Finding("port", "problem", str(refused))
    match listeners.listens(other.pid, port):
        case True:
            return Finding("port", "ok", f"Port {port} is served by process {other.pid}, which runs on this folder.")
        case False:
            return Finding("port", "problem", str(refused))
        case None:
            return Finding(
                "port",
                "warning",
                f"Port {port} is taken, and it cannot be told whether by the Orderwire that runs on this folder: "
                "run `orderwire doctor` as the user who started that.",
            )


def _open_files() -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES_MIN:
        yield Finding(
            "open files",
            "warning",
            f"This process may open {soft} files, and every subscriber takes one: raise it with `ulimit -n 65536`.",
        )


async def _stores(settings: Settings) -> AsyncIterator[Finding]:
    other = running(settings.state_dir)
    database_url = settings.database_url or (other and other.database_url)
    redis_url = settings.redis_url or (other and other.redis_url)
    if database_url:
        async for finding in _database(settings, database_url):
            yield finding
    else:
        yield Finding("database", "ok", "An embedded PostgreSQL starts with `orderwire dev`.")
    if redis_url:
        yield await _redis(redis_url)
    else:
        yield Finding("redis", "ok", "An embedded Valkey starts with `orderwire dev`.")


async def _database(settings: Settings, url: str) -> AsyncIterator[Finding]:
    try:
        connection = await connect(url)
    except OperatorProblem as refused:
        yield Finding("database", "problem", str(refused))
        return
    version = connection.get_server_version()
    yield Finding("database", "ok", f"PostgreSQL {version.major}.{version.minor} answers.")
    try:
        async for finding in _server_settings(connection, settings):
            yield finding
        yield await _clock(connection)
        yield await _migrations(connection)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as refused:
        yield Finding(
            "database",
            "problem",
            f"PostgreSQL did not answer a question ({refused}): see that it stays up and that the database user owns "
            "the tables.",
        )
    finally:
        await connection.close()


async def _server_settings(connection: asyncpg.Connection, settings: Settings) -> AsyncIterator[Finding]:
    """What the server must be set to so that an acknowledged order is kept."""
    row = await connection.fetchrow(
        """
        SELECT pg_is_in_recovery() AS replica,
               current_setting('server_encoding') AS encoding,
               current_setting('max_connections')::int AS connections,
               has_schema_privilege(current_schema(), 'CREATE') AS may_create,
               array(SELECT name FROM pg_settings
                     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
                     ORDER BY name) AS careless
        """
    )
    if row["replica"]:
        yield Finding(
            "database", "problem", "ORDERWIRE_DATABASE_URL leads to a read-only replica: name the primary server."
        )
    if row["encoding"] != "UTF8":
        yield Finding(
            "database", "problem", f"The database's encoding is {row['encoding']}: create it with ENCODING 'UTF8'."
        )
    if not row["may_create"]:
        yield Finding(
            "database",
            "problem",
            "The database user may not create tables: GRANT CREATE ON SCHEMA public TO it.",
        )
    for name in row["careless"]:
        yield Finding(
            "database", "problem", f"The server runs with {name} off and may lose acknowledged orders: turn {name} on."
        )
    needed = 2 * settings.read_pool_size + settings.call_pool_size + 5
    if row["connections"] < 2 * needed:
        yield Finding(
            "database",
            "warning",
            f"The server takes {row['connections']} connections and each process uses up to {needed}: "
            "raise max_connections, or lower ORDERWIRE_READ_POOL_SIZE.",
        )


async def _clock(connection: asyncpg.Connection) -> Finding:
    """Compare clocks over the quickest of a few round trips."""
    best = (float("inf"), 0.0)
    for _ in range(5):
        asked = time.time()
        theirs = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        answered = time.time()
        best = min(best, (answered - asked, theirs - (asked + answered) / 2))
    trip, skew = best
    if abs(skew) > CLOCK_SKEW_SECONDS_MAX:
        return Finding(
            "clock",
            "problem",
            f"The database's clock differs from this machine's by {skew:.1f} s: let both follow the same time server.",
        )
    if trip > ROUND_TRIP_SECONDS_MAX:
        return Finding(
            "database", "warning", f"A round trip to PostgreSQL takes {trip * 1000:.0f} ms: run Orderwire nearer to it."
        )
    return Finding("clock", "ok", "The database's clock agrees with this machine's.")


async def _migrations(connection: asyncpg.Connection) -> Finding:
    found = await revision_of(connection)
    if found.pending:
        return Finding(
            "migrations",
            "problem",
            f"The database is at revision {found.current or 'none'} and this version needs {found.head}: "
            "run `orderwire migrate`.",
        )
    if found.current and found.current > found.head:
        return Finding(
            "migrations",
            "warning",
            f"The database is at revision {found.current}, newer than this version's {found.head}: upgrade.",
        )
    return Finding("migrations", "ok", f"The database is at revision {found.current}.")


async def _redis(url: str) -> Finding:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    client = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))
    try:
        facts = await client.info("server")
        name = facts.get("server_name", "redis").capitalize()
        return Finding("redis", "ok", f"{name} {facts.get(f'{name.lower()}_version', facts['redis_version'])} answers.")
    except (RedisError, OSError, TimeoutError) as refused:
        if re.search("username-password|WRONGPASS|NOAUTH|Authentication required|NOPERM", str(refused)):
            sentence = "Redis refuses the user or password in ORDERWIRE_REDIS_URL: correct them."
        else:
            sentence = (
                f"Redis cannot be reached ({refused}): see that it runs and that ORDERWIRE_REDIS_URL is its address; "
                "until then events arrive by polling."
            )
        return Finding("redis", "problem", sentence)
    finally:
        await client.aclose()
