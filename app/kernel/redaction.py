"""What no log may show: credentials, and what tells who a customer is.

Two nets. By name: a field called `password` or `email` is hidden whatever it holds. By shape: API keys, tokens,
Authorization headers, e-mail addresses and passwords in addresses are hidden wherever they stand in a finished line,
tracebacks included. Free text such as a name has no shape, so nothing logs what customers typed.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any

HIDDEN = "***"

_NAMES = frozenset(
    {"authorization", "cookie", "credential", "dsn", "email", "phone", "address", "api_key", "secret_key", "headers"}
    | {"x-orderwire-key", "x_orderwire_key", "variables", "body", "payload", "parameters", "query_string"}
)
_PLAIN = (str, int, float, NoneType)
_NAME_ENDS = ("password", "passwd", "secret", "token", "email")

# Each with a text that must be there for the pattern to match: asking for it first makes most lines cost nothing.
_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (("://",), re.compile(r"(://[^\s:/@\"']*):[^\s\"']*@"), rf"\1:{HIDDEN}@"),
    (("ow_",), re.compile(r"(?<![A-Za-z0-9])ow_[a-z]{1,10}_[\w-]{8,}", re.ASCII), f"ow_{HIDDEN}"),
    (("eyJ",), re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]*){1,4}", re.ASCII), HIDDEN),
    (
        ("earer", "EARER", "asic ", "ASIC "),
        re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE),
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
            "rderwire-",
            "RDERWIRE-",
        ),
        re.compile(
            r"(\b\w*(?:password|passwd|secret|authorization|cookie|token)|x-orderwire-key)"
            r"([\"'\\]*\s*[=:,]\s*b?[\"'\\]*)(?:(?:bearer|basic|token|digest)\s+)?[^\s\"'\\,;&)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
    # Bounded, so that a long word costs no more than its length.
    (("@", "%40"), re.compile(r"[\w.!#$&'*+/=?^`{|}~-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+"), HIDDEN),
)

# What the database's and the validators' errors repeat of the rows and values they were given.
_ROWS = (
    ("[parameters", re.compile(r"^\[parameters: .*$", re.MULTILINE), f"[parameters: {HIDDEN}]"),
    ("DETAIL", re.compile(r"^DETAIL: .*$", re.MULTILINE), f"DETAIL: {HIDDEN}"),
    ("query argument", re.compile(r"(invalid input for query argument \$\d+: ).*(?= \()"), rf"\1{HIDDEN}"),
    ("invalid input", re.compile(r"(invalid input (?:syntax|value) for [^:\n]*: ).*"), rf"\1{HIDDEN}"),
    ("input_value", re.compile(r"input_value=.*?(?=, input_type)", re.DOTALL), f"input_value={HIDDEN}"),
)


def masked(text: str) -> str:
    """The text without anything that has the shape of a secret or of an e-mail address."""
    for needles, pattern, replacement in _SHAPES:
        for needle in needles:
            if needle in text:
                text = pattern.sub(replacement, text)
                break
    return text


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
    return lowered in _NAMES or lowered.endswith(_NAME_ENDS)


def _hidden_within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return hidden_by_name({str(name): inner for name, inner in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [inner if isinstance(inner, _PLAIN) else _hidden_within(inner) for inner in value]
    return value
