"""Files of every kind, and one clear sentence for those that cannot be read."""

import gzip
import lzma
import os
import threading
import tracemalloc
import unicodedata

import pytest

from app.imports.files import File, Row, cells_of
from app.imports.items import HELD_ORDERS_MAX, Kept, grouped
from app.kernel.operator import OperatorProblem
from app.orders.cleaning import LINES_MAX
from tests.imports.conftest import Desk, counted

NUL = "{path} holds the character NUL after line 2: it is damaged, or in another encoding that --encoding has to name."
NOT_UTF_8 = (
    "{path} is not UTF-8: after line 0 there is the byte 0xE9. If it is Latin-1, say so with --encoding latin-1."
)
SKUS = "code,name\nMUG,Mug\n"


def read(path, required=("code", "name"), encoding="utf-8"):
    file = File(path, encoding)
    try:
        return [(row.line, list(row.cells)) for row in file.rows(required)]
    finally:
        file.close()


@pytest.mark.parametrize(
    "content",
    [
        SKUS.encode(),
        SKUS.encode("utf-8-sig"),
        gzip.compress(SKUS.encode()),
        lzma.compress(SKUS.encode()),
        SKUS.replace("\n", "\r\n").encode(),
    ],
    ids=["plain", "byte order mark", "gzip", "xz", "carriage returns"],
)
def test_a_file_reads_the_same_however_it_is_packed(tmp_path, content):
    path = tmp_path / "skus"
    path.write_bytes(content)

    assert read(path) == [(2, ["MUG", "Mug"])]


def test_a_row_knows_the_line_it_begins_on(tmp_path):
    path = tmp_path / "skus.csv"
    path.write_text('code,name\nA,"two\nlines, quoted ""so"""\n\nB,one\n')

    assert read(path) == [(2, ["A", 'two\nlines, quoted "so"']), (5, ["B", "one"])]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "{path} is empty: a header with the names of the columns is wanted."),
        (
            b"code,title\nA,B\n",
            "{path} has no column name; it has: code, title. Check the format you named with --format.",
        ),
        (b"x\n1\n", "{path} has no columns code, name; it has: x. Check the format you named with --format."),
        (b"code;name\nA;B\n", "{path} has no columns code, name: its cells are not separated by commas, save it so."),
        (b"code,name,name\nA,B,C\n", "{path} has the column name twice: give each one name."),
        (b",,\nA,B,C\n", "{path} is empty: a header with the names of the columns is wanted."),
        (b"code,name\nA,B\nC,\0\n", NUL),
        (b"code,name\nA,Caf\xe9\n", NOT_UTF_8),
        (
            "code,name\nA,B\n".encode("utf-16"),
            "{path} is UTF-16, and UTF-8 is wanted: convert it with `iconv -f UTF-16 -t UTF-8 file.csv`.",
        ),
        (
            b'code,name\nA,B\nC,"open\n',
            "{path} is no CSV after line 2: unexpected end of data. Look for a quotation mark left open.",
        ),
    ],
    ids=["empty", "column", "columns", "semicolons", "twice", "nameless", "NUL", "latin-1", "utf-16", "quotation mark"],
)
def test_a_bad_file_gets_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "file.csv"
    path.write_bytes(content)

    with pytest.raises(OperatorProblem) as told:
        read(path)

    assert str(told.value) == sentence.format(path=path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"A" * 5_000_000, "row of more than 4,194,304 characters after line 1: look for"),
        (b'"\n",' * 1_500_000, "row of more than 4,194,304 characters after line 1: look for"),
        (b'"' + b"A\n" * 1_000_000, "Look for a quotation mark left open"),
    ],
    ids=["line", "cells", "cell"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_row_without_end_is_refused_and_not_held(tmp_path, pack, content, sentence):
    """Memory is bounded whatever the file: a row is given up when it is longer than any that can be used."""
    path = tmp_path / "file.csv"
    path.write_bytes(pack(b"code,name\n" + content))
    file = File(path)

    tracemalloc.start()
    with pytest.raises(OperatorProblem, match=sentence):
        list(file.rows(["code"]))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert held < 200 << 20


def test_cells_without_a_header_and_rows_without_content_are_passed_over(tmp_path):
    path = tmp_path / "skus.csv"
    path.write_text("code,name,,\nA,Mug,x,y\n,,,\nB,Cup,,\n")
    file = File(path)

    rows = [cells_of(file.header, row) for row in file.rows(["code"])]

    assert rows == [{"code": "A", "name": "Mug"}, {"code": "B", "name": "Cup"}]


def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(SKUS,))
    writer.start()

    assert read(pipe) == [(2, ["MUG", "Mug"])]
    writer.join()


def test_utf_16_is_read_where_it_is_named(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(SKUS.encode("utf-16"))

    assert read(path, encoding="utf-16") == [(2, ["MUG", "Mug"])]


def test_text_is_read_in_the_spelling_that_codes_are_kept_in(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(unicodedata.normalize("NFD", "code,name\nCAFÉ,Café\n"))

    assert read(path) == [(2, ["CAFÉ", "Café"])]


def test_a_file_cut_short_gets_one_sentence(tmp_path):
    path = tmp_path / "file.csv.xz"
    path.write_bytes(lzma.compress(b"code,name\n" + b"A,B\n" * 10_000)[:-40])

    with pytest.raises(OperatorProblem, match=r"file\.csv\.xz is damaged or cut short after line \d+: "):
        read(path)


def test_a_missing_file_and_an_unknown_encoding_get_one_sentence(tmp_path):
    with pytest.raises(OperatorProblem, match=r"none\.csv cannot be read: No such file or directory\.$"):
        File(tmp_path / "none.csv")
    (tmp_path / "file.csv").write_text(SKUS)
    with pytest.raises(OperatorProblem, match="There is no encoding 'klingon'"):
        File(tmp_path / "file.csv", "klingon")


def test_latin_1_is_read_where_it_is_named(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes("code,name\nA,Café £\n".encode("latin-1"))

    assert read(path, encoding="latin-1") == [(2, ["A", "Café £"])]


def test_an_order_longer_than_any_may_be_is_rejected_whole():
    rows = [(Row(n + 2, ["x"]), "A") for n in range(LINES_MAX + 10)] + [(Row(9_999, ["x"]), "B")]

    groups = list(grouped(rows))

    assert sum(len(group.rows) for group in groups if isinstance(group, Kept)) == LINES_MAX + 10
    assert [group[0] for group in groups if not isinstance(group, Kept)] == ["B"]


def test_grouping_holds_a_bounded_number_of_orders():
    endless = ((Row(n, ["x"]), f"order {n}") for n in range(10 * HELD_ORDERS_MAX))
    groups = grouped(endless)

    assert next(groups)[0] == "order 0"
    assert next(endless)[0].line <= HELD_ORDERS_MAX + 1


async def test_rows_of_the_wrong_length_are_rejected_and_the_rest_is_loaded(desk: Desk):
    summary = await desk.load("skus", desk.write("code,name\nMUG,Mug\nTRAY\nJUG,Jug,extra\nCUP,Cup\n"))

    assert counted(summary) == {"created": 2, "rejected": 2}
    assert [(row["import_row"], row["import_reason"]) for row in desk.rejects()] == [
        ("3", "The row has 1 cells and the header 2."),
        ("4", "The row has 3 cells and the header 2."),
    ]
