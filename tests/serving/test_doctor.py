"""`orderwire doctor` over real stores."""

import asyncio
import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.commandline import doctor
from app.commandline.doctor import Finding, examine


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A state folder that is not there yet, where root's children may enter too."""
    parent = Path(tempfile.mkdtemp(prefix="ow-"))
    parent.chmod(0o755)
    yield parent / "state"
    shutil.rmtree(parent)


@pytest.fixture
def used(state_dir: Path) -> Path:
    """The same with what a cluster is recognised by."""
    for folder in ("base", "global", "pg_wal"):
        (state_dir / "postgres" / folder).mkdir(parents=True)
    (state_dir / "ORDERWIRE").touch()
    (state_dir / "password").write_text("secret")
    (state_dir / "postgres" / "global" / "pg_control").touch()
    (state_dir / "postgres" / "PG_VERSION").write_text("18\n")
    return state_dir


@pytest.fixture(autouse=True)
def environment(monkeypatch, state_dir):
    for name in list(os.environ):
        if name.startswith("ORDERWIRE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ORDERWIRE_STATE_DIR", str(state_dir))
    monkeypatch.setenv("ORDERWIRE_PORT", "0")
    return monkeypatch


async def problems(check: str) -> list[str]:
    return [finding.sentence for finding in await examine() if finding.check == check and finding.is_problem]


async def test_a_healthy_installation(environment, database_url, redis_url, monkeypatch):
    environment.setenv("ORDERWIRE_DATABASE_URL", database_url)
    environment.setenv("ORDERWIRE_REDIS_URL", redis_url)
    environment.setenv("ORDERWIRE_SECRET_KEY", "0123456789abcdef" * 4)

    findings = [finding for finding in await examine() if finding.is_problem]

    # The tests' own server is careless for speed, and the doctor says so.
    assert [finding.sentence.split(": ")[0] for finding in findings] == [
        f"The server runs with {name} off and may lose acknowledged orders"
        for name in ("fsync", "full_page_writes", "synchronous_commit")
    ]


async def test_nothing_set_is_fine_for_development():
    assert [finding for finding in await examine() if finding.is_problem] == []


async def test_pending_migrations(environment, empty_database_url):
    environment.setenv("ORDERWIRE_DATABASE_URL", empty_database_url)

    assert "run `orderwire migrate`" in (await problems("migrations"))[0]


