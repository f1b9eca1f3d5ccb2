"""Sizes of pages and seals of cursors, decided without a database."""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Integer, column

from app.kernel.errors import ValidationRefused
from app.kernel.pagination import Binding, OrderTerm, PageArguments, _open, _seal
from app.kernel.signing import Signer

SIGNER = Signer(b"a secret for tests only")
BINDING = Binding(signer=SIGNER, list="skus", order="CODE ASC", filter=lambda: b"", principal="client:staff")


def other(**changes: object) -> Binding:
    fields = {name: getattr(BINDING, name) for name in ("signer", "list", "order", "filter", "principal")}
    return Binding(**{**fields, **changes})


def terms(number: int) -> list[OrderTerm]:
    return [OrderTerm(column(str(i), Integer)) for i in range(number)]


def test_a_page_has_20_rows_unless_the_caller_says_otherwise():
    assert PageArguments().size() == 20
    assert PageArguments(first=1).size() == 1
    assert PageArguments(last=100).size() == 100


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (PageArguments(first=0), ["first"]),
        (PageArguments(first=101), ["first"]),
        (PageArguments(last=-1), ["last"]),
        (PageArguments(first=1, last=1), ["last"]),
    ],
)
def test_a_size_out_of_bounds_is_refused(arguments, path):
    with pytest.raises(ValidationRefused) as refused:
        arguments.size()

    assert refused.value.path == path


def test_a_cursor_keeps_every_value_exactly():
    place = [
        "Ä\u0301 😀",
        -(2**63),
        True,
        None,
        Decimal("0.100000"),
        datetime(2026, 3, 1, 9, 30, 0, 1, tzinfo=UTC),
        UUID(int=7),
    ]

    assert _open(_seal(place, BINDING), BINDING, terms(7), "after") == place


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"list": "locations"}, "list"),
        ({"order": "CODE DESC"}, "order"),
        ({"filter": lambda: b"x"}, "filter"),
        ({"principal": "client:other"}, "caller"),
        ({"signer": Signer(b"another secret")}, "not a cursor"),
    ],
)
def test_a_cursor_of_another_list_order_filter_or_caller_is_refused(changes, names):
    with pytest.raises(ValidationRefused, match=names) as refused:
        _open(_seal([1], BINDING), other(**changes), terms(1), "after")

    assert refused.value.path == ["after"]


def test_a_cursor_changed_in_any_place_is_refused():
    cursor = _seal(["MUG"], BINDING)
    for place in range(len(cursor)):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        if _raw(changed) != _raw(cursor):
            with pytest.raises(ValidationRefused):
                _open(changed, BINDING, terms(1), "before")
    for wrong in ("", "A", "é", "=" * 30, "A" * 22):
        with pytest.raises(ValidationRefused):
            _open(wrong, BINDING, terms(1), "before")


def _raw(cursor: str) -> bytes:
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
