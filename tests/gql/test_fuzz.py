"""Input that hypothesis thinks up, for the whole API: a plain answer goes back and no trouble is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, StringValueNode, build_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import Administrator
from tests.gql.fuzzed import Served
from tests.gql.fuzzed import served as serving

SDL = Path(__file__).parents[2] / "graphql" / "schema.graphql"
STATUSES = {200, 400, 401, 403, 405, 406, 413, 415}
CLOSE_CODES = {1002, 1007, 1009, 4400, 4401, 4403, 4408, 4409, 4429}

SHORT = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def served(administrator: Administrator, template_database: str, embedded: Any) -> Iterator[Served]:
    name = administrator.create(template_database)
    with serving(administrator.url(name), embedded.redis_url) as served:
        yield served
    administrator.drop(name)


# --- what is sent ----------------------------------------------------------------------------------------------------

DOCUMENTS = [
    "{ viewer { kind } }",
    "query($where: OrderWhere, $first: Int) { orders(where: $where, first: $first) { nodes { number } } }",
    "query($id: ID!) { node(id: $id) { id } }",
    (
        "mutation($input: OrderPlaceInput!, $key: String!) { orderPlace(input: $input, idempotencyKey: $key)"
        " { order { number } userErrors { code path } } }"
    ),
    "subscription($ids: [ID!], $after: Cursor) { orderEvents(ids: $ids, after: $after) { __typename } }",
    "subscription($lines: [CartLineInput!]!) { availabilityChanges(lines: $lines) { __typename } }",
]
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 1e308, 10**400])
)
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["\0", "\ud800", "é" * 300, "9" * 400, "-1", "null"]))
DEEP = st.sampled_from([json.loads("[" * depth + "]" * depth) for depth in (40, 300, 900)])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, DEEP),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
NAMES = [
    "where",
    "first",
    "id",
    "ids",
    "input",
    "key",
    "after",
    "lines",
    "and",
    "or",
    "not",
    "sku",
    "quantity",
    "number",
]
VARIABLES = st.recursive(
    VALUES, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4), max_leaves=10
)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[str]) -> str:
    """A text with something cut out, doubled, nested or put in."""
    text = draw(whole)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    return draw(
        st.sampled_from(
            [
                text,
                text[:start] + text[end:],
                text[:end] + text[start:],
                text[:start] + draw(TEXTS) + text[end:],
                text[:start] + "[" * 300 + text[start:],
                text[:start] + '{"a":' * 300 + text[start:],
                text[:start] + "{ a " * 300 + text[start:],
            ]
        )
    )


QUERIES = damaged(st.sampled_from(DOCUMENTS))
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "query": st.one_of(QUERIES, st.sampled_from(DOCUMENTS), VALUES),
        "variables": VARIABLES,
        "operationName": VALUES,
        "documentId": VALUES,
        "extensions": st.one_of(VALUES, st.builds(lambda value: {"persistedQuery": value}, VALUES)),
    },
)


def written(value: Any) -> str:
    """As JSON, NaN and lone surrogates and all."""
    return json.dumps(value)


BODIES = st.one_of(
    st.binary(max_size=400),
    REQUESTS.map(written).map(str.encode),
    damaged(REQUESTS.map(written)).map(lambda text: text.encode("utf-8", "surrogatepass")),
    VALUES.map(written).map(str.encode),
)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", "x"])},
    optional={
        "accept": st.sampled_from(
            ["*/*", "application/graphql-response+json", "text/html", "application/json;q=0", ";;"]
        ),
        "origin": st.sampled_from(["null", "https://evil.example", "x", "://"]),
        "last-event-id": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
        "x-request-id": st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    },
)
OBJECTS = st.dictionaries(st.sampled_from(["authorization", "x", ""]), st.one_of(DEEP, VALUES), max_size=2)
SOUND_FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "ping"]), "id": st.sampled_from(["1", "2", "3"])},
    optional={"payload": st.one_of(REQUESTS, OBJECTS)},
).map(written)
FRAMES = st.one_of(
    st.binary(max_size=200),
    TEXTS.map(lambda text: text.encode("utf-8", "replace").decode()),
    st.fixed_dictionaries(
        {
            "type": st.one_of(
                st.sampled_from(["subscribe", "complete", "ping", "pong", "connection_init", "next"]), VALUES
            )
        },
        optional={
            "id": st.one_of(st.sampled_from(["1", "2"]), VALUES),
            "payload": st.one_of(REQUESTS, VALUES, OBJECTS),
        },
    ).map(written),
)
# Most frames end their socket, so what would be answered goes first.
CONVERSATIONS = st.builds(
    lambda sound, any_: sound + any_, st.lists(SOUND_FRAMES, max_size=4), st.lists(FRAMES, max_size=3)
)


# --- what must hold --------------------------------------------------------------------------------------------------


def assert_plain(served: Served, sent: Any, body: Any) -> None:
    assert "INTERNAL" not in json.dumps(body), (sent, body)
    assert served.take_troubles() == [], sent


def post(served: Served, body: bytes, headers: dict[str, str], method: str = "POST") -> None:
    with_key = {"authorization": f"Bearer {served.key}"} | headers
    answer = served.http.request(method, "/graphql", content=body, headers=with_key)
    assert answer.status_code in STATUSES, (body, answer.status_code, answer.text)
    errors = answer.json().get("errors", [])
    assert all(error["message"] for error in errors)
    assert answer.status_code == 200 or errors
    assert_plain(served, body, errors)


async def talk(served: Served, sent: list[Any], *, init: bool) -> None:
    """Send it all, then see whether the socket answers or was closed with a reason."""
    async with connect(served.api.socket_url, subprotocols=["graphql-transport-ws"], compression=None) as socket:
        try:
            if init:
                credential = {"authorization": f"Bearer {served.key}"}
                await socket.send(json.dumps({"type": "connection_init", "payload": credential}))
                await socket.recv()
            for each in sent:
                await socket.send(each)
            await socket.send('{"type":"ping","payload":{"last":"one"}}')
            async with asyncio.timeout(10):
                while (frame := json.loads(await socket.recv())) != {"type": "pong", "payload": {"last": "one"}}:
                    assert "INTERNAL" not in json.dumps(frame), (sent, frame)
        except ConnectionClosed:
            assert socket.close_code in CLOSE_CODES, (sent, socket.close_code, socket.close_reason)
            assert socket.close_reason, sent
    assert served.take_troubles() == [], sent


def test_bodies(served: Served) -> None:
    SHORT(given(BODIES, HEADERS)(lambda body, headers: post(served, body, headers)))()


def test_frames(served: Served) -> None:
    SHORT(given(CONVERSATIONS, st.booleans())(lambda sent, init: served.run(talk(served, sent, init=init))))()


@pytest.mark.long
def test_many_bodies(served: Served) -> None:
    LONG(given(BODIES, HEADERS)(lambda body, headers: post(served, body, headers)))()


@pytest.mark.long
def test_many_frames(served: Served) -> None:
    LONG(given(CONVERSATIONS, st.booleans())(lambda sent, init: served.run(talk(served, sent, init=init))))()


# --- operations of the schema, with values of every kind that their types take ---------------------------------------


@cache
def exported() -> GraphQLSchema:
    return build_schema(SDL.read_text())


def literals(*examples: str) -> st.SearchStrategy[StringValueNode]:
    return st.one_of(st.sampled_from(examples), st.text(max_size=12)).map(nodes.String)


SCALARS = {
    "DateTime": literals("2026-03-01T09:30:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-13-01"),
    "Date": literals("2026-03-01", "0001-01-01", "9999-12-31", "2026-02-30"),
    "Decimal": literals("19.99", "-1", "99999999999999999999.999999999999", "0.000000000001", "1e5"),
    "Cursor": literals("abc", "x" * 1024),
    "UUID": literals("0195d3b0-6f3c-7d63-8e9c-2f1a5c0b7f11"),
    "CurrencyCode": literals("GBP", "JPY", "KWD", "XXX"),
    "CountryCode": literals("GB", "ZZ"),
    "TimeZone": literals("Europe/London", "UTC"),
    "Long": st.one_of(st.integers(), st.sampled_from([2**63 - 1, -(2**63), 2**63])).map(nodes.Int),
    "JSON": st.integers(0, 9).map(nodes.Int),
}


def roots() -> list[str]:
    schema = exported()
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    return [*schema.query_type.fields, *schema.mutation_type.fields]


def operation(served: Served, document: str) -> None:
    body = json.dumps({"query": document}).encode()
    if len(body) < 200_000:
        post(served, body, {"content-type": "application/json"})


@pytest.mark.parametrize("root", roots())
def test_operations(served: Served, root: str) -> None:
    documents = from_schema(exported(), fields=[root], custom_scalars=SCALARS, allow_x00=False)
    settings(SHORT, max_examples=3)(given(documents)(lambda document: operation(served, document)))()


@pytest.mark.long
@pytest.mark.parametrize("root", roots())
def test_many_operations(served: Served, root: str) -> None:
    documents = from_schema(exported(), fields=[root], custom_scalars=SCALARS)
    settings(LONG, max_examples=200)(given(documents)(lambda document: operation(served, document)))()
