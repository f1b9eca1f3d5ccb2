"""API keys and customer tokens: who they make of a caller, and every way in which they are no good."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.auth import commands, handlers, queries, tokens
from app.auth.authenticator import Authenticator
from app.auth.keys import new_key, parse_key
from app.auth.states import DEFAULT_SCOPES, PUBLISHABLE_SCOPES, SCOPES, ClientKind
from app.gql.streams import Streams
from app.kernel.errors import Forbidden, NotFound, Unauthenticated, ValidationRefused
from app.kernel.principal import ANONYMOUS, Kind, Principal
from app.kernel.signing import Signer
from app.live.events import LoggedEvent

CHANNEL = UUID(int=7)
CUSTOMER = UUID(int=9)


async def created(office, name="acme", kind="PARTNER", **given):
    key = new_key("dev")
    result = await office.run(
        commands.create, name=name, kind=kind, key_id=key.key_id, secret_sha256=key.sha256(), **given
    )
    return key, UUID(result["client"])


@pytest.fixture
def issuer(office):
    return tokens.CustomerTokens(Signer(b"s" * 32), office.clock)


@pytest.fixture
def authenticate(office, issuer):
    return Authenticator(office.database, issuer, office.clock, "dev")


async def everybody_exists(reads, customer_id):
    return True


vouch = commands.vouching(everybody_exists)


async def refused(authenticate, credential):
    with pytest.raises(Unauthenticated) as problem:
        await authenticate(credential)
    return str(problem.value)


async def test_a_key_makes_its_client_known(office, authenticate):
    key, client_id = await created(office)

    caller = await authenticate(key.text())

    assert caller.credential == f"key:{key.key_id}"
    assert caller.principal == Principal(
        Kind.PARTNER, f"client:{client_id}", DEFAULT_SCOPES[ClientKind.PARTNER], expires_at=None
    )
    assert (await authenticate(None)).principal is ANONYMOUS


async def test_only_the_hash_of_a_secret_is_stored(office):
    key, _ = await created(office)
    for table in ("api_client", "api_key", "event_log", "idempotency_key"):
        rows = await office.database.calls.rows(f"SELECT * FROM {table}")
        assert key.secret not in str(rows), table
    assert key.secret not in repr(key)


async def test_wrong_keys_are_refused_and_say_why(office, authenticate):
    key, _ = await created(office)
    text = key.text()
    unknown = "This API key is not known here."

    assert await refused(authenticate, new_key("dev").text()) == unknown
    assert await refused(authenticate, text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")) == unknown
    assert "environment" in await refused(authenticate, text.replace("ow_dev_", "ow_live_"))
    for cut in (text[:-1], text + "x", "ow_", "ow_dev_", text.upper(), text.replace("ow_dev", "ow_d€v"), text + "\n"):
        assert "mistyped" in await refused(authenticate, cut) or "neither" in await refused(authenticate, cut)


@pytest.mark.parametrize("instead", ["!", "é", "\ud800"])
async def test_a_mistyped_secret_tells_nothing_of_the_key(office, authenticate, instead):
    key, _ = await created(office)
    await authenticate(key.text())  # from now on it is remembered
    mistyped = key.text()[:-1] + instead

    assert "mistyped" in await refused(authenticate, mistyped)
    assert await refused(authenticate, mistyped) == await refused(authenticate, new_key("dev").text()[:-1] + instead)


async def test_revoked_and_expired_keys_are_named(office, authenticate):
    key, _ = await created(office, days=1)
    await authenticate(key.text())

    office.clock.advance(timedelta(days=1))
    assert await refused(authenticate, key.text()) == "This API key has expired."

    other, client_id = await created(office, name="other")
    await authenticate(other.text())
    await office.run(commands.revoke_key, key_id=other.key_id)
    await authenticate(other.text())  # remembered for some seconds …
    authenticate.forget(client_id)  # … or until the event arrives
    assert await refused(authenticate, other.text()) == "This API key has been revoked."


async def test_a_client_keeps_its_identity_over_a_rotation(office, authenticate):
    first, client_id = await created(office)
    second = new_key("dev")
    await office.run(commands.rotate, name="acme", key_id=second.key_id, secret_sha256=second.sha256())

    principals = {(await authenticate(key.text())).principal.id for key in (first, second)}
    assert principals == {f"client:{client_id}"}

    third = new_key("dev")
    with pytest.raises(ValidationRefused, match="2 live keys"):
        await office.run(commands.rotate, name="acme", key_id=third.key_id, secret_sha256=third.sha256())
    await office.run(commands.revoke_key, key_id=first.key_id)
    await office.run(commands.rotate, name="acme", key_id=third.key_id, secret_sha256=third.sha256())


async def test_revoking_a_client_ends_all_it_has(office, authenticate, issuer):
    key, client_id = await created(office, kind="SERVICE")
    principal = (await authenticate(key.text())).principal
    claims = await office.run(vouch, principal, customer_id=CUSTOMER, lifetime_seconds=600)
    token = issuer.sign(claims)
    assert (await authenticate(token)).principal.customer_id == CUSTOMER

    await office.run(commands.revoke_client, name="acme")
    authenticate.forget(client_id)
    assert "revoked" in await refused(authenticate, key.text())
    assert "revoked" in await refused(authenticate, token)


async def test_changed_rights_are_seen_by_looking_again(office, authenticate):
    key, _ = await created(office)
    caller = await authenticate(key.text())
    await office.run(commands.set_scopes, name="acme", scopes=["orders:read"])

    assert (await authenticate.look_again(caller)).scopes == {"orders:read"}
    await office.run(commands.revoke_key, key_id=key.key_id)
    assert await authenticate.look_again(caller) is None


async def test_storefront_keys_are_bound_and_harmless(office, authenticate):
    key, _ = await created(office, kind="STOREFRONT", channel_id=CHANNEL)
    principal = (await authenticate(key.text())).principal
    assert (principal.channel_id, principal.scopes) == (CHANNEL, PUBLISHABLE_SCOPES)
    assert "stock:read" not in principal.scopes

    with pytest.raises(ValidationRefused, match="bound to a channel"):
        await created(office, name="unbound", kind="STOREFRONT")
    for scope in SCOPES - PUBLISHABLE_SCOPES:
        with pytest.raises(ValidationRefused, match="read by anybody"):
            await created(office, name="greedy", kind="STOREFRONT", channel_id=CHANNEL, scopes=[scope])


async def test_what_makes_no_client_is_refused_and_leaves_nothing(office):
    await created(office)
    for given, message in [
        ({"name": "acme"}, "already"),
        ({"name": ""}, "printable"),
        ({"name": "b", "scopes": ["orders:steal"]}, "no scope orders:steal"),
        ({"name": "b", "scopes": []}, "without a scope"),
    ]:
        with pytest.raises(ValidationRefused, match=message):
            await created(office, **given)
    assert await office.database.calls.value("SELECT count(*) FROM api_key") == 1
    with pytest.raises(NotFound):
        await office.run(commands.revoke_key, key_id="0" * 16)
    with pytest.raises(Forbidden):
        await office.run(commands.revoke_client, ANONYMOUS, name="acme")


async def test_every_change_is_an_event_of_the_topic_auth(office):
    key, client_id = await created(office)
    await office.run(commands.set_scopes, name="acme", scopes=["orders:read"])
    await office.run(commands.revoke_key, key_id=key.key_id)

    rows = await office.database.calls.rows("SELECT type, subject, version, topics FROM event_log ORDER BY id")
    assert [(row["type"], row["version"]) for row in rows] == [
        ("ApiClientCreated", 1),
        ("ClientChanged", 2),
        ("KeyRevoked", 3),
    ]
    assert all(row["topics"] == ["auth"] and row["subject"] == client_id for row in rows)


async def test_an_event_ends_the_streams_of_its_credential(office, authenticate):
    key, client_id = await created(office)
    other = new_key("dev")
    await office.run(commands.rotate, name="acme", key_id=other.key_id, secret_sha256=other.sha256())
    streams, closed = Streams(), []

    class Open:
        def __init__(self, caller):
            self.caller = caller

        def close(self, code, reason):
            closed.append((self.caller.credential, code))

    first, second = Open(await authenticate(key.text())), Open(await authenticate(other.text()))
    with streams.entered(first), streams.entered(second):
        handlers.apply(heard("KeyRevoked", client_id, key=key.key_id), authenticate, streams)
        assert closed == [(f"key:{key.key_id}", 4401)]
        handlers.apply(heard("ClientChanged", client_id), authenticate, streams)
        assert (f"key:{other.key_id}", 4403) in closed


async def test_what_was_read_before_a_revocation_and_arrives_after_it_is_not_believed(
    office, authenticate, monkeypatch
):
    key, client_id = await created(office)
    read, go_on, ask = asyncio.Event(), asyncio.Event(), queries.holder

    async def slow(database, key_id):
        answer = await ask(database, key_id)
        read.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(queries, "holder", slow)
    asking = asyncio.create_task(authenticate(key.text()))
    await read.wait()
    await office.run(commands.revoke_client, name="acme")
    handlers.apply(heard("ClientChanged", client_id), authenticate, Streams())
    go_on.set()

    with pytest.raises(Unauthenticated, match="revoked"):
        await asking


def heard(type_, client_id, **payload):
    return LoggedEvent(
        epoch=UUID(int=0),
        pos=1,
        aggregate="api_client",
        subject=client_id,
        version=2,
        type=type_,
        topics=("auth",),
        body=json.dumps(payload),
        actor="system:keys",
        occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def unsigned(header, claims, signature=b""):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def signed(header, claims, key):
    body = unsigned(header, claims).rpartition(".")[0]
    tag = hmac.digest(key, body.encode(), hashlib.sha256)
    return body + "." + base64.urlsafe_b64encode(tag).rstrip(b"=").decode()


async def test_a_customer_token_makes_a_customer(office, authenticate, issuer):
    key, _ = await created(office, kind="SERVICE")
    service = (await authenticate(key.text())).principal
    claims = await office.run(vouch, service, customer_id=CUSTOMER, lifetime_seconds=600, key="k")
    token = issuer.sign(claims)

    caller = await authenticate(token)
    assert (caller.principal.kind, caller.principal.customer_id) == (Kind.CUSTOMER, CUSTOMER)
    assert caller.principal.id == f"customer:{CUSTOMER}"
    assert caller.principal.expires_at == office.clock.now() + timedelta(seconds=600)
    assert "orders:write" not in caller.principal.scopes
    again = await office.run(vouch, service, customer_id=CUSTOMER, lifetime_seconds=600, key="k")
    assert issuer.sign(again) == token, "a repeat gets the same token"

    office.clock.advance(timedelta(seconds=600))
    assert "expired" in await refused(authenticate, token)


async def test_only_those_who_may_vouch_for_customers(office, authenticate):
    key, _ = await created(office)
    partner = (await authenticate(key.text())).principal
    with pytest.raises(Forbidden):
        await office.run(vouch, partner, customer_id=CUSTOMER, lifetime_seconds=600)
    key, _ = await created(office, name="service", kind="SERVICE")
    service = (await authenticate(key.text())).principal
    for seconds in (0, 59, 86_401, -1):
        with pytest.raises(ValidationRefused):
            await office.run(vouch, service, customer_id=CUSTOMER, lifetime_seconds=seconds)


async def test_tokens_that_are_not_ours_are_refused(office, authenticate):
    _, client_id = await created(office, kind="SERVICE")
    key = Signer(b"s" * 32).key("customer-token")
    header = {"alg": "HS256", "typ": "ow-customer+jwt"}
    good = tokens.claims_of(
        customer_id=CUSTOMER, client_id=client_id, token_id=UUID(int=1), now=office.clock.now(), lifetime=600
    )
    await authenticate(signed(header, good, key))  # so that what follows fails for its own reason only

    bad_headers = [
        {"alg": "none", "typ": "ow-customer+jwt"},
        {"alg": "HS512", "typ": "ow-customer+jwt"},
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT"},
        header | {"crit": ["exp"]},
        header | {"jku": "https://evil.example"},
        header | {"kid": "other"},
    ]
    bad_claims = [{name: value for name, value in good.items() if name != left_out} for left_out in good]
    bad_claims += [
        good | {"iss": "other"},
        good | {"iss": ["orderwire"]},
        good | {"aud": "other"},
        good | {"aud": ["orderwire:graphql"]},
        good | {"sub": "not a uuid"},
        good | {"sub": 5},
        good | {"exp": "2099-01-01"},
        good | {"exp": True},
        good | {"exp": 1e400},
        good | {"exp": 2**70},
        good | {"iat": good["iat"] + 3600},
    ]
    wrong = [signed(each, good, key) for each in bad_headers]
    wrong += [signed(header, each, key) for each in bad_claims]
    wrong += [
        unsigned(header | {"alg": "none"}, good),
        signed(header, good, b"another key" * 3),
        unsigned(header, good, b"x" * 32),
        signed(header, ["a list"], key),
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "." * 100,
        "€",
        "x" * 9000,
        signed(header, good, key)[:-2],
    ]
    for token in wrong:
        await refused(authenticate, token)


def test_keys_survive_their_text():
    for _ in range(200):
        key = new_key("live")
        assert parse_key(key.text()) == key
