"""What can be promised, as types. The answers of `sourcing` stand in for them: their attributes bear the same names."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.gql.scalars import CountryCode
from app.gql.scopes import scoped
from app.gql.where import described
from app.kernel.errors import ValidationRefused
from app.sourcing.rules import Destination
from app.sourcing.states import AvailabilityStatus, CartLineStatus

described(
    AvailabilityStatus,
    "Whether a SKU can be sold now.",
    AVAILABLE="Units can be promised from stock.",
    BACKORDER="None can be promised from stock; it can be ordered all the same, and is sent when supply comes.",
    PREORDER="It is sold before its release: ordered now, sent from `preorderReleaseAt` on.",
    OUT_OF_STOCK="It cannot be ordered now.",
    UNLIMITED="A service, or a bundle of services: never short.",
    UNKNOWN="No SKU of this code is sold. Codes are case-sensitive.",
)
described(
    CartLineStatus,
    "Whether a line can be promised.",
    PROMISED="All units, now.",
    BACKORDERED="Not all units now; the rest can be ordered and is sent when supply comes.",
    SHORT="Not all units, and the rest cannot be ordered.",
    UNKNOWN="No SKU of this code is sold. Codes are case-sensitive.",
)


@strawberry.input(description="Where goods shall go, as far as you know it: it decides which locations are nearest.")
class DestinationInput:
    country: CountryCode | None = strawberry.field(default=None, description="The country.")
    latitude: float | None = strawberry.field(
        default=None, description="Degrees north, -90 to 90; goes with `longitude`. Country alone is a coarse guess."
    )
    longitude: float | None = strawberry.field(default=None, description="Degrees east, -180 to 180.")

    def plain(self, *path: str) -> Destination:
        """Raises ValidationRefused at this path."""
        if (self.latitude is None) != (self.longitude is None):
            raise ValidationRefused("Give `latitude` and `longitude` together, or neither.", path=list(path))
        for name, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            if value is not None and not -most <= value <= most:
                raise ValidationRefused(f"`{name}` lies between -{most} and {most}.", path=[*path, name])
        return Destination(self.country, self.latitude, self.longitude)


@strawberry.input(description="What somebody would like to buy.")
class CartLineInput:
    sku: str = strawberry.field(description="The SKU's code. One SKU may stand on several lines.")
    quantity: int = strawberry.field(description="Units, 1 to 1,000,000.")


@scoped("availability:read")
@strawberry.type(description="From an instant on, so many units can be promised.")
class AvailabilityStep:
    from_: datetime = strawberry.field(name="from", description="From then on, until the next step.")
    units: int = strawberry.field(description="Units that can be promised, for a date in this time.")


@scoped("availability:read")
@strawberry.type(description="Units that one location can give now.")
class LocationAvailability:
    location_code: str = strawberry.field(description="The location's code.")
    location_name: str = strawberry.field(description="The location's name.")
    units: int = strawberry.field(description="Units that can be promised from there, 1 or more.")


@scoped("availability:read")
@strawberry.type(
    description="What can be promised of one SKU in a channel. These are promises, not stock: safety stock and what is"
    " promised to others are off already."
)
class Availability:
    sku: str = strawberry.field(description="The code, as you asked for it.")
    status: AvailabilityStatus = strawberry.field(description="Whether it can be sold now.")
    unlimited: bool = strawberry.field(description="Whether it is never short; services are.")
    available: int | None = strawberry.field(
        description="Units that can be promised from stock now, or for the instant `at`; null where it is unlimited. Of"
        " a bundle, as many as its scarcest part allows."
    )
    atp: list[AvailabilityStep] = strawberry.field(
        description="Available to promise from now on: one step for now, one for each date on which it changes as"
        " supply comes. Empty where it is unlimited or unknown."
    )
    by_location: list[LocationAvailability] = strawberry.field(
        description="Where the units of now are: nearest first with a destination, else in the channel's order. Of a"
        " bundle, how many each location has all parts for; an order may be sent from several."
    )
    next_available_at: datetime | None = strawberry.field(
        description="When more than now can be promised; null where nothing is on its way."
    )
    backorderable: int = strawberry.field(
        description="Units that may be ordered beyond those that can be promised now."
    )
    preorder_release_at: datetime | None = strawberry.field(
        description="The release, where it is a preorder; null for anything else."
    )


@scoped("availability:read")
@strawberry.type(description="Units of a line that one location would send.")
class CartSource:
    sku: str = strawberry.field(description="The SKU's code; of a bundle, that of the part.")
    location_code: str = strawberry.field(description="The location's code.")
    location_name: str = strawberry.field(description="The location's name.")
    units: int = strawberry.field(description="How many.")


@scoped("availability:read")
@strawberry.type(description="What can be promised of one line, beside the lines before it.")
class CartLineAvailability:
    sku: str = strawberry.field(description="The code, as you asked for it.")
    quantity: int = strawberry.field(description="Units you asked for.")
    status: CartLineStatus = strawberry.field(description="Whether the line can be promised.")
    promised: int = strawberry.field(description="Units that can be promised now; of a bundle, whole ones.")
    backorderable: int = strawberry.field(description="Units of the rest that can be ordered all the same.")
    sources: list[CartSource] = strawberry.field(
        description="Where they would come from: the fewest locations for the whole cart, then the nearest, then by the"
        " channel's priority."
    )
    next_available_at: datetime | None = strawberry.field(
        description="When the rest could be had; null where nothing is missing, or no supply covers it."
    )


@scoped("availability:read")
@strawberry.type(
    description="What can be promised of several lines together. Placing them now would find the same; only a"
    " reservation holds it for you."
)
class CartAvailability:
    promisable: bool = strawberry.field(description="Whether every unit of every line can be promised now.")
    orderable: bool = strawberry.field(
        description="Whether an order of these lines would be taken: what stock does not cover can be backordered."
    )
    location_count: int = strawberry.field(description="How many locations would send something.")
    lines: list[CartLineAvailability] = strawberry.field(description="One for each line, in your order.")
