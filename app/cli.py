"""The `orderwire` command.  Every command's code is loaded when it runs, so that --help answers at once."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from app.kernel import garbage
from app.kernel.operator import OperatorProblem

if TYPE_CHECKING:
    from app.kernel.settings import Settings

# Command: its module, which holds a typer app named `app`, and what it is for.
LOADED_LATER = {
    "import": ("app.commandline.importing", "Load SKUs, locations, customers, stock or orders from a file."),
    "keys": ("app.commandline.keys", "Create, list, rotate and revoke API keys."),
    "replay": ("app.commandline.replay", "Place a file's orders again at a chosen speed."),
}


class Commands(TyperGroup):
    """The commands of this module and, under their names, those of modules that are not loaded yet."""

    def list_commands(self, context: Any) -> list[str]:
        later = [name for name, (module, _) in LOADED_LATER.items() if find_spec(module)]
        return [*super().list_commands(context), *later]

    def get_command(self, context: Any, name: str) -> Any:
        if name not in LOADED_LATER:
            return super().get_command(context, name)
        module, about = LOADED_LATER[name]
        asked = name in sys.argv[1:]
        if not find_spec(module) or not asked:
            return _placeholder(name, about) if find_spec(module) else None
        command = typer.main.get_command(import_module(module).app)
        command.name = name
        return command


def _placeholder(name: str, about: str) -> Any:
    stand_in = typer.Typer(help=about)
    stand_in.command(name, help=about)(lambda: None)
    return typer.main.get_command(stand_in)


app = typer.Typer(
    name="orderwire",
    cls=Commands,
    help="Orderwire: orders and stock as one GraphQL API, with every change pushed live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"orderwire {version('orderwire')}")
        except PackageNotFoundError:  # a checkout that is not installed
            import tomllib

            project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
            typer.echo(f"orderwire {project['project']['version']}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


@app.command()
def dev(
    fresh: Annotated[bool, typer.Option("--fresh", help="Clear the state folder first: all orders are lost.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Load demo data and place orders steadily.")] = False,
) -> None:
    """Serve API and worker in one process, on stores of its own unless their addresses are set."""
    with garbage.loading():
        from app.commandline import running

    _run(lambda settings: running.dev(settings, fresh=fresh, demo=demo))


@app.command()
def serve() -> None:
    """Serve the API alone; run as many of these as you need."""
    with garbage.loading():
        from app.commandline import running

    _run(running.serve)


@app.command()
def worker() -> None:
    """Run relay, timers and jobs alone; several share the work, and one takes over when another dies."""
    with garbage.loading():
        from app.commandline import running

    _run(running.work)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe to run from several places at once."""
    from app.commandline import running

    _run(running.migrate_only)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Name every misconfiguration and its remedy; exit status 1 when there is one."""
    from app.commandline import doctor

    findings = asyncio.run(doctor.examine())
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.secho(f"{finding.mark} {finding.sentence}", fg=finding.colour)
    if any(finding.is_problem for finding in findings):
        raise typer.Exit(1)


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
) -> None:
    """Export the GraphQL schema."""
    text = import_module("app.schema").export()
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)


def _run(command: "Callable[[Settings], Coroutine[Any, Any, None]]") -> None:
    """Run a command over the settings of the environment, in the loop that serves fastest."""
    import uvloop

    from app.kernel.settings import Settings

    settings = Settings()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(command(settings))


def main() -> None:
    """Run the command line.  What the operator has to mend is one sentence on stderr and exit status 1."""
    try:
        app(prog_name="orderwire")
    except OperatorProblem as problem:
        for line in str(problem).splitlines():
            typer.secho(f"orderwire: {line}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
