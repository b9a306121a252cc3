"""Verifiers, devices, locks and daily counts on a real database."""

import asyncio
from datetime import date, timedelta

import pytest

from idp.authenticators.services.forgetting import forget_past
from idp.authenticators.stores import known_devices, locks, message_counts, passwords
from idp.platform.database import Database
from tests.sign_in.house import House
from tests.support.clocks import ManualClock

DAY = date(2026, 3, 2)


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def test_a_longer_lock_stays(house: House) -> None:
    now = house.clock.now
    for minutes in (15, 5):
        async with house.database.transaction() as tx:
            await locks.set_lock(tx, "password", b"subject", now + timedelta(minutes=minutes))
    assert await locks.find_lock(house.database, "password", [b"subject"], now) == now + timedelta(minutes=15)
    assert await locks.find_lock(house.database, "password", [b"other", b"subject"], now) == now + timedelta(minutes=15)
    assert await locks.find_lock(house.database, "code", [b"subject"], now) is None
    assert await locks.find_lock(house.database, "password", [b"subject"], now + timedelta(minutes=15)) is None
    async with house.database.transaction() as tx:
        await locks.drop_open(tx, now + timedelta(minutes=15))
    assert await locks.find_lock(house.database, "password", [b"subject"], now) is None


async def test_a_daily_limit_holds_against_senders_at_once(house: House) -> None:
    async def count() -> bool:
        async with house.database.transaction() as tx:
            return await message_counts.count_message(tx, DAY, "phone", b"one", 3)

    assert sum(await asyncio.gather(*(count() for _ in range(8)))) == 3
    async with house.database.transaction() as tx:
        assert await message_counts.count_message(tx, DAY + timedelta(days=1), "phone", b"one", 3)
        assert await message_counts.count_message(tx, DAY, "device", b"one", 3)
        await message_counts.drop_days(tx, DAY + timedelta(days=1))
        assert await message_counts.count_message(tx, DAY, "phone", b"one", 3)


async def test_a_verifier_is_renewed_only_while_it_is_the_one_that_was_read(house: House) -> None:
    person = await house.add_person()
    old = await passwords.find_verifier(house.database, person.person_id)
    assert old is not None
    async with house.database.transaction() as tx:
        await passwords.upgrade_verifier(tx, person.person_id, "another", "new")
    assert await passwords.find_verifier(house.database, person.person_id) == old
    async with house.database.transaction() as tx:
        await passwords.upgrade_verifier(tx, person.person_id, old, "new")
    assert await passwords.find_verifier(house.database, person.person_id) == "new"


async def test_devices_are_remembered_per_person(house: House) -> None:
    one, other = await house.add_person(), await house.add_person()
    async with house.database.transaction() as tx:
        assert await known_devices.remember(tx, one.person_id, b"device", house.clock.now)
    async with house.database.transaction() as tx:
        assert not await known_devices.remember(tx, one.person_id, b"device", house.clock.advance(5))
    now = house.clock.now
    assert await known_devices.is_known(house.database, one.person_id, b"device", now)
    assert not await known_devices.is_known(house.database, other.person_id, b"device", now)
    assert await known_devices.is_known(house.database, one.person_id, b"device", now + timedelta(days=179))
    assert not await known_devices.is_known(house.database, one.person_id, b"device", now + timedelta(days=180))


async def test_devices_are_forgotten_all_or_all_but_one(house: House) -> None:
    one, other = await house.add_person(), await house.add_person()
    now = house.clock.now

    async def count() -> int:
        rows = await house.database.fetch("SELECT device_hash FROM known_devices WHERE person_id = $1", one.person_id)
        return len(rows)

    async with house.database.transaction() as tx:
        for device in (b"first", b"second", b"third"):
            await known_devices.remember(tx, one.person_id, device, now)
        await known_devices.remember(tx, other.person_id, b"first", now)
        await known_devices.forget(tx, one.person_id, but=b"second")
    assert await count() == 1
    assert await known_devices.is_known(house.database, one.person_id, b"second", now)
    async with house.database.transaction() as tx:
        await known_devices.forget(tx, one.person_id)
    assert await count() == 0
    assert await known_devices.is_known(house.database, other.person_id, b"first", now)


async def test_the_past_is_forgotten_and_the_present_is_not(house: House) -> None:
    now = house.clock.now
    async with house.database.transaction() as tx:
        await locks.set_lock(tx, "password", b"past", now)
        await locks.set_lock(tx, "password", b"present", now + timedelta(seconds=1))
        for days in (0, 2, 3):
            await message_counts.count_message(tx, DAY - timedelta(days=days), "phone", b"forgetting", 1)
    await forget_past(house.database, now)
    rows = await house.database.fetch("SELECT subject_hash FROM sign_in_locks WHERE subject_hash = ANY($1)", [b"past", b"present"])
    assert [row["subject_hash"] for row in rows] == [b"present"]
    rows = await house.database.fetch("SELECT day FROM message_counts WHERE subject_hash = $1 ORDER BY day", b"forgetting")
    assert [row["day"] for row in rows] == [DAY - timedelta(days=2), DAY]


async def test_devices_that_nobody_uses_are_forgotten_batch_by_batch(house: House) -> None:
    person, now = await house.add_person(), house.clock.now
    ages = {b"today": 0, b"spring": 179, b"winter": 180, b"autumn": 250, b"summer": 340}
    async with house.database.transaction() as tx:
        for device, days in ages.items():
            await known_devices.remember(tx, person.person_id, device, now - timedelta(days=days))
    assert await forget_past(house.database, now, batch=1, batches=2), "one of them has to wait for the next run"
    assert not await forget_past(house.database, now, batch=2, batches=2)
    rows = await house.database.fetch("SELECT device_hash FROM known_devices WHERE person_id = $1", person.person_id)
    assert {row["device_hash"] for row in rows} == {b"today", b"spring"}
