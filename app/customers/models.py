"""Tables of customers: the only place where personal data is kept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CHAR, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.customers.states import AddressKind, ContactKind, CustomerKind
from app.kernel.db import Base, one_of


class Customer(Base):
    """A person or a company that orders."""

    __tablename__ = "customer"
    __table_args__ = (
        one_of("kind", CustomerKind),
        Index("ix_customer_name_key", "name_key", "id"),
        Index("ix_customer_search", "search", postgresql_using="gin"),
        Index("ix_customer_updated_at", "updated_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    code: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    company_name: Mapped[str | None] = mapped_column(Text)
    tax_number: Mapped[str | None] = mapped_column(Text)
    preferred_payment: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    search: Mapped[str] = mapped_column(TSVECTOR)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class CustomerAddress(Base):
    __tablename__ = "customer_address"
    __table_args__ = (
        one_of("kind", AddressKind),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="coordinates"),
        Index("uq_customer_address_default", "customer_id", "kind", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("customer.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    name: Mapped[str | None] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    lines: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    city: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    postcode: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str] = mapped_column(CHAR(2))
    phone: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)


class CustomerContact(Base):
    """An e-mail address or a telephone number."""

    __tablename__ = "customer_contact"
    __table_args__ = (
        one_of("kind", ContactKind),
        Index("uq_customer_contact_default", "customer_id", "kind", unique=True, postgresql_where=text("is_default")),
        Index("ix_customer_contact_value", "value"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("customer.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text(collation="C"))
    is_default: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class CustomerReference(Base):
    """What another system calls the customer."""

    __tablename__ = "customer_reference"

    system: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    external_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("customer.id"), index=True)
