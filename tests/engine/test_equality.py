"""Whatever is asked, the engine answers as graphql-core does: data, errors, their places and their order."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from hypothesis_graphql import strategies as documents

from tests.engine.awkward import schema as awkward
from tests.engine.compare import by_engine, by_graphql_core, compiled, shown

SCHEMA = awkward._schema
SOME = 150
MANY = int(os.environ.get("ORDERWIRE_TEST_OPERATIONS", "10000"))

TEXTS = documents.from_schema(
    awkward.as_str(),
    custom_scalars={
        "Shout": st.sampled_from(["hey", "you"]).map(nodes.String),
    },
)
few = settings(max_examples=SOME, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
many = settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


async def agree(text: str) -> None:
    operation = compiled(SCHEMA, text)
    theirs = shown(await by_graphql_core(SCHEMA, text, {}))
    with_care = shown(await by_engine(compiled(SCHEMA, text, at_once=False), {}))
    at_once = shown(await by_engine(operation, {}))
    await settled()
    assert with_care == theirs, text
    assert at_once == theirs, text


async def settled() -> None:
    """What was given up comes to its end before the loop does."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.gather(*others, return_exceptions=True)


# What is cancelled before its first step is never awaited, by graphql-core and by the engine alike.
quiet = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine .* was never awaited:RuntimeWarning"
)


@quiet
@few
@given(TEXTS)
def test_generated_operations_over_an_awkward_schema(text: str) -> None:
    asyncio.run(agree(text))


@quiet
@pytest.mark.long
@many
@given(TEXTS)
def test_many_generated_operations_over_an_awkward_schema(text: str) -> None:
    asyncio.run(agree(text))
