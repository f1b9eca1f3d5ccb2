"""`orderwire dev` as a process among others: what it starts, what it ends, what it says."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import httpx2
import pytest

from app.embedded import running
from tests.embedded.conftest import Orderwire, free_port, processes_on, vanished


async def get(port: int, path: str = "/") -> str:
    async with httpx2.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}{path}")).text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything_it_started_and_nothing_else(orderwire: Orderwire, state_dir, number):
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    command = await orderwire.dev()
    assert await get(command.port) == "here"
    assert len(processes_on(state_dir)) > 2

    command.send(number)
    status, printed = await command.ended()

    assert status == 0, printed
    assert "Traceback" not in printed
    assert processes_on(state_dir) == {}
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_requests_under_way_are_answered_before_it_ends(orderwire: Orderwire):
    command = await orderwire.dev()
    answer = asyncio.create_task(get(command.port, "/slow"))
    await asyncio.sleep(0.3)

    command.send(signal.SIGTERM)

    assert await answer == "done"
    assert (await command.ended())[0] == 0


async def test_a_second_signal_does_not_wait_for_requests(orderwire: Orderwire, state_dir):
    command = await orderwire.dev()
    answer = asyncio.create_task(get(command.port, "/slow"))
    await asyncio.sleep(0.3)

    command.send(signal.SIGINT)
    await asyncio.sleep(0.2)
    command.send(signal.SIGINT)
    status, printed = await command.ended()

    assert status == 0, printed
    assert "Traceback" not in printed
    assert processes_on(state_dir) == {}
    assert await asyncio.gather(answer, return_exceptions=True) != ["done"]


async def test_a_signal_while_it_starts(orderwire: Orderwire, blank_state_dir):
    for delay in (0.5, 1.0, 1.5):
        command = await orderwire("dev", "--fresh")
        await asyncio.sleep(delay)
        command.send(signal.SIGTERM)
        status, printed = await command.ended()
        assert status in (0, -signal.SIGTERM), printed  # the latter before it could heed signals
        assert "Traceback" not in printed
        await vanished(blank_state_dir)


async def test_kill_9_takes_the_children_along_and_the_next_start_recovers(orderwire: Orderwire, state_dir):
    command = await orderwire.dev()
    found = running(state_dir)
    assert found is not None
    connection = await asyncpg.connect(found.database_url)
    await connection.execute("CREATE TABLE memory AS SELECT 'kept' AS word")

    command.send(signal.SIGKILL)
    await command.ended()
    await vanished(state_dir)

    await orderwire.dev()
    connection = await asyncpg.connect(found.database_url)
    assert await connection.fetchval("SELECT word FROM memory") == "kept"
    await connection.close()


async def test_a_child_killed_from_outside_is_started_again(orderwire: Orderwire, state_dir):
    command = await orderwire.dev()
    postmaster = int((state_dir / "postgres" / "postmaster.pid").read_text().split()[0])

    os.kill(postmaster, signal.SIGKILL)
    await command.until("PostgreSQL ended and is started again: PostgreSQL was killed from outside.")
    await command.until("PostgreSQL is ready", times=2)

    assert int((state_dir / "postgres" / "postmaster.pid").read_text().split()[0]) != postmaster
    assert await get(command.port) == "here"


async def test_a_second_start_on_the_same_folder(orderwire: Orderwire):
    command = await orderwire.dev()

    sentence = await orderwire.refused("dev")

    assert f"already runs on {command.state_dir} (process {command.pid}): stop that one" in sentence
    assert await get(command.port) == "here"


async def test_fresh_is_refused_while_one_runs(orderwire: Orderwire):
    command = await orderwire.dev()

    assert "already runs on" in await orderwire.refused("dev", "--fresh")

    assert await get(command.port) == "here"


@pytest.mark.parametrize("redis", [{}, {"ORDERWIRE_REDIS_URL": "redis://localhost"}], ids=["database", "both"])
async def test_fresh_is_refused_where_the_database_is_the_operators(orderwire: Orderwire, state_dir, redis):
    before = sorted(state_dir.rglob("*"))

    sentence = await orderwire.refused("dev", "--fresh", ORDERWIRE_DATABASE_URL="postgresql://u@127.0.0.1:1/d", **redis)

    assert sentence.endswith("unset it, or leave out --fresh and empty that database yourself.")
    assert sorted(state_dir.rglob("*")) == before


async def test_a_demo_is_refused_in_production(orderwire: Orderwire, blank_state_dir):
    production = {
        "ORDERWIRE_ENVIRONMENT": "production",
        "ORDERWIRE_DATABASE_URL": "postgresql://u:of-its-own@127.0.0.1:1/d",
        "ORDERWIRE_REDIS_URL": "redis://:of-its-own@127.0.0.1:1",
        "ORDERWIRE_SECRET_KEY": "0123456789abcdef" * 4,
    }

    sentence = await orderwire.refused("dev", "--demo", **production)

    assert "ORDERWIRE_ENVIRONMENT is production" in sentence
    assert not blank_state_dir.exists()


async def test_a_demo_is_refused_among_somebody_elses_channels(orderwire: Orderwire, database_url, redis_url):
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        INSERT INTO channel (id, code, name, name_key, kind, currency, time_zone, search, created_at, updated_at)
        VALUES (gen_random_uuid(), 'WEB', 'Ours', 'ours', 'WEBSHOP', 'EUR', 'Europe/Berlin', '', now(), now())
        """
    )
    stores = {"ORDERWIRE_DATABASE_URL": database_url, "ORDERWIRE_REDIS_URL": redis_url}

    sentence = await orderwire.refused("dev", "--demo", **stores)

    assert sentence.endswith("unset it or name an empty database, or leave out --demo.")
    await connection.execute("UPDATE channel SET name = 'Demo web shop'")
    await orderwire.dev("--demo", **stores)
    assert await connection.fetchval("SELECT count(*) FROM channel") == 1
    await connection.close()


