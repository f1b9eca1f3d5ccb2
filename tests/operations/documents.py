"""What our callers send: the documents under graphql/operations, and who sends each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    parse,
)
from strawberry import Schema

from app import schema
from app.auth.states import CUSTOMER_SCOPES, DEFAULT_SCOPES, ClientKind
from app.gql.execution import Graph

FOLDER = Path(__file__).parents[2] / "graphql/operations"
CUSTOMER = "CUSTOMER"
SENDERS = {
    "storefront": ClientKind.STOREFRONT.value,
    "portal": CUSTOMER,
    "dashboard": ClientKind.STAFF.value,
    "partner": ClientKind.PARTNER.value,
}
# The portal's pages carry a customer's token, which the portal's server has fetched with a key of its own.
_OTHERS = {"portal/CustomerTokenCreate": ClientKind.SERVICE.value}


class Selected(NamedTuple):
    """A field as a document selects it.

    path       names in the answer, from the root
    variables  names of the variables that it takes, by argument
    """

    path: tuple[str, ...]
    parent: str
    name: str
    type: Any
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """One file: an operation, with the fragments that it spreads.

    name  `folder/Operation`
    """

    name: str
    text: str

    def __str__(self) -> str:
        return self.name

    @property
    def sender(self) -> str:
        """The kind of caller who sends it."""
        return _OTHERS.get(self.name) or SENDERS[self.name.partition("/")[0]]

    @property
    def scopes(self) -> frozenset[str]:
        """What such a caller may do when nobody said otherwise."""
        return CUSTOMER_SCOPES if self.sender == CUSTOMER else DEFAULT_SCOPES[ClientKind(self.sender)]

    @cached_property
    def ast(self) -> DocumentNode:
        return parse(self.text)

    @cached_property
    def operation(self) -> OperationDefinitionNode:
        (operation,) = [each for each in self.ast.definitions if isinstance(each, OperationDefinitionNode)]
        return operation

    def takes(self, variable: str) -> bool:
        return variable in {each.variable.name.value for each in self.operation.variable_definitions or ()}

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        named = [each for each in self.ast.definitions if isinstance(each, FragmentDefinitionNode)]
        return {each.name.value: each for each in named}

    def selected(self, schema: GraphQLSchema) -> Iterator[Selected]:
        """Every field that it selects, fragments included."""
        yield from self._below(schema, self.operation.selection_set, schema.get_root_type(self.operation.operation), ())

    def lists(self, schema: GraphQLSchema) -> set[str]:
        """The paths of its lists of objects; those of errors are not among them, which are to stay empty."""
        return {
            ".".join(each.path)
            for each in self.selected(schema)
            if is_list_type(get_nullable_type(each.type)) and not is_leaf_type(get_named_type(each.type))
            if "userErrors" not in each.path
        }

    def _below(
        self, schema: GraphQLSchema, selections: SelectionSetNode, parent: Any, path: tuple[str, ...]
    ) -> Iterator[Selected]:
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                name = selection.name.value
                if name.startswith("__"):
                    continue
                here = (*path, selection.alias.value if selection.alias else name)
                type_ = parent.fields[name].type
                variables = {
                    argument.name.value: argument.value.name.value
                    for argument in selection.arguments or ()
                    if isinstance(argument.value, VariableNode)
                }
                yield Selected(here, parent.name, name, type_, variables)
                if selection.selection_set:
                    yield from self._below(schema, selection.selection_set, get_named_type(type_), here)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self.fragments[selection.name.value]
                inner = schema.get_type(fragment.type_condition.name.value)
                yield from self._below(schema, fragment.selection_set, inner, path)
            else:
                condition = selection.type_condition
                inner = schema.get_type(condition.name.value) if condition else parent
                yield from self._below(schema, selection.selection_set, inner, path)


@cache
def _schema() -> Schema:
    return schema.build()


def new_graph(**given: Any) -> Graph:
    """One that has no answers in mind yet, which databases that are copies of one another would mix up."""
    return Graph(_schema(), **given)


@cache
def graph() -> Graph:
    return new_graph()


ALL = [
    Document(f"{file.parent.name}/{file.stem}", file.read_text(encoding="utf-8"))
    for file in sorted(FOLDER.glob("*/*.graphql"))
]
SUBSCRIPTIONS = [each for each in ALL if each.operation.operation is OperationType.SUBSCRIPTION]
ASKED_ONCE = [each for each in ALL if each not in SUBSCRIPTIONS]
(FETCH_TOKEN,) = [each for each in ALL if each.name == "portal/CustomerTokenCreate"]
