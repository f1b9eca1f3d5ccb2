"""What no log may show: credentials, and what tells who a customer is.

Two nets. By name: a field called `password` or `email` is hidden whatever it holds. By shape: API keys, tokens,
Authorization headers, e-mail addresses and passwords in addresses are hidden wherever they stand, tracebacks included.
Free text such as a person's name has no shape, so nothing logs what customers typed.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import NoneType
from typing import Any

HIDDEN = "***"

_PRIVATE = frozenset(
    {"authorization", "cookie", "credential", "dsn", "email", "phone", "address", "api_key", "secret_key", "headers"}
    | {"x-orderwire-key", "x_orderwire_key", "variables", "body", "payload", "parameters", "query_string"}
)
_PRIVATE_ENDS = ("password", "passwd", "secret", "token", "email")
_SIMPLE = (int, float, NoneType)
_PLAIN = (str, *_SIMPLE)

# Each with texts of which one must be there for the pattern to match: asking for them first is much cheaper.
# Every repetition is bounded or starts at a boundary, so that no text takes longer than its length allows.
_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (("://",), re.compile(r"(://[^\s:/@\"']{0,64}):[^\s\"']{0,512}@"), rf"\1:{HIDDEN}@"),
    (("ow_",), re.compile(r"(?<![A-Za-z0-9])ow_[a-z]{1,10}_[\w-]{8,}", re.ASCII), f"ow_{HIDDEN}"),
    (("eyJ",), re.compile(r"(?<![\w-])eyJ[\w-]{5,}(?:\.[\w-]*){1,4}", re.ASCII), HIDDEN),
    (
        ("earer", "EARER", "asic ", "ASIC "),
        re.compile(r"\b(bearer|basic)\s{1,8}[\w.~+/=-]+", re.IGNORECASE),
        rf"\1 {HIDDEN}",
    ),
    (
        (
            "assw",
            "ASSW",
            "ecret",
            "ECRET",
            "uthor",
            "UTHOR",
            "ookie",
            "OOKIE",
            "oken",
            "OKEN",
            "wire-",
            "WIRE-",
            "Wire-",
        ),
        re.compile(
            r"(\b\w{0,64}(?:password|passwd|secret|authorization|cookie|token)|x-orderwire-key)"
            r"([\"'\\]{0,4}\s{0,8}[=:,]\s{0,8}b?[\"'\\]{0,4})(?:(?:bearer|basic|token|digest)\s{1,8})?[^\s\"'\\,;&)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
    (("@", "%40"), re.compile(r"[\w.!#$&'*+/=?^`{|}~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+"), HIDDEN),
)
_NEEDLES = tuple(needle for needles, _, _ in _SHAPES for needle in needles)

# What the database's and the validators' errors repeat of the rows and values they were given.
_ROWS = (
    ("[parameters", re.compile(r"^\[parameters: .*$", re.MULTILINE), f"[parameters: {HIDDEN}]"),
    ("DETAIL", re.compile(r"^DETAIL: .*$", re.MULTILINE), f"DETAIL: {HIDDEN}"),
    ("query argument", re.compile(r"(invalid input for query argument \$\d+: ).*(?= \()"), rf"\1{HIDDEN}"),
    ("invalid input", re.compile(r"(invalid input (?:syntax|value) for [^:\n]*: ).*"), rf"\1{HIDDEN}"),
    ("input_value", re.compile(r"input_value=.*?(?=, input_type)", re.DOTALL), f"input_value={HIDDEN}"),
)


def may_hold_secrets(text: str) -> bool:
    """Whether it is worth looking for something to mask; false for most lines."""
    return any(needle in text for needle in _NEEDLES)


def masked(text: str) -> str:
    """The text without anything that has the shape of a secret or of an e-mail address."""
    for needles, pattern, replacement in _SHAPES:
        if any(needle in text for needle in needles):
            text = pattern.sub(replacement, text)
    return text


def masked_within(value: Any, plain: Callable[[Any], str] = str) -> Any:
    """The same for every text in a value, names of fields included.

    plain  the text of what is neither text, number nor collection
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, Mapping):
        return {masked(str(name)): masked_within(inner, plain) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked_within(inner, plain) for inner in value]
    return masked(plain(value))


def without_rows(text: str) -> str:
    """A traceback or error message without the rows and values it was about."""
    for needle, pattern, replacement in _ROWS:
        if needle in text:
            text = pattern.sub(replacement, text)
    return text


def hidden_by_name(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, at any depth, without the values of those whose name says that they are nobody's business."""
    return {
        name: HIDDEN if is_private(name) else value if isinstance(value, _PLAIN) else _hidden_within(value)
        for name, value in fields.items()
    }


@lru_cache(1_000)
def is_private(name: str) -> bool:
    lowered = name.lower()
    return lowered in _PRIVATE or lowered.endswith(_PRIVATE_ENDS)


def _hidden_within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return hidden_by_name({str(name): inner for name, inner in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden_within(inner) for inner in value]
    return value
