"""docs/tutorial.md, run from its first line to its last."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TUTORIAL, re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"
ANYTHING = "…"
ANSWER_SECONDS_MAX = 30


def steps() -> Iterator[tuple[str, list[Any]]]:
    """Each block of commands, and the JSON that the tutorial says it answers with."""
    for number, (language, text) in enumerate(BLOCKS):
        if language == "sh":
            told = BLOCKS[number + 1][1] if BLOCKS[number + 1 : number + 2] and BLOCKS[number + 1][0] == "json" else ""
            yield text, list(values(told))


def values(text: str) -> Iterator[Any]:
    """The JSON values in the text, however they are spread over its lines; what is cut off at its end is left out."""
    decoder, at = json.JSONDecoder(), 0
    while (begin := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, begin)
        except json.JSONDecodeError:
            return
        yield value


def agrees(told: Any, found: Any) -> bool:
    """Whether what was found is as told; more than was told is fine."""
    if told == ANYTHING:
        return found is not None
    if isinstance(told, dict):
        return isinstance(found, dict) and all(name in found and agrees(told[name], found[name]) for name in told)
    if isinstance(told, list):
        return isinstance(found, list) and len(told) == len(found) and all(map(agrees, told, found))
    return bool(told == found)


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Where `make demo` serves: it is `orderwire dev --demo` in the environment that tests have."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "dev", "--demo"),
        cwd=ROOT,
        env=surroundings(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        served = re.search(r"http://\S+(?=/graphql)", (await process.stdout.readline()).decode())
        assert served is not None
        while "curl" not in (await process.stdout.readline()).decode():
            pass
    yield served[0]
    process.terminate()
    await asyncio.wait_for(process.communicate(), 60)


def surroundings(tmp_path: Path) -> dict[str, str]:
    state = {"ORDERWIRE_STATE_DIR": str(tmp_path / "state"), "ORDERWIRE_PORT": "0", "ORDERWIRE_EXPLORER": "false"}
    return {**os.environ, **state}


@pytest.mark.needs("curl")
async def test_the_tutorial_works_as_it_stands(address: str, tmp_path: Path) -> None:
    (start, _), *rest = steps()
    assert start == "make demo\n"
    assert "orderwire dev --demo" in (ROOT / "Makefile").read_text()
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-eu"),
        cwd=tmp_path,
        start_new_session=True,
        env=surroundings(tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert shell.stdin is not None
    try:
        for text, told in rest:
            shell.stdin.write(text.replace(ADDRESS, address).encode())
            await answered(shell, told, text)
        shell.stdin.write_eof()
        assert await asyncio.wait_for(shell.wait(), ANSWER_SECONDS_MAX) == 0
    finally:
        if shell.returncode is None:
            os.killpg(shell.pid, signal.SIGKILL)  # what it runs holds its output open, and the wait is for that too
            await shell.wait()


async def answered(shell: asyncio.subprocess.Process, told: list[Any], text: str) -> None:
    """Read until all that is told has been said, in whatever order two processes said it; nothing else may be said."""
    assert shell.stdout is not None
    said, found = "", []
    with suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while len(found) < len(told) and (chunk := await shell.stdout.read(65536)):
                said += chunk.decode()
                found = list(values(said))
    assert len(found) == len(told), f"{text}\nanswered\n{said}"
    for each in told:
        assert any(agrees(each, other) for other in found), f"{text}\nanswered\n{said}"
