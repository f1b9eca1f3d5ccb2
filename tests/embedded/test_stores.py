"""The embedded stores as a library: they start, they live again, they refuse by name."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from app.embedded import ChildState, StoreOptions, Stores, StoresRefused, reached, running
from app.embedded.postgresql import PostgreSQL
from app.embedded.privileges import Mode, Privileges
from app.kernel.settings import Settings
from app.kernel.state_folder import StateFolderRefused

QUICK = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


@contextmanager
def started(state_dir: Path, **options: object) -> Iterator[Stores]:
    stores = Stores(state_dir, StoreOptions(postgresql=QUICK, **options))  # type: ignore[arg-type]
    stores.start()
    try:
        yield stores
    finally:
        stores.stop()


async def remember(stores: Stores, word: str) -> None:
    connection = await asyncpg.connect(stores.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS memory (word text)")
    await connection.execute("INSERT INTO memory VALUES ($1)", word)
    await connection.close()


async def remembered(stores: Stores) -> list[str]:
    connection = await asyncpg.connect(stores.database_url)
    words = [row["word"] for row in await connection.fetch("SELECT word FROM memory ORDER BY word")]
    await connection.close()
    return words


async def ping(stores: Stores) -> bool:
    client = Redis.from_url(stores.redis_url)
    try:
        return bool(await client.ping())
    finally:
        await client.aclose()


async def test_what_is_stored_survives_a_restart(blank_state_dir):
    with started(blank_state_dir) as stores:
        await remember(stores, "first")
        addresses = stores.database_url, stores.redis_url

    with started(blank_state_dir) as stores:
        assert await remembered(stores) == ["first"]
        assert await ping(stores)
        assert (stores.database_url, stores.redis_url) == addresses


async def test_fresh_clears_the_folder(state_dir):
    with started(state_dir) as stores:
        await remember(stores, "first")

    with started(state_dir, fresh=True) as stores:
        connection = await asyncpg.connect(stores.database_url)
        assert await connection.fetchval("SELECT to_regclass('memory')") is None
        await connection.close()


async def test_a_killed_postgresql_comes_back_with_every_commit(state_dir):
    with started(state_dir) as stores:
        for round_ in range(3):
            await remember(stores, str(round_))
            before = stores.postgresql.pid

            stores.postgresql.kill()
            stores.postgresql.wait_ready()

            assert stores.postgresql.pid != before
            assert await remembered(stores) == [str(n) for n in range(round_ + 1)]
        assert stores.postgresql.starts == 4


async def test_a_killed_valkey_comes_back_empty_at_the_same_address(state_dir):
    with started(state_dir) as stores:
        client = Redis.from_url(stores.redis_url)
        await client.set("a", "b")
        await client.aclose()

        stores.valkey.kill()
        stores.valkey.wait_ready()

        client = Redis.from_url(stores.redis_url)
        assert await client.get("a") is None
        await client.aclose()


async def test_a_killed_backend_leaves_the_server_running(state_dir):
    with started(state_dir) as stores:
        connection = await asyncpg.connect(stores.database_url)
        os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        await asyncio.sleep(0.3)

        await remember(stores, "after")

        assert stores.postgresql.starts == 1


async def test_a_child_stopped_on_purpose_stays_stopped_until_it_is_started(state_dir):
    with started(state_dir) as stores:
        await remember(stores, "before")
        stores.postgresql.stop()
        assert stores.postgresql.state is ChildState.STOPPED
        assert stores.postgresql.pid is None
        with pytest.raises(OSError):
            await asyncpg.connect(stores.database_url)

        stores.postgresql.start()

        assert await remembered(stores) == ["before"]


def test_states_are_reported(state_dir):
    reports: list[tuple[str, ChildState]] = []
    stores = Stores(state_dir, StoreOptions(postgresql=QUICK), lambda child: reports.append((child.name, child.state)))
    stores.start()
    stores.valkey.kill()
    stores.valkey.wait_ready()
    stores.stop()

    valkey = [state for name, state in reports if name == "Valkey"]

    assert valkey == ["starting", "ready", "restarting", "ready", "stopped"]


async def test_one_store_alone(blank_state_dir):
    with started(blank_state_dir, programs=frozenset({"valkey"})) as stores:
        assert await ping(stores)
        assert stores.database_url == ""
        assert not (blank_state_dir / "postgres").exists()


async def test_a_path_too_long_for_sockets_gets_a_short_folder(state_dir):
    deep = state_dir / ("long" * 30)
    with started(deep) as stores:
        await remember(stores, "deep")
        assert await ping(stores)
        assert str(deep) not in stores.redis_url
        folder = Path(stores.redis_url.split("@")[1].split("?")[0]).parent

    assert not folder.exists()
    with started(deep) as stores:
        assert await remembered(stores) == ["deep"]


@as_root
@pytest.mark.parametrize("begun", ["folder", "link"])
def test_a_short_folder_that_somebody_else_made_first_is_left_to_them(state_dir, begun):
    deep = state_dir / ("long" * 30)
    with started(deep) as stores:
        folder = Path(stores.redis_url.split("@")[1].split("?")[0]).parent
    theirs = folder if begun == "folder" else state_dir / "theirs"
    theirs.mkdir()
    if begun == "link":
        folder.symlink_to(theirs)
    (theirs / "file").touch()
    for path in (theirs, theirs / "file"):
        os.chown(path, 12345, 12345)

    for attempt in (Stores(deep).start, Stores(deep).examine):
        with pytest.raises(StoresRefused, match=r"belongs to another user, .*set ORDERWIRE_STATE_DIR to a shorter"):
            attempt()

    assert {path.stat().st_uid for path in (theirs, theirs / "file")} == {12345}
    folder.unlink() if begun == "link" else shutil.rmtree(folder)


async def test_a_folder_name_with_spaces_and_signs(state_dir):
    odd = state_dir / "a b%c'd"
    with started(odd) as stores:
        await remember(stores, "odd")
        assert await ping(stores)


def test_a_second_start_is_refused_and_names_the_first(state_dir):
    with started(state_dir) as first:
        with pytest.raises(StoresRefused, match=rf"already runs on .*process {os.getpid()}.*ORDERWIRE_STATE_DIR"):
            Stores(state_dir).start()
        assert first.postgresql.pid is not None
        found = running(state_dir)
        assert found is not None
        assert found.database_url == first.database_url
    assert running(state_dir) is None


def test_a_foreign_folder_is_left_alone(blank_state_dir):
    blank_state_dir.mkdir()
    (blank_state_dir / "thesis.txt").write_text("years of work")

    for fresh in (False, True):
        with pytest.raises(StateFolderRefused, match="holds files that are not Orderwire's: set ORDERWIRE_STATE_DIR"):
            Stores(blank_state_dir, StoreOptions(fresh=fresh)).start()

    assert [entry.name for entry in blank_state_dir.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder(blank_state_dir):
    blank_state_dir.write_text("")

    with pytest.raises(StateFolderRefused, match="is not a folder: set ORDERWIRE_STATE_DIR"):
        Stores(blank_state_dir).start()


@pytest.mark.parametrize("harm", ["global/pg_control", "base", "PG_VERSION"])
def test_a_damaged_data_folder_is_named_and_kept(state_dir, harm):
    with started(state_dir):
        pass
    victim = state_dir / "postgres" / harm
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()

    with pytest.raises(StoresRefused, match=r"damaged.*restore .* from a copy, or start with --fresh") as refused:
        Stores(state_dir).start()

    assert "\n" not in str(refused.value)
    assert (state_dir / "postgres").is_dir()
    with started(state_dir, fresh=True) as stores:
        assert stores.postgresql.state is ChildState.READY


WITH_FEW_FILES = """
import resource, sys
from pathlib import Path
from app.embedded import StoreOptions, Stores, StoresRefused

