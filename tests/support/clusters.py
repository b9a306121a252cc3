"""The one PostgreSQL of a test run: a migrated template, and a clone of it for every module that asks."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from idp.kernel.clock import read_system_random
from idp.platform.embedded_postgres import EmbeddedPostgres
from idp.platform.migrations import migrate
from tests.support.clocks import ManualClock

ENVIRONMENT = "demo"


def run_apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own in a thread of its own, so that the test runner's loop is left alone."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


class SharedCluster:
    """Databases of one test process, on an embedded cluster that forgets everything, or on the server of ``dsn`` (a superuser's)."""

    def __init__(self, dsn: str | None = None) -> None:
        self._dsn = dsn
        self._suffix = read_system_random(4).hex()
        self._template = f"idp_template_{self._suffix}"
        self._role = f"idp_test_{self._suffix}"
        self._password = read_system_random(16).hex()
        self._made = 0
        self._folder: Path | None = None
        self.postgres: EmbeddedPostgres | None = None

    def __enter__(self) -> "SharedCluster":
        if self._dsn is None:
            self._folder = Path(tempfile.mkdtemp(prefix="idp-tests-"))
            self._folder.chmod(0o711)  # the server's user must enter it
            settings = {"max_connections": "200", "shared_buffers": "32MB"}
            self.postgres = EmbeddedPostgres(self._folder / "postgres", durable=False, settings=settings)
            self.postgres.start()
        run_apart(self._prepare())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.postgres is not None:
            self.postgres.stop()
        elif self._dsn is not None:
            run_apart(self._execute(f'DROP DATABASE IF EXISTS "{self._template}" WITH (FORCE)', f'DROP ROLE IF EXISTS "{self._role}"'))
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _prepare(self) -> None:
        await self._execute(f'CREATE DATABASE "{self._template}"')
        await migrate(self.owner_dsn(self._template), ENVIRONMENT)
        # The months that the tests' own clock lives in: a month made while rows arrive would refuse those just under way.
        await self._execute(f"SELECT ensure_partitions('{ManualClock().now.isoformat()}')", database=self._template)
        if self.postgres is None:
            await self._execute(f"CREATE ROLE \"{self._role}\" LOGIN IN ROLE idp_app PASSWORD '{self._password}'")

    async def _execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.owner_dsn(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    def owner_dsn(self, database: str) -> str:
        """The DSN of the role that migrates."""
        if self.postgres is not None:
            return self.postgres.owner_dsn(database)
        return urlunsplit(urlsplit(str(self._dsn))._replace(path=f"/{database}"))

    def service_dsn(self, database: str) -> str:
        """The DSN of the role that serves: it has the rights of ``idp_app`` and no more, so a missing GRANT is found."""
        if self.postgres is not None:
            return self.postgres.service_dsn(database)
        parts = urlsplit(str(self._dsn))
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{self._role}:{self._password}@{place}", path=f"/{database}"))

    async def clone(self) -> str:
        """Make a fresh database out of the migrated template and return its name."""
        self._made += 1
        name = f"idp_{self._suffix}_{self._made}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}" STRATEGY FILE_COPY')
        return name

    async def empty(self) -> str:
        """Make a database without any table and return its name."""
        self._made += 1
        name = f"idp_{self._suffix}_{self._made}"
        await self._execute(f'CREATE DATABASE "{name}"')
        return name

    async def drop(self, name: str) -> None:
        """Drop a database of this cluster, whoever is connected to it."""
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
