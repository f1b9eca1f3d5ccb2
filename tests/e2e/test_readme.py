"""What the README and `make demo` show works when it is pasted."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import websockets

from app.demo import callers, shop
from tests.running import Api

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.findall(r"```graphql\n(.*?)\n```", README.read_text(), re.DOTALL)
TRANSCRIPT = re.search(r"```\n(\{.*?)\n```", README.read_text(), re.DOTALL)[1]  # type: ignore[index]

THE_LAST = "{ orders(first: 1, orderBy: {field: PLACED_AT, direction: DESC}) { nodes { id } } }"
CONFIRM_THE_LAST = """mutation {
  orderConfirm(input: {order: "%s"}, idempotencyKey: "confirm it") { userErrors { message } }
}"""


@pytest.fixture
async def demo(api: Api) -> Api:
    await shop.furnish(api.services.runner)
    return api


def test_the_readme_shows_what_the_demo_prints() -> None:
    assert SHOWN == [callers.AVAILABILITY, callers.PLACE, callers.FOLLOW]


def test_the_commands_of_the_readme_are_there() -> None:
    for command in re.findall(r"`\.venv/bin/orderwire (.+?)`", README.read_text()):
        asked = [sys.executable, "-m", "app.cli", *command.split(), "--help"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=README.parent).stdout
        assert set(re.findall(r"--[a-z]+", command)) <= set(re.findall(r"--[a-z]+", told)), command
    targets = set(re.findall(r"^([a-z-]+):", (README.parent / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README.read_text())) <= targets


def test_the_demo_prints_a_command_for_a_shell(tmp_path: Path) -> None:
    """Whatever quotes the query has, a shell hands it over as it is."""
    echo = f"{sys.executable} -c 'import json, sys; print(json.loads(sys.argv[-1])[\"query\"])'"
    command = callers.curl("http://x", "ow_key", callers.AVAILABILITY).replace("curl -s", echo)

    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout

    assert printed.split() == callers.AVAILABILITY.split()


async def test_a_storefront_learns_what_can_be_had(demo: Api) -> None:
    channel = await demo.services.database.call("SELECT id FROM channel")
    key = await demo.key("STOREFRONT", channel_id=channel)

    teapot, mug = (await demo.ask(SHOWN[0], key=key))["availability"]

    # 5,000 at each of three locations, less the channel's safety stock of 2.
    assert (teapot["sku"], teapot["available"], len(mug["byLocation"])) == ("TEAPOT", 3 * 4_998, 3)


async def test_pasting_the_mutation_twice_gives_one_order(demo: Api) -> None:
    key = await demo.key("PARTNER")

    first = (await demo.ask(SHOWN[1], key=key))["orderPlace"]
    again = (await demo.ask(SHOWN[1], key=key))["orderPlace"]

    assert first["userErrors"] == []
    assert first["order"]["totals"]["total"] == {"amount": "56.00", "currencyCode": "GBP"}
    assert again == first


async def test_the_subscription_says_what_the_readme_shows(demo: Api) -> None:
    key = await demo.key("STAFF")
    told = [orjson.loads(line) for line in TRANSCRIPT.splitlines()]
    for number in range(told[0]["orderEvents"]["count"]):
        await demo.ask(SHOWN[1].replace("my first order", f"order {number}"), key=key)
    async with websockets.connect(demo.socket_url, subprotocols=["graphql-transport-ws"]) as socket:

        async def say(**frame: Any) -> None:
            await socket.send(orjson.dumps(frame).decode())

        async def said() -> Any:
            return orjson.loads(await socket.recv())

        await say(type="connection_init", payload={"authorization": f"Bearer {key}"})
        assert (await said())["type"] == "connection_ack"
        await say(id="1", type="subscribe", payload={"query": SHOWN[2]})
        frames = [(await said())["payload"]["data"]]
        await demo.ask(SHOWN[1], key=key)
        frames.append((await said())["payload"]["data"])
        await demo.ask(CONFIRM_THE_LAST % (await demo.ask(THE_LAST, key=key))["orders"]["nodes"][0]["id"], key=key)
        frames.append((await said())["payload"]["data"])
        variables = {"after": frames[1]["orderEvents"]["cursor"]}
        await say(id="2", type="subscribe", payload={"query": SHOWN[2], "variables": variables})
        assert (await said())["payload"]["data"] == frames[2]  # come back with the second cursor

    cursors = [frame["orderEvents"].pop("cursor") for frame in frames]
    assert len(set(cursors)) == 3
    for item in told:
        assert item["orderEvents"].pop("cursor").endswith("…")
    assert frames == told
