"""Resuming a subscription by `Last-Event-ID`: the client repeats its request, and the header says how far it came."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
)

AFTER = "after"


def starting_after(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, cursor: str
) -> DocumentNode:
    """The document with the argument `after` of the subscription's root field set to the cursor.

    Works alike whether the argument was a literal, a variable or left out, and whether the field stands in a fragment.
    A root field without such an argument is left as it is.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    root = schema.get_root_type(operation.operation)
    assert root is not None
    changed = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=operation.directives,
        selection_set=_with(operation.selection_set, root, fragments, cursor),
        loc=operation.loc,
    )
    definitions = tuple(changed if node is operation else node for node in document.definitions)
    return DocumentNode(definitions=definitions, loc=document.loc)


def _with(
    selections: SelectionSetNode, root: GraphQLObjectType, fragments: Mapping[str, FragmentDefinitionNode], cursor: str
) -> SelectionSetNode:
    return SelectionSetNode(selections=tuple(_each(node, root, fragments, cursor) for node in selections.selections))


def _each(
    node: SelectionNode, root: GraphQLObjectType, fragments: Mapping[str, FragmentDefinitionNode], cursor: str
) -> SelectionNode:
    if isinstance(node, FieldNode):
        return _field(node, root, cursor)
    inner = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
    assert isinstance(inner, FragmentDefinitionNode | InlineFragmentNode)
    return InlineFragmentNode(
        type_condition=inner.type_condition,
        directives=node.directives,
        selection_set=_with(inner.selection_set, root, fragments, cursor),
        loc=node.loc,
    )


def _field(node: FieldNode, root: GraphQLObjectType, cursor: str) -> FieldNode:
    field = root.fields.get(node.name.value)
    if field is None or AFTER not in field.args:
        return node
    others = tuple(argument for argument in node.arguments or () if argument.name.value != AFTER)
    after = ArgumentNode(name=NameNode(value=AFTER), value=StringValueNode(value=cursor, block=False))
    return FieldNode(
        alias=node.alias,
        name=node.name,
        arguments=(*others, after),
        directives=node.directives,
        selection_set=node.selection_set,
        loc=node.loc,
    )
