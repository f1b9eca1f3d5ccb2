"""What the graphs show of one part of a process or the other.

Of the hub, the streams and the relay it is read when somebody looks, at no other cost; what timers do they count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sized
from functools import partial

from app.engine import Reason
from app.gql.answered import Answered
from app.gql.direct import Because
from app.gql.faults import Met
from app.gql.groups import Groups
from app.kernel.combiner import Combiner, Tally
from app.kernel.telemetry import Read, Telemetry
from app.live.hub import Hub
from app.live.relay import RelayStats
from app.sourcing.recent import RecentAvailability


def of_hub(telemetry: Telemetry, hub: Hub, streams: Sized) -> None:
    """The hub of this process, and the sockets and event streams its clients have open."""
    stats, source = hub.stats, hub.source.stats
    gauge, total = telemetry.gauge, telemetry.total
    total("faults", "Errors of ours that clients were told of with a reference, which the log has.", lambda: Met.faults)
    gauge("streams_open", "WebSockets and event streams open.", lambda: len(streams))
    gauge(
        "hub_mailboxes",
        "Subscriptions told alone, groups, and what this process itself listens for.",
        lambda: hub.mailboxes,
    )
    gauge("hub_healthy", "1 while events reach this process, by push or by polling.", lambda: hub.healthy)
    gauge("hub_pushing", "1 while Redis brings events, 0 while PostgreSQL is polled.", lambda: source.pushing)
    gauge(
        "hub_leaderless_seconds",
        "Since a relay that leads was last heard, by way of Redis; +Inf before the first.",
        lambda: hub.source.leaderless_seconds if hub.started.is_set() else math.inf,
    )
    gauge("hub_mailbox_events", "Events that wait in all mailboxes together.", lambda: hub.depth)
    gauge("hub_pulling", "Subscriptions that read the log because they were too slow.", lambda: stats.pulling)
    gauge(
        "hub_position", "Position of the last event handed out.", lambda: hub.head().pos if hub.started.is_set() else 0
    )
    total("hub_dispatched", "Events handed out.", lambda: stats.dispatched)
    total("hub_offered", "Events put into mailboxes.", lambda: stats.offered)
    total("hub_overflows", "Mailboxes that were full.", lambda: stats.overflows)
    total("hub_resets", "Times that subscriptions had to begin anew.", lambda: stats.resets)
    total("hub_gaps", "Positions found missing and read from the log.", lambda: source.gaps)
    total("hub_reconnects", "Connections to Redis lost or silent.", lambda: source.reconnects)
    total("hub_replayed", "Events read from the log instead of being pushed.", lambda: source.replayed)
    total("hub_outages", "Times that PostgreSQL did not answer the hub.", lambda: source.outages)
    resumes = "Resumed subscriptions, by where the missed events came from."
    total("hub_resumes", resumes, lambda: stats.from_ring, source="ring")
    total("hub_resumes", resumes, lambda: stats.from_log, source="log")


def of_groups(telemetry: Telemetry, groups: Groups) -> None:
    """Subscriptions of this process that are told together with others who asked the same."""
    telemetry.gauge("groups", "Groups of subscriptions that one reader of the log tells.", lambda: len(groups))
    telemetry.gauge("group_seats", "Subscriptions that a group tells; the others are told alone.", lambda: groups.seats)
    telemetry.total("group_deliveries", "Frames that groups have sent.", lambda: groups.told)
    telemetry.total(
        "group_departures",
        "Times that a subscription had to go on alone: too slow, rights changed, log anew, or an answer with an error.",
        lambda: groups.let_go,
    )


def of_engine(telemetry: Telemetry, not_covered: Mapping[Reason, int], answered: Answered) -> None:
    """The execution of operations in this process."""
    for reason in Reason:
        telemetry.total(
            "engine_fallbacks",
            "Operations that graphql-core ran because the engine does not cover them, by the reason.",
            lambda reason=reason: not_covered.get(reason, 0),  # type: ignore[misc]
            reason=reason.value,
        )

    def query(by: str, reason: str, read: Read) -> None:
        says = "Queries answered, by what answered them, and why one statement or the engine did not."
        telemetry.total("queries_answered", says, read, by=by, reason=reason)

    query("statement", "", lambda: answered.directly)
    for because in Because:
        query("engine", because.value, partial(answered.by_engine.__getitem__, because))
    for core in (*Reason, None):
        name = core.value if core is not None else Because.SWITCHED_OFF.value
        query("graphql-core", name, partial(answered.by_core.__getitem__, core))


def of_combiner(telemetry: Telemetry, combiner: Combiner | None) -> None:
    """The statements of this process that served several requests; nothing where they are switched off."""
    if combiner is None:
        return
    for kind, tally in (("read", combiner.reads), ("write", combiner.writes)):
        _of_tally(telemetry, kind, tally)


def _of_tally(telemetry: Telemetry, kind: str, tally: Tally) -> None:
    total = telemetry.total
    total("combined_statements", "Statements that served several requests.", lambda: tally.sets, kind=kind)
    total("combined_requests", "Requests that shared a statement.", lambda: tally.requests, kind=kind)
    separated = "Requests that went alone because their set had failed."
    total("combined_separated", separated, lambda: tally.separated, kind=kind)


def of_availability(telemetry: Telemetry, recent: RecentAvailability) -> None:
    """What this process remembers of availability, in SKUs."""
    stats = recent.stats
    gauge, total = telemetry.gauge, telemetry.total
    gauge("availability_kept", "SKUs whose availability is remembered.", lambda: len(recent))
    gauge("availability_kept_bytes", "Roughly the memory that they take.", lambda: recent.bytes)
    gauge("availability_followed", "1 while what is remembered may be told.", lambda: recent.is_followed)
    total("availability_hits", "SKUs whose availability was told from memory.", lambda: stats.hits)
    total("availability_misses", "SKUs whose availability had to be read first.", lambda: stats.misses)
    total("availability_dropped", "SKUs forgotten because of an event.", lambda: stats.dropped)
    total("availability_renewed", "SKUs read again because they were asked for before.", lambda: stats.renewed)
    total("availability_reads", "Statements that read availability for memory.", lambda: stats.reads)


def of_relay(telemetry: Telemetry, stats: RelayStats) -> None:
    """The relay of this process. Of several workers one leads; lag is the greatest of all that lead."""
    gauge, total = telemetry.gauge, telemetry.total
    gauge("relay_leading", "1 while this process positions and publishes events.", lambda: stats.leading)
    gauge("relay_position", "Position of the last event published.", lambda: stats.pos)
    gauge(
        "relay_lag_seconds",
        "Age of the oldest committed event without a position.",
        lambda: stats.oldest_seconds if stats.leading else 0.0,
    )
    gauge("relay_batch_events", "Events of the last batch.", lambda: stats.batch)
    total("relay_positioned", "Events given a position.", lambda: stats.positioned)
    total("relay_elections", "Times that this process became the leader.", lambda: stats.elections)
    total("relay_outages", "Connections to PostgreSQL lost while leading or waiting to.", lambda: stats.outages)


class TimerFigures:
    """What a worker's timers have done."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        counter = telemetry.counter
        self.reservations_expired = counter(
            "reservations_expired", "Reservations released because their time was over."
        )
        self.backorders_allocated = counter(
            "backordered_units_allocated", "Units allocated to orders that waited for stock."
        )
        self.keys_pruned = counter("idempotency_keys_pruned", "Idempotency records deleted after their time.")
        self.events_pruned = counter("events_pruned", "Events deleted after their retention.")
        self.failures = counter("timer_failures", "Runs of a timer that failed and are tried again.", "timer")
