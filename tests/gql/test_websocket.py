"""graphql-transport-ws over real sockets: its close codes, its limits, and that one operation never harms another."""

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gql import toy
from tests.gql.toy import CHANNEL, serving

PROTOCOL = "graphql-transport-ws"


class Socket:
    def __init__(self, raw):
        self.raw = raw

    async def send(self, type_, id_=None, payload=None):
        frame = {"type": type_} | ({"id": id_} if id_ else {}) | ({} if payload is None else {"payload": payload})
        await self.raw.send(json.dumps(frame))

    async def receive(self):
        text = await asyncio.wait_for(self.raw.recv(), 5)
        assert isinstance(text, str), "frames are text"
        return json.loads(text)

    async def subscribe(self, query, id_="1", **payload):
        await self.send("subscribe", id_, {"query": query} | payload)

    async def until_closed(self):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(self.raw.recv(), 5)
        return self.raw.close_code, self.raw.close_reason

    async def frames_of(self, id_="1"):
        """The payloads of `next` until the operation ends, and how it ended."""
        payloads = []
        while True:
            frame = await self.receive()
            assert frame["id"] == id_
            if frame["type"] != "next":
                return payloads, frame
            payloads.append(frame["payload"])


@contextlib.asynccontextmanager
async def opened(shop, key=None, *, init=True, **options):
    async with connect(shop.ws, subprotocols=[PROTOCOL], compression=None, max_size=1 << 24, **options) as raw:
        socket = Socket(raw)
        if init:
            await socket.send("connection_init", payload={"authorization": f"Bearer {key}"} if key else None)
            assert await socket.receive() == {"type": "connection_ack"}
        yield socket


async def test_a_subscription_runs_to_its_end(shop):
    async with opened(shop) as socket:
        await socket.subscribe("subscription { count { number } }")
        payloads, last = await socket.frames_of()

    assert [payload["data"]["count"]["number"] for payload in payloads] == [1, 2, 3]
    assert last == {"type": "complete", "id": "1"}
    assert shop.trace.closed == 1


async def test_queries_and_mutations_run_too(shop):
    async with opened(shop, "maker") as socket:
        await socket.subscribe("query($n: String) { hello(name: $n) }", variables={"n": "Ann"})
        assert (await socket.frames_of())[0][0]["data"] == {"hello": "hello Ann"}
        make = 'mutation { toyMake(input: {name: "x", units: 4}, idempotencyKey: "k") { userErrors { code } } }'
        await socket.subscribe(make)
        assert (await socket.frames_of())[0][0]["data"]["toyMake"]["userErrors"] == [{"code": "OUT_OF_TOYS"}]


async def test_every_event_has_loaders_of_its_own(shop):
    async with opened(shop) as socket:
        before = toy.batches
        await socket.subscribe("subscription { count { batches again: batches } }")
        payloads, _ = await socket.frames_of()

    assert [payload["data"]["count"]["batches"] - before for payload in payloads] == [1, 2, 3]
    assert all(payload["data"]["count"]["batches"] == payload["data"]["count"]["again"] for payload in payloads)


async def test_members_of_a_union_are_told_apart(shop):
    async with opened(shop, "reader") as socket:
        await socket.subscribe("subscription { items { __typename ... on Change { number } ... on Snapshot { at } } }")
        payloads, _ = await socket.frames_of()

    assert [payload["data"]["items"] for payload in payloads] == [
        {"__typename": "Snapshot", "at": 0},
        {"__typename": "Change", "number": 1},
    ]


WRONG_OPERATIONS = [
    ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "{ hello }", "operationName": "Other"}, "OPERATION_RESOLUTION_FAILED"),
    ({"query": 'query($n: Int!) { price(minor: $n, currency: "EUR") { amount } }'}, "BAD_USER_INPUT"),
    ({"query": "{ hello }", "variables": []}, "BAD_REQUEST"),
    ({"query": "{ hello }", "variables": "x"}, "BAD_REQUEST"),
    ({"query": "{ hello }", "operationName": 5}, "BAD_REQUEST"),
    ({"query": 5}, "BAD_REQUEST"),
    ({"query": ""}, "BAD_REQUEST"),
    ({}, "BAD_REQUEST"),
    ([], "BAD_REQUEST"),
    ("{ hello }", "BAD_REQUEST"),
    (5, "BAD_REQUEST"),
    ({"documentId": "sha256:" + "0" * 64}, "PERSISTED_DOCUMENT_NOT_FOUND"),
    ({"query": "{ toy { weight } }"}, "UNAUTHENTICATED"),
    ({"query": "subscription { items { __typename } }"}, "UNAUTHENTICATED"),
    ({"query": "{ named " * 60 + "{ name }" + "}" * 60}, "QUERY_TOO_COMPLEX"),
    ({"query": "subscription { refuses }"}, "NOT_FOUND"),
]


