"""SQL functions and views: written once in app/<area>/sql, installed by migrations from copies that never change.

A migration that ran a year ago must do the same today, so `install` reads migrations/sql/<revision>, never the areas'
own files.  `python -m app.kernel.functions` copies what changed into the newest revision's folder, and a test fails
while the two differ.  An empty copy says that the file is gone.  See docs/decisions/0003-sql-in-files.md.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

APP = Path(__file__).parent.parent
_NEEDS_FUNCTIONS = re.compile(r"CREATE\s+(OR\s+REPLACE\s+)?((CONSTRAINT\s+)?TRIGGER|VIEW)\b", re.IGNORECASE)

_CREATED = re.compile(r"^CREATE OR REPLACE (VIEW|FUNCTION) (\w+)", re.MULTILINE)


def migrations_folder() -> Path:
    """Where the migrations lie: beside the package in a checkout and an image, inside it in a wheel."""
    beside = APP.parent / "migrations"
    return beside if (beside / "env.py").is_file() else APP / "migrations"


def written() -> dict[str, str]:
    """What the areas' files say now, by `area/name`."""
    return {f"{file.parent.parent.name}/{file.stem}": file.read_text() for file in APP.glob("*/sql/*.sql")}


def copied(revision: str) -> dict[str, str]:
    """The copies that belong to one migration."""
    folder = migrations_folder() / "sql" / revision
    return {f"{file.parent.name}/{file.stem}": file.read_text() for file in folder.glob("*/*.sql")}


def installed() -> dict[str, str]:
    """What a database holds after all migrations: the newest copy of each."""
    texts: dict[str, str] = {}
    for folder in sorted((migrations_folder() / "sql").iterdir()):
        texts |= copied(folder.name)
    return {name: text for name, text in texts.items() if text.strip()}


def changed() -> dict[str, str]:
    """Files that no migration installs yet as they are; empty text for one that is gone."""
    now, then = written(), installed()
    return {name: now.get(name, "") for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)}


def in_order(texts: Mapping[str, str]) -> Iterable[str]:
    """The texts to execute: functions first, then the views and triggers that may call them."""
    return [
        text for _, text in sorted(texts.items(), key=lambda item: (bool(_NEEDS_FUNCTIONS.search(item[1])), item[0]))
    ]


def install(revision: str) -> None:
    """Within a migration: create or replace what its folder holds."""
    from alembic import op

    op.execute("SET LOCAL check_function_bodies = off")  # they may name each other in any order
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    for text in in_order(copied(revision)):
        if text.strip():
            # Straight to the driver: a file holds several statements, which a prepared one cannot.
            connection.run_async(lambda driver, text=text: driver.execute(text))


def remove(revision: str) -> None:
    """Within the downgrade of a first migration: drop what its folder created, views and triggers before functions."""
    from alembic import op

    for text in reversed(list(in_order(copied(revision)))):
        for kind, name in _CREATED.findall(text):
            op.execute(f"DROP {kind} IF EXISTS {name} CASCADE")


def copy_changed() -> list[str]:
    """Copy what changed into the newest revision's folder; the names copied."""
    revision = sorted(file.name[:4] for file in (migrations_folder() / "versions").glob("[0-9]*.py"))[-1]
    changes = changed()
    for name, text in changes.items():
        target = migrations_folder() / "sql" / revision / f"{name}.sql"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return [f"{revision}/{name}" for name in changes]


if __name__ == "__main__":
    sys.stdout.writelines(f"migrations/sql/{name}.sql\n" for name in copy_changed())
