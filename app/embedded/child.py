"""One supervised child process: started, watched, started again when it dies, stopped."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app.embedded import unprivileged
from app.embedded.privileges import Privileges
from app.embedded.refusal import StoresRefused

log = logging.getLogger("orderwire.embedded")

START_SECONDS_MAX = 120.0  # crash recovery reads the log written since the last checkpoint
PATIENCE_SECONDS = 15.0  # how long a first start waits for the remains of a killed predecessor
RESTART_PAUSES = (0.0, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0  # after this long alive, the next death counts as the first again


class ChildState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Death:
    """Why a child ended.  `passing`: the same start may well succeed in a moment."""

    sentence: str
    passing: bool = False


class Program(Protocol):
    """What a child has to say about itself."""

    log_file: Path

    @property
    def name(self) -> str: ...

    @property
    def death_signal(self) -> signal.Signals: ...

    @property
    def stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """What to send, one after the other, and how many seconds to wait after each."""

    def before_launch(self) -> None:
        """Remove what a killed predecessor left behind."""

    def command(self) -> list[str]: ...

    def input(self) -> str: ...

    def is_ready(self, pid: int) -> bool: ...

    def why_it_died(self, status: int, output: str) -> Death: ...


class Child:
    """A program kept alive by a thread of its own.

    The thread starts the process and waits for it: the kernel ties a child's life to the thread that started it,
    so that not even kill -9 of this process leaves the child behind.
    """

    def __init__(self, program: Program, rights: Privileges, on_change: Callable[["Child"], None] | None = None):
        self._program = program
        self._rights = rights
        self._on_change = on_change
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._over = True
        self._failure: Exception | None = None  # why the first start did not succeed
        self.state = ChildState.STOPPED
        self.starts = 0
        self.last_death: Death | None = None

    @property
    def name(self) -> str:
        return self._program.name

    @property
    def pid(self) -> int | None:
        """The process as it runs now, None while there is none."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    def start(self) -> None:
        """Start the program and return when it answers.  Raises StoresRefused with the reason when it does not."""
        if self._thread and self._thread.is_alive():
            return
        self._stopping.clear()
        self._hurry.clear()
        self._failure, self._over = None, False
        self._thread = threading.Thread(target=self._keep_alive, name=f"supervise-{self.name}", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self.state is ChildState.READY or self._over)
        if failure := self._failure:
            raise failure

    def stop(self) -> None:
        """Stop the program, ever less politely, and return when it is gone.  It stays stopped until `start`."""
        self._stopping.set()
        thread = self._thread
        if thread is None:
            return
        for number, seconds in self._program.stop_signals:
            self._send(number)
            if self._gone_within(thread, 0.0 if self._hurry.is_set() else seconds):
                break
        else:
            self._send(signal.SIGKILL)
            thread.join()
        self._thread = None

    def interrupt(self) -> None:
        """Ask the program to end, whether it has started or not, without waiting for it."""
        self._stopping.set()
        self._send(self._program.stop_signals[0][0])

    def hurry(self) -> None:
        """Let a `stop` that is under way go on to its harsher signals."""
        self._hurry.set()

    def kill(self) -> None:
        """End the process as a crash would, and return when that is noticed; the supervision starts it again."""
        starts = self.starts
        self._send(signal.SIGKILL)
        with self._changed:
            self._changed.wait_for(lambda: self.state is not ChildState.READY or self.starts > starts, 10.0)

    def restart(self) -> None:
        """Stop the program and start it again."""
        self.stop()
        self.start()

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Return when the program answers (again).  Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.state is ChildState.READY, seconds):
                raise TimeoutError(f"{self.name} was not ready within {seconds:g} s")

    def _send(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _gone_within(self, thread: threading.Thread, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while thread.is_alive() and (left := deadline - time.monotonic()) > 0 and not self._hurry.is_set():
            thread.join(min(left, 0.05))
        thread.join(0.2 if self._hurry.is_set() else 0)
        return not thread.is_alive()

    def _set(self, state: ChildState) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()
        if self._on_change:
            self._on_change(self)

    def _keep_alive(self) -> None:
        try:
            self._live()
        except Exception as failure:
            self._failure = failure
        finally:
            self._process = None
            self._over = True
            self._set(ChildState.STOPPED)

    def _live(self) -> None:
        self._set(ChildState.STARTING)
        began, deaths, was_ready = time.monotonic(), 0, False
        while not self._stopping.is_set():
            launched = time.monotonic()
            try:
                ready, death = self._one_life()
            except OSError as refused:
                # A full disk or process table passes; only the very first start gives up.
                if not was_ready:
                    raise
                ready, death = False, Death(f"{self.name} could not be started ({refused.strerror}).")
            was_ready = was_ready or ready
            if self._stopping.is_set():
                return
            if not was_ready and not (death.passing and time.monotonic() - began < PATIENCE_SECONDS):
                raise StoresRefused(death.sentence)
            self._report(death)
            deaths = 0 if ready and time.monotonic() - launched > STEADY_SECONDS else deaths + 1
            self._stopping.wait(RESTART_PAUSES[min(deaths, len(RESTART_PAUSES)) - 1] if deaths else 0)

    def _report(self, death: Death) -> None:
        if self.last_death is None or self.last_death.sentence != death.sentence or not death.passing:
            log.warning("%s ended and is started again: %s", self.name, death.sentence)
        self.last_death = death

    def _one_life(self) -> tuple[bool, Death]:
        """Start the process and return when it has ended: whether it ever answered, and why it ended."""
        self._program.before_launch()
        command = self._rights.command(self._program.command(), death_signal=self._program.death_signal)
        with self._program.log_file.open("ab") as output:
            offset = output.tell()
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(self._program.input().encode())
        self._process = process
        self.starts += 1
        if self._stopping.is_set():
            self._send(self._program.stop_signals[0][0])  # `stop` came before there was a process to tell
        ready = self._becomes_ready(process)
        if ready:
            self._set(ChildState.READY)
        status = process.wait()
        if ready and not self._stopping.is_set():
            self._set(ChildState.RESTARTING)
        return ready, _why_it_died(self._program, status, _from(self._program.log_file, offset))

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_SECONDS_MAX
        while process.poll() is None:
            if self._program.is_ready(process.pid):
                return True
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.01)
        return False


def _why_it_died(program: Program, status: int, output: str) -> Death:
    """The program's own reason, or that of the launcher before it."""
    if status == unprivileged.REFUSED and unprivileged.PREFIX in output:
        reason = output.rpartition(unprivileged.PREFIX)[2].strip()
        return Death(
            f"The stores cannot run as another user than root ({reason}): let other users read the folder that"
            " Orderwire is installed in, or start it as a user other than root."
        )
    return program.why_it_died(status, output)


def _from(file: Path, offset: int) -> str:
    with contextlib.suppress(OSError), file.open("rb") as log_file:
        log_file.seek(max(offset, os.fstat(log_file.fileno()).st_size - 65536))
        return log_file.read().decode(errors="replace")
    return ""
