"""Tables of SKUs, prices and bundles."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import CHAR, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Base


class Sku(Base):
    """One thing that is ordered and counted by its code: goods, a service, or a bundle of others."""

    __tablename__ = "sku"
    __table_args__ = (
        CheckConstraint("weight_grams > 0", name="weight_grams"),
        CheckConstraint("length_mm > 0", name="length_mm"),
        CheckConstraint("width_mm > 0", name="width_mm"),
        CheckConstraint("height_mm > 0", name="height_mm"),
        CheckConstraint("backorder_limit >= 0", name="backorder_limit"),
        Index("ix_sku_name_key", "name_key", "id"),
        Index("ix_sku_barcode", "barcode", postgresql_where=text("barcode IS NOT NULL")),
        Index("ix_sku_search", "search", postgresql_using="gin"),
        Index("ix_sku_updated_at", "updated_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    code: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    unit_of_measure: Mapped[str] = mapped_column(Text, server_default=text("'EA'"))
    weight_grams: Mapped[int | None] = mapped_column(Integer)
    length_mm: Mapped[int | None] = mapped_column(Integer)
    width_mm: Mapped[int | None] = mapped_column(Integer)
    height_mm: Mapped[int | None] = mapped_column(Integer)
    barcode: Mapped[str | None] = mapped_column(Text(collation="C"))
    hazardous: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    stock_tracked: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    backorder_limit: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    preorder_release_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    bundle: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    search: Mapped[str] = mapped_column(TSVECTOR)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SkuPrice(Base):
    """What one unit costs in a channel and a currency, in major units; finer than the minor unit where need be."""

    __tablename__ = "sku_price"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount"), Index("ix_sku_price_channel_id", "channel_id"))

    sku_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("sku.id"), primary_key=True)
    channel_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("channel.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(CHAR(3), primary_key=True)
    amount: Mapped[Decimal] = mapped_column(Numeric(18, 6))


class BundleComponent(Base):
    """So many units of a SKU that one unit of a bundle explodes to."""

    __tablename__ = "bundle_component"
    __table_args__ = (
        CheckConstraint("units > 0", name="units"),
        CheckConstraint("bundle_id <> component_id", name="itself"),
        Index("ix_bundle_component_component_id", "component_id"),
    )

    bundle_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("sku.id"), primary_key=True)
    component_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("sku.id"), primary_key=True)
    units: Mapped[int] = mapped_column(Integer)
