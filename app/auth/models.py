"""Tables of API clients and their keys. Of a secret only its hash is kept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.states import ClientKind
from app.kernel.db import Base, one_of


class ApiClient(Base):
    """Somebody who calls: keeps its identity, and with it its idempotency keys, while its keys are rotated."""

    __tablename__ = "api_client"
    __table_args__ = (
        one_of("kind", ClientKind),
        CheckConstraint("kind <> 'STOREFRONT' OR channel_id IS NOT NULL", name="storefront_channel"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    channel_id: Mapped[UUID | None] = mapped_column(Uuid)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApiKey(Base):
    """One key of a client. Two may live side by side, so that a client changes over without a pause."""

    __tablename__ = "api_key"

    key_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("api_client.id"), index=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
