"""What is no handshake, no frame and no request gets a plain answer: never a traceback, never silence."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from app import serving
from tests.gql.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, Log, frame, line, logged, opened, subscribe, upgrade
from tests.gql.toy import ToyShop
from tests.gql.toy import serving as toy_serving


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    """The test fails when anything is logged as trouble."""
    with logged(caplog) as log:
        yield log
    assert log.troubles == []


@pytest.fixture
async def shop(log: Log) -> AsyncIterator[ToyShop]:
    async with toy_serving() as running:
        yield running
        async with httpx2.AsyncClient() as client:  # whatever happened, the next request is served
            answer = await client.post(running.url, json={"query": "{ hello }"})
            assert answer.json()["data"] == {"hello": "hello world"}


HANDSHAKES = {
    "post": (upgrade("POST"), 405),
    "post with a body": (upgrade("POST", content_length="4") + b"abcd", 400),
    "put": (upgrade("PUT"), 405),
    "http 1.0": (upgrade(version="HTTP/1.0"), 101),
    "no key": (upgrade(sec_websocket_key=None), 400),
    "a short key": (upgrade(sec_websocket_key="abc"), 400),
    "no version": (upgrade(sec_websocket_version=None), 400),
    "an old version": (upgrade(sec_websocket_version="8"), 400),
    "an odd subprotocol": (upgrade(sec_websocket_protocol="graphql-transport-ws,,;;"), 400),
    "two hundred headers": (upgrade(**{f"x-{number}": "y" for number in range(200)}), 400),
    "a long header": (upgrade(x_long="y" * 9_000), 400),
    "a long path": (upgrade(path="/graphql?" + "q" * 9_000), 400),
    "a path beyond ascii": (upgrade(path="/graphql\xff"), 400),
    "an origin beyond ascii": (upgrade(origin="\xff"), 403),
    "the origin null": (upgrade(origin="null"), 403),
    "another path": (upgrade(path="/nothing"), 403),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_what_is_no_handshake_is_answered(shop: ToyShop, name: str) -> None:
    sent, status = HANDSHAKES[name]
    async with line(shop.port) as opening:
        await opening.send(sent)
        assert await opening.status() == status


PING_FRAME = b'{"type":"ping"}'
FRAMES = {
    "text that is not UTF-8": (frame(TEXT, b"\xff\xfe{"), 1007),
    "text that ends within a character": (frame(TEXT, b'{"type":"ping","payload":{"a":"\xc3'), 1007),
    "half a surrogate pair": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "fragments that are not UTF-8": (frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"\xff"), 1007),
    "binary": (frame(BINARY, PING_FRAME), 4400),
    "binary that is not UTF-8": (frame(BINARY, b"\xff"), 4400),
    "nothing": (frame(TEXT, b""), 4400),
    "a continuation of nothing": (frame(CONTINUATION, PING_FRAME), 1002),
    "a frame within another": (frame(TEXT, b"{", fin=False) + frame(TEXT, PING_FRAME), 1002),
    "unmasked": (frame(TEXT, PING_FRAME, mask=False), 1002),
    "reserved bits, as if compressed": (frame(TEXT, PING_FRAME, reserved=4), 1002),
    "an unknown opcode": (frame(3, b"x"), 1002),
    "a long control frame": (frame(PING, b"x" * 200), 1002),
    "a fragmented control frame": (frame(PING, b"x", fin=False), 1002),
    "a close code that is none": (frame(CLOSE, struct.pack("!H", 999)), 1002),
    "a close reason that is not UTF-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "half a close code": (frame(CLOSE, b"x"), 1002),
    "a size beyond all bounds": (b"\x81\xff" + struct.pack("!Q", 2**62) + b"\0\0\0\0", 1009),
    "too large": (frame(TEXT, b" " * 300_000), 1009),
    "too large in fragments": (
        frame(TEXT, b" " * 200_000, fin=False) + frame(CONTINUATION, b" " * 200_000, fin=False),
        1009,
    ),
    "too large, and more behind it": (frame(TEXT, b" " * 300_000) * 10, 1009),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_what_is_no_frame_closes_the_socket_with_a_reason(shop: ToyShop, name: str) -> None:
    sent, code = FRAMES[name]
    async with opened(shop.port) as peer:
        await peer.send(sent)
        told, reason = await peer.closed()
    assert (told, bool(reason)) == (code, True)


@pytest.mark.parametrize("name", FRAMES)
async def test_streams_on_the_socket_end_quietly_with_it(shop: ToyShop, name: str) -> None:
    sent, code = FRAMES[name]
    async with opened(shop.port) as peer:
        await peer.send(*(subscribe("subscription { count(to: 1000000) { number } }", f"{n}") for n in range(3)))
        await peer.frame()
        await peer.send(sent)
        assert (await peer.closed())[0] == code
    async with asyncio.timeout(5):
        while shop.trace.closed < 3 or len(shop.streams):
            await asyncio.sleep(0.01)


async def test_fragments_are_put_together(shop: ToyShop) -> None:
    text = '{"type":"ping","payload":{"a":"é"}}'.encode()
    within_a_character = text.index(b"\xc3") + 1
    async with opened(shop.port) as peer:
        await peer.send(
            frame(TEXT, text[:within_a_character], fin=False),
            frame(PING, b"between"),
            frame(CONTINUATION, text[within_a_character:]),
        )
        assert (await peer.frame())[1] == b"between"
        assert await peer.frame() == (TEXT, '{"type":"pong","payload":{"a":"é"}}'.encode())


async def test_a_peer_that_vanishes_while_it_is_answered_leaves_no_trace(shop: ToyShop) -> None:
    for _ in range(20):
        async with opened(shop.port) as peer:
            await peer.send(frame(TEXT, PING_FRAME) * 50)
            peer.reset()
    async with asyncio.timeout(5):
        while len(shop.streams):
            await asyncio.sleep(0.01)


async def test_who_does_not_read_refusals_is_not_read_from(log: Log) -> None:
    async with toy_serving(operations_max=1, send_seconds=0.5) as shop, opened(shop.port) as peer:
        await peer.send(subscribe("subscription { count(pause: 30) { number } }", "first"))
        await peer.frame()
        peer.writer.transport.pause_reading()
        before = len(asyncio.all_tasks())
        with pytest.raises((TimeoutError, OSError)):
            async with asyncio.timeout(8):
                while len(shop.streams):
                    await peer.send(*(subscribe("{ hello }", f"{n}") for n in range(2_000)))
                    assert len(asyncio.all_tasks()) < before + 10
                    await asyncio.sleep(0)
                raise TimeoutError
    assert len(shop.streams) == 0


async def test_a_client_that_answers_no_ping_may_come_back(log: Log) -> None:
    async with toy_serving(socket_ping_seconds=0.2) as shop, opened(shop.port) as peer:
        assert (await peer.frame())[0] == PING
        code, reason = await peer.closed()
    assert (code, "connect again" in reason) == (1013, True)


HTTP = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a line without a version": (b"POST /graphql\r\n\r\n", 415),
    "an unknown method": (b"BREW /graphql HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "HEAD": (b"HEAD /graphql HTTP/1.1\r\nhost: x\r\n\r\n", 405),
    "DELETE": (b"DELETE /graphql HTTP/1.1\r\nhost: x\r\n\r\n", 405),
    "a length that is no number": (b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", 400),
    "a negative length": (b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
    "two lengths": (b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400),
    "a length beyond all bounds": (
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999999999999\r\n\r\n",
        413,
    ),
    "chunks that are none": (b"POST /graphql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    "chunks beyond the limit": (
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 5
        + b"0\r\n\r\n",
        413,
    ),
    "a compressed body": (
        (
            b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n"
            b"content-length: 4\r\n\r\n\x1f\x8b\x08\x00"
        ),
        415,
    ),
    "a head without end": (b"GET /graphql HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 1_000_000, 431),
    "headers without end": (b"GET /graphql HTTP/1.1\r\nhost: x\r\n" + b"x-more: y\r\n" * 100_000, 431),
    "a path without end": (b"GET /graphql?" + b"q" * 1_000_000, 431),
    "Accept with odd qualities": (
        b"GET /graphql?query={hello} HTTP/1.1\r\nhost: x\r\naccept: application/json;q=nan, text/html;q=1e999\r\n\r\n",
        200,
    ),
}


@pytest.mark.parametrize("name", HTTP)
async def test_what_is_no_request_is_answered(shop: ToyShop, name: str) -> None:
    sent, status = HTTP[name]
    async with line(shop.port) as peer:
        for start in range(0, len(sent), 50_000):
            await peer.send(sent[start : start + 50_000])
            await asyncio.sleep(0)
        assert await peer.status() == status


async def test_a_body_that_does_not_arrive_is_given_up(log: Log) -> None:
    head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    async with toy_serving(body_seconds=0.2) as shop, line(shop.port) as peer:
        await peer.send(head)
        assert await peer.status() == 408
        assert b"did not arrive" in await peer.to_the_end()


async def test_a_body_that_is_cut_off_disturbs_nobody(shop: ToyShop) -> None:
    head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    async with line(shop.port) as peer:
        await peer.send(head)
        peer.reset()


async def test_keys_of_an_object_that_come_twice_count_once(shop: ToyShop) -> None:
    async with httpx2.AsyncClient() as client:
        body = b'{"query":"{ nothing }","query":"{ hello }","variables":{"a":1},"variables":{}}'
        answer = await client.post(shop.url, content=body, headers={"content-type": "application/json"})
    assert answer.json()["data"] == {"hello": "hello world"}


async def test_json_that_cannot_be_sent_back_is_refused(shop: ToyShop) -> None:
    async with httpx2.AsyncClient() as client:
        for value in ("99999999999999999999999999", "-" + "9" * 300, "1e999", "{a: [1e999]}"):
            answer = await client.post(shop.url, json={"query": f"{{ json(value: {value}) }}"})
            (error,) = answer.json()["errors"]
            assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED", value


@pytest.mark.parametrize("last", [b"\xff\xfe", b"\xc3\xa9", b"a b", b"x" * 3_000, b"{}", b"'; --", b"%00"])
async def test_a_last_event_id_that_is_none_of_ours_is_refused(shop: ToyShop, last: bytes) -> None:
    query = json.dumps({"query": "subscription { count { number } }"}).encode()
    head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n"
    async with line(shop.port) as peer:
        await peer.send(head, b"last-event-id: ", last, b"\r\ncontent-length: %d\r\n\r\n" % len(query), query)
        assert await peer.status() == 400


@pytest.mark.parametrize("path", ["sse", "answer"])
async def test_a_peer_that_reads_nothing_of_an_answer_is_let_go(
    log: Log, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(serving, "STALLED_SECONDS", 1.0)
    query = "subscription { big(kilobytes: 200) }" if path == "sse" else "{ long: big(kilobytes: 8000) }"
    accept = "text/event-stream" if path == "sse" else "application/json"
    body = json.dumps({"query": query}).encode()
    async with toy_serving() as shop, line(shop.port) as peer:
        peer.writer.transport.pause_reading()
        began = time.monotonic()
        await peer.send(
            f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\naccept: {accept}\r\n".encode(),
            b"content-length: %d\r\n\r\n" % len(body),
            body,
        )
        async with asyncio.timeout(15):
            while not shop.server.server_state.connections:
                await asyncio.sleep(0.01)
            while shop.server.server_state.connections or len(shop.streams):
                await asyncio.sleep(0.05)
        assert time.monotonic() - began > 0.9
