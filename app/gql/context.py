"""What a resolver finds in `info.context`: who asks, how to read, how to run a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from app.kernel.db import Reads
from app.kernel.principal import Principal
from app.kernel.work import CommandArguments, CommandFunction, Result, Runner

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BatchFunction = Callable[[Reads, Sequence[K]], Awaitable[Mapping[K, V]]]


class Together:
    """What events that are told one after the other refer to: read once for all of them, when the first asks for it.

    keys  by batch function, every key that one of the events may load
    """

    def __init__(self, keys: Mapping[BatchFunction[Any, Any], Collection[Hashable]]) -> None:
        self._keys = {batch: frozenset(each) for batch, each in keys.items()}
        self._found: dict[BatchFunction[Any, Any], Mapping[Any, Any]] = {}
        self._turn = asyncio.Lock()

    def holds(self, batch: BatchFunction[Any, Any], key: Hashable) -> bool:
        return key in self._keys.get(batch, ())

    async def load(self, reads: Reads, batch: BatchFunction[K, V], key: K) -> V | None:
        async with self._turn:
            if batch not in self._found:
                self._found[batch] = await batch(reads, list(self._keys[batch]))  # type: ignore[arg-type]
        value: V | None = self._found[batch].get(key)
        return value


@dataclass(kw_only=True)
class Context:
    """One operation, or one event of a subscription. Loaders live as long as it does.

    services    what the process shares: hub, signer, settings …; areas agree with wiring on the attributes
    request_id  the reference under which a fault of this operation is logged
    look_again  the principal as of now, past every cache; None when its credential is no longer good
    together    for an event of several: what they refer to
    stand_in    given what a root asks, what its resolver is to return: for answers that are made from memory
    settles     for a subscription: its source is to say when there is nothing left to tell (`gql.groups.Still`)
    """

    principal: Principal
    reads: Reads
    runner: Runner
    services: Any
    request_id: str
    look_again: Callable[[], Awaitable[Principal | None]] | None = None
    together: Together | None = None
    stand_in: Callable[[Any], Any] | None = None
    settles: bool = False
    _loaders: dict[Any, DataLoader[Any, Any]] = field(default_factory=dict, repr=False)
    _rehearsal: AsyncExitStack | None = field(default=None, repr=False)

    async def load(self, batch: BatchFunction[K, V], key: K) -> V | None:
        """The value of the key, read together with all keys that are asked for at the same time.

        batch  `async (reads, keys) -> {key: value}`; a key it leaves out loads as None
        """
        if self.together is not None and self.together.holds(batch, key):
            return await self.together.load(self.reads, batch, key)
        if (loader := self._loaders.get(batch)) is None:

            async def load(keys: list[K]) -> list[V | None]:
                found = await batch(self.reads, keys)
                return [found.get(each) for each in keys]

            loader = self._loaders[batch] = DataLoader(load_fn=load)
        # A field that is given up, because what it was for has become null, must not take the row from other fields.
        value: V | None = await asyncio.shield(loader.load(key))
        return value

    async def run(self, command: CommandFunction, arguments: CommandArguments, **given: Any) -> Result:
        """Run a command as the caller. What is loaded afterwards shows its effects.

        A dry run stays open until the operation has been answered, so that the payload shows what would be; then all
        of it is undone. That is why an operation with a dry run holds one mutation only.
        """
        if arguments.dry_run:
            rehearsal = self.runner.rehearse(self.principal, command, arguments, **given)
            self._rehearsal = self._rehearsal or AsyncExitStack()
            result, self.reads = await self._rehearsal.enter_async_context(rehearsal)
        else:
            result = await self.runner.run(self.principal, command, arguments, **given)
        self._loaders.clear()
        return result

    async def renew(self) -> bool:
        """Whether the caller still has every right it had. A stream that heard of a change asks this.

        With it, a context is the `Viewer` that `live.stream.follow` wants.
        """
        if self.look_again is None:
            return True
        fresh = await self.look_again()
        return fresh is not None and fresh.scopes >= self.principal.scopes

    async def close(self) -> None:
        """Undo a dry run. Called once, after the answer has been built."""
        if self._rehearsal is not None:
            await self._rehearsal.aclose()
