"""What auth needs of areas above it; wiring hands it over among the context's services."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from app.kernel.db import Reads


class CustomerExists(Protocol):
    """Whether there is a customer of this id, active and visible to the caller."""

    async def __call__(self, reads: Reads, customer_id: UUID) -> bool: ...
