"""What goes into a set, without a database."""

import asyncio
from collections import deque

from app.kernel.combiner import ROWS_MAX, SET_MAX, Columns, _next_set, _Waiting, joined, statement


def test_a_set_is_the_columns_of_its_calls_one_after_the_other():
    first: Columns = [["k1"], [{"line": 1}, {"line": 2}], None, []]
    second: Columns = [[None], [{"line": 3}], None, ["A"]]

    assert joined([first, second]) == [["k1", None], [{"line": 1}, {"line": 2}, {"line": 3}], None, ["A"]]
    assert joined([[None], [[1]]]) == [[1]]
    assert statement("orders_place_all", 3) == "SELECT orders_place_all($1, $2, $3)"


async def waiting(*rows: int) -> deque[_Waiting]:
    loop = asyncio.get_running_loop()
    return deque(_Waiting([["k"], list(range(each))], loop.create_future()) for each in rows)


async def test_a_set_has_no_more_calls_than_may_go_together():
    calls = await waiting(*[1] * (SET_MAX + 3))

    assert len(_next_set(calls)) == SET_MAX
    assert len(calls) == 3


async def test_a_large_call_goes_by_itself_and_in_its_turn():
    calls = await waiting(1, ROWS_MAX + 1, 1, 1)

    assert [len(_next_set(calls)) for _ in range(3)] == [1, 1, 2]


async def test_who_is_gone_is_left_out():
    calls = await waiting(1, 1, 1)
    calls[1].answer.cancel()

    assert len(_next_set(calls)) == 2
    assert not calls
