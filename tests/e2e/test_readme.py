"""What the README and `make demo` show works when it is pasted."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import websockets

from app.demo import callers, shop
from tests.running import Api

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.findall(r"```graphql\n(.*?)\n```", README.read_text(), re.DOTALL)


@pytest.fixture
async def demo(api: Api) -> Api:
    await shop.furnish(api.services.runner)
    return api


def test_the_readme_shows_what_the_demo_prints() -> None:
    assert SHOWN == [callers.AVAILABILITY, callers.PLACE, callers.FOLLOW]


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


async def test_the_subscription_tells_of_an_order_placed_meanwhile(demo: Api) -> None:
    key = await demo.key("STAFF")
    async with websockets.connect(demo.socket_url, subprotocols=["graphql-transport-ws"]) as socket:

        async def say(**frame: Any) -> None:
            await socket.send(orjson.dumps(frame).decode())

        async def said() -> Any:
            return orjson.loads(await socket.recv())

        await say(type="connection_init", payload={"authorization": f"Bearer {key}"})
        assert (await said())["type"] == "connection_ack"
        await say(id="1", type="subscribe", payload={"query": SHOWN[2]})
        snapshot = (await said())["payload"]["data"]["orderEvents"]
        await demo.ask(SHOWN[1], key=key)
        change = (await said())["payload"]["data"]["orderEvents"]

    assert snapshot["count"] == 0
    assert (change["type"], change["version"]) == ("OrderPlaced", 1)
    assert change["order"] == {"lifecycle": "PLACED", "fulfillmentStatus": "SCHEDULED"}
