"""One execution: its errors, what resolvers are told, and the awaiting of what they promise.

This follows graphql-core step by step, so that data, errors and their order come out the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, located_error
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.execution import optimized_is_awaitable

if TYPE_CHECKING:
    from app.engine.plan import Field, Plan, Selection

is_awaitable: Callable[[Any], TypeGuard[Awaitable[Any]]] = optimized_is_awaitable  # type: ignore[assignment]

_BACKGROUND: set[asyncio.Future[Any]] = set()


class Run:
    """The state of one execution of a plan."""

    __slots__ = ("context", "errors", "nulled", "plan", "root", "variables")

    def __init__(self, plan: Plan, root: Any, context: Any, variables: VariableValues) -> None:
        self.plan = plan
        self.root = root
        self.context = context
        self.variables = variables
        self.errors: list[GraphQLError] = []
        self.nulled: set[Path | None] = set()

    def operation(self) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Run it all."""
        try:
            data: Any = (_in_turn if self.plan.serial else fields)(self, self.plan.selection, self.root, None)
            if is_awaitable(data):
                return self._awaited(data)
        except GraphQLError as error:
            return self._failed(error)
        return ExecutionResult(data, self.errors or None)

    async def _awaited(self, data: Awaitable[Any]) -> ExecutionResult:
        try:
            return ExecutionResult(await data, self.errors or None)
        except GraphQLError as error:
            return self._failed(error)

    def _failed(self, error: GraphQLError) -> ExecutionResult:
        self._note(error, None)
        return ExecutionResult(None, self.errors)

    def fail(self, raw: Exception, field: Field, path: Path, *, non_null: bool) -> None:
        """Note the error at this place, or pass it on to what holds a place that may not be null."""
        error = located_error(raw, field.nodes, path.as_list())
        if non_null:
            raise error
        self._note(error, path)

    def _note(self, error: GraphQLError, path: Path | None) -> None:
        """Unless the place, or what holds it, is null for another error already."""
        nulled = self.nulled
        at = path
        while at is not None:
            if at in nulled:
                return
            at = at.prev
        if None in nulled:
            return
        nulled.add(path)
        self.errors.append(error)

    def info(self, field: Field, path: Path) -> GraphQLResolveInfo[Any]:
        """What a resolver is told of where it stands."""
        plan = self.plan
        return GraphQLResolveInfo(
            field.name,
            field.nodes,
            field.definition.type,
            field.parent,
            path,
            plan.schema,
            plan.fragments,
            self.root,
            plan.operation,
            self.variables,
            self.context,
            is_awaitable,
            None,
            _HELPERS,
        )


def fields(run: Run, selection: Selection, source: Any, path: Path | None) -> dict[str, Any] | Awaitable[Any]:
    """The selected fields of an object, all at once."""
    data: dict[str, Any]
    asked: Sequence[Field]
    if (at_once := selection.at_once) is not None:
        try:
            data, asked = at_once(source), selection.resolved
        except Exception:
            data, asked = {}, selection.fields
    else:
        data, asked = {}, selection.fields
    if not asked:
        return data
    awaited: list[str] = []
    name = selection.type.name
    try:
        for field in asked:
            completed = _field(run, field, source, Path(path, field.key, name))
            data[field.key] = completed
            if is_awaitable(completed):
                awaited.append(field.key)
    except Exception:
        if awaited:
            settle([data[key] for key in awaited])
        raise
    return _gathered(data, awaited) if awaited else data


async def _gathered(data: dict[str, Any], awaited: Sequence[str]) -> dict[str, Any]:
    if len(awaited) == 1:
        data[awaited[0]] = await data[awaited[0]]
    else:
        data.update(zip(awaited, await gather_with_cancel(*(data[key] for key in awaited)), strict=True))
    return data


def _in_turn(run: Run, selection: Selection, source: Any, path: Path | None) -> dict[str, Any] | Awaitable[Any]:
    """The fields of a mutation, one after the other."""
    data: dict[str, Any] = {}
    left = iter(selection.fields)
    for field in left:
        completed = _field(run, field, source, Path(path, field.key, selection.type.name))
        if is_awaitable(completed):
            return _rest_in_turn(run, selection, source, path, data, field, completed, left)
        data[field.key] = completed
    return data


async def _rest_in_turn(
    run: Run,
    selection: Selection,
    source: Any,
    path: Path | None,
    data: dict[str, Any],
    field: Field,
    completed: Awaitable[Any],
    left: Iterable[Field],
) -> dict[str, Any]:
    data[field.key] = await completed
    for each in left:
        result = _field(run, each, source, Path(path, each.key, selection.type.name))
        data[each.key] = await result if is_awaitable(result) else result
    return data


def _field(run: Run, field: Field, source: Any, path: Path) -> Any:
    """One field of one object, or the promise of it."""
    try:
        result = field.resolve(run, field, source, path)
        if is_awaitable(result):
            return _promised(run, field, path, result)
        completed = complete(run, field, path, result)
        if is_awaitable(completed):
            return _guarded(run, field, path, completed)
    except Exception as raw:
        run.fail(raw, field, path, non_null=field.shape.non_null)
        return None
    return completed


def complete(run: Run, field: Field, path: Path, value: Any) -> Any:
    """The value in the shape of its field: at once where all is as usual, else with care."""
    if (at_once := field.shape.at_once) is not None:
        try:
            return at_once(value)
        except Exception:  # noqa: S110 (found again below, and told at its place)
            pass
    return field.shape.complete(run, field, path, value)


def shown_as(plan: Plan, field: Field, context: Any, value: Any) -> tuple[Any, list[GraphQLError]]:
    """A value in the place of a root field whose selection takes no awaiting, and what is wrong with it."""
    run = Run(plan, None, context, VariableValues({}, {}))
    return complete(run, field, Path(None, field.key, field.parent.name), value), run.errors


async def _promised(run: Run, field: Field, path: Path, result: Awaitable[Any]) -> Any:
    try:
        completed = complete(run, field, path, await result)
        return await completed if is_awaitable(completed) else completed
    except Exception as raw:
        run.fail(raw, field, path, non_null=field.shape.non_null)
        return None


async def _guarded(run: Run, field: Field, path: Path, completed: Awaitable[Any]) -> Any:
    try:
        return await completed
    except Exception as raw:
        run.fail(raw, field, path, non_null=field.shape.non_null)
        return None


def settle(awaitables: Iterable[Awaitable[Any]]) -> None:
    """Let what is not waited for any more come to its end unheard."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        for each in awaitables:
            if isinstance(each, Coroutine):
                each.close()
        return
    future = asyncio.gather(*awaitables, return_exceptions=True)
    _BACKGROUND.add(future)
    future.add_done_callback(_BACKGROUND.discard)


def _track(values: Sequence[Any]) -> None:
    settle([value for value in values if is_awaitable(value)])


async def _gather(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    return await gather_with_cancel(*awaitables)


_HELPERS = GraphQLResolveInfoHelpers(gather=_gather, track=_track)
