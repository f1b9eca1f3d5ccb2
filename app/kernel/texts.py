"""Texts that people and other systems give: one spelling for each, nothing invisible in them.

Unicode is kept in NFC, so that two spellings of one name are equal; codes stay case-sensitive.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from app.kernel.errors import ValidationRefused

CODE_MAX = 64
NAME_MAX = 255

_UNWANTED = {"Cc", "Cs", "Cn", "Zl", "Zp"}


def code(value: str, path: Sequence[str] = ()) -> str:
    """An external code: 1 to 64 printable characters.  Raises ValidationRefused.

    path  its last part names the field in the message
    """
    written = unicodedata.normalize("NFC", value)
    if not 1 <= len(written) <= CODE_MAX:
        raise ValidationRefused(
            f"`{_field(path)}` has {len(written)} characters, and 1 to {CODE_MAX} are wanted: choose another.",
            path=list(path),
        )
    if written != written.strip():
        raise ValidationRefused(f"The {_field(path)} {written!r} has spaces around it: remove them.", path=list(path))
    if not written.isprintable():
        raise ValidationRefused(
            f"The {_field(path)} {written!r} holds a character that cannot be printed: remove it.", path=list(path)
        )
    return written


def spelled(value: str) -> str:
    """A code as it is stored, for looking it up. What cannot be stored is replaced, and found nowhere."""
    if value.isascii() and "\0" not in value:
        return value
    return unicodedata.normalize("NFC", value.replace("\0", "\ufffd").encode("utf-8", "replace").decode())


def kept(value: str) -> str:
    """A line as it is stored, for looking it up."""
    return spelled(value).strip()


def line(value: str, path: Sequence[str] = (), *, most: int = NAME_MAX) -> str:
    """One line of text without spaces around it, not empty.  Raises ValidationRefused, which never repeats the text."""
    written = unicodedata.normalize("NFC", value).strip()
    if not written:
        raise ValidationRefused(f"The {_field(path)} is empty: give at least one character.", path=list(path))
    if len(written) > most:
        raise ValidationRefused(
            f"The {_field(path)} has {len(written)} characters, {most} are kept: shorten it.", path=list(path)
        )
    for place, char in enumerate(written, 1):
        if unicodedata.category(char) in _UNWANTED:
            raise ValidationRefused(
                f"The {_field(path)} holds the control character U+{ord(char):04X} at place {place}: remove it.",
                path=list(path),
            )
    return written


def key(value: str) -> str:
    """How a name sorts and compares where case does not matter."""
    return unicodedata.normalize("NFC", value.casefold())


def _field(path: Sequence[str]) -> str:
    return path[-1] if path else "text"
