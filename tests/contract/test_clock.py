"""Time comes from `kernel.clock` and from nowhere else, so that tests and replays can move it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SQL_TIME = re.compile(
    r"\b(?:(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|current_(?:timestamp|date|time)\b|localtime(?:stamp)?\b)",
    re.IGNORECASE,
)
SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
PYTHON_TIME = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time"),
    ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime"), ("time", "ctime"), ("func", "now"),
    ("func", "current_timestamp"), ("func", "clock_timestamp"),
}  # fmt: skip
# Who may look at the machine's own clock, and why.
ALLOWED = {
    "app/kernel/clock.py": "it is the clock",
    "app/kernel/log.py": "when a line is written",
    "app/kernel/tracing.py": "when a span began and ended",
    "app/commandline/doctor.py": "compares the clocks of machine and database",
}


def in_sql(text: str) -> list[str]:
    return [found[0] for found in SQL_TIME.finditer(SQL_COMMENT.sub(" ", text))]


def in_python(text: str) -> Iterator[str]:
    """Calls of clocks, and SQL that asks for the time, but no docstrings."""
    tree = ast.parse(text)
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if (owner, name) in PYTHON_TIME:
                    yield f"{owner}.{name}"
            case ast.Constant(value=str() as string) if id(node) not in prose:
                yield from in_sql(string)


def sources(suffix: str) -> list[Path]:
    return [file for folder in ("app", "migrations") for file in sorted((ROOT / folder).rglob(f"*{suffix}"))]


def test_sql_is_told_the_time_and_never_asks_for_it() -> None:
    files = sources(".sql")
    assert len(files) > 20

    assert {str(file.relative_to(ROOT)): found for file in files if (found := in_sql(file.read_text()))} == {}


def test_python_asks_the_clock_it_was_given() -> None:
    found = {
        str(file.relative_to(ROOT)): each for file in sources(".py") if (each := list(in_python(file.read_text())))
    }

    assert {name: calls for name, calls in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "an exception that nothing needs any more: delete it"


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\nat = datetime.now(UTC)",
        "import datetime\nat = datetime.datetime.now()",
        "import time\nat = time.time()",
        "from sqlalchemy import func\nstatement.values(updated_at=func.now())",
        'SQL = "UPDATE sku SET updated_at = now()"',
        'column = mapped_column(server_default=text("CURRENT_TIMESTAMP"))',
        'sql = f"SELECT 1 FROM {table} WHERE due_at < now ( )"',
    ],
)
def test_each_way_to_ask_the_machine_is_seen(source: str) -> None:
    assert list(in_python(source))


def test_what_is_told_the_time_is_not_confused_with_what_asks_for_it() -> None:
    assert list(in_python('"""Never now()."""\nat = work.now\nthen = clock.now()\nlater = time.monotonic()')) == []
    assert in_sql("-- not now()\nSELECT p_now, 'now' FROM t WHERE known() AND at <= p_now") == []
