"""Keeping a reservation longer, and giving it back."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import DateTime

from app.inventory.models import Reservation
from app.inventory.queries import reservation_visible
from app.inventory.refusals import ReservationClosed
from app.inventory.states import ReservationStatus
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.events import Event
from app.kernel.texts import spelled
from app.kernel.work import Result, Work, command

LIFETIME_MIN = timedelta(seconds=1)
LIFETIME_MAX = timedelta(days=1)


def expiry(now: datetime, seconds: int) -> datetime:
    """When a reservation of so many seconds ends.  Raises ValidationRefused."""
    lifetime = timedelta(seconds=seconds)
    if not LIFETIME_MIN <= lifetime <= LIFETIME_MAX:
        raise ValidationRefused(
            f"A reservation lasts between 1 second and {LIFETIME_MAX.days} day, not {seconds} seconds.",
            path=["input", "seconds"],
        )
    return now + lifetime


@command(scope="stock:reserve")
async def extend(work: Work, *, token: str, seconds: int) -> Result:
    """Let a reservation end so many seconds from now.  Raises NotFound, ReservationClosed, ValidationRefused."""
    until = expiry(work.now, seconds)
    row = await _lock(work, token)
    changed = await work.db.execute(
        update(Reservation)
        .where(Reservation.id == row.id)
        .values(expires_at=until, version=Reservation.version + 1)
        .returning(Reservation.version)
    )
    work.record(
        Event(
            aggregate="reservation",
            subject=row.id,
            version=changed.scalar_one(),
            type="ReservationExtended",
            topics=[f"reservation:{row.id}"],
            payload={"expiresAt": until.isoformat()},
        )
    )
    return {"reservationId": row.id}


@command(scope="stock:reserve")
async def release(work: Work, *, token: str) -> Result:
    """Give back what a reservation holds.  Raises NotFound, ReservationClosed."""
    row = await _lock(work, token)
    await work.db.execute(
        _CLOSE, {"ids": [row.id], "status": ReservationStatus.RELEASED, "now": work.now, "actor": work.principal.id}
    )
    return {"reservationId": row.id}


_CLOSE = select(
    func.inventory_reservations_close(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("status", type_=Text),
        bindparam("now", type_=DateTime(timezone=True)),
        bindparam("actor", type_=Text),
    )
)


async def _lock(work: Work, token: str) -> Any:
    """The open reservation of a token, locked.

    Raises NotFound, VersionConflict, ReservationClosed, also before the timer has run.
    """
    found = await work.db.execute(
        select(Reservation.id, Reservation.status, Reservation.expires_at, Reservation.version)
        .where(Reservation.token == spelled(token))
        .where(reservation_visible(work.principal))
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("reservation", token, path=["input", "token"])
    work.expect("reservation", row.version)
    if row.status != ReservationStatus.OPEN or row.expires_at <= work.now:
        status = ReservationStatus.EXPIRED if row.status == ReservationStatus.OPEN else row.status
        raise ReservationClosed(status=status, expires_at=row.expires_at, path=["input", "token"])
    return row
