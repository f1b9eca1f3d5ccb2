"""Reading files of any size: plain, .gz or .xz; CSV or one JSON object a line. What cannot be read is said by name."""

import csv
import gzip
import lzma
import unicodedata
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

import orjson

from app.kernel.operator import OperatorProblem

CELL_MAX = 1 << 20
ROW_MAX = 1 << 22
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
JSON_COLUMN = "json"


class Row(NamedTuple):
    """line  of the file on which the row begins, the header being line 1"""

    line: int
    cells: Sequence[str]


class File:
    """A file read once from its beginning to its end.

    path      may be compressed, whatever it is called
    encoding  of its text; a byte order mark of UTF-8 is left out
    unread    columns whose names mean nothing to the format, set by its reader
    """

    def __init__(self, path: Path, encoding: str = "utf-8") -> None:
        self.path = path
        self.encoding = encoding
        self.header: list[str] = []
        self.unread: list[str] = []
        self._line = 0
        self._row_chars = 0
        try:
            raw = path.open("rb")
            self.size = path.stat().st_size
            begin = raw.peek(6)
        except OSError as problem:
            raise OperatorProblem(f"{path} cannot be read: {problem.strerror or problem}.") from None
        self._raw: BinaryIO = raw
        self._text = self._open(begin)

    def _open(self, begin: bytes) -> TextIO:
        plain = self._raw
        if begin.startswith(_GZIP):
            plain = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw))
        elif begin.startswith(_XZ):
            plain = cast(BinaryIO, lzma.LZMAFile(self._raw))  # noqa: SIM115 (closed with the text around it)
        elif begin.startswith(_UTF_16) and not self.encoding.lower().replace("_", "-").startswith(("utf-16", "utf16")):
            raise OperatorProblem(
                f"{self.path} is UTF-16, and UTF-8 is wanted: convert it with"
                f" `iconv -f UTF-16 -t UTF-8 {self.path.name}`."
            )
        encoding = "utf-8-sig" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding
        try:
            return TextIOWrapper(plain, encoding=encoding, newline="")
        except LookupError:
            raise OperatorProblem(
                f"There is no encoding {self.encoding!r}: name one such as utf-8 or latin-1."
            ) from None

    @property
    def position(self) -> int:
        """Bytes of the file as it lies on disk that have been read so far; 0 where it is a pipe."""
        return self._raw.tell() if self._raw.seekable() else 0

    def close(self) -> None:
        self._text.close()
        self._raw.close()

    def rows(self, required: Sequence[str] = ()) -> Iterator[Row]:
        """The rows of a CSV file with a header that names at least these columns.  Raises OperatorProblem."""
        csv.field_size_limit(CELL_MAX)
        reader = csv.reader(self._lines(), strict=True)
        lines = self._guarded(reader)
        self.header = [name.strip() for name in next(lines, [])]
        self._line = reader.line_num
        if not any(self.header):
            raise OperatorProblem(f"{self.path} is empty: a header with the names of the columns is wanted.")
        if missing := [name for name in required if name not in self.header]:
            raise OperatorProblem(self._missing(missing))
        if twice := sorted({name for name in self.header if name and self.header.count(name) > 1}):
            raise OperatorProblem(f"{self.path} has the column {', '.join(twice)} twice: give each one name.")
        return self._numbered(reader, lines)

    def _numbered(self, reader: Any, lines: Iterator[list[str]]) -> Iterator[Row]:
        begin = reader.line_num + 1
        for cells in lines:
            self._row_chars = 0
            if any(cells):
                yield Row(begin, cells)
            self._line = reader.line_num
            begin = self._line + 1

    def _lines(self) -> Iterator[str]:
        """Lines of text in Unicode's NFC, as codes are kept.  Raises OperatorProblem for what no row can hold."""
        while line := self._text.readline(ROW_MAX):
            self._row_chars += len(line)
            if self._row_chars > ROW_MAX or (len(line) == ROW_MAX and not line.endswith(("\n", "\r"))):
                raise OperatorProblem(
                    f"{self.path} has a row of more than {ROW_MAX:,} characters after line {self._line}: look for a"
                    " quotation mark left open, or for lines that do not end."
                )
            if "\0" in line:
                raise OperatorProblem(
                    f"{self.path} holds the character NUL after line {self._line}: it is damaged, or in another"
                    " encoding that --encoding has to name."
                )
            yield line if line.isascii() else unicodedata.normalize("NFC", line)

    def _missing(self, missing: Sequence[str]) -> str:
        names = ", ".join(missing)
        columns = f"column{'s' if len(missing) > 1 else ''}"
        if len(self.header) == 1 and any(sign in self.header[0] for sign in ";\t|"):
            return f"{self.path} has no {columns} {names}: its cells are not separated by commas, save it so."
        shown = ", ".join(self.header[:20])
        return f"{self.path} has no {columns} {names}; it has: {shown}. Check the format you named with --format."

    def objects(self) -> Iterator[tuple[Row, dict[str, Any] | None]]:
        """The objects of a JSON Lines file, None where a line is none."""
        self.header = [JSON_COLUMN]
        found = False
        for line in self._guarded(self._lines()):
            self._line += 1
            self._row_chars = 0
            if not line.strip():
                continue
            found = True
            try:
                value = orjson.loads(line)
            except ValueError:
                value = None
            yield Row(self._line, [line.rstrip("\r\n")]), value if isinstance(value, dict) else None
        if not found:
            raise OperatorProblem(f"{self.path} is empty: one JSON object a line is wanted.")

    def _guarded(self, lines: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from lines
        except UnicodeDecodeError as problem:
            byte = problem.object[problem.start]
            raise OperatorProblem(
                f"{self.path} is not {self.encoding.upper()}: after line {self._line} there is the byte 0x{byte:02X}."
                " If it is Latin-1, say so with --encoding latin-1."
            ) from None
        except csv.Error as problem:
            raise OperatorProblem(
                f"{self.path} is no CSV after line {self._line}: {problem}. Look for a quotation mark left open."
            ) from None
        except (OSError, EOFError, lzma.LZMAError) as problem:
            raise OperatorProblem(f"{self.path} is damaged or cut short after line {self._line}: {problem}.") from None


def cells_of(header: Sequence[str], row: Row) -> dict[str, str]:
    """The cells that hold something, by column, without spaces around them; columns without a name are left out.

    Raises BadRow for a wrong number.
    """
    if len(row.cells) != len(header):
        raise BadRow(f"The row has {len(row.cells)} cells and the header {len(header)}.")
    return {name: text for name, cell in zip(header, row.cells, strict=True) if (text := cell.strip()) and name}


class BadRow(Exception):
    """A row that cannot be read.  The message is the reason that is written beside it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
