"""Every sealed column comes under the current keys, in batches, resumed wherever it stopped, and never over what another one writes."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from idp.kernel.clock import Random
from idp.kernel.ids import make_uuid7
from idp.platform import re_encryption
from idp.platform.data_key_use import count_uses
from idp.platform.database import Database
from idp.platform.jobs import JobState, ensure_jobs, read_jobs, run_due
from idp.platform.re_encryption import ReEncryption
from idp.platform.sealed_columns import INDEX_KEYS, KEPT, NOT_SEALED, RE_SEALED, SealedColumn
from keys import DATA_KEY_PURPOSES, DataKey, DataKeys, Suite
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_until

COLUMNS = """
    SELECT table_name || '.' || column_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type = 'bytea' AND table_name !~ '_(default|y[0-9]+m[0-9]+)$'
"""
SETTLE = timedelta(seconds=60)
PEOPLE = 30
START = JobState()

Keep = dict[str, dict[tuple[Any, ...], bytes]]


async def test_every_column_of_bytes_is_named(owner_dsn: str) -> None:
    """A new one belongs to RE_SEALED or KEPT when it is under a data key, otherwise to NOT_SEALED (idp/platform/sealed_columns.py)."""
    owner = await asyncpg.connect(owner_dsn)
    found = {row["name"] for row in await owner.fetch(COLUMNS)}
    await owner.close()
    named = {column.name for column in (*RE_SEALED, *KEPT)} | NOT_SEALED
    assert sorted(found - named) == [], "neither sealed anew, nor kept, nor known as not sealed"
    assert sorted(named - found) == [], "named and not there"
    assert not {column.name for column in (*RE_SEALED, *KEPT)} & NOT_SEALED


class Keys:
    """The keys of one process, which rotate by its hand; two purposes in three are of the national suite after a rotation."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.keys = [DataKey(f"{purpose}-1", purpose, random(32)) for purpose in DATA_KEY_PURPOSES]
        self.data_keys = DataKeys(self.keys)

    def rotate(self, *purposes: str, suite: Suite = Suite.NATIONAL) -> None:
        for purpose in purposes:
            number = sum(key.purpose == purpose for key in self.keys) + 1
            self.keys.append(DataKey(f"{purpose}-{number}", purpose, self.random(32), suite))
        self.data_keys.replace(self.keys)

    def drop(self, *key_ids: str) -> DataKeys:
        return DataKeys([key for key in self.keys if key.id not in key_ids])


