"""Credentials that are no good, and pages of wrong origins, at the real doors: HTTP, streams of events, WebSocket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.auth import commands as auth
from app.auth import keys
from app.auth.keys import new_key, parse_key
from app.customers import commands as customers
from app.gql.nodes import parse_id
from app.kernel.work import CommandArguments
from tests.rights.scene import PROTOCOL, Scene, opened
from tests.running import OPERATOR

WHO = "{ viewer { kind customerId } }"
ORDERS = "subscription { orderEvents { __typename } }"
WEB, B2B, EVIL = "https://web.example", "https://b2b.example", "https://evil.example"


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: Any, claims: Any, key: bytes) -> str:
    body = f"{part(header)}.{part(claims)}"
    tag = hmac.digest(key, body.encode(), hashlib.sha256)
    return f"{body}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"


def claims_in(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


async def refused_everywhere(scene: Scene, credential: str) -> set[str]:
    """What is said about the credential, which no door may take."""
    headers = {"authorization": f"Bearer {credential}"}
    answers = [
        await scene.api.http.post("/graphql", json={"query": WHO}, headers=headers),
        await scene.api.http.get("/graphql", params={"query": WHO}, headers=headers),
        await scene.api.http.post(
            "/graphql", json={"query": ORDERS}, headers={**headers, "accept": "text/event-stream"}
        ),
        await scene.api.http.post("/graphql", json={"query": WHO}, headers={"x-orderwire-key": credential}),
    ]
    said = set()
    for answer in answers:
        assert answer.status_code == 401, (credential, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
        said.add(error["message"])
    async with opened(scene.api, credential, init=False) as socket:
        code, reason = await socket.until_closed()
        assert code == 4401
        said.add(str(reason))
    assert not [each for each in said if len(credential) > 4 and credential in each], "nobody repeats a credential"
    return said


async def test_tokens_that_were_not_issued_here_open_no_door(scene: Scene) -> None:
    good = scene.callers["ada"]
    key, claims = scene.api.services.signer.key("customer-token"), claims_in(scene.callers["ada"])
    header = {"alg": "HS256", "typ": "ow-customer+jwt"}
    bob = parse_id(scene.ids["bob"])
    assert bob is not None
    as_bob = {**claims, "sub": str(UUID(bytes=bob[1]))}
    assert (await scene.ask("ada", WHO))["viewer"] == {"kind": "CUSTOMER", "customerId": scene.ids["ada"]}
    answer = await scene.api.send(WHO, key=signed(header, dict(sorted(claims.items())), key))
    assert answer.json()["data"]["viewer"]["kind"] == "CUSTOMER", "what follows fails for its own reason only"

    first, second, third = good.split(".")
    wrong = [
        f"{first}.{part(as_bob)}.{third}",
        f"{part({**header, 'alg': 'none'})}.{part(as_bob)}.",
        f"{part({**header, 'alg': 'none'})}.{second}.{third}",
        signed({**header, "alg": "HS512"}, claims, key),
        signed({**header, "crit": ["exp"]}, claims, key),
        signed({**header, "jwk": {"kty": "oct", "k": "AAAA"}}, claims, key),
        signed({"alg": "HS256", "typ": "JWT"}, claims, key),
        signed(header, {**claims, "iss": "somebody else"}, key),
        signed(header, {**claims, "aud": "orderwire"}, key),
        signed(header, {**claims, "exp": str(claims["exp"])}, key),
        signed(header, {**claims, "client": "00000000-0000-0000-0000-000000000000"}, key),
        signed(header, as_bob, b"a key of somebody else's, 32 bytes"),
        signed(header, as_bob, scene.api.services.signer.key("page-cursor")),
        signed(header, as_bob, b""),
        f"{first}.{second}.{third[:-1]}",
        f"{first}.{second}",
        good + "x",
        " ".join(good),
    ]
    for token in wrong:
        await refused_everywhere(scene, token)


async def test_keys_that_are_no_keys_open_no_door(scene: Scene) -> None:
    key = parse_key(scene.callers["staff"])
    assert key is not None
    other = new_key("dev")
    unknown = await refused_everywhere(scene, other.text())
    wrong_secret = await refused_everywhere(scene, f"ow_dev_{key.key_id}_{other.secret}")
    assert unknown == wrong_secret, "nobody learns which ids of keys there are"
    for wrong in (
        f"ow_live_{key.key_id}_{key.secret}",
        f"ow_dev_{key.key_id}_{key.secret[:-1]}",
        f"ow_dev_{key.key_id}_{key.secret}x",
        f"ow_dev_{key.key_id.upper()}_{key.secret}",
        f"OW_dev_{key.key_id}_{key.secret}",
        f"ow_dev_{key.key_id}_",
        f"ow_dev__{key.secret}",
        "ow_",
        key.secret,
        key.key_id,
        key.sha256().hex(),
        "ow_dev_' OR true --_" + key.secret,
        "x" * 9000,
    ):
        await refused_everywhere(scene, wrong)


async def test_a_revoked_key_is_named_to_its_holder_only(scene: Scene) -> None:
    key = parse_key(scene.callers["partner"])
    assert key is not None
    await scene.api.services.runner.run(OPERATOR, auth.revoke_key, CommandArguments(None), key_id=key.key_id)

    assert {"revoked" in said for said in await refused_everywhere(scene, key.text())} == {True}
    impostor = f"ow_dev_{key.key_id}_{new_key('dev').secret}"
    assert {"revoked" in said for said in await refused_everywhere(scene, impostor)} == {False}


async def test_secrets_are_compared_in_constant_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no such key is known: the very same comparison is made."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(keys, "hmac", Watched)
    known, other = parse_key(scene.callers["staff"]), new_key("dev")
    assert known is not None
    for credential in (known.text(), other.text(), f"ow_dev_{known.key_id}_{other.secret}"):
        await scene.api.send(WHO, key=credential)
    assert [len(one) == len(stored) == 32 for one, stored in compared] == [True, True, True]
    assert compared[0][0] == compared[0][1]


@pytest.mark.parametrize("who", ["web shop", "web"])
async def test_pages_need_the_origin_of_the_keys_channel(scene: Scene, who: str) -> None:
    headers = {"authorization": f"Bearer {scene.callers[who]}"}
    for origin, status, named in ((WEB, 200, True), (B2B, 403, True), (EVIL, 403, False), ("null", 403, False)):
        answer = await scene.api.http.post("/graphql", json={"query": WHO}, headers={**headers, "origin": origin})
        assert answer.status_code == status, (origin, answer.text)
        assert answer.headers.get("access-control-allow-origin") == (origin if named else None)
        assert "access-control-allow-credentials" not in answer.headers
        assert "data" not in answer.json() or status == 200

        asked = {"origin": origin, "access-control-request-method": "POST"}
        preflight = await scene.api.http.options("/graphql", headers=asked)
        assert ("access-control-allow-methods" in preflight.headers) == named

        stream = {**headers, "origin": origin, "accept": "text/event-stream"}
        query = {"query": 'subscription { availabilityChanges(lines: [{sku: "MUG", quantity: 1}]) { __typename } }'}
        async with scene.api.http.stream("POST", "/graphql", json=query, headers=stream) as events:
            assert events.status_code == status

        if not named:
            with pytest.raises(InvalidStatus) as refused:
                async with connect(scene.api.socket_url, subprotocols=[PROTOCOL], origin=origin):  # type: ignore[list-item, arg-type]
                    pass
            assert refused.value.response.status_code == 403
            continue
        async with opened(scene.api, scene.callers[who], init=False, origin=origin) as socket:
            if status == 200:
                assert (await socket.receive())["type"] == "connection_ack"
            else:
                code, reason = await socket.until_closed()
                assert (code, origin in str(reason)) == (4401, True)


async def test_unbound_callers_may_come_from_pages_of_any_channel(scene: Scene) -> None:
    for who in ("ada", "staff"):
        headers = {"authorization": f"Bearer {scene.callers[who]}"}
        for origin, named in ((WEB, True), (B2B, True), (EVIL, False), (WEB.upper().replace("HTTPS", "https"), True)):
            answer = await scene.api.http.post("/graphql", json={"query": WHO}, headers={**headers, "origin": origin})
            # Without the header a browser keeps the answer from the page; who sends it by hand has no page.
            assert (answer.headers.get("access-control-allow-origin") == origin) == named
            assert answer.headers["vary"] == "Origin, Accept"


async def test_a_closed_channels_pages_are_shut_out(scene: Scene) -> None:
    await scene.shop.execute("UPDATE channel SET active = false WHERE code = 'B2B'")
    scene.api.services.origins._until = 0.0  # what it remembers for five seconds

    answer = await scene.api.http.post("/graphql", json={"query": WHO}, headers={"origin": B2B})
    assert "access-control-allow-origin" not in answer.headers
    with pytest.raises(InvalidStatus):
        async with connect(scene.api.socket_url, subprotocols=[PROTOCOL], origin=B2B):  # type: ignore[list-item, arg-type]
            pass


async def test_a_token_asked_for_again_is_the_same_also_when_the_customer_is_not_active_any_more(scene: Scene) -> None:
    document = """mutation($customer: ID!, $key: String!) {
      customerTokenCreate(input: {customer: $customer}, idempotencyKey: $key) { token userErrors { code path } } }"""

    async def asked(key: str) -> Any:
        given = {"customer": scene.ids["ada"], "key": key}
        return (await scene.ask("service", document, given))["customerTokenCreate"]

    first = await asked("same")
    await scene.shop.run(customers.upsert_customer, customer={"code": "c-ada", "active": False})

    assert first["token"]
    assert await asked("same") == first
    assert await asked("other") == {
        "token": None,
        "userErrors": [{"code": "NOT_FOUND", "path": ["input", "customer"]}],
    }
