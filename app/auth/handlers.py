"""What every process does when it hears that a client's keys or rights have changed."""

from __future__ import annotations

from app.auth.authenticator import Authenticator
from app.gql.streams import Streams
from app.live import topics
from app.live.events import LoggedEvent
from app.live.hub import Hub
from app.live.mailbox import OrderedMailbox


async def watch(hub: Hub, authenticator: Authenticator, streams: Streams) -> None:
    """Forget what has changed, and end the streams that it opened. Runs as long as the process."""
    mailbox = hub.attach([topics.AUTH], OrderedMailbox())
    try:
        while True:
            await mailbox.ready()
            if mailbox.overflowed or mailbox.renumbered:
                # What was missed is unknown: the short memory of the authenticator bounds how long it lasts.
                mailbox.rearm()
            for event in mailbox.take():
                apply(event, authenticator, streams)
    finally:
        hub.detach(mailbox)


def apply(event: LoggedEvent, authenticator: Authenticator, streams: Streams) -> None:
    authenticator.forget(event.subject)
    if event.type == "KeyRevoked":
        streams.revoke(f"key:{event.payload['key']}")
    elif event.type == "ClientChanged":
        streams.recheck(f"client:{event.subject}")
        streams.reconnect(f"token:{event.subject}")
