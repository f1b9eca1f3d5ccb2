"""Running one import from its file to its summary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.imports import formats, orders, stock, upserts
from app.imports.files import File
from app.imports.formats import online_retail
from app.imports.items import Entry, Format, Kind, Site, Target
from app.imports.loading import Load
from app.imports.summary import Rejects, Summary
from app.kernel.db import Database
from app.kernel.operator import OperatorProblem
from app.kernel.work import Unavailable
from app.live.outage import is_outage
from app.network.queries import channels_by_code, locations_by_id, locations_of_channels

STATEMENT_TIMEOUT_MS = 60_000
CHANNEL_WANTED = "A Shopify file does not name a channel: name the one these orders belong to with --channel."
TIMES_UNWANTED = (
    "--times is for stock that is generated (stock --format online-retail): this file says itself what it holds."
    " Leave the option out."
)
# asyncpg says it in its own ways, and differently by the moment at which a connection breaks.
GONE = (
    Unavailable,
    OSError,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """rejects  where rows that are not loaded go; beside the caller where absent
    times    how often generated stock covers the file: once for its import, once more for every replay
    """

    kind: Kind
    format: Format
    path: Path
    channel: str | None = None
    dry_run: bool = False
    rejects: Path | None = None
    concurrency: int = orders.CONCURRENCY
    encoding: str = "utf-8"
    times: int = 1


def raise_fault(problem: Exception) -> None:
    """Raise one of GONE again where PostgreSQL is there and refuses what it is asked: the fault is ours."""
    cause = getattr(problem, "orig", None)
    cause = getattr(cause, "__cause__", None) or problem
    if isinstance(cause, asyncpg.PostgresError) and not is_outage(cause):
        raise problem


Moved = Callable[[File, Summary], None]


def database_for(url: str, concurrency: int, *, hurried: bool = True) -> Database:
    """A database with as many connections for writing as there are workers.

    hurried  commits do not wait for the disk, so that rows of SKUs in demand are locked for a shorter time. A crash of
             the server may lose the last of them, never a part of one; running the import again adds them.
    """
    return Database(
        url,
        read_pool=concurrency + 2,
        call_pool=concurrency,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        session={"synchronous_commit": "off"} if hurried else None,
    )


async def flush(database: Database) -> None:
    """Wait until all that was committed is on disk: by an empty record whose commit does wait, behind all others."""
    async with database.transaction() as db:
        await db.execute(text("SET LOCAL synchronous_commit = on"))
        await db.execute(text("SELECT pg_logical_emit_message(true, 'orderwire', 'import')"))


async def run(options: Options, database: Database, stop: asyncio.Event, moved: Moved = lambda *_: None) -> Summary:
    """Load a file; the summary names a problem that ended it early.  Raises OperatorProblem where nothing was read."""
    read = formats.reader(options.format, options.kind)
    if options.times > 1 and not _generates(options):
        raise OperatorProblem(TIMES_UNWANTED)
    summary = Summary(options.kind, options.format, str(options.path), options.dry_run)
    rejects = Rejects(options.rejects or Path(f"{options.path.name}.{options.kind}.rejects.csv"))
    file = File(options.path, options.encoding)
    if rejects.path.exists() and rejects.path.samefile(options.path):
        raise OperatorProblem(f"{rejects.path} is the file to be imported: name another for what is rejected.")
    load = Load(
        file=file,
        summary=summary,
        rejects=rejects,
        database=database,
        dry_run=options.dry_run,
        stop=stop,
        moved=lambda: moved(file, summary),
    )
    try:
        channel = await _channel(load, options)
        entries = read(file, Target(channel, await _sites(load, options, channel), options.times))
        await _load(load, options, channel, entries)
        await flush(database)
    except GONE as problem:
        raise_fault(problem)
        told = str(problem).splitlines() or [type(problem).__name__]
        summary.problem = (
            f"The database went away ({told[0].rstrip('.')}). Run the import again: it adds what is missing."
        )
    except OperatorProblem as problem:
        if not summary.rows:
            raise
        summary.problem = str(problem)
    finally:
        summary.interrupted = stop.is_set()
        summary.rejects = rejects.written
        summary.unread = file.unread
        summary.end()
        rejects.close()
        file.close()
    return summary


async def _load(load: Load, options: Options, channel: str | None, entries: Iterator[Entry]) -> None:
    match options.kind:
        case Kind.ORDERS:
            await orders.load_orders(load, entries, options.concurrency)
        case Kind.STOCK:
            await stock.load_stock(load, entries)
        case Kind.LOCATIONS:
            codes = await upserts.upsert_all(load, options.kind, entries)
            if channel is not None:
                await upserts.assign(load, channel, codes)
        case _:
            await upserts.upsert_all(load, options.kind, entries)


async def _channel(load: Load, options: Options) -> str | None:
    """The channel to load to; that of the Online Retail set is created where it is missing.  Raises OperatorProblem."""
    code = options.channel
    if options.format is Format.ONLINE_RETAIL:
        code = code or online_retail.CHANNEL["code"]
        if options.kind in (Kind.SKUS, Kind.LOCATIONS):
            await upserts.open_channel(load, {**online_retail.CHANNEL, "code": code})
            return code
    if options.format is Format.SHOPIFY_CSV and code is None:
        raise OperatorProblem(CHANNEL_WANTED)
    if code is not None and not await channels_by_code(load.reads, [code]):
        hint = " Import the locations first, which creates it." if options.format is Format.ONLINE_RETAIL else ""
        raise OperatorProblem(f"There is no channel {code!r} (codes are case-sensitive).{hint}")
    return code


def _generates(options: Options) -> bool:
    """Whether the stock is made from the demand in the file."""
    return options.format is Format.ONLINE_RETAIL and options.kind is Kind.STOCK


async def _sites(load: Load, options: Options, channel: str | None) -> list[Site]:
    if not _generates(options) or channel is None:
        return []
    found = (await channels_by_code(load.reads, [channel])).get(channel)
    if found is None:
        return []
    serving = (await locations_of_channels(load.reads, [found.id]))[found.id]
    places = await locations_by_id(load.reads, [row.location_id for row in serving])
    rows = [places[row.location_id] for row in serving]
    return [Site(row.code, row.type, row.country) for row in rows]
