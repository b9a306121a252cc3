"""Migrations: the same again is nothing, two never run together, and a database never changes its environment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory

from idp.platform import migrations
from idp.platform.database import Database
from idp.platform.migrations import (
    MigrationBusy,
    MigrationFailed,
    WrongEnvironment,
    check_environment,
    current_revision,
    find_scripts,
    make_config,
    migrate,
)
from tests.support.clusters import SharedCluster

HEAD = ScriptDirectory.from_config(make_config("")).get_current_head()

LIST_SCHEMA = """
SELECT c.relname, c.relkind::text, coalesce(array_to_string(c.relacl, ' '), '') FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname
"""


@pytest_asyncio.fixture
async def empty_dsn(cluster: SharedCluster) -> AsyncIterator[str]:
    name = await cluster.empty()
    yield cluster.owner_dsn(name)
    await cluster.drop(name)


async def test_migrating_again_changes_nothing(empty_dsn: str) -> None:
    assert await current_revision(empty_dsn) is None
    assert await migrate(empty_dsn, "sandbox") == HEAD
    connection = await asyncpg.connect(empty_dsn)
    before = await connection.fetch(LIST_SCHEMA)
    assert await migrate(empty_dsn, "sandbox") == HEAD
    assert await connection.fetch(LIST_SCHEMA) == before
    assert await connection.fetchval("SELECT count(*) FROM environment") == 1
    await connection.close()
    assert await current_revision(empty_dsn) == HEAD


async def test_many_that_begin_together_migrate_once(empty_dsn: str) -> None:
    outcomes = await asyncio.gather(*(migrate(empty_dsn, "demo") for _ in range(4)), return_exceptions=True)
    assert all(outcome == HEAD or isinstance(outcome, MigrationBusy) for outcome in outcomes)
    assert HEAD in outcomes


async def test_a_migration_waits_only_briefly_for_another(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    other = await asyncpg.connect(empty_dsn)
    await other.execute("SELECT pg_advisory_lock($1)", migrations._MIGRATION_LOCK)
    with pytest.raises(MigrationBusy, match="Another migration"):
        await migrate(empty_dsn, "demo")
    assert await current_revision(empty_dsn) is None
    await other.close()
    assert await migrate(empty_dsn, "demo") == HEAD


async def test_a_table_in_use_stops_the_migration_and_leaves_nothing_half(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    other = await asyncpg.connect(empty_dsn)
    await other.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    async with other.transaction():
        await other.execute("LOCK TABLE alembic_version")
        with pytest.raises(MigrationBusy):
            await migrate(empty_dsn, "demo")
    assert await other.fetchval("SELECT to_regclass('people')") is None
    await other.close()
    assert await migrate(empty_dsn, "demo") == HEAD


async def test_a_failing_revision_leaves_nothing(empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in find_scripts().rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            (tmp_path / file.relative_to(find_scripts())).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.relative_to(find_scripts())).write_bytes(file.read_bytes())
    broken = next((tmp_path / "versions").glob("0001_*.sql"))
    broken.write_text(broken.read_text() + "\nSELECT 1 / 0;\n")
    monkeypatch.setattr(migrations, "find_scripts", lambda: tmp_path)
    with pytest.raises(Exception, match="division by zero"):
        await migrate(empty_dsn, "demo")
    connection = await asyncpg.connect(empty_dsn)
    assert await connection.fetchval("SELECT to_regclass('people')") is None
    assert await connection.fetchval("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == 0
    await connection.close()


async def test_an_environment_never_changes(empty_dsn: str) -> None:
    await migrate(empty_dsn, "demo")
    with pytest.raises(WrongEnvironment, match="belongs to the demo environment, not to production"):
        await migrate(empty_dsn, "production")
    database = Database(empty_dsn, size=1)
    await check_environment(database, "demo")
    with pytest.raises(WrongEnvironment, match="demo"):
        await check_environment(database, "sandbox")
    await database.close()


async def test_a_database_that_was_never_migrated_is_told_so(empty_dsn: str) -> None:
    database = Database(empty_dsn, size=1)
    with pytest.raises(WrongEnvironment, match="idp migrate"):
        await check_environment(database, "demo")
    await database.close()


async def test_no_server_is_one_sentence_without_the_password() -> None:
    with pytest.raises(MigrationFailed) as caught:
        await migrate("postgresql://idp:synthetic-password@127.0.0.1:1/idp", "demo")
    assert "synthetic-password" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_scripts_of_an_installed_wheel_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "idp" / "platform" / "migrations.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(migrations, "__file__", str(installed))
    assert find_scripts() == tmp_path / "alembic"
    (tmp_path / "idp" / "migrations").mkdir()
    assert find_scripts() == tmp_path / "idp" / "migrations"


def test_alembic_is_no_package_of_ours() -> None:
    """A package of that name in the checkout would hide the library."""
    assert not (find_scripts() / "__init__.py").exists()


def test_every_revision_is_plain_sql_beside_a_few_lines() -> None:
    for revision in ScriptDirectory.from_config(make_config("")).walk_revisions():
        assert Path(revision.path).with_suffix(".sql").exists()
