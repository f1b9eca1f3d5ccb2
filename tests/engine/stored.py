"""What a shop holds that an operation may ask for: ids, codes, numbers, tokens, cursors, and values to filter by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLField, get_named_type, is_leaf_type, is_required_argument

from app.gql.caller import Caller
from app.gql.faults import Mistake
from app.gql.nodes import Node
from app.gql.payload import GraphQLRequest
from tests.operations.desk import Desk

Order = tuple[str, str] | None


@dataclass
class Stored:
    """Values by the field that shows them, and cursors by caller, list and order."""

    values: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    cursors: dict[tuple[str, str, Order], list[str]] = field(default_factory=lambda: defaultdict(list))
    ids: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def keep(self, type_: str, name: str, value: Any) -> None:
        if value not in (None, *self.values[type_, name]):
            self.values[type_, name].append(value)


async def stored(desk: Desk, callers: dict[str, Caller]) -> Stored:
    """All that the first of the callers sees, and the cursors that each is given."""
    found = Stored()
    found.tokens += [await desk.requests.token(), await desk.requests.shop.reserve({"GOODS-01": 2})]
    for type_ in Node.by_type:
        ids = await desk.requests.nodes(type_)
        found.ids += ids
        found.values[type_, "id"] += ids
    for name, connection in connections(desk.graph.schema.query_type):
        await _values(desk, callers["STAFF"], name, connection, found)
        for sender, caller in callers.items():
            for order in orders(connection):
                await _cursors(desk, sender, caller, name, order, found)
    return found


def connections(parent: Any) -> Iterator[tuple[str, GraphQLField]]:
    return (
        (name, each) for name, each in parent.fields.items() if get_named_type(each.type).name.endswith("Connection")
    )


def orders(connection: GraphQLField) -> list[Order]:
    """All that the list can be sorted by; None where nothing is said."""
    if "orderBy" not in connection.args:
        return [None]
    order_by: Any = get_named_type(connection.args["orderBy"].type)
    fields = order_by.fields["field"].type.of_type.values
    return [None, *((each, direction) for each in fields for direction in ("ASC", "DESC"))]


async def _values(desk: Desk, caller: Caller, name: str, connection: GraphQLField, found: Stored) -> None:
    node = _node(connection)
    below = [
        f"{inner} {{ {_leaves(get_named_type(each.type))} }}"
        for inner, each in node.fields.items()
        if not is_leaf_type(get_named_type(each.type)) and not each.args
    ]
    lists = [
        f"{inner}(first: 3) {{ edges {{ cursor node {{ {_leaves(_node(each))} }} }} }}"
        for inner, each in connections(node)
    ]
    text = f"{{ {name}(first: 30) {{ nodes {{ {_leaves(node)} {' '.join([*below, *lists])} }} }} }}"
    data = await _asked(desk, caller, text)
    for row in data[name]["nodes"]:
        _keep(found, node, row)


def _keep(found: Stored, type_: Any, row: dict[str, Any]) -> None:
    for name, value in row.items():
        inner = get_named_type(type_.fields[name].type)
        if is_leaf_type(inner):
            found.keep(type_.name, name, value)
        elif inner.name.endswith("Connection"):
            for edge in value["edges"]:
                found.cursors["STAFF", f"{type_.name}.{name}", None].append(edge["cursor"])
                _keep(found, _node(type_.fields[name]), edge["node"])
        else:
            for each in value if isinstance(value, list) else [value] if value else []:
                _keep(found, inner, each)


async def _cursors(desk: Desk, sender: str, caller: Caller, name: str, order: Order, found: Stored) -> None:
    by = f", orderBy: {{field: {order[0]}, direction: {order[1]}}}" if order else ""
    text = f"{{ {name}(first: 20{by}) {{ edges {{ cursor }} }} }}"
    try:
        data = await _asked(desk, caller, text)
    except Mistake:  # this caller may not see such
        return
    found.cursors[sender, f"Query.{name}", order] += [edge["cursor"] for edge in data[name]["edges"]]


async def _asked(desk: Desk, caller: Caller, text: str) -> Any:
    operation = desk.graph.operation(GraphQLRequest(text))
    desk.graph.admit(operation, {}, caller.principal)
    answer = await desk.graph.run(operation, {}, desk.services.context(caller), 0)
    assert "errors" not in answer.body, (text, answer.body["errors"])
    return answer.body["data"]


def _node(connection: GraphQLField) -> Any:
    type_: Any = get_named_type(connection.type)
    return get_named_type(type_.fields["nodes"].type)


def _leaves(type_: Any) -> str:
    return " ".join(
        name
        for name, each in type_.fields.items()
        if is_leaf_type(get_named_type(each.type)) and not any(map(is_required_argument, each.args.values()))
    )
