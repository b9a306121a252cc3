"""While the key of blind indexes changes everybody is found, and no identifier ever belongs to two people."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import Identifier, IdentifierKind
from idp.people.rules.person import Status
from idp.people.rules.refusals import AccountExists
from idp.people.services.activation import Activation
from idp.people.stores import identifiers, people
from idp.platform.jobs import JobState
from idp.platform.re_encryption import ReEncryption
from keys import BlindIndex, Suite
from tests.people.services.applicants import Registering, register
from tests.support.provider import Provider

OLD, NEW = b"o" * 32, b"n" * 32
BOTH = {"index-1": OLD, "index-2": NEW}
SUITES = {"index-2": Suite.NATIONAL}
COUNT = "SELECT index_key, count(*) AS n FROM person_identifiers WHERE index_value = ANY($1::bytea[]) GROUP BY index_key"


class Process:
    """What one process knows of the index keys, and how it adds a phone."""

    def __init__(self, provider: Provider, index: BlindIndex) -> None:
        self.provider, self.index = provider, index
        self.database = provider.services.platform.database

    async def add(self, number: str, hold: asyncio.Event | None = None, added: asyncio.Event | None = None) -> bool:
        """Add the number for a new person; ``hold`` keeps the transaction open after ``added`` was told."""
        platform = self.provider.services.platform
        person_id = make_uuid7(platform.clock, platform.random)
        async with self.database.transaction() as tx:
            await people.add(tx, person_id, Status.ACTIVE, 1, b"", platform.clock())
            indexes = self.index.index_all("phone", number)
            done = await identifiers.add(tx, "phone", indexes, self.index.current_id, person_id, b"", None, platform.clock())
            if added is not None and hold is not None:
                added.set()
                await hold.wait()
        return done


@pytest.fixture
def before(provider: Provider) -> Process:
    """A process that has heard of the new key and still writes with the old one."""
    return Process(provider, BlindIndex(BOTH, "index-1", SUITES))


@pytest.fixture
def after(provider: Provider) -> Process:
    """A process that has switched."""
    return Process(provider, BlindIndex(BOTH, "index-2", SUITES))


@pytest.mark.parametrize("first_switched", [False, True])
async def test_two_who_add_one_number_under_different_keys_get_one_of_them(before: Process, after: Process, first_switched: bool) -> None:
    """The primary key cannot tell that two indexes are of one number: the second waits for the first, and then sees it."""
    first, second = (after, before) if first_switched else (before, after)
    number = f"+861380013{8000 + first_switched}"
    hold, added = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(first.add(number, hold, added))
    await added.wait()
    other = asyncio.create_task(second.add(number))
    await asyncio.sleep(0.3)
    assert not other.done(), "it must not decide while the other one may still commit"
    hold.set()
    assert (await one, await other) == (True, False)
    rows = await first.database.fetch(COUNT, first.index.index_all("phone", number))
    assert [(row["index_key"], row["n"]) for row in rows] == [(first.index.current_id, 1)]


async def test_many_who_add_the_same_numbers_at_once(before: Process, after: Process) -> None:
    numbers = [f"+86139001390{n:02}" for n in range(12)]
    results = await asyncio.gather(*(process.add(number) for number in numbers for process in (before, after, before, after)))
    for number, start in zip(numbers, range(0, len(results), 4), strict=True):
        assert sum(results[start : start + 4]) == 1, number
        (row,) = await before.database.fetch(COUNT, before.index.index_all("phone", number))
        assert row["n"] == 1


async def test_who_has_one_key_alone_takes_no_lock(provider: Provider) -> None:
    """The usual case costs nothing: the primary key is enough."""
    alone = Process(provider, BlindIndex({"index-1": OLD}, "index-1"))
    locks = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'"
    hold, added = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(alone.add("+8613700137000", hold, added))
    await added.wait()
    (row,) = await alone.database.fetch(locks)
    assert row["n"] == 0
    hold.set()
    assert await task
    assert not await alone.add("+8613700137000")


async def test_registrations_around_a_rotation(provider: Provider) -> None:
    """Registered under the old key, sought and registered again under the new one; made anew, and sought again."""
    platform = provider.services.platform
    late = register(provider, 40)
    await late.reach_agreement()  # the same document, on its way while the key changes
    provider.clock.advance(3600)  # the next code may go to this phone
    somebody = register(provider, 40)
    done = await somebody.finish()
    person_id = done.draft.person_id

    await platform.data_key_rotation.rotate("index", "test")
    await platform.current_data_keys.reload()
    assert await find(provider, somebody) == person_id, "the new key is known, and nothing is made with it yet"
    provider.clock.advance(platform.settings.keys.pending_seconds)
    await platform.current_data_keys.reload()
    assert platform.data_keys.index("index").current_id == "index-2"
    assert await find(provider, somebody) == person_id
    with pytest.raises(AccountExists):
        await late.registration.accept(late.draft, "zh-CN", late.who)
    newcomer = register(provider, 41)
    other = await newcomer.finish()
    keys = "SELECT person_id, index_key FROM person_identifiers WHERE person_id = ANY($1::uuid[]) ORDER BY index_key, kind"
    rows = await platform.database.fetch(keys, [person_id, other.draft.person_id])
    assert [(row["person_id"], row["index_key"]) for row in rows] == [
        *[(person_id, "index-1")] * 2,
        *[(other.draft.person_id, "index-2")] * 2,
    ]

    work = ReEncryption(platform.database, platform.data_keys, platform.clock, platform.random, timedelta(0))
    await platform.database.write("UPDATE person_identifiers SET index_key = 'gone' WHERE sealed = ''")  # of the tests above
    state = JobState()
    while (state := await work.run(state)).again:
        pass
    rows = await platform.database.fetch(keys, [person_id, other.draft.person_id])
    assert {row["index_key"] for row in rows} == {"index-2"}
    for registered, expected in ((somebody, person_id), (newcomer, other.draft.person_id)):
        assert await find(provider, registered) == expected
        found = await provider.services.people.find_by_identifier(Identifier(IdentifierKind.PHONE, registered.apply().phone.value))
        assert found is not None
        assert found.standing.person_id == expected
        assert found.phone == registered.apply().phone, "the sealed number moved with its index"


async def test_a_contact_number_has_one_row_across_keys(provider: Provider, service_dsn: str) -> None:
    """A number bound again while keys change is one contact, not two."""
    platform, who = provider.services.platform, register(provider, 42).who
    person_id = make_uuid7(platform.clock, platform.random)
    phone = register(provider, 42).apply().phone
    for index in (BlindIndex(BOTH, "index-1", SUITES), BlindIndex(BOTH, "index-2", SUITES)):
        activation = Activation(
            platform.database,
            None,  # type: ignore[arg-type]
            provider.services.passwords,
            platform.data_keys.sealer("people"),
            index,
            platform.outbox,
            platform.audit_log,
            platform.clock,
            platform.random,
        )
        async with platform.database.transaction() as tx:
            if index.current_id == "index-1":
                await people.add(tx, person_id, Status.ACTIVE, 1, b"", platform.clock())
            assert await activation.bind_phone(tx, person_id, phone, matched=False, who=who) == "contact"
    service = await asyncpg.connect(service_dsn)
    rows = await service.fetch("SELECT index_key FROM person_contacts WHERE person_id = $1", person_id)
    await service.close()
    assert [row["index_key"] for row in rows] == ["index-2"]


async def find(provider: Provider, somebody: Registering) -> UUID | None:
    document = somebody.apply().document
    found = await provider.services.people.find_by_identifier(Identifier(document.kind, document.value))
    return found.standing.person_id if found is not None else None