class Installation:
    """Rows in every sealed column, written as the services write them, and what they hold in clear."""

    def __init__(self, database: Database, clock: ManualClock, random: Random) -> None:
        self.database, self.clock, self.random = database, clock, random
        self.keys = Keys(random)
        self.clear: Keep = {column.name: {} for column in RE_SEALED}

    def work(self, batch: int = 7, settle: timedelta = timedelta(0)) -> ReEncryption:
        return ReEncryption(self.database, self.keys.data_keys, self.clock, self.random, settle, batch)

    async def fill(self, number: int = PEOPLE) -> None:
        sector = make_uuid7(self.clock, self.random)
        await self.database.write("INSERT INTO sectors (id, name) VALUES ($1, $2)", sector, str(sector))
        for _ in range(number):
            await self.add_person(sector)

    async def add_person(self, sector: UUID) -> UUID:
        now, write, seal = self.clock(), self.database.write, self.seal
        person = make_uuid7(self.clock, self.random)
        text = person.hex
        await write(
            "INSERT INTO people (id, status, ial, profile, created_at, updated_at) VALUES ($1, 'active', 2, $2, $3, $3)",
            person,
            seal("people.profile", (person,), f"profile {text}"),
            now,
        )
        index = self.keys.data_keys.index("index")
        for kind, value in (("phone", f"+86{text}"), ("id_number", text)):
            place = index.index(kind, value)
            await write(
                "INSERT INTO person_identifiers (kind, index_value, index_key, person_id, sealed, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                kind,
                place,
                index.current_id,
                person,
                seal("person_identifiers.sealed", (kind, place), value),
                now,
            )
        place = index.index("phone", f"+85{text}")
        await write(
            "INSERT INTO person_contacts (person_id, phone_index, index_key, sealed, state, created_at) "
            "VALUES ($1, $2, $3, $4, 'contact', $5)",
            person,
            place,
            index.current_id,
            seal("person_contacts.sealed", (person, place), f"+85{text}"),
            now,
        )
        await write(
            "INSERT INTO passkeys (person_id, id, credential_id, user_handle, public_key, sign_count, transports, backup_eligible, "
            "backed_up, sealed_name, created_at) VALUES ($1, $2, $3, $3, $3, 0, '', false, false, $4, $5)",
            person,
            person,
            person.bytes,
            seal("passkeys.sealed_name", (person, person), f"key of {text}"),
            now,
        )
        session = self.random(32)
        for place_or_none, session_hash in ((seal("sessions.sealed_place", (session,), text), session), (None, self.random(32))):
            await write(
                "INSERT INTO sessions (id_hash, lineage, person_id, factors, sealed_place, created_at, last_seen_at, expires_at) "
                "VALUES ($1, $1, $2, '', $3, $4, $4, $4)",
                session_hash,
                person,
                place_or_none,
                now,
            )
        await write(
            "INSERT INTO registration_drafts (id, owner_hash, step, version, sealed, created_at, expires_at) "
            "VALUES ($1, $2, 'phone', 1, $3, $4, $4)",
            person,
            person.bytes,
            seal("registration_drafts.sealed", (person,), text),
            now,
        )
        await write(
            "INSERT INTO clients (client_id, version, status, sector_id, document, sealed_secret, previous_sealed_secret, created_at, "
            "updated_at, secret_mac) VALUES ($1, 1, 'live', $2, '{}', $3, $4, $5, $5, $6)",
            text,
            sector,
            seal("clients.sealed_secret", (text,), f"secret {text}"),
            seal("clients.previous_sealed_secret", (text,), f"previous {text}"),
            now,
            b"client_secrets-1:\0:\xff" + person.bytes,
        )
        return person

    def seal(self, name: str, key: tuple[Any, ...], text: str) -> bytes:
        column = find(name)
        self.clear[name][key] = text.encode()
        return self.keys.data_keys.sealer(column.purpose).seal(text.encode(), column.make_aad(key), self.random)

    async def read(self, column: SealedColumn, keys: DataKeys) -> dict[tuple[Any, ...], bytes]:
        """Return what a column holds in clear, by those keys alone; rows whose index moved are named as they were."""
        statement = f"SELECT {', '.join(column.key)}, {column.column} AS sealed FROM {column.table} WHERE {column.column} IS NOT NULL"
        found = {}
        first = DataKeys([key for key in self.keys.keys if key.id == "index-1"]).index("index")
        for row in await self.database.fetch(statement):
            key = tuple(row[name] for name in column.key)
            plain = keys.sealer(column.purpose).open(row["sealed"], column.make_aad(key))
            if column.index:
                place, kind = list(column.key).index(column.index), column.find_kind(key)
                assert key[place] == keys.index("index").index(kind, plain.decode()), "the index is the value's under the current key"
                key = (*key[:place], first.index(kind, plain.decode()), *key[place + 1 :])
            found[key] = plain
        return found

    async def check(self, *gone: str) -> None:
        """Nothing needs the old keys: everything opens without them and says what it said."""
        keys = self.keys.drop(*gone)
        for column in RE_SEALED:
            assert await self.read(column, keys) == self.clear[column.name], column.name


def find(name: str) -> SealedColumn:
    return next(column for column in RE_SEALED if column.name == name)


@pytest_asyncio.fixture(loop_scope="module")
async def installation(database: Database, owner_dsn: str, clock: ManualClock, random: Random) -> AsyncIterator[Installation]:
    owner = await asyncpg.connect(owner_dsn)
    await owner.execute("TRUNCATE people, sectors, jobs, transients, audit_events, outbox CASCADE")
    await owner.close()
    made = Installation(database, clock, random)
    await made.fill()
    yield made


async def run(job: ReEncryption, state: JobState = START, most: int = 1_000) -> JobState:
    for _ in range(most):
        state = await job.run(state)
        if not state.again:
            break
    return state


ROTATED = ("people", "index", "places", "drafts", "client_secrets")
OLD = tuple(f"{purpose}-1" for purpose in ROTATED)


