"""A process starts with everything it needs, makes missing keys once, and otherwise says in one sentence why not."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from idp.composition import Platform, StartRefused, open_platform
from idp.kernel.clock import Random
from idp.platform.audit_log import verify_row
from idp.platform.database import Database
from idp.platform.transients.redis import RedisTransients
from idp.settings import DatabaseSettings, KeySettings, Settings, TransientSettings
from keys import DATA_KEY_PURPOSES
from tests.support.clocks import ManualClock


@pytest.fixture(scope="module")
def kek_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "inner" / "kek"


@pytest.fixture
async def settings(service_dsn: str, kek_file: Path, database: Database) -> Settings:
    (row,) = await database.fetch("SELECT name FROM environment")
    return Settings(
        environment=row["name"],
        database=DatabaseSettings(dsn=service_dsn, pool_size=2),
        keys=KeySettings(key_encryption_key_file=str(kek_file)),
    )


async def test_two_processes_start_together_on_an_empty_database(
    settings: Settings, database: Database, clock: ManualClock, random: Random, kek_file: Path
) -> None:
    first, second = await asyncio.gather(*(open_platform(settings, clock, random) for _ in range(2)))
    assert kek_file.stat().st_mode & 0o777 == 0o600
    assert first.ring.jwks == second.ring.jwks
    assert second.ring.verify(first.ring.sign("ES256", b"{}")) == {}
    sealed = first.data_keys.sealer("people").seal(b"x", b"a", random)
    assert second.data_keys.sealer("people").open(sealed, b"a") == b"x"
    await first.transients.put("test", "key", b"value", 60)
    found = await second.transients.get("test", "key")
    assert found is not None
    assert found.value == b"value"
    rows = await database.fetch("SELECT * FROM audit_events WHERE kind = 'key_created'")
    assert len(rows) == len(DATA_KEY_PURPOSES) + 2, "and two signing keys"
    assert all(verify_row(dict(row), first.data_keys.mac("audit")) is None for row in rows)
    await first.close()
    await second.close()


async def refuse(settings: Settings, clock: ManualClock, random: Random) -> str:
    with pytest.raises(StartRefused) as refused:
        await open_platform(settings, clock, random)
    text = str(refused.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


async def test_a_lost_key_file_is_never_replaced(settings: Settings, clock: ManualClock, random: Random, tmp_path: Path) -> None:
    await (await open_platform(settings, clock, random)).close()  # the database has keys now
    lost = msgspec.structs.replace(settings, keys=KeySettings(key_encryption_key_file=str(tmp_path / "kek")))
    assert "key-encryption key" in await refuse(lost, clock, random)
    assert not (tmp_path / "kek").exists()


async def test_another_key_file_is_refused(settings: Settings, clock: ManualClock, random: Random, tmp_path: Path) -> None:
    from keys import make_key_encryption_key

    await (await open_platform(settings, clock, random)).close()
    make_key_encryption_key(tmp_path / "kek", random)
    other = msgspec.structs.replace(settings, keys=KeySettings(key_encryption_key_file=str(tmp_path / "kek")))
    assert "data key" in await refuse(other, clock, random)


async def test_another_environment_is_refused(settings: Settings, clock: ManualClock, random: Random) -> None:
    other = "sandbox" if settings.environment == "demo" else "demo"
    assert "environment" in await refuse(msgspec.structs.replace(settings, environment=other), clock, random)


@pytest.mark.parametrize("dsn", ["", "postgresql://nobody@127.0.0.1:1/none"])
async def test_no_database_is_refused(settings: Settings, clock: ManualClock, random: Random, dsn: str) -> None:
    assert "database" in await refuse(msgspec.structs.replace(settings, database=DatabaseSettings(dsn=dsn)), clock, random)


async def test_too_many_connections_are_refused(settings: Settings, clock: ManualClock, random: Random) -> None:
    many = DatabaseSettings(dsn=settings.database.dsn, pool_size=10_000)
    assert "max_connections" in await refuse(msgspec.structs.replace(settings, database=many), clock, random)


async def test_the_store_of_transients_is_a_setting(settings: Settings, clock: ManualClock, random: Random) -> None:
    redis = msgspec.structs.replace(settings, transients=TransientSettings(store="redis"))
    platform: Platform = await open_platform(redis, clock, random)
    assert isinstance(platform.transients, RedisTransients)
    await platform.close()