async def test_a_failing_operation_leaves_the_others_alone(shop):
    async with opened(shop) as socket:
        await socket.subscribe("subscription { count(to: 1000, pause: 0.01) { number } }", "steady")
        for number, (payload, code) in enumerate(WRONG_OPERATIONS):
            await socket.send("subscribe", f"wrong{number}", payload)
            while (frame := await socket.receive())["id"] == "steady":
                pass
            assert frame["type"] == "error", (payload, frame)
            assert [error["extensions"]["code"] for error in frame["payload"]] == [code], (payload, frame)
        assert (await socket.receive())["id"] == "steady"


async def test_a_stream_that_breaks_ends_with_an_error_that_says_nothing(shop):
    async with opened(shop) as socket:
        await socket.subscribe("subscription { breaks }")
        payloads, last = await socket.frames_of()
        assert [payload["data"]["breaks"] for payload in payloads] == [1]
        assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "INTERNAL")
        assert "hunter2" not in json.dumps(last)
        await socket.subscribe("{ hello }", "2")
        assert (await socket.frames_of("2"))[1]["type"] == "complete"


MALFORMED = [
    "",
    "x",
    "null",
    "true",
    "1",
    '"ping"',
    "[]",
    '[{"type":"ping"}]',
    "{}",
    '{"type":null}',
    '{"type":1}',
    '{"type":["ping"]}',
    '{"type":"start"}',
    '{"type":"connection_ack"}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","payload":{"query":"{hello}"}}',
    '{"type":"subscribe","id":1,"payload":{"query":"{hello}"}}',
    '{"type":"subscribe","id":["1"],"payload":{"query":"{hello}"}}',
    '{"type":"subscribe","id":"","payload":{"query":"{hello}"}}',
    '{"type":"subscribe","id":"' + "1" * 256 + '","payload":{"query":"{hello}"}}',
    '{"type":"complete"}',
    '{"type":"complete","id":{}}',
    '{"type":"ping","payload":"x"}',
    '{"type":"pong","payload":[]}',
    '{"type":"ping","payload":{"a":"\\u0000"}}',
    '{"type":"ping","payload":{"a":NaN}}',
    '{"type":"ping","payload":' + "[" * 50_000 + "]" * 50_000 + "}",
    "[" * 100_000,
    '{"a":' * 30_000,
    '{"type":"ping","payload":{"a":' + "[" * 400 + "]" * 400 + "}}",
    '{"type":"ping"}{"type":"ping"}',
    b'{"type":"ping"}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("init", [True, False])
async def test_what_is_no_frame_closes_the_socket_with_a_reason(shop, init):
    for text in MALFORMED:
        async with opened(shop, init=init) as socket:
            await socket.raw.send(text)
            code, reason = await socket.until_closed()
        assert code == 4400, (text[:60], code, reason)
        assert reason, text[:60]
    async with opened(shop) as socket:  # and the server serves on
        await socket.subscribe("{ hello }")
        assert (await socket.frames_of())[1]["type"] == "complete"


async def test_text_that_is_not_utf8_closes_the_socket(shop):
    async with opened(shop) as socket:
        await socket.raw.send(b"\xff\xfe{", text=True)
        code, _ = await socket.until_closed()
    assert code in (1007, 4400)


async def test_connection_init_may_come_once(shop):
    async with opened(shop) as socket:
        await socket.send("connection_init")
        assert (await socket.until_closed())[0] == 4429


async def test_connection_init_payloads_are_read_with_suspicion(shop):
    for payload, code in [
        ({"authorization": "Bearer nobody"}, 4401),
        ({"authorization": 5}, 4401),
        ({"authorization": "Basic x"}, 4401),
        ({"authorization": "Bearer " + "x" * 9000}, 4401),
        ("x", 4400),
        ([], 4400),
    ]:
        async with opened(shop, init=False) as socket:
            await socket.send("connection_init", payload=payload)
            assert (await socket.until_closed())[0] == code, payload


async def test_keys_come_in_the_payload_or_in_a_header(shop):
    async with opened(shop, init=False, additional_headers={"Authorization": "Bearer reader"}) as socket:
        await socket.send("connection_init")
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.subscribe("{ toy { weight } }")
        assert (await socket.frames_of())[0][0]["data"] == {"toy": {"weight": 5}}
    async with opened(shop, init=False) as socket:
        await socket.send("connection_init", payload={"X-Orderwire-Key": "reader"})
        assert await socket.receive() == {"type": "connection_ack"}


async def test_without_connection_init_nothing_is_served():
    async with serving(init_seconds=0.2) as shop:
        async with opened(shop, init=False) as socket:
            await socket.subscribe("{ hello }")
            assert (await socket.until_closed())[0] == 4401
        async with opened(shop, init=False) as socket:
            assert (await socket.until_closed())[0] == 4408


async def test_other_subprotocols_are_refused(shop):
    for protocols in (["graphql-ws"], ["nonsense"], None):
        async with connect(shop.ws, subprotocols=protocols) as raw:
            assert (await Socket(raw).until_closed())[0] == 4406, protocols


async def test_origins_belong_to_channels(shop):
    shop.origins = {"https://shop.example": CHANNEL, "https://other.example": None}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(shop.ws, subprotocols=[PROTOCOL], origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with opened(shop, "shop", origin="https://shop.example"):
        pass
    async with opened(shop, init=False, origin="https://other.example") as socket:
        await socket.send("connection_init", payload={"authorization": "Bearer shop"})
        assert (await socket.until_closed())[0] == 4401
    async with opened(shop, origin=f"http://127.0.0.1:{shop.port}"):
        pass


async def test_an_id_may_be_used_once_at_a_time(shop):
    async with opened(shop) as socket:
        await socket.subscribe("{ hello }")
        await socket.frames_of()
        await socket.subscribe("{ hello }")
        await socket.frames_of()
        await socket.subscribe("subscription { count(pause: 5) { number } }")
        await socket.subscribe("{ hello }")
        assert await socket.until_closed() == (4409, "Subscriber for 1 already exists")


async def test_complete_stops_an_operation_and_frees_its_id(shop):
    async with opened(shop) as socket:
        await socket.subscribe("subscription { count(to: 1000, pause: 0.01) { number } }")
        await socket.receive()
        await socket.send("complete", "1")
        await socket.send("complete", "nobody")
        await socket.subscribe("{ hello }", "1")
        while "hello" not in (frame := await socket.receive()).get("payload", {}).get("data", {}):
            assert frame["type"] == "next"
        assert (await socket.receive()) == {"type": "complete", "id": "1"}
    assert shop.trace.closed == 1


async def test_a_hundred_operations_and_no_more(shop):
    async with opened(shop) as socket:
        for number in range(101):
            await socket.subscribe("subscription { count(pause: 20) { number } }", f"{number}")
        frames = [await socket.receive() for _ in range(101)]
        refused = [frame for frame in frames if frame["type"] == "error"]
        assert [(frame["id"], frame["payload"][0]["extensions"]["code"]) for frame in refused] == [
            ("100", "TOO_MANY_OPERATIONS")
        ]
        await socket.send("complete", "5")
        await socket.subscribe("{ hello }", "new")
        assert (await socket.frames_of("new"))[1]["type"] == "complete"


async def test_a_ping_is_answered_with_its_payload(shop):
    async with opened(shop, init=False) as socket:
        await socket.send("ping", payload={"at": 5})
        assert await socket.receive() == {"type": "pong", "payload": {"at": 5}}
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.send("pong", payload={"a": 1})
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}


async def test_a_socket_ends_with_its_token(shop):
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    shop.callers["token"] = replace(shop.callers["reader"], expires_at=soon)
    async with opened(shop, "token") as socket:
        await socket.subscribe("subscription { count(to: 1000, pause: 0.01) { number } }")
        code, reason = await socket.until_closed()
    assert (code, "expired" in reason) == (4403, True)
    assert shop.trace.closed == 1


async def test_a_stream_that_finds_its_credential_expired_makes_its_client_fetch_another(shop):
    async with opened(shop) as socket:
        await socket.subscribe("subscription { expires }")
        assert await socket.until_closed() == (4403, "Your credential has expired.")


async def test_a_revoked_credential_ends_its_sockets_only(shop):
    async with opened(shop, "reader") as revoked, opened(shop, "maker") as other:
        shop.streams.revoke("key:reader")
        assert (await revoked.until_closed())[0] == 4401
        shop.streams.recheck("client:maker")
        assert (await other.until_closed())[0] == 4403


async def test_draining_closes_every_socket_with_1012(shop):
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(shop)) for _ in range(20)]
        for socket in sockets:
            await socket.subscribe("subscription { count(to: 1000, pause: 0.05) { number } }")
        began = time.monotonic()
        draining = asyncio.ensure_future(shop.streams.drain.drain(0.5))
        ended = []

        async def end(socket):
            code, _ = await socket.until_closed()
            ended.append(time.monotonic() - began)
            return code

        codes = await asyncio.gather(*map(end, sockets))
        await draining
    assert set(codes) == {1012}
    assert max(ended) - min(ended) > 0.2, "not all at once"
    assert len(shop.streams) == 0


async def test_leaving_ends_all_operations(shop):
    async with opened(shop) as socket:
        for number in range(5):
            await socket.subscribe("subscription { count(to: 1000, pause: 0.01) { number } }", f"{number}")
        await socket.receive()
        socket.raw.transport.abort()
        async with asyncio.timeout(5):
            while shop.trace.closed < 5 or len(shop.streams):
                await asyncio.sleep(0.01)


async def test_a_peer_that_stops_reading_is_given_up():
    async with serving(send_seconds=0.3) as shop, opened(shop, max_queue=1) as socket:
        socket.raw.transport.pause_reading()
        await socket.subscribe("subscription { big(kilobytes: 200) }")
        async with asyncio.timeout(8):
            while not len(shop.streams):
                await asyncio.sleep(0.01)
            while len(shop.streams):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)
        socket.raw.transport.abort()
