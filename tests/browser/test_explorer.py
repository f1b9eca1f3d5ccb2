"""The explorer as its users meet it: it asks, it listens, and it needs nobody but this API."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from app import explorer, serving
from app.kernel.settings import Settings
from app.orders import commands as orders
from app.orders.states import HoldReason
from tests.browser.conftest import Visit
from tests.builders import Shop
from tests.running import Api

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("node")]  # Node.js builds the page


async def subscribes(visit: Visit, count: int) -> list[Any]:
    """The frames with which the page has subscribed, as soon as there are so many."""
    async with asyncio.timeout(15):
        while True:
            frames = [frame for frame in map(json.loads, visit.sent) if frame["type"] == "subscribe"]
            if len(frames) >= count:
                return frames
            await asyncio.sleep(0.05)


async def test_a_key_is_pasted_and_a_query_answered(built: Path, api: Api, visit: Visit) -> None:
    key = await api.key()
    page = visit.page

    await visit.open(api.url)
    await page.get_by_label("API key").fill(key)
    await visit.run()
    await visit.answers('"kind": "STAFF"')

    assert await page.title() == "Orderwire"
    assert await page.evaluate("JSON.stringify(localStorage)") != "{}", "GraphiQL remembers its tabs"
    assert key not in await page.evaluate("JSON.stringify(localStorage)")
    assert await page.evaluate("sessionStorage.getItem('orderwire.key')") == key
    assert not [url for url in [page.url, *visit.requests] if key in url]
    assert visit.strangers() == set()
    assert visit.problems == []


async def test_an_operation_is_run_at_once_under_its_new_name(built: Path, api: Api, visit: Visit) -> None:
    """GraphiQL reads the name a moment after the text has changed, by hand or by another tab."""
    await visit.open(api.url)

    await visit.page.evaluate(
        """() => {
            __MONACO.editor.getModels().find(model => model.uri.path.endsWith("operation.graphql"))
                .setValue("query AnotherName { viewer { kind } }");
            document.querySelector(".graphiql-execute-button").click();
        }"""
    )

    await visit.answers('"kind": "ANONYMOUS"')
    assert visit.problems == []


async def test_the_key_outlives_a_reload_and_not_the_tab(built: Path, api: Api, visit: Visit) -> None:
    await visit.open(api.url)
    await visit.page.get_by_label("API key").fill(f"Bearer {await api.key()}")
    await visit.open(api.url)
    await visit.run()
    await visit.answers('"kind": "STAFF"')

    other = await visit.page.context.new_page()
    await other.goto(f"{api.url}/graphiql")

    assert await other.get_by_label("API key").input_value() == ""


async def test_the_editor_knows_the_schema(built: Path, api: Api, visit: Visit) -> None:
    """Its checks run in workers, which the page's policy must let in."""
    page = visit.page
    await visit.open(api.url)
    await page.evaluate(
        """() => __MONACO.editor.getModels().find(model => model.uri.path.endsWith("operation.graphql"))
            .setValue("{ viewer { shoeSize } }")"""
    )

    await page.wait_for_function(
        "() => __MONACO.editor.getModelMarkers({}).some(marker => /shoeSize.*Viewer/.test(marker.message))"
    )
    assert visit.strangers() == set()
    assert visit.problems == []


async def test_a_subscription_goes_on_after_a_broken_connection(
    built: Path, api: Api, shop: Shop, visit: Visit
) -> None:
    page = visit.page
    await visit.open(api.url)
    await page.get_by_label("API key").fill(await api.key())
    await page.get_by_role("tab", name="Orders").click()
    await visit.run()
    await visit.answers('"OrderSnapshot"')
    await page.get_by_text("connected · 1 received").wait_for()

    order_id = await shop.place({"MUG": 1})
    await visit.answers('"OrderPlaced"')
    for stream in api.services.streams:
        stream.close(1012, "This server is restarting: connect again.")
    await shop.run(orders.hold, order_id=order_id, reason=HoldReason.MANUAL, note="while nobody listened")
    first, second = await subscribes(visit, 2)
    await visit.answers('"OrderHeld"')
    await page.get_by_text("connected · 3 received").wait_for()

    assert first["payload"]["variables"]["after"] is None
    assert second["payload"]["variables"]["after"]
    await page.get_by_role("button", name="Stop query").click()
    await page.get_by_text("received").wait_for(state="detached")
    assert visit.strangers() == set()
    assert visit.problems == []


async def test_a_subscription_without_a_key_says_what_is_missing(built: Path, api: Api, visit: Visit) -> None:
    await visit.open(api.url)
    await visit.page.get_by_role("tab", name="Orders").click()
    await visit.run()

    await visit.answers("UNAUTHENTICATED")
    await visit.page.get_by_role("button", name="Execute query").wait_for()


async def test_it_waits_for_the_page_to_be_built(built: Path, visit: Visit, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", port=0)
    app = Starlette(routes=explorer.routes(settings, tmp_path / "page"))
    listener = serving.listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serve = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await visit.page.goto(f"{serving.address_of(listener)}/graphiql")
        await visit.page.get_by_text("make web").wait_for()
        shutil.copytree(built, tmp_path / "page")
        await visit.page.get_by_label("API key").wait_for()
    finally:
        server.should_exit = True
        await serve
