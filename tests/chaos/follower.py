"""A subscriber on a shaky line: connects anywhere, is cut off at random, and comes back with its last cursor."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
import websockets

QUERY = """
subscription Follow($ids: [ID!], $where: OrderWhere, $after: Cursor) {
  orderEvents(ids: $ids, where: $where, after: $after) {
    __typename
    ... on OrderSnapshot { cursor count orders { id version } }
    ... on OrderChange { cursor version orderId matches }
    ... on Reset { cursor reason }
  }
}
"""


class Follower:
    """Remembers what it was told, in order.

    versions    of each order, by id, as they came; a snapshot's version starts the list
    left        those versions with which an order stopped matching `where`, by its id
    reconnects  how often it came back and was let in; attempts that nobody acknowledged are none
    """

    def __init__(self, urls: Sequence[str], key: str, seed: int, variables: dict[str, Any] | None = None) -> None:
        self._urls = urls
        self._key = key
        self._random = random.Random(seed)
        self._variables = variables or {}
        self.cursor: str | None = None
        self.versions: dict[str, list[int]] = defaultdict(list)
        self.left: dict[str, list[int]] = defaultdict(list)
        self.resets: list[str] = []
        self.problems: list[Any] = []
        self._connections = 0
        self.changes = 0

    @property
    def reconnects(self) -> int:
        return max(0, self._connections - 1)

    async def run(self, seconds_per_connection: float) -> None:
        """Follow until cancelled."""
        while True:
            with suppress(OSError, websockets.WebSocketException, TimeoutError):
                await self._follow(self._random.uniform(0.2, 2 * seconds_per_connection))
            await asyncio.sleep(self._random.uniform(0, 0.2))

    async def _follow(self, seconds: float) -> None:
        url = self._random.choice(self._urls).replace("http", "ws", 1) + "/graphql"
        async with websockets.connect(url, subprotocols=["graphql-transport-ws"], open_timeout=5) as socket:
            await socket.send(_frame(type="connection_init", payload={"authorization": f"Bearer {self._key}"}))
            assert orjson.loads(await socket.recv())["type"] == "connection_ack"
            self._connections += 1
            variables = {**self._variables, "after": self.cursor}
            await socket.send(_frame(id="1", type="subscribe", payload={"query": QUERY, "variables": variables}))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for message in socket:
                        self._take(orjson.loads(message))
            socket.transport.abort()  # as a train enters a tunnel: nobody says goodbye

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            return
        if message["type"] != "next" or "errors" in message["payload"]:
            self.problems.append(message)
            return
        item = message["payload"]["data"]["orderEvents"]
        match item["__typename"]:
            case "OrderSnapshot":
                for order in item["orders"]:
                    self.versions[order["id"]] = [order["version"]]
            case "OrderChange":
                self.changes += 1
                self.versions[item["orderId"]].append(item["version"])
                if not item["matches"]:
                    self.left[item["orderId"]].append(item["version"])
            case "Reset":
                self.resets.append(item["reason"])
        self.cursor = item["cursor"]


def _frame(**message: Any) -> str:
    return orjson.dumps(message).decode()
