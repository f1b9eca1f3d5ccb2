"""`orderwire doctor` over real stores."""

import os
import socket
import time

import asyncpg
import pytest

from app.commandline import doctor
from app.commandline.doctor import Finding, examine


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("ORDERWIRE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ORDERWIRE_STATE_DIR", str(tmp_path / "state"))
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
