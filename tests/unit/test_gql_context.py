"""What a resolver finds in its context."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.gql.context import Context
from app.kernel.principal import ANONYMOUS


async def test_who_gives_up_waiting_for_a_row_takes_it_from_nobody_else() -> None:
    """As when a refusal elsewhere makes null what one of two fields was for."""
    nothing: Any = None
    context = Context(principal=ANONYMOUS, reads=nothing, runner=nothing, services=nothing, request_id="x")
    may_answer = asyncio.Event()

    async def batch(_: Any, keys: Sequence[str]) -> dict[str, str]:
        await may_answer.wait()
        return {key: key.upper() for key in keys}

    gives_up, waits = (asyncio.create_task(context.load(batch, "row")) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.sleep(0)
    may_answer.set()

    assert await waits == "ROW"
    assert gives_up.cancelled()
