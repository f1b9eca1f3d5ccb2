"""What a customer is told by streams, over both transports, and how streams end with the credential they live by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.auth import commands as auth
from app.auth import handlers
from app.auth.keys import Key, new_key, parse_key
from app.auth.tokens import claims_of
from app.gql.nodes import parse_id
from app.kernel.work import CommandArguments
from app.orders import commands as orders
from tests.rights.probes import graph
from tests.rights.scene import Scene, nobodys, opened, token
from tests.running import OPERATOR

ORDERS = """subscription Orders($ids: [ID!], $where: OrderWhere, $after: Cursor) {
  orderEvents(ids: $ids, where: $where, after: $after) { __typename
    ... on OrderSnapshot { cursor count orders { id } }
    ... on OrderChange { cursor orderId orderNumber type version order { id customer { code } } } } }"""
CART = 'subscription { availabilityChanges(channel: "WEB", lines: [{sku: "MUG", quantity: 1}]) { __typename } }'
ANY = [None, {"NOT": {"number": {"eq": "x"}}}, {"OR": [{"number": {"startsWith": "OW"}}, {"AND": []}]}]


def test_every_subscription_is_known_here() -> None:
    """A new one needs tests of its own, here and in test_bound_keys.py."""
    assert set(graph().schema.type_map["Subscription"].fields) == {"orderEvents", "stockChanges", "availabilityChanges"}


async def test_orders_of_others_are_not_found(scene: Scene) -> None:
    own, bobs = scene.ids["ada order"], scene.ids["bob order"]
    async with opened(scene.api, scene.callers["bob"]) as bob:
        await bob.subscribe(ORDERS, {"ids": [bobs]})
        assert (await bob.item())["orders"] == [{"id": bobs}]
    async with opened(scene.api, scene.callers["ada"]) as ada:
        for beside in ([], [own]):
            told = []
            for it in (bobs, nobodys(bobs)):
                await ada.subscribe(ORDERS, {"ids": [*beside, it]}, str(uuid4()))
                told.append(json.dumps(await ada.error()).replace(it, "<asked>"))
            assert told[0] == told[1]
            assert "NOT_FOUND" in told[0]


async def test_only_ones_own_orders_are_told_live_and_from_anybodys_cursor(scene: Scene) -> None:
    """What happens to others' orders comes first: it would have been told before one's own."""
    cursors = []
    for who in ("bob", "staff"):
        async with opened(scene.api, scene.callers[who]) as socket:
            await socket.subscribe(ORDERS)
            cursors.append((await socket.item())["cursor"])
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(scene.api, scene.callers["ada"])) for _ in ANY]
        for socket, where in zip(sockets, ANY, strict=True):
            await socket.subscribe(ORDERS, {"where": where} if where else {})
            assert (await socket.item())["count"] == 2

        await hold(scene, "bob order")
        await scene.place("another of bob", "MUG", customer="c-bob")
        await scene.place("a guest's", "MUG")
        await hold(scene, "ada order")

        for socket in sockets:
            told_of_own_only(scene, await socket.item())
    for cursor in cursors:
        for where in ANY:
            async with opened(scene.api, scene.callers["ada"]) as socket:
                await socket.subscribe(ORDERS, {"where": where, "after": cursor})
                told_of_own_only(scene, await socket.item())
            async with events(scene, "ada", ORDERS, {"where": where}, last=cursor) as items:
                told_of_own_only(scene, (await anext(items))["data"]["orderEvents"])


def told_of_own_only(scene: Scene, item: Any) -> None:
    assert item["orderNumber"] == scene.numbers["ada order"], item
    assert (item["type"], item["order"]["customer"]) == ("OrderHeld", {"code": "c-ada"})


async def hold(scene: Scene, name: str) -> None:
    found = parse_id(scene.ids[name])
    assert found is not None
    await scene.shop.run(orders.hold, order_id=UUID(bytes=found[1]), reason="MANUAL")


@asynccontextmanager
async def events(
    scene: Scene, who: str, query: str, variables: dict[str, Any] | None = None, *, last: str | None = None
) -> AsyncIterator[AsyncIterator[Any]]:
    """A stream of server-sent events: the data of each, None for `complete`; ends where the stream is cut."""
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {scene.callers[who]}"}
    headers |= {"last-event-id": last} if last else {}
    body = {"query": query, "variables": variables or {}}
    async with scene.api.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()

        async def items() -> AsyncIterator[Any]:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:]) if line[5:].strip() else None

        yield items()


async def test_a_tampered_cursor_is_refused(scene: Scene) -> None:
    async with opened(scene.api, scene.callers["ada"]) as socket:
        await socket.subscribe(ORDERS)
        cursor = (await socket.item())["cursor"]
        page = await scene.ask("ada", "{ orders(first: 1) { pageInfo { endCursor } } }")
        of_a_page = page["orders"]["pageInfo"]["endCursor"]
        forged = [cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1], cursor + "AAAA", cursor[:20]]
        forged += [of_a_page, "AAAA", cursor[1:], scene.tokens["WEB"]]
        forged += [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(0, len(cursor), 7)]
        for each in forged:
            await socket.subscribe(ORDERS, {"after": each}, str(uuid4()))
            (error,) = await socket.error()
            assert error["extensions"]["code"] == "VALIDATION", each
    listed = "query($c: Cursor) { orders(after: $c) { totalCount } }"
    for each in (cursor, of_a_page[:-3] + "AAA", "AAAA", ""):
        answer = await scene.send("ada", listed, {"c": each})
        assert answer.json()["errors"][0]["extensions"]["code"] in ("VALIDATION", "BAD_USER_INPUT"), (each, answer.text)


# How a credential ends, what then closes a socket, and what somebody who comes back with it is told.
async def revoke_key(scene: Scene, key: Key) -> None:
    await scene.api.services.runner.run(OPERATOR, auth.revoke_key, CommandArguments(None), key_id=key.key_id)


async def revoke_client(scene: Scene, key: Key) -> None:
    name = await client_name(scene, key)
    await scene.api.services.runner.run(OPERATOR, auth.revoke_client, CommandArguments(None), name=name)


async def lose_a_scope(scene: Scene, key: Key) -> None:
    name = await client_name(scene, key)
    given = {"name": name, "scopes": ["catalog:read"]}
    await scene.api.services.runner.run(OPERATOR, auth.set_scopes, CommandArguments(None), **given)


async def client_name(scene: Scene, key: Key) -> str:
    sql = "SELECT c.name FROM api_client c JOIN api_key k ON k.client_id = c.id WHERE k.key_id = :id"
    return str((await scene.shop.one(sql, id=key.key_id)).name)


ENDS = [
    pytest.param(revoke_key, {4401}, id="key revoked"),
    pytest.param(revoke_client, {4401, 4403}, id="client revoked"),
    pytest.param(lose_a_scope, {4403}, id="scope taken away"),
]


@pytest.mark.parametrize(("end", "codes"), ENDS)
@pytest.mark.parametrize(("who", "query"), [("web", ORDERS), ("web shop", None)])
async def test_a_credential_that_ends_takes_its_streams_along(
    scene: Scene, end: Any, codes: set[int], who: str, query: str | None
) -> None:
    key = parse_key(scene.callers[who])
    assert key is not None
    query = query or CART.replace('channel: "WEB", ', "")
    if end is lose_a_scope:
        query = query.replace("customer { code }", "id")
    async with (
        opened(scene.api, scene.callers[who]) as subscribed,
        opened(scene.api, scene.callers[who]) as idle,
        events(scene, who, query) as items,
    ):
        await subscribed.subscribe(query)
        await subscribed.item()
        await anext(items)

        await end(scene, key)

        for socket in (subscribed, idle):
            assert (await socket.until_closed())[0] in codes
        async with asyncio.timeout(10):
            assert [item async for item in items] == [], "the stream is cut, not completed"
    answer = await scene.send(who, "{ orders { totalCount } }")
    assert answer.status_code == (403 if end is lose_a_scope else 401)


async def test_a_rotated_key_ends_alone(scene: Scene) -> None:
    first = parse_key(scene.callers["web"])
    assert first is not None
    second = new_key("dev")
    given = {"name": await client_name(scene, first), "key_id": second.key_id, "secret_sha256": second.sha256()}
    await scene.api.services.runner.run(OPERATOR, auth.rotate, CommandArguments(None), **given)
    async with opened(scene.api, first.text()) as old, opened(scene.api, second.text()) as new:
        await new.subscribe(ORDERS)
        await new.item()
        await revoke_key(scene, first)

        assert (await old.until_closed())[0] == 4401
        await scene.place("one more", "MUG")
        assert (await new.item())["orderNumber"] == scene.numbers["one more"]


async def test_customers_go_when_the_service_that_vouched_for_them_does(scene: Scene) -> None:
    service = parse_key(scene.callers["service"])
    assert service is not None
    scene.callers["other service"] = await scene.api.key("SERVICE")
    scene.callers["ada elsewhere"] = await token(scene, "ada", service="other service")
    async with (
        opened(scene.api, scene.callers["ada"]) as ended,
        opened(scene.api, scene.callers["ada elsewhere"]) as unharmed,
        events(scene, "ada", ORDERS) as items,
    ):
        await ended.subscribe(ORDERS)
        await ended.item()
        await anext(items)
        await unharmed.subscribe(ORDERS)
        await unharmed.item()

        await revoke_client(scene, service)

        assert (await ended.until_closed())[0] == 4403
        async with asyncio.timeout(10):
            assert [item async for item in items] == []
        await hold(scene, "ada order")
        assert (await unharmed.item())["type"] == "OrderHeld"
    assert (await scene.send("ada", "{ viewer { kind } }")).status_code == 401


async def test_a_revocation_that_was_missed_is_made_up_for(scene: Scene) -> None:
    """The log is numbered anew, and what it told of a key in between is gone."""
    key = parse_key(scene.callers["web"])
    assert key is not None
    async with (
        opened(scene.api, scene.callers["web"]) as idle,
        opened(scene.api, scene.callers["b2b"]) as unharmed,
        opened(scene.api, None) as nobody,
    ):
        await scene.shop.execute("UPDATE api_key SET revoked_at = now() WHERE key_id = :id", id=key.key_id)
        for mailbox in list(scene.api.services.hub._topics):
            mailbox.renumber()

        assert (await idle.until_closed())[0] == 4401
        for socket in (unharmed, nobody):
            await socket.send(type="ping")
            assert (await socket.receive())["type"] == "pong"


async def test_whoever_watches_over_rights_outlives_a_fault(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    key, stumbled = parse_key(scene.callers["web"]), []
    assert key is not None

    def stumble(*_: object) -> None:
        stumbled.append(True)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(handlers, "apply", stumble)
    async with opened(scene.api, scene.callers["web"]) as idle:
        await revoke_key(scene, key)
        assert (await idle.until_closed())[0] == 4401
    assert stumbled


# Long enough that streams are open before it ends, also where the machine stands still for a while.
BRIEF_SECONDS = 7


async def brief_token(scene: Scene) -> str:
    """Ada's token, good for a moment."""
    services, ada = scene.api.services, parse_id(scene.ids["ada"])
    service = await scene.shop.one("SELECT id FROM api_client WHERE kind = 'SERVICE'")
    assert ada is not None
    customer_id, now = UUID(bytes=ada[1]), services.clock.now()
    claims = claims_of(customer_id=customer_id, client_id=service.id, token_id=uuid4(), now=now, lifetime=BRIEF_SECONDS)
    return services.customer_tokens.sign(claims)


