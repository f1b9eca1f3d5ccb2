"""What can be promised, as this process has read it: kept until an event of the log touches it.

For showing only; whatever decides reads PostgreSQL. What is kept is true up to the hub's head: the hub tells of an
event before its head moves there, and what the event may have changed is forgotten in that same step.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from app.kernel.clock import Clock
from app.kernel.db import Database, Reads
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.principal import Principal, system
from app.kernel.texts import spelled
from app.live import topics
from app.live.events import LoggedEvent, Position
from app.live.hub import Hub
from app.live.mailbox import Mailbox
from app.sourcing import promise, queries
from app.sourcing.availability import Availability, Promises
from app.sourcing.promise import Facts

ENTRIES_MAX = 20_000
BYTES_MAX = 48 * 1024 * 1024
READ_TOGETHER_MAX = 250
# What was asked for and is gone is read again after this long, so that a burst of events costs one read.
GATHER_SECONDS = 0.05
# Three heartbeats of a relay that leads: without one nobody knows what was committed since.
UNHEARD_SECONDS_MAX = 1.5
FORMS_MAX = 8
_HEARD = (topics.STOCK, topics.CATALOG, topics.NETWORK)

log = structlog.get_logger("orderwire.sourcing")

# A channel as somebody asks for it: by its code, or by the id that a key is bound to.
Reference = tuple[str | None, UUID | None]


@dataclass(eq=False, slots=True)
class Known:
    """What can be promised of one SKU in a channel, without a destination and for now.

    channel     the facts of the channel that it was read with
    topics      what it depends on
    changes_at  when it changes by the passing of time alone
    upto        the last position of the log that it is true for; None while it is still true
    asked       since it was read
    shown       how it is told, by how it is asked for; `shown_size` bytes of `size`
    """

    answer: Availability
    channel: Mapping[str, Any]
    topics: frozenset[str]
    changes_at: datetime | None
    upto: int | None = None
    asked: bool = False
    size: int = 0
    shown_size: int = 0
    shown: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.channel["id"], self.answer.sku


@dataclass(frozen=True, slots=True)
class Found:
    """What was asked for, in its order.

    now         the instant that it is true for
    changes_at  when the first of it changes by the passing of time alone
    position    of the log, whose changes up to there it all shows; None before this process has heard of the log
    """

    known: Sequence[Known]
    now: datetime
    changes_at: datetime | None
    position: Position | None

    @classmethod
    def of(cls, known: Sequence[Known], now: datetime, position: Position | None) -> Found:
        changes = [each.changes_at for each in known if each.changes_at is not None]
        return cls(known, now, min(changes) if changes else None, position)


@dataclass
class RecentStats:
    """Counters since the start, in SKUs.  reads  statements sent;  renewed  SKUs read again before anybody asked."""

    hits: int = 0
    misses: int = 0
    dropped: int = 0
    renewed: int = 0
    reads: int = 0


class RecentAvailability:
    """The memory of one process, bounded in SKUs and bytes.

    enabled  false: everything is read from PostgreSQL each time
    """

    def __init__(
        self,
        database: Database,
        hub: Hub,
        clock: Clock,
        *,
        enabled: bool = True,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self.stats = RecentStats()
        self.bytes = 0
        self._reads = Reads(database, system("availability"), clock)
        self._hub = hub
        self._clock = clock
        self._enabled = enabled
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._entries: OrderedDict[tuple[str, str], Known] = OrderedDict()
        self._channels: dict[Reference, Mapping[str, Any]] = {}
        self._by_topic: dict[str, set[tuple[str, str]]] = {}
        self._readers: dict[Reference, _Reader] = {}
        self._missed: dict[Reference, set[str]] = {}
        self._renewal: asyncio.TimerHandle | None = None
        self._begun = 0  # how often the log has begun anew
        self._ear = _Ear(self)

    def __len__(self) -> int:
        return len(self._entries)

    async def open(self) -> None:
        """Listen from now on."""
        if self._enabled:
            self._hub.attach(_HEARD, self._ear)

    async def close(self) -> None:
        self._hub.detach(self._ear)
        if self._renewal is not None:
            self._renewal.cancel()
        tasks = [reader.task for reader in self._readers.values() if reader.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_followed(self) -> bool:
        """Whether this process hears of every change soon: else nothing that is kept is told."""
        source = self._hub.source
        return (
            self._enabled
            and self._hub.started.is_set()
            and source.in_step
            and source.leaderless_seconds < UNHEARD_SECONDS_MAX
        )

    async def of(
        self, principal: Principal, channel: str | None, codes: Sequence[str], path: Sequence[str] = ("channel",)
    ) -> Found:
        """What a channel can promise of these SKUs, one for each code in its order.

        channel  its code; None for the one that the caller is bound to
        Raises NotFound, ValidationRefused.
        """
        if channel is None and principal.channel_id is None:
            raise ValidationRefused("Name the channel: your key is not bound to one.", path=list(path))
        reference = (spelled(channel), None) if channel is not None else (None, principal.channel_id)
        find = self._remembered if self.is_followed else self._afresh
        while True:
            found = await find(reference, codes)
            if found is None:
                raise NotFound("channel", channel or "", path=list(path))
            # An instant may have passed meanwhile, at which it changes.
            if found.changes_at is None or found.now < found.changes_at:
                promise.require_usable(principal, found.known[0].channel, channel, path)
                return found

    def show(self, known: Known, form: Hashable, shown: Any, size: int) -> None:
        """Keep how it is shown where it is asked for in this form, as long as it is kept itself."""
        if self._entries.get(known.key) is not known:
            return
        if len(known.shown) >= FORMS_MAX:
            known.shown.clear()
            size -= known.shown_size
        known.shown[form] = shown
        known.shown_size += size
        known.size += size
        self.bytes += size
        self._make_room()

    async def _afresh(self, reference: Reference, codes: Sequence[str]) -> Found | None:
        position = self._hub.head() if self._hub.started.is_set() else None
        found = await self._read(reference, codes)
        if found is None:
            return None
        return Found.of([found[code] for code in codes], self._clock.now(), position)

    async def _remembered(self, reference: Reference, codes: Sequence[str]) -> Found | None:
        begun, now = self._begun, self._clock.now()
        known = self._kept(reference, codes, now)
        if missing := {code for code in codes if code not in known}:
            reader = self._reader(reference)
            for code, batch in [(code, reader.ask(code)) for code in missing]:
                read = await asyncio.shield(batch.read)
                if read is None:
                    return None
                known[code] = read[code]
            if begun != self._begun:
                return await self._remembered(reference, codes)
            now = self._clock.now()
        self.stats.hits += len(codes) - len(missing)
        self.stats.misses += len(missing)
        # Each is true up to the head, or up to the event that has touched it while others were being read.
        head = self._hub.head()
        upto = min([head.pos, *[each.upto for each in known.values() if each.upto is not None]])
        return Found.of([known[code] for code in codes], now, Position(head.epoch, head.shard, upto))

    def _kept(self, reference: Reference, codes: Iterable[str], now: datetime) -> dict[str, Known]:
        channel = self._channels.get(reference)
        if channel is None:
            return {}
        found: dict[str, Known] = {}
        entries, channel_id = self._entries, channel["id"]
        for code in codes:
            key = (channel_id, code)
            if (known := entries.get(key)) is None:
                continue
            if known.changes_at is not None and known.changes_at <= now:
                self._forget(key, self._hub.head().pos)
                continue
            known.asked = True
            entries.move_to_end(key)
            found[code] = known
        return found

    def _reader(self, reference: Reference) -> _Reader:
        """What reads this channel; it begins with what is asked of it now."""
        if (channel := self._channels.get(reference)) is not None:
            reference = (None, UUID(channel["id"]))
        if (reader := self._readers.get(reference)) is None:
            reader = self._readers[reference] = _Reader()
            reader.task = asyncio.ensure_future(self._run(reference, reader))
        return reader

    async def _run(self, reference: Reference, reader: _Reader) -> None:
        """Read what is asked of one channel, a statement at a time, until nothing is."""
        try:
            while (batch := reader.next()) is not None:
                try:
                    batch.read.set_result(await self._read_batch(reference, batch))
                except Exception as problem:
                    batch.read.set_exception(problem)
                reader.reading = None
        finally:
            del self._readers[reference]
            reader.give_up()

    async def _read_batch(self, reference: Reference, batch: _Batch) -> dict[str, Known] | None:
        found = await self._read(reference, batch.codes)
        for known in (found or {}).values():
            heard = [batch.heard[topic] for topic in known.topics if topic in batch.heard]
            if heard:
                known.upto = min(heard) - 1
            else:
                known.asked = known.answer.sku in batch.wanted
                self._keep(reference, known)
        return found

    async def _read(self, reference: Reference, codes: Collection[str]) -> dict[str, Known] | None:
        self.stats.reads += 1
        channel, channel_id = reference
        raw = await queries.raw_facts(self._reads, channel, channel_id, {spelled(code) for code in codes})
        if raw is None:
            return None
        # Facts of a channel that have not changed are held once, with all their texts.
        kept = self._channels.get((None, UUID(raw["channel"]["id"])))
        if kept == raw["channel"]:
            raw["channel"] = kept
        facts, now = Facts.read(raw), self._clock.now()
        promises = Promises(facts, now, None, None)
        return {code: _known(code, promises, facts, now) for code in codes}

    def _keep(self, reference: Reference, known: Known) -> None:
        self._forget(known.key, self._hub.head().pos)
        channel = known.channel
        self._channels[reference] = self._channels[None, UUID(channel["id"])] = channel
        known.size = _size(known)
        self.bytes += known.size
        self._entries[known.key] = known
        for topic in known.topics:
            self._by_topic.setdefault(topic, set()).add(known.key)
        self._make_room()

    def _make_room(self) -> None:
        while self._entries and (len(self._entries) > self._entries_max or self.bytes > self._bytes_max):
            self._forget(next(iter(self._entries)), self._hub.head().pos)

    def _forget(self, key: tuple[str, str], upto: int | None) -> Known | None:
        """upto  the last position that it is true for"""
        if (known := self._entries.pop(key, None)) is None:
            return None
        known.upto = upto
        self.bytes -= known.size
        for topic in known.topics:
            listed = self._by_topic[topic]
            listed.discard(key)
            if not listed:
                del self._by_topic[topic]
        return known

    def heard(self, event: LoggedEvent) -> None:
        """Forget what the event may have changed."""
        touched = list(event.topics)
        if event.aggregate == "sku":
            touched.append(_code_topic(event.payload["code"]))
        for reader in self._readers.values():
            reader.note(touched, event.pos)
        for topic in touched:
            for key in tuple(self._by_topic.get(topic, ())):
                self._drop(key, event.pos - 1)

    def begin_anew(self) -> None:
        """Forget everything: what has happened is not known, or the log numbers anew."""
        self._begun += 1
        self._channels.clear()
        for reader in self._readers.values():
            reader.note([topics.NETWORK], 0)
        for key in list(self._entries):
            self._drop(key, 0)

    def _drop(self, key: tuple[str, str], upto: int) -> None:
        known = self._forget(key, upto)
        assert known is not None
        self.stats.dropped += 1
        if known.asked:
            self._missed.setdefault((None, UUID(key[0])), set()).add(key[1])
            if self._renewal is None:
                self._renewal = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._renew)

    def _renew(self) -> None:
        """Read again what was asked for before it was dropped, many SKUs in one statement."""
        self._renewal = None
        missed, self._missed = self._missed, {}
        if not self.is_followed:
            return
        for reference, codes in missed.items():
            gone = [code for code in codes if (str(reference[1]), code) not in self._entries]
            if gone:
                self.stats.renewed += len(gone)
                self._reader(reference).renew(gone)


class _Ear(Mailbox):
    """Takes events in at once: there is nothing to wait for."""

    def __init__(self, recent: RecentAvailability) -> None:
        super().__init__()
        self._recent = recent

    def __len__(self) -> int:
        return 0

    def _take_in(self, event: LoggedEvent) -> None:
        try:
            self._recent.heard(event)
        except Exception:
            log.exception("fault: what was remembered of availability is read again")
            self._recent.begin_anew()

    def _drop(self) -> None:
        self._recent.begin_anew()

    def renumber(self) -> None:
        super().renumber()
        self.renumbered = False

    def overflow(self) -> None:
        super().overflow()
        self.overflowed = False


class _Batch:
    """SKUs that are read together.

    wanted  those that somebody waits for; the others were asked for before they were dropped
    heard   topics of events since the statement was sent, each with the position of its first
    """

    def __init__(self) -> None:
        self.codes: dict[str, None] = {}
        self.wanted: set[str] = set()
        self.heard: dict[str, int] = {}
        self.read: asyncio.Future[dict[str, Known] | None] = asyncio.get_running_loop().create_future()
        self.read.add_done_callback(_noticed)


class _Reader:
    """What is to be read of one channel. The first read begins at once; what is asked for meanwhile makes the next."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.reading: _Batch | None = None
        self._waiting: list[_Batch] = []
        self._renewed: dict[str, None] = {}

    def ask(self, code: str) -> _Batch:
        """The read that brings this SKU: one that waits, or one under way since which nothing has happened."""
        if self.reading is not None and code in self.reading.codes and not self.reading.heard:
            self.reading.wanted.add(code)
            return self.reading
        for batch in self._waiting:
            if code in batch.codes:
                return batch
        if not self._waiting or len(self._waiting[-1].codes) >= READ_TOGETHER_MAX:
            self._waiting.append(_Batch())
        batch = self._waiting[-1]
        batch.codes[code] = None
        batch.wanted.add(code)
        return batch

    def renew(self, codes: Iterable[str]) -> None:
        self._renewed.update(dict.fromkeys(codes))

    def note(self, touched: Iterable[str], pos: int) -> None:
        if self.reading is not None:
            for topic in touched:
                self.reading.heard.setdefault(topic, pos)

    def next(self) -> _Batch | None:
        """What is read now: what somebody waits for, filled up with what is renewed."""
        if not self._waiting and not self._renewed:
            return None
        batch = self.reading = self._waiting.pop(0) if self._waiting else _Batch()
        while self._renewed and len(batch.codes) < READ_TOGETHER_MAX:
            batch.codes[self._renewed.popitem()[0]] = None
        return batch

    def give_up(self) -> None:
        for batch in (*self._waiting, *([self.reading] if self.reading is not None else ())):
            batch.read.cancel()


def _noticed(read: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody waited for."""
    if not read.cancelled():
        read.exception()


def _known(code: str, promises: Promises, facts: Facts, now: datetime) -> Known:
    sku = facts.skus.get(spelled(code))
    if sku is None:
        concerned: list[Mapping[str, Any]] = []
        heard = {topics.NETWORK, _code_topic(spelled(code))}
    else:
        concerned = [sku, *(facts.skus[part["code"]] for part in sku["components"])]
        heard = {topics.NETWORK, *(topics.sku(UUID(each["id"])) for each in concerned)}
    return Known(promises.of(code), facts.channel, frozenset(heard), promise.next_change(facts, concerned, now))


def _code_topic(code: str) -> str:
    """Where a SKU that does not exist yet would be heard of; a topic of ours, not of the log."""
    return f"code:{code}"


def _size(known: Known) -> int:
    """Roughly the bytes that it holds in memory."""
    return 1200 + 160 * len(known.topics) + 130 * len(known.answer.by_location) + 110 * len(known.answer.atp)
