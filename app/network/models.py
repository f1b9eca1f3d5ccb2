"""Tables of channels and locations."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Text,
    Time,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CHAR, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Base, one_of
from app.network.states import ChannelKind, LocationType, PaymentPolicy


class Channel(Base):
    """An origin of orders: it scopes the currency, the prices, the locations and their safety stock."""

    __tablename__ = "channel"
    __table_args__ = (
        one_of("kind", ChannelKind),
        one_of("payment_policy", PaymentPolicy),
        CheckConstraint("tax_rate_ppm BETWEEN 0 AND 1000000", name="tax_rate_ppm"),
        Index("ix_channel_search", "search", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    code: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    kind: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(CHAR(3))
    time_zone: Mapped[str] = mapped_column(Text)
    tax_rate_ppm: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    prices_include_tax: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    payment_policy: Mapped[str] = mapped_column(Text, server_default=text("'NONE'"))
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    search: Mapped[str] = mapped_column(TSVECTOR)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Location(Base):
    """A place that holds stock, receives it or hands it over."""

    __tablename__ = "location"
    __table_args__ = (
        one_of("type", LocationType),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="coordinates"),
        CheckConstraint("daily_order_capacity >= 0", name="daily_order_capacity"),
        CheckConstraint("daily_unit_capacity >= 0", name="daily_unit_capacity"),
        Index("ix_location_search", "search", postgresql_using="gin"),
        Index("ix_location_name_key", "name_key", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    code: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    type: Mapped[str] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)
    country: Mapped[str] = mapped_column(CHAR(2))
    time_zone: Mapped[str] = mapped_column(Text)
    address: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    daily_order_capacity: Mapped[int | None] = mapped_column(Integer)
    daily_unit_capacity: Mapped[int | None] = mapped_column(Integer)
    cutoff: Mapped[time | None] = mapped_column(Time)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    search: Mapped[str] = mapped_column(TSVECTOR)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ChannelLocation(Base):
    """A location that serves a channel; units below the safety stock are not promised to the channel."""

    __tablename__ = "channel_location"
    __table_args__ = (
        CheckConstraint("safety_stock >= 0", name="safety_stock"),
        Index("ix_channel_location_location_id", "location_id"),
    )

    channel_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("channel.id"), primary_key=True)
    location_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("location.id"), primary_key=True)
    priority: Mapped[int] = mapped_column(Integer)
    safety_stock: Mapped[int] = mapped_column(Integer, server_default=text("0"))