resource.setrlimit(resource.RLIMIT_NOFILE, (55, 55))
try:
    Stores(Path(sys.argv[1]), StoreOptions(programs=frozenset({"postgresql"}))).start()
except StoresRefused as refused:
    print(refused)
"""


@pytest.mark.parametrize("first", [True, False], ids=["first start", "later"])
def test_too_few_files_are_no_damage(state_dir, first):
    if first:
        shutil.rmtree(state_dir)

    # In a process of its own: nobody knows how many files this one has.
    told = subprocess.run([sys.executable, "-c", WITH_FEW_FILES, str(state_dir)], capture_output=True, text=True).stdout

    assert "did not get what it needs of this machine (insufficient file descriptors" in told
    assert "--fresh" not in told


def test_refused_settings_are_no_damage(state_dir):
    with (state_dir / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("colour = blue\n")

    with pytest.raises(StoresRefused, match=r"refuses its settings .*take back what was changed") as refused:
        Stores(state_dir).start()

    assert "--fresh" not in str(refused.value)


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "did not get what it needs"),
        ("FATAL:  could not create shared memory segment: No space left on device", "did not get what it needs"),
        ("FATAL:  could not create semaphores: No space left on device", "did not get what it needs"),
        ("FATAL:  could not create any Unix-domain sockets", "did not get what it needs"),
        ("FATAL:  out of memory", "did not get what it needs"),
        ('PANIC:  could not open file "global/1": Too many open files in system', "did not get what it needs"),
        ('FATAL:  could not create file "pg_wal/1": Disk quota exceeded', "is full: free at least"),
        ('FATAL:  could not create file "pg_wal/1": Read-only file system', "run orderwire as the user who owns"),
        ('FATAL:  data directory "/x" has invalid permissions', "run orderwire as the user who owns"),
        ("postgres: error while loading shared libraries: libx.so: cannot open shared object", "install the library"),
        ('FATAL:  could not create file "pg_wal/1": No such file or directory', "which may be damaged"),
        ("PANIC:  could not locate a valid checkpoint record at 0/1", "which may be damaged"),
    ],
)
def test_what_a_server_dies_of_is_told_apart(tmp_path, complaint, words):
    (tmp_path / "postgres").mkdir()
    server = PostgreSQL(
        folder=tmp_path / "postgres",
        socket_folder=tmp_path,
        log_file=tmp_path / "log",
        password="",
        rights=Privileges(Mode.STAY, os.geteuid(), os.getegid()),
        settings={},
    )

    sentence = server.why_it_died(1, f"2026-01-01 00:00:00 UTC [1] {complaint}\n").sentence

    assert words in sentence
    assert ("--fresh" in sentence) == ("damaged" in words)


async def test_a_server_that_starts_on_a_damaged_folder_and_lets_nobody_in_is_told_apart(state_dir):
    settings = Settings(state_dir=state_dir, redis_url="redis://127.0.0.1:1")
    async with reached(settings):
        pass
    for database in (state_dir / "postgres" / "base").iterdir():
        shutil.rmtree(database)

    with pytest.raises(StoresRefused, match=r"lets nobody in .*damaged: restore it from a copy, or start with --fresh"):
        async with reached(settings):
            pass


def test_a_lost_password_is_named_before_anything_starts(state_dir):
    with started(state_dir):
        pass
    (state_dir / "password").unlink()

    with pytest.raises(StoresRefused, match=r"password is missing.*restore it from a copy of the folder.*--fresh"):
        Stores(state_dir).start()

    assert not (state_dir / "password").exists()


def test_another_major_version_is_named(state_dir):
    with started(state_dir):
        pass
    (state_dir / "postgres" / "PG_VERSION").write_text("17\n")

    with pytest.raises(StoresRefused, match="was written by PostgreSQL 17 and this is PostgreSQL 18: dump it"):
        Stores(state_dir).start()


async def test_a_first_start_that_was_interrupted_begins_again(blank_state_dir):
    with started(blank_state_dir):
        pass
    (blank_state_dir / "postgres").rename(blank_state_dir / "postgres.draft")  # as a kill during initdb leaves it

    with started(blank_state_dir) as stores:
        await remember(stores, "whole")

    assert not (blank_state_dir / "postgres.draft").exists()


async def test_a_stale_pid_file_whose_number_is_somebody_elses_by_now(state_dir):
    with started(state_dir) as stores:
        await remember(stores, "kept")
        pid_file = (state_dir / "postgres" / "postmaster.pid").read_text()
    lines = pid_file.splitlines()
    (state_dir / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    (state_dir / "lock").write_text(json.dumps({"pid": os.getpid()}))

    with started(state_dir) as stores:
        assert await remembered(stores) == ["kept"]


def rights_of(pid: int | None) -> tuple[int, int]:
    """A process's user, as seen from outside its namespace, and its effective capabilities."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["Uid"].split()[0]), int(lines["CapEff"], 16)


