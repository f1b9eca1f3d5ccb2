"""What answered a query is counted, and why it was not one statement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from strawberry import Schema

from app import schema
from app.engine import Reason
from app.figures import of_engine
from app.gql.answered import Answered
from app.gql.context import Context
from app.gql.direct import Because
from app.gql.execution import Graph
from app.gql.payload import GraphQLRequest
from app.kernel.db import Database, Reads
from app.kernel.principal import system
from app.kernel.telemetry import Telemetry
from tests.builders import Shop
from tests.inventory.area import SIGNER

SKUS = "{ skus { nodes { code } } }"


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    shop = Shop(Database(database_url))
    await shop.database.open()
    await shop.open()
    yield shop
    await shop.database.close()


@pytest.fixture(scope="module")
def whole() -> Schema:
    return schema.build()


async def asked(shop: Shop, graph: Graph, text: str, *, stand_in: Any = None, **variables: Any) -> Answered:
    """What is counted for one query."""
    operation = graph.operation(GraphQLRequest(text))
    caller = system("test")
    context = Context(
        principal=caller,
        reads=Reads(shop.database, caller, shop.clock),
        runner=shop.runner,
        services=SimpleNamespace(signer=SIGNER),
        request_id="test",
    )
    context.stand_in = stand_in
    await graph.run(operation, variables, context, 0)
    return graph.answered


BY_ENGINE = [
    (Because.ROOT, "{ __typename }"),
    (Because.ROOT, "{ __schema { queryType { name } } }"),
    (Because.ROOT, '{ node(id: "U2t1Og") { id } skus { nodes { code } } }'),
    (Because.FIELD, "{ skus { nodes { stockLevels { nodes { id } } } } }"),
    (Because.REFUSED, '{ availability(skus: ["MUG"]) { available } }'),
    (Because.ARGUMENTS, '{ availability(skus: ["\x1f"], channel: "WEB") { available } }'),
    (Because.REFUSED, "{ skus(first: 101) { nodes { code } } }"),
    (Because.REFUSED, '{ skus(after: "x") { nodes { code } } }'),
    (Because.REFUSED, "{ sku { code } }"),
]


@pytest.mark.parametrize(("because", "text"), BY_ENGINE)
async def test_the_engine(shop: Shop, whole: Schema, because: Because, text: str) -> None:
    graph = Graph(whole)

    for times in (1, 2):
        assert await asked(shop, graph, text) == Answered(by_engine={because: times})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [SKUS, "{ skus { totalCount } }", "{ skus { pageInfo { hasNextPage } } }"])
async def test_one_statement(shop: Shop, whole: Schema, text: str) -> None:
    assert await asked(shop, Graph(whole), text) == Answered(directly=1)


async def test_a_statement_that_fails(shop: Shop, whole: Schema) -> None:
    await shop.execute("ALTER TABLE sku RENAME COLUMN code TO other")

    assert (await asked(shop, Graph(whole), SKUS)).by_engine == {Because.FAILED: 1}


async def test_what_memory_is_to_keep(shop: Shop, whole: Schema) -> None:
    answered = await asked(shop, Graph(whole), "{ skus { nodes { code } } }", stand_in=lambda _: ())

    assert answered.by_engine == {Because.MEMORY: 1}


async def test_what_is_switched_off(shop: Shop, whole: Schema) -> None:
    assert (await asked(shop, Graph(whole, direct_reads=False), SKUS)).by_engine == {Because.SWITCHED_OFF: 1}
    assert await asked(shop, Graph(whole, engine=False), SKUS) == Answered(by_core={None: 1})  # type: ignore[arg-type]


MANY_CONDITIONS = f"""query({" ".join(f"$v{n}: Boolean = true" for n in range(7))}) {{
  skus {{ {" ".join(f"a{n}: totalCount @include(if: $v{n})" for n in range(7))} }} }}"""


async def test_graphql_core(shop: Shop, whole: Schema) -> None:
    assert (await asked(shop, Graph(whole), MANY_CONDITIONS)).by_core == {Reason.CONDITIONS: 1}


async def test_nothing_answers_what_has_wrong_variables(shop: Shop, whole: Schema) -> None:
    text = "query($size: Int!) { skus(first: $size) { totalCount } }"

    for graph in (Graph(whole), Graph(whole, engine=False)):
        assert await asked(shop, graph, text, size="x") == Answered()


async def test_mutations_are_not_queries(shop: Shop, whole: Schema) -> None:
    text = 'mutation { channelUpsert(input: {code: "X"}, idempotencyKey: "k") { userErrors { message } } }'

    assert await asked(shop, Graph(whole), text) == Answered()


def test_every_way_is_shown() -> None:
    telemetry, answered = Telemetry(), Answered(directly=3)
    of_engine(telemetry, {}, answered)
    answered.by_engine[Because.FIELD] += 2
    answered.by_core[None] += 1

    shown = [line for line in telemetry.text().decode().splitlines() if line.startswith("orderwire_queries")]

    assert len(shown) == 1 + len(Because) + len(Reason) + 1
    assert 'orderwire_queries_answered_total{by="statement",reason=""} 3.0' in shown
    assert 'orderwire_queries_answered_total{by="engine",reason="field"} 2.0' in shown
    assert 'orderwire_queries_answered_total{by="graphql-core",reason="switched_off"} 1.0' in shown
