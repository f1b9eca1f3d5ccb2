"""From a validated operation to what is done for each request: its fields collected, its arguments and types looked up.

A plan is made once for an operation and each combination of what its `@skip` and `@include` say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import StrEnum
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from app.engine import generate, resolvers
from app.engine.inputs import Inputs
from app.engine.run import Run
from app.engine.shapes import Abstract, AtOnce, Leaf, Listed, NonNull, Object, Shape

Class = type  # spelled so where a field has the name
_CONDITIONS = ("skip", "include")
_KNOWN = (*_CONDITIONS, "deprecated", "specifiedBy", "oneOf")
CONDITIONS_MAX = 6  # 64 plans of one operation at the most


class Reason(StrEnum):
    """Why graphql-core runs an operation, and not the engine."""

    DIRECTIVE = "directive"  # it has another one than @skip and @include, such as @defer
    FRAGMENT_ARGUMENTS = "fragment_arguments"  # its fragments take arguments, which no specification knows yet
    CONDITIONS = "conditions"  # its @skip and @include ask for more variables than plans could be kept for
    NO_CONDITION = "no_condition"  # a variable of its @skip or @include has no value, which is an error at its place
    DEPTH = "depth"  # it is nested too deeply to be planned within Python's limit of recursion


class NotCovered(Exception):
    """graphql-core is to run this operation."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(eq=False, slots=True)
class Field:
    """One field where it stands in an operation.

    attribute  what a field without a resolver reads; None for a field with one
    resolve    the value of the field of this object, or the promise of it
    """

    key: str
    name: str
    nodes: list[FieldNode]
    parent: GraphQLObjectType
    definition: GraphQLField
    shape: Shape
    attribute: str | None
    resolve: Callable[[Run, Field, Any, Path], Any]

    @property
    def is_typename(self) -> bool:
        return self.name == "__typename"

    @property
    def is_plain(self) -> bool:
        """Whether reading an attribute is all that it takes, here and in everything below."""
        return self.is_typename or (self.attribute is not None and generate.is_plain(self.shape))


@dataclass(eq=False, slots=True)
class Selection:
    """The fields selected of objects of one type.

    resolved  those that `at_once` leaves open
    usual     the class whose instances are of the type without asking, where that is known
    """

    type: GraphQLObjectType
    fields: list[Field] = dataclass_field(default_factory=list)
    resolved: list[Field] = dataclass_field(default_factory=list)
    usual: Class | None = None
    at_once: AtOnce | None = None


class Plan:
    """What is done for an operation.

    serial  whether the root fields are run one after the other
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        inputs: Inputs,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: VariableValues,
    ) -> None:
        self.schema = schema
        self._inputs = inputs
        self.operation = operation
        self.fragments = _fragments(document)
        self.serial = operation.operation is OperationType.MUTATION
        self._details = {name: FragmentDetails(node) for name, node in self.fragments.items()}
        # The selections of abstract types are made when they are first met, by what the conditions say in this plan.
        self._variables = variables
        self._selections: list[Selection] = []
        self.is_quick = False
        root = schema.get_root_type(operation.operation)
        assert root is not None, "a validated operation has a root"
        collected = collect_fields(schema, self._details, variables, root, operation)
        self.selection = self._selection(root, collected.grouped_field_set)

    def quicken(self) -> None:
        """Write the functions that take the usual values. It costs as much as a few runs: not before the second."""
        self.is_quick = True
        for selection in self._selections:
            generate.write(selection)

    def given(self, field: Field) -> resolvers.Given:
        """Makes of variables what the resolver of a field takes, by its own names.  Raises TypeError."""
        return resolvers.given(field.definition, field.nodes[0], self._inputs)

    def _select(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Selection:
        collected = collect_subfields(self.schema, self._details, self._variables, self.operation, type_, details)
        return self._selection(type_, collected.grouped_field_set)

    def _selection(self, type_: GraphQLObjectType, grouped: Mapping[str, FieldDetailsList]) -> Selection:
        selection = Selection(type_, usual=_usual_class(type_))
        for key, details in grouped.items():
            name = details[0].node.name.value
            if (definition := self.schema.get_field(type_, name)) is not None:
                selection.fields.append(self._field(type_, key, definition, details))
        self._selections.append(selection)
        if self.is_quick:
            generate.write(selection)
        return selection

    def _field(self, parent: GraphQLObjectType, key: str, definition: GraphQLField, details: FieldDetailsList) -> Field:
        node = details[0].node
        attribute = None if node.arguments or definition.args else resolvers.attribute_of(definition)
        return Field(
            key=key,
            name=node.name.value,
            nodes=[each.node for each in details],
            parent=parent,
            definition=definition,
            shape=self._shape(definition.type, details),
            attribute=attribute,
            resolve=resolvers.reader(attribute)
            if attribute is not None
            else resolvers.resolver(definition, node, self._inputs),
        )

    def _shape(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Shape:
        if is_non_null_type(type_):
            return NonNull(self._shape(type_.of_type, details))
        if is_list_type(type_):
            return Listed(self._shape(type_.of_type, details))
        if is_leaf_type(type_):
            return Leaf(type_)
        if is_object_type(type_):
            return Object(self._select(type_, details))
        assert is_abstract_type(type_)
        return self._abstract(type_, details)

    def _abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList) -> Abstract:
        return Abstract(type_, lambda concrete: self._select(concrete, details))


def _usual_class(type_: GraphQLObjectType) -> type | None:
    """The class that strawberry made the type of, where strawberry itself tells its instances."""
    found: Any = (type_.extensions or {}).get("strawberry-definition")
    if found is None or found.is_type_of is not None:
        return None
    origin: type = found.origin
    return None if issubclass(origin, Exception) else origin


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def conditions(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """The variables that `@skip` and `@include` ask for, by name.  Raises NotCovered."""
    fragments = _fragments(document)
    if any(node.variable_definitions for node in fragments.values()):
        raise NotCovered(Reason.FRAGMENT_ARGUMENTS)
    found: set[str] = set()
    for directive in (*(operation.directives or ()), *_directives(operation.selection_set, fragments, set())):
        name = directive.name.value
        if name not in _KNOWN:
            raise NotCovered(Reason.DIRECTIVE)
        if name in _CONDITIONS:
            found |= {
                each.value.name.value for each in directive.arguments or () if isinstance(each.value, VariableNode)
            }
    if len(found) > CONDITIONS_MAX:
        raise NotCovered(Reason.CONDITIONS)
    return tuple(sorted(found))


def _directives(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[DirectiveNode]:
    for selection in selections.selections:
        yield from selection.directives or ()
        inner: FieldNode | InlineFragmentNode | FragmentDefinitionNode
        if isinstance(selection, FragmentSpreadNode):
            if selection.name.value in seen or selection.name.value not in fragments:
                continue
            seen.add(selection.name.value)
            inner = fragments[selection.name.value]
            yield from inner.directives or ()
        else:
            assert isinstance(selection, FieldNode | InlineFragmentNode)
            inner = selection
        if inner.selection_set is not None:
            yield from _directives(inner.selection_set, fragments, seen)
