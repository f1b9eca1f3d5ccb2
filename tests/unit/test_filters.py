"""Bounds of filters, and where inputs turned into predicates."""

import pytest
import strawberry

from app.gql.nodes import global_id
from app.gql.where import IdFilter, IntFilter, IntRange, StringFilter, as_filter, condition, either, every, neither
from app.kernel.errors import ValidationRefused
from app.kernel.filters import And, Eq, Filter, IsNull, Not, OneOf, Or, Prefix, Range, check, fingerprint, matches
from app.kernel.ids import uuid7


@strawberry.input
class MugWhere:
    id: IdFilter | None = condition("By id.", node="Mug")
    code: StringFilter | None = condition("By code.")
    weight_grams: IntFilter | None = condition("By weight.")
    all_of: "list[MugWhere] | None" = every()
    any_of: "list[MugWhere] | None" = either()
    none_of: "MugWhere | None" = neither()


def deep(levels: int) -> MugWhere:
    where = MugWhere(code=StringFilter(eq="A"))
    for _ in range(levels):
        where = MugWhere(none_of=where)
    return where


def test_the_fields_of_a_where_all_hold():
    where = MugWhere(
        code=StringFilter(starts_with="M", is_null=False), weight_grams=IntFilter(range=IntRange(gt=1, lte=9))
    )

    assert as_filter(where) == And((Prefix("code", "M"), IsNull("code", False), Range("weight_grams", gt=1, lte=9)))


def test_and_or_and_not_nest():
    where = MugWhere(
        any_of=[MugWhere(code=StringFilter(eq="A")), MugWhere(none_of=MugWhere(code=StringFilter(one_of=["B", "C"])))]
    )

    predicate = as_filter(where)

    assert predicate == Or((Eq("code", "A"), Not(OneOf("code", ("B", "C")))))
    assert [matches(predicate, {"code": code}) for code in ("A", "B", "D", None)] == [True, False, True, True]


def test_texts_are_compared_in_the_spelling_they_are_stored_in():
    decomposed = "MU\u0308LL"

    where = MugWhere(code=StringFilter(eq=f" {decomposed} ", one_of=[decomposed], starts_with=f"{decomposed} "))

    assert as_filter(where) == And((Eq("code", "MÜLL"), OneOf("code", ("MÜLL",)), Prefix("code", "MÜLL ")))


def test_no_where_is_no_filter_and_an_empty_one_matches_everything():
    assert as_filter(None) is None
    assert matches(as_filter(MugWhere()), {})


def test_an_id_of_another_type_is_refused():
    mug = uuid7()
    assert as_filter(MugWhere(id=IdFilter(eq=global_id("Mug", mug)))) == Eq("id", mug)

    for wrong in (global_id("Cup", mug), str(mug), "", "Ä", "TXVnOg"):
        with pytest.raises(ValidationRefused, match="not the id of a Mug"):
            as_filter(MugWhere(id=IdFilter(eq=wrong)))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (MugWhere(code=None), ["where", "code"]),
        (MugWhere(code=StringFilter(eq=None)), ["where", "code", "eq"]),
        (MugWhere(any_of=[MugWhere(weight_grams=IntFilter(range=None))]), ["where", "OR", "0", "weightGrams", "range"]),
    ],
)
def test_null_never_drops_a_condition_silently(where, path):
    with pytest.raises(ValidationRefused, match="null") as refused:
        as_filter(where)

    assert refused.value.path == path


def test_a_filter_is_refused_when_it_is_too_large():
    fifty = tuple(Eq("code", str(i)) for i in range(50))
    assert check(Or(fifty))
    assert as_filter(deep(5)) is not None
    for large, problem in [
        (Or((*fifty, Eq("code", "x"))), "50 conditions"),
        (OneOf("code", ("x",) * 251), "250 values"),
        (Eq("code", "x" * 256), "255 characters"),
        (Eq("code", "a\0"), "NUL"),
        (Eq("units", 2**63), "64 bits"),
    ]:
        with pytest.raises(ValidationRefused, match=problem):
            check(large)
    nested: Filter = Eq("code", "A")
    for _ in range(5):
        nested = check(Not(nested))
    with pytest.raises(ValidationRefused, match="nested 5 deep"):
        check(Not(nested))
    for levels in (6, 3000):
        with pytest.raises(ValidationRefused, match="nested 5 deep"):
            as_filter(deep(levels))


def test_other_filters_have_other_fingerprints():
    alike = [
        Eq("code", "1"),
        Eq("code", 1),
        Eq("code", True),
        OneOf("code", ("1",)),
        Prefix("code", "1"),
        And((Eq("code", "1"),)),
    ]

    assert len({fingerprint(each) for each in alike}) == len(alike)
    assert fingerprint(Eq("code", "1")) == fingerprint(Eq("code", "1"))
