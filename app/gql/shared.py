"""Answers to an event that many subscribers get in the same words: made once, for whoever may see the same."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT_MAX = 512
# Events come to all subscribers of a node within moments; whoever is later is told how things stand then.
KEPT_SECONDS = 1.0


class Shared(Generic[T]):
    """What was made lately, and what is being made, by key. A failure is not kept."""

    def __init__(self) -> None:
        self.made = 0
        self.reused = 0
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]], keep: Callable[[T], bool]) -> T:
        """What `make` gives, or what it gave somebody else a moment ago.

        keep  whether others may have it
        """
        now = asyncio.get_running_loop().time()
        found = self._kept.get(key)
        if found is not None and now - found[0] < KEPT_SECONDS:
            self.reused += 1
            return found[1]
        task = self._making.get(key)
        if task is None:
            self.made += 1
            task = self._making[key] = asyncio.ensure_future(self._make(key, make, keep))
            task.add_done_callback(_heard)
        else:
            self.reused += 1
        # Whoever asked first may leave; the others still want it.
        return await asyncio.shield(task)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[T]], keep: Callable[[T], bool]) -> T:
        try:
            made = await make()
        finally:
            del self._making[key]
        now = asyncio.get_running_loop().time()
        if keep(made):
            self._kept[key] = now, made
            self._kept.move_to_end(key)
        # The oldest stand first: what is too old to be handed out need not be held either.
        while self._kept and (len(self._kept) > KEPT_MAX or now - next(iter(self._kept.values()))[0] >= KEPT_SECONDS):
            self._kept.popitem(last=False)
        return made


def _heard(task: asyncio.Task[T]) -> None:
    """Take note of a failure that nobody waited for."""
    if not task.cancelled():
        task.exception()
