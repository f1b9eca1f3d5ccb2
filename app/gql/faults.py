"""What a client is told of an error, and what only the log is told.

A refusal, a missing right or a mistake in the request reaches the client as it is. Everything else is a fault: logged
once under a reference, and masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from graphql import ArgumentNode, GraphQLError, ValueNode
from strawberry.exceptions import StrawberryInputCoercionError

from app.kernel.errors import Forbidden, Refusal, Unauthenticated
from app.kernel.work import Unavailable
from app.live.outage import is_outage

log = structlog.get_logger("orderwire.gql")

AWAY = "The database cannot be reached for the moment: send the request again."
_MASKED = "Something went wrong on our side. It has been logged; quote the reference when you ask about it."


class Mistake(Exception):
    """The request itself cannot be served: the status, and the errors to send. Never logged."""

    def __init__(self, status: int, message: str, code: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[dict[str, Any]] = [{"message": message, "extensions": {"code": code}}]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @classmethod
    def of(cls, status: int, errors: Iterable[GraphQLError]) -> Mistake:
        mistake = cls(status, "", "")
        mistake.errors = [formatted(error) for error in errors]
        return mistake


def present(error: GraphQLError, reference: str) -> dict[str, Any]:
    """The error as the client sees it. Logs it when it is a fault."""
    cause = _cause(error)
    if isinstance(cause, Refusal):
        return formatted(error, cause.message, cause.code)
    if isinstance(cause, Forbidden):
        return formatted(error, str(cause), "FORBIDDEN")
    if isinstance(cause, Unauthenticated):
        return formatted(error, str(cause), "UNAUTHENTICATED")
    if isinstance(cause, Unavailable):
        return formatted(error, str(cause), "UNAVAILABLE")
    if is_outage(cause):
        log.warning("the database is away", reference=reference, error=repr(cause)[:200])
        return formatted(error, AWAY, "UNAVAILABLE")
    if error.path is None or isinstance(cause, StrawberryInputCoercionError) or _is_of_the_request(cause):
        return formatted(error, None, "BAD_USER_INPUT")
    if isinstance(cause, GraphQLError) and "code" in (cause.extensions or {}):
        return formatted(error)
    Met.faults += 1
    log.error("fault", reference=reference, path=".".join(map(str, error.path)), field=_field(error), exc_info=cause)
    shown = formatted(error, _MASKED, "INTERNAL")
    shown["extensions"]["reference"] = reference
    return shown


class Met:
    """Faults that this process has met, for its figures."""

    faults = 0


def masked(reference: str, problem: BaseException, event: str = "fault") -> dict[str, Any]:
    """A fault outside any field, logged and masked."""
    Met.faults += 1
    log.error(event, reference=reference, exc_info=problem)
    return {"message": _MASKED, "extensions": {"code": "INTERNAL", "reference": reference}}


def told(problem: Exception, reference: str) -> dict[str, Any]:
    """Like `present`, for an exception that never passed through a field."""
    if isinstance(problem, Refusal | Forbidden | Unauthenticated | Unavailable) or is_outage(problem):
        return present(GraphQLError(str(problem), original_error=problem), reference)
    return masked(reference, problem)


def passes(error: GraphQLError) -> bool:
    """Whether the same would succeed a moment later, because only the database was away."""
    return is_outage(_cause(error))


def formatted(error: GraphQLError, message: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The error by the specification: message, locations, path, extensions."""
    shown: dict[str, Any] = {"message": message if message is not None else error.message}
    if error.locations:
        shown["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    extensions = dict(error.extensions or {})
    if code is not None:
        extensions["code"] = code
    shown["extensions"] = extensions
    return shown


def _cause(error: GraphQLError) -> BaseException:
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_of_the_request(cause: BaseException) -> bool:
    """Whether the executor found fault with an argument: such errors point at the argument, others at the field."""
    return isinstance(cause, GraphQLError) and any(
        isinstance(node, ValueNode | ArgumentNode) for node in cause.nodes or ()
    )


def _field(error: GraphQLError) -> str | None:
    return next((node.name.value for node in error.nodes or () if hasattr(node, "name") and node.name), None)
