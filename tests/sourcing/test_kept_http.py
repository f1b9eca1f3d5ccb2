"""Availability by GET and id over real sockets: what HTTP caches are told, and how old an answer may be."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import orjson
import pytest

from app.auth import commands as auth
from app.kernel.clock import SystemClock
from app.kernel.work import CommandArguments
from tests import running
from tests.builders import Shop
from tests.operations.documents import FOLDER
from tests.running import OPERATOR, Api

TEXT = (FOLDER / "storefront" / "Availability.graphql").read_text()
LOOKUP = (FOLDER / "storefront" / "ProductList.graphql").read_text()


def id_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@asynccontextmanager
async def serving(shop: Shop, redis_url: str, *, followed: bool = True, **given: Any) -> AsyncIterator[Api]:
    """An API process, with a worker that it follows."""
    settings = running.settings(shop.database.dsn, redis_url, **given)
    async with running.api(settings) as api:
        if not followed:
            yield api
            return
        async with running.worker(settings), asyncio.timeout(60):
            while not api.services.recent_availability.is_followed:
                await asyncio.sleep(0.01)
            yield api


@pytest.fixture
async def api(shop: Shop, redis_url: str) -> AsyncIterator[Api]:
    for n, sku in enumerate(("MUG", "CUP", "JAR")):
        await shop.sku(sku)
        await shop.stock(sku, 5 + n)
    async with serving(shop, redis_url) as api:
        yield api


async def get(
    api: Api, key: str | None, variables: Mapping[str, Any], *, text: str = TEXT, **headers: str
) -> httpx2.Response:
    sent = {"authorization": f"Bearer {key}"} if key else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    asked = {"documentId": id_of(text), "variables": orjson.dumps(variables).decode()}
    return await api.http.get("/graphql", params=asked, headers=sent)


async def channel_id(shop: Shop, code: str = "WEB") -> UUID:
    return UUID(str((await shop.one("SELECT id FROM channel WHERE code = :code", code=code)).id))


async def test_an_answer_is_what_post_says_with_its_place_in_the_log(shop: Shop, api: Api) -> None:
    key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
    asked = {"skus": ["CUP", "NONE", "MUG"], "channel": "WEB"}

    answer = await get(api, key, asked)
    posted = await api.send(TEXT, asked, key=key)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    told, fresh = answer.json(), posted.json()
    for each in (*told["data"]["availability"], *fresh["data"]["availability"]):
        for step in each["atp"][:1]:
            del step["from"]
    assert told["data"] == fresh["data"]
    assert told["extensions"]["cost"] == fresh["extensions"]["cost"]
    assert set(told["extensions"]) - set(fresh["extensions"]) == {"asOf"}
    assert posted.headers["cache-control"] == "no-store"
    assert "etag" not in posted.headers


async def test_who_has_the_answer_is_not_sent_it_again(shop: Shop, api: Api) -> None:
    key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
    asked = {"skus": ["MUG", "CUP"], "channel": "WEB"}
    tag = (await get(api, key, asked)).headers["etag"]

    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await get(api, key, asked, if_none_match=given)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "public, max-age=5"
        assert "content-type" not in again.headers
    assert (await get(api, key, asked, if_none_match='"other"')).status_code == 200

    await shop.place({"MUG": 1})
    async with asyncio.timeout(5):
        while (changed := await get(api, key, asked, if_none_match=tag)).status_code == 304:
            await asyncio.sleep(0.01)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert [each["available"] for each in changed.json()["data"]["availability"]] == [4, 6]


async def test_caches_keep_for_others_only_what_everybody_may_see(shop: Shop, api: Api) -> None:
    storefront = await api.key("STOREFRONT", channel_id=await channel_id(shop))
    staff = await api.key("STAFF")
    named, bound = {"skus": ["MUG"], "channel": "WEB"}, {"skus": ["MUG"]}

    for key, asked, told in (
        (storefront, named, "public, max-age=5"),
        (storefront, bound, "private, max-age=5"),
        (staff, named, "private, no-cache"),
        (storefront, {"skus": ["MUG"], "channel": "OTHER"}, "no-store"),
        (storefront, {"skus": []}, "no-store"),
        (staff, bound, "no-store"),
        (None, named, "no-store"),
        ("ow_dev_nonsense", named, "no-store"),
    ):
        for _ in range(2):
            answer = await get(api, key, asked)
            assert answer.headers["cache-control"] == told, (asked, answer.text)
            assert ("etag" in answer.headers) == (told != "no-store") == ("errors" not in answer.json())
    answer = await get(api, storefront, named)
    assert answer.headers["vary"] == "Origin, Accept, Authorization, X-Orderwire-Key"
    other = await get(api, staff, {"first": 1}, text=LOOKUP)
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")
    text = await api.http.get(
        "/graphql",
        params={"query": TEXT, "variables": orjson.dumps(named).decode()},
        headers={"x-orderwire-key": storefront},
    )
    assert (text.status_code, text.headers["cache-control"]) == (200, "no-store")


async def test_pages_of_a_channel_may_send_and_read_the_tag(shop: Shop, redis_url: str) -> None:
    await shop.channel(origins=["https://shop.example"])
    await shop.sku("MUG")
    async with serving(shop, redis_url) as api:
        key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
        asked = {"skus": ["MUG"], "channel": "WEB"}
        answer = await get(api, key, asked, origin="https://shop.example")
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "etag" in answer.headers["access-control-expose-headers"]
        again = await get(api, key, asked, origin="https://shop.example", if_none_match=answer.headers["etag"])
        assert again.status_code == 304
        assert again.headers["access-control-allow-origin"] == "https://shop.example"
        assert (await get(api, key, asked, origin="https://other.example")).status_code == 403
        preflight = await api.http.options("/graphql", headers={"origin": "https://shop.example"})
        assert "if-none-match" in preflight.headers["access-control-allow-headers"]


async def test_an_answer_that_time_will_change_is_kept_no_longer(shop: Shop, redis_url: str) -> None:
    soon = SystemClock().now()
    await shop.sku("SOON", preorder_release_at=soon, backorder_limit=2)
    async with serving(shop, redis_url) as api:
        release = SystemClock().now() + timedelta(seconds=3.5)
        await shop.sku("SOON", preorder_release_at=release, backorder_limit=2)
        key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
        async with asyncio.timeout(5):
            while True:
                answer = await get(api, key, {"skus": ["SOON"], "channel": "WEB"})
                if answer.json()["data"]["availability"][0]["status"] == "PREORDER":
                    break
                await asyncio.sleep(0.01)
        assert answer.headers["cache-control"] in ("public, max-age=3", "public, max-age=2")


async def test_a_revoked_key_is_told_nothing_more(shop: Shop, api: Api) -> None:
    key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
    asked = {"skus": ["MUG"], "channel": "WEB"}
    tag = (await get(api, key, asked)).headers["etag"]
    client = await shop.one("SELECT name FROM api_client WHERE kind = 'STOREFRONT'")

    await api.services.runner.run(OPERATOR, auth.revoke_client, CommandArguments(None), name=client.name)

    async with asyncio.timeout(5):
        while (answer := await get(api, key, asked, if_none_match=tag)).status_code != 401:
            await asyncio.sleep(0.01)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", [{"availability_cache": False}, {"followed": False}])
async def test_unfollowed_or_switched_off_every_answer_is_read(
    shop: Shop, redis_url: str, given: dict[str, Any]
) -> None:
    await shop.sku("MUG")
    asked = {"skus": ["MUG"], "channel": "WEB"}
    async with serving(shop, redis_url, **{"followed": False, **given}) as api:
        key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
        tags = set()
        for units in range(1, 4):
            await shop.stock("MUG", 1)
            answer = await get(api, key, asked)
            tags.add(answer.headers["etag"])
            assert answer.json()["data"]["availability"][0]["available"] == units
            assert "asOf" in answer.json()["extensions"]
            assert (await get(api, key, asked, if_none_match=answer.headers["etag"])).status_code == 304
        assert len(tags) == 3
        assert api.services.recent_availability.stats.hits == 0


async def test_without_a_relay_it_is_read_again_each_time(shop: Shop, redis_url: str) -> None:
    await shop.sku("MUG")
    settings = running.settings(shop.database.dsn, redis_url)
    asked = {"skus": ["MUG"], "channel": "WEB"}
    async with running.api(settings) as api:
        recent = api.services.recent_availability
        key = await api.key("STOREFRONT", channel_id=await channel_id(shop))

        async def until_followed(followed: bool) -> None:
            async with asyncio.timeout(20):
                while recent.is_followed is not followed:
                    await asyncio.sleep(0.01)

        async with running.worker(settings):
            async with asyncio.timeout(20):
                while recent.stats.hits == 0:  # nothing is kept while a message of Redis is late
                    await until_followed(True)
                    await get(api, key, asked)
        await until_followed(False)
        await shop.stock("MUG", 3)

        answer = await get(api, key, asked)
        assert answer.json()["data"]["availability"][0]["available"] == 3
        said = api.services.cursors.open(answer.json()["extensions"]["asOf"])
        assert said == api.services.hub.head()

        async with running.worker(settings):
            await until_followed(True)
            async with asyncio.timeout(5):
                while api.services.hub.head().pos == said.pos:
                    await asyncio.sleep(0.01)
            answer = await get(api, key, asked)
            assert answer.json()["data"]["availability"][0]["available"] == 3


async def test_no_answer_is_older_than_it_says_while_others_write(shop: Shop, api: Api) -> None:
    key = await api.key("STOREFRONT", channel_id=await channel_id(shop))
    skus, dice, done = ("MUG", "CUP", "JAR"), random.Random(7), asyncio.Event()
    had = {sku: 5 + n for n, sku in enumerate(skus)}
    answers: list[tuple[int, dict[str, int]]] = []

    async def read() -> None:
        last = 0
        while not done.is_set():
            asked = dice.sample(skus, dice.randint(1, 3))
            body = (await get(api, key, {"skus": asked, "channel": "WEB"})).json()
            pos = api.services.cursors.open(body["extensions"]["asOf"]).pos
            assert pos >= last  # one process never goes back
            last = pos
            answers.append((pos, {each["sku"]: each["available"] for each in body["data"]["availability"]}))

    async def write() -> None:
        for _ in range(60):
            await shop.stock(dice.choice(skus), 1)
            await asyncio.sleep(dice.choice((0, 0, 0.01, 0.03)))

    readers = [asyncio.create_task(read()) for _ in range(6)]
    await asyncio.gather(*(write() for _ in range(3)))
    await asyncio.sleep(0.3)
    done.set()
    await asyncio.gather(*readers)

    rows = await shop.rows(
        "SELECT e.pos, s.code FROM event_log e JOIN sku s ON ('sku:' || s.id) = ANY (e.topics)"
        " WHERE e.type = 'StockAdjusted' ORDER BY e.pos"
    )
    risen = {sku: [row.pos for row in rows if row.code == sku][1:] for sku in skus}
    for pos, found in answers:
        for sku, units in found.items():
            assert had[sku] + sum(each <= pos for each in risen[sku]) <= units <= had[sku] + len(risen[sku])
    stats = api.services.recent_availability.stats
    assert stats.hits > 0
    assert stats.dropped > 0
    assert answers[-1][1].items() <= {sku: had[sku] + len(risen[sku]) for sku in skus}.items()
