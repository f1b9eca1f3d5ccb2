"""What Orderwire is measured against: each a process of its own on the API's core, on the same database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

from bench.stage import API_CORE, answers, free_port, on_core

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = ROOT / ".ci" / "node"
_STOP_SECONDS = 10


class LeftOut(Exception):
    """A reference can't be had here; the message says which and why."""


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    pid: int


def by_node(file: str) -> list[str]:
    """The command of a program for Node.js.  Raises LeftOut."""
    stamp = HERE / "node_modules" / ".package-lock.json"
    if not stamp.is_file() or stamp.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        _install()
        stamp.touch()
    return [str(NODE), "--locked", "node", str(HERE / file)]


def _install() -> None:
    command = [str(NODE), "--locked", "npm", "--prefix", str(HERE), "ci", "--no-audit", "--no-fund", "--silent"]
    npm = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if npm.returncode:
        reason = (npm.stdout.strip().splitlines() or [f"npm ended with {npm.returncode}"])[-1]
        raise LeftOut(f"its packages can't be installed: {reason}")


def by_uvicorn(module: str, app: str = "app") -> list[str]:
    """The command of an ASGI application, served as ours is."""
    return [
        *(sys.executable, "-m", "uvicorn", f"bench.peers.{module}:{app}"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    ]


@asynccontextmanager
async def started(name: str, command: Sequence[str], database_url: str | None = None) -> AsyncIterator[Peer]:
    """A peer that listens, until it is no longer needed.  Raises LeftOut."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        where = _environment(database_url) if database_url else {}
        process = _run(command, {**where, "PORT": str(port), "UVICORN_PORT": str(port)}, log)
        try:
            if not await _listens(process, port):
                log.seek(0)
                raise LeftOut(f"it does not start: {log.read().decode(errors='replace')[-1000:]}")
            yield Peer(name, port, process.pid)
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _run(command: Sequence[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        preexec_fn=on_core(API_CORE),
        cwd=ROOT,
        env={**os.environ, **environment, "NODE_ENV": "production"},
        stdout=log,
        stderr=log,
    )


async def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it does; false where it has ended instead, or takes too long."""
    listens = asyncio.create_task(answers(port))
    while process.poll() is None:
        if (await asyncio.wait([listens], timeout=0.1))[0]:
            return listens.exception() is None
    listens.cancel()
    return False


def _environment(database_url: str) -> dict[str, str]:
    """The address by the variables that every driver reads."""
    parts = urlsplit(database_url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    found = {
        "DATABASE_URL": database_url,
        "PGHOST": query.get("host") or parts.hostname,
        "PGPORT": query.get("port") or (parts.port and str(parts.port)),
        "PGUSER": parts.username and unquote(parts.username),
        "PGPASSWORD": parts.password and unquote(parts.password),
        "PGDATABASE": parts.path.removeprefix("/"),
    }
    return {name: value for name, value in found.items() if value}
