"""The shape of a value: what its type and the selection below it make of it.

`complete` takes any value and follows the specification to the letter; `at_once`, where there is one, takes the usual
value alone and is many times faster: a function written for the very selection by `generate`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    Undefined,
    default_type_resolver,
    is_object_type,
    located_error,
)
from graphql.pyutils import Path, gather_with_cancel, inspect, is_iterable
from graphql.pyutils.is_awaitable import is_async_iterable
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from app.engine.run import Run, fields, is_awaitable, settle

if TYPE_CHECKING:
    from app.engine.plan import Field, Selection

AtOnce = Callable[[Any], Any]


class Shape:
    """at_once  makes the usual value; raises anything where the value is not as usual. None where fields need more"""

    non_null = False
    at_once: AtOnce | None = None

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        """The value as it is sent, or the promise of it.  Raises what is wrong with it."""
        raise NotImplementedError


class NonNull(Shape):
    """Never null: what would be is an error."""

    non_null = True

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        completed = self.inner.complete(run, field, path, value)
        if completed is None:
            raise TypeError(f"Cannot return null for non-nullable field {field.parent}.{field.name}.")
        return completed


class Leaf(Shape):
    """A scalar or an enum."""

    def __init__(self, type_: GraphQLLeafType) -> None:
        self.type = type_

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        coerced = self.type.coerce_output_value(value)
        if coerced is Undefined or coerced is None:
            raise TypeError(
                f"Expected `{inspect(self.type)}.coerce_output_value({inspect(value)})` to return non-nullable value,"
                f" returned: {inspect(coerced)}"
            )
        return coerced


class Listed(Shape):
    """A list of things of one shape."""

    def __init__(self, item: Shape) -> None:
        self.item = item

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        if is_async_iterable(value):
            # Not by aiter(), which refuses what is no iterator in other words than graphql-core.
            return self._from_stream(run, field, path, value.__aiter__())
        if not is_iterable(value):
            raise GraphQLError(f"Expected Iterable, but did not find one for field '{field.parent}.{field.name}'.")
        return self._from_iterable(run, field, path, iter(value))

    def _from_iterable(self, run: Run, field: Field, path: Path, items: Iterator[Any]) -> Any:
        made: list[Any] = []
        awaited: list[int] = []
        try:
            for index, item in enumerate(items):
                self._add(made, awaited, run, field, path.add_key(index, None), item)
        except Exception:
            settle([*(made[index] for index in awaited), *_awaitables(items)])
            raise
        return _gathered(made, awaited) if awaited else made

    async def _from_stream(self, run: Run, field: Field, path: Path, items: AsyncIterator[Any]) -> list[Any]:
        made: list[Any] = []
        awaited: list[int] = []
        try:
            while True:
                at = path.add_key(len(made), None)
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                except Exception as raw:
                    raise located_error(raw, field.nodes, path.as_list()) from raw
                self._add(made, awaited, run, field, at, item)
        except Exception:
            if (close := getattr(items, "aclose", None)) is not None:
                with suppress(Exception):
                    await close()
            settle([made[index] for index in awaited])
            raise
        return await _gathered(made, awaited) if awaited else made

    def _add(self, made: list[Any], awaited: list[int], run: Run, field: Field, path: Path, item: Any) -> None:
        if is_awaitable(item):
            awaited.append(len(made))
            made.append(self._promised(run, field, path, item))
            return
        try:
            completed = self._completed(run, field, path, item)
        except Exception as raw:
            run.fail(raw, field, path, non_null=self.item.non_null)
            completed = None
        if is_awaitable(completed):
            awaited.append(len(made))
            completed = self._guarded(run, field, path, completed)
        made.append(completed)

    def _completed(self, run: Run, field: Field, path: Path, item: Any) -> Any:
        return self.item.complete(run, field, path, item)

    async def _promised(self, run: Run, field: Field, path: Path, item: Awaitable[Any]) -> Any:
        try:
            completed = self._completed(run, field, path, await item)
            return await completed if is_awaitable(completed) else completed
        except Exception as raw:
            run.fail(raw, field, path, non_null=self.item.non_null)
            return None

    async def _guarded(self, run: Run, field: Field, path: Path, completed: Awaitable[Any]) -> Any:
        try:
            return await completed
        except Exception as raw:
            run.fail(raw, field, path, non_null=self.item.non_null)
            return None


class Object(Shape):
    """An object of one type."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.type = selection.type

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        return object_value(self.selection, run, field, path, value)


