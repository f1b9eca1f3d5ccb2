"""What HTTP caches are told of an answer from memory."""

from datetime import UTC, datetime, timedelta

import pytest

from app.gql.kept import KeptAnswer, cache_control, is_known
from app.kernel.principal import Kind, Principal

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def told(
    kind: Kind, *, shareable: bool = True, changes_in: float | None = None, expires_in: float | None = None
) -> str:
    def then(seconds: float | None) -> datetime | None:
        return NOW + timedelta(seconds=seconds) if seconds is not None else None

    answer = KeptAnswer(b"{}", 'W/"a"', NOW, then(changes_in), shareable)
    return cache_control(answer, Principal(kind, "somebody", expires_at=then(expires_in)))


def test_only_what_a_storefront_sees_in_a_channel_it_names_is_kept_for_others() -> None:
    assert told(Kind.STOREFRONT) == "public, max-age=5"
    assert told(Kind.STOREFRONT, shareable=False) == "private, max-age=5"
    assert told(Kind.CUSTOMER) == "private, max-age=5"
    for kind in (Kind.STAFF, Kind.PARTNER, Kind.SERVICE, Kind.SYSTEM, Kind.ANONYMOUS):
        assert told(kind) == "private, no-cache"


@pytest.mark.parametrize(
    ("changes_in", "expires_in", "age"),
    [(60, None, 5), (2.9, None, 2), (None, 3, 3), (4, 1.5, 1), (0.5, None, 0), (None, -1, 0)],
)
def test_it_is_kept_no_longer_than_it_is_true_and_the_key_good(
    changes_in: float | None, expires_in: float | None, age: int
) -> None:
    assert told(Kind.STOREFRONT, changes_in=changes_in, expires_in=expires_in) == f"public, max-age={age}"


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ("", False),
        ('W/"b"', False),
        ("a", False),
        ('"A"', False),
    ],
)
def test_tags_are_compared_as_weak_ones(sent: str, known: bool) -> None:
    assert is_known(sent, 'W/"a"') == known
