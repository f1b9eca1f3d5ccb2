"""As whom the child processes run."""

import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.embedded import unprivileged
from app.embedded.refusal import StoresRefused


class Mode(StrEnum):
    STAY = "stay"
    NAMESPACE = "namespace"
    SETUID = "setuid"


@dataclass(frozen=True)
class Privileges:
    """How a child gives up root's rights, and who owns the files it works on."""

    mode: Mode
    uid: int
    gid: int

    def command(self, command: list[str], *, death_signal: signal.Signals) -> list[str]:
        """`command` run without root's rights, to be sent `death_signal` when this process is no more."""
        launcher = [sys.executable, "-I", "-S", unprivileged.__file__]
        about = [str(os.getpid()), str(int(death_signal)), self.mode, str(self.uid), str(self.gid)]
        return [*launcher, *about, "--", *command]

    def run(self, command: list[str], *, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a short command to its end, with `text` on its standard input."""
        return subprocess.run(
            self.command(command, death_signal=signal.SIGKILL),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
        )

    def own(self, folder: Path) -> None:
        """Give `folder` and all within to the user that the children run as; a no-op unless we are root."""
        if os.geteuid() != 0:
            return
        uid, gid = (self.uid, self.gid) if self.mode is Mode.SETUID else (0, os.getegid())
        if folder.lstat().st_uid == uid:
            return
        for path in [*folder.rglob("*"), folder]:  # the folder last: it tells that the rest is done
            os.chown(path, uid, gid, follow_symlinks=False)

    def may_enter(self, path: Path) -> bool:
        """Whether a child can read `path`; false where another user's folder lies above it."""
        return self.mode is not Mode.SETUID or self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(path)]).returncode == 0


def privileges(mode: Mode | None = None) -> Privileges:
    """The rights to run children with: ours, or for root a namespace's nobody, or else another account's.

    mode  forces one way, for tests
    Raises StoresRefused when root cannot give up its rights.
    """
    if os.geteuid() != 0:
        return Privileges(Mode.STAY, os.geteuid(), os.getegid())
    account = _account()
    for way in [mode] if mode else [Mode.NAMESPACE, Mode.SETUID]:
        candidate = Privileges(way, account.pw_uid, account.pw_gid)
        if candidate.run(["/bin/true"]).returncode == 0:
            return candidate
    raise StoresRefused(
        "PostgreSQL does not run as root, and this system allows neither a user namespace nor another user: "
        "run orderwire as another user, or set ORDERWIRE_DATABASE_URL and ORDERWIRE_REDIS_URL."
    )


def _account() -> pwd.struct_passwd:
    """An account that exists and is not root's; PostgreSQL's tools look their user up by name."""
    others = [account for account in pwd.getpwall() if account.pw_uid != 0]
    if not others:
        raise StoresRefused(
            "PostgreSQL does not run as root, and this system has no other account: "
            "set ORDERWIRE_DATABASE_URL and ORDERWIRE_REDIS_URL to stores that run elsewhere."
        )
    return next((account for account in others if account.pw_name == "nobody"), others[0])
