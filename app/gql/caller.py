"""The caller of a request, as authentication hands it to the transports."""

from __future__ import annotations

from dataclasses import dataclass

from app.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, and the name of the credential that proved it: streams end when that credential does."""

    principal: Principal
    credential: str | None = None
