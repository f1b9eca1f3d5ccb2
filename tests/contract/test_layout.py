"""The layout that the architecture promises, where import-linter cannot see it."""

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
SPEAKS_GRAPHQL = re.compile(r"app/([a-z_]+/api(/\w+)?\.py|schema\.py|main\.py|(gql|engine)/.*)")
PURE = {"rules.py", "states.py", "events.py"}
DOES_IO = {"asyncpg", "sqlalchemy", "redis", "starlette", "httpx2", "asyncio", "socket", "broadcaster", "uvicorn"}
REACHES_OUT = re.compile(r"app\.\w+\.(api|handlers|commands|queries|models)\b|app\.kernel\.(db|rows|work)\b")
NO_AREAS = {"kernel", "live", "gql", "embedded", "commandline", "imports", "engine", "adapters"}


def tracked() -> list[str]:
    """Every file that is in the repository or about to be."""
    if shutil.which("git") is None:
        pytest.skip("needs git, which is not here")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources() -> list[Path]:
    return sorted(APP.rglob("*.py"))


def areas() -> set[str]:
    return {folder.name for folder in APP.iterdir() if (folder / "__init__.py").exists()} - NO_AREAS


def test_no_python_under_graphql():
    """It would shadow graphql-core, and strawberry could not be imported."""
    assert [str(file) for file in (ROOT / "graphql").rglob("*.py*")] == []


def test_only_the_edge_speaks_graphql():
    offenders = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources()
        if not SPEAKS_GRAPHQL.fullmatch(str(file.relative_to(ROOT)))
        for name in imports(file)
        if name.split(".")[0] in {"strawberry", "graphql"}
    ]

    assert offenders == []


def test_what_is_pure_does_no_io():
    """Rules, states and events are, and so is what says so of itself."""
    offenders = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources()
        if is_pure(file)
        for name in imports(file)
        if name.split(".")[0] in DOES_IO or REACHES_OUT.match(name)
    ]

    assert offenders == []


def is_pure(file: Path) -> bool:
    says_so = re.search(r"\bPure\b", ast.get_docstring(ast.parse(file.read_text())) or "")
    return says_so is not None or (file.name in PURE and file.parent.name in areas())


def test_areas_do_not_touch_each_others_tables():
    offenders = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources()
        for name in imports(file)
        if (found := re.match(r"app\.(\w+)\.models\b", name))
        and found[1] != file.relative_to(APP).parts[0]
        and file.relative_to(APP).parts[0] in areas()
    ]

    assert offenders == []


def test_every_area_is_under_the_import_contracts():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = set(re.findall(r"app\.(\w+)", " ".join(contracts[0]["layers"])))
    inside = {container.removeprefix("app.") for container in contracts[1]["containers"]}

    assert areas() <= layered
    assert {area for area in areas() if speaks(area)} <= inside


def speaks(area: str) -> bool:
    """Whether an area has an api, as a module or as a package."""
    return (APP / area / "api.py").exists() or (APP / area / "api" / "__init__.py").exists()


def test_sql_functions_belong_to_the_area_they_are_named_after():
    """`inventory_reserve` lies in app/inventory/sql, so that its name tells whose tables it touches."""
    defines = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION\s+(\w+)", re.IGNORECASE | re.MULTILINE)
    offenders = [
        f"{file.relative_to(ROOT)} defines {name}"
        for file in APP.glob("*/sql/*.sql")
        for name in defines.findall(file.read_text())
        if name.split("_")[0] in areas() and name.split("_")[0] != file.parent.parent.name
    ]

    assert offenders == []


def test_no_file_names_a_machine_or_a_registry():
    """What is published works for everyone: no absolute home or work folder, no package registry's host."""
    suspicious = re.compile(rb"/(?:home|root|work|Users)/\w+|index-url|files\.pythonhosted|pypi\.org/simple")
    allowed = {"tests/contract/test_layout.py", "Makefile"}
    offenders = [
        f"{name}: {found[0].decode()}"
        for name in tracked()
        if name not in allowed
        and not name.endswith(("package-lock.json",))
        and (found := suspicious.search((ROOT / name).read_bytes()))
    ]

    assert offenders == []


def test_files_stay_readable():
    long = {
        name: lines
        for name in tracked()
        if name.startswith("app/") and name.endswith(".py") and (lines := count_lines(name)) > 600
    }

    assert long == {}


def count_lines(name: str) -> int:
    return len((ROOT / name).read_text().splitlines())
