"""Data keys rest wrapped, one row a key; neither their purpose nor their suite can be exchanged in the database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from idp.kernel.clock import Random
from idp.platform import data_key_store
from idp.platform.data_key_store import UntrustedDataKey
from idp.platform.database import Database
from keys import DATA_KEY_PURPOSES, DataKeys, KeyEncryptionKey, Suite, make_key_encryption_key
from tests.support.clocks import ManualClock


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def emptied(database: Database) -> AsyncIterator[None]:
    await database.write("DELETE FROM data_keys")
    yield


@pytest.fixture
def kek(tmp_path: Path, random: Random) -> KeyEncryptionKey:
    return make_key_encryption_key(tmp_path / "kek", random)


async def load(database: Database, kek: KeyEncryptionKey, clock: ManualClock) -> DataKeys:
    async with database.transaction() as tx:
        return DataKeys((await data_key_store.load(tx, kek, clock())).keys)


async def create(database: Database, kek: KeyEncryptionKey, suite: Suite, clock: ManualClock, random: Random) -> tuple[str, ...]:
    async with database.transaction() as tx:
        return await data_key_store.create_missing(tx, kek, suite, clock, random)


@pytest.mark.parametrize("suite", list(Suite))
async def test_every_purpose_gets_one_key_and_keeps_it(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random, suite: Suite
) -> None:
    assert len(await create(database, kek, suite, clock, random)) == len(DATA_KEY_PURPOSES)
    for later in Suite:  # the setting speaks of new keys alone
        assert await create(database, kek, later, clock, random) == ()
    keys = await load(database, kek, clock)
    assert keys.suites == {suite}
    sealed = keys.sealer("outbox").seal(b"x", b"aad", random)
    assert sealed[0] == {Suite.INTERNATIONAL: 1, Suite.NATIONAL: 2}[suite]
    assert (await load(database, kek, clock)).sealer("outbox").open(sealed, b"aad") == b"x"


async def test_another_key_encryption_key_opens_nothing(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random, tmp_path: Path
) -> None:
    await create(database, kek, Suite.INTERNATIONAL, clock, random)
    with pytest.raises(UntrustedDataKey):
        await load(database, make_key_encryption_key(tmp_path / "other", random), clock)


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE data_keys SET purpose = 'people' WHERE purpose = 'audit'",
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE id = 'people-1') WHERE id = 'audit-1'",
        "UPDATE data_keys SET wrapped = 'x' WHERE id = 'audit-1'",
        "UPDATE data_keys SET suite = CASE suite WHEN 'national' THEN 'international' ELSE 'national' END WHERE id = 'audit-1'",
        "UPDATE data_keys SET id = 'audit-1 national' WHERE id = 'audit-1'",
    ],
)
async def test_exchanged_data_keys_are_refused(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random, tampering: str, suite: Suite
) -> None:
    await create(database, kek, suite, clock, random)
    await database.write(tampering)
    with pytest.raises(UntrustedDataKey):
        await load(database, kek, clock)


async def test_a_new_key_opens_at_once_and_seals_from_its_time_on(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random
) -> None:
    await create(database, kek, Suite.INTERNATIONAL, clock, random)
    clock.advance(10)
    at = clock() + timedelta(minutes=10)
    async with database.transaction() as tx:
        await data_key_store.add(tx, kek, "people-2", Suite.NATIONAL, random(32), clock(), at)
        assert (await data_key_store.load(tx, kek, clock())).next_at == at
    keys = await load(database, kek, clock)
    assert keys.sealer("people").current_id == "people-1"
    assert keys.index("people").index_all("phone", "x") != [keys.index("people").index("phone", "x")], "it finds already"
    clock.advance(600)
    later = await load(database, kek, clock)
    sealed = later.sealer("people").seal(b"x", b"", random)
    assert later.sealer("people").current_id == "people-2"
    assert keys.sealer("people").open(sealed, b"") == b"x", "whoever has not switched yet reads what others sealed"
    async with database.transaction() as tx:
        assert (await data_key_store.load(tx, kek, clock())).next_at is None
        assert [key.current_from for key in await data_key_store.list_all(tx) if key.purpose == "people"][1] == at


async def test_an_old_key_is_removed_for_good(database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random) -> None:
    await create(database, kek, Suite.INTERNATIONAL, clock, random)
    async with database.transaction() as tx:
        await data_key_store.add(tx, kek, "people-2", Suite.INTERNATIONAL, random(32), clock(), None)
        await data_key_store.remove(tx, "people-1")
        assert [key.id for key in await data_key_store.list_all(tx) if key.purpose == "people"] == ["people-2"]
