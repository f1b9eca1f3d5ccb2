"""Every field of the schema in real documents: whoever lacks a scope is not let in, however the field is written.

What a document needs is added up here from the fields it was made of; `gql.rights.demands`, which walks over documents,
has to find the same.
"""

from collections import deque
from collections.abc import Iterator
from functools import cache

import pytest
from graphql import GraphQLObjectType, get_named_type, is_abstract_type, is_composite_type, is_required_argument

from app.auth.states import SCOPES
from app.gql.faults import Mistake
from app.gql.payload import GraphQLRequest
from app.kernel.principal import Kind, Principal
from tests.rights.test_matrix import CALLERS, fields, graph

# Where a field is: the type it is selected on, and its name; one after the other from the root down.
Way = tuple[tuple[str, str], ...]
FORMS = ("plain", "inline fragments", "named fragments")


@cache
def ways_to_types() -> dict[str, Way]:
    """A shortest way to each type that has fields, by way of unions and interfaces where nothing else leads there."""
    schema = graph().schema
    roots = [t.name for t in (schema.query_type, schema.mutation_type, schema.subscription_type) if t is not None]
    found: dict[str, Way] = dict.fromkeys(roots, ())
    waiting = deque(roots)
    while waiting:
        parent = waiting.popleft()
        leads = {name: get_named_type(field.type) for name, field in schema.type_map[parent].fields.items()}  # type: ignore[attr-defined]
        direct = [(name, type_.name) for name, type_ in leads.items() if hasattr(type_, "fields")]
        narrowed = [
            (name, member.name)
            for name, type_ in leads.items()
            if is_abstract_type(type_)
            for member in schema.get_possible_types(type_)
        ]
        for name, reached in direct + narrowed:
            if reached not in found:
                found[reached] = (*found[parent], (parent, name))
                waiting.append(reached)
    return found


def ways() -> Iterator[Way]:
    """To every field: where its type is returned, and by way of each interface that the type implements."""
    to = ways_to_types()
    for type_, field in fields():
        yield (*to[type_], (type_, field))
        declared = graph().schema.type_map[type_]
        for interface in declared.interfaces if isinstance(declared, GraphQLObjectType) else ():
            yield (*to[interface.name], (type_, field))
            if field in interface.fields:
                yield (*to[type_], (interface.name, field))


def written(way: Way, form: str) -> str:
    """The document that goes this way and nowhere else; every argument that must be given is a variable."""
    types = graph().schema.type_map
    variables: list[str] = []
    fragments: list[str] = []
    selected = ""
    for number, (parent, name) in reversed(list(enumerate(way))):
        field = types[parent].fields[name]  # type: ignore[attr-defined]
        if not selected and is_composite_type(get_named_type(field.type)):
            selected = "{ __typename }"
        given = []
        for argument, declared in field.args.items():
            if is_required_argument(declared):
                given.append(f"{argument}: $v{len(variables)}")
                variables.append(f"$v{len(variables)}: {declared.type}")
        wanted = f"{name}{_listed(given)} {selected}"
        returned = way[0][0] if number == 0 else _returned(way[number - 1])
        if form == "named fragments":
            fragments.append(f"fragment F{number} on {parent} {{ {wanted} }}")
            selected = f"{{ ...F{number} }}"
        elif form == "inline fragments":
            selected = f"{{ ... on {parent} {{ ... {{ {wanted} }} }} }}"
        else:
            selected = f"{{ {wanted} }}" if returned == parent else f"{{ ... on {parent} {{ {wanted} }} }}"
    return "\n".join([f"{way[0][0].lower()} Q{_listed(variables)} {selected}", *fragments])


def _listed(parts: list[str]) -> str:
    return f"({', '.join(parts)})" if parts else ""


def _returned(step: tuple[str, str]) -> str:
    parent, name = step
    return get_named_type(graph().schema.type_map[parent].fields[name].type).name  # type: ignore[attr-defined,no-any-return]


def needed(way: Way) -> dict[str, tuple[str, list[str]]]:
    """The scopes on the way, each with the first field that needs it and that field's place in the answer."""
    found: dict[str, tuple[str, list[str]]] = {}
    for number, step in enumerate(way, 1):
        for scope in graph().rights.of(*step):
            found.setdefault(scope, (".".join(step), [name for _, name in way[:number]]))
    return found


def denied(document: str, *principals: Principal) -> list[dict[str, tuple[str, list[str]]]]:
    """For each caller the scopes that it is told it lacks, with field and place; empty where it is let in."""
    operation = graph().operation(GraphQLRequest(document))
    answers = []
    for principal in principals:
        try:
            graph().admit(operation, {}, principal)
            answers.append({})
        except Mistake as mistake:
            answers.append({e["extensions"]["scope"]: (e["extensions"]["field"], e["path"]) for e in mistake.errors})
    return answers


@pytest.mark.parametrize("form", FORMS)
def test_a_caller_that_lacks_a_scope_is_not_let_in_however_the_field_is_written(form: str) -> None:
    for way in ways():
        document, wanted = written(way, form), needed(way)
        callers = [*CALLERS.values(), Principal(Kind.STAFF, "client:just enough", frozenset(wanted))]
        callers += [Principal(Kind.STAFF, f"client:all but {scope}", SCOPES - {scope}) for scope in wanted]

        answers = denied(document, *callers)

        for caller, answer in zip(callers, answers, strict=True):
            lacking = {scope: first for scope, first in wanted.items() if scope not in caller.scopes}
            assert answer == lacking, f"{caller.id} sent {document}"


def test_every_field_is_reached_and_every_interface_is_a_way() -> None:
    reached = {way[-1] for way in ways()}
    by_way_of = {_returned(way[-2]) for way in ways() if len(way) > 1}

    assert reached >= set(fields())
    assert {"Node", "UserError"} <= by_way_of
