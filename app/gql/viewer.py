"""Who is at the other end of a stream, as `app.live` asks for it."""

from __future__ import annotations

from typing import Any

from app.gql.context import Context
from app.kernel.db import Reads
from app.kernel.errors import Unauthenticated
from app.kernel.principal import Principal
from app.live.attachment import Ended
from app.live.mailbox import EndReason


class Viewer:
    """The caller of one subscription, whose rights are looked up again when they may have changed.

    knows  what it was told last, where its source goes by that (`gql.groups.Item.says`) and it is known
    """

    def __init__(self, context: Context, knows: Any = None) -> None:
        self._context = context
        self.knows = knows

    @property
    def principal(self) -> Principal:
        return self._context.principal

    @property
    def settles(self) -> bool:
        return self._context.settles

    @property
    def reads(self) -> Reads:
        return self._context.reads

    async def renew(self) -> bool:
        return await self._context.renew()

    def refuse(self, ended: Ended) -> None:
        """Tell the client why its stream ends.  Raises Unauthenticated."""
        if ended.reason is EndReason.CREDENTIAL_EXPIRED:
            raise Unauthenticated("Your credential has expired: connect again with a new one, and with your cursor.")
        raise Unauthenticated("Your rights have changed: connect again.")
