"""Keeping a reservation longer, and giving it back."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import DateTime

from app.inventory.models import Reservation
from app.inventory.queries import reservation_visible
from app.inventory.refusals import ReservationClosed, ReservationTooLong
from app.inventory.states import ReservationStatus
from app.kernel.errors import NotFound, ValidationRefused
from app.kernel.events import Event
from app.kernel.principal import Principal
from app.kernel.texts import spelled
from app.kernel.work import Result, Work, command

LIFETIME_MIN = timedelta(seconds=1)
LIFETIME_MAX = timedelta(days=1)
# Anybody can read a storefront's key: nobody shall hold a shop's stock with it from morning to night.
PUBLIC_LIFETIME_MAX = timedelta(minutes=30)
PUBLIC_TOTAL_MAX = timedelta(hours=2)


def expiry(principal: Principal, now: datetime, seconds: int) -> datetime:
    """When a reservation of so many seconds ends.  Raises ValidationRefused."""
    lifetime = timedelta(seconds=seconds)
    if not LIFETIME_MIN <= lifetime <= LIFETIME_MAX:
        raise ValidationRefused(
            f"A reservation lasts between 1 second and {LIFETIME_MAX.days} day, not {seconds} seconds.",
            path=["input", "seconds"],
        )
    if principal.is_public and lifetime > PUBLIC_LIFETIME_MAX:
        raise ValidationRefused(
            f"A storefront reserves for {PUBLIC_LIFETIME_MAX.seconds:,} seconds at a time at most, not {seconds:,}: ask"
            " for less, and extend it while the checkout goes on.",
            path=["input", "seconds"],
        )
    return now + lifetime


def latest_expiry(principal: Principal, created_at: datetime, expires_at: datetime) -> datetime | None:
    """Until when a reservation may be extended; None for as long as anybody likes.

    expires_at  its end as it is, which somebody who runs the shop may have put later: it may still be brought forward
    """
    return max(created_at + PUBLIC_TOTAL_MAX, expires_at) if principal.is_public else None


@command(scope="stock:reserve")
async def extend(work: Work, *, token: str, seconds: int) -> Result:
    """Let a reservation end so many seconds from now.

    Raises NotFound, ReservationClosed, ReservationTooLong, ValidationRefused.
    """
    until = expiry(work.principal, work.now, seconds)
    row = await _lock(work, token)
    latest = latest_expiry(work.principal, row.created_at, row.expires_at)
    if latest is not None and until > latest:
        hours = PUBLIC_TOTAL_MAX // timedelta(hours=1)
        raise ReservationTooLong(latest=latest, hours_max=hours, path=["input", "seconds"])
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
        select(Reservation.id, Reservation.status, Reservation.created_at, Reservation.expires_at, Reservation.version)
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
