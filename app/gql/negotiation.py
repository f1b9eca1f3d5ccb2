"""Media types: which form of response the client asked for, and whether its body is JSON."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from app.gql.faults import Mistake


class Media(StrEnum):
    GRAPHQL = "application/graphql-response+json"
    JSON = "application/json"
    EVENTS = "text/event-stream"


_FORMS = tuple(Media)


@lru_cache(maxsize=256)
def accepted(header: bytes) -> tuple[Media, ...]:
    """The forms the client takes by its header Accept, the one it likes best first; none when it takes none of ours.

    Named forms go before wildcards. A client that takes anything gets application/json: it may know nothing else.
    """
    accept = header.decode("latin-1")
    if not accept.strip():
        return (Media.JSON,)
    liked: dict[Media, tuple[float, int, int]] = {}
    refused: set[Media] = set()
    for part in accept.lower().split(",")[:50]:
        range_, _, parameters = part.partition(";")
        quality = _quality(parameters)
        for form, precision in _matches(range_.strip()):
            if quality <= 0:
                refused |= {form} if precision == 2 else set()
                continue
            rank = (quality, precision, -_FORMS.index(form))
            liked[form] = max(liked.get(form, rank), rank)
    return tuple(sorted(liked.keys() - refused, key=lambda form: liked[form], reverse=True))


def _matches(range_: str) -> list[tuple[Media, int]]:
    if range_ in ("*/*", "application/*"):
        return [(Media.JSON, 0)]
    if range_ == "application/graphql+json":  # an early name of it, still sent by clients
        return [(Media.GRAPHQL, 1)]
    return [(form, 2) for form in _FORMS if form == range_]


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


@lru_cache(maxsize=256)
def require_json(content_type: bytes) -> None:
    """Only JSON in UTF-8, which a browser sends across origins after asking first.  Raises Mistake."""
    form, _, parameters = content_type.decode("latin-1").lower().partition(";")
    if form.strip() != Media.JSON:
        raise Mistake(415, "Send the body with Content-Type: application/json.", "UNSUPPORTED_MEDIA_TYPE")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise Mistake(415, "JSON is sent in UTF-8.", "UNSUPPORTED_MEDIA_TYPE")
