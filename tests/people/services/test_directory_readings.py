"""Whoever signs in need not say what kind of document the typed number is of. All numbers are synthetic."""

import pytest

from idp.people.rules.identifiers import IdentifierKind, IdNumber, parse_document
from idp.people.services.directory import NewPerson
from idp.platform.database import Database
from tests.sign_in.house import House
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


@pytest.mark.parametrize(
    "kind, typed",
    [
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT, "935124 19851015 0021"),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "can 3500 851015 21"),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "usa110090030713"),  # its check digit is wrong: the source decided
        (IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "h12345678"),
        (IdentifierKind.TAIWAN_TRAVEL_PERMIT, "87654321"),
        (IdentifierKind.PASSPORT, "e 8765 4321"),
        (IdentifierKind.PASSPORT, "m87654321"),
        (IdentifierKind.PASSPORT, "12345678"),
    ],
)
async def test_every_kind_of_document_is_found_as_typed(house: House, kind: IdentifierKind, typed: str) -> None:
    document = parse_document(kind, typed, house.clock().date())
    assert isinstance(document, IdNumber)
    person_id = await house.people.add_person(NewPerson("SMITH JOHN", document, None, 2))
    found = await house.people.find_by_identifier(typed)
    assert found is not None
    assert found.standing.person_id == person_id


async def test_a_permit_goes_before_a_passport_of_the_same_characters(house: House) -> None:
    passport = await house.people.add_person(NewPerson("SMITH JOHN", IdNumber(IdentifierKind.PASSPORT, "H55555555"), None, 2))
    found = await house.people.find_by_identifier("H55555555")
    assert found is not None
    assert found.standing.person_id == passport
    permit = await house.people.add_person(NewPerson("王小明", IdNumber(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "H55555555"), None, 2))
    found = await house.people.find_by_identifier("H55555555")
    assert found is not None
    assert found.standing.person_id == permit


async def test_one_travel_permit_is_one_account_with_and_without_its_count_of_issues(house: House) -> None:
    today = house.clock().date()
    longer = parse_document(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "H6655443301", today)
    assert isinstance(longer, IdNumber)
    assert longer == parse_document(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "H66554433", today)
    person_id = await house.people.add_person(NewPerson("王小明", longer, None, 2))
    for typed in ("H66554433", "h6655443301", "H6655443302"):
        found = await house.people.find_by_identifier(typed)
        assert found is not None
        assert found.standing.person_id == person_id
