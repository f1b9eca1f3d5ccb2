"""The HTTP server around the application: its listening socket, its WebSockets and how it ends."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

import uvicorn

from app.kernel.limits import BODY_BYTES_MAX
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Settings
from app.protocols import Http, WebSockets

log = logging.getLogger("orderwire.serving")

HURRIED_SECONDS_MAX = 2.0

# How long a peer may leave unread what it was sent before the system ends its connection.
STALLED_SECONDS = 20.0

# Lets go of something within so many seconds, such as open sockets in small batches.
BeforeExit = Callable[[float], Awaitable[None]]


class DrainingServer(uvicorn.Server):
    """A server that stops listening, lets its streams go gently, then ends.

    before_exit  called together when it stops, each with the seconds it may take
    """

    def __init__(self, config: uvicorn.Config, *, before_exit: Sequence[BeforeExit] = (), drain_seconds: float = 10.0):
        super().__init__(config)
        self.before_exit = list(before_exit)
        self.drain_seconds = drain_seconds
        self._hurried = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone: whoever runs the server decides what ends first."""
        yield

    def stop(self) -> None:
        """Begin to drain and end."""
        self.should_exit = True

    def hurry(self) -> None:
        """End now, whatever is still open."""
        self.should_exit = self.force_exit = True
        self._hurried.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if not self.force_exit:
            await self._drain()
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            # Which the server leaves out then; but connections to the stores are to be closed all the same.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.shutdown(), HURRIED_SECONDS_MAX)

    async def _drain(self) -> None:
        together = asyncio.ensure_future(
            asyncio.gather(*(call(self.drain_seconds) for call in self.before_exit), return_exceptions=True)
        )
        hurried = asyncio.ensure_future(self._hurried.wait())
        waited: set[asyncio.Future[Any]] = {together, hurried}
        await asyncio.wait(waited, timeout=self.drain_seconds + 1, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not together.done():
            together.cancel()
            return
        for failed in (result for result in together.result() if isinstance(result, BaseException)):
            log.error("a part did not drain", exc_info=failed)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Requests cut off by a hurried end are wanted, not errors."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def server_for(application: Any, settings: Settings) -> DrainingServer:
    """A server for the application, whose `state.before_exit` says what to drain."""
    config = uvicorn.Config(
        application,
        interface="asgi3",
        log_config=None,
        access_log=False,
        lifespan="on",
        http=Http,
        ws=WebSockets,
        ws_max_size=BODY_BYTES_MAX,
        ws_ping_interval=settings.socket_ping_seconds,
        ws_ping_timeout=settings.socket_ping_seconds,
        ws_per_message_deflate=False,  # 2.7 times the CPU and twice the memory per subscriber
        server_header=False,
        proxy_headers=False,  # nobody asks for a client's address, so nothing is worth believing of it
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    before_exit = getattr(application.state, "before_exit", ())
    return DrainingServer(config, before_exit=before_exit, drain_seconds=settings.drain_seconds)


class PortTaken(OperatorProblem):
    """Somebody listens on the port already."""


def refuse_one_port_for_both(settings: Settings) -> None:
    """API and worker on one machine cannot share a port.  Raises OperatorProblem."""
    if settings.port and settings.port == settings.worker_port:
        raise OperatorProblem(
            f"ORDERWIRE_PORT and ORDERWIRE_WORKER_PORT are both {settings.port}, which only one of API and worker can "
            "have: set ORDERWIRE_WORKER_PORT to another port."
        )


def listen(host: str, port: int, *, variable: str = "ORDERWIRE_PORT") -> socket.socket:
    """A listening socket.

    variable  what the port was set by, to be named in refusals
    Raises PortTaken, and OperatorProblem when the address is not to be had otherwise.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror:
        raise OperatorProblem(
            f"ORDERWIRE_HOST is {host}, which is no address of this machine: set it to 127.0.0.1 or 0.0.0.0."
        ) from None
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted sockets inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(STALLED_SECONDS * 1000))
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError as refused:
        listener.close()
        raise _refusal(refused, host, port, variable) from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """Where clients on this machine reach the socket."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _refusal(refused: OSError, host: str, port: int, variable: str) -> OperatorProblem:
    if refused.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is taken by another program: "
            f"stop that one, or set {variable} to a free port (0 takes any)."
        )
    if refused.errno == errno.EACCES:
        return OperatorProblem(f"Port {port} needs rights that this user has not: set {variable} to a port above 1023.")
    return OperatorProblem(
        f"ORDERWIRE_HOST is {host}, which cannot be listened on ({refused.strerror}): set it to 127.0.0.1."
    )
