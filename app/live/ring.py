"""The node's memory of the latest events: serves most replays without asking PostgreSQL."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable

from app.live.events import LoggedEvent


class Ring:
    """The last events of one shard, without a hole, bounded in number and bytes, indexed by topic."""

    def __init__(self, *, events_max: int = 50_000, bytes_max: int = 64 * 1024 * 1024) -> None:
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._events: deque[LoggedEvent] = deque()
        self._by_pos: dict[int, LoggedEvent] = {}
        self._by_topic: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._events)

    def clear(self) -> None:
        self._events.clear()
        self._by_pos.clear()
        self._by_topic.clear()
        self._bytes = 0

    def append(self, event: LoggedEvent) -> None:
        """Add the event that follows the last one."""
        self._events.append(event)
        self._by_pos[event.pos] = event
        self._bytes += event.size
        for topic in event.topics:
            positions = self._by_topic.setdefault(topic, [])
            if positions and positions[-1] == event.pos:
                continue  # named twice by the event
            positions.append(event.pos)
            # Forgotten positions at the front go whenever the length reaches a power of two: no scan, no growth.
            if len(positions) > 8 and len(positions) & (len(positions) - 1) == 0:
                del positions[: bisect_right(positions, self._events[0].pos - 1)]
        while len(self._events) > self._events_max or self._bytes > self._bytes_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        event = self._events.popleft()
        del self._by_pos[event.pos]
        self._bytes -= event.size
        for topic in event.topics:
            positions = self._by_topic.get(topic)
            if positions is not None and positions[-1] <= event.pos:
                del self._by_topic[topic]

    def covers(self, after: int) -> bool:
        """Whether every event after this position, up to the hub's, is here."""
        return bool(self._events) and after >= self._events[0].pos - 1

    def page(self, topics: Iterable[str], *, after: int, upto: int, limit: int) -> list[LoggedEvent]:
        """Events of any of the topics with after < pos <= upto, in order, each once, at most `limit`."""
        found: set[int] = set()
        for topic in topics:
            positions = self._by_topic.get(topic, ())
            start = bisect_right(positions, after)
            stop = min(bisect_right(positions, upto), start + limit)
            found.update(positions[start:stop])
        return [self._by_pos[pos] for pos in sorted(found)[:limit]]
