"""`orderwire keys`: the API keys of partners, storefronts, services and staff."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from app.auth import commands, queries
from app.auth.keys import environment_name, new_key
from app.auth.states import ClientKind
from app.embedded import reached
from app.kernel.clock import SystemClock
from app.kernel.db import Database, Reads
from app.kernel.errors import Refusal
from app.kernel.operator import OperatorProblem
from app.kernel.principal import system
from app.kernel.settings import Settings
from app.kernel.texts import spelled
from app.kernel.upserts import camel
from app.kernel.work import CommandArguments, CommandFunction, Result, Runner
from app.network.queries import channels_by_code

app = typer.Typer(
    help="Create, list, rotate and revoke API keys, and say what they may.", no_args_is_help=True, add_completion=False
)

ONCE = "This key is shown once: keep it now, where only its holder can read it."
_OPERATOR = system("keys", commands.SCOPE, "network:read")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Days = Annotated[int | None, typer.Option(min=1, help="Days until the key ends by itself; without it, it does not.")]
Name = Annotated[str, typer.Argument(help="The client's name.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="May be given several times; default: its kind's.")]


class Office:
    """Where keys are made: a database, and commands run as the operator."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._clock = SystemClock()
        self.reads = Reads(database, _OPERATOR, self._clock)
        self._runner = Runner(database, self._clock)
        self.environment = environment_name(settings.environment)

    async def run(self, command: CommandFunction, **given: Any) -> Result:
        """Run a command.  Raises OperatorProblem with its refusal."""
        try:
            return await self._runner.run(_OPERATOR, command, CommandArguments(key=None), **given)
        except Refusal as refusal:
            raise OperatorProblem(refusal.message) from None


@app.command()
def create(
    name: Name,
    kind: Annotated[ClientKind, typer.Option(case_sensitive=False, help="What sort of client it is.")],
    scope: Scopes = None,
    channel: Annotated[str | None, typer.Option(help="The code of the channel it is bound to.")] = None,
    days: Days = None,
    as_json: Json = False,
) -> None:
    """Create a client with its first key, and print the key."""

    async def work(office: Office) -> None:
        channel_id = None
        if channel is not None:
            found = (await channels_by_code(office.reads, [spelled(channel)])).get(spelled(channel))
            if found is None:
                raise OperatorProblem(f"There is no channel with the code {channel!r}.")
            channel_id = found.id
        key = new_key(office.environment)
        result = await office.run(
            commands.create,
            name=name,
            kind=kind.value,
            key_id=key.key_id,
            secret_sha256=key.sha256(),
            scopes=scope,
            channel_id=channel_id,
            days=days,
        )
        _print_key(key.text(), result, as_json)

    _in_office(work)


@app.command()
def rotate(name: Name, days: Days = None, as_json: Json = False) -> None:
    """Give a client a second key, and print it. The first one lives on until it is revoked."""

    async def work(office: Office) -> None:
        key = new_key(office.environment)
        given = {"name": name, "key_id": key.key_id, "secret_sha256": key.sha256(), "days": days}
        _print_key(key.text(), await office.run(commands.rotate, **given), as_json)

    _in_office(work)


@app.command()
def scopes(name: Name, scope: Scopes = None, as_json: Json = False) -> None:
    """Say anew what a client may do, with all its keys. Streams of one that loses a scope end within seconds."""

    async def work(office: Office) -> None:
        result = await office.run(commands.set_scopes, name=name, scopes=scope)
        typer.echo(json.dumps(result) if as_json else f"{name} may: {' '.join(result['scopes'])}")

    _in_office(work)


@app.command()
def revoke(
    key: Annotated[str | None, typer.Argument(help="The id of a key, as `orderwire keys list` shows it.")] = None,
    client: Annotated[str | None, typer.Option(help="Revoke this client with all its keys instead.")] = None,
) -> None:
    """End a key, or a client with all its keys. What is open with it ends within seconds."""
    if (key is None) == (client is None):
        raise OperatorProblem("Name either the id of a key or, with --client, a client.")

    async def work(office: Office) -> None:
        if client is not None:
            await office.run(commands.revoke_client, name=client)
        else:
            await office.run(commands.revoke_key, key_id=key)
        typer.echo(f"Revoked {client or key}.")

    _in_office(work)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all keys, without their secrets."""

    async def work(office: Office) -> None:
        rows = [dict(row._mapping) for row in await queries.keys(office.reads)]  # noqa: SLF001 (public by its docs)
        if as_json:
            told = [{camel(name): value for name, value in row.items()} for row in rows]
            typer.echo(json.dumps(told, default=str, indent=2))
            return
        lines = [("key", "state", "kind", "client", "scopes")]
        lines += [
            (row["key_id"], _state(row), row["kind"].lower(), row["name"], " ".join(row["scopes"])) for row in rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            typer.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())

    _in_office(work)


def _state(row: dict[str, Any]) -> str:
    if row["revoked_at"] or row["client_revoked_at"]:
        return "revoked"
    if row["expires_at"] and row["expires_at"] <= SystemClock().now():
        return "expired"
    return "live"


def _print_key(text: str, result: Result, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"secret": text, **result}))
    else:
        typer.echo(text)
        typer.echo(ONCE, err=True)


def _in_office(work: Callable[[Office], Awaitable[None]]) -> None:
    async def run() -> None:
        async with _office() as office:
            await work(office)

    asyncio.run(run())


@asynccontextmanager
async def _office() -> AsyncIterator[Office]:
    async with reached(Settings(), start=False) as settings:
        assert settings.database_url is not None
        database = Database(settings.database_url, read_pool=2, call_pool=1)
        await database.open()
        try:
            yield Office(database, settings)
        finally:
            await database.close()
