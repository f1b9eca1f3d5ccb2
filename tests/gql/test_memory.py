"""A subscription that lives for long holds no more than one that has just begun."""

import gc
from collections import Counter

from app.gql.caller import Caller
from app.gql.payload import GraphQLRequest
from app.kernel.principal import ANONYMOUS
from tests.gql.toy import ToyShop

FEW, MANY = 10, 510
QUERY = "subscription { count(to: 600) { cursor number } }"


async def test_events_that_were_told_leave_nothing_behind(shop: ToyShop) -> None:
    graph = shop.graph
    operation = graph.operation(GraphQLRequest(query=QUERY, variables={}))
    answers = graph.stream(operation, {}, lambda: shop.new_context(Caller(ANONYMOUS)))

    for _ in range(FEW):
        await anext(answers)
    before = held()
    for _ in range(MANY - FEW):
        await anext(answers)
    after = held()
    await answers.aclose()

    assert [(kind, more) for kind, more in (after - before).items() if more >= MANY - FEW] == []


def held() -> Counter[str]:
    """Objects by type, as the garbage collector knows them."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())
