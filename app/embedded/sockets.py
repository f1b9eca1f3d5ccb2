"""Where the stores' sockets lie: the kernel takes only short paths for them."""

import errno
import hashlib
import os
import socket
import tempfile
from pathlib import Path

from app.embedded.privileges import Privileges
from app.embedded.refusal import StoresRefused

PATH_BYTES_MAX = 107
LONGEST_NAME = ".s.PGSQL.5432.lock"


def are_taken_by(folder: Path) -> bool:
    """Whether sockets can be made in `folder`: its path is short enough and its file system knows them."""
    if not _is_short(folder):
        return False
    trial = folder / "trial.sock"
    trial.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(trial))
        except OSError as refused:
            if refused.errno == errno.ENOSPC:
                raise
            return False
    trial.unlink()
    return True


def short_folder(instead_of: Path, rights: Privileges) -> Path:
    """A private folder under the system's temporary one, the same at every start.

    Raises StoresRefused when somebody else has made it.
    """
    folder = _short(instead_of)
    folder.mkdir(exist_ok=True, mode=0o700)
    _refuse_a_foreign(folder, instead_of, rights)
    return folder


def examine(inside: Path, rights: Privileges) -> None:
    """Look whether sockets have a place, inside or else under the temporary folder.  Raises StoresRefused."""
    folder = _short(inside)
    if not _is_short(inside) and os.path.lexists(folder):
        _refuse_a_foreign(folder, inside, rights)


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder / LONGEST_NAME)) <= PATH_BYTES_MAX


def _short(instead_of: Path) -> Path:
    name = hashlib.sha256(os.fsencode(instead_of)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"orderwire-{name}"


def _refuse_a_foreign(folder: Path, instead_of: Path, rights: Privileges) -> None:
    """Everybody can tell the name and make the folder first; as root we would even give away what lies within."""
    if folder.is_symlink() or folder.lstat().st_uid not in {os.geteuid(), rights.uid}:
        raise StoresRefused(
            f"{folder} belongs to another user, and {instead_of} is too long for a socket: "
            "set ORDERWIRE_STATE_DIR to a shorter path."
        )
