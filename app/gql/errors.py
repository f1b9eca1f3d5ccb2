"""Refusals as GraphQL types: an interface every client can read, members that carry the facts.

An area gives its refusal a type with `@user_error(InsufficientStock)` above `@strawberry.type`; fields of the type that
bear the name of an attribute of the refusal are copied from it. A refusal without a type of its own arrives as
`OtherError`, with code, message and path.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.types.enum import EnumValue

from app.gql.scopes import ANYONE, scoped
from app.kernel import errors
from app.kernel.errors import Refusal

T = TypeVar("T", bound=type)

_TYPES: dict[type[Refusal], type[UserError]] = {}


class _Codes(enum.Enum):
    """Filled by `all_types`, when every area has named its refusals."""

    NOT_FOUND = "NOT_FOUND"


ErrorCode = strawberry.enum(
    _Codes, name="ErrorCode", description="Why a mutation was refused: stable, for programs to branch on."
)


@scoped(ANYONE)
@strawberry.interface(
    description="Why a mutation changed nothing. The typed members carry the facts that help to try something else."
)
class UserError:
    code: ErrorCode = strawberry.field(description="The reason, stable over releases.")  # type: ignore[valid-type]
    message: str = strawberry.field(description="The reason and the next step, in English, for people to read.")
    path: list[str] | None = strawberry.field(
        description="Where in the arguments the problem lies, from the outside in: `[input, lines, 2, units]`."
    )


def user_error(refusal: type[Refusal]) -> Callable[[T], T]:
    """This type is how the refusal, and those derived from it, reach clients."""

    def register(cls: T) -> T:
        assert issubclass(cls, UserError), f"{cls.__name__} must extend UserError"
        _TYPES[refusal] = scoped(ANYONE)(cls)
        return cls

    return register


@user_error(Refusal)
@strawberry.type(description="A refusal that its code and message say all about.")
class OtherError(UserError):
    pass


@user_error(errors.ValidationRefused)
@strawberry.type(description="The input cannot be right whatever the state of the world: `path` says which part of it.")
class ValidationError(UserError):
    pass


@user_error(errors.NotFound)
@strawberry.type(name="NotFound", description="Nothing of that name exists, or nothing that you may see.")
class NotFoundError(UserError):
    kind: str = strawberry.field(description="What was looked for, such as `order`.")
    identifier: str = strawberry.field(description="The id, number or code it was looked for by.")


@user_error(errors.VersionConflict)
@strawberry.type(
    name="VersionConflict",
    description="Somebody else changed it since you read it. Read it again, then decide whether the change still fits.",
)
class VersionConflictError(UserError):
    expected: int = strawberry.field(description="The `expectedVersion` you sent.")
    actual: int = strawberry.field(description="The version it has now.")


@user_error(errors.InvalidTransition)
@strawberry.type(name="InvalidTransition", description="The present state does not allow this.")
class InvalidTransitionError(UserError):
    state: str = strawberry.field(description="The state it is in.")
    command: str = strawberry.field(description="What was asked for.")
    allowed: list[str] = strawberry.field(description="What may be done in this state.")


@user_error(errors.IdempotencyKeyReused)
@strawberry.type(
    name="IdempotencyKeyReused",
    description="This `idempotencyKey` was used before with other input. A new request needs a new key.",
)
class IdempotencyKeyReusedError(UserError):
    key: str = strawberry.field(description="The key that was used before.")


@user_error(errors.Busy)
@strawberry.type(
    name="Busy", description="Others are changing the same rows. Send the request again with the same key."
)
class BusyError(UserError):
    pass


def as_user_error(refusal: Refusal) -> UserError:
    """The typed error of a refusal, its facts copied by name."""
    cls = next(_TYPES[base] for base in type(refusal).__mro__ if base in _TYPES)
    facts = {
        field.python_name: getattr(refusal, field.python_name)
        for field in get_object_definition(cls, strict=True).fields
        if field.python_name not in {"code", "message", "path"} and field.base_resolver is None
    }
    return cls(code=refusal.code, message=refusal.message, path=refusal.path, **facts)


def all_types() -> list[type[Any]]:
    """Every member of UserError, for Schema(types=...). Completes ErrorCode with the codes of all refusals so far.

    Called once all areas are imported.
    """
    definition = ErrorCode.__strawberry_definition__  # type: ignore[attr-defined]
    definition.values = [
        EnumValue(name=code, value=code, description=_meaning(refusal))
        for code, refusal in sorted(Refusal.by_code.items())
    ]
    return list(_TYPES.values())


def _meaning(refusal: type[Refusal]) -> str:
    """What the code tells: the description of the refusal's own type, or the first line of its docstring."""
    if refusal in _TYPES:
        return get_object_definition(_TYPES[refusal], strict=True).description or ""
    return inspect.cleandoc(refusal.__doc__ or "").partition("\n")[0]
