"""The explorer in a real browser, on the whole product."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import ConsoleMessage, Page, WebSocket, async_playwright

from tests import running
from tests.builders import Shop
from tests.running import Api

ROOT = Path(__file__).parents[2]
# Nothing but the page under test may make a connection, and no name resolves: a CDN would not be found.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Visit:
    """A page in the browser and all that went on in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.sent: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", self._opened)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _opened(self, socket: WebSocket) -> None:
        self.requests.append(socket.url)
        socket.on("framesent", lambda frame: self.sent.append(str(frame)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def strangers(self) -> set[str]:
        """Hosts other than this machine that the page asked for anything."""
        urls = [urlsplit(url) for url in self.requests if not url.startswith(("data:", "blob:"))]
        return {url.hostname or "" for url in urls} - {"127.0.0.1"}

    async def open(self, url: str) -> None:
        """Go to the explorer and wait for its editors, which come after the page."""
        await self.page.goto(f"{url}/graphiql")
        await self.page.locator(".graphiql-response .view-lines").wait_for()

    async def run(self) -> None:
        await self.page.get_by_role("button", name="Execute query").click()

    async def answers(self, text: str) -> None:
        """Wait until the response shows this text."""
        shown = """text => globalThis.__MONACO?.editor.getModels().some(
            model => model.uri.path.includes("response") && model.getValue().includes(text))"""
        await self.page.wait_for_function(shown, arg=text)


@pytest.fixture(scope="session")
def built() -> Path:
    """The page as its sources say now."""
    make, npm = shutil.which("make"), shutil.which("npm")
    assert make, "make builds the page"
    assert npm, "npm comes with Node.js"
    done = subprocess.run([make, "web"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "app" / "static" / "explorer"


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """An empty page of a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=FLAGS,
            chromium_sandbox=os.geteuid() != 0,
        )
        context = await browser.new_context(viewport={"width": 1400, "height": 900})
        page = await context.new_page()
        page.set_default_timeout(15_000)
        yield Visit(page)
        await browser.close()


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """API and worker on an empty database of their own."""
    given = running.settings(database_url, redis_url)
    async with running.worker(given), running.api(given) as api:
        yield api


@pytest.fixture
async def shop(api: Api) -> Shop:
    """A shop with mugs on the API's database, changed beside the API."""
    shop = Shop(api.services.database)
    await shop.open()
    await shop.sku("MUG")
    await shop.stock("MUG", 100)
    return shop
