"""Which scopes an operation needs, found over the document alone, before anything runs.

`@skip` and `@include` are not looked at: what a document could ask for is what its caller must be allowed to ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from app.gql.scopes import Rights
from app.kernel.principal import Kind, Principal


@dataclass(frozen=True, slots=True)
class Demand:
    """A scope, and the first field of the operation that needs it."""

    scope: str
    field: str
    path: tuple[str, ...]
    node: FieldNode


def demands(
    schema: GraphQLSchema,
    rights: Rights,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> tuple[Demand, ...]:
    """Every scope that a valid operation needs, once, in the order of the document.

    A selection on an interface is judged by the interface's field; the start-up pass has made sure that no member
    asks for more.
    """
    found: dict[str, Demand] = {}
    seen: set[str] = set()

    def walk(selections: SelectionSetNode, parent: GraphQLNamedType | None, path: tuple[str, ...]) -> None:
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                name = selection.name.value
                if parent is None or name.startswith("__"):
                    continue
                here = (*path, selection.alias.value if selection.alias else name)
                for scope in rights.of(parent.name, name):
                    if scope not in found:
                        found[scope] = Demand(scope, f"{parent.name}.{name}", here, selection)
                if selection.selection_set:
                    fields: Mapping[str, Any] = getattr(parent, "fields", {})
                    walk(selection.selection_set, get_named_type(fields[name].type), here)
            elif isinstance(selection, FragmentSpreadNode):
                # Once is enough: the same fields need the same scopes wherever they are spread.
                if (spread := selection.name.value) not in seen:
                    seen.add(spread)
                    fragment = fragments[spread]
                    walk(fragment.selection_set, schema.get_type(fragment.type_condition.name.value), path)
            else:
                condition = getattr(selection, "type_condition", None)
                inner = schema.get_type(condition.name.value) if condition else parent
                walk(getattr(selection, "selection_set"), inner, path)  # noqa: B009

    walk(operation.selection_set, schema.get_root_type(operation.operation), ())
    return tuple(found.values())


def denial(operation_demands: tuple[Demand, ...], principal: Principal) -> list[GraphQLError]:
    """One error for each scope that the caller lacks, naming the field that needs it; at most five."""
    anonymous = principal.kind is Kind.ANONYMOUS
    errors = []
    for demand in operation_demands:
        if principal.may(demand.scope):
            continue
        if anonymous:
            message = (
                f"{demand.field} needs the scope {demand.scope!r}: send an API key or a customer token"
                " as `Authorization: Bearer …`."
            )
        else:
            message = f"{demand.field} needs the scope {demand.scope!r}, which you do not have."
        extensions = {
            "code": "UNAUTHENTICATED" if anonymous else "FORBIDDEN",
            "field": demand.field,
            "scope": demand.scope,
        }
        errors.append(GraphQLError(message, demand.node, path=list(demand.path), extensions=extensions))
    return errors[:5]
