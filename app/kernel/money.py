"""Money as whole minor units; how many decimals a currency has is ISO 4217's to say (JPY 0, EUR 2, KWD 3)."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from babel.core import get_global
from babel.numbers import get_currency_precision

PPM = 1_000_000

# Where CLDR counts the decimals that a shop shows, and ISO 4217 those that banks and payment providers count in.
# Source: ISO 4217 list one, and for MRO, SLL, STD and ZMK the last list one that they stood in.
_UNLIKE_CLDR = {
    **dict.fromkeys(("AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"), 2),
    **dict.fromkeys(("MRO", "SLL", "STD", "ZMK"), 2),
    "IQD": 3,
}


@cache
def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit; of one without (gold, say) what CLDR shows."""
    return _UNLIKE_CLDR.get(currency, int(get_currency_precision(currency)))


def currencies() -> Sequence[str]:
    """All codes there are and have been, sorted."""
    return sorted(get_global("all_currencies"))


@cache
def is_currency(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isupper() and code in get_global("all_currencies")


def minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units, halves away from zero: 0.005 EUR is 1 cent."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def major(minor_units: int, currency: str) -> Decimal:
    """Minor units as an exact decimal with the currency's decimals."""
    return Decimal(minor_units).scaleb(-exponent(currency))


def is_whole_minor(amount: Decimal, currency: str) -> bool:
    return amount == major(minor(amount, currency), currency)


def prorate(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weights so that the parts add up to it exactly, by largest remainder.

    weights  non-negative; all zero counts as all equal. Ties go to the earlier part.
    """
    if not weights:
        return []
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    shares = [divmod(total * weight, whole) for weight in weights]
    parts = [quotient for quotient, _ in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: (-shares[i][1], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def tax_minor(amount: int, rate_ppm: int, *, contained_ppm: int = 0) -> int:
    """Tax in minor units, halves up: on top of the amount, or contained in it.

    contained_ppm  the rates of all taxes that the amount contains, this one too; 0 for a tax on top
    """
    base = PPM + contained_ppm
    return (2 * amount * rate_ppm + base) // (2 * base)
