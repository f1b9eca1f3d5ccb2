"""A place to import to: a database, files made by a test, and the process that a kill ends."""

import asyncio
import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from app.imports import run
from app.imports.items import Format, Kind
from app.imports.run import Options
from app.imports.summary import Summary
from app.kernel.db import Database
from tests.builders import Shop

ROOT = Path(__file__).parents[2]


class Desk:
    """Imports into one database, all output in one folder."""

    def __init__(self, database: Database, folder: Path, url: str) -> None:
        self.database = database
        self.folder = folder
        self.url = url
        self.shop = Shop(database)
        self.stop = asyncio.Event()

    def write(self, text: str, name: str = "file.csv", encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    def lines(self, objects: Iterable[dict[str, Any]], name: str = "file.jsonl") -> Path:
        return self.write("".join(json.dumps(each) + "\n" for each in objects), name)

    async def load(self, kind: str, path: Path, format: str = "orderwire-csv", **given: Any) -> Summary:
        options = Options(
            kind=Kind(kind), format=Format(format), path=path, rejects=self.folder / "rejects.csv", **given
        )
        return await run.run(options, self.database, self.stop)

    def rejects(self) -> list[dict[str, str]]:
        with (self.folder / "rejects.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """`orderwire import` as a process of its own."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.cli",
            "import",
            *arguments,
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "ORDERWIRE_DATABASE_URL": self.url,
                "ORDERWIRE_REDIS_URL": "redis://127.0.0.1:1/0",
                "ORDERWIRE_STATE_DIR": str(self.folder / "state"),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


def counted(summary: Summary, kind: str | None = None) -> dict[str, int]:
    """How many things became what."""
    by_outcome = summary.counts.get(kind or summary.kind.value, {})
    return {outcome.value: tally.things for outcome, tally in by_outcome.items()}


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Whatever a test imports, every invariant holds at its end."""
    database = run.database_for(database_url, concurrency=4)
    await database.open()
    desk = Desk(database, tmp_path, database_url)
    yield desk
    violations = await desk.shop.violations()
    await database.close()
    assert violations == {}
