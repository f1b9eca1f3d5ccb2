"""`orderwire import`: files of SKUs, locations, customers, stock and orders."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.embedded import reached
from app.imports import run
from app.imports.files import File
from app.imports.items import Format, Kind, Outcome
from app.imports.orders import CONCURRENCY
from app.imports.run import Moved, Options
from app.imports.summary import Summary
from app.kernel.db import Database
from app.kernel.migrate import migrate
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Settings

app = typer.Typer(help="Load SKUs, locations, customers, stock or orders from a file.", add_completion=False)

SHOWN_AFTER_SECONDS = 2.0
INTERRUPTED = 130
TIMES_MAX = 1_000


@app.command()
def import_(
    kind: Annotated[Kind, typer.Argument(help="What the file holds.")],
    file: Annotated[Path, typer.Argument(help="The file; may be compressed by gzip or xz.")],
    format: Annotated[Format, typer.Option(help="How the file says it.")] = Format.ORDERWIRE_CSV,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each row; change nothing.")
    ] = False,
    channel: Annotated[str | None, typer.Option(help="Code of the channel, where the file names none.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rows that are not loaded go; by default FILE.KIND.rejects.csv, here.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Orders placed at once.")] = CONCURRENCY,
    encoding: Annotated[str, typer.Option(help="The file's encoding, such as latin-1.")] = "utf-8",
    times: Annotated[
        int, typer.Option(min=1, max=TIMES_MAX, help="How often generated stock covers the file: 1 and each replay.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Load a file. Running it again adds only what is missing; rejected rows go to a CSV file with their reasons."""
    options = Options(
        kind=kind,
        format=format,
        path=file,
        channel=channel,
        dry_run=dry_run,
        rejects=rejects,
        concurrency=concurrency,
        encoding=encoding,
        times=times,
    )

    async def work() -> Summary:
        async with connected(concurrency) as database, stopping() as stop:
            with shown(f"{kind} from {file.name}") as moved:
                return await run.run(options, database, stop, moved)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        summary = runner.run(work())
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), indent=2))
    else:
        _print(summary)
    if summary.problem is not None:
        raise OperatorProblem(summary.problem)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)


@asynccontextmanager
async def connected(concurrency: int, *, hurried: bool = True) -> AsyncIterator[Database]:
    """The database of the settings, or that of a running `orderwire dev`, or one that is started for this alone.

    hurried  its commits do not wait for the disk
    """
    async with reached(Settings()) as settings:
        assert settings.database_url is not None
        await migrate(settings.database_url)
        database = run.database_for(settings.database_url, concurrency, hurried=hurried)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def stopping() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for each in signals:
            loop.remove_signal_handler(each)

    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        loop.add_signal_handler(each, end)
    try:
        yield stop
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


@contextmanager
def shown(what: str) -> Iterator[Moved]:
    """Progress by bytes of the file on stderr, for whatever takes more than a moment."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
    task = progress.add_task(what, total=None, rows=0, speed=0.0)
    due = 0.0

    def moved(file: File, summary: Summary) -> None:
        nonlocal due
        summary.end()
        if summary.seconds < due:
            return
        due = summary.seconds + 0.25
        if summary.seconds >= SHOWN_AFTER_SECONDS:
            progress.start()
        progress.update(
            task, total=file.size or None, completed=file.position, rows=summary.rows, speed=summary.rows_per_second
        )

    try:
        yield moved
    finally:
        if progress.live.is_started:
            progress.stop()


def _print(summary: Summary) -> None:
    table = Table()
    for heading in ("what", "outcome", "count", "rows", "units"):
        table.add_column(heading, justify="left" if heading in ("what", "outcome") else "right")
    for kind, by_outcome in summary.counts.items():
        for outcome in Outcome:
            if outcome in by_outcome:
                tally = by_outcome[outcome]
                table.add_row(kind, outcome, f"{tally.things:,}", f"{tally.rows:,}", f"{tally.units:,}")
    console = Console()
    title = f"{summary.kind} from {summary.file}" + (" (dry run: nothing was changed)" if summary.dry_run else "")
    console.print(title, markup=False, soft_wrap=True)
    console.print(table)
    console.print(f"{summary.rows:,} rows in {summary.seconds:,.1f} s: {summary.rows_per_second:,.0f} rows/s.")
    for reason, rows in sorted(summary.reasons.items(), key=lambda pair: -pair[1])[:10]:
        console.print(f"  {rows:,} rows: {reason}", markup=False, soft_wrap=True)
    if summary.rejects:
        console.print(f"They stand in {summary.rejects}.", soft_wrap=True)
    if summary.unread:
        console.print(f"Columns that were not read: {', '.join(summary.unread)}.", markup=False, soft_wrap=True)
    if summary.interrupted:
        console.print("Interrupted: run it again to add what is missing.")
