import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog

from app.kernel import log
from app.kernel.db import Database
from app.kernel.settings import Settings
from tests.builders import Shop


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["event"] == event]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Everything this process logs from here on, as operators see it."""
    root, before, shortcut = logging.getLogger(), structlog.get_config(), log._shortcut
    handlers, level = list(root.handlers), root.level
    lines = Lines()
    log.configure(Settings(log_level="info"), lines.stream)
    yield lines
    structlog.configure(**before)
    log._shortcut = shortcut
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    database = Database(database_url)
    await database.open()
    shop = Shop(database)
    await shop.open()
    yield shop
    assert await shop.violations() == {}
    await database.close()