async def test_a_taken_port(orderwire: Orderwire, blank_state_dir):
    port = free_port()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)

    sentence = await orderwire.refused("dev", port=str(port))

    assert sentence == (
        f"orderwire: Port {port} on 127.0.0.1 is taken by another program: "
        "stop that one, or set ORDERWIRE_PORT to a free port (0 takes any)."
    )
    assert not blank_state_dir.exists()
    server.close()


async def test_one_port_for_api_and_worker(orderwire: Orderwire, blank_state_dir):
    port = str(free_port())

    sentence = await orderwire.refused("dev", port=port, ORDERWIRE_WORKER_PORT=port)

    assert sentence.endswith("set ORDERWIRE_WORKER_PORT to another port.")
    assert not blank_state_dir.exists()


async def test_a_foreign_folder(orderwire: Orderwire, blank_state_dir):
    blank_state_dir.mkdir()
    (blank_state_dir / "thesis.txt").write_text("years of work")

    assert "holds files that are not Orderwire's" in await orderwire.refused("dev", "--fresh")

    assert (blank_state_dir / "thesis.txt").read_text() == "years of work"


async def test_a_damaged_folder(orderwire: Orderwire, state_dir):
    command = await orderwire.dev()
    command.send(signal.SIGTERM)
    await command.ended()
    (state_dir / "postgres" / "global" / "pg_control").write_bytes(b"nonsense" * 1024)

    assert "may be damaged" in await orderwire.refused("dev")
    assert processes_on(state_dir) == {}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ORDERWIRE_PORT": "many"}, "ORDERWIRE_PORT is 'many': set it to a whole number."),
        ({"ORDERWIRE_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "PostgreSQL cannot be reached"),
        ({"ORDERWIRE_HOST": "nowhere.invalid"}, "no address of this machine"),
    ],
)
async def test_what_the_operator_has_to_mend_is_one_sentence(orderwire: Orderwire, variables, words):
    assert words in await orderwire.refused("dev", **variables)


async def test_serve_and_worker_join_a_running_dev(orderwire: Orderwire):
    await orderwire.dev()

    serving, working = await orderwire("serve"), await orderwire("worker")
    await serving.until("Orderwire serves")
    await working.until("Orderwire's worker runs.")

    assert await get(serving.port) == "here"
    for command in (serving, working):
        command.send(signal.SIGTERM)
        assert (await command.ended())[0] == 0


async def test_serve_without_stores_says_what_to_set(orderwire: Orderwire):
    sentence = await orderwire.refused("serve")

    assert "ORDERWIRE_DATABASE_URL and ORDERWIRE_REDIS_URL must be set" in sentence
    assert "orderwire dev" in sentence


@pytest.fixture
def small_disk(blank_state_dir: Path):
    """A file system of 150 MB in the state folder's place."""
    state_dir = blank_state_dir
    state_dir.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(state_dir)], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield state_dir
    subprocess.run(["umount", "--lazy", str(state_dir)], check=True)


async def test_a_full_disk_at_the_first_start(orderwire: Orderwire, small_disk):
    orderwire.state_dir = small_disk / "state"
    (small_disk / "ballast").write_bytes(b"\0" * 100_000_000)

    sentence = await orderwire.refused("dev")

    assert f"The disk that holds {orderwire.state_dir} is full: free at least 100 MB there" in sentence


async def test_a_disk_that_fills_up_while_serving_and_is_freed(orderwire: Orderwire, small_disk):
    orderwire.state_dir = small_disk / "state"
    command = await orderwire.dev()
    found = running(orderwire.state_dir)
    assert found is not None
    connection = await asyncpg.connect(found.database_url)
    await connection.execute("CREATE TABLE memory (word text)")
    kept = await insert(connection, rows=5)
    assert kept == 5

    fill(small_disk / "ballast")
    kept += await insert(connection, rows=1000)
    assert kept < 1000
    (small_disk / "ballast").unlink()
    words = await eventually_counted(found.database_url)

    assert words == kept  # every acknowledged row, and no other
    command.send(signal.SIGTERM)
    assert (await command.ended())[0] == 0


async def insert(connection: asyncpg.Connection, *, rows: int) -> int:
    """Insert large rows until one is refused; how many were acknowledged."""
    for done in range(rows):
        try:
            await connection.execute(
                "INSERT INTO memory SELECT string_agg(md5(n::text), '') FROM generate_series(1, 9000) n"
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return done
    return rows


def fill(file: Path) -> None:
    with file.open("wb") as ballast:
        try:
            while ballast.write(b"\0" * 65536):
                ballast.flush()
        except OSError:
            pass


async def eventually_counted(database_url: str) -> int:
    async with asyncio.timeout(60):
        while True:
            try:
                connection = await asyncpg.connect(database_url)
                count: int = await connection.fetchval("SELECT count(*) FROM memory")
                await connection.close()
                return count
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.1)
