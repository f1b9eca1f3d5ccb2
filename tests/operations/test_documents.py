"""The operations our callers send are valid, and allowed to the kind of caller whose folder they lie in."""

from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse, validate

from app import schema
from app.auth.states import CUSTOMER_SCOPES, DEFAULT_SCOPES, ClientKind
from app.gql.execution import Graph
from app.gql.rights import demands

FOLDER = Path(__file__).parents[2] / "graphql/operations"
SCOPES = {
    "storefront": DEFAULT_SCOPES[ClientKind.STOREFRONT],
    "portal": CUSTOMER_SCOPES,
    "dashboard": DEFAULT_SCOPES[ClientKind.STAFF],
    "partner": DEFAULT_SCOPES[ClientKind.PARTNER],
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph(schema.build())


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/*.graphql")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_operation_is_valid_and_allowed_to_its_callers(graph: Graph, file: Path) -> None:
    document = parse(file.read_text())
    assert validate(graph.schema, document) == []
    (operation,) = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    fragments = {each.name.value: each for each in document.definitions if each is not operation}

    needed = {demand.scope for demand in demands(graph.schema, graph.rights, operation, fragments)}

    assert operation.name.value == file.stem
    assert needed <= SCOPES[file.parent.name]
