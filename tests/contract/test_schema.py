"""The exported schema is the one we serve, and nobody's integration breaks without a word."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    is_introspection_type,
    is_specified_scalar_type,
)

ROOT = Path(__file__).parents[2]
EXPORTED = "graphql/schema.graphql"
# One announced change a line: its description as graphql-core words it, " -- ", and the reason.
ANNOUNCED = ROOT / "tests/contract/announced_breaking_changes.txt"


def announced() -> set[str]:
    lines = [line for line in ANNOUNCED.read_text().splitlines() if line and not line.startswith("#")]
    told = [line.partition(" -- ") for line in lines]
    assert all(reason.strip() for _, _, reason in told), "every announced change gives its reason after ' -- '"
    return {change for change, _, _ in told}


def unannounced(before: str, after: str, allowed: set[str]) -> list[str]:
    changes = find_breaking_changes(build_schema(before), build_schema(after))
    return [change.description for change in changes if change.description not in allowed]


def base() -> str:
    """The exported schema as the main branch has it, or else as last committed."""
    if shutil.which("git") is None:
        pytest.skip("needs git, which is not here")
    for revision in ("origin/main", "main", "HEAD"):
        shown = subprocess.run(
            ["git", "show", f"{revision}:{EXPORTED}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            return shown.stdout
    pytest.skip("needs a git history that holds graphql/schema.graphql")


@pytest.fixture(scope="module")
def served() -> str:
    """The schema of a process of its own: types of toy schemas that other tests make must not join it."""
    program = "import sys; from app import schema; sys.stdout.write(schema.export())"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_exported_schema_is_the_one_that_is_served(served: str) -> None:
    assert (ROOT / EXPORTED).read_text() == served, "stale: run `make schema` and commit the result"


def test_no_change_breaks_integrations_unannounced(served: str) -> None:
    assert unannounced(base(), served, announced()) == []


def undescribed(schema: GraphQLSchema) -> list[str]:
    """Whatever of a schema an integrator would have to guess, by its coordinates."""
    found = [f"@{d.name}" for d in schema.directives if not d.description]
    for type_ in schema.type_map.values():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        members: list[tuple[str, Any]] = [(type_.name, type_)]
        if isinstance(type_, GraphQLEnumType):
            members += [(f"{type_.name}.{name}", value) for name, value in type_.values.items()]
        for name, field in getattr(type_, "fields", {}).items():
            members.append((f"{type_.name}.{name}", field))
            members += [(f"{type_.name}.{name}({a}:)", each) for a, each in getattr(field, "args", {}).items()]
        found += [place for place, member in members if not (member.description or "").strip()]
    return found


def test_everything_is_described_for_integrators(served: str) -> None:
    assert undescribed(build_schema(served)) == []


def test_what_is_not_described_is_named_by_its_place() -> None:
    silent = build_schema(
        '"t" type Query { a(x: Int): E } "e" enum E { ONE } "i" input I { f: Int } union U = Query scalar S'
    )

    assert undescribed(silent) == ["Query.a", "Query.a(x:)", "E.ONE", "I.f", "U", "S"]


def test_a_removed_field_is_a_breaking_change_until_it_is_announced() -> None:
    before, after = "type Query { a: Int b: Int }", "type Query { a: Int }"

    assert unannounced(before, after, set()) == ["Field Query.b was removed."]
    assert unannounced(before, after, {"Field Query.b was removed."}) == []
