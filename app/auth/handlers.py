"""What every process does when it hears that a client's keys or rights have changed."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from app.auth.authenticator import Authenticator
from app.gql.streams import Streams
from app.live import topics
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.mailbox import OrderedMailbox
from app.live.outage import patiently

_AGAIN_SECONDS = 0.5

log = structlog.get_logger("orderwire.auth")


async def watch(hub: Hub, authenticator: Authenticator, streams: Streams) -> None:
    """Forget what has changed, and end the streams that it opened. Runs as long as the process."""
    mailbox = hub.attach([topics.AUTH], OrderedMailbox())
    try:
        while True:
            try:
                await _hear(mailbox, authenticator, streams)
            except Exception:
                log.exception("fault: rights are looked up again")
                await asyncio.sleep(_AGAIN_SECONDS)
                mailbox.overflow()
    finally:
        hub.detach(mailbox)


async def _hear(mailbox: OrderedMailbox, authenticator: Authenticator, streams: Streams) -> None:
    await mailbox.ready()
    if mailbox.overflowed or mailbox.renumbered:
        # What was missed is unknown, so everybody is looked up again.
        mailbox.rearm()
        await recheck(authenticator, streams)
    for event in mailbox.take():
        apply(event, authenticator, streams)


async def recheck(authenticator: Authenticator, streams: Streams) -> None:
    """End the streams whose credential is no longer good, or no longer good for as much; one look-up a credential."""
    callers = {stream.caller.credential: stream.caller for stream in streams}
    for credential, caller in callers.items():
        if credential is None:
            continue
        fresh = await patiently(partial(authenticator.look_again, caller))
        if fresh is None:
            streams.revoke(credential)
        elif not fresh.scopes >= caller.principal.scopes:
            streams.reconnect(credential)


def apply(event: LoggedEvent, authenticator: Authenticator, streams: Streams) -> None:
    authenticator.forget(event.subject)
    if event.type == "KeyRevoked":
        streams.revoke(f"key:{event.payload['key']}")
    elif event.type == "ClientChanged":
        streams.recheck(f"client:{event.subject}")
        streams.reconnect(f"token:{event.subject}")
