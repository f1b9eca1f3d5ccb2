"""What one process holds and hands to those who need it: the one place where the parts meet."""

from __future__ import annotations

import asyncio
from collections import Counter

from app import figures
from app.auth import handlers as auth
from app.auth.authenticator import Authenticator
from app.auth.keys import environment_name
from app.auth.ports import CustomerExists
from app.auth.tokens import CustomerTokens
from app.customers import queries as customers
from app.engine import Reason
from app.gql.answered import Answered
from app.gql.caller import Caller
from app.gql.context import Context
from app.gql.door import House
from app.gql.execution import Graph
from app.gql.groups import Groups
from app.gql.streams import Streams
from app.health import Health
from app.kernel.clock import Clock, SystemClock
from app.kernel.db import Database, Reads
from app.kernel.ids import uuid7
from app.kernel.request import current
from app.kernel.settings import Settings
from app.kernel.signing import Signer
from app.kernel.telemetry import Telemetry
from app.kernel.work import Runner
from app.live.cursor import Cursors
from app.live.hub import Hub
from app.live.nudge import Nudger
from app.network.origins import Origins
from app.orders.recent import RecentOrders
from app.sourcing.api.kept import KeptAvailability
from app.sourcing.recent import RecentAvailability


class Services:
    """Everything that requests of this process share; resolvers find it as `info.context.services`.

    telemetry  that of the process, where it does other things besides; whoever made it closes it
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, *, telemetry: Telemetry | None = None) -> None:
        assert settings.database_url is not None, "the stores are found or started before this"
        assert settings.redis_url is not None, "the stores are found or started before this"
        self.settings = settings
        self.clock = clock or SystemClock()
        self.signer = Signer(settings.signing_secret.encode())
        self.database = Database(
            settings.database_url,
            read_pool=settings.read_pool_size,
            call_pool=settings.call_pool_size,
            session=settings.session_limits,
        )
        self.telemetry = telemetry or Telemetry()
        self.telemetry.watch_requests()
        self.telemetry.watch_database(self.database)
        self.nudger = Nudger(settings.redis_url)
        self.runner = Runner(
            self.database,
            self.clock,
            self.nudger.nudge,
            watching=self.telemetry,
            together=settings.group_commit,
        )
        self.cursors = Cursors(self.signer)
        self.hub = Hub(settings.database_url, settings.redis_url, cursors=self.cursors, clock=self.clock)
        self.streams = Streams(self.hub.sockets)
        self.customer_tokens = CustomerTokens(self.signer, self.clock)
        self.authenticator = Authenticator(
            self.database, self.customer_tokens, self.clock, environment_name(settings.environment)
        )
        self.customer_exists: CustomerExists = customers.customer_exists
        self.recent_orders = RecentOrders()
        self.recent_availability = RecentAvailability(
            self.database, self.hub, self.clock, enabled=settings.availability_cache
        )
        self.origins = Origins(self.database)
        self.health = Health(self.database, self.telemetry, self.hub)
        self.not_covered: Counter[Reason] = Counter()
        self.answered = Answered()
        self.groups = Groups()
        figures.of_hub(self.telemetry, self.hub, self.streams)
        figures.of_groups(self.telemetry, self.groups)
        figures.of_engine(self.telemetry, self.not_covered, self.answered)
        figures.of_combiner(self.telemetry, self.runner.combiner)
        figures.of_availability(self.telemetry, self.recent_availability)
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.database.open()
        await self.nudger.open()
        await self.recent_availability.open()
        await self.hub.connect()
        self._watching = asyncio.create_task(auth.watch(self.hub, self.authenticator, self.streams))

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.recent_availability.close()
        await self.hub.disconnect()
        await self.nudger.close()
        await self.database.close()

    def context(self, caller: Caller) -> Context:
        """A fresh context for one operation, or one event of a subscription."""
        request = current()
        if request is not None:
            request.principal = caller.principal.id
        return Context(
            principal=caller.principal,
            reads=Reads(self.database, caller.principal, self.clock, shared=self.runner.combiner),
            runner=self.runner,
            services=self,
            request_id=request.request_id if request is not None else str(uuid7()),
            look_again=lambda: self.authenticator.look_again(caller),
        )

    def house(self, graph: Graph) -> House:
        """What the transports need."""
        return House(
            graph=graph,
            authenticate=self.authenticator,
            allow_origin=self.origins.allow,
            new_context=self.context,
            clock=self.clock,
            streams=self.streams,
            keeper=KeptAvailability(graph, self.recent_availability, self.cursors),
        )
