"""Orderwire as operators run it: API and worker processes of their own, on stores that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path

import httpx2

from tests.running import SECRET

START_SECONDS = 60.0


class Fleet:
    """Processes on the same stores. What they log lies in `folder`."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "ORDERWIRE_DATABASE_URL": database_url,
            "ORDERWIRE_REDIS_URL": redis_url,
            "ORDERWIRE_SECRET_KEY": SECRET,
            "ORDERWIRE_STATE_DIR": str(folder / "state"),
            "ORDERWIRE_DRAIN_SECONDS": "0.5",
        }
        self._folder = folder
        self._processes: list[Process] = []

    async def api(self) -> str:
        """Start an API process; its URL, once it answers."""
        port = _free_port()
        await self._start("serve", ORDERWIRE_PORT=str(port))
        url = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(timeout=2) as http:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    try:
                        await http.get(f"{url}/graphql?query=%7B__typename%7D")
                        return url
                    except httpx2.HTTPError:
                        await asyncio.sleep(0.1)

    async def worker(self) -> Process:
        return await self._start("worker")

    async def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _start(self, command: str, **environment: str) -> Process:
        log = (self._folder / f"{command}-{len(self._processes)}.log").open("wb")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.cli",
            command,
            env={**self._environment, **environment},
            stdout=log,
            stderr=log,
        )
        log.close()
        self._processes.append(process)
        return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
