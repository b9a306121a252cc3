"""The operator asked again: what each answer does to a binding, and who is not asked about at all."""

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdentifierKind, Phone
from idp.people.services.directory import KnownPerson
from idp.people.services.phone_match import Confirmation, PhoneMatches, PhoneVerdict
from idp.people.services.requester import Requester
from idp.people.stores import identifiers
from idp.platform.database import Database
from tests.sign_in.house import Authorities, House, Made
from tests.support.clocks import ManualClock

PHONE = "SELECT state, matched_at FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'"
WHO = Requester("192.0.2.77")


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


@pytest.fixture
def matches(house: House) -> PhoneMatches:
    return PhoneMatches(house.database, house.people, house.proofing, house.audit, house.clock, house.random)


async def find(house: House, person: Made) -> KnownPerson:
    known = await house.people.find_by_id(person.person_id)
    assert known is not None
    return known


@pytest.mark.parametrize(
    "register, operator, verdict, in_register, state",
    [
        (CheckResult.MATCH, CheckResult.MATCH, PhoneVerdict.KEPT, True, "active"),
        (CheckResult.MISMATCH, CheckResult.MATCH, PhoneVerdict.KEPT, True, "active"),
        (CheckResult.NOT_FOUND, CheckResult.MATCH, PhoneVerdict.KEPT, False, "active"),
        (CheckResult.MATCH, CheckResult.MISMATCH, PhoneVerdict.FROZEN, True, "frozen"),
        (CheckResult.MATCH, CheckResult.NOT_FOUND, PhoneVerdict.FROZEN, True, "frozen"),
        (CheckResult.UNAVAILABLE, CheckResult.NOT_FOUND, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.UNAVAILABLE, CheckResult.MISMATCH, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.LIMITED, CheckResult.MISMATCH, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.MISMATCH, CheckResult.MISMATCH, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.NOT_FOUND, CheckResult.NOT_FOUND, PhoneVerdict.SILENT, False, "active"),
        (CheckResult.MATCH, CheckResult.UNAVAILABLE, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.MATCH, CheckResult.LIMITED, PhoneVerdict.SILENT, True, "active"),
        (CheckResult.MATCH, CheckResult.INVALID_INPUT, PhoneVerdict.SILENT, True, "active"),
    ],
)
async def test_s52_what_each_answer_does(
    house: House,
    matches: PhoneMatches,
    register: CheckResult,
    operator: CheckResult,
    verdict: PhoneVerdict,
    in_register: bool,
    state: str,
) -> None:
    person = await house.add_person()
    house.authorities.answers = {CheckKind.IDENTITY: register, CheckKind.PHONE: operator}
    assert await matches.confirm(await find(house, person), "sign_in", WHO) == Confirmation(verdict, in_register)
    (row,) = await house.database.fetch(PHONE, person.person_id)
    assert row["state"] == state
    assert (row["matched_at"] == house.clock.now) is (verdict is PhoneVerdict.KEPT)
    assert (row["matched_at"] is None) is (state == "frozen")
    assert ("phone_frozen" in await house.audit_kinds(person.person_id)) is (state == "frozen")


@pytest.mark.parametrize("operator, verdict", [(CheckResult.NOT_FOUND, PhoneVerdict.SILENT), (CheckResult.MISMATCH, PhoneVerdict.FROZEN)])
async def test_a_mere_claim_freezes_only_what_the_operator_denies(
    house: House, matches: PhoneMatches, operator: CheckResult, verdict: PhoneVerdict
) -> None:
    person = await house.add_person()
    house.authorities.answers = {CheckKind.IDENTITY: CheckResult.MATCH, CheckKind.PHONE: operator}
    assert await matches.confirm(await find(house, person), "sign_in", WHO, claimed=True) == Confirmation(verdict)


async def test_claims_do_not_spend_the_persons_own_checks(house: House, matches: PhoneMatches) -> None:
    person = await house.add_person()
    known = await find(house, person)
    house.authorities.answers = {CheckKind.IDENTITY: CheckResult.MATCH, CheckKind.PHONE: CheckResult.NOT_FOUND}
    for _ in range(8):
        await matches.confirm(known, "sign_in", WHO, claimed=True)
    asked = len(house.authorities.asked)
    assert asked < 16, "claims have a limit of their own"
    house.authorities.answers[CheckKind.PHONE] = CheckResult.MATCH
    assert (await matches.confirm(known, "sign_in", WHO)).phone is PhoneVerdict.KEPT
    assert len(house.authorities.asked) == asked + 2


async def test_nobody_is_asked_about_who_has_no_phone_of_their_own_or_no_document(house: House, matches: PhoneMatches) -> None:
    person = await house.add_person(phone=False)
    assert (await matches.confirm(await find(house, person), "sign_in", WHO)).phone is PhoneVerdict.SILENT
    shared = KnownPerson((await find(house, person)).standing, Phone("+8613800138000"))
    assert (await matches.confirm(shared, "sign_in", WHO)).phone is PhoneVerdict.SILENT
    assert not house.authorities.asked


async def test_without_an_operator_to_ask_nothing_passes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await house.add_person()

    monkeypatch.setattr(Authorities, "kinds", frozenset())
    silent = PhoneMatches(house.database, house.people, house.proofing, house.audit, house.clock, house.random)
    assert (await silent.confirm(await find(house, person), "sign_in", WHO)).phone is PhoneVerdict.SILENT
    assert not house.authorities.asked


async def test_an_answer_about_a_number_that_was_replaced_meanwhile_changes_nothing(house: House, matches: PhoneMatches) -> None:
    person = await house.add_person()
    known = await find(house, person)
    house.authorities.answers = {CheckKind.IDENTITY: CheckResult.MATCH, CheckKind.PHONE: CheckResult.MATCH}
    await house.database.write("DELETE FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'", person.person_id)
    assert (await matches.confirm(known, "sign_in", WHO)).phone is PhoneVerdict.FROZEN
    house.authorities.answers[CheckKind.PHONE] = CheckResult.MISMATCH
    assert (await matches.confirm(known, "sign_in", WHO)).phone is PhoneVerdict.FROZEN
    assert "phone_frozen" not in await house.audit_kinds(person.person_id)


async def test_a_frozen_number_is_bound_again_when_the_operator_matches_it(house: House, matches: PhoneMatches) -> None:
    person = await house.add_person()
    house.authorities.answers = {CheckKind.IDENTITY: CheckResult.MATCH, CheckKind.PHONE: CheckResult.MISMATCH}
    await matches.confirm(await find(house, person), "sign_in", WHO)
    assert (await find(house, person)).phone is None
    indexes = house.index.index_all(IdentifierKind.PHONE.value, person.phone)
    async with house.database.transaction() as tx:
        await identifiers.renew_phone(tx, person.person_id, indexes, house.clock())
    known = await find(house, person)
    assert known.phone is not None
    assert known.standing.phone_matched_at == house.clock.now
