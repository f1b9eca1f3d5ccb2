"""`make demo`: a small shop, a key for each kind of caller, and customers who never stop ordering."""

from __future__ import annotations

from app.demo import callers, shop, traffic
from app.kernel.clock import SystemClock
from app.kernel.db import Database
from app.kernel.migrate import connect, revision_of
from app.kernel.operator import OperatorProblem
from app.kernel.settings import Settings
from app.kernel.work import Runner
from app.live.nudge import Nudger


async def refuse_a_database_of_others(database_url: str) -> None:
    """Nobody wants demo orders among real ones.

    Raises OperatorProblem when the database has channels and the demo's is not among them, or cannot be reached.
    """
    connection = await connect(database_url)
    try:
        if (await revision_of(connection)).current is None:
            return
        channels, ours = await connection.fetchrow(
            "SELECT count(*), count(*) FILTER (WHERE code = $1 AND name = $2) FROM channel", shop.CHANNEL, shop.NAME
        )
    finally:
        await connection.close()
    if channels and not ours:
        raise OperatorProblem(
            "--demo places an order a second, and the database that ORDERWIRE_DATABASE_URL names has channels that "
            "are not the demo's: unset it or name an empty database, or leave out --demo."
        )


async def run(settings: Settings, address: str) -> None:
    """Fill an empty database, tell how to look around, and place orders until cancelled."""
    assert settings.database_url is not None, "the stores are found or started before this"
    assert settings.redis_url is not None, "the stores are found or started before this"
    database = Database(settings.database_url, read_pool=2, call_pool=2)
    nudger = Nudger(settings.redis_url)
    await database.open()
    await nudger.open()
    try:
        runner = Runner(database, SystemClock(), nudger.nudge)
        await shop.furnish(runner)
        await callers.introduce(runner, settings, address)
        await traffic.flow(runner)
    finally:
        await nudger.close()
        await database.close()
