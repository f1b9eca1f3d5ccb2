"""An answer that is too large is not sent: the client is told why, and what to ask for instead."""

import json

import httpx2
import pytest

from tests.gql.test_websocket import opened
from tests.gql.toy import serving

GRAPHQL = "application/graphql-response+json"
ALLOWED = 64 * 1024
MUTATION = """mutation { toyMake(input: {name: "%s"}, idempotencyKey: "k") { toy { name } } }"""


@pytest.fixture
async def shop():
    async with serving(answer_bytes_max=ALLOWED) as running:
        yield running


def assert_too_large(body, *, next_step="smaller pages or fewer fields"):
    (error,) = body["errors"]
    assert body["data"] is None
    assert error["extensions"]["code"] == "ANSWER_TOO_LARGE"
    assert "64 kB are allowed" in error["message"]
    assert next_step in error["message"]


@pytest.mark.parametrize("accept", [GRAPHQL, "application/json", "text/event-stream"])
async def test_a_large_answer_is_replaced_by_the_reason(shop, accept):
    async with httpx2.AsyncClient() as client:
        for kilobytes, fits in ((62, True), (64, False)):
            query = f"{{ big(kilobytes: {kilobytes}) }}"
            answer = await client.post(shop.url, json={"query": query}, headers={"accept": accept})
            assert answer.status_code == 200
            text = answer.text
            if accept == "text/event-stream":
                text = text.partition("data: ")[2].partition("\n")[0]
            if fits:
                assert json.loads(text)["data"]["big"] == "x" * 62 * 1024
            else:
                assert_too_large(json.loads(text))


async def test_a_mutation_says_that_it_took_effect(shop):
    async with httpx2.AsyncClient() as client:
        query = MUTATION % ("x" * 65 * 1024)
        answer = await client.post(shop.url, json={"query": query}, headers={"x-orderwire-key": "maker"})
    assert_too_large(answer.json(), next_step="The mutation took effect")


async def test_a_socket_goes_on_after_a_large_answer(shop):
    async with opened(shop) as socket:
        await socket.subscribe("{ big(kilobytes: 65) }")
        payloads, last = await socket.frames_of()
        assert_too_large(payloads[0])
        assert last["type"] == "complete"

        await socket.subscribe("subscription { big(kilobytes: 65) }")
        for _ in range(3):
            assert_too_large((await socket.receive())["payload"])
