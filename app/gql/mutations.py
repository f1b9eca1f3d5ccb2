"""`@mutation`: the three arguments beside every input, and refusals as `userErrors`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition

from app.gql.errors import as_user_error
from app.gql.scopes import needs
from app.kernel.errors import Refusal, ValidationRefused
from app.kernel.work import CommandArguments

KEY_LENGTH_MAX = 255

IdempotencyKey = Annotated[
    str,
    strawberry.argument(
        name="idempotencyKey",
        description="A text of your choice, unique to this request, 1 to 255 printable characters: a UUID serves well."
        " Repeating the request with the same key and the same input gives the first answer again and changes"
        " nothing, so that it is always safe to retry. Remembered for 30 days.",
    ),
]
ExpectedVersion = Annotated[
    int | None,
    strawberry.argument(
        name="expectedVersion",
        description="Refuse with VersionConflict unless the aggregate still has this `version`, as you read it."
        " Leave out to change it whatever happened since.",
    ),
]
DryRun = Annotated[
    bool | None,
    strawberry.argument(
        name="dryRun",
        description="Answer as if it were done, and change nothing: neither the key nor any event is kept."
        " An operation with a dry run holds that one mutation only.",
    ),
]

Resolver = Callable[..., Awaitable[Any]]


def mutation(
    *, scope: str, versioned: bool = False, description: str | None = None, deprecation_reason: str | None = None
) -> Callable[[Resolver], Any]:
    """A mutation field. The resolver takes `self`, `info`, its input, and `command: CommandArguments`.

    Returns the payload type of the resolver's annotation: its fields other than `user_errors` are nullable or lists,
    and are empty when a Refusal was raised. The resolver's docstring is what integrators read.

    versioned  the mutation changes one aggregate that has a version: offers `expectedVersion`
    """

    def wrap(resolver: Resolver) -> Any:
        @functools.wraps(resolver)
        async def resolve(self: Any, info: strawberry.Info, **given: Any) -> Any:
            try:
                command = CommandArguments(
                    key=_printable(given.pop("idempotency_key")),
                    expected_version=_sent(given.pop("expected_version", None)),
                    dry_run=bool(given.pop("dry_run")),
                )
                return await resolver(self, info, **given, command=command)
            except Refusal as refusal:
                return _refused(info.return_type, refusal)

        resolve.__signature__ = _signature(resolver, versioned=versioned)  # type: ignore[attr-defined]
        return strawberry.mutation(
            resolver=resolve,
            description=description or inspect.cleandoc(resolver.__doc__ or "") or None,
            metadata=needs(scope),
            deprecation_reason=deprecation_reason,
        )

    return wrap


def _signature(resolver: Resolver, *, versioned: bool) -> inspect.Signature:
    signature = inspect.signature(resolver)
    own = [parameter for name, parameter in signature.parameters.items() if name != "command"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    common = [inspect.Parameter("idempotency_key", keyword, annotation=IdempotencyKey)]
    if versioned:
        common.append(
            inspect.Parameter("expected_version", keyword, annotation=ExpectedVersion, default=strawberry.UNSET)
        )
    common.append(inspect.Parameter("dry_run", keyword, annotation=DryRun, default=False))
    return signature.replace(parameters=own + common)


def _printable(key: str) -> str:
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        raise ValidationRefused(
            f"An idempotency key has 1 to {KEY_LENGTH_MAX} printable characters; a new UUID serves well.",
            path=["idempotencyKey"],
        )
    return key


def _sent(version: int | None) -> int | None:
    return None if version is strawberry.UNSET else version


def _refused(payload: Any, refusal: Refusal) -> Any:
    """The payload that holds nothing but the errors."""
    empty: dict[str, Any] = {}
    for field in get_object_definition(payload, strict=True).fields:
        if field.base_resolver is not None or field.python_name == "user_errors":
            continue
        if isinstance(field.type, StrawberryOptional):
            empty[field.python_name] = None
        elif isinstance(field.type, StrawberryList):
            empty[field.python_name] = []
        else:
            raise TypeError(f"{payload.__name__}.{field.python_name} must be nullable: a refusal leaves it empty")
    return payload(**empty, user_errors=[as_user_error(each) for each in (refusal, *refusal.also)])
