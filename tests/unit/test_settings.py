"""Settings: where they come from, and what an operator reads when they cannot be used."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.settings import Misconfigured, Settings, unknown_variables
from app.kernel.state_folder import StateFolder, StateFolderRefused

KEY = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("ORDERWIRE_"):
            monkeypatch.delenv(name)


def problems(**values) -> list[str]:
    with pytest.raises(Misconfigured) as refused:
        Settings(**values)
    return refused.value.problems


def test_development_needs_nothing():
    settings = Settings()

    assert (settings.database_url, settings.redis_url, settings.port) == (None, None, 8000)
    assert settings.state_dir == Path.cwd() / ".orderwire"


def test_every_setting_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("ORDERWIRE_SECRET_KEY_FILE", str(tmp_path / "key"))

    assert Settings().signing_secret == KEY


def test_a_variable_and_its_file_together_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("ORDERWIRE_SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("ORDERWIRE_SECRET_KEY", KEY)

    assert problems() == ["ORDERWIRE_SECRET_KEY and ORDERWIRE_SECRET_KEY_FILE are both set: unset one of them."]


def test_a_file_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ORDERWIRE_SECRET_KEY_FILE", str(tmp_path / "key"))

    sentence = (
        f"ORDERWIRE_SECRET_KEY_FILE names {tmp_path / 'key'}, which cannot be read (No such file or directory): "
        "name a file that this user may read."
    )
    assert problems() == [sentence]


def test_production_refuses_embedded_stores_and_a_missing_secret():
    named = [problem.split()[0] for problem in problems(environment="production")]

    assert named == ["ORDERWIRE_DATABASE_URL", "ORDERWIRE_REDIS_URL", "ORDERWIRE_SECRET_KEY"]


@pytest.mark.parametrize("key", ["changeme", "x" * 64, "secret", "0123456789abcdef"])
def test_production_refuses_secrets_that_can_be_guessed(key):
    found = problems(
        environment="production", database_url="postgresql://u:p4Q@h/d", redis_url="redis://h", secret_key=key
    )

    assert len(found) == 1
    assert "default or easily guessed" in found[0]
    assert key not in found[0].replace("ORDERWIRE_SECRET_KEY", "")


@pytest.mark.parametrize("password", ["postgres", "Postgres", "p%6Fstgres", "orderwire", "changeme", ""])
@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("database_url", "postgresql://u:{}@h/d"),
        ("database_url", "postgresql://u@h/d?ssl=require&password={}"),
        ("redis_url", "redis://:{}@h/0"),
        ("redis_url", "unix:///run/valkey.sock?password={}"),
    ],
)
def test_production_refuses_default_passwords(field, address, password):
    addresses = {"database_url": "postgresql://u:p4Q@h/d", "redis_url": "redis://h"} | {field: address.format(password)}

    found = problems(environment="production", secret_key=KEY, **addresses)

    assert len(found) == 1
    assert found[0].startswith(f"ORDERWIRE_{field.upper()} holds a default password")


def test_all_problems_are_told_at_once_each_with_its_remedy(monkeypatch):
    monkeypatch.setenv("ORDERWIRE_PORT", "many")
    monkeypatch.setenv("ORDERWIRE_READ_POOL_SIZE", "0")
    monkeypatch.setenv("ORDERWIRE_DATABASE_URL", "mysql://user:hidden@host/db")

    assert problems() == [
        (
            "ORDERWIRE_DATABASE_URL is not an address of a PostgreSQL server: "
            "set it to postgresql://user:password@host:5432/name."
        ),
        "ORDERWIRE_PORT is 'many': set it to a whole number.",
        "ORDERWIRE_READ_POOL_SIZE is '0': set it to a value greater than or equal to 1.",
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_the_scheme_becomes_one(scheme):
    assert Settings(database_url=f"{scheme}://u@h/d").database_url == "postgresql://u@h/d"


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_address_is_taken_or_refused_in_one_line(text):
    for field in ("database_url", "redis_url"):
        found: list[str] = []
        try:
            Settings(**{field: text})
        except Misconfigured as refused:
            found = refused.problems
        assert len(found) <= 1
        assert "\n" not in "".join(found)


def test_secrets_are_not_shown(monkeypatch):
    settings = Settings(secret_key=KEY, database_url="postgresql://u:hidden@h/d")

    assert KEY not in repr(settings)
    assert "hidden" not in repr(settings)


def test_unknown_variables_are_named_with_the_nearest_known_one():
    assert unknown_variables({"ORDERWIRE_DATABSE_URL": "x", "HOME": "y", "ORDERWIRE_PORT_FILE": "z"}) == [
        "ORDERWIRE_DATABSE_URL is set but no setting has that name: did you mean ORDERWIRE_DATABASE_URL?"
    ]


def test_the_development_secret_is_made_once_whoever_asks_first(tmp_path):
    settings = Settings(state_dir=tmp_path / "state")
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: settings.signing_secret, range(32)))

    assert len(secrets) == 1
    assert (tmp_path / "state" / "secret").stat().st_mode & 0o077 == 0


def test_clearing_keeps_to_folders_that_are_ours(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")

    with pytest.raises(StateFolderRefused, match="so it is not cleared"):
        StateFolder(tmp_path / "theirs").cleared()

    ours = StateFolder(tmp_path / "ours").claimed()
    (ours.path / "sub").mkdir()
    (ours.path / "link").symlink_to(tmp_path / "theirs")
    ours.cleared()
    assert [entry.name for entry in ours.path.iterdir()] == ["ORDERWIRE"]
    assert (tmp_path / "theirs" / "thesis.txt").exists()


def test_help_and_version_load_neither_the_application_nor_the_stores():
    program = "import sys, app.cli; print({'strawberry', 'sqlalchemy', 'asyncpg', 'redis'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (loaded.stdout, loaded.stderr) == ("set()\n", "")
