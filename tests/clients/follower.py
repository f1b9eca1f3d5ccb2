"""A client from the world of JavaScript that follows all orders, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.line import Line, line_to
from tests.gql.node import JS


class Follower:
    """What a client has been told.

    changes      in the order in which they came
    connections  how often it has connected
    """

    def __init__(self, client: str, line: Line) -> None:
        self.client = client
        self.line = line
        self.snapshots = 0
        self.changes: list[dict[str, Any]] = []
        self.resets: list[str] = []
        self.problems: list[str] = []
        self.connections = 0

    def versions(self) -> dict[str, list[int]]:
        """Each order's versions, as they came."""
        told: dict[str, list[int]] = defaultdict(list)
        for change in self.changes:
            told[change["orderId"]].append(change["version"])
        return dict(told)

    async def listen(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            item = json.loads(line)
            match item.get("__typename"):
                case "OrderSnapshot":
                    self.snapshots += 1
                case "OrderChange":
                    self.changes.append(item)
                case "Reset":
                    self.resets.append(item["reason"])
                case _:
                    self.connections += "connection" in item
                    self.problems += [item["problem"]] if "problem" in item else []


@asynccontextmanager
async def following(client: str, url: str, key: str) -> AsyncIterator[Follower]:
    """The client, over a line of its own, until the block ends."""
    async with line_to(url) as line:
        process = await asyncio.create_subprocess_exec(
            *("node", "orders.mjs", client, line.url, key),
            cwd=JS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        follower = Follower(client, line)
        listening = asyncio.create_task(follower.listen(process.stdout))
        try:
            yield follower
        finally:
            process.stdin.close()
            await process.wait()
            await listening
