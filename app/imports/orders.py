"""Orders: placed one by one through the command every client uses, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from uuid import UUID

from app.imports.items import Entry, Item, Kept, Outcome
from app.imports.loading import Load
from app.imports.stock import take
from app.kernel.errors import IdempotencyKeyReused, Refusal
from app.kernel.operator import OperatorProblem
from app.network.queries import channels_by_code
from app.orders import commands as orders
from app.orders.queries import sizes_by_external_ref
from app.orders.refusals import ExternalRefTaken
from app.orders.requests import OrderRequest

LOOKED_UP_AT_ONCE = 32
CONCURRENCY = 4

Size = tuple[int, int]
"""(lines, units)"""

Reference = tuple[str, str]
"""(channel, external reference)"""


class Queue:
    """Items on their way to the workers.

    under_way  references of orders that are being placed, for which a look-up would come too early
    """

    def __init__(self) -> None:
        self.items: asyncio.Queue[Item | None] = asyncio.Queue(maxsize=LOOKED_UP_AT_ONCE)
        self.under_way: set[Reference] = set()


async def load_orders(load: Load, entries: Iterator[Entry], concurrency: int = CONCURRENCY) -> None:
    """Place the entries' orders; those whose external reference is there already are left alone."""
    queue = Queue()
    problem: OperatorProblem | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_work(load, queue))
            try:
                await _feed(load, entries, queue)
            except OperatorProblem as bad:  # what was read before the bad place in the file is placed
                problem = bad
            for _ in range(concurrency):
                await queue.items.put(None)
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    if problem is not None:
        raise problem


async def _feed(load: Load, entries: Iterator[Entry], queue: Queue) -> None:
    items = load.items(entries)
    channels: dict[str, UUID | None] = {}
    while chunk := list(islice(items, LOOKED_UP_AT_ONCE)):
        too_early = set(queue.under_way)  # to be looked up; grows with what is placed from here on
        existing = await _existing(load, channels, chunk)
        for item in chunk:
            if (ref := _reference(item)) is not None:
                if ref in too_early:  # the same order stands in the file again, a few rows after the first
                    await _placed(queue, ref)
                    existing |= await _existing(load, channels, [item])
                if (there := existing.get(ref)) is not None:
                    _compare(load, item, there)
                    continue
            if load.stop.is_set():
                return
            if ref is not None:
                queue.under_way.add(ref)
                too_early.add(ref)
            await queue.items.put(item)


async def _placed(queue: Queue, ref: Reference) -> None:
    while ref in queue.under_way:
        await asyncio.sleep(0.001)


async def _work(load: Load, queue: Queue) -> None:
    while (item := await queue.items.get()) is not None:
        if isinstance(item.what, OrderRequest):
            await place(load, item, item.what)
            queue.under_way.discard(_reference_of(item.what))
        else:
            await take(load, item)


def _reference(item: Item) -> Reference | None:
    return _reference_of(item.what) if isinstance(item.what, OrderRequest) else None


def _reference_of(order: OrderRequest) -> Reference:
    return order.channel, order.external_ref or ""


async def place(load: Load, item: Item, order: OrderRequest) -> None:
    """Place one order. Its key follows from its reference, so that a repeat after a cut connection is no second one."""
    key = f"order:{order.channel}:{order.external_ref}"
    try:
        await load.run(orders.place, key, order=order)
    except (ExternalRefTaken, IdempotencyKeyReused):
        # Placed since it was looked up: earlier in this file, or by somebody else.
        existing = await _existing(load, {}, [item])
        _compare(load, item, existing.get(_reference_of(order), (0, 0)))
    except Refusal as refusal:
        load.reject(item, refusal)
    else:
        load.count(item, Outcome.CREATED)


def _compare(load: Load, item: Item, there: Size) -> None:
    """Count an order as existing where it is the same one as far as its lines go; reject it otherwise."""
    order = item.what
    assert isinstance(order, OrderRequest)
    here = len(order.lines), item.units
    if here == there:
        load.count(item, Outcome.EXISTING)
    else:
        reason = (
            f"Order {order.external_ref} exists with {there[0]} lines and {there[1]} units, and here it has {here[0]}"
            f" lines and {here[1]} units: lines of an order must lie together, and an import never changes an order."
        )
        load.keep(Kept(item.rows, reason))


async def _existing(load: Load, channels: dict[str, UUID | None], items: Sequence[Item]) -> dict[Reference, Size]:
    """The orders that are there already, by channel and external reference.

    channels  ids found so far, by code
    """
    refs: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item.what, OrderRequest) and item.what.external_ref is not None:
            refs.setdefault(item.what.channel, []).append(item.what.external_ref)
    if new := [code for code in refs if code not in channels]:
        found = await channels_by_code(load.reads, new)
        channels.update({code: found[code].id if code in found else None for code in new})
    sizes: dict[Reference, Size] = {}
    for code, wanted in refs.items():
        if (channel_id := channels[code]) is not None:
            there = await sizes_by_external_ref(load.reads, channel_id, wanted)
            sizes.update({(code, ref): size for ref, size in there.items()})
    return sizes
