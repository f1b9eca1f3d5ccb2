"""How alembic runs here: over asyncpg, with timeouts, one migration a transaction.

`orderwire migrate` and `orderwire dev` pass a connection and hold the advisory lock; the alembic command, used by
developers, connects by ORDERWIRE_DATABASE_URL.
"""

import asyncio
import importlib
from typing import Any

from alembic import context
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.kernel.functions import APP
from app.kernel.migrate import LOCK_TIMEOUT


def metadata() -> Any:
    """Every area's tables, to compare the database with."""
    for module in ("events", "work"):
        importlib.import_module(f"app.kernel.{module}")
    for file in sorted(APP.rglob("*.py")):
        if "(Base)" in file.read_text() or "Base.metadata" in file.read_text():
            importlib.import_module(".".join(file.relative_to(APP.parent).with_suffix("").parts))
    return importlib.import_module("app.kernel.db").Base.metadata


def number_the_next(_: Any, __: Any, directives: list[Any]) -> None:
    """Revisions are counted: 0001, 0002, …, so that file names tell their order."""
    from app.kernel.migrate import head

    if directives and directives[0].head != "base":
        directives[0].rev_id = f"{int(head()) + 1:04d}"


def run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET idle_in_transaction_session_timeout = '10min'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata() if compares else None,
        transaction_per_migration=True,
        compare_server_default=True,
        process_revision_directives=number_the_next,
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    from app.kernel.settings import Settings

    url = Settings().database_url
    if url is None:
        raise SystemExit("alembic needs a database to work on: set ORDERWIRE_DATABASE_URL.")
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


given = context.config.attributes.get("connection")
# Only the commands that look for differences need the tables; an upgrade starts faster without.
compares = given is None or context.config.attributes.get("compares", False)
if given is not None:
    run(given)
else:
    asyncio.run(connect_and_run())