async def brief_key(scene: Scene) -> str:
    """A partner's key, good for a moment."""
    key = parse_key(await scene.api.key("PARTNER"))
    assert key is not None
    soon = scene.api.services.clock.now() + timedelta(seconds=BRIEF_SECONDS)
    await scene.shop.execute("UPDATE api_key SET expires_at = :at WHERE key_id = :id", at=soon, id=key.key_id)
    return key.text()


@pytest.mark.parametrize("brief", [brief_token, brief_key])
async def test_an_expired_credential_closes_its_streams_with_4403(scene: Scene, brief: Any) -> None:
    scene.callers["brief"] = await brief(scene)
    async with (
        opened(scene.api, scene.callers["brief"]) as subscribed,
        opened(scene.api, scene.callers["brief"]) as idle,
        events(scene, "brief", ORDERS) as items,
    ):
        await subscribed.subscribe(ORDERS)
        await subscribed.item()
        await anext(items)

        for socket in (subscribed, idle):
            code, reason = await socket.until_closed()
            assert (code, "expired" in (reason or "")) == (4403, True)
        async with asyncio.timeout(10):
            assert [item async for item in items] == [], "the stream is cut, not completed"
    answer = await scene.send("brief", "{ viewer { kind } }")
    assert (answer.status_code, "expired" in answer.text) == (401, True)
    async with opened(scene.api, scene.callers["brief"], init=False) as socket:
        code, reason = await socket.until_closed()
        assert (code, "expired" in (reason or "")) == (4401, True)
