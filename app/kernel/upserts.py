"""Keeping aggregates in step with another system, by external code: create what is new, change what differs.

A field that is not given keeps its value. What is equal already is left alone: no new version, no event. A batch is
locked in the order of its codes, so that two batches never wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kernel.errors import Refusal, ValidationRefused, VersionConflict
from app.kernel.filters import same_as_any
from app.kernel.ids import uuid7
from app.kernel.rows import insert_new_rows, update_rows
from app.kernel.work import Work

BATCH_MAX = 250

Facts = Mapping[str, Any]


REFUSALS_MAX = 50


class Gathering:
    """Collects what is wrong with several parts of an input, so that the caller hears of it all at once."""

    def __init__(self) -> None:
        self._refusals: list[Refusal] = []

    @contextmanager
    def part(self) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            self._refusals += [refusal, *refusal.also]

    def settle(self) -> None:
        """Raises the refusals of all parts together."""
        if self._refusals:
            raise Refusal.together(self._refusals[:REFUSALS_MAX])


class Outcome(StrEnum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One cleaned input.

    given     the fields to set, by their names in the table or among the children
    path      where the item stands in the caller's arguments; refusals point into it
    expected  refuse when the stored version is another; 0 for "must be new"
    """

    code: str
    given: Facts
    path: tuple[str, ...]
    expected: int | None = None

    def at(self, *steps: str) -> list[str]:
        return [*self.path, *steps]


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What the tables of an aggregate look like to an upsert.

    defaults  every column and child a caller may set, with its value for a new one; `required` ones have none
    children  loads the stored children of rows: {id: {child: value}}, in the shape that items give them
    derive    the columns that follow from the facts, such as the search document
    check     what must hold among the facts of one aggregate; raises ValidationRefused
    """

    kind: str
    table: Table
    required: tuple[str, ...]
    defaults: Facts
    children: Callable[[Work, Sequence[UUID]], Awaitable[Mapping[UUID, Facts]]] | None = None
    derive: Callable[[Facts], Facts] = lambda facts: {}
    check: Callable[[Facts, Item], None] = lambda facts, item: None

    @property
    def columns(self) -> list[str]:
        return [name for name in ("code", *self.required, *self.defaults) if name in self.table.c]


@dataclass(kw_only=True)
class Change:
    """What became of one item. `version` is the one it has now."""

    item: Item
    id: UUID
    version: int
    outcome: Outcome
    facts: Facts
    changed: frozenset[str] = field(default_factory=frozenset)

    def rewrites(self, child: str) -> bool:
        """Whether the stored rows of a child must be written anew: not where a new aggregate has none."""
        return child in self.changed and (self.outcome is Outcome.UPDATED or bool(self.facts[child]))

    def result(self) -> dict[str, Any]:
        return {"id": str(self.id), "version": self.version, "outcome": self.outcome.value}


async def upsert(work: Work, aggregate: Aggregate, items: Sequence[Item]) -> list[Change]:
    """Create or change the rows of the items; their children are the caller's to write.

    Returns one change for each item, in their order.  Raises VersionConflict, ValidationRefused.
    """
    _refuse_doubles(aggregate.kind, items)
    ordered = sorted(items, key=lambda item: item.code)
    stored = await _lock(work.db, aggregate, [item.code for item in ordered])
    created = await _create(work, aggregate, [item for item in ordered if item.code not in stored])
    if late := [item.code for item in ordered if item.code not in stored and item.code not in created]:
        stored |= await _lock(work.db, aggregate, late)
    children: Mapping[UUID, Facts] = {}
    if aggregate.children is not None and stored:
        children = await aggregate.children(work, [row["id"] for row in stored.values()])

    changes = {
        item.code: created.get(item.code)
        or _compare(aggregate, item, stored[item.code] | dict(children.get(stored[item.code]["id"], {})))
        for item in ordered
    }
    await _update(work, aggregate, [each for each in changes.values() if each.outcome is Outcome.UPDATED])
    return [changes[item.code] for item in items]


def read_batch(given: Sequence[Facts], clean: Callable[[Facts, tuple[str, ...]], Item], wrapper: str) -> list[Item]:
    """The cleaned items of a batch.

    wrapper  the field of a batch's entry that holds the item's own input
    Raises ValidationRefused, for all items at once.
    """
    if len(given) > BATCH_MAX:
        raise ValidationRefused(
            f"A batch has up to {BATCH_MAX} items, this one has {len(given)}: split it.", path=["input"]
        )
    gathering = Gathering()
    items: list[Item] = []
    for place, each in enumerate(given):
        with gathering.part():
            items.append(clean(each, ("input", str(place), wrapper)))
    gathering.settle()
    return items


def _refuse_doubles(kind: str, items: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.code in seen:
            raise ValidationRefused(
                f"The {kind} {item.code!r} stands twice in this batch: give each code once.", path=item.at("code")
            )
        seen.add(item.code)


async def _lock(db: AsyncConnection, aggregate: Aggregate, codes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The stored rows by code, locked until the end of the transaction."""
    table = aggregate.table
    statement = (
        select(table.c.id, table.c.version, *(table.c[name] for name in aggregate.columns))
        .where(same_as_any(table.c.code, codes))
        .order_by(table.c.code)
        .with_for_update()
    )
    return {row["code"]: dict(row) for row in (await db.execute(statement)).mappings()}


