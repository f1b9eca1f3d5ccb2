"""One import under way: its file, its summary, the rows it keeps back, and the commands it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.imports.files import File
from app.imports.items import Entry, Item, Kept, Outcome
from app.imports.summary import Rejects, Summary
from app.kernel.clock import SystemClock
from app.kernel.db import Database, Reads
from app.kernel.errors import Refusal
from app.kernel.principal import Principal, system
from app.kernel.work import CommandArguments, CommandFunction, Result, Runner, Work, scope_of
from app.kernel.work import command as declared

BATCH = 250
REASONS_SHOWN = 3
IMPORTER = system(
    "import",
    "catalog:read",
    "catalog:write",
    "customers:read",
    "customers:write",
    "network:read",
    "network:write",
    "orders:backdate",
    "orders:place",
    "orders:price",
    "orders:read",
    "stock:read",
    "stock:write",
)


@dataclass(kw_only=True)
class Load:
    """stop     set when somebody wants an end: what has begun is finished, nothing more is begun
    moved    called after every step
    assumed  commands that a dry run does before each that it tries, because the import itself would have done them
    """

    file: File
    summary: Summary
    rejects: Rejects
    database: Database
    principal: Principal = IMPORTER
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    moved: Callable[[], None] = lambda: None
    assumed: list[tuple[CommandFunction, Mapping[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.runner = Runner(self.database, self.clock)
        self.reads = Reads(self.database, self.principal, self.clock)

    async def run(self, command: CommandFunction, key: str | None, **given: object) -> Result:
        """Run a command, or only try it in a dry run."""
        if not self.dry_run:
            return await self.runner.run(self.principal, command, CommandArguments(key), **given)

        @declared(scope_of(command))
        async def tried(work: Work, **given: object) -> Result:
            for earlier, its in self.assumed:
                await earlier(work, **its)
            return await command(work, **given)

        async with self.runner.rehearse(self.principal, tried, CommandArguments(None), **given) as (result, _):
            return result

    def count(self, item: Item, outcome: Outcome) -> None:
        self.summary.count(item, outcome)
        self.moved()

    def keep(self, kept: Kept) -> None:
        """Leave rows out, and say so."""
        self.summary.count_kept(kept)
        self.rejects.write(self.file.header, kept)
        self.moved()

    def reject(self, item: Item, refusal: Refusal) -> None:
        self.keep(Kept(item.rows, reason_of(refusal)))

    def items(self, entries: Iterator[Entry]) -> Iterator[Item]:
        """The entries that are to be loaded, until somebody wants an end."""
        for entry in entries:
            if self.stop.is_set():
                return
            if isinstance(entry, Kept):
                self.keep(entry)
            else:
                yield entry


def reason_of(refusal: Refusal) -> str:
    """All that is wrong, in one cell."""
    messages = list(dict.fromkeys(each.message for each in (refusal, *refusal.also)))
    more = f" (and {len(messages) - REASONS_SHOWN} more)" if len(messages) > REASONS_SHOWN else ""
    return " ".join(messages[:REASONS_SHOWN]) + more


def batches(items: Iterator[Item], key: Callable[[Item], Hashable], most: int = BATCH) -> Iterator[list[Item]]:
    """Items in the file's order, none of them twice in one batch."""
    batch: list[Item] = []
    seen: set[Hashable] = set()
    for item in items:
        if len(batch) >= most or key(item) in seen:
            yield batch
            batch, seen = [], set()
        batch.append(item)
        seen.add(key(item))
    if batch:
        yield batch


async def settle(
    load: Load, items: Sequence[Item], attempt: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]]
) -> None:
    """Load a batch that goes in as a whole: what is refused by name is rejected, the rest is tried again without it."""
    left = list(items)
    while left:
        try:
            outcomes = await attempt(left)
        except Refusal as refusal:
            refused = _by_place(refusal)
            if not refused and len(left) > 1:
                for half in (left[: len(left) // 2], left[len(left) // 2 :]):
                    await settle(load, half, attempt)
                return
            refused = refused or {0: [refusal]}
            for place in sorted(refused):
                load.reject(left[place], Refusal.together(refused[place]))
            left = [item for place, item in enumerate(left) if place not in refused]
        else:
            for item, outcome in zip(left, outcomes, strict=True):
                load.count(item, outcome)
            return


def _by_place(refusal: Refusal) -> dict[int, list[Refusal]]:
    """What is wrong with each item of a batch: the first number in a refusal's path is the item's place."""
    found: dict[int, list[Refusal]] = {}
    for each in (refusal, *refusal.also):
        place = next((int(step) for step in each.path or () if step.isdigit()), None)
        if place is not None:
            found.setdefault(place, []).append(each)
    return found
