"""A PostgreSQL that is further away: a relay in a process of its own that keeps back what clients send for 1 ms."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from bench.stage import API_CORE

DELAY_SECONDS = 0.001


@asynccontextmanager
async def far(url: str) -> AsyncIterator[str]:
    """The address of the same database, one millisecond away."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    near = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    process = multiprocessing.get_context("fork").Process(target=_relay, args=(listener, near), daemon=True)
    process.start()
    try:
        place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{listener.getsockname()[1]}"
        yield parts._replace(netloc=place, query="").geturl()
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
        listener.close()


def _relay(listener: socket.socket, near: str) -> None:
    """Threads that sleep, because event loops round a millisecond up."""
    os.sched_setaffinity(0, {API_CORE})
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = socket.socket(socket.AF_UNIX)
        server.connect(near)
        threading.Thread(target=_pass_on, args=(client, server, DELAY_SECONDS), daemon=True).start()
        threading.Thread(target=_pass_on, args=(server, client, 0.0), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            if delay:
                time.sleep(delay)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
