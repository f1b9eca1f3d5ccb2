"""What the inputs and payloads of upserts have in common."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import strawberry
from strawberry.types.base import get_object_definition

from app.gql.nodes import Info
from app.gql.where import described
from app.kernel.upserts import BATCH_MAX, Outcome

T = TypeVar("T")

described(
    Outcome,
    "What an upsert did.",
    name="UpsertOutcome",
    CREATED="There was none of this code, now there is.",
    UPDATED="It existed, and something of it changed.",
    UNCHANGED="It was like this already: no new version, no event.",
)

BATCH = f"Up to {BATCH_MAX}, all or none: one refusal, and nothing of the batch is kept."
EXPECTED_VERSION = (
    "Refuse the batch with VersionConflict unless this one still has this version; 0 for one that is new."
)


def optional(description: str) -> Any:
    """A field that keeps what is stored when it is left out."""
    return strawberry.field(default=strawberry.UNSET, description=description)


def user_errors() -> Any:
    return strawberry.field(
        default_factory=list, description="Why nothing was changed; empty when the mutation took effect."
    )


async def upserted(
    info: Info, results: Sequence[dict[str, Any]], entry: Callable[[Info, UUID, Outcome], Awaitable[T]]
) -> list[T]:
    """The entries of a batch's payload, all loaded at once."""
    return list(await asyncio.gather(*(entry(info, UUID(each["id"]), Outcome(each["outcome"])) for each in results)))


def given(value: Any) -> Any:
    """An input as plain values for a command, without the fields that were left out."""
    if isinstance(value, list):
        return [given(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.value
    if not (names := _fields(value.__class__)):
        return value
    return {name: given(each) for name in names if (each := getattr(value, name)) is not strawberry.UNSET}


@cache
def _fields(type_: type) -> tuple[str, ...]:
    """The names of an input type's fields; none of another's."""
    definition = get_object_definition(type_)
    return () if definition is None else tuple(field.python_name for field in definition.fields)
