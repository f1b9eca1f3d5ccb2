"""The exported schema is the one we serve, and nobody's integration breaks without a word."""

import shutil
import subprocess
import sys
from collections.abc import Callable
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


def base(root: Path = ROOT) -> str:
    """The exported schema that this work began from: where it left the main branch, or one commit back on it."""
    if shutil.which("git") is None:
        pytest.skip("needs git, which is not here")
    for main in ("origin/main", "main"):
        began = git(root, "merge-base", "HEAD", main)
        if began and began != git(root, "rev-parse", "HEAD"):
            return git(root, "show", f"{began.strip()}:{EXPORTED}") or ""
    before = git(root, "show", f"HEAD^:{EXPORTED}")
    if before is None:
        pytest.skip("needs the commit before this one, which a clone of depth 1 leaves out: git fetch --deepen=1")
    return before


def git(root: Path, *words: str) -> str | None:
    """What git answers; None where it refuses."""
    told = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return told.stdout if told.returncode == 0 else None


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


@pytest.fixture
def history(tmp_path: Path) -> Callable[[str], Path]:
    """Commits a schema to a repository of the test's own, and gives its folder."""
    root = tmp_path / "repository"
    (root / "graphql").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")

    def commit(schema: str) -> Path:
        (root / EXPORTED).write_text(schema)
        git(root, "add", ".")
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        assert git(root, *who, "commit", "--quiet", "--message", schema) is not None
        return root

    return commit


def test_a_commit_on_main_is_compared_with_the_one_before(history: Callable[[str], Path], tmp_path: Path) -> None:
    history("first")
    root = history("second")

    assert base(root) == "first"
    assert base(cloned(root, tmp_path, "--depth=2")) == "first"


def test_a_branch_is_compared_with_where_it_left_main(history: Callable[[str], Path]) -> None:
    history("first")
    root = history("second")
    git(root, "switch", "--quiet", "--create", "work")
    history("third")
    history("fourth")
    assert base(root) == "second"

    git(root, "switch", "--quiet", "main")
    history("of others, later")
    git(root, "switch", "--quiet", "work")
    assert base(root) == "second"


def test_a_clone_without_the_commit_before_skips_with_the_remedy(
    history: Callable[[str], Path], tmp_path: Path
) -> None:
    history("first")
    shallow = cloned(history("second"), tmp_path, "--depth=1")

    with pytest.raises(pytest.skip.Exception, match="--deepen=1"):
        base(shallow)


def cloned(root: Path, folder: Path, *how: str) -> Path:
    assert git(root, "clone", "--quiet", *how, root.as_uri(), str(folder / "clone")) is not None
    return folder / "clone"


def test_a_removed_field_is_a_breaking_change_until_it_is_announced() -> None:
    before, after = "type Query { a: Int b: Int }", "type Query { a: Int }"

    assert unannounced(before, after, set()) == ["Field Query.b was removed."]
    assert unannounced(before, after, {"Field Query.b was removed."}) == []
