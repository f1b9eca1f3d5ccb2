"""Finding the stores a command works on: named, already running beside it, or started for it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg

from app.embedded.child import Child
from app.embedded.refusal import StoresRefused
from app.embedded.stores import StoreOptions, Stores, already_running, running, stores
from app.kernel.settings import Settings

LET_IN_SECONDS_MAX = 30.0


def embedded_programs(settings: Settings) -> frozenset[str]:
    """The stores that no address was given for."""
    named = (("postgresql", settings.database_url), ("valkey", settings.redis_url))
    return frozenset(program for program, url in named if url is None)


@contextlib.asynccontextmanager
async def reached(
    settings: Settings,
    *,
    start: bool = True,
    fresh: bool = False,
    on_change: Callable[[Child], None] | None = None,
    on_build: Callable[[Stores], None] | None = None,
) -> AsyncIterator[Settings]:
    """The settings with both addresses filled in, and the stores there for as long as the block lasts.

    start  whether missing stores are started; otherwise those of a running `orderwire dev` are joined
    fresh  clear the state folder first, which nobody else may be using
    on_build  is given the stores before they start
    Raises StoresRefused or StateFolderRefused.
    """
    missing = embedded_programs(settings)
    if fresh and settings.database_url:
        raise StoresRefused(
            "--fresh clears the stores that `orderwire dev` starts, but ORDERWIRE_DATABASE_URL names another database: "
            "unset it, or leave out --fresh and empty that database yourself."
        )
    if not missing:
        yield settings
        return
    if not fresh and (other := running(settings.state_dir)) is not None:
        if (settings.database_url is None and not other.database_url) or (
            settings.redis_url is None and not other.redis_url
        ):
            raise already_running(settings.state_dir)
        yield _with(settings, other.database_url, other.redis_url)
        return
    if not start:
        variables = " and ".join(
            f"ORDERWIRE_{'DATABASE' if m == 'postgresql' else 'REDIS'}_URL" for m in sorted(missing)
        )
        raise StoresRefused(f"{variables} must be set: name the stores, or run `orderwire dev`, which starts its own.")
    options = StoreOptions(fresh=fresh, programs=missing)
    async with stores(settings.state_dir, options, on_change, on_build) as started:
        if started.database_url:
            await _let_in(started.database_url, settings.state_dir)
        yield _with(settings, started.database_url, started.redis_url)


async def _let_in(database_url: str, state_dir: Path) -> None:
    """A server may start on a damaged folder and refuse whoever comes.  Raises StoresRefused."""
    try:
        connection = await asyncpg.connect(database_url, timeout=LET_IN_SECONDS_MAX)
        await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as refused:
        reason = (str(refused) or type(refused).__name__).splitlines()[0].rstrip(".")
        raise StoresRefused(
            f"PostgreSQL runs on {state_dir / 'postgres'} but lets nobody in ({reason}), so the folder may be damaged: "
            f"restore it from a copy, or start with --fresh to begin empty; the log is {state_dir}/log/postgresql.log."
        ) from None


def _with(settings: Settings, database_url: str, redis_url: str) -> Settings:
    """The settings with the addresses filled in where none was given."""
    return settings.model_copy(
        update={
            "database_url": settings.database_url or database_url,
            "redis_url": settings.redis_url or redis_url,
        }
    )
