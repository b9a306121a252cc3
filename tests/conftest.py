"""Fixtures that every test may ask for: a database of its own, a clock, randomness, Redis."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from _pytest.nodeid import coerce_node_id
from hypothesis import settings

from idp.kernel.clock import Random, read_system_random
from idp.platform.database import Database
from idp.platform.embedded_postgres import DataFolderBusy, EmbeddedPostgres
from idp.platform.transients.postgres import PostgresTransients
from keys import DATA_KEY_PURPOSES, DataKey, DataKeys
from tests.support.clocks import ManualClock
from tests.support.clusters import SharedCluster
from tests.support.redis_server import RedisServer
from tests.support.softhsm import SoftToken, make_token

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("suite", parent=settings.default, deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a module in one process, and all journeys: their tests share a database or a demo, and some read what an earlier one wrote.

    pytest-xdist 3.8 looks for the group behind an ``@`` and writes it to an attribute that pytest 9.2 does not read any more; so it is
    written here.
    """
    if not config.getoption("loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        group = mark.args[0] if mark is not None else item.nodeid.partition("::")[0]
        item._id = coerce_node_id(f"{item.nodeid}@{group}")  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def erased_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As root a demo's data may lie outside its folder (``EmbeddedPostgres``): what the tests' own folders left there goes with them."""
    yield
    for marker in tmp_path_factory.getbasetemp().rglob("relocated"):
        with contextlib.suppress(DataFolderBusy):
            EmbeddedPostgres(marker.parent).erase()


@pytest.fixture(scope="session")
def soft_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    """A PKCS #11 token for the process; its library reads the variable once."""
    token = make_token(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(token.configuration))
        yield token


@pytest.fixture(scope="session")
def cluster() -> Iterator[SharedCluster]:
    """One PostgreSQL for the process (each xdist worker has its own); ``IDP_TEST_POSTGRES`` names another server by a superuser's DSN."""
    with SharedCluster(os.environ.get("IDP_TEST_POSTGRES")) as shared:
        yield shared


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database_name(cluster: SharedCluster) -> AsyncIterator[str]:
    """A fresh clone of the migrated template for this module."""
    name = await cluster.clone()
    yield name
    await cluster.drop(name)


@pytest.fixture(scope="module")
def owner_dsn(cluster: SharedCluster, database_name: str) -> str:
    """The DSN of the role that owns the schema of this module's database."""
    return cluster.owner_dsn(database_name)


@pytest.fixture(scope="module")
def service_dsn(cluster: SharedCluster, database_name: str) -> str:
    """The DSN of the role that serves on this module's database."""
    return cluster.service_dsn(database_name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(service_dsn: str) -> AsyncIterator[Database]:
    """A Database on this module's clone, connected as the serving role."""
    opened = Database(service_dsn, size=8)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still: 2026-03-02 09:00 in Shanghai, until ``clock.advance(seconds)``."""
    return ManualClock()


@pytest.fixture(scope="session")
def random() -> Random:
    """The operating system's randomness."""
    return read_system_random


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a fresh Redis; skips where redis-server is not installed."""
    program = RedisServer.find_program()
    if program is None:
        pytest.skip("redis-server is not installed")
    with RedisServer(program) as server:
        yield server.url


@pytest.fixture(scope="session")
def data_keys() -> DataKeys:
    """One data key for every purpose, made for this run."""
    return DataKeys([DataKey(f"test-{purpose}", purpose, read_system_random(32)) for purpose in DATA_KEY_PURPOSES])


@pytest.fixture
def transients(database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> PostgresTransients:
    """Transients on this module's database, by this test's clock."""
    return PostgresTransients(database, data_keys.sealer("transients"), data_keys.mac("transients"), clock, random)
