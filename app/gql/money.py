"""Money on the wire: the exact amount, its currency, and the same in whole minor units."""

from __future__ import annotations

from decimal import Decimal

import strawberry

from app.gql.scalars import CurrencyCode, Long
from app.gql.scopes import ANYONE, scoped
from app.kernel import money
from app.kernel.errors import ValidationRefused


@scoped(ANYONE)
@strawberry.type(description="An amount of money in one currency.")
class Money:
    amount: Decimal = strawberry.field(description='The exact amount in major units, as a string: `"19.99"`.')
    currency_code: CurrencyCode = strawberry.field(description="The currency by ISO 4217.")
    minor_units: Long = strawberry.field(
        description="The same amount as a whole number of the currency's smallest unit: 1999 for EUR 19.99, 20 for"
        " JPY 20, 1500 for KWD 1.500. Add and compare with this."
    )

    @classmethod
    def of(cls, minor_units: int, currency: str) -> Money:
        return cls(
            amount=money.major(minor_units, currency),
            currency_code=CurrencyCode(currency),
            minor_units=Long(minor_units),
        )


@strawberry.input(description="An amount of money in one currency.")
class MoneyInput:
    amount: Decimal = strawberry.field(
        description='The amount in major units, as a string with no more decimals than the currency has: `"19.99"`.'
    )
    currency_code: CurrencyCode = strawberry.field(description="The currency by ISO 4217.")

    def minor_units(self, *path: str) -> int:
        """The amount in minor units.  Raises ValidationRefused at this path when it is finer than the currency."""
        if not money.is_whole_minor(self.amount, self.currency_code):
            raise ValidationRefused(
                f"{self.amount} has more decimals than {self.currency_code} has:"
                f" {money.exponent(self.currency_code)} are allowed.",
                path=[*path, "amount"],
            )
        return money.minor(self.amount, self.currency_code)
