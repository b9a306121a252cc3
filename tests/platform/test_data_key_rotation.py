"""A new data key is known to every process before it is used, an old one goes when nothing needs it, and all of it is audited."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from idp.kernel.clock import Random
from idp.platform import data_key_store
from idp.platform.audit_log import AuditLog
from idp.platform.current_data_keys import CurrentDataKeys
from idp.platform.data_key_rotation import ALL, DataKeyRefused, DataKeyRotation
from idp.platform.database import Database
from idp.platform.jobs import read_jobs
from idp.platform.key_exchange import KeyExchange
from keys import DATA_KEY_PURPOSES, NAMING_PURPOSES, DataKeys, KeyEncryptionKey, Suite, Unsealable, make_key_encryption_key, row_aad
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_for_listener, wait_until

PENDING = timedelta(minutes=10)
REST = timedelta(days=30)


@dataclass
class House:
    """One installation: keys in a database, a process that uses them, and the operator's hand."""

    database: Database
    kek: KeyEncryptionKey
    clock: ManualClock
    random: Random
    data_keys: DataKeys
    rotation: DataKeyRotation
    log: AuditLog

    def follow(self) -> CurrentDataKeys:
        return CurrentDataKeys(self.data_keys, self.database, self.kek, self.clock)

    async def switch(self, purpose: str = ALL) -> None:
        """Rotate, let the time pass and take the keys up."""
        await self.rotation.rotate(purpose, "test")
        self.clock.advance(PENDING.total_seconds())
        await self.follow().reload()

    async def list_ids(self, purpose: str) -> list[str]:
        async with self.database.transaction() as tx:
            return [key.id for key in await data_key_store.list_all(tx) if key.purpose == purpose]


@pytest.fixture
def kek(tmp_path: Path, random: Random) -> KeyEncryptionKey:
    return make_key_encryption_key(tmp_path / "kek", random)


@pytest_asyncio.fixture(loop_scope="module")
async def house(database: Database, owner_dsn: str, kek: KeyEncryptionKey, clock: ManualClock, random: Random) -> AsyncIterator[House]:
    owner = await asyncpg.connect(owner_dsn)
    await owner.execute("TRUNCATE data_keys, signing_keys, audit_events, audit_chain, jobs, people, transients CASCADE")
    await owner.close()
    async with database.transaction() as tx:
        await data_key_store.create_missing(tx, kek, Suite.INTERNATIONAL, clock, random)
        data_keys = DataKeys((await data_key_store.load(tx, kek, clock())).keys)
    log = AuditLog(data_keys.mac("audit"), data_keys.sealer("places"), clock, random)
    rotation = DataKeyRotation(
        database, kek, log, clock, random, suite=Suite.NATIONAL, pending_for=PENDING, rests={"bearer": REST, "people": timedelta(0)}
    )
    yield House(database, kek, clock, random, data_keys, rotation, log)


async def test_all_rotates_everything_but_what_only_names(house: House) -> None:
    house.clock.advance(60)
    created = await house.rotation.rotate(ALL, "test")
    assert {key.purpose for key in created} == set(DATA_KEY_PURPOSES) - set(NAMING_PURPOSES)
    assert {(key.id, key.suite, key.current_from) for key in created} == {
        (f"{key.purpose}-2", Suite.NATIONAL, house.clock() + PENDING) for key in created
    }
    assert await house.rotation.rotate(ALL, "test") == [], "they already wait"
    with pytest.raises(DataKeyRefused, match="people-2 already waits"):
        await house.rotation.rotate("people", "test")
    assert [key.id for key in await house.rotation.rotate("sids", "test")] == ["sids-2"]
    with pytest.raises(DataKeyRefused, match="no purpose cooking"):
        await house.rotation.rotate("cooking", "test")
    rows = await house.database.fetch("SELECT kind, details FROM audit_events")
    assert {row["kind"] for row in rows} == {"key_created"}
    assert len(rows) == len(created) + 1


