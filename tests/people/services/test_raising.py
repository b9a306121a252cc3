"""Somebody with an account reaches level 3: what is asked, what is kept, and what a number that is somebody else's does."""

from dataclasses import replace

import pytest

from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import Identifier, IdentifierKind
from idp.people.rules.person import Status, StatusEvent
from idp.people.rules.refusals import AuthorityUnavailable, ItemIsDocument, ItemsInsufficient, ItemsTooFew, NotRaisable
from idp.people.services.raising import Raising
from tests.people.services.applicants import Registering, register
from tests.support.provider import Provider

FUND, SOCIAL, BANK, PHONE = (
    CheckKind.HOUSING_FUND_ACCOUNT,
    CheckKind.SOCIAL_SECURITY_CARD,
    CheckKind.BANK_CARD,
    CheckKind.PHONE,
)


@pytest.fixture(autouse=True)
def _all_answer(provider: Provider) -> None:
    provider.authorities.clear_faults()
    provider.clock.advance(86_400)


@pytest.fixture
def raising(provider: Provider) -> Raising:
    return provider.services.enrolment.raising


async def open_account(provider: Provider, number: int) -> Registering:
    """Register with two items of which none binds the phone: level 2."""
    somebody = register(provider, number)
    await somebody.finish(FUND, SOCIAL)
    return somebody


def person_of(somebody: Registering):
    found = somebody.draft.draft.person_id
    assert found is not None
    return found


async def test_the_operators_match_alone_raises_who_proved_two_items_before(provider: Provider, raising: Raising) -> None:
    somebody = await open_account(provider, 200)
    person = person_of(somebody)
    need = await raising.look(person)
    assert (need.ial, need.short.missing, need.earlier) == (2, 1, frozenset({FUND, SOCIAL}))
    await raising.submit_items(person, {PHONE: ""}, "zh-CN", somebody.who)
    known = await provider.services.people.find_by_id(person)
    assert known is not None
    assert known.standing.ial == 3
    assert known.standing.phone_matched_at is not None
    phone = Identifier(IdentifierKind.PHONE, somebody.apply().phone.value)
    holder = await provider.services.people.find_by_identifier(phone)
    assert holder is not None
    assert holder.standing.person_id == person, "the contact became the way to sign in"
    assert [e["person_id"] for e in await provider.read_events("level_raised")].count(person) == 1


async def test_items_without_the_phone_do_not_raise(provider: Provider, raising: Raising) -> None:
    somebody = await open_account(provider, 201)
    with pytest.raises(ItemsInsufficient) as refused:
        await raising.submit_items(person_of(somebody), {BANK: somebody.person.bank_card}, "zh-CN", somebody.who)
    assert refused.value.facts == {"missing": 1}
    known = await provider.services.people.find_by_id(person_of(somebody))
    assert known is not None
    assert known.standing.ial == 2


async def test_a_silent_operator_keeps_the_wish_and_nothing_is_retyped(provider: Provider, raising: Raising) -> None:
    somebody = await open_account(provider, 202)
    person = person_of(somebody)
    provider.authorities.set_fault(PHONE, "error_500")
    with pytest.raises(AuthorityUnavailable):
        await raising.submit_items(person, {PHONE: ""}, "zh-CN", somebody.who)
    held = (await raising.look(person)).held
    assert held is not None
    assert set(held.draft.pending) == {PHONE}
    provider.authorities.clear_faults()
    await raising.continue_items(person, somebody.who)
    known = await provider.services.people.find_by_id(person)
    assert known is not None
    assert known.standing.ial == 3
    with pytest.raises(ItemsTooFew):
        await raising.continue_items(person, somebody.who)


async def test_an_account_without_evidence_needs_two_items(provider: Provider, raising: Raising) -> None:
    seeded = await provider.add_person(ial=2)
    entry = register(provider, 203)
    register_entry = provider.authorities.registers.find("resident_id", entry.person.id_number)
    assert register_entry is not None
    provider.authorities.add_person(
        replace(register_entry, name=seeded.name, id_number=seeded.document, phone=seeded.phone.removeprefix("+86"))
    )
    assert (await raising.look(seeded.person_id)).short.missing == 2
    with pytest.raises(ItemsInsufficient):
        await raising.submit_items(seeded.person_id, {PHONE: ""}, "zh-CN", entry.who)
    await raising.submit_items(seeded.person_id, {FUND: entry.person.housing_fund_account}, "zh-CN", entry.who)
    known = await provider.services.people.find_by_id(seeded.person_id)
    assert known is not None
    assert known.standing.ial == 3


async def test_s54_and_an_account_that_may_not_act(provider: Provider, raising: Raising) -> None:
    somebody = await open_account(provider, 204)
    person = person_of(somebody)
    with pytest.raises(ItemIsDocument):
        await raising.submit_items(person, {FUND: somebody.person.id_number, PHONE: ""}, "zh-CN", somebody.who)
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.people.change_status(tx, person, Status.ACTIVE, StatusEvent.FREEZE)
    with pytest.raises(NotRaisable):
        await raising.look(person)
    with pytest.raises(NotRaisable):
        await raising.submit_items(person, {PHONE: ""}, "zh-CN", somebody.who)
