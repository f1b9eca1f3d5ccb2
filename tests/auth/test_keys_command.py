"""`orderwire keys`, as an operator types it."""

import asyncio
import json

import asyncpg
import pytest
from typer.testing import CliRunner

from app.auth.keys import parse_key
from app.commandline.keys import app
from app.kernel.operator import OperatorProblem


@pytest.fixture
def keys(database_url, redis_url, monkeypatch, tmp_path):
    """Runs the command; the exit status and what it printed."""
    monkeypatch.setenv("ORDERWIRE_DATABASE_URL", database_url)
    monkeypatch.setenv("ORDERWIRE_REDIS_URL", redis_url)
    monkeypatch.setenv("ORDERWIRE_STATE_DIR", str(tmp_path))

    def run(*words):
        result = CliRunner().invoke(app, list(words))
        if isinstance(result.exception, OperatorProblem):
            raise result.exception
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    return run


def test_a_key_is_created_listed_rotated_and_revoked(keys):
    made = json.loads(keys("create", "acme", "--kind", "partner", "--json"))
    key = parse_key(made["secret"])
    assert key is not None
    assert key.key_id == made["key"]
    second = parse_key(keys("rotate", "acme").strip())

    listed = keys("list")
    assert key.key_id in listed
    assert second.key_id in listed
    assert key.secret not in listed + keys("list", "--json")

    assert keys("revoke", key.key_id) == f"Revoked {key.key_id}.\n"
    states = {row["keyId"]: row["revokedAt"] for row in json.loads(keys("list", "--json"))}
    assert states[key.key_id] is not None
    assert states[second.key_id] is None
    keys("revoke", "--client", "acme")
    assert "live" not in keys("list")
    for ended in ("rotate", "scopes"):
        with pytest.raises(OperatorProblem, match="has been revoked: create another"):
            keys(ended, "acme")


def test_scopes_are_said_anew_for_all_keys_of_a_client(keys):
    first = json.loads(keys("create", "acme", "--kind", "partner", "--json"))["scopes"]
    keys("rotate", "acme")

    assert keys("scopes", "acme", "--scope", "orders:read", "--scope", "stock:read") == (
        "acme may: orders:read stock:read\n"
    )
    assert [row["scopes"] for row in json.loads(keys("list", "--json"))] == [["orders:read", "stock:read"]] * 2
    assert json.loads(keys("scopes", "acme", "--json"))["scopes"] == first


def test_the_list_for_programs_names_its_fields_as_the_api_would(keys):
    keys("create", "acme", "--kind", "partner")

    assert list(json.loads(keys("list", "--json"))[0]) == [
        "name",
        "kind",
        "scopes",
        "channelId",
        "clientRevokedAt",
        "keyId",
        "createdAt",
        "expiresAt",
        "revokedAt",
    ]


def test_what_cannot_be_done_is_one_sentence(keys):
    keys("create", "acme", "--kind", "partner")
    for words, sentence in [
        (("create", "acme", "--kind", "staff"), "already"),
        (("create", "shop", "--kind", "storefront"), "bound to a channel"),
        (("create", "shop", "--kind", "storefront", "--channel", "nowhere"), "no channel with the code 'nowhere'"),
        (("create", "b", "--kind", "staff", "--scope", "orders:steal"), "no scope orders:steal"),
        (("rotate", "nobody"), "no client 'nobody'"),
        (("scopes", "nobody"), "no client 'nobody'"),
        (("scopes", "acme", "--scope", "orders:steal"), "no scope orders:steal"),
        (("revoke", "0" * 16), "no key"),
        (("revoke",), "Name either"),
    ]:
        with pytest.raises(OperatorProblem, match=sentence):
            keys(*words)


def test_a_key_belongs_to_the_channel_it_was_made_for(keys, database_url):
    insert = """
        INSERT INTO channel (id, code, name, name_key, kind, currency, time_zone, search, created_at, updated_at)
        VALUES ('00000000-0000-0000-0000-000000000007', 'web', 'Web', 'web', 'WEBSHOP', 'EUR', 'UTC', '', now(), now())
    """

    async def add_channel():
        connection = await asyncpg.connect(database_url)
        await connection.execute(insert)
        await connection.close()

    asyncio.run(add_channel())
    keys("create", "shop", "--kind", "storefront", "--channel", "web")
    assert json.loads(keys("list", "--json"))[0]["channelId"] == "00000000-0000-0000-0000-000000000007"
