"""Which documents are admitted, at what price, and that judging one is never itself expensive."""

import contextlib
import time

import pytest
from graphql import get_introspection_query, parse

from app.gql import documents as documents_module
from app.gql.budget import Scale
from app.gql.documents import Documents, Refused, UnknownDocument
from app.gql.rights import denial
from app.gql.scopes import Rights
from app.kernel.principal import ANONYMOUS
from tests.gql.toy import schema

core = schema._schema
rights = Rights(core)


@pytest.fixture
def documents():
    return Documents(core, rights)


def weight_of(documents, text):
    return documents.by_text(text).operation(None).weight


def why(documents, text):
    with pytest.raises(Refused) as refused:
        documents.by_text(text)
    return refused.value.errors[0].message


def test_fragments_count_wherever_they_are_spread(documents):
    text = "query { a: toy { ...F } b: toy { ...F ...F } } fragment F on Toy { name parts { weight } }"
    weight = weight_of(documents, text)
    assert (weight.depth, weight.fields, weight.aliases, weight.root_fields) == (3, 11, 2, 2)


def test_pages_lists_and_wrappings_have_their_price(documents):
    for query, cost in [
        ("{ hello }", 0),
        ("{ toy { name } }", 1),
        ("{ toy { parts { name } } }", 11),
        ("{ toys(first: 100) { nodes { name } } }", 100),
        ("{ toys(first: 100) { edges { node { name } } } }", 100),
        ("{ toys { edges { node { name } } } }", 20),
        ("{ toys(first: 100) { edges { node { parts { name } } } } }", 1100),
        ('{ price(minor: 1, currency: "EUR") { amount } }', 0),
        ('mutation { toyMake(input: {name: "x"}, idempotencyKey: "k") { toy { name } } }', 12),
    ]:
        assert weight_of(documents, query).cost == cost, query


def test_fragments_nested_in_fragments_are_judged_at_once(documents):
    doubling = "{ toy { ...F0 } } fragment F60 on Toy { name }"
    for n in range(60):
        doubling += f" fragment F{n} on Toy {{ a: parts {{ ...F{n + 1} }} b: parts {{ ...F{n + 1} }} }}"
    began = time.thread_time()
    assert "over a billion fields" in why(documents, doubling) or "too many fields" in why(documents, doubling)
    assert time.thread_time() - began < 0.5


def test_a_long_chain_of_fragments_is_judged_or_refused_by_name(documents):
    chain = "{ toy { ...F0 } } fragment F240 on Toy { name }"
    for n in range(240):
        chain += f" fragment F{n} on Toy {{ ...F{n + 1} }}"
    with contextlib.suppress(Refused):
        assert documents.by_text(chain).operation(None).weight.fields == 2


def test_cycles_of_fragments_end(documents):
    cycle = "fragment A on Toy { parts { ...B } } fragment B on Toy { ...A }"
    assert "itself" in why(documents, "{ toy { ...A } } " + cycle)


def test_the_worst_documents_within_the_limits_are_judged_quickly(documents):
    same = "{ toy { " + "name " * 398 + "} }"
    spread = "{ toy { " + "...F " * 20 + "} } fragment F on Toy { " + "name " * 15 + "}"
    many = " ".join(f"query Q{n} {{ toy {{ {'name ' * 150}}} }}" for n in range(12))
    unspread = "{ hello } " + " ".join(f"fragment F{n} on Toy {{ {'name ' * 380}}}" for n in range(4))
    for text in (same, spread, many, unspread):
        began = time.thread_time()
        with contextlib.suppress(Refused):
            documents.by_text(text)
        assert time.thread_time() - began < 2, text[:60]


def test_the_queries_of_explorers_pass(documents):
    full = get_introspection_query(True, True, True, True, True)
    weight = weight_of(documents, full)
    assert weight.fields == 0
    assert weight.introspection_fields > 100
    again = " ".join(f"a{n}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}" for n in range(31))
    assert "aliases" in why(documents, "query { " + again + "}")


def test_introspection_may_be_switched_off():
    closed = Documents(core, rights, introspection=False)
    assert "introspection" in why(closed, "{ __schema { types { name } } }")
    closed.by_text("{ __typename hello }")


def test_a_document_is_remembered_and_the_oldest_forgotten(documents, monkeypatch):
    monkeypatch.setattr(documents_module, "REMEMBERED_MAX", 3)
    first = documents.by_text("{ hello }")
    assert documents.by_text("{ hello }") is first
    for n in range(3):
        documents.by_text(f"{{ hello h{n}: hello }}")
    assert documents.by_text("{ hello }") is not first
    with pytest.raises(UnknownDocument):
        documents.by_sha256(documents.by_text("{ hello }").sha256)


def test_trusted_documents_are_never_forgotten(documents, monkeypatch, tmp_path):
    monkeypatch.setattr(documents_module, "REMEMBERED_MAX", 1)
    (tmp_path / "a.graphql").write_text("query A { hello }")
    assert documents.trust_folder(tmp_path) == 1
    kept = documents.by_text("query A { hello }")
    for n in range(5):
        documents.by_text(f"{{ hello h{n}: hello }}")
    assert documents.by_sha256(kept.sha256) is kept


def test_validation_reports_five_errors_at_most(documents):
    with pytest.raises(Refused) as refused:
        documents.by_text("{ toy { " + " ".join(f"x{n}" for n in range(50)) + " } }")
    assert len(refused.value.errors) == 5


def test_variables_decide_what_a_page_costs(documents):
    operation = documents.by_text("query($n: Int = 7) { toys(first: $n) { nodes { name } } }").operation(None)
    for variables, cost in [({}, 7), ({"n": 50}, 50), ({"n": None}, 20), ({"n": 10**9}, 100), ({"n": -5}, 1)]:
        assert operation.cost(core, variables) == cost, variables


def test_what_is_missing_is_named_once_for_each_scope(documents):
    text = "{ toy { hidden: secret parts { secret ...F } } } fragment F on Toy { weight secret }"
    operation = documents.by_text(text).operation(None)
    errors = denial(operation.demands, ANONYMOUS)
    assert [(error.extensions["field"], error.path) for error in errors] == [
        ("Query.toy", ["toy"]),
        ("Toy.secret", ["toy", "hidden"]),
    ]


def test_weighing_takes_any_document():
    for text in [
        "{ nothing { more } }",
        "{ ...Gone }",
        "{ ... on Gone { x } }",
        '{ toys(first: "x") { nodes { name } } }',
        "{ hello } fragment F on Gone { x }",
    ]:
        ast = parse(text)
        scale = Scale(core, ast)
        list(scale.fragments())
        scale.operation(ast.definitions[0])
