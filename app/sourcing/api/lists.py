"""What can be promised, asked once. One SQL statement a field, and answers without resolvers: this is the hot query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

import strawberry

from app.gql.nodes import Info
from app.gql.scopes import needs
from app.kernel.errors import ValidationRefused
from app.sourcing import cart, commands, queries
from app.sourcing.api.types import Availability, CartAvailability, CartLineInput, DestinationInput
from app.sourcing.availability import Promises
from app.sourcing.rules import SKUS_MAX, Destination

ChannelCode = Annotated[
    str | None,
    strawberry.argument(
        description="The channel's code. Keys that are bound to a channel may leave it out, and may name no other."
    ),
]
ToDestination = Annotated[
    DestinationInput | None,
    strawberry.argument(description="Where goods shall go; decides which locations are nearest."),
]
CartLines = Annotated[list[CartLineInput], strawberry.argument(description="1 to 250 lines.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What `availability` is asked, checked as far as it can be without a look at the shop."""

    channel: str | None
    skus: Sequence[str]
    destination: Destination | None
    at: datetime | None


@strawberry.type
class SourcingQuery:
    """What can be promised, for the root of queries."""

    @strawberry.field(
        metadata=needs("availability:read"),
        description="What a channel can promise of SKUs, in the order of your codes, one answer for each. A code that"
        " is not sold gets the status UNKNOWN and spoils nothing.",
    )
    async def availability(
        self,
        info: Info,
        skus: Annotated[list[str], strawberry.argument(description="1 to 250 codes of SKUs.")],
        channel: ChannelCode = None,
        destination: ToDestination = None,
        at: Annotated[
            datetime | None,
            strawberry.argument(description="For when; now if not given, or if it has passed."),
        ] = None,
    ) -> list[Availability]:
        if not 1 <= len(skus) <= SKUS_MAX:
            raise ValidationRefused(f"`skus` takes 1 to {SKUS_MAX} codes, not {len(skus)}.", path=["skus"])
        asked = Asked(channel, skus, destination.plain("destination") if destination is not None else None, at)
        if (stand_in := info.context.stand_in) is not None:
            return cast("list[Availability]", stand_in(asked))
        reads = info.context.reads
        facts = await queries.facts(reads, channel=channel, codes=skus, path=["channel"])
        promises = Promises(facts, reads.now, asked.destination, at)
        return cast("list[Availability]", [promises.of(code) for code in skus])

    @strawberry.field(
        metadata=needs("availability:read"),
        description="What a channel can promise of several lines together, and from where: what placing them would"
        " find. `availabilityChanges` tells the same whenever it changes.",
    )
    async def cart_availability(
        self, info: Info, lines: CartLines, channel: ChannelCode = None, destination: ToDestination = None
    ) -> CartAvailability:
        commands.check_lines(lines, ["lines"])
        reads = info.context.reads
        to = destination.plain("destination") if destination is not None else None
        facts = await queries.facts(reads, channel=channel, codes=[line.sku for line in lines], path=["channel"])
        return cast("CartAvailability", cart.evaluate(lines, facts, to, reads.now))
