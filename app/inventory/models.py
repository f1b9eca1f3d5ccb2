"""Stock balances, the ledger under them, and the promises made against them.

Stock is keyed by SKU × location × owner; an empty owner is the retailer, any other a consignor. Rows of other areas are
named by id without foreign keys: a key-share lock on a hot SKU's row for every order line would make orders queue.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.inventory.states import AllocationStatus, MovementType, ReservationStatus
from app.kernel.db import Base, one_of

OWN = ""


class StockLevel(Base):
    """One balance. available = on_hand − allocated − reserved − damaged − quality_control, never negative."""

    __tablename__ = "stock_level"
    __table_args__ = (
        CheckConstraint(
            "on_hand >= 0 AND allocated >= 0 AND reserved >= 0 AND damaged >= 0 AND quality_control >= 0"
            " AND safety_stock >= 0",
            name="states_not_negative",
        ),
        CheckConstraint("allocated + reserved + damaged + quality_control <= on_hand", name="never_oversold"),
        Index("ix_stock_level_location", "location_id", "sku_id"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    sku_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    location_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True, server_default=text("''"))
    on_hand: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    allocated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reserved: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    damaged: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    quality_control: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    safety_stock: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class StockMovement(Base):
    """One entry of the ledger. A trigger refuses to change or delete entries."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        one_of("type", MovementType),
        Index("ix_stock_movement_key", "sku_id", "location_id", "owner", "id"),
        # Without it the newest entries of a SKU that rests are found by reading what all others did since.
        Index("ix_stock_movement_sku", "sku_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sku_id: Mapped[UUID] = mapped_column(Uuid)
    location_id: Mapped[UUID] = mapped_column(Uuid)
    owner: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    d_on_hand: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    d_allocated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    d_reserved: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    d_damaged: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    d_quality_control: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reason: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
    cause_id: Mapped[UUID] = mapped_column(Uuid)
    actor: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Allocation(Base):
    """Units of one order line pinned to one balance, consumed when they ship."""

    __tablename__ = "allocation"
    __table_args__ = (
        CheckConstraint("units > 0", name="units"),
        one_of("status", AllocationStatus),
        Index("ix_allocation_order", "order_id"),
        Index("ix_allocation_open", "sku_id", "location_id", "owner", postgresql_where=text("status = 'OPEN'")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(Uuid)
    order_line_id: Mapped[UUID] = mapped_column(Uuid)
    sku_id: Mapped[UUID] = mapped_column(Uuid)
    location_id: Mapped[UUID] = mapped_column(Uuid)
    owner: Mapped[str] = mapped_column(Text)
    units: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text, server_default=text("'OPEN'"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Reservation(Base):
    """A hold on stock before an order exists, known by an unguessable token, good until it expires."""

    __tablename__ = "reservation"
    __table_args__ = (
        one_of("status", ReservationStatus),
        Index("ix_reservation_expiry", "expires_at", postgresql_where=text("status = 'OPEN'")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    token: Mapped[str] = mapped_column(Text, unique=True)
    channel_id: Mapped[UUID] = mapped_column(Uuid)
    status: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(BigInteger)


class ReservationLine(Base):
    __tablename__ = "reservation_line"
    __table_args__ = (CheckConstraint("units > 0", name="units"),)

    reservation_id: Mapped[UUID] = mapped_column(ForeignKey("reservation.id"), primary_key=True)
    sku_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    location_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    units: Mapped[int] = mapped_column(Integer)


class Supply(Base):
    """Units on their way, due at a date: open purchase order lines and transfers."""

    __tablename__ = "supply"
    __table_args__ = (
        CheckConstraint("units_open >= 0", name="units_open"),
        CheckConstraint("source IN ('PURCHASE_ORDER', 'TRANSFER')", name="source"),
        Index("ix_supply_open", "sku_id", "location_id", "due_at", postgresql_where=text("units_open > 0")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    source_line_id: Mapped[UUID] = mapped_column(Uuid)
    sku_id: Mapped[UUID] = mapped_column(Uuid)
    location_id: Mapped[UUID] = mapped_column(Uuid)
    owner: Mapped[str] = mapped_column(Text, server_default=text("''"))
    units_open: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BackorderLevel(Base):
    """Units of a SKU sold beyond stock and not yet allocated; guarded against the SKU's limit."""

    __tablename__ = "backorder_level"
    __table_args__ = (CheckConstraint("units >= 0", name="units"),)

    sku_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    units: Mapped[int] = mapped_column(Integer)


class BackorderClaim(Base):
    """Units that a channel's orders wait for, those on hold left out: what arrives is theirs before it is sold anew."""

    __tablename__ = "backorder_claim"
    __table_args__ = (
        CheckConstraint("units >= 0", name="units"),
        Index("ix_backorder_claim_open", "sku_id", postgresql_where=text("units > 0")),
    )

    sku_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    channel_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    units: Mapped[int] = mapped_column(Integer)