async def test_a_process_learns_at_once_and_uses_it_from_its_time_on(house: House, service_dsn: str) -> None:
    follower, stop, database = house.follow(), asyncio.Event(), Database(service_dsn, size=2)
    sealer, index = house.data_keys.sealer("people"), house.data_keys.index("index")
    task = asyncio.create_task(follower.follow(stop))
    await wait_for_listener(database, data_key_store.CHANNEL)
    await house.rotation.rotate(ALL, "test")
    await wait_until(lambda: len(house.data_keys.list_ids("people")) == 2)
    assert (sealer.current_id, index.current_id) == ("people-1", "index-1")
    assert len(index.index_all("phone", "x")) == 2
    house.clock.advance(PENDING.total_seconds())
    await house.database.write("SELECT pg_notify('data_keys', '')")  # as its own timer would, had the clock really gone on
    await wait_until(lambda: sealer.current_id == "people-2")
    assert index.current_id == "index-2"
    stop.set()
    await task
    await database.close()


async def test_it_wakes_by_itself_when_the_time_has_come(house: House) -> None:
    await house.rotation.rotate("people", "test")
    follower = house.follow()
    house.clock.advance(PENDING.total_seconds() - 20)
    assert await follower.reload() == pytest.approx(20, abs=0.1)
    house.clock.advance(-30)
    assert await follower.reload() == 30.0, "and looks now and then in any case"