async def test_stores_that_cannot_be_reached(environment):
    environment.setenv("ORDERWIRE_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    environment.setenv("ORDERWIRE_REDIS_URL", "redis://127.0.0.1:1")

    assert "PostgreSQL cannot be reached" in (await problems("database"))[0]
    assert "events arrive by polling" in (await problems("redis"))[0]


async def test_a_wrong_redis_password(environment, redis_url):
    head, _, tail = redis_url.partition("@")
    environment.setenv("ORDERWIRE_REDIS_URL", f"{head}wrong@{tail}")

    assert "refuses the user or password" in (await problems("redis"))[0]


async def test_a_user_who_may_not_create_tables(environment, administrator, database_url):
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reads-only'")
    environment.setenv("ORDERWIRE_DATABASE_URL", f"postgresql://reader:reads-only@{database_url.split('@')[1]}")

    found = await problems("database")

    assert any("may not create tables" in sentence for sentence in found)
    assert any("did not answer a question (permission denied" in sentence for sentence in found)
    await connection.execute("DROP ROLE reader")
    await connection.close()


async def test_a_clock_that_differs(environment, database_url, monkeypatch):
    environment.setenv("ORDERWIRE_DATABASE_URL", database_url)
    now = time.time
    monkeypatch.setattr(doctor.time, "time", lambda: now() - 60)

    assert "differs from this machine's by 60.0 s" in (await problems("clock"))[0]


async def test_a_taken_port(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment.setenv("ORDERWIRE_PORT", str(taken.getsockname()[1]))

        assert "is taken by another program" in (await problems("port"))[0]


@contextmanager
def somebody_listens_and_an_orderwire_runs(state_dir: Path, pid: int | None) -> Iterator[int]:
    """A port that this process has, and a lock as `orderwire dev` in process `pid` would hold it."""
    state_dir.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken, (state_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": pid}) if pid else "")
        lock.flush()
        yield taken.getsockname()[1]


async def verdicts(check: str) -> list[tuple[str, str]]:
    return [(finding.verdict, finding.sentence) for finding in await examine() if finding.check == check]


@pytest.mark.parametrize("variable", ["ORDERWIRE_PORT", "ORDERWIRE_WORKER_PORT"])
async def test_a_port_that_the_orderwire_of_this_folder_has(environment, state_dir, variable):
    with somebody_listens_and_an_orderwire_runs(state_dir, os.getpid()) as port:
        environment.setenv(variable, str(port))

        [(verdict, sentence)] = await verdicts("port")

    assert (verdict, sentence) == ("ok", f"Port {port} is served by process {os.getpid()}, which runs on this folder.")


async def test_a_port_that_another_program_has_while_an_orderwire_runs(environment, state_dir):
    other = await asyncio.create_subprocess_exec("sleep", "60")
    with somebody_listens_and_an_orderwire_runs(state_dir, other.pid) as port:
        environment.setenv("ORDERWIRE_PORT", str(port))

        assert f"Port {port} on 127.0.0.1 is taken by another program" in (await problems("port"))[0]
    other.kill()
    await other.wait()


async def test_a_port_of_which_cannot_be_told_who_has_it(environment, state_dir):
    with somebody_listens_and_an_orderwire_runs(state_dir, None) as port:
        environment.setenv("ORDERWIRE_PORT", str(port))

        [(verdict, sentence)] = await verdicts("port")

    assert verdict == "warning"
    assert "cannot be told" in sentence


async def test_a_worker_port_that_is_taken(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment.setenv("ORDERWIRE_WORKER_PORT", str(taken.getsockname()[1]))

        assert "or set ORDERWIRE_WORKER_PORT to a free port" in (await problems("port"))[0]


async def test_one_port_for_api_and_worker(environment):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment.setenv("ORDERWIRE_PORT", str(port))
    environment.setenv("ORDERWIRE_WORKER_PORT", str(port))

    [sentence] = await problems("port")

    assert f"ORDERWIRE_PORT and ORDERWIRE_WORKER_PORT are both {port}" in sentence
    assert sentence.endswith("set ORDERWIRE_WORKER_PORT to another port.")


async def test_a_state_folder_in_use(used):
    before = sorted(used.rglob("*"))

    assert await verdicts("state folder") == [("ok", f"Embedded stores can start on {used}.")]
    assert sorted(used.rglob("*")) == before


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda used: (used / "postgres" / "PG_VERSION").write_text("17"), "was written by PostgreSQL 17"),
        (lambda used: (used / "postgres" / "pg_wal").rmdir(), "is damaged or not a PostgreSQL data folder"),
        (lambda used: (used / "password").unlink(), "password is missing"),
        (lambda used: (shutil.rmtree(used), used.touch()), "is not a folder"),
        pytest.param(
            lambda used: os.chown(used, 65534, 65534),
            "belongs to user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
        ),
    ],
    ids=["version", "damaged", "password", "file", "owner"],
)
async def test_a_state_folder_that_dev_would_refuse(used, harm, words):
    harm(used)

    [sentence] = await problems("state folder")

    assert words in sentence


async def test_a_state_folder_in_use_by_nobody_when_both_stores_are_named(environment, used):
    (used / "postgres" / "PG_VERSION").write_text("17")
    environment.setenv("ORDERWIRE_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    environment.setenv("ORDERWIRE_REDIS_URL", "redis://127.0.0.1:1")

    assert await problems("state folder") == []


async def test_stores_that_are_not_installed(environment, monkeypatch):
    monkeypatch.setattr("app.embedded.wheel.find_spec", lambda package: None)

    assert "need the package" in (await problems("state folder"))[0]


async def test_a_disk_without_room(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("app.embedded.postgresql.shutil.disk_usage", lambda path: usage._replace(free=1024))

    assert "is full: free at least 100 MB there" in (await problems("state folder"))[0]


async def test_a_foreign_state_folder(environment, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    environment.setenv("ORDERWIRE_STATE_DIR", str(tmp_path))

    assert "holds files that are not Orderwire's" in (await problems("state folder"))[0]


async def test_all_settings_at_once_and_typing_errors(environment):
    environment.setenv("ORDERWIRE_ENVIRONMENT", "production")
    environment.setenv("ORDERWIRE_DATABSE_URL", "postgresql://h/d")

    findings = await examine()

    assert [finding.verdict for finding in findings] == ["warning", "problem", "problem", "problem"]


def test_findings_print_as_json():
    assert Finding("port", "ok", "free").as_dict() == {"check": "port", "verdict": "ok", "message": "free"}
