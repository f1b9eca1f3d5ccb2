"""Asked of a real shop over our own schema, the engine answers as graphql-core does."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import OperationType
from hypothesis import HealthCheck, Phase, assume, given, settings

from app.auth.states import SCOPES, ClientKind
from app.embedded import Stores
from app.gql.caller import Caller
from app.gql.execution import cost_limit
from app.kernel.clock import FixedClock
from app.wiring import Services
from tests import running
from tests.conftest import Administrator
from tests.engine.asking import Asked, World, operations
from tests.engine.both import PATIENCE_SECONDS, Both, graph, shows_something
from tests.engine.stored import stored
from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.desk import Answers, Desk
from tests.operations.documents import ASKED_ONCE, CUSTOMER, SUBSCRIPTIONS, Document
from tests.operations.test_execution import REHEARSED
from tests.operations.test_subscriptions import CHANGE, root_of

Path = tuple[Any, ...]

SOME = 300
MANY = int(os.environ.get("ORDERWIRE_TEST_OPERATIONS", "10000"))
SENDERS = (ClientKind.STAFF.value, ClientKind.PARTNER.value, CUSTOMER, ClientKind.STOREFRONT.value)
# What is made anew each time that a mutation is tried: by the name of the field.
MADE_ANEW = {"id", "number", "token", "orderId", "orderLineId", "causeId", "cursor", "startCursor", "endCursor"}

few_operations = settings(max_examples=SOME, deadline=None, suppress_health_check=list(HealthCheck))
many_operations = settings(few_operations, max_examples=MANY, phases=[Phase.generate])


@dataclass
class Asking:
    """A furnished shop in a loop of its own, at an instant that does not pass."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    both: Both
    callers: dict[str, Caller]
    world: World
    met: Counter[str] = field(default_factory=Counter)
    compared: set[str] = field(default_factory=set)

    def agree(self, asked: Asked) -> None:
        """Compare the answers to an operation, unless that has been done."""
        assume(repr(asked) not in self.compared)
        data = self.run(self.both.agree(asked.text, asked.variables, self.callers[asked.sender]))
        self.met["thrown away"] += data is None
        assume(data is not None)
        self.compared.add(repr(asked))
        self.met["shows something"] += shows_something(data)

    def assert_told(self, least: int) -> None:
        """So many operations have been compared, and half of the answers had something in them to compare."""
        assert len(self.compared) >= least
        assert self.met["shows something"] >= len(self.compared) / 2


@pytest.fixture
def asking(few: Furnished, administrator: Administrator, embedded: Stores) -> Iterator[Asking]:
    name = administrator.create(few.template)
    services = Services(
        running.settings(administrator.url(name), embedded.redis_url, statement_timeout_seconds=PATIENCE_SECONDS),
        FixedClock(datetime.now(UTC)),
    )
    with asyncio.Runner() as runner:
        runner.run(services.database.open())
        try:
            both = Both(Desk(services, few.keys, few.size))
            callers = runner.run(_callers(both.desk))
            limits = {each: (caller.principal.scopes, cost_limit(caller.principal)) for each, caller in callers.items()}
            found = runner.run(stored(both.by_core, callers))
            world = World(both.by_core.graph.schema, both.by_core.graph.rights, found, limits)
            yield Asking(runner.run, both, callers, world)
        finally:
            runner.run(services.database.close())
            administrator.drop(name)


async def _callers(desk: Desk) -> dict[str, Caller]:
    callers = {sender: await desk.caller(sender) for sender in SENDERS}
    staff = callers["STAFF"]
    return callers | {"STAFF": replace(staff, principal=replace(staff.principal, scopes=SCOPES))}


def test_generated_operations(asking: Asking) -> None:
    few_operations(given(operations(asking.world))(asking.agree))()

    asking.assert_told(SOME)


@pytest.mark.long
def test_many_generated_operations(asking: Asking) -> None:
    many_operations(given(operations(asking.world))(asking.agree))()

    asking.assert_told(MANY)


# --- what our callers send -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ASKED_ONCE, ids=str)
async def test_an_operation_of_a_client(few: Furnished, opened: OpenDesk, document: Document) -> None:
    """Compared where it changes nothing; mutations that keep what they do are the engine's alone here."""
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        both = Both(desk)
        sent = await desk.requests.of(document)
        ours = await both.by_engine.send(document, sent)
        if document.operation.operation is OperationType.QUERY:
            for variables in sent:
                assert await both.agree(document.text, variables, await desk.caller(document.sender)) is not None

    assert ours.errors == ours.user_errors == []
    assert graph(engine=True).not_covered == {}


