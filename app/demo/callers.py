"""A key for each kind of caller, and what to try with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import orjson
import typer

from app.auth import commands as auth
from app.auth.keys import Key, new_key, parse_key
from app.auth.states import ClientKind
from app.auth.tokens import CustomerTokens
from app.customers.queries import customer_exists
from app.demo.shop import CHANNEL, CUSTOMERS, DEMO
from app.gql.nodes import global_id
from app.kernel.clock import SystemClock
from app.kernel.errors import ValidationRefused
from app.kernel.ids import uuid7
from app.kernel.settings import Settings
from app.kernel.signing import Signer
from app.kernel.state_folder import StateFolder
from app.kernel.work import CommandArguments, Runner

TOKEN_SECONDS = 24 * 3600

AVAILABILITY = """query {
  availability(skus: ["TEAPOT", "MUG-BLUE"], channel: "WEB") {
    sku available nextAvailableAt
    byLocation { locationCode units }
  }
}"""
PLACE = """mutation {
  orderPlace(
    input: {channel: "WEB", lines: [{sku: "TEAPOT", quantity: 1}, {sku: "MUG-BLUE", quantity: 2}]}
    idempotencyKey: "my first order"
  ) {
    order { number fulfillmentStatus totals { total { amount currencyCode } } }
    userErrors { code message }
  }
}"""
FOLLOW = """subscription ($after: Cursor) {
  orderEvents(after: $after) {
    ... on OrderSnapshot { cursor count }
    ... on OrderChange { cursor type orderNumber version order { lifecycle fulfillmentStatus } }
    ... on Reset { cursor reason }
  }
}"""


async def introduce(runner: Runner, settings: Settings, address: str) -> None:
    """Print the address, a key for each kind of caller and three operations to paste."""
    found = await runner.database.call("SELECT id FROM channel WHERE code = $1", CHANNEL)
    keys = {kind: await _key(runner, settings, kind, found) for kind in ClientKind}
    token, customer = await _token(runner, settings, keys[ClientKind.SERVICE])
    typer.echo(text(address, {kind: key.text() for kind, key in keys.items()}, token, customer))


async def _key(runner: Runner, settings: Settings, kind: ClientKind, channel_id: UUID) -> Key:
    """The demo's key of this kind: the same over restarts, for it is kept in the state folder."""
    folder = StateFolder(settings.state_dir).claimed()
    key = parse_key(folder.remembered(f"demo-key-{kind.lower()}", lambda: new_key("dev").text()))
    assert key is not None, "the state folder holds what was written there"
    if not await runner.database.call("SELECT EXISTS (SELECT 1 FROM api_key WHERE key_id = $1)", key.key_id):
        name = f"demo {kind.lower()}"
        given = {"kind": kind, "key_id": key.key_id, "secret_sha256": key.sha256()}
        channel = channel_id if kind is ClientKind.STOREFRONT else None
        try:
            await runner.run(DEMO, auth.create, CommandArguments(None), name=name, channel_id=channel, **given)
        except ValidationRefused:  # a database of another state folder's demo
            await runner.run(
                DEMO, auth.create, CommandArguments(None), name=f"{name} {key.key_id}", channel_id=channel, **given
            )
    return key


async def _token(runner: Runner, settings: Settings, service: Key) -> tuple[str, str]:
    """A token for the first customer of the demo, and their name."""
    code = next(iter(CUSTOMERS))
    customer_id = await runner.database.call("SELECT id FROM customer WHERE code = $1", code)
    client_id = await runner.database.call("SELECT client_id FROM api_key WHERE key_id = $1", service.key_id)
    principal = replace(DEMO, id=f"client:{client_id}")
    claims = await runner.run(
        principal,
        auth.vouching(customer_exists),
        CommandArguments(f"demo {uuid7()}"),
        customer_id=customer_id,
        lifetime_seconds=TOKEN_SECONDS,
    )
    tokens = CustomerTokens(Signer(settings.signing_secret.encode()), SystemClock())
    return tokens.sign(claims), f"{CUSTOMERS[code]} ({global_id('Customer', customer_id)})"


def curl(address: str, key: str, query: str) -> str:
    """A command for a shell that sends the operation."""
    body = orjson.dumps({"query": " ".join(query.split())}).decode()
    return (
        f"curl -s {address}/graphql -H 'Content-Type: application/json' \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n  -d {shlex.quote(body)}"
    )


def text(address: str, keys: Mapping[ClientKind, str], token: str, customer: str) -> str:
    """What a newcomer reads: who they may be, and what to try."""
    lines = [f"  {kind.lower():<11}{key}" for kind, key in keys.items()]
    return "\n".join(
        [
            "",
            "A key for each kind of caller. The explorer has a field for it; elsewhere send it as the header",
            "`Authorization: Bearer …`. The demo places about an order a second.",
            *lines,
            f"  customer   {token}",
            f"             (a token of {customer}, good for a day)",
            "",
            "Three operations to paste into the explorer:",
            "",
            "# 1. What can be had, and where? (storefront key)",
            AVAILABILITY,
            "",
            "# 2. Order it. Send it twice: it is one order. (staff, partner or service key)",
            PLACE,
            "",
            "# 3. Watch every order as it changes. (staff key)",
            FOLLOW,
            "",
            "The first one from a shell:",
            "",
            curl(address, keys[ClientKind.STOREFRONT], AVAILABILITY),
            "",
        ]
    )