def list_purposes(uses: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {key_id for key_id, rows in uses.items() if rows}


async def test_everything_comes_under_the_current_keys_of_the_other_suite(installation: Installation) -> None:
    state = await run(installation.work())
    assert state.progress == "", "one key each: there is nothing to look at"
    installation.keys.rotate(*ROTATED)
    uses = await count_uses(installation.database)
    assert uses["people-1"] == {
        "people.profile": PEOPLE,
        "person_identifiers.sealed": 2 * PEOPLE,
        "person_contacts.sealed": PEOPLE,
        "passkeys.sealed_name": PEOPLE,
    }
    sealed = {"clients.sealed_secret": PEOPLE, "clients.previous_sealed_secret": PEOPLE}
    assert uses["client_secrets-1"] == {**sealed, "clients.secret_mac": PEOPLE}
    assert uses["index-1"] == {"person_identifiers.index_key": 2 * PEOPLE, "person_contacts.index_key": PEOPLE}
    state = await run(installation.work())
    assert state.progress == f"done: {len(RE_SEALED)} columns are under their current keys"
    uses = await count_uses(installation.database)
    assert uses.pop("client_secrets-1") == {"clients.secret_mac": PEOPLE}, "a mac of what nobody keeps is made anew when it is shown"
    assert list_purposes(uses) == {key_id.replace("-1", "-2") for key_id in OLD}
    await installation.check(*OLD)
    again = await run(installation.work(), state)
    assert again == state, "what is done is not done again"


@pytest.mark.parametrize("purpose", ["people", "index"])
async def test_sealing_and_index_keys_rotate_each_by_itself(installation: Installation, purpose: str) -> None:
    installation.keys.rotate(purpose)
    await run(installation.work())
    await installation.check(f"{purpose}-1")
    installation.keys.rotate("index" if purpose == "people" else "people", suite=Suite.INTERNATIONAL)
    await run(installation.work())
    await installation.check("people-1", "index-1")


@pytest.mark.parametrize("batch", [1, 7, 1_000])
async def test_killed_after_every_batch_it_goes_on_and_tells_how_far_it_is(
    installation: Installation, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.keys.rotate(*ROTATED)
    monkeypatch.setattr(re_encryption, "SLICE", -1.0)
    state, told = JobState(), []
    for _ in range(5_000):
        # Each run is another process, which knows nothing but the row of the table.
        state = await installation.work(batch).run(JobState(state.cursor, state.progress))
        told.append(state.progress)
        if not state.again:
            break
    assert state.progress.startswith("done")
    await installation.check(*OLD)
    if batch == 7:
        assert told[0] == f"people.profile: 7 of {PEOPLE} rows, 7 made anew"
        assert told[4] == f"people.profile: {PEOPLE} of {PEOPLE} rows, {PEOPLE} made anew"


async def test_killed_in_the_middle_of_a_batch_nothing_of_it_stays(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.keys.rotate(*ROTATED)
    monkeypatch.setattr(re_encryption, "SLICE", -1.0)
    state = await installation.work().run(JobState())
    before = await count_uses(installation.database)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(re_encryption, "_renew", die)
        with pytest.raises(KeyboardInterrupt):
            await installation.work().run(state)
    assert await count_uses(installation.database) == before
    lost = await run(installation.work(), JobState("not a cursor"))
    assert lost.progress.startswith("done"), "without its cursor it looks at everything once more"
    await installation.check(*OLD)


async def test_what_somebody_writes_meanwhile_is_never_overwritten(installation: Installation, service_dsn: str) -> None:
    installation.keys.rotate(*ROTATED)
    column = find("people.profile")
    person = next(iter(installation.clear["people.profile"]))
    other = await asyncpg.connect(service_dsn)
    transaction = other.transaction()
    await transaction.start()
    written = installation.seal("people.profile", person, "what was changed")
    await other.execute("UPDATE people SET profile = $2 WHERE id = $1", person[0], written)
    work = asyncio.ensure_future(run(installation.work(1_000)))
    waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE people%'"

    async def met() -> bool:
        # Not by the one whose transaction is open: it sees others as they were at its first look.
        return bool((await installation.database.fetch(waiting))[0]["n"])

    try:
        await wait_until(met, 60)
        await transaction.commit()
    finally:
        await other.close()
    assert (await work).progress.startswith("done")
    assert (await installation.read(column, installation.keys.drop(*OLD)))[person] == b"what was changed"
    await installation.check(*OLD)


async def test_writers_with_the_old_key_are_waited_for(installation: Installation, clock: ManualClock) -> None:
    """Until ``settle`` after the switch a process that has not heard of it may still write: the table is walked again."""
    late = DataKeys(list(installation.keys.keys)).sealer("people")
    installation.keys.rotate("people")
    column, person = find("people.profile"), next(iter(installation.clear["people.profile"]))
    state = await run(installation.work(settle=SETTLE))
    assert not state.progress.startswith("done")
    sealed = late.seal(b"late", column.make_aad(person), installation.random)
    await installation.database.write("UPDATE people SET profile = $2 WHERE id = $1", person[0], sealed)
    installation.clear["people.profile"][person] = b"late"
    for _ in range(10):
        clock.advance(SETTLE.total_seconds())
        state = await run(installation.work(settle=SETTLE), state)
    assert state.progress.startswith("done")
    await installation.check("people-1")


async def test_a_value_that_does_not_open_is_told_and_stops_nothing(installation: Installation) -> None:
    installation.keys.rotate("people")
    person = next(iter(installation.clear["people.profile"]))
    await installation.database.write("UPDATE people SET profile = profile || 'x'::bytea WHERE id = $1", person[0])
    state = await run(installation.work())
    assert state.progress == "done: 4 columns are under their current keys; 1 of people.profile do not open"
    assert (await count_uses(installation.database))["people-1"] == {"people.profile": 1}, "its key stays needed"


async def test_a_second_rotation_begins_before_the_first_is_done(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.keys.rotate(*ROTATED)
    monkeypatch.setattr(re_encryption, "SLICE", -1.0)
    work, state = installation.work(), JobState()
    for _ in range(20):
        state = await work.run(state)
    installation.keys.rotate(*ROTATED, suite=Suite.INTERNATIONAL)
    state = await run(work, state, 5_000)
    assert state.progress.startswith("done")
    await installation.check(*OLD, *(key_id.replace("-1", "-2") for key_id in OLD))


async def test_a_place_that_is_taken_is_left_as_it_is(installation: Installation) -> None:
    """Nothing leads there; should a defect ever have written an identifier twice, neither row is lost."""
    installation.keys.rotate("index")
    kind, place = next(key for key in installation.clear["person_identifiers.sealed"] if key[0] == "phone")
    value = installation.clear["person_identifiers.sealed"][kind, place].decode()
    taken = installation.keys.data_keys.index("index").index(kind, value)
    await installation.database.write(
        "INSERT INTO person_identifiers (kind, index_value, index_key, person_id, sealed, created_at) "
        "SELECT kind, $2, 'index-2', person_id, $3, created_at FROM person_identifiers WHERE kind = 'phone' AND index_value = $1",
        place,
        taken,
        installation.seal("person_identifiers.sealed", (kind, taken), value),
    )
    state = await run(installation.work())
    assert state.progress.startswith("done")
    assert (await count_uses(installation.database))["index-1"] == {"person_identifiers.index_key": 1}


async def test_it_is_a_job_whose_lease_ends_soon(installation: Installation, clock: ManualClock) -> None:
    installation.keys.rotate(*ROTATED)
    job = installation.work().as_job()
    await ensure_jobs(installation.database, [job], clock)
    await installation.database.write("UPDATE jobs SET lease_until = $1", clock() + re_encryption.LEASE)
    assert await run_due(installation.database, [job], clock) == [], "another worker has it, or was killed with it"
    clock.advance(re_encryption.LEASE.total_seconds())
    for _ in range(100):
        await run_due(installation.database, [job], clock)
        clock.advance(re_encryption.EVERY.total_seconds())
    (status,) = await read_jobs(installation.database)
    assert status.progress.startswith("done")
    assert set(json.loads(status.cursor)["reached"]) == {column.name for column in RE_SEALED}
    await installation.check(*OLD)


def test_the_tables_agree() -> None:
    assert {use.table for use in INDEX_KEYS} == {"person_identifiers", "person_contacts"}
    assert {column.purpose for column in RE_SEALED} | {use.purpose for use in (*KEPT, *INDEX_KEYS)} <= set(DATA_KEY_PURPOSES)
    by_time = {"bearer", "codes", "sids", "transient_names"}
    assert set(DATA_KEY_PURPOSES) - by_time == {column.purpose for column in RE_SEALED} | {use.purpose for use in (*KEPT, *INDEX_KEYS)}
