"""Clients that people use in browsers: they subscribe, lose the connection, come back and have missed nothing."""

import asyncio
import json
import subprocess

import pytest

from tests.gql.node import JS, node_modules

QUERY = "subscription($to: Int!, $after: Cursor) { count(to: $to, after: $after, pause: 0.02) { number cursor } }"


@pytest.mark.needs("node")
@pytest.mark.parametrize("client", ["graphql-ws", "graphql-sse", "urql-ws", "urql-sse"])
async def test_a_client_resumes_where_it_was(shop, client):
    await node_modules()
    process = await asyncio.create_subprocess_exec(
        *("node", "resume.mjs", client, shop.url, QUERY, json.dumps({"to": 30}), "reader"),
        cwd=JS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            for number in (5, 15):
                while line := await process.stderr.readline():
                    if line.strip() == str(number).encode():
                        break
                for stream in list(shop.streams):
                    stream.close(1012, "This server is restarting: connect again.")
            output = await process.stdout.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert json.loads(output) == {"seen": list(range(1, 31)), "error": None}
    assert len(shop.trace.opened) == 3, "two breaks, two resumptions"
