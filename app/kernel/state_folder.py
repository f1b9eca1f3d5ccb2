"""The one folder on disk that Orderwire calls its own, recognised by a marker file."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from app.kernel.operator import OperatorProblem

MARKER = "ORDERWIRE"
_MARKER_TEXT = "This folder belongs to Orderwire. `orderwire dev --fresh` clears it.\n"
_REMEDY = "set ORDERWIRE_STATE_DIR to a folder of its own."


class StateFolderRefused(OperatorProblem):
    """The folder cannot be used as it is; the message says why and what to do."""


class StateFolder:
    """A folder that may be filled and cleared, because its marker says that it is ours."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def is_ours(self) -> bool:
        return (self.path / MARKER).is_file()

    def claimed(self) -> Self:
        """Make the folder and mark it ours; nothing happens when it already is.

        Raises StateFolderRefused when it holds someone else's files or cannot be written.
        """
        with self._refusing():
            if self.is_ours:
                return self
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._refuse_what_is_not_ours()
            (self.path / MARKER).write_text(_MARKER_TEXT)
        return self

    def examine(self) -> None:
        """Look whether the folder can be claimed and written, and change nothing.  Raises StateFolderRefused."""
        with self._refusing():
            existing = nearest_existing(self.path)
            if not existing.is_dir():
                raise NotADirectoryError
            if not os.access(existing, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if existing == self.path and not self.is_ours:
                self._refuse_what_is_not_ours()

    def _refuse_what_is_not_ours(self) -> None:
        # Asked again at the end: another process may be claiming the folder at the same time.
        if any(entry.name != MARKER for entry in self.path.iterdir()) and not self.is_ours:
            raise StateFolderRefused(f"{self.path} holds files that are not Orderwire's: {_REMEDY}")

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """What the system refuses within the block, as a sentence."""
        try:
            yield
        except (FileExistsError, NotADirectoryError):
            raise StateFolderRefused(f"{self.path} is not a folder: {_REMEDY}") from None
        except OSError as refused:
            raise StateFolderRefused(f"{self.path} cannot be written ({refused.strerror}): {_REMEDY}") from None

    def cleared(self, *, keep: frozenset[str] = frozenset()) -> Self:
        """Remove everything in the folder but the marker and `keep`.  Raises StateFolderRefused when it is not ours."""
        if not self.path.exists():
            return self
        if not self.is_ours:
            if self.path.is_dir() and not any(self.path.iterdir()):
                return self
            raise StateFolderRefused(
                f"{self.path} has no {MARKER} marker, so it is not cleared: "
                "remove it yourself, or set ORDERWIRE_STATE_DIR to another folder."
            )
        for entry in self.path.iterdir():
            if entry.name == MARKER or entry.name in keep:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        return self

    def remembered(self, name: str, make: Callable[[], str]) -> str:
        """The text kept in file `name`, made once; safe when several processes ask at the same time."""
        file = self.path / name
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            pass
        number, made = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)
        draft = Path(made)
        with os.fdopen(number, "w") as writer:
            writer.write(make() + "\n")
        try:
            # A link refuses to replace: the first writer wins and nobody reads half a file.
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return file.read_text().strip()


def nearest_existing(path: Path) -> Path:
    """The path itself, or the innermost folder above it that is there."""
    return next(existing for existing in (path, *path.parents) if os.path.lexists(existing))
