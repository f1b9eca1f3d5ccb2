"""Available to promise: equal to its formula, and a promise that can be kept."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.sourcing.availability import least_of
from app.sourcing.promise import AtpStep, Facts, available_to_promise, promise_over_time, units_at

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
days = st.integers(-3, 9)
changes = st.lists(st.tuples(days, st.integers(-15, 15)), max_size=8)


def at(day: int) -> datetime:
    return NOW + timedelta(days=day)


def formula(now_units: int, dated: list[tuple[int, int]], day: int) -> int:
    """ATP(t) = max(0, min over s >= t of A(s)), A(s) = what is there + all that is due by s."""
    levels = [now_units + sum(units for due, units in dated if max(due, 0) <= s) for s in range(day, 12)]
    return max(0, min(levels))


@given(st.integers(0, 30), changes)
def test_it_is_the_look_ahead_minimum_of_the_formula(now_units: int, dated: list[tuple[int, int]]) -> None:
    steps = available_to_promise(NOW, now_units, [(at(day), units) for day, units in dated])

    assert [units_at(steps, at(day)) for day in range(12)] == [formula(now_units, dated, day) for day in range(12)]


@given(st.integers(0, 30), changes)
def test_it_is_never_negative_never_falls_and_has_no_idle_step(now_units: int, dated: list[tuple[int, int]]) -> None:
    steps = available_to_promise(NOW, now_units, [(at(day), units) for day, units in dated])

    assert steps[0].from_ == NOW
    assert steps[0].units >= 0
    for earlier, later in pairwise(steps):
        assert earlier.from_ < later.from_
        assert earlier.units < later.units


@given(st.integers(0, 30), changes, days, st.integers(1, 40))
def test_selling_what_is_promised_breaks_no_other_promise(
    now_units: int, dated: list[tuple[int, int]], day: int, wish: int
) -> None:
    day = max(day, 0)
    before = available_to_promise(NOW, now_units, [(at(due), units) for due, units in dated])
    sold = min(wish, units_at(before, at(day)))

    after = available_to_promise(NOW, now_units, [(at(due), units) for due, units in [*dated, (day, -sold)]])

    assert units_at(after, at(day)) == units_at(before, at(day)) - sold
    for later in range(day, 12):
        assert units_at(after, at(later)) == units_at(before, at(later)) - sold


def world(raw_stock: list[list[Any]], supply: list[list[Any]], owed: int, floor: int) -> Facts:
    """One SKU `s` in a channel of two locations."""
    locations = [
        {
            "id": code,
            "code": code,
            "name": code,
            "priority": 0,
            "safetyStock": floor,
            "lat": None,
            "lon": None,
            "country": "GB",
        }
        for code in ("A", "B")
    ]
    return Facts.read(
        {
            "channel": {"id": "c", "locations": locations},
            "skus": [],
            "stockSkus": ["s"],
            "stock": raw_stock,
            "supply": {"supply": supply, "backordered": {"s": owed} if owed else {}},
            "claims": [],
        }
    )


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=2),
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(0, 10),
    st.lists(st.tuples(days, st.sampled_from("AB"), st.integers(1, 9)), max_size=6),
)
def test_supply_fills_safety_stock_then_pays_what_is_owed_then_is_promised(
    lying: list[int], own_floor: int, channel_floor: int, owed: int, due: list[tuple[int, str, int]]
) -> None:
    due = sorted(due, key=lambda each: each[0])
    floor = max(own_floor, channel_floor)
    stock = [[1, n, "", units, own_floor] for n, units in enumerate(lying, 1) if units > 0]
    there = dict(zip("AB", lying, strict=True))
    supply = [["s", where, at(day).isoformat(), units, "", there[where], own_floor] for day, where, units in due]

    steps = promise_over_time(world(stock, supply, owed, channel_floor), "s", NOW)

    def sellable(day: int) -> int:
        """Units above the floor, location by location, when all that is due by the day has come."""
        come = {where: units + sum(n for d, w, n in due if w == where and d <= day) for where, units in there.items()}
        return sum(max(0, units - floor) for units in come.values())

    now = sum(max(0, units - floor) for units in lying)
    for day in range(11):
        assert units_at(steps, at(day)) == now + max(0, sellable(day) - now - owed)


steps_of_part = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), max_size=4, unique_by=lambda s: s[0])


@given(st.lists(st.tuples(steps_of_part, st.integers(1, 4)), min_size=1, max_size=3))
def test_a_bundle_is_always_the_least_of_its_parts(parts: list[tuple[list[tuple[int, int]], int]]) -> None:
    stepped = [
        ([AtpStep(NOW, 0), *(AtpStep(at(day), units) for day, units in sorted(steps) if day > 0)], need)
        for steps, need in parts
    ]

    merged = least_of(stepped)

    for day in range(11):
        assert units_at(merged, at(day)) == min(units_at(steps, at(day)) // need for steps, need in stepped)
