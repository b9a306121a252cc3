"""The directory of people on a real database: found by blind index, sealed at rest, one identifier for one person."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from idp.kernel.transitions import IllegalTransition
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import IdentifierKind, IdNumber, Phone
from idp.people.rules.person import Status, StatusEvent
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import Profile
from idp.people.services.directory import IdentifierTaken, NewPerson, UnknownPerson
from idp.platform.database import Database
from keys import Unsealable
from tests.sign_in.house import House
from tests.support.clocks import ManualClock

NOBODY = UUID(int=1)


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def test_a_person_is_found_by_document_and_by_phone_as_typed(house: House) -> None:
    made = await house.add_person()
    document = made.document
    for text in (document, f" {document[:6]} {document[6:]} ", document.translate({0x30 + d: 0xFF10 + d for d in range(10)}), made.phone):
        found = await house.people.find_by_identifier(text)
        assert found is not None, text
        assert found.standing.person_id == made.person_id
        assert found.phone == Phone(made.phone)
    assert await house.people.find_by_identifier("440106198811155674") is None
    assert await house.people.find_by_identifier("nonsense") is None


async def test_standing_says_level_status_and_match(house: House) -> None:
    made = await house.add_person(ial=2, matched_days_ago=3)
    found = await house.people.find_by_id(made.person_id)
    assert found is not None
    assert (found.standing.ial, found.standing.status) == (2, Status.ACTIVE)
    assert found.standing.phone_matched_at == house.clock.now - timedelta(days=3)
    assert await house.people.find_by_id(NOBODY) is None


async def test_a_person_without_phone_has_none(house: House) -> None:
    made = await house.add_person(phone=False)
    found = await house.people.find_by_id(made.person_id)
    assert found is not None
    assert (found.phone, found.standing.phone_matched_at) == (None, None)


async def test_the_profile_reads_back_whole(house: House) -> None:
    made = await house.add_person()
    profile = await house.people.read_profile(made.person_id)
    assert (profile.name, profile.document, profile.phone) == (
        "王小明",
        IdNumber(IdentifierKind.RESIDENT_ID, made.document),
        Phone(made.phone),
    )
    assert profile.birthdate is not None
    assert f"{profile.birthdate:%Y%m%d}" == made.document[6:14]
    assert profile.updated_at == house.clock.now
    with pytest.raises(UnknownPerson):
        await house.people.read_profile(NOBODY)


async def test_what_a_person_says_is_sealed_and_moves_the_instant_of_the_profile(house: House) -> None:
    made = await house.add_person()
    before = await house.people.read_profile(made.person_id)
    house.clock.advance(90)
    email = EmailAddress("zhao@example.com")
    async with house.database.transaction() as tx:
        await house.people.hold(tx, made.person_id, alone=True)
        was = await house.people.change_profile(tx, made.person_id, lambda profile: replace(profile, email=email))
    assert was == before
    assert await house.people.read_profile(made.person_id) == replace(before, email=email, updated_at=house.clock.now)
    (row,) = await house.database.fetch("SELECT profile, updated_at FROM people WHERE id = $1", made.person_id)
    assert b"zhao" not in row["profile"]
    assert row["updated_at"] == house.clock.now
    async with house.database.transaction() as tx:
        with pytest.raises(UnknownPerson):
            await house.people.change_profile(tx, NOBODY, lambda profile: profile)


async def test_changes_at_once_lose_nothing(house: House) -> None:
    made = await house.add_person()
    email, address = EmailAddress("zhao@example.com"), PostalAddress("福建省", "福州市", "", "样例路1号")

    async def change(how: Callable[[Profile], Profile]) -> None:
        async with house.database.transaction() as tx:
            await house.people.hold(tx, made.person_id, alone=True)
            await house.people.change_profile(tx, made.person_id, how)

    await asyncio.gather(change(lambda p: replace(p, email=email)), change(lambda p: replace(p, address=address)))
    profile = await house.people.read_profile(made.person_id)
    assert (profile.email, profile.address) == (email, address)


@pytest.mark.parametrize("shared", ["document", "phone"])
async def test_an_identifier_belongs_to_one_person_and_nothing_is_half_added(house: House, shared: str) -> None:
    one, other = await house.add_person(), await house.add_person(phone=False)
    before = await house.database.fetch("SELECT (SELECT count(*) FROM people) AS p, (SELECT count(*) FROM audit_events) AS a")
    document = IdNumber(IdentifierKind.RESIDENT_ID, one.document) if shared == "document" else None
    with pytest.raises(IdentifierTaken):
        await house.people.add_person(NewPerson("李四", document, Phone(one.phone), 2, "verifier"))
    after = await house.database.fetch("SELECT (SELECT count(*) FROM people) AS p, (SELECT count(*) FROM audit_events) AS a")
    assert tuple(before[0]) == tuple(after[0])
    assert (await house.people.find_by_identifier(other.document)) is not None


async def test_s47_no_row_holds_a_name_number_or_phone_in_clear(house: House) -> None:
    made = await house.add_person()
    rows = await house.database.fetch(
        """
        SELECT profile AS v FROM people
        UNION ALL SELECT sealed FROM person_identifiers
        UNION ALL SELECT index_value FROM person_identifiers
        """
    )
    stored = b"\n".join(bytes(row["v"]) for row in rows)
    for clear in ("王小明", made.document, made.phone, made.phone.removeprefix("+86")):
        assert clear.encode() not in stored


async def test_a_sealed_value_moved_to_another_person_does_not_open(house: House) -> None:
    one, other = await house.add_person(), await house.add_person()
    await house.database.write(
        "UPDATE people SET profile = (SELECT profile FROM people WHERE id = $1) WHERE id = $2", one.person_id, other.person_id
    )
    with pytest.raises(Unsealable):
        await house.people.read_profile(other.person_id)


async def test_the_operators_match_is_renewed(house: House) -> None:
    made = await house.add_person(matched_days_ago=None)
    assert await house.people.refresh_phone_match(made.person_id, house.clock.now)
    found = await house.people.find_by_id(made.person_id)
    assert found is not None
    assert found.standing.phone_matched_at == house.clock.now
    assert not await house.people.refresh_phone_match(NOBODY, house.clock.now)


async def test_a_status_changes_by_the_table_only_and_once(house: House) -> None:
    made = await house.add_person()
    async with house.database.transaction() as tx:
        assert await house.people.change_status(tx, made.person_id, Status.ACTIVE, StatusEvent.BAN) is Status.BANNED
    with pytest.raises(UnknownPerson):
        async with house.database.transaction() as tx:
            await house.people.change_status(tx, made.person_id, Status.ACTIVE, StatusEvent.BAN)
    with pytest.raises(IllegalTransition):
        async with house.database.transaction() as tx:
            await house.people.change_status(tx, made.person_id, Status.BANNED, StatusEvent.ACTIVATE)
