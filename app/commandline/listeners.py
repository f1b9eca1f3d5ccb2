"""Which process has a port, as Linux tells it under /proc."""

import contextlib
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"


def listens(pid: int, port: int) -> bool | None:
    """Whether the process listens on the TCP port; None where the system does not tell."""
    if not pid:
        return None
    try:
        open_files = list((PROC / str(pid) / "fd").iterdir())
        wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    except OSError:
        return None
    return any(_target(file) in wanted for file in open_files)


def _inodes(port: int) -> set[str]:
    """The sockets that listen on the port, by the number they have among open files."""
    found = set()
    for table in (PROC / "net" / "tcp", PROC / "net" / "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # tcp6, on a system without it
            for line in table.read_text().splitlines()[1:]:
                _, address, _, state, *rest = line.split()
                if state == LISTENING and int(address.rpartition(":")[2], 16) == port:
                    found.add(rest[5])
    return found


def _target(file: Path) -> str:
    with contextlib.suppress(OSError):  # closed in the meantime
        return str(file.readlink())
    return ""
