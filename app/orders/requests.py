"""What a caller asks for when placing: plain values, checked for shape by the API, for meaning by `placing`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRequest:
    """amount  in major units; worked out from the rate where absent"""

    name: str
    rate_ppm: int
    included: bool
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountRequest:
    """amount  in major units of the order's currency, taken off the line or the whole order"""

    amount: Decimal
    code: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRequest:
    """unit_price, discounts and taxes need the scope orders:price; absent, the channel's prices and tax apply."""

    sku: str
    quantity: int
    unit_price: Decimal | None = None
    discounts: Sequence[DiscountRequest] = ()
    taxes: Sequence[TaxRequest] | None = None

    @property
    def is_priced(self) -> bool:
        return self.unit_price is not None or bool(self.discounts) or self.taxes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingRequest:
    amount: Decimal
    taxes: Sequence[TaxRequest] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRequest:
    """country is ISO 3166-1 alpha-2; coordinates are WGS 84 degrees."""

    country: str
    name: str | None = None
    company: str | None = None
    lines: Sequence[str] = ()
    city: str | None = None
    region: str | None = None
    postcode: str | None = None
    phone: str | None = None
    email: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as asked for.

    currency        the channel's where absent
    customer        the customer's external code; absent for a guest
    expected_total  major units; the order is refused where it comes to anything else
    placed_at       only for orders taken elsewhere earlier; needs orders:backdate
    """

    channel: str
    lines: Sequence[LineRequest]
    currency: str | None = None
    external_ref: str | None = None
    customer: str | None = None
    reservation_token: str | None = None
    shipping_address: AddressRequest | None = None
    billing_address: AddressRequest | None = None
    discounts: Sequence[DiscountRequest] = field(default=())
    shipping: ShippingRequest | None = None
    expected_total: Decimal | None = None
    expected_currency: str | None = None
    priority: int = 0
    note: str | None = None
    placed_at: datetime | None = None

    @property
    def is_priced(self) -> bool:
        """Whether it passes prices, discounts or taxes. A currency is none: it chooses among the channel's prices."""
        return bool(self.discounts) or self.shipping is not None or any(line.is_priced for line in self.lines)
