"""What a subscription says when it cannot go on from where its client was."""

from __future__ import annotations

import strawberry

from app.gql.scalars import Cursor
from app.gql.scopes import ANYONE, scoped
from app.gql.where import described
from app.live import attachment
from app.live.replay import ResetReason

described(
    ResetReason,
    "Why a stream starts over.",
    CURSOR_EXPIRED="What came after your cursor is no longer kept.",
    LOG_RENUMBERED="The log was restored from a backup, and your cursor belongs to the one before.",
    TOO_MANY_CHANGES="So much has changed since your cursor that a snapshot is the shorter way.",
)


@scoped(ANYONE)
@strawberry.type(
    description="What you know is void: forget it, and take the snapshot that follows. Never sent without a reason, and"
    " the only way in which changes can be passed over."
)
class Reset:
    cursor: Cursor = strawberry.field(description="The cursor you came with.")
    reason: ResetReason = strawberry.field(description="Why the stream starts over.")

    @classmethod
    def of(cls, reset: attachment.Reset) -> Reset:
        return cls(cursor=Cursor(reset.cursor), reason=reset.reason)
