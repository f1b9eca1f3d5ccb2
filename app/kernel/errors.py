"""Saying no by name.

A refusal means the world is fine and the answer is no: it rolls back and reaches the client as a typed member of
`userErrors`. SQL functions refuse with SQLSTATE OW001, the code as message and the facts as JSON detail; `from_sql`
turns that into the same class that Python raises.
"""

from __future__ import annotations

from typing import Any, ClassVar

REFUSED_IN_SQL = "OW001"


class Refusal(Exception):
    """The answer is no. Subclasses name the reason and carry the facts a client needs to try something else.

    code       stable, UPPER_SNAKE; clients branch on it
    retryable  true where the same request may succeed on fresh figures; `kernel.work` then tries again by itself
    """

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    by_code: ClassVar[dict[str, type[Refusal]]] = {}

    message: str
    path: list[str] | None = None
    also: list[Refusal]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" in cls.__dict__:
            taken = Refusal.by_code.setdefault(cls.code, cls)
            assert taken is cls or taken.__qualname__ == cls.__qualname__, f"{cls.code} is taken by {taken}"

    def __init__(self, message: str, *, path: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.also = []

    @classmethod
    def together(cls, refusals: list[Refusal]) -> Refusal:
        """The first of several refusals, carrying the others: a client hears of all that is wrong at once."""
        first, *others = refusals
        first.also = others
        return first

    @classmethod
    def from_sql(cls, code: str, facts: dict[str, Any]) -> Refusal:
        """The refusal that a SQL function raised, with its facts as keyword arguments."""
        return Refusal.by_code[code](**facts)


class NotFound(Refusal):
    """Nothing of that name, or nothing the caller may see: the two look alike on purpose."""

    code = "NOT_FOUND"

    def __init__(self, kind: str, identifier: str, *, path: list[str] | None = None) -> None:
        super().__init__(f"There is no {kind} {identifier!r} that you may see.", path=path)
        self.kind = kind
        self.identifier = identifier


class ValidationRefused(Refusal):
    """The input cannot be right, whatever the state of the world."""

    code = "VALIDATION"


class VersionConflict(Refusal):
    code = "VERSION_CONFLICT"

    def __init__(self, kind: str, expected: int, actual: int, *, path: list[str] | None = None) -> None:
        super().__init__(
            f"This {kind} is at version {actual}, you expected {expected}: read it again, then decide.", path=path
        )
        self.expected = expected
        self.actual = actual


class InvalidTransition(Refusal):
    """The aggregate's state does not allow the command; `allowed` lists those it does."""

    code = "INVALID_TRANSITION"

    def __init__(self, message: str, *, state: str, command: str, allowed: list[str]) -> None:
        super().__init__(message)
        self.state = state
        self.command = command
        self.allowed = allowed


class IdempotencyKeyReused(Refusal):
    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The idempotency key {key!r} was used before with other input: use a new key for a new request.",
            path=["idempotencyKey"],
        )
        self.key = key


class Busy(Refusal):
    """Too many others wrote the same rows at the same time, several times over."""

    code = "BUSY"
    retryable = True

    def __init__(self) -> None:
        super().__init__("Others are changing the same rows right now: send the request again with the same key.")


class Unauthenticated(Exception):
    """Nobody known is asking. The message says what was wrong with the credential and what to send."""


class Forbidden(Exception):
    """The caller is known and lacks a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope!r}, which your key does not have.")
        self.scope = scope
