"""An installed Orderwire has everything it needs: migrations, SQL and our clients' operations inside the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_can_migrate_and_speak(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")

    (tmp_path / "site" / "graphql").mkdir()  # where graphql-core lies beside an installed package
    program = (
        "from app.kernel import functions, migrate; from app import main;"
        " print(functions.migrations_folder(), migrate.head(), len(list(main.OPERATIONS.glob('*/*.graphql'))))"
    )
    told = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )

    folder, head, operations = told.stdout.split()
    assert int(operations) == len(list((ROOT / "graphql" / "operations").glob("*/*.graphql"))) > 0
    assert folder == str(tmp_path / "site" / "app" / "migrations")
    assert head == max(file.name[:4] for file in (ROOT / "migrations" / "versions").glob("0*.py"))
    installed = {file.relative_to(tmp_path / "site") for file in (tmp_path / "site" / "app").rglob("*.sql")}
    assert {file.relative_to(ROOT) for file in (ROOT / "app").rglob("*.sql")} <= installed