async def test_keys_that_cannot_be_trusted_change_nothing(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    sealer = house.data_keys.sealer("people")
    await house.rotation.rotate("people", "test")
    await house.database.write("UPDATE data_keys SET suite = 'international' WHERE id = 'people-2'")
    assert await house.follow().reload() == 30.0
    assert house.data_keys.list_ids("people") == ("people-1",)
    await house.database.write("DELETE FROM data_keys WHERE purpose = 'people'")
    assert await house.follow().reload() == 30.0
    assert sealer.current_id == "people-1"


async def add_person(house: House) -> bytes:
    person = house.random(16)
    sealed = house.data_keys.sealer("people").seal(b"x", row_aad("people", "profile", person), house.random)
    statement = "INSERT INTO people (id, status, ial, profile, created_at, updated_at) VALUES ($1, 'active', 1, $2, $3, $3)"
    await house.database.write(statement, UUID(bytes=person), sealed, house.clock())
    return sealed


async def test_an_old_key_goes_when_nothing_needs_it(house: House) -> None:
    retire = house.rotation.retire
    sealed = await add_person(house)
    with pytest.raises(DataKeyRefused, match="no data key people-9"):
        await retire("people-9", "test", house.database)
    with pytest.raises(DataKeyRefused, match="people-1 is current"):
        await retire("people-1", "test", house.database)
    await house.rotation.rotate("people", "test")
    for waiting, state in (("people-1", "current"), ("people-2", "pending")):
        with pytest.raises(DataKeyRefused, match=f"{waiting} is {state}"):
            await retire(waiting, "test", house.database)
    house.clock.advance(PENDING.total_seconds())
    await house.follow().reload()
    await house.database.write("INSERT INTO jobs (kind, cursor, run_at) VALUES ('re_encryption', 'x', $1)", house.clock() + REST)
    house.clock.advance(PENDING.total_seconds())
    with pytest.raises(DataKeyRefused, match=r"still needed: 1 of people\.profile"):
        await retire("people-1", "test", house.database)
    # The refusal is an answer, and yet it lets the worker look again.
    (job,) = await read_jobs(house.database)
    assert (job.cursor, job.run_at) == ("", house.clock())
    await house.database.write("UPDATE people SET profile = $1", house.data_keys.sealer("people").seal(b"x", b"", house.random))
    await retire("people-1", "test", house.database)
    assert await house.list_ids("people") == ["people-2"]
    await house.follow().reload()
    with pytest.raises(Unsealable):
        house.data_keys.sealer("people").open(sealed, b"")
    await house.switch("people")
    assert await house.list_ids("people") == ["people-2", "people-3"], "a number is never given twice"
    (row,) = await house.database.fetch("SELECT details FROM audit_events WHERE kind = 'key_removed'")
    assert row["details"] == '{"key":"people-1"}'


async def test_what_stands_in_no_table_is_waited_for(house: House) -> None:
    await house.switch()
    for key_id, rest in (("people-1", PENDING), ("bearer-1", REST)):
        status = next(s for s in await house.rotation.read_status(house.database) if s.key.id == key_id)
        assert (status.state, status.rests_until) == ("old", house.clock() + rest)
    with pytest.raises(DataKeyRefused, match="bearer-1 may still be needed until"):
        await house.rotation.retire("bearer-1", "test", house.database)
    with pytest.raises(DataKeyRefused, match="people-1 may still be needed until"):
        await house.rotation.retire("people-1", "test", house.database)
    house.clock.advance(REST.total_seconds())
    await house.rotation.retire("bearer-1", "test", house.database)
    states = {s.key.id: s.state for s in await house.rotation.read_status(house.database)}
    assert "bearer-1" not in states
    assert (states["bearer-2"], states["people-1"], states["sids-1"]) == ("current", "old", "current")


async def test_the_audit_keeps_its_keys(house: House) -> None:
    await house.switch()
    house.clock.advance(REST.total_seconds())
    with pytest.raises(DataKeyRefused, match=r"audit-1 is still needed: \d+ of audit_events\.mac, until their partition is dropped\.$"):
        await house.rotation.retire("audit-1", "test", house.database)


async def test_the_key_encryption_key_is_exchanged(house: House, tmp_path: Path) -> None:
    await house.rotation.rotate("people", "test")
    path = tmp_path / "new"
    make_key_encryption_key(path, house.random)
    alone, both = KeyEncryptionKey.from_file(path), KeyEncryptionKey.from_file(path)
    both.accept(house.kek)

    async def load(kek: KeyEncryptionKey) -> int:
        async with house.database.transaction() as tx:
            return len((await data_key_store.load(tx, kek, house.clock())).keys)

    count = len(DATA_KEY_PURPOSES) + 1
    with pytest.raises(data_key_store.UntrustedDataKey):
        await load(alone)
    await house.database.write(
        "INSERT INTO signing_keys (kid, algorithm, state, wrapped, public_jwk, created_at, state_since) "
        "VALUES ('k', 'ES256', 'active', $1, '{}', $2, $2), ('gone', 'ES256', 'retired', NULL, '{}', $2, $2)",
        house.kek.wrap("k", b"private"),
        house.clock(),
    )
    assert await load(both) == count, "before"
    exchange = KeyExchange(house.database, both, house.log)
    assert await exchange.rewrap("test") == count + 1
    assert await load(alone) == await load(both) == count
    (row,) = await house.database.fetch("SELECT wrapped FROM signing_keys WHERE kid = 'k'")
    assert alone.unwrap("k", row["wrapped"]) == b"private"
    assert await exchange.rewrap("test") == 0, "twice is once"
    with pytest.raises(data_key_store.UntrustedDataKey):
        await load(house.kek)
    rows = await house.database.fetch("SELECT details FROM audit_events WHERE kind = 'key_encryption_exchanged'")
    assert [row["details"] for row in rows] == [f'{{"keys":{count + 1}}}']


async def test_an_exchange_is_whole_or_not_at_all(house: House, tmp_path: Path) -> None:
    make_key_encryption_key(tmp_path / "new", house.random)
    both = KeyEncryptionKey.from_file(tmp_path / "new")
    both.accept(house.kek)
    await house.database.write(
        "INSERT INTO signing_keys (kid, algorithm, state, wrapped, public_jwk, created_at, state_since) "
        "VALUES ('k', 'ES256', 'active', 'nonsense', '{}', $1, $1)",
        house.clock(),
    )
    before = await house.database.fetch(data_key_store.LOAD)
    with pytest.raises(Unsealable):
        await KeyExchange(house.database, both, house.log).rewrap("test")
    assert [tuple(row) for row in await house.database.fetch(data_key_store.LOAD)] == [tuple(row) for row in before]
