"""Who is at the other end of a stream, as `app.live` asks for it."""

from __future__ import annotations

from app.gql.context import Context
from app.kernel.db import Reads
from app.kernel.errors import Unauthenticated
from app.kernel.principal import Principal
from app.live.attachment import Ended
from app.live.mailbox import EndReason


class Viewer:
    """The caller of one subscription, with the rights it was opened with.

    A credential that changes or is revoked ends its streams in the transports (`auth.handlers`), so there is nothing
    to look up again here: the client comes back and is judged anew.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def principal(self) -> Principal:
        return self._context.principal

    @property
    def reads(self) -> Reads:
        return self._context.reads

    async def renew(self) -> bool:
        return True

    def refuse(self, ended: Ended) -> None:
        """Tell the client why its stream ends.  Raises Unauthenticated."""
        if ended.reason is EndReason.CREDENTIAL_EXPIRED:
            raise Unauthenticated("Your credential has expired: connect again with a new one, and with your cursor.")
        raise Unauthenticated("Your rights have changed: connect again.")