def needs_an_open_installation() -> None:
    """Another user must be able to read the stores' programs."""
    for folder in Path(sys.prefix).resolve().parents:
        if not folder.stat().st_mode & 0o001:
            pytest.skip(f"needs an installation that other users can read, and {folder} is closed to them")


@as_root
@pytest.mark.parametrize(("first", "second"), [(Mode.NAMESPACE, Mode.SETUID), (Mode.SETUID, Mode.NAMESPACE)])
async def test_root_gives_up_its_rights_either_way_and_may_change_over(state_dir, first, second):
    needs_an_open_installation()
    above = state_dir.parent.stat()
    for mode in (first, second):
        with started(state_dir, mode=mode) as stores:
            await remember(stores, mode)
            assert await ping(stores)
            for child in stores.children:
                uid, capabilities = rights_of(child.pid)
                assert capabilities == 0
                assert (uid == 0) == (mode is Mode.NAMESPACE)  # as seen from outside the namespace
            stores.postgresql.kill()
            stores.postgresql.wait_ready()

    with started(state_dir) as stores:
        assert await remembered(stores) == sorted([first, second])
    assert (state_dir.parent.stat().st_mode, state_dir.parent.stat().st_uid) == (above.st_mode, above.st_uid)


@as_root
@pytest.mark.parametrize("fresh", [False, True])
def test_root_leaves_the_folder_of_another_user_alone(state_dir, fresh):
    with started(state_dir):
        pass
    for path in (state_dir, *state_dir.rglob("*")):
        os.chown(path, 65534, 65534)
    before = {path: path.stat().st_mtime_ns for path in state_dir.rglob("*")}

    with pytest.raises(StoresRefused, match=r"belongs to user \w+: run orderwire as that user, or set ORDERWIRE_STATE"):
        Stores(state_dir, StoreOptions(fresh=fresh)).start()

    assert {path: path.stat().st_mtime_ns for path in state_dir.rglob("*")} == before
    assert {path.stat().st_uid for path in state_dir.rglob("*")} == {65534}


def test_passwords_stand_on_no_command_line_and_in_no_open_file(state_dir):
    with started(state_dir) as stores:
        password = (state_dir / "password").read_text().strip()
        for child in stores.children:
            assert password.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
        for name in ("password", "lock"):
            assert (state_dir / name).stat().st_mode & 0o077 == 0
