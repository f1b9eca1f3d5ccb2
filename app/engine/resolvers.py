"""How the value of a field is got: by reading an attribute, by calling the resolver itself, or through strawberry.

Strawberry wraps every resolver; what the wrapper does for a plain one is done here once, when the plan is made.
Resolvers with extensions or exception handlers are called through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLField, default_field_resolver
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from app.engine.inputs import Build, Inputs
from app.engine.run import Run
from app.engine.values import Arguments

if TYPE_CHECKING:
    from app.engine.plan import Field

Resolve = Callable[[Run, "Field", Any, Path], Any]
Given = Callable[[VariableValues], dict[str, Any]]


def attribute_of(definition: GraphQLField) -> str | None:
    """The attribute that the field reads, where strawberry does nothing else for it."""
    field = _strawberry_field(definition)
    if field is None or not field.is_basic_field or field.default_resolver is not getattr:
        return None
    # Strawberry gives a field whose exceptions are handled another resolver than this one.
    if getattr(definition.resolve, "__name__", "") != "_get_basic_result":
        return None
    return field.python_name


def reader(attribute: str) -> Resolve:
    """Reads the attribute."""
    return lambda run, field, source, path: getattr(source, attribute)


def resolver(definition: GraphQLField, node: FieldNode, inputs: Inputs) -> Resolve:
    """Calls the resolver with the arguments that the field has where it stands in a document."""
    arguments = Arguments(definition, node)
    if (called := _called(definition, arguments, inputs)) is not None:
        return called
    function = definition.resolve or default_field_resolver
    if not arguments:
        return lambda run, field, source, path: function(source, run.info(field, path))
    return lambda run, field, source, path: function(source, run.info(field, path), **arguments.of(run.variables))


def _called(definition: GraphQLField, arguments: Arguments, inputs: Inputs) -> Resolve | None:
    """Calls the function that strawberry was given; None where that is not all."""
    strawberry_field = _strawberry_field(definition)
    if strawberry_field is None or not _is_only_called(definition, strawberry_field):
        return None
    resolver = strawberry_field.base_resolver
    assert resolver is not None, "or it is only called by strawberry"
    try:
        build = _built(definition, inputs)
    except TypeError:
        return None
    function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    takes_self = resolver.self_parameter is not None
    parents = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each is not None]
    info_name = resolver.info_parameter.name if resolver.info_parameter is not None else None
    info_class = _info_class(definition)

    is_async = strawberry_field.is_async

    def call(run: Run, field: Field, source: Any, path: Path) -> Any:
        values = arguments.of(run.variables) if arguments else {}
        try:
            given = build(values)
        except Exception as refused:
            if is_async:  # then strawberry builds inputs when it is awaited: errors that come before come first
                return _refusal(refused)
            raise
        for name in parents:
            given[name] = source
        if info_name is not None:
            given[info_name] = info_class(_raw_info=run.info(field, path), _field=strawberry_field)
        return function(source, **given) if takes_self else function(**given)

    return call


def given(definition: GraphQLField, node: FieldNode, inputs: Inputs) -> Given:
    """Makes of variables what the resolver of a field takes, by its own names.  Raises TypeError."""
    arguments, build = Arguments(definition, node), _built(definition, inputs)
    return lambda variables: build(arguments.of(variables))


async def _refusal(refused: Exception) -> Any:
    raise refused


def _built(definition: GraphQLField, inputs: Inputs) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Makes of coerced arguments what the resolver takes, by its own names.  Raises TypeError."""
    by_name: dict[str, tuple[str, Build | None]] = {}
    for name, argument in definition.args.items():
        known: Any = (argument.extensions or {}).get("strawberry-definition")
        if known is None or argument.out_name is not None:
            raise TypeError(f"strawberry does not know the argument {name}")
        by_name[name] = known.python_name, inputs.builder(known.type)

    def build(values: dict[str, Any]) -> dict[str, Any]:
        given = {}
        for name, value in values.items():
            python_name, made = by_name[name]
            given[python_name] = value if made is None or value is None else made(value)
        return given

    return build


def _is_only_called(definition: GraphQLField, field: StrawberryField) -> bool:
    """Whether strawberry adds nothing but names and types to a call of the resolver."""
    function = definition.resolve
    if field.base_resolver is None or field.extensions or getattr(field, "permission_classes", None):
        return False
    if getattr(function, "__name__", "") not in ("_resolver", "_async_resolver"):
        return False
    return _closure(function).get("field_exception_handlers") == ()


def _info_class(definition: GraphQLField) -> type[Info[Any, Any]]:
    """The class of what resolvers get as `info`."""
    make = _closure(definition.resolve).get("_strawberry_info_from_graphql")
    converter = _closure(make).get("self")
    return converter.config.info_class if converter is not None else Info


def _closure(function: Any) -> dict[str, Any]:
    """What a function refers to from where it was made, by name."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    return dict(zip(names, (cell.cell_contents for cell in function.__closure__ or ()), strict=True)) if names else {}


def _strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    field = (definition.extensions or {}).get("strawberry-definition")
    return field if isinstance(field, StrawberryField) else None