# Statements a request, where each root field is written by one; another counts a list.
DIRECT = {
    "dashboard/ChannelDetail": 1,
    "dashboard/ChannelList": 2,
    "dashboard/OrderDetail": 1,
    "dashboard/OrderQueue": 2,
    "dashboard/StockLedger": 2,
    "dashboard/StockList": 2,
    "partner/CatalogSync": 1,
    "partner/CustomerByReference": 1,
    "partner/CustomerSync": 1,
    "partner/NetworkSync": 2,
    "partner/OrderByReference": 1,
    "partner/OrderLines": 1,
    "partner/StockOnHand": 1,
    "portal/MyOrder": 1,
    "portal/MyOrders": 1,
    "storefront/Availability": 1,
    "storefront/ProductList": 2,
    "storefront/ProductPage": 2,
}


@pytest.mark.parametrize("document", [each for each in ASKED_ONCE if each.name in DIRECT], ids=str)
async def test_one_statement_writes_the_answer(few: Furnished, opened: OpenDesk, document: Document) -> None:
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        sent = await desk.requests.of(document)
        answers = await Both(desk).directly.send(document, sent)

    assert answers.errors == []
    assert 0 < answers.statements <= DIRECT[document.name] * len(sent)


ODD_CODES = [[""], ["", ""], ["\x1f"], ["a\x1fb", "c"], ["Zoe\u0308", "Zoë"], ['{x,"y"}', "NULL", "\\"], ["🙂", "🙂"]]


@pytest.mark.parametrize("codes", ODD_CODES, ids=repr)
async def test_odd_codes_are_told_of_as_they_were_asked_for(few: Furnished, opened: OpenDesk, codes: list[str]) -> None:
    document = next(each for each in ASKED_ONCE if each.name == "storefront/Availability")
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        asked = {**(await desk.requests.of(document))[0], "skus": codes}
        found = await Both(desk).agree(document.text, asked, await desk.caller(document.sender))

    assert [each["sku"] for each in found["availability"]] == codes


async def test_half_a_destination_is_refused_even_where_it_would_change_nothing(
    few: Furnished, opened: OpenDesk
) -> None:
    query = 'query ($to: DestinationInput) { availability(skus: ["MUG"], channel: "WEB", destination: $to) { sku } }'
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        sender = next(each for each in ASKED_ONCE if each.name == "storefront/Availability").sender
        found = await Both(desk).agree(query, {"to": {"latitude": 51.5}}, await desk.caller(sender))

    assert found == {}, "the place of what may not be null is null"


def test_all_documents_that_are_written_are_known() -> None:
    assert {each.name for each in ASKED_ONCE} >= DIRECT.keys()


@pytest.mark.parametrize("document", REHEARSED, ids=str)
async def test_a_dry_run_of_a_client(few: Furnished, opened: OpenDesk, document: Document) -> None:
    async with opened(few, FixedClock(datetime.now(UTC))) as desk:
        both = Both(desk)
        sent = [variables | {"dryRun": True} for variables in await desk.requests.of(document)]
        theirs, again = [await both.by_core.send(document, sent) for _ in range(2)]
        ours = [await both.by_engine.send(document, sent) for _ in range(2)]

    anew = _differing(theirs.bodies, again.bodies)
    assert {path[-1] for path in anew} <= MADE_ANEW
    assert [_without(each.bodies, anew) for each in ours] == [_without(theirs.bodies, anew)] * 2
    assert theirs.errors == []
    assert graph(engine=True).not_covered == {}


@pytest.mark.parametrize("document", SUBSCRIPTIONS, ids=str)
async def test_a_subscription_of_a_client(few: Furnished, live: OpenDesk, document: Document) -> None:
    async with live(few) as desk:
        both = Both(desk)
        async with both.by_engine.watching(document) as by_engine, both.by_core.watching(document) as by_core:
            ours, theirs = await by_engine.take(), await by_core.take()
            items = await CHANGE[root_of(document)](desk)
            ours_then, theirs_then = await by_engine.take(items), await by_core.take(items)

    assert _shown(ours) == _shown(theirs)
    assert _shown(ours_then) == _shown(theirs_then)
    assert theirs.errors == theirs_then.errors == []
    assert graph(engine=True).not_covered == {}


def _shown(answers: Answers) -> list[str]:
    """All bodies, with keys in their order."""
    return [json.dumps(body) for body in answers.bodies]


def _differing(one: Any, another: Any, path: Path = ()) -> set[Path]:
    """Where two answers are not the same."""
    if isinstance(one, dict) and isinstance(another, dict) and list(one) == list(another):
        return {each for key in one for each in _differing(one[key], another[key], (*path, key))}
    if isinstance(one, list) and isinstance(another, list) and len(one) == len(another):
        return {each for n, pair in enumerate(zip(one, another, strict=True)) for each in _differing(*pair, (*path, n))}
    return set() if one == another else {path}


def _without(value: Any, anew: set[Path], path: Path = ()) -> str:
    """The answer as JSON, with the kind alone of what is made anew each time."""
    if path in anew:
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_without(each, anew, (*path, key))}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_without(each, anew, (*path, n)) for n, each in enumerate(value))}]"
    return json.dumps(value)
