import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.embedded import StoreOptions, Stores
from app.kernel.migrate import migrate

STUB = Path(__file__).parent / "orderwire_stub.py"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder as a first start leaves it: initialised, migrated and stopped."""
    folder = tmp_path_factory.mktemp("prepared", numbered=True) / "state"
    stores = Stores(folder, StoreOptions(postgresql={"fsync": "off"}))
    stores.start()
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: asyncio.run(migrate(stores.database_url))).result()
    stores.stop()
    return folder


@pytest.fixture
def state_dir(prepared: Path) -> Iterator[Path]:
    """A used state folder, with a path short enough for sockets."""
    parent = Path(tempfile.mkdtemp(prefix="ow-"))
    parent.chmod(0o755)  # so that another user's children reach what lies within
    shutil.copytree(prepared, parent / "state")
    yield parent / "state"
    shutil.rmtree(parent)


@pytest.fixture
def blank_state_dir(state_dir: Path) -> Path:
    """The same before anything was ever started on it: there is no such folder."""
    shutil.rmtree(state_dir)
    return state_dir


class Command:
    """One orderwire process and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process, state_dir: Path, port: int) -> None:
        self.process = process
        self.state_dir = state_dir
        self.port = port
        self.printed = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    async def until(self, text: str, times: int = 1) -> None:
        """Return when it has printed the text so many times."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while self.printed.count(text) < times:
                line = await self.process.stdout.readline()
                assert line, f"ended before it printed {text!r}:\n{self.printed}"
                self.printed += line.decode()

    async def ended(self) -> tuple[int, str]:
        """Its exit status and everything it printed."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            self.printed += (await self.process.stdout.read()).decode()
            return await self.process.wait(), self.printed

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


class Orderwire:
    """Starts orderwire commands over one state folder, and ends what a failing test leaves behind."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.commands: list[Command] = []

    async def __call__(self, *arguments: str, **environment: str) -> Command:
        port = int(environment.pop("port", 0)) or free_port()
        variables = {name: value for name, value in os.environ.items() if not name.startswith("ORDERWIRE_")}
        variables |= {"ORDERWIRE_STATE_DIR": str(self.state_dir), "ORDERWIRE_PORT": str(port), "COLUMNS": "300"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(STUB),
            *arguments,
            env={**variables, **environment},
            cwd=STUB.parents[2],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        command = Command(process, self.state_dir, port)
        self.commands.append(command)
        return command

    async def dev(self, *arguments: str, **environment: str) -> Command:
        """`orderwire dev`, serving."""
        command = await self("dev", *arguments, **environment)
        await command.until("Orderwire serves")
        return command

    async def refused(self, *arguments: str, **environment: str) -> str:
        """The one sentence with which the command ended."""
        status, printed = await (await self(*arguments, **environment)).ended()
        sentences = [line for line in printed.splitlines() if line.startswith("orderwire:")]
        assert status == 1, printed
        assert "Traceback" not in printed
        assert len(sentences) == 1, printed
        return sentences[0]


@pytest.fixture
async def orderwire(state_dir: Path) -> AsyncIterator[Orderwire]:
    starter = Orderwire(state_dir)
    yield starter
    for command in starter.commands:
        with contextlib.suppress(ProcessLookupError):
            command.process.kill()
        await command.process.wait()
    await vanished(state_dir)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def processes_on(state_dir: Path) -> dict[int, str]:
    """Every process, whoever started it, that was started over this folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command_line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                folder = str((entry / "cwd").readlink())
                if str(state_dir) in command_line or folder.startswith(str(state_dir)):
                    found[int(entry.name)] = command_line
    return found


async def vanished(state_dir: Path) -> None:
    """Return when no process is left on the folder; fail after ten seconds."""
    deadline = time.monotonic() + 10
    while left := processes_on(state_dir):
        assert time.monotonic() < deadline, f"still there: {left}"
        await asyncio.sleep(0.02)
