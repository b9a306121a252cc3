"""Decides how the schema changes: Alembic orders the revisions, plain SQL does the work, one advisory lock, one environment for ever."""

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from idp.platform.database import Database, UnusableDsn

# Alembic and SQLAlchemy are 14 MiB of every process that holds them: they are imported where a schema is changed, not where one serves.
if TYPE_CHECKING:
    from alembic.config import Config

LOCK_TIMEOUT = "3s"
"""How long a migration waits for any lock: a blocked ``ALTER TABLE`` would block every reader behind it."""

_MIGRATION_LOCK = 0x79697A68656E67  # "yizheng": the advisory lock of every installation

_ONE_ALEMBIC = threading.Lock()
"""Alembic keeps its running environment in module globals, so two threads of one process take turns."""

LOCK = "SELECT pg_advisory_lock($1)"
ENVIRONMENT_EXISTS = "SELECT to_regclass('public.environment') IS NOT NULL"
REVISION_EXISTS = "SELECT to_regclass('public.alembic_version') IS NOT NULL"
ADD_ENVIRONMENT = "INSERT INTO environment (name) VALUES ($1) ON CONFLICT DO NOTHING"
READ_ENVIRONMENT = "SELECT name FROM environment"
READ_REVISION = "SELECT version_num FROM alembic_version"


class MigrationFailed(Exception):
    """One sentence that tells the operator why the schema was not changed."""


class MigrationBusy(MigrationFailed):
    """Another migration of this database is running, or a lock could not be had in time."""


class WrongEnvironment(MigrationFailed):
    """The database belongs to another environment; an environment never changes."""


def find_scripts() -> Path:
    """Return the folder of the revisions: ``idp/migrations`` of an installed wheel, else ``alembic`` of the checkout."""
    installed = Path(__file__).resolve().parent.parent / "migrations"
    return installed if installed.is_dir() else installed.parent.parent / "alembic"


def make_config(owner_dsn: str) -> "Config":
    """Return Alembic's configuration; there is no alembic.ini, so nothing depends on the working folder."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(find_scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["dsn"] = owner_dsn
    return config


def run_script(path: Path, *, in_transaction: bool = True) -> None:
    """Run a whole SQL file on the driver's connection; only called from a revision.

    ``in_transaction=False`` is for a file of one statement that refuses a transaction (``CREATE INDEX CONCURRENTLY``).
    """
    script = path.read_text(encoding="utf-8")
    if in_transaction:
        _execute(script)
        return
    from alembic import op

    with op.get_context().autocommit_block():
        _execute(script)


def _execute(script: str) -> None:
    from alembic import op

    adapted: Any = op.get_bind().connection.dbapi_connection  # SQLAlchemy's adapter around the driver's connection
    adapted.run_async(lambda connection: connection.execute(script))


async def migrate(owner_dsn: str, environment: str) -> str:
    """Bring the schema to its newest revision and return it; write or compare the environment row.

    Raises MigrationBusy when another migration holds the lock, WrongEnvironment when the database is of another environment, UnusableDsn.
    """
    connection = await _connect(owner_dsn)
    try:
        try:
            await connection.execute(LOCK, _MIGRATION_LOCK)
        except asyncpg.LockNotAvailableError:
            raise MigrationBusy("Another migration of this database is running.") from None
        if await connection.fetchval(ENVIRONMENT_EXISTS):
            await _compare_environment(connection, environment)
        try:
            await asyncio.to_thread(_upgrade, owner_dsn)
        except Exception as error:
            if _is_lock_timeout(error):
                raise MigrationBusy(f"A table was in use for longer than {LOCK_TIMEOUT}; nothing was changed.") from error
            reason = _find_reason(error)
            if reason is None:
                raise
            raise MigrationFailed(f"PostgreSQL refused the migration, which changed nothing: {reason}.") from error
        await connection.execute(ADD_ENVIRONMENT, environment)
        await _compare_environment(connection, environment)
        revision: str = await connection.fetchval(READ_REVISION)
        return revision
    finally:
        await connection.close()


async def current_revision(dsn: str) -> str | None:
    """Return the revision the database is at, or None when it was never migrated."""
    connection = await _connect(dsn)
    try:
        if not await connection.fetchval(REVISION_EXISTS):
            return None
        revision: str | None = await connection.fetchval(READ_REVISION)
        return revision
    finally:
        await connection.close()


async def check_environment(database: Database, expected: str) -> None:
    """Raise WrongEnvironment unless the database was migrated for the ``expected`` environment; called at every start."""
    try:
        rows = await database.fetch(READ_ENVIRONMENT)
    except asyncpg.UndefinedTableError:
        raise WrongEnvironment("The database was never migrated; run `idp migrate` first.") from None
    _compare([row["name"] for row in rows], expected)


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=10, server_settings={"lock_timeout": LOCK_TIMEOUT, "application_name": "idp migrate"})
    except ValueError:
        raise UnusableDsn from None
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise MigrationFailed(f"The database did not accept a connection ({type(error).__name__}).") from error


async def _compare_environment(connection: asyncpg.Connection, expected: str) -> None:
    rows = await connection.fetch(READ_ENVIRONMENT)
    if rows:
        _compare([row["name"] for row in rows], expected)


def _compare(names: list[str], expected: str) -> None:
    if not names:
        raise WrongEnvironment("The database names no environment; run `idp migrate` first.")
    if names[0] != expected:
        raise WrongEnvironment(f"The database belongs to the {names[0]} environment, not to {expected}; an environment never changes.")


def _upgrade(owner_dsn: str) -> None:
    from alembic import command

    with _ONE_ALEMBIC:
        command.upgrade(make_config(owner_dsn), "head")


def _find_reason(error: BaseException) -> str | None:
    """Return what PostgreSQL said, in one line, None when the error is not its."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.PostgresError):
            return str(seen).splitlines()[0].rstrip(".")
        seen = seen.__cause__ or seen.__context__
    return None


def _is_lock_timeout(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.LockNotAvailableError) or getattr(seen, "sqlstate", None) == "55P03":
            return True
        seen = seen.__cause__ or seen.__context__
    return False
