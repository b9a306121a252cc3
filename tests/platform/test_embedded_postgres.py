"""The embedded PostgreSQL: starts, stops, survives being killed, and never runs twice on one folder."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from idp.platform.embedded_postgres import DataFolderBusy, EmbeddedPostgres
from idp.platform.embedded_programs import EmbeddedPostgresFailed, ServerAccount, find_account
from idp.platform.migrations import migrate

ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the server's user can enter, as the runner's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="idp-embedded-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """A data folder with a cluster in it; every test leaves it stopped."""
    with EmbeddedPostgres(place / "shared", durable=True) as postgres:
        asyncio.run(run(postgres.owner_dsn(), "CREATE TABLE kept (id serial PRIMARY KEY, note text)"))
    return place / "shared"


async def run(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_starts_stops_and_keeps_committed_rows(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    pid = postgres.pid
    postgres.start()  # harmless
    assert postgres.pid == pid
    asyncio.run(run(postgres.owner_dsn(), "INSERT INTO kept (note) VALUES ('by stop')"))
    postgres.stop()
    postgres.stop()  # harmless
    assert not is_alive(pid)
    assert not postgres.is_running
    with EmbeddedPostgres(folder) as again:
        assert [row["note"] for row in asyncio.run(run(again.owner_dsn(), "SELECT note FROM kept"))] == ["by stop"]


def test_it_survives_being_killed_with_committed_rows_and_no_others(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    postgres.start()

    async def write_and_kill() -> None:
        connection = await asyncpg.connect(postgres.owner_dsn())
        await connection.execute("DELETE FROM kept")
        for number in range(50):
            await connection.execute("INSERT INTO kept (note) VALUES ($1)", f"committed {number}")
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO kept (note) VALUES ('open')")
        os.kill(postgres.pid, signal.SIGKILL)
        connection.terminate()

    asyncio.run(write_and_kill())
    postgres.stop()
    assert (postgres.area / "data" / "postmaster.pid").exists()  # the killed server's
    address = postgres.port
    postgres.start()
    assert postgres.port == address, "those who lost it find it again"
    postgres.stop()
    with EmbeddedPostgres(folder) as again:
        notes = {row["note"] for row in asyncio.run(run(again.owner_dsn(), "SELECT note FROM kept"))}
        assert notes == {f"committed {number}" for number in range(50)}


def test_a_pid_file_that_names_a_living_stranger_is_stale(folder: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        area = EmbeddedPostgres(folder).area
        (area / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n{area / 'data'}\n1\n5432\n/tmp\n127.0.0.1\n1 1\nready\n")
        with EmbeddedPostgres(folder) as postgres:
            assert postgres.pid != stranger.pid
            assert asyncio.run(run(postgres.owner_dsn(), "SELECT 1 AS one"))[0]["one"] == 1
    finally:
        stranger.kill()
        stranger.wait()


def test_two_never_start_on_one_folder(folder: Path) -> None:
    with EmbeddedPostgres(folder) as first:
        second = EmbeddedPostgres(folder)
        begun = time.monotonic()
        with pytest.raises(DataFolderBusy, match="in use by another process") as caught:
            second.start()
        assert time.monotonic() - begun < 10
        assert str(caught.value).count(".") >= 1
        assert "\n" not in str(caught.value)
        with pytest.raises(DataFolderBusy):
            EmbeddedPostgres(folder).erase()
        assert first.is_running
        assert asyncio.run(run(first.owner_dsn(), "SELECT 1 AS one"))


def test_the_server_follows_a_supervisor_that_was_killed(folder: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from idp.platform.embedded_postgres import EmbeddedPostgres
        postgres = EmbeddedPostgres(Path(sys.argv[1]))
        postgres.start()
        print(postgres.pid, flush=True)
        time.sleep(60)
        """
    )
    command = [sys.executable, "-c", script, str(folder)]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    left_behind = Path((folder / "socket_folder").read_text())
    # A new supervisor at once: it waits for the server that is on its way out.
    with EmbeddedPostgres(folder) as postgres:
        assert not left_behind.exists()
        assert not is_alive(pid)
        assert asyncio.run(run(postgres.owner_dsn(), "SELECT 1 AS one"))


