"""Orders and what hangs on them. Personal data lies in order_address alone; the search column holds words of it,
and of the customer's name.

Money is in minor units of the order's currency; a unit price may be finer than the minor unit.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Sequence,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Base, one_of
from app.orders.states import (
    FulfillmentStatus,
    HoldReason,
    Lifecycle,
    LineKind,
    PaymentStatus,
    ReturnStatus,
)

order_number = Sequence("order_number", start=1_000_001, metadata=Base.metadata)


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        one_of("lifecycle", Lifecycle),
        one_of("fulfillment_status", FulfillmentStatus),
        one_of("payment_status", PaymentStatus),
        one_of("return_status", ReturnStatus),
        UniqueConstraint("channel_id", "external_ref"),
        Index("ix_orders_placed_at", text("placed_at DESC"), text("id DESC")),
        Index("ix_orders_channel", "channel_id", text("placed_at DESC"), text("id DESC")),
        Index(
            "ix_orders_customer",
            "customer_id",
            text("placed_at DESC"),
            text("id DESC"),
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        Index(
            "ix_orders_open",
            "lifecycle",
            text("placed_at DESC"),
            text("id DESC"),
            postgresql_where=text("lifecycle IN ('PLACED', 'CONFIRMED')"),
        ),
        Index("ix_orders_updated_at", "updated_at", "id"),
        Index("ix_orders_total_minor", "total_minor", "id"),
        Index("ix_orders_search", "search", postgresql_using="gin"),
        Index("ix_orders_number_prefix", "number", postgresql_ops={"number": "text_pattern_ops"}),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[str] = mapped_column(Text, unique=True)
    channel_id: Mapped[UUID] = mapped_column(Uuid)
    external_ref: Mapped[str | None] = mapped_column(Text)
    customer_id: Mapped[UUID | None] = mapped_column(Uuid)
    currency: Mapped[str] = mapped_column(CHAR(3))
    lifecycle: Mapped[str] = mapped_column(Text)
    fulfillment_status: Mapped[str] = mapped_column(Text)
    payment_status: Mapped[str] = mapped_column(Text)
    return_status: Mapped[str] = mapped_column(Text)
    is_on_hold: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    priority: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    destination_country: Mapped[str | None] = mapped_column(CHAR(2))
    subtotal_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    shipping_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(Text)
    placed_by: Mapped[str] = mapped_column(Text)
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(BigInteger)
    search: Mapped[str] = mapped_column(TSVECTOR)


class OrderLine(Base):
    """One SKU, its price as it was sold, and the buckets its units are in."""

    __tablename__ = "order_line"
    __table_args__ = (
        one_of("kind", LineKind),
        UniqueConstraint("order_id", "line_no"),
        CheckConstraint("ordered = cancelled + backordered + unallocated + allocated + shipped", name="buckets_add_up"),
        CheckConstraint(
            "ordered > 0 AND cancelled >= 0 AND backordered >= 0 AND unallocated >= 0 AND allocated >= 0"
            " AND shipped >= 0 AND delivered >= 0 AND return_requested >= 0 AND returned >= 0",
            name="buckets_not_negative",
        ),
        CheckConstraint("delivered <= shipped AND return_requested + returned <= shipped", name="after_shipping"),
        Index("ix_order_line_backordered", "sku_id", "order_id", postgresql_where=text("backordered > 0")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    line_no: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    parent_id: Mapped[UUID | None] = mapped_column(Uuid)
    units_per_parent: Mapped[int | None] = mapped_column(Integer)
    sku_id: Mapped[UUID] = mapped_column(Uuid)
    sku_code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    takes_stock: Mapped[bool] = mapped_column(Boolean)
    unit_price: Mapped[Decimal] = mapped_column(Numeric(18, 6))
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    ordered: Mapped[int] = mapped_column(Integer)
    cancelled: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    backordered: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    unallocated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    allocated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    shipped: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    delivered: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    return_requested: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    returned: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class TaxLine(Base):
    """Tax of one line, or of shipping where line_id is NULL; included in the price or on top of it."""

    __tablename__ = "tax_line"
    __table_args__ = (CheckConstraint("rate_ppm >= 0", name="rate"),)

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    line_id: Mapped[UUID | None] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(Text)
    rate_ppm: Mapped[int] = mapped_column(Integer)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    included: Mapped[bool] = mapped_column(Boolean)


class OrderDiscount(Base):
    """A discount as it was given: on one line, or on the whole order where line_id is NULL."""

    __tablename__ = "order_discount"
    __table_args__ = (CheckConstraint("amount_minor >= 0", name="amount"),)

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    line_id: Mapped[UUID | None] = mapped_column(Uuid)
    code: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class OrderAddress(Base):
    __tablename__ = "order_address"
    __table_args__ = (CheckConstraint("kind IN ('SHIPPING', 'BILLING')", name="kind"),)

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    lines: Mapped[list[str]] = mapped_column(ARRAY(Text))
    city: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    postcode: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str] = mapped_column(CHAR(2))
    phone: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)


class OrderHold(Base):
    """A reason not to go on, open until released."""

    __tablename__ = "order_hold"
    __table_args__ = (
        one_of("reason", HoldReason),
        Index("ix_order_hold_order", "order_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    reason: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    placed_by: Mapped[str] = mapped_column(Text)
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    released_by: Mapped[str | None] = mapped_column(Text)
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    release_note: Mapped[str | None] = mapped_column(Text)