async def _create(work: Work, aggregate: Aggregate, items: Sequence[Item]) -> dict[str, Change]:
    """Insert the items that nobody else inserts at the same moment."""
    if not items:
        return {}
    gathering = Gathering()
    for item in items:
        with gathering.part():
            _complete(aggregate, item)
    gathering.settle()
    changes = {
        item.code: Change(
            item=item,
            id=uuid7(),
            version=1,
            outcome=Outcome.CREATED,
            facts={**aggregate.defaults, **item.given, "code": item.code},
            changed=frozenset({*aggregate.defaults, *item.given}),
        )
        for item in items
    }
    stamps = {"created_at": work.now, "updated_at": work.now, "version": 1}
    rows = [
        {name: each.facts[name] for name in aggregate.columns}
        | dict(aggregate.derive(each.facts))
        | {"id": each.id}
        | stamps
        for each in changes.values()
    ]
    inserted = {
        row.code for row in await insert_new_rows(work.db, aggregate.table, rows, key=("code",), returning=("code",))
    }
    return {code: change for code, change in changes.items() if code in inserted}


def _complete(aggregate: Aggregate, item: Item) -> None:
    """Whether the item can be created from what is given.  Raises VersionConflict, ValidationRefused."""
    _expect(aggregate.kind, item, 0)
    gathering = Gathering()
    for name in aggregate.required:
        with gathering.part():
            if name not in item.given:
                raise ValidationRefused(
                    f"There is no {aggregate.kind} {item.code!r} yet, and a new one needs `{camel(name)}`: give it.",
                    path=item.at(camel(name)),
                )
    gathering.settle()
    aggregate.check({**aggregate.defaults, **item.given, "code": item.code}, item)


def _compare(aggregate: Aggregate, item: Item, before: Facts) -> Change:
    _expect(aggregate.kind, item, before["version"])
    changed = frozenset(name for name, value in item.given.items() if before[name] != value)
    facts = {**before, **item.given}
    if changed:
        aggregate.check(facts, item)
    return Change(
        item=item,
        id=before["id"],
        version=before["version"] + bool(changed),
        outcome=Outcome.UPDATED if changed else Outcome.UNCHANGED,
        facts=facts,
        changed=changed,
    )


async def _update(work: Work, aggregate: Aggregate, changes: Sequence[Change]) -> None:
    rows = [
        {name: each.facts[name] for name in aggregate.columns}
        | dict(aggregate.derive(each.facts))
        | {"version": each.version, "updated_at": work.now, "id": each.id}
        for each in changes
    ]
    await update_rows(work.db, aggregate.table, rows)


def _expect(kind: str, item: Item, actual: int) -> None:
    if item.expected is not None and item.expected != actual:
        raise VersionConflict(kind, item.expected, actual, path=[*item.path[:-1], "expectedVersion"])


def camel(name: str) -> str:
    """The name of a field as clients spell it."""
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)
