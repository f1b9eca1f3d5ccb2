"""No GraphQL: starlette answers with a column of JSON that PostgreSQL built. The limit of what Python can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SQL = Path(__file__).parent / "sql"
ORDER = (
    f"SELECT json_build_object('data', json_build_object('order', o))::text FROM ({(SQL / 'order.sql').read_text()}) o"
)
# By the operation's name: the statement, and the variables it takes.
STATEMENTS = {
    "Availability": ((SQL / "availability_json.sql").read_text(), ("skus", "channel")),
    "StockLevels": ((SQL / "stock_levels_json.sql").read_text(), ("skus", "first")),
    "OrderByNumber": (ORDER, ("number",)),
    "Orders": ((SQL / "orders_json.sql").read_text(), ()),
}


async def answer(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    sql, names = STATEMENTS[asked["operationName"]]
    variables = asked["variables"]
    body = await request.app.state.pool.fetchval(sql, *(variables[name] for name in names))
    return Response(body, media_type="application/json")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    # Where the database is, the environment says.
    async with asyncpg.create_pool(min_size=8, max_size=8, reset=_keep) as app.state.pool:
        yield


async def _keep(_: asyncpg.Connection) -> None:
    """Nothing to reset: it would cost a round trip."""


app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan)
