"""Where `Last-Event-ID` ends up in the document."""

import pytest
from graphql import parse, print_ast

from app.gql.resume import starting_after
from tests.gql.toy import schema


@pytest.mark.parametrize(
    ("query", "resumed"),
    [
        ("subscription { count { number } }", 'count(after: "c") {'),
        ('subscription { count(after: "a", to: 4) { number } }', 'count(to: 4, after: "c") {'),
        ("subscription($a: Cursor) { count(after: $a) { number } }", 'count(after: "c") {'),
        ("subscription { ...F } fragment F on Subscription { count { number } }", 'count(after: "c") {'),
        ("subscription { items { __typename } }", "items {"),
    ],
)
def test_the_root_field_starts_after_the_cursor(query, resumed):
    document = parse(query)
    changed = starting_after(schema._schema, document, document.definitions[0], "c")
    assert resumed in print_ast(changed.definitions[0])
    assert print_ast(document) == print_ast(parse(query)), "the document remembered for others stays as it is"
