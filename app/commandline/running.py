"""`orderwire dev`, `serve`, `worker` and `migrate`: processes that run until they are told to end."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

from app import serving
from app.commandline import explorer
from app.embedded import Child, ChildState, already_running, reached, running
from app.kernel import garbage, log
from app.kernel.migrate import migrate
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Settings

if TYPE_CHECKING:
    from app.kernel.telemetry import Telemetry

logger = logging.getLogger("orderwire")


class Ending:
    """The first SIGINT or SIGTERM asks this process to end in order, the second to end at once."""

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self.in_a_hurry: list[Callable[[], None]] = []
        self._cancelled_when_asked = task

    def signalled(self) -> None:
        if self.asked.is_set():
            self.hurry.set()
            for call in self.in_a_hurry:
                call()
        self.asked.set()
        if self._cancelled_when_asked:
            self._cancelled_when_asked.cancel()

    def is_heeded_from_here(self) -> None:
        """What follows watches `asked` itself; until here being asked cancels the task."""
        self._cancelled_when_asked = None


async def dev(settings: Settings, *, fresh: bool = False, demo: bool = False) -> None:
    """Everything in one process.  Raises OperatorProblem when something cannot start."""
    serving.refuse_one_port_for_both(settings)
    if demo:
        _refuse_a_demo_in_production(settings)
    if not (settings.database_url and settings.redis_url) and running(settings.state_dir):
        raise already_running(settings.state_dir)
    if "log_format" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_format": "console"})  # somebody sits before it
    log.configure(settings)
    with contextlib.closing(serving.listen(settings.host, settings.port)) as listener:
        async with (
            _ending() as ending,
            _beside(asyncio.to_thread(_load)) as loading,
            reached(
                settings,
                fresh=fresh,
                on_change=_tell,
                on_build=lambda stores: ending.in_a_hurry.append(stores.hurry),
            ) as found,
        ):
            assert found.database_url is not None
            if demo and settings.database_url:
                await loading
                await _refuse_a_demo_among_real_orders(settings.database_url)
            await migrate(found.database_url)
            await loading
            async with _telemetry() as telemetry, _beside(_worker(found, telemetry)) as working:
                server = _server(found, telemetry)
                await _serve_beside(working, server, found, listener, ending, demo=demo)


def _refuse_a_demo_in_production(settings: Settings) -> None:
    if settings.environment == "production":
        raise OperatorProblem(
            "--demo makes keys and places an order a second, and ORDERWIRE_ENVIRONMENT is production: unset the "
            "ORDERWIRE_ variables of your production to see the demo, or leave out --demo."
        )


async def _serve_beside(
    working: asyncio.Task[None],
    server: serving.DrainingServer,
    settings: Settings,
    listener: socket.socket,
    ending: Ending,
    *,
    demo: bool,
) -> None:
    """Serve until told to end or the worker fails.

    The worker outlives the server, so that what was committed while draining is still published.
    """
    serve_task = asyncio.create_task(_serve(server, listener, ending))
    await _started(server, serve_task)
    async with contextlib.AsyncExitStack() as extras:
        if server.started:
            address = serving.address_of(listener)
            typer.echo(_served_at(address, settings))
            if demo:
                await extras.enter_async_context(_beside(_demo(settings, address)))
            if demo and settings.explorer:
                await extras.enter_async_context(_beside(explorer.build(settings.state_dir)))
        await asyncio.wait({serve_task, working}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    await serve_task


def _served_at(address: str, settings: Settings) -> str:
    lines = [f"Orderwire serves {address}/graphql"]
    if settings.explorer:
        lines.append(f"The explorer is  {address}/graphiql")
    return "\n".join([*lines, f"Ctrl-C ends it; its data stays in {settings.state_dir}."])


async def serve(settings: Settings) -> None:
    """The API alone, on stores that run elsewhere or beside it.  Raises OperatorProblem."""
    log.configure(settings)
    async with _ending() as ending, reached(settings, start=False) as found:
        await _refuse_pending(found)
        with contextlib.closing(serving.listen(settings.host, settings.port)) as listener:
            async with _telemetry() as telemetry:
                server = _server(found, telemetry)
                task = asyncio.create_task(_serve(server, listener, ending))
                await _started(server, task)
                if server.started:
                    typer.echo(f"Orderwire serves {serving.address_of(listener)}/graphql.")
                await task


async def work(settings: Settings) -> None:
    """The worker alone.  Raises OperatorProblem."""
    log.configure(settings)
    async with _ending(), reached(settings, start=False) as found:
        await _refuse_pending(found)
        typer.echo("Orderwire's worker runs.")
        async with _telemetry() as telemetry:
            await _worker(found, telemetry)


async def migrate_only(settings: Settings) -> None:
    """Pending migrations, then the end.  Raises OperatorProblem."""
    log.configure(settings)
    async with reached(settings) as found:
        assert found.database_url is not None
        before = await migrate(found.database_url)
    if before.pending:
        typer.echo(f"The database went from {before.current or 'empty'} to {before.head}.")
    else:
        typer.echo(f"The database is at {before.current}: nothing to do.")


def _load() -> None:
    """Import the application, which takes longer than anything else at the start."""
    with garbage.loading():
        import_module("app.main")
        import_module("app.worker")


@contextlib.asynccontextmanager
async def _telemetry() -> AsyncIterator["Telemetry"]:
    """The figures and spans of this process, shared by all that runs in it."""
    from app.kernel.telemetry import Telemetry

    telemetry = Telemetry()
    try:
        yield telemetry
    finally:
        await telemetry.close()


def _server(settings: Settings, telemetry: "Telemetry") -> serving.DrainingServer:
    with garbage.loading():
        from app.main import create_app

    return serving.server_for(create_app(settings, telemetry), settings)


async def _serve(server: serving.DrainingServer, listener: socket.socket, ending: Ending) -> None:
    """Serve until told to end, then drain; the second signal ends at once."""
    ending.is_heeded_from_here()

    async def obey() -> None:
        await ending.asked.wait()
        logger.info("the API takes no more connections and lets the open ones go")
        server.stop()
        await ending.hurry.wait()
        server.hurry()

    obeying = asyncio.create_task(obey())
    try:
        await server.serve(sockets=[listener])
    except SystemExit:
        raise OperatorProblem("The API could not start: the reason stands in the log above.") from None
    finally:
        obeying.cancel()
        logger.info("the API has ended")


async def _started(server: serving.DrainingServer, task: asyncio.Task[None]) -> None:
    while not server.started and not task.done():
        await asyncio.sleep(0.005)
    garbage.keep_what_is_loaded()


async def _worker(settings: Settings, telemetry: "Telemetry") -> None:
    with garbage.loading():
        from app.worker import Worker

    worker = Worker(settings, telemetry)
    garbage.keep_what_is_loaded()
    await worker.run()


async def _demo(settings: Settings, address: str) -> None:
    from app.demo import run

    try:
        await run(settings, address)
    except Exception:
        logger.exception("the demo stopped; the API goes on")


async def _refuse_a_demo_among_real_orders(database_url: str) -> None:
    from app.demo import refuse_a_database_of_others

    await refuse_a_database_of_others(database_url)


async def _refuse_pending(settings: Settings) -> None:
    from app.kernel.migrate import revision

    assert settings.database_url is not None
    found = await revision(settings.database_url)
    if found.pending:
        raise OperatorProblem(
            f"The database is at revision {found.current or 'none'} and this version needs {found.head}: "
            "run `orderwire migrate` first."
        )


def _tell(child: Child) -> None:
    """Called from the supervising threads whenever a store changes state."""
    if child.state is not ChildState.RESTARTING:  # which is reported with its reason
        logger.info("%s is %s", child.name, child.state)


@contextlib.asynccontextmanager
async def _ending() -> AsyncIterator[Ending]:
    """Signals heeded for as long as the block lasts.  A block that is cancelled by one ends quietly."""
    ending, loop = Ending(asyncio.current_task()), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.signalled)
    try:
        yield ending
    except asyncio.CancelledError:
        if not ending.asked.is_set():
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run the work beside the block, and cancel it at its end.  Its failure is raised there."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
