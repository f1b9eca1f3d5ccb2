"""`orderwire replay`: a file's orders as a live flow."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from app.commandline.importing import INTERRUPTED, connected, stopping
from app.imports.items import Format
from app.imports.replay import Flow, Pace, replay
from app.kernel.operator import OperatorProblem

app = typer.Typer(help="Place a file's orders again at a chosen speed.", add_completion=False)

USUAL = "3600x"


@app.command()
def replay_(
    file: Annotated[Path, typer.Argument(help="A file of orders; may be compressed by gzip or xz.")],
    format: Annotated[Format, typer.Option(help="How the file says it.")] = Format.ONLINE_RETAIL,
    speed: Annotated[str | None, typer.Option(help=f"Times the file's own pace, such as {USUAL}: the default.")] = None,
    rate: Annotated[str | None, typer.Option(help="Orders a second instead, such as 5/s.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many orders.")] = None,
    channel: Annotated[str | None, typer.Option(help="Code of the channel, where the file names none.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Orders placed at once, at most.")] = 4,
    encoding: Annotated[str, typer.Option(help="The file's encoding, such as latin-1.")] = "utf-8",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Place a file's orders as new ones, now, in the file's rhythm. They end with the file, the limit or Ctrl-C."""
    pace = pace_of(speed, rate)

    async def work() -> tuple[Flow, bool]:
        async with connected(concurrency, hurried=False) as database, stopping() as stop:
            with Console(stderr=True).status("replaying ...") as status:
                flow = await replay(
                    file,
                    format,
                    pace,
                    database,
                    stop,
                    channel=channel,
                    limit=limit,
                    concurrency=concurrency,
                    encoding=encoding,
                    moved=lambda flow: status.update(f"{flow.placed:,} orders placed, {flow.refused:,} refused"),
                )
            return flow, stop.is_set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        flow, interrupted = runner.run(work())
    if flow.problem is not None and not (flow.placed or flow.refused):
        raise OperatorProblem(flow.problem)
    if as_json:
        typer.echo(json.dumps(flow.as_dict(), indent=2))
    else:
        typer.echo(
            f"Run {flow.run}: {flow.placed:,} orders with {flow.lines:,} lines placed, {flow.refused:,} refused,"
            f" in {flow.seconds:,.1f} s."
            + (f" {flow.left_out:,} rows of the file are no orders." if flow.left_out else "")
        )
        for reason, count in flow.reasons.items():
            typer.echo(f"  {count:,} {reason}, such as: {flow.examples[reason]}")
    if flow.problem is not None:
        raise OperatorProblem(flow.problem)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def pace_of(speed: str | None, rate: str | None) -> Pace:
    """The pace that the options name.  Raises OperatorProblem."""
    if speed is not None and rate is not None:
        raise OperatorProblem("--speed and --rate are two ways to say one thing: give one of them.")
    if rate is not None:
        return Pace(rate=_positive(rate.removesuffix("/s"), "--rate", "5/s"))
    return Pace(speed=_positive((speed or USUAL).removesuffix("x"), "--speed", USUAL))


def _positive(text: str, option: str, example: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise OperatorProblem(f"{option} is {text!r}: a number above zero is wanted, such as {example}.")
    return value
