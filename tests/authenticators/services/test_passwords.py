"""Passwords: the same work for people who do not exist, and verifiers that grow with the parameters."""

from typing import Any

import pytest
from argon2 import PasswordHasher

from idp.authenticators.services.passwords import Passwords
from idp.platform.database import Database
from idp.platform.password_hashing import Verification
from tests.sign_in.house import HASHING, PASSWORD, House
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def test_right_and_wrong(house: House) -> None:
    person = await house.add_person()
    assert await house.passwords.verify(person.person_id, PASSWORD)
    assert not await house.passwords.verify(person.person_id, PASSWORD + " ")
    assert not await house.passwords.verify(person.person_id, "")


async def test_an_unknown_identifier_costs_one_hash_and_is_never_right(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    verify = HASHING.verify

    async def note(verifier: str | None, password: str, **visit: Any) -> Verification:
        asked.append(verifier)
        return await verify(verifier, password, **visit)

    monkeypatch.setattr(HASHING, "verify", note)
    assert not await house.passwords.verify(None, PASSWORD)
    assert asked == [None]


async def test_a_weaker_verifier_is_renewed_at_sign_in(house: House) -> None:
    person = await house.add_person()
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    async with house.database.transaction() as tx:
        await house.passwords.set(tx, person.person_id, weak, house.clock.now)
    assert not await house.passwords.verify(person.person_id, "wrong")
    rows = await house.database.fetch("SELECT verifier FROM passwords WHERE person_id = $1", person.person_id)
    assert rows[0]["verifier"] == weak
    assert await Passwords(house.database, HASHING).verify(person.person_id, PASSWORD)
    rows = await house.database.fetch("SELECT verifier FROM passwords WHERE person_id = $1", person.person_id)
    assert rows[0]["verifier"] != weak
    assert await house.passwords.verify(person.person_id, PASSWORD)
