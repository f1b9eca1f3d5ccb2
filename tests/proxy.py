"""Proxies that cut connections, knowing what they cut: the request, the wait for its answer, or the answer.

`HttpProxy` stands before the API, `PostgresProxy` before PostgreSQL, where it cuts around whatever commits. A cut is
abrupt on both sides, as when a cable is pulled.
"""

from __future__ import annotations

import asyncio
import random
import re
import struct
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Self

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Cut(StrEnum):
    """BEFORE the request was sent in full, DURING the wait for the answer, AFTER it began to arrive here."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Broken(Exception):
    """This connection ends here."""


class Proxy(ABC):
    """Forwards to where `connect` leads. While `share` is above 0, that share of the requests is cut.

    cuts  how many connections were cut, by moment; the moments come up evenly
    """

    def __init__(self, connect: Connect, *, seed: int) -> None:
        self.cuts: Counter[Cut] = Counter()
        self.share = 0.0
        self.random = random.Random(seed)
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._pairs:
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def moment(self) -> Cut | None:
        """Where to cut the next request, if at all."""
        if self.random.random() >= self.share:
            return None
        return min(Cut, key=lambda cut: (self.cuts[cut], self.random.random()))

    def cut(self, moment: Cut) -> Broken:
        self.cuts[moment] += 1
        return Broken()

    def part_of(self, data: bytes) -> bytes:
        """The beginning of the data, possibly nothing of it, never all."""
        return data[: self.random.randrange(len(data))]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._pairs.add(task)
        task.add_done_callback(self._pairs.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self._connect()
            try:
                with suppress(Broken, OSError, asyncio.IncompleteReadError):
                    await self.forward(reader, writer, far_reader, far_writer)
            finally:
                far_writer.transport.abort()
        finally:
            writer.transport.abort()

    @abstractmethod
    async def forward(
        self,
        near_in: asyncio.StreamReader,
        near_out: asyncio.StreamWriter,
        far_in: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
    ) -> None:
        """Forward until either side ends.  Raises Broken to cut both."""


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


class HttpProxy(Proxy):
    """For clients that send one request with a Content-Length on each connection."""

    async def forward(
        self,
        near_in: asyncio.StreamReader,
        near_out: asyncio.StreamWriter,
        far_in: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
    ) -> None:
        head = await near_in.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        request = head + (await near_in.readexactly(int(length[1])) if length else b"")
        moment = self.moment()
        if moment is Cut.BEFORE:
            await send(far_out, self.part_of(request))
            raise self.cut(Cut.BEFORE)
        await send(far_out, request)
        gone = asyncio.ensure_future(near_in.read(1))
        answer = asyncio.ensure_future(far_in.read(65_536))
        try:
            if moment is Cut.DURING:
                await asyncio.wait({answer}, timeout=self.random.uniform(0, 0.02))
                raise self.cut(Cut.AFTER if answer.done() else Cut.DURING)
            while True:
                await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done() or not (data := answer.result()):
                    return
                if moment is Cut.AFTER:
                    await send(near_out, self.part_of(data))
                    raise self.cut(Cut.AFTER)
                await send(near_out, data)
                answer = asyncio.ensure_future(far_in.read(65_536))
        finally:
            answer.cancel()
            gone.cancel()


class PostgresProxy(Proxy):
    """Cuts around what commits: COMMIT itself, and calls of the given functions, which commit by themselves.

    BEFORE  the message was not forwarded, or only in part: PostgreSQL rolls back
    DURING  it was forwarded and nobody waited: it may have committed or not
    AFTER   PostgreSQL has said that it is done, and the client does not hear of it: it has committed, or refused
    """

    def __init__(self, connect: Connect, functions: set[str], *, seed: int) -> None:
        super().__init__(connect, seed=seed)
        self._commits = re.compile(rb"COMMIT|SELECT (" + "|".join(sorted(functions)).encode() + rb")\(")

    async def forward(
        self,
        near_in: asyncio.StreamReader,
        near_out: asyncio.StreamWriter,
        far_in: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
    ) -> None:
        swallow, done = asyncio.Event(), asyncio.Event()
        ways = [
            asyncio.create_task(self._answers(far_in, near_out, swallow, done)),
            asyncio.create_task(self._requests(near_in, far_out, swallow, done)),
        ]
        try:
            first, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        first.pop().result()

    async def _answers(
        self, far_in: asyncio.StreamReader, near_out: asyncio.StreamWriter, swallow: asyncio.Event, done: asyncio.Event
    ) -> None:
        """What PostgreSQL says, until told to keep it back; then only that it is ready again."""
        tail = b""
        while data := await far_in.read(65_536):
            if not swallow.is_set():
                await send(near_out, data)
                continue
            tail = (tail + data)[-6:]
            if tail[:5] == b"Z\x00\x00\x00\x05":  # ReadyForQuery ends every answer
                done.set()
        raise Broken

    async def _requests(
        self, near_in: asyncio.StreamReader, far_out: asyncio.StreamWriter, swallow: asyncio.Event, done: asyncio.Event
    ) -> None:
        while True:  # before the session: an SSLRequest perhaps, then the StartupMessage
            size = await near_in.readexactly(4)
            body = await near_in.readexactly(struct.unpack("!I", size)[0] - 4)
            await send(far_out, size + body)
            if body[:4] == struct.pack("!I", 196_608):
                break
        committing: set[bytes] = set()  # prepared statements that commit, by name
        while True:
            head = await near_in.readexactly(5)
            body = await near_in.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            kind = head[:1]
            if kind == b"P":
                name, sql = body.split(b"\0")[:2]
                committing.discard(name)
                if self._commits.match(sql):
                    committing.add(name)
            elif (kind == b"Q" and self._commits.match(body)) or (
                kind == b"B" and body.split(b"\0", 2)[1] in committing
            ):
                await self._commit(head + body, near_in, far_out, swallow, done)
                continue
            await send(far_out, head + body)

    async def _commit(
        self,
        message: bytes,
        near_in: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
        swallow: asyncio.Event,
        done: asyncio.Event,
    ) -> None:
        if message[:1] == b"B":  # Bind alone does nothing: what follows up to Sync belongs to it
            while message[-5:] != b"S\x00\x00\x00\x04":
                message += await near_in.read(65_536)
        moment = self.moment()
        if moment is None:
            await send(far_out, message)
            return
        if moment is Cut.BEFORE:
            await send(far_out, self.part_of(message))
            raise self.cut(moment)
        swallow.set()
        await send(far_out, message)
        if moment is Cut.AFTER:
            await asyncio.wait_for(done.wait(), 30)
        else:
            await asyncio.sleep(self.random.choice((0.0, 0.0005, 0.002)))
        raise self.cut(moment)