def test_the_service_role_serves_and_owns_nothing(folder: Path) -> None:
    async def check(postgres: EmbeddedPostgres) -> None:
        await migrate(postgres.owner_dsn(), "demo")
        assert (await run(postgres.service_dsn(), "SELECT name FROM environment"))[0]["name"] == "demo"
        for statement in ("CREATE TABLE mine (id int)", "DELETE FROM audit_events", "ALTER TABLE people ADD x int", "CREATE ROLE other"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await run(postgres.service_dsn(), statement)
        row = (await run(postgres.service_dsn(), "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"))[0]
        assert not row["rolsuper"]
        assert not row["rolcreatedb"]
        for socket in (False, True):
            dsn = postgres.service_dsn(socket=socket)
            assert (await run(dsn, "SELECT current_user AS name, inet_server_port() AS port"))[0]["port"] == (
                None if socket else postgres.port
            )
            with pytest.raises(asyncpg.InvalidPasswordError):
                await run(dsn.replace("@", "x@"), "SELECT 1")
        await postgres.create_database("copied", template="idp")
        assert await run(postgres.service_dsn("copied"), "SELECT name FROM environment")
        await postgres.drop_database("copied")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await run(postgres.service_dsn("copied"), "SELECT 1")

    with EmbeddedPostgres(folder) as postgres:
        asyncio.run(check(postgres))


def test_secrets_are_readable_by_nobody_else_and_never_shown(folder: Path) -> None:
    with EmbeddedPostgres(folder) as postgres:
        passwords = postgres.area / "passwords.json"
        assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
        assert stat.S_IMODE((postgres.area / "data").stat().st_mode) == 0o700
        password = postgres.owner_dsn().split(":")[2].split("@")[0]
        arguments = Path(f"/proc/{postgres.pid}/cmdline").read_bytes()
        assert password.encode() not in arguments
        assert password not in postgres.log_file.read_text()
        assert not (postgres.area / "password.new").exists()
        listening = asyncio.run(run(postgres.owner_dsn(), "SELECT current_setting('listen_addresses') AS a, current_setting('fsync') AS f"))
        assert (listening[0]["a"], listening[0]["f"]) == ("127.0.0.1", "on")


def test_settings_reach_the_server_and_tests_may_forget(place: Path) -> None:
    with EmbeddedPostgres(place / "forgetful", durable=False, settings={"work_mem": "8MB"}) as postgres:
        rows = asyncio.run(run(postgres.owner_dsn(), "SELECT current_setting('work_mem') AS w, current_setting('fsync') AS f"))
        assert (rows[0]["w"], rows[0]["f"]) == ("8MB", "off")


def test_an_interrupted_making_leaves_nothing_half(place: Path) -> None:
    postgres = EmbeddedPostgres(place / "interrupted", durable=False)
    (postgres.area / "data.new").mkdir()
    (postgres.area / "data.new" / "PG_VERSION").write_text("18\n")
    with postgres:
        assert asyncio.run(run(postgres.owner_dsn(), "SELECT 1 AS one"))
    assert not (postgres.area / "data.new").exists()


def test_a_wrong_setting_is_told_with_the_servers_words(place: Path) -> None:
    postgres = EmbeddedPostgres(place / "forgetful", durable=False, settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedPostgresFailed, match="no_such_setting"):
        postgres.start()
    assert not postgres.is_running
    EmbeddedPostgres(place / "forgetful").erase()  # the failure left no lock behind
    assert not (place / "forgetful" / "data").exists()


def test_missing_passwords_and_foreign_versions_are_told(place: Path) -> None:
    postgres = EmbeddedPostgres(place / "foreign")
    (postgres.area / "data").mkdir()
    with pytest.raises(EmbeddedPostgresFailed, match="missing"):
        postgres.start()
    (postgres.area / "passwords.json").write_text('{"idp": "x", "idp_service": "y"}')
    (postgres.area / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresFailed, match="PostgreSQL 16"):
        postgres.start()


def test_a_dsn_before_the_start_is_an_error(place: Path) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match="not started"):
        EmbeddedPostgres(place / "never").owner_dsn()


_can_run = ServerAccount._can_run

if ROOT:  # only root's server runs as another user

    def test_roots_server_runs_as_nobody_even_where_that_user_cannot_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        relocated = Path(tempfile.mkdtemp(prefix="idp-relocated-"))
        monkeypatch.setattr("idp.platform.embedded_postgres.RELOCATED", relocated)
        monkeypatch.setattr(ServerAccount, "_can_run", lambda self, tree: str(relocated) in str(tree) and _can_run(self, tree))
        closed = tmp_path / "home"
        closed.mkdir(mode=0o700)
        wanted = closed / "var" / "postgres"
        try:
            with EmbeddedPostgres(wanted, durable=False) as postgres:
                assert relocated in postgres.area.parents
                assert "nobody" in Path(f"/proc/{postgres.pid}").owner()
                assert str(relocated) in Path(f"/proc/{postgres.pid}/exe").resolve().as_posix()
                asyncio.run(run(postgres.owner_dsn(), "CREATE TABLE kept (id int)"))
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700  # nothing was opened for it
            with EmbeddedPostgres(wanted, durable=False) as again:
                assert again.area == postgres.area
                assert asyncio.run(run(again.owner_dsn(), "SELECT count(*) AS n FROM kept"))[0]["n"] == 0
            again.erase()
            again.erase()  # harmless
            assert list(relocated.iterdir()) == []
            again.start()
            again.stop()
            # A new folder at the same path is another installation and meets none of the old one's data.
            shutil.rmtree(wanted)
            assert EmbeddedPostgres(wanted, durable=False).area != again.area
        finally:
            shutil.rmtree(relocated, ignore_errors=True)

    def test_what_the_servers_user_can_enter_is_found_by_trying(tmp_path: Path) -> None:
        account = find_account()
        assert account.can_enter(Path("/usr"))
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        assert not account.can_enter(closed)
