"""The two answers to one predicate, PostgreSQL's and Python's, are the same on every row."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.kernel.filters import (
    And,
    Eq,
    Filter,
    IsNull,
    Marks,
    Not,
    OneOf,
    Or,
    Prefix,
    Range,
    check,
    matches,
    number_of_mark,
    to_sql,
)

ROWS = Table(
    "filtered_row",
    MetaData(),
    Column("place", Integer, primary_key=True),
    Column("code", Text(collation="C")),
    Column("name", Text),
    Column("units", Integer),
    Column("amount", Numeric(18, 6)),
    Column("active", Boolean),
    Column("at", DateTime(timezone=True)),
    Column("owner", Uuid),
)
COLUMNS = {column.name: column for column in ROWS.columns}

# Few values, so that equal ones meet; among them what goes wrong: case, accents, wildcards, the end of Unicode.
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "aB", "ä", "a\u0308", "z", "Z", "ß", "ss", "a%", "a_b", "a\\", "'", "é", "ｅ", "😀", "\uffff"]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "code": TEXTS,
    "name": TEXTS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
    "units": st.sampled_from([0, 1, -1, 7, 2**31 - 1, -(2**31)]),
    "amount": st.sampled_from([Decimal(text) for text in ("0", "1", "1.000001", "-1", "0.5", "999999999999.999999")]),
    "active": st.booleans(),
    "at": st.sampled_from([datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in (0, 1, 10**9)]),
    "owner": st.sampled_from([uuid.UUID(int=each) for each in (0, 1, 2**127)]),
}
BOUNDS = VALUES | {"units": VALUES["units"] | st.sampled_from([2**62, -(2**62)])}
ROW = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


@st.composite
def conditions(draw: st.DrawFn) -> Filter:
    field = draw(st.sampled_from(sorted(VALUES)))
    values = BOUNDS[field]
    kinds = ["eq", "one of", "null"]
    if field not in ("active", "owner"):
        kinds.append("range")
    if field in ("code", "name"):
        kinds.append("prefix")
    match draw(st.sampled_from(kinds)):
        case "eq":
            return Eq(field, draw(values))
        case "one of":
            return OneOf(field, tuple(draw(st.lists(values, max_size=3))))
        case "null":
            return IsNull(field, draw(st.booleans()))
        case "range":
            return Range(field, *draw(st.tuples(*[st.none() | values] * 4)))
        case _:
            return Prefix(field, draw(values))


PREDICATES: st.SearchStrategy[Filter] = st.recursive(
    conditions(),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)

Ask = Callable[[list[dict[str, Any]], Filter], list[int]]


@pytest.fixture(scope="module")
def ask(administrator: Any) -> Iterator[Ask]:
    """The places of the rows that PostgreSQL finds."""
    name = administrator.create("template0")
    url = administrator.url(name).replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    loop = asyncio.new_event_loop()

    async def find(rows: list[dict[str, Any]], predicate: Filter) -> list[int]:
        async with engine.connect() as connection:
            return await look(connection, rows, predicate)

    async def look(connection: AsyncConnection, rows: list[dict[str, Any]], predicate: Filter) -> list[int]:
        await connection.execute(insert(ROWS), [{"place": place, **row} for place, row in enumerate(rows)])
        where = to_sql(predicate, COLUMNS)
        found = list((await connection.execute(select(ROWS.c.place).where(where).order_by(ROWS.c.place))).scalars())
        await connection.rollback()
        return found

    def run(work: Awaitable[Any]) -> Any:
        return loop.run_until_complete(asyncio.wait_for(work, 30))

    async def create() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(ROWS.metadata.create_all)

    run(create())
    yield lambda rows, predicate: run(find(rows, predicate))
    run(engine.dispose())
    loop.close()
    administrator.drop(name)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=6), predicate=PREDICATES)
@example(rows=[dict.fromkeys(VALUES)], predicate=Not(Eq("code", "a")))
@example(rows=[dict.fromkeys(VALUES)], predicate=Not(And((Eq("code", "a"), Not(Range("units", gt=1))))))
@example(rows=[dict.fromkeys(VALUES) | {"code": "Z"}], predicate=Range("code", gt="a"))
@example(rows=[dict.fromkeys(VALUES) | {"name": "aB"}], predicate=Prefix("name", "a_"))
@example(rows=[dict.fromkeys(VALUES)], predicate=Not(OneOf("code", ())))
@example(rows=[dict.fromkeys(VALUES)], predicate=Range("amount"))
def test_postgresql_and_python_agree(ask: Ask, rows: list[dict[str, Any]], predicate: Filter) -> None:
    assert ask(rows, predicate) == [place for place, row in enumerate(rows) if matches(predicate, row)]


@given(predicate=PREDICATES)
def test_what_the_strategy_builds_is_small_enough_or_refused(predicate: Filter) -> None:
    try:
        assert check(predicate) is predicate
    except Exception as refused:
        assert "nested" in str(refused)  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(predicate=PREDICATES)
def test_a_statement_of_marks_is_the_statement_of_the_values_they_stand_for(predicate: Filter) -> None:
    marks = Marks([])
    compiled, of_marks = (
        to_sql(each, COLUMNS).compile(dialect=dialect()) for each in (predicate, marks.within(predicate))
    )

    filled = {
        name: value if (number := number_of_mark(value)) is None else marks.values[number]
        for name, value in of_marks.params.items()
    }
    assert (str(of_marks), filled) == (str(compiled), compiled.params)


def test_conditions_that_differ_in_values_alone_look_alike_with_marks() -> None:
    one = And((Eq("units", 1), OneOf("code", ("a", "b")), Eq("active", True)))
    other = And((Eq("units", 7), OneOf("code", ("c", "d", "e")), Eq("active", True)))
    unlike = And((Eq("units", 7), OneOf("code", ("c", "d", "e")), Eq("active", False)))

    assert Marks([]).within(one) == Marks([]).within(other) != Marks([]).within(unlike)
