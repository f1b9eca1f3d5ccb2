"""Both stores over one state folder."""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import pwd
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.embedded import sockets
from app.embedded.child import Child
from app.embedded.postgresql import PostgreSQL, disk_full
from app.embedded.privileges import Mode, Privileges, privileges
from app.embedded.refusal import StoresRefused
from app.embedded.valkey import Valkey
from app.kernel.state_folder import StateFolder

LOG_BYTES_MAX = 16 * 1024 * 1024
LOCK_FILE = "lock"


@dataclass(frozen=True)
class StoreOptions:
    """How the stores run.

    fresh       clear the state folder first, if it is ours
    programs    which of the two to run; the other's address stays empty
    postgresql  server settings beside our own, such as {"fsync": "off"} in tests
    valkey      the same for Valkey
    mode        forces how root's rights are given up, for tests
    """

    fresh: bool = False
    programs: frozenset[str] = frozenset({"postgresql", "valkey"})
    postgresql: Mapping[str, str] = field(default_factory=dict)
    valkey: Mapping[str, str] = field(default_factory=dict)
    mode: Mode | None = None


class Stores:
    """The two children of one state folder, and their addresses, which stay the same over restarts.

    `start` blocks until both answer, `stop` until both are gone; neither may be called from the event loop.
    """

    def __init__(
        self, state_dir: Path, options: StoreOptions | None = None, on_change: Callable[[Child], None] | None = None
    ) -> None:
        self._folder = StateFolder(state_dir)
        self._options = options or StoreOptions()
        self._on_change = on_change
        self._lock: IO[str] | None = None
        self._foreign_socket_folder: Path | None = None
        self.database_url = ""
        self.redis_url = ""
        self.children: list[Child] = []

    @property
    def postgresql(self) -> Child:
        return self._child("PostgreSQL")

    @property
    def valkey(self) -> Child:
        return self._child("Valkey")

    def _child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def start(self) -> None:
        """Claim the folder and start both.  Raises StoresRefused or StateFolderRefused; then nothing runs."""
        try:
            self._claim()
            self._build()
            self._start_children()
            self._tell_others()
        except OSError as refused:
            self.stop()
            raise self._why_not(refused) from None
        except BaseException:
            self.stop()
            raise

    def examine(self) -> None:
        """Look whether `start` would succeed, and change nothing.  Raises StoresRefused or StateFolderRefused."""
        try:
            self._refuse_what_another_user_owns()
            self._folder.examine()
            self._refuse_files_that_are_closed()
            self._refuse_a_lost_password()
            rights = privileges(self._options.mode)
            sockets.examine(self._folder.path / "run", rights)
            for program in self._programs(self._folder.path / "run", rights, password=""):
                program.examine()
        except OSError as refused:
            raise self._why_not(refused) from None

    def stop(self) -> None:
        """Stop both and give the folder back."""
        stopping = [threading.Thread(target=child.stop) for child in self.children]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        if self._foreign_socket_folder:
            with contextlib.suppress(OSError):
                for leftover in self._foreign_socket_folder.iterdir():
                    leftover.unlink()
                self._foreign_socket_folder.rmdir()
        if self._lock:
            self._lock.close()
            self._lock = None

    def interrupt(self) -> None:
        """Let a `start` that is under way return soon, with the children ending."""
        for child in self.children:
            child.interrupt()

    def hurry(self) -> None:
        """Let a `stop` that is under way end at once."""
        for child in self.children:
            child.hurry()

    def _claim(self) -> None:
        self._refuse_what_another_user_owns()
        self._folder.claimed()
        self._lock = _locked(self._folder.path / LOCK_FILE)
        if self._options.fresh:
            self._folder.cleared(keep=frozenset({LOCK_FILE}))

    def _refuse_what_another_user_owns(self) -> None:
        """Root could enter, but what it leaves there would be closed to the owner, and what is there to the stores."""
        folder = self._folder.path
        owner = folder.stat().st_uid if folder.exists() else os.geteuid()
        if os.geteuid() == 0 and owner != 0:
            raise StoresRefused(
                f"{folder} belongs to {_name_of(owner)}: run orderwire as that user, "
                "or set ORDERWIRE_STATE_DIR to a folder of root's own."
            )

    def _refuse_files_that_are_closed(self) -> None:
        for name, needed in ((LOCK_FILE, os.R_OK | os.W_OK), ("password", os.R_OK)):
            path = self._folder.path / name
            if path.exists() and not os.access(path, needed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def _refuse_a_lost_password(self) -> None:
        root = self._folder.path
        if (root / "postgres").exists() and not (root / "password").exists():
            raise StoresRefused(
                f"{root / 'password'} is missing, without which nobody may enter the database: restore it from a "
                "copy of the folder, or start with --fresh to begin empty."
            )

    def _why_not(self, refused: OSError) -> StoresRefused:
        if refused.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoresRefused(disk_full(self._folder.path / "postgres"))
        return StoresRefused(
            f"{refused.filename or self._folder.path} cannot be used ({refused.strerror}): "
            "run orderwire as the user who owns the state folder, or set ORDERWIRE_STATE_DIR to another one."
        )

    def _build(self) -> None:
        rights = privileges(self._options.mode)
        root = self._folder.path
        if rights.mode is Mode.SETUID:
            root.chmod(0o711)  # so that the other user reaches the folders within that are his
        logs, socket_folder = root / "log", self._socket_folder(rights)
        logs.mkdir(exist_ok=True, mode=0o700)
        for log_file in (logs / "postgresql.log", logs / "valkey.log"):
            if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
                log_file.replace(log_file.with_suffix(".log.1"))
        self._refuse_a_lost_password()
        password = self._folder.remembered("password", lambda: secrets.token_hex(24))
        for program in self._programs(socket_folder, rights, password):
            program.prepare()
            if isinstance(program, PostgreSQL):
                self.database_url = program.url
            else:
                self.redis_url = program.url
            self.children.append(Child(program, rights, self._on_change))

    def _programs(self, socket_folder: Path, rights: Privileges, password: str) -> Iterator[PostgreSQL | Valkey]:
        """Those to run.  Raises StoresRefused when one is not installed."""
        root = self._folder.path
        if "postgresql" in self._options.programs:
            yield PostgreSQL(
                folder=root / "postgres",
                socket_folder=socket_folder,
                log_file=root / "log" / "postgresql.log",
                password=password,
                rights=rights,
                settings=self._options.postgresql,
            )
        if "valkey" in self._options.programs:
            yield Valkey(
                socket_folder=socket_folder,
                log_file=root / "log" / "valkey.log",
                password=password,
                settings=self._options.valkey,
            )

    def _start_children(self) -> None:
        failures: list[BaseException] = []

        def start(child: Child) -> None:
            try:
                child.start()
            except Exception as failure:
                failures.append(failure)

        starting = [threading.Thread(target=start, args=(child,)) for child in self.children]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        if failures:
            raise failures[0]

    def _tell_others(self) -> None:
        """Leave the addresses in the lock file, for commands that join a running Orderwire."""
        assert self._lock is not None
        told = {"pid": os.getpid(), "database_url": self.database_url, "redis_url": self.redis_url}
        self._lock.truncate(0)
        self._lock.write(json.dumps(told))
        self._lock.flush()

    def _socket_folder(self, rights: Privileges) -> Path:
        """Where the sockets lie: in the state folder, or in a short path where the kernel's limit demands it."""
        inside = self._folder.path / "run"
        inside.mkdir(exist_ok=True, mode=0o700)
        folder = inside if sockets.are_taken_by(inside) else sockets.short_folder(inside, rights)
        self._foreign_socket_folder = folder if folder != inside else None
        rights.own(folder)
        return folder


@contextlib.asynccontextmanager
async def stores(
    state_dir: Path,
    options: StoreOptions | None = None,
    on_change: Callable[[Child], None] | None = None,
    on_build: Callable[[Stores], None] | None = None,
) -> AsyncIterator[Stores]:
    """Both stores, running for as long as the block does.

    on_change  called from the supervising threads
    on_build   called before anything starts
    """
    running = Stores(state_dir, options, on_change)
    if on_build:
        on_build(running)
    try:
        await _to_its_end(running.start, interrupt=running.interrupt)
        yield running
    finally:
        await _to_its_end(running.stop)


async def _to_its_end(function: Callable[[], None], interrupt: Callable[[], None] | None = None) -> None:
    """Run the function in a thread; a cancelled caller waits for it all the same, so that no child stays behind."""
    work = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        if interrupt:
            interrupt()
        await asyncio.wait([work])
        raise


@dataclass(frozen=True)
class Running:
    """Stores that another process keeps running."""

    pid: int
    database_url: str
    redis_url: str


def running(state_dir: Path) -> Running | None:
    """The stores that some process runs on this folder now, if any.  Their addresses are empty while they start."""
    path = state_dir / LOCK_FILE
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            told = json.loads(path.read_text())
            return Running(told["pid"], told.get("database_url", ""), told.get("redis_url", ""))
        return Running(0, "", "")
    except OSError:
        return None


def already_running(state_dir: Path) -> StoresRefused:
    other = running(state_dir)
    process = f"process {other.pid}" if other and other.pid else "another process"
    return StoresRefused(
        f"Orderwire already runs on {state_dir} ({process}): stop that one, "
        "or set ORDERWIRE_STATE_DIR and ORDERWIRE_PORT to run a second one beside it."
    )


def _name_of(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _locked(path: Path) -> IO[str]:
    """The folder's lock, which the kernel releases when this process ends however it ends."""
    file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "a+")  # noqa: PTH123, SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise already_running(path.parent) from None
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid()}))
    file.flush()
    return file
