from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.kernel.clock import FixedClock
from app.kernel.db import Database
from app.kernel.principal import system
from app.kernel.work import CommandArguments, Runner

OPERATOR = system("keys", "keys:write")


class Office:
    """Runs commands as the operator, at a time the test sets."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.runner = Runner(database, self.clock)

    async def run(self, command, principal=OPERATOR, key=None, **given):
        return await self.runner.run(principal, command, CommandArguments(key=key), **given)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)
