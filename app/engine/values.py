"""What is sent: variables and arguments, by functions made once for each type and each field.

Each function here knows the usual case alone. Whatever else comes is left to graphql-core, which accepts it by its own
rules or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_argument_values,
    get_named_type,
    get_variable_values,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
    specified_scalar_types,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, input_is_nested_too_deeply
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal

INT_MAX = 2**31 - 1

Coerce = Callable[[Any], Any]


class Unusual(Exception):
    """The value is not of the usual kind: graphql-core is to judge it."""


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, coercion: Coercion) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._usual: list[tuple[str, GraphQLVariableSignature, Coerce, bool]] | None = []
        for definition in self._definitions:
            signature = get_variable_signature(schema, definition)
            if isinstance(signature, GraphQLError):
                self._usual = None
                return
            may_lack = definition.default_value is None and not is_non_null_type(signature.type)
            coerce = coercion.of(signature.type)
            if _holds_itself(signature.type):
                coerce = _shallow(coerce, signature.type)
            self._usual.append((signature.name, signature, coerce, may_lack))

    def coerced(self, inputs: Mapping[str, Any], errors_max: int) -> VariableValues | list[GraphQLError]:
        """The values by their types, or what is wrong with them."""
        if self._usual is not None:
            sources: dict[str, VariableValueSource] = {}
            coerced: dict[str, Any] = {}
            try:
                for name, signature, coerce, may_lack in self._usual:
                    if name in inputs:
                        value = inputs[name]
                        sources[name] = VariableValueSource(signature, value)
                        coerced[name] = coerce(value)
                    elif may_lack:
                        sources[name] = VariableValueSource(signature)
                    else:
                        raise Unusual
                return VariableValues(sources, coerced)
            except Exception:  # noqa: S110 (whatever it is, graphql-core finds it again and tells of it)
                pass
        return get_variable_values(self._schema, self._definitions, dict(inputs), max_errors=errors_max)


class Arguments:
    """The arguments of one field where it stands in a document."""

    def __init__(self, field: GraphQLField, node: FieldNode) -> None:
        self._field = field
        self._node = node
        self._fixed: dict[str, Any] = {}  # all names, in the schema's order: variables are put in their places
        self._variables: list[tuple[str, str, bool, Any]] = []
        self._usual = self._understand()

    def __bool__(self) -> bool:
        return bool(self._field.args)

    def of(self, variables: VariableValues) -> dict[str, Any]:
        """By the names that the resolver takes.  Raises GraphQLError."""
        if not self._usual:
            return get_argument_values(self._field, self._node, variables)
        values = self._fixed.copy()
        coerced = variables.coerced
        for name, variable, non_null, default in self._variables:
            value = coerced.get(variable, Undefined)
            if value is Undefined:
                value = default
                if value is Undefined:
                    del values[name]
                    continue
            if value is None and non_null:
                return get_argument_values(self._field, self._node, variables)
            values[name] = value
        return values

    def _understand(self) -> bool:
        """Sort the arguments into fixed ones and plain variables; False where there are others."""
        given = {argument.name.value: argument.value for argument in self._node.arguments or ()}
        for name, definition in self._field.args.items():
            out = definition.out_name or name
            try:
                default = _default(definition)
            except (GraphQLError, TypeError):
                return False
            node = given.get(name)
            if node is None:
                if is_required_argument(definition):
                    return False
                if default is not Undefined:
                    if not _is_plain(default):
                        return False
                    self._fixed[out] = default
            elif isinstance(node, VariableNode):
                if is_required_argument(definition):
                    default = None  # which is refused below, as a variable that is lacking must be
                if default is not Undefined and not _is_plain(default):
                    return False
                self._fixed[out] = Undefined
                self._variables.append((out, node.name.value, is_non_null_type(definition.type), default))
            elif _has_variables(node):
                return False  # and what a type made of it without them might look plain
            else:
                value = coerce_input_literal(node, definition.type)
                if value is Undefined or not _is_plain(value):
                    return False
                self._fixed[out] = value
        return True


class Coercion:
    """How values of input types are made, one function for each type."""

    def __init__(self) -> None:
        self._made: dict[Any, Coerce] = {}

    def of(self, type_: GraphQLInputType) -> Coerce:
        """A function that makes the value of this type, and raises what it likes where the value is not as usual."""
        if (made := self._made.get(type_)) is None:
            made = self._made[type_] = self._make(type_)
        return made

    def _make(self, type_: GraphQLInputType) -> Coerce:
        if is_non_null_type(type_):
            return _present(self.of(type_.of_type))
        if is_list_type(type_):
            return _list(self.of(type_.of_type))
        if is_input_object_type(type_):
            return self._object(type_)
        assert is_leaf_type(type_)
        if type_.name in specified_scalar_types and type_ is specified_scalar_types[type_.name]:
            return _SPECIFIED[type_.name]
        if isinstance(type_, GraphQLEnumType):
            return _nullable(_enum(type_))
        return _nullable(type_.coerce_input_value)

    def _object(self, type_: Any) -> Coerce:
        fields: list[tuple[str, str, Coerce, bool, Any]] = []

        def coerce(value: Any) -> Any:
            if value is None:
                return None
            if value.__class__ is not dict:
                raise Unusual
            if not fields:  # looked at no sooner, since inputs may contain themselves
                fields.extend(self._fields(type_))
            made: dict[str, Any] = {}
            given = 0
            for name, out, of, is_required, default in fields:
                if name in value:
                    made[out] = of(value[name])
                    given += 1
                elif is_required:
                    raise Unusual
                elif default is not Undefined:
                    made[out] = default
            if given != len(value):
                raise Unusual
            return type_.out_type(made)

        def one_of(value: Any) -> Any:
            if value is not None and (len(value) != 1 or None in value.values()):
                raise Unusual
            return coerce(value)

        return one_of if type_.is_one_of else coerce

    def _fields(self, type_: Any) -> list[tuple[str, str, Coerce, bool, Any]]:
        """Of each field its name, the name that it gets, what makes its value, whether it is required, its default."""
        return [
            (
                name,
                field.out_name or name,
                self.of(field.type),
                is_required_input_field(field),
                coerce_default_value(field),
            )
            for name, field in type_.fields.items()
        ]


def _default(definition: GraphQLArgument) -> Any:
    return coerce_default_value(definition)


def _has_variables(node: ValueNode) -> bool:
    """Whether a literal has variables in it."""
    match node:
        case ListValueNode(values=values):
            return any(map(_has_variables, values))
        case ObjectValueNode(fields=fields):
            return any(_has_variables(field.value) for field in fields)
    return isinstance(node, VariableNode)


def _is_plain(value: Any) -> bool:
    """Whether nobody can change it, so that all requests may share it."""
    return value is None or isinstance(value, str | int | float | bool | tuple | frozenset)


def _holds_itself(type_: GraphQLInputType, within: frozenset[str] = frozenset()) -> bool:
    """Whether values of this type can be nested without end."""
    named = get_named_type(type_)
    if not is_input_object_type(named):
        return False
    within |= {named.name}
    return any(
        get_named_type(field.type).name in within or _holds_itself(field.type, within)
        for field in named.fields.values()
    )


def _shallow(of: Coerce, type_: GraphQLInputType) -> Coerce:
    def coerce(value: Any) -> Any:
        if input_is_nested_too_deeply(value, type_):
            raise Unusual
        return of(value)

    return coerce


def _present(of: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if value is None:
            raise Unusual
        return of(value)

    return coerce


def _nullable(of: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if value is None:
            return None
        made = of(value)
        if made is Undefined:
            raise Unusual
        return made

    return coerce


def _list(of: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if value is None:
            return None
        if value.__class__ is not list:
            raise Unusual
        return [of(each) for each in value]

    return coerce


def _enum(type_: GraphQLEnumType) -> Coerce:
    values: dict[str, Any] = {}

    def coerce(value: Any) -> Any:
        if value.__class__ is not str:
            raise Unusual
        if value not in values:
            values[value] = type_.coerce_input_value(value)  # which refuses what is none, so this has an end
        return values[value]

    return coerce


def _string(value: Any) -> Any:
    if value.__class__ is not str and value is not None:
        raise Unusual
    return value


def _int(value: Any) -> Any:
    if value is not None and (value.__class__ is not int or not -INT_MAX - 1 <= value <= INT_MAX):
        raise Unusual
    return value


def _float(value: Any) -> Any:
    if value is not None and (value.__class__ is not float or not isfinite(value)):
        raise Unusual
    return value


def _boolean(value: Any) -> Any:
    if value.__class__ is not bool and value is not None:
        raise Unusual
    return value


_SPECIFIED: Mapping[str, Coerce] = {"String": _string, "ID": _string, "Int": _int, "Float": _float, "Boolean": _boolean}
