"""Bringing a database to the newest revision, safely when many processes start at once."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from app.kernel.functions import migrations_folder
from app.kernel.operator import OperatorProblem

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("orderwire.migrate")

ADVISORY_LOCK = 0x6F77_6D69  # "owmi": one number for everyone who migrates an Orderwire database
SERVER_VERSION_MIN = 150000
LOCK_TIMEOUT = "3s"  # a table lock that is not to be had must not queue every other query behind it
WAIT_SECONDS_MAX = 600.0
# What a migration may meet that is not of its making, by SQLSTATE. Each leaves the revision before it in place.
_MET = {
    "42501": "The database user may not change the schema: let it own the database's tables, then migrate again.",
    "53100": "The database's disk is full: make room, then migrate again.",
    "55P03": f"A table stayed locked for {LOCK_TIMEOUT}, and waiting longer would have queued everybody behind the "
    "migration: run `orderwire migrate` again, at a quieter time or once long transactions have ended.",
}


@dataclass(frozen=True)
class Revision:
    """Where a database stands and where this program wants it; `current` is None before the first migration."""

    current: str | None
    head: str

    @property
    def pending(self) -> bool:
        """Whether migrations are missing.  A database ahead of us is fine: a newer version runs beside this one."""
        return self.current is None or self.current < self.head


def head() -> str:
    """The newest revision, told by the file names, which is quicker than asking alembic."""
    return max((file.name[:4] for file in (migrations_folder() / "versions").glob("[0-9]*.py")), default="0000")


async def revision(database_url: str) -> Revision:
    """Where the database stands.  Raises OperatorProblem when it is not reachable or too old."""
    connection = await connect(database_url)
    try:
        return await revision_of(connection)
    finally:
        await connection.close()


async def migrate(database_url: str) -> Revision:
    """Run the pending migrations, one process at a time; a few milliseconds when there are none.

    Returns where the database stood before.
    Raises OperatorProblem when it is not reachable, too old, full, closed to us or locked; then run it again.
    """
    connection = await connect(database_url)
    try:
        before = await revision_of(connection)
        if not before.pending:
            return before
        await _lock(connection)
        if (await revision_of(connection)).pending:
            log.info("migrating the database from %s to %s", before.current or "nothing", before.head)
            await _upgrade(database_url)
        return before
    finally:
        await connection.close()  # which gives the advisory lock back


async def connect(database_url: str) -> asyncpg.Connection:
    """A connection of its own for a start-up check.  Raises OperatorProblem that says what to mend."""
    try:
        connection = await asyncpg.connect(database_url, timeout=10, server_settings={"application_name": "orderwire"})
    except asyncpg.InvalidCatalogNameError:
        raise OperatorProblem(
            "ORDERWIRE_DATABASE_URL names a database that does not exist: create it with `createdb`, or mend the name."
        ) from None
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise OperatorProblem(
            "PostgreSQL refuses the user or password in ORDERWIRE_DATABASE_URL: correct them, or grant the user access."
        ) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, TimeoutError) as unreachable:
        reason = (str(unreachable) or type(unreachable).__name__).splitlines()[0]
        raise OperatorProblem(
            f"PostgreSQL cannot be reached ({reason}): see that it runs and that ORDERWIRE_DATABASE_URL is its address."
        ) from None
    number = connection.get_server_version()
    if number.major * 10000 < SERVER_VERSION_MIN:
        await connection.close()
        raise OperatorProblem(
            f"ORDERWIRE_DATABASE_URL leads to PostgreSQL {number.major}, and Orderwire needs 15 or newer: "
            "upgrade the server, or name another."
        )
    return connection


async def revision_of(connection: asyncpg.Connection) -> Revision:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return Revision(None, head())
    return Revision(await connection.fetchval("SELECT max(version_num) FROM alembic_version"), head())


async def _lock(connection: asyncpg.Connection) -> None:
    """Wait for the advisory lock by asking again and again.

    A waiting pg_advisory_lock() would hold a snapshot, for which CREATE INDEX CONCURRENTLY in the process that has
    the lock would wait in turn.
    """
    for _ in range(int(WAIT_SECONDS_MAX / 0.1)):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK):
            return
        await asyncio.sleep(0.1)
    raise OperatorProblem(
        "Another process has been migrating the database for ten minutes: see what it waits for, then start again."
    )


async def _upgrade(database_url: str) -> None:
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it names every plug-in it has
    # Imported here: alembic takes longer to load than a start without migrations takes.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import make_url
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    def upgrade(connection: "Connection") -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()
    except DBAPIError as failed:
        sentence = _MET.get(getattr(failed.orig, "sqlstate", None) or "")
        if sentence is None:
            raise
        raise OperatorProblem(sentence) from None
    finally:
        await engine.dispose()