class Abstract(Shape):
    """An object of one of several types, found out when it is there."""

    def __init__(self, type_: GraphQLAbstractType, select: Callable[[GraphQLObjectType], Selection]) -> None:
        self.type = type_
        self._select = select
        self._selections: dict[str, Selection] = {}

    def complete(self, run: Run, field: Field, path: Path, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        resolve = self.type.resolve_type or default_type_resolver
        name: Any = resolve(value, _info(run, field, path), self.type)
        if is_awaitable(name):
            return self._promised(run, field, path, value, name)
        return object_value(self._of(run, field, name, value), run, field, path, value)

    async def _promised(self, run: Run, field: Field, path: Path, value: Any, name: Awaitable[Any]) -> Any:
        completed = object_value(self._of(run, field, await name, value), run, field, path, value)
        return await completed if is_awaitable(completed) else completed

    def _of(self, run: Run, field: Field, name: Any, value: Any) -> Selection:
        """What is selected of the type of this name.  Raises GraphQLError where it is none of the possible ones."""
        found = self._selections.get(name) if isinstance(name, str) else None
        if found is None:
            found = self._selections[name] = self._select(self._type(run, field, name, value))
        return found

    def _type(self, run: Run, field: Field, name: Any, value: Any) -> GraphQLObjectType:
        abstract, schema = self.type, run.plan.schema
        if name is None:
            problem = (
                f"Abstract type '{abstract}' must resolve to an Object type at runtime"
                f" for field '{field.parent}.{field.name}'."
                f" Either the '{abstract}' type should provide a 'resolve_type' function"
                " or each possible type should provide an 'is_type_of' function."
            )
        elif not isinstance(name, str):
            problem = (
                f"Abstract type '{abstract}' must resolve to an Object type at runtime"
                f" for field '{field.parent}.{field.name}' with value {inspect(value)},"
                f" received '{inspect(name)}', which is not a valid Object type name."
            )
        elif (found := schema.get_type(name)) is None:
            problem = (
                f"Abstract type '{abstract}' was resolved to a type '{name}' that does not exist inside the schema."
            )
        elif not is_object_type(found):
            problem = f"Abstract type '{abstract}' was resolved to a non-object type '{name}'."
        elif not schema.is_sub_type(abstract, found):
            problem = f"Runtime Object type '{found}' is not a possible type for '{abstract}'."
        else:
            return found
        raise GraphQLError(problem, field.nodes)


def selection_of(field: Field) -> Selection:
    """What is selected of the objects of a field whose type is an object's, or a list of objects."""
    shape = field.shape
    while not isinstance(shape, Object):
        shape = shape.inner if isinstance(shape, NonNull) else shape.item  # type: ignore[attr-defined]
    return shape.selection


def object_value(selection: Selection, run: Run, field: Field, path: Path, value: Any) -> Any:
    """The selected fields of the value, once it has proven to be of the type."""
    if (is_type_of := selection.type.is_type_of) is not None and (
        value.__class__ is not selection.usual or hasattr(value, TYPE_CAST_ATTRIBUTE)
    ):
        proven: Any = is_type_of(value, _info(run, field, path))
        if is_awaitable(proven):
            return _proven(selection, run, field, path, value, proven)
        if not proven:
            raise _not_of(selection.type, field, value)
    return fields(run, selection, value, path)


async def _proven(selection: Selection, run: Run, field: Field, path: Path, value: Any, proven: Awaitable[Any]) -> Any:
    if not await proven:
        raise _not_of(selection.type, field, value)
    completed: Any = fields(run, selection, value, path)
    return await completed if is_awaitable(completed) else completed


def _not_of(type_: GraphQLObjectType, field: Field, value: Any) -> GraphQLError:
    return GraphQLError(f"Expected value of type '{type_.name}' but got: {inspect(value)}.", field.nodes)


def _info(run: Run, field: Field, path: Path) -> GraphQLResolveInfo[Any]:
    """What those who tell types are told: of the place of the field, as resolvers are, and not of an item in it."""
    while isinstance(path.key, int) and path.prev is not None:
        path = path.prev
    return run.info(field, path)


async def _gathered(made: list[Any], awaited: list[int]) -> list[Any]:
    if len(awaited) == 1:
        made[awaited[0]] = await made[awaited[0]]
    else:
        found = await gather_with_cancel(*(made[index] for index in awaited))
        for index, each in zip(awaited, found, strict=True):
            made[index] = each
    return made


def _awaitables(items: Iterable[Any]) -> list[Any]:
    """What an iterable still promises after it was given up."""
    found: list[Any] = []
    with suppress(Exception):
        found.extend(item for item in items if is_awaitable(item))
    return found
