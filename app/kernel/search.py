"""Search by words without extensions: lexemes made here, kept in a `tsvector`, found by prefix through a GIN index.

PostgreSQL's own parser splits by the locale the cluster was created with, and cuts codes such as MUG-BLUE/2 in ways
nobody asks for. Made here, the lexemes are the same on every server: folded for case and accents, whole and in words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam, cast, true
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from app.kernel.errors import ValidationRefused

SEARCH_MAX = 200
WORDS_MAX = 10

_LEXEME_MAX = 500
_WORD = re.compile(r"\w+")


def document(texts: Iterable[str | None]) -> str:
    """The `tsvector` literal of these texts: each of their parts between spaces whole, and each of its words."""
    lexemes = {
        lexeme for text in texts if text for part in _fold(text).split() for lexeme in (part, *_WORD.findall(part))
    }
    return " ".join(_quoted(lexeme) for lexeme in sorted(lexemes))


def found(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Rows that hold every word of the text, or begin a word with it. Case and accents do not matter.

    Raises ValidationRefused.
    """
    if len(text) > SEARCH_MAX or "\0" in text:
        raise ValidationRefused(f"`search` takes up to {SEARCH_MAX} printable characters: shorten it.", path=["search"])
    parts = _fold(text).split()
    if len(parts) > WORDS_MAX:
        raise ValidationRefused(f"`search` takes up to {WORDS_MAX} words: leave some out.", path=["search"])
    if not parts:
        return true()
    query = " & ".join(_asked(part) for part in parts)
    return column.op("@@", is_comparison=True)(cast(bindparam(None, query, type_=TSQUERY, unique=True), TSQUERY))


def _asked(part: str) -> str:
    whole = f"{_quoted(part)}:*"
    words = [f"{_quoted(word)}:*" for word in _WORD.findall(part)]
    return f"({whole} | ({' & '.join(words)}))" if words and words != [whole] else whole


def _fold(text: str) -> str:
    """Without case, width and accents; what is left of the two sides is compared code point by code point."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in apart if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", bare).casefold()


def _quoted(lexeme: str) -> str:
    safe = lexeme[:_LEXEME_MAX].encode("utf-8", "replace").decode().replace("\0", "")
    return "'" + safe.replace("\\", "\\\\").replace("'", "''") + "'"


__all__ = ["TSVECTOR", "document", "found"]
