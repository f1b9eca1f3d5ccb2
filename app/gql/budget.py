"""What an operation may ask for: one walk, linear in the size of the document, judges depth, fields, aliases and cost.

Each fragment is walked once and its sums are reused wherever it is spread, so that fragments nested in fragments cost
nothing extra to judge (the limiters that come with the GraphQL library take twice as long for every level).

Cost estimates the objects an operation can return. An object counts 1; a page counts its `first` or `last`, a list
without paging 10; connections, edges, page infos and money are wrapping and count nothing. A page of 100 orders with
10 lines each and the SKU of every line costs 2,100.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

PAGE_DEFAULT = 20
PAGE_MAX = 100
LIST_DEFAULT = 10
MUTATION_COST = 10

_PAGE_ARGUMENTS = ("first", "last")
_WRAPPINGS = ("Connection", "Edge", "PageInfo", "Money")
_MANY = 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """The most an operation may ask for. `fields` counts a fragment's fields wherever it is spread.

    Introspection has its own depth and fields: the query that explorers send is deeper than any on orders, and
    answered from memory.
    """

    depth: int = 12
    fields: int = 400
    aliases: int = 30
    root_fields: int = 20
    mutations: int = 5
    introspection_depth: int = 20
    introspection_fields: int = 400


class Weight(NamedTuple):
    """The sums of one selection set, everything inside it included."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    root_fields: int = 0
    cost: int = 0
    introspection_depth: int = 0
    introspection_fields: int = 0

    def beside(self, other: Weight) -> Weight:
        return Weight(
            max(self.depth, other.depth),
            min(self.fields + other.fields, _MANY),
            min(self.aliases + other.aliases, _MANY),
            min(self.root_fields + other.root_fields, _MANY),
            min(self.cost + other.cost, _MANY),
            max(self.introspection_depth, other.introspection_depth),
            min(self.introspection_fields + other.introspection_fields, _MANY),
        )


_NOTHING = Weight()


class Scale:
    """Weighs the operations of one document, valid or not: what it does not know weighs as a leaf.

    variables  values of the request, for pages whose size is a variable; without a value a page has its default
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None = None
    ) -> None:
        self._schema = schema
        self._variables = variables or {}
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._weighed: dict[str, Weight] = {}
        self._open: set[str] = set()
        self.size_variables: set[str] = set()

    def operation(self, node: OperationDefinitionNode) -> Weight:
        weight = self._selections(node.selection_set, self._schema.get_root_type(node.operation))
        if node.operation is OperationType.MUTATION:
            weight = weight._replace(cost=weight.cost + MUTATION_COST * weight.root_fields)
        return weight

    def fragments(self) -> Iterable[tuple[FragmentDefinitionNode, Weight]]:
        """Every fragment, also those that nothing spreads: validation looks at them all."""
        for name, node in self._fragments.items():
            yield node, self._fragment(name)

    def _selections(self, selections: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Weight:
        weight = _NOTHING
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                weight = weight.beside(self._field(selection, parent))
            elif isinstance(selection, FragmentSpreadNode):
                weight = weight.beside(self._fragment(selection.name.value))
            else:
                condition = getattr(selection, "type_condition", None)
                inner = self._schema.get_type(condition.name.value) if condition else parent
                weight = weight.beside(self._selections(getattr(selection, "selection_set", None), inner))
        return weight

    def _fragment(self, name: str) -> Weight:
        node = self._fragments.get(name)
        if node is None or name in self._open:  # validation names unknown fragments and cycles
            return _NOTHING
        if name not in self._weighed:
            self._open.add(name)
            parent = self._schema.get_type(node.type_condition.name.value)
            self._weighed[name] = self._selections(node.selection_set, parent)
            self._open.discard(name)
        return self._weighed[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Weight:
        name = node.name.value
        field = getattr(parent, "fields", {}).get(name)
        aliased = 1 if node.alias else 0
        if name in ("__schema", "__type") or (parent is not None and parent.name.startswith("__")):
            type_ = self._schema.get_type("__Schema" if name == "__schema" else "__Type")
            inner = self._selections(node.selection_set, get_named_type(field.type) if field else type_)
            return Weight(
                aliases=inner.aliases + aliased,
                root_fields=1,
                cost=inner.cost,
                introspection_depth=inner.introspection_depth + 1,
                introspection_fields=inner.introspection_fields + 1,
            )
        named = get_named_type(field.type) if field else None
        inner = self._selections(node.selection_set, named) if node.selection_set else _NOTHING
        return Weight(
            depth=inner.depth + 1,
            fields=min(inner.fields + 1, _MANY),
            aliases=inner.aliases + aliased,
            root_fields=1,
            cost=self._cost(node, field, named, parent, inner.cost),
            introspection_depth=inner.introspection_depth,
            introspection_fields=inner.introspection_fields,
        )

    def _cost(
        self,
        node: FieldNode,
        field: GraphQLField | None,
        named: GraphQLNamedType | None,
        parent: GraphQLNamedType | None,
        inside: int,
    ) -> int:
        if field is None or named is None or is_leaf_type(named):
            return 0
        own = 0 if named.name.endswith(_WRAPPINGS) else 1
        return min(self._size(node, field, parent) * (own + inside), _MANY)

    def _size(self, node: FieldNode, field: GraphQLField, parent: GraphQLNamedType | None) -> int:
        if any(name in field.args for name in _PAGE_ARGUMENTS):
            sizes = [
                self._page(argument.value)
                for argument in node.arguments or ()
                if argument.name.value in _PAGE_ARGUMENTS
            ]
            return max(sizes, default=PAGE_DEFAULT)
        if is_list_type(get_nullable_type(field.type)):
            # A connection's own page has been counted at the field that gave the connection.
            return 1 if parent is not None and parent.name.endswith("Connection") else LIST_DEFAULT
        return 1

    def _page(self, value: object) -> int:
        if isinstance(value, VariableNode):
            self.size_variables.add(value.name.value)
            return page_size(self._variables.get(value.name.value))
        if isinstance(value, IntValueNode):
            return page_size(int(value.value[:6]))
        return PAGE_DEFAULT


def page_size(given: Any) -> int:
    """The size a page is weighed with: what lies outside 1 to 100 is refused by the list itself."""
    return max(1, min(given, PAGE_MAX)) if isinstance(given, int) else PAGE_DEFAULT


def excess(weight: Weight, node: OperationDefinitionNode, limits: Limits) -> GraphQLError | None:
    """The first limit that the operation exceeds, as the error to send."""
    roots = limits.mutations if node.operation is OperationType.MUTATION else limits.root_fields
    noun = "mutations" if node.operation is OperationType.MUTATION else "root fields"
    for what, value, most in (
        ("levels", weight.depth, limits.depth),
        ("fields", weight.fields, limits.fields),
        ("aliases", weight.aliases, limits.aliases),
        (noun, weight.root_fields, roots),
        ("levels of introspection", weight.introspection_depth, limits.introspection_depth),
        ("fields of introspection", weight.introspection_fields, limits.introspection_fields),
    ):
        if value > most:
            return too_complex(f"This operation has {_shown(value)} {what}; {most} are allowed.", node)
    return None


def too_complex(message: str, node: OperationDefinitionNode | FragmentDefinitionNode | None = None) -> GraphQLError:
    return GraphQLError(message, node, extensions={"code": "QUERY_TOO_COMPLEX"})


def _shown(value: int) -> str:
    return f"{value:,}" if value < _MANY else "over a billion"
