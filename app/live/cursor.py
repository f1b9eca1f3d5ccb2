"""Cursors: a place in the log, sealed, that a client hands back to go on from there.

Nothing of the caller is in it: what a replay shows is decided by the rights at the time of the replay.
"""

import struct
from functools import lru_cache
from uuid import UUID

from app.kernel.errors import ValidationRefused
from app.kernel.signing import BadSignature, Signer
from app.live.events import Position

_PURPOSE = "live-cursor"
_PLACE = struct.Struct(">B16sHQ")  # form, epoch, shard, pos; then the ids that are ahead
_ID = struct.Struct(">Q")
_FORM = 1


class CursorRefused(ValidationRefused):
    """The text is not a cursor of this installation."""

    def __init__(self) -> None:
        super().__init__(
            "This is not a cursor of this server, or it was altered: pass a `cursor` exactly as you received it, "
            "or leave `after` out to start with a snapshot.",
            path=["after"],
        )


class Cursors:
    """Seals positions and opens cursors. Every process with the same secret understands the cursors of all others."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        # One event gives the same cursor to all its subscribers.
        self.seal = lru_cache(maxsize=1024)(self._seal)

    def _seal(self, position: Position) -> str:
        place = _PLACE.pack(_FORM, position.epoch.bytes, position.shard, position.pos)
        return self._signer.seal(_PURPOSE, place + b"".join(map(_ID.pack, position.ahead)))

    def open(self, cursor: str) -> Position:
        """The position.  Raises CursorRefused."""
        try:
            body = self._signer.open(_PURPOSE, cursor)
            form, epoch, shard, pos = _PLACE.unpack_from(body)
            ahead = tuple(event_id for (event_id,) in _ID.iter_unpack(body[_PLACE.size :]))
        except (BadSignature, struct.error):
            raise CursorRefused from None
        if form != _FORM:
            raise CursorRefused
        return Position(UUID(bytes=epoch), shard, pos, ahead)
