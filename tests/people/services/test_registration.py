"""Registering, step by step, with real tables and authorities that fail on demand (S07, S11, S34, S37, S38, S50, S54)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from idp.authenticators.rules.refusals import CodeWrong, PasswordPersonal, SmsTooSoon
from idp.enrolment import build_waiting
from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import Identifier, IdentifierKind
from idp.people.rules.person import Status
from idp.people.rules.refusals import (
    AccountExists,
    AuthorityUnavailable,
    ChecksLimited,
    DraftMoved,
    IdentityMismatch,
    IdentityNotFound,
    ItemIsDocument,
    ItemsInsufficient,
    ItemsTooFew,
    PhoneFull,
    RegistrationRefused,
    StillChecking,
)
from idp.people.rules.registration import LIFE, Step
from idp.people.services.requester import Requester
from tests.people.services.applicants import PASSWORD, Registering, register
from tests.support.provider import Provider

BANK, FUND, SOCIAL = CheckKind.BANK_CARD, CheckKind.HOUSING_FUND_ACCOUNT, CheckKind.SOCIAL_SECURITY_CARD


@pytest.fixture(autouse=True)
def _all_answer(provider: Provider) -> None:
    provider.authorities.clear_faults()
    provider.clock.advance(3600)


async def count(provider: Provider, statement: str, *arguments: object) -> int:
    (row,) = await provider.services.platform.database.fetch(statement, *arguments)
    found: int = row["n"]
    return found


async def find(provider: Provider, somebody: Registering):
    document = somebody.apply().document
    return await provider.services.people.find_by_identifier(Identifier(document.kind, document.value))


async def test_a_registration_ends_in_an_account_that_may_sign_in(provider: Provider) -> None:
    somebody = register(provider, 10)
    done = await somebody.finish()
    assert done.step is Step.DONE
    known = await find(provider, somebody)
    assert known is not None
    assert (known.standing.status, known.standing.ial) == (Status.ACTIVE, 3)
    assert known.standing.person_id == done.draft.person_id
    assert known.standing.phone_matched_at is not None
    assert await provider.services.passwords.verify(known.standing.person_id, PASSWORD)
    by_phone = await provider.services.people.find_by_identifier(Identifier(IdentifierKind.PHONE, somebody.apply().phone.value))
    assert by_phone is not None
    assert by_phone.standing.person_id == known.standing.person_id
    evidence = "SELECT count(*) AS n FROM proofing_evidence WHERE person_id = $1 AND result = 'match'"
    assert await count(provider, evidence, known.standing.person_id) == 3
    agreed = "SELECT count(*) AS n FROM agreements WHERE person_id = $1 AND version = '1'"
    assert await count(provider, agreed, known.standing.person_id) == 1


async def test_without_an_item_that_binds_the_phone_it_stays_a_contact_and_the_level_two(provider: Provider) -> None:
    somebody = register(provider, 11)
    await somebody.finish(SOCIAL, BANK)
    known = await find(provider, somebody)
    assert known is not None
    assert known.standing.ial == 2
    phone = Identifier(IdentifierKind.PHONE, somebody.apply().phone.value)
    assert await provider.services.people.find_by_identifier(phone) is None, "a contact is no way to sign in"
    contacts = "SELECT count(*) AS n FROM person_contacts WHERE person_id = $1 AND state = 'contact'"
    assert await count(provider, contacts, known.standing.person_id) == 1


async def test_nothing_can_be_skipped(provider: Provider) -> None:
    somebody = register(provider, 12)
    held = await somebody.start()
    registration = somebody.registration
    for attempt in (
        registration.submit_items(held, {BANK: somebody.person.bank_card, CheckKind.PHONE: ""}, somebody.who),
        registration.set_password(held, PASSWORD, somebody.who),
        registration.accept(held, "zh-CN", somebody.who),
        registration.check_identity(held, somebody.who),
    ):
        with pytest.raises(DraftMoved):
            await attempt
    assert provider.authorities.count_calls(CheckKind.IDENTITY) == len(
        {c.request_id for c in provider.authorities.calls if c.kind == "identity"}
    )


async def test_a_wrong_code_asks_nobody_and_a_second_code_comes_after_a_minute(provider: Provider) -> None:
    somebody = register(provider, 13)
    await somebody.start()
    before = provider.authorities.count_calls(CheckKind.IDENTITY)
    code = await somebody.read_code()
    with pytest.raises(CodeWrong):
        await somebody.registration.submit_code(somebody.draft, "000000" if code != "000000" else "111111", somebody.who)
    assert provider.authorities.count_calls(CheckKind.IDENTITY) == before
    with pytest.raises(SmsTooSoon):
        await somebody.registration.resend(await somebody.again(), somebody.who)
    provider.clock.advance(61)
    await somebody.registration.resend(await somebody.again(), somebody.who)
    await somebody.again()
    assert (await somebody.prove_phone()).step is Step.ITEMS


async def test_s34_one_further_item_is_refused_before_anybody_is_asked(provider: Provider) -> None:
    somebody = register(provider, 14)
    await somebody.start()
    await somebody.prove_phone()
    before = len(provider.authorities.calls)
    with pytest.raises(ItemsTooFew):
        await somebody.offer(BANK)
    assert len(provider.authorities.calls) == before
    assert (await somebody.offer(BANK, FUND)).step is Step.PASSWORD


async def test_which_item_did_not_match_is_not_told_and_what_matched_is_kept(provider: Provider) -> None:
    somebody = register(provider, 15)
    await somebody.start()
    await somebody.prove_phone()
    with pytest.raises(ItemsInsufficient) as refused:
        await somebody.offer(BANK, FUND, bank_card=register(provider, 99).person.bank_card)
    assert refused.value.facts == {"missing": 1}
    assert (await somebody.again()).draft.pending == {}
    before = provider.authorities.count_calls(FUND)
    assert (await somebody.offer(SOCIAL)).step is Step.PASSWORD, "one more is enough"
    assert provider.authorities.count_calls(FUND) == before


async def test_s54_the_document_number_is_no_item(provider: Provider) -> None:
    somebody = register(provider, 16)
    await somebody.start()
    await somebody.prove_phone()
    before = len(provider.authorities.calls)
    with pytest.raises(ItemIsDocument) as refused:
        await somebody.offer(SOCIAL, FUND, housing_fund_account=somebody.person.id_number)
    assert refused.value.facts == {"field": "housing_fund_account"}
    assert len(provider.authorities.calls) == before


async def test_the_register_disagrees_and_the_corrected_name_needs_no_second_code(provider: Provider) -> None:
    somebody = register(provider, 17)
    await somebody.start("测试错名")
    with pytest.raises(IdentityMismatch):
        await somebody.prove_phone()
    assert (await somebody.again()).step is Step.IDENTITY
    corrected = await somebody.start()
    assert corrected.step is Step.CHECK
    assert (await somebody.registration.check_identity(corrected, somebody.who)).step is Step.ITEMS


@pytest.mark.parametrize("number", [9_900, 9_910])
async def test_the_dead_and_the_unknown_are_not_found(provider: Provider, number: int) -> None:
    somebody = register(provider, number)
    await somebody.start()
    with pytest.raises(IdentityNotFound):
        await somebody.prove_phone()


async def test_s11_an_account_is_only_told_after_the_register_and_the_code(provider: Provider) -> None:
    first = register(provider, 18)
    await first.finish()
    second = register(provider, 18, phone="13800999018")
    before = len(provider.authorities.calls)
    started = await second.start()
    assert started.step is Step.CODE, "the first form says nothing"
    assert provider.authorities.count_calls(CheckKind.IDENTITY) == provider.authorities.count_calls(CheckKind.IDENTITY)
    with pytest.raises(AccountExists):
        await second.prove_phone()
    assert len(provider.authorities.calls) > before
    assert await second.registration.find(second.cookie) is None, "nothing is left to go on with"
    impostor = register(provider, 18, phone="13800999019")
    await impostor.start("测试错名")
    with pytest.raises(IdentityMismatch):
        await impostor.prove_phone()


async def test_s37_a_silent_authority_keeps_the_step_and_nothing_is_retyped(provider: Provider) -> None:
    somebody = register(provider, 19)
    await somebody.start()
    await somebody.prove_phone()
    provider.authorities.set_fault(BANK, "unavailable")
    with pytest.raises(AuthorityUnavailable) as refused:
        await somebody.offer(FUND, BANK)
    assert refused.value.facts == {"kinds": "bank_card"}
    held = await somebody.again()
    assert held.step is Step.ITEMS
    assert held.draft.pending == {BANK: somebody.person.bank_card}
    provider.clock.advance(5 * 3600)
    waiting = await make_waiting(provider).tell_resumed()
    assert waiting == 0, "it is still silent"
    provider.authorities.clear_faults()
    assert await make_waiting(provider).tell_resumed() == 1
    assert await make_waiting(provider).tell_resumed() == 0, "told once"
    asked = provider.authorities.count_calls(FUND)
    assert (await somebody.again()).step is Step.CODE, "hours later the phone is proved again; nothing else is typed again"
    somebody.held = await somebody.registration.send_code(somebody.draft, somebody.who)
    await somebody.prove_phone()
    held = await somebody.registration.continue_items(await somebody.again(), somebody.who)
    assert held.step is Step.PASSWORD
    assert provider.authorities.count_calls(FUND) == asked, "what matched is not asked again"


async def test_s37_another_item_leads_on_as_well(provider: Provider) -> None:
    somebody = register(provider, 20)
    await somebody.start()
    await somebody.prove_phone()
    provider.authorities.set_fault(BANK, "error_500")
    with pytest.raises(AuthorityUnavailable):
        await somebody.offer(FUND, BANK)
    assert (await somebody.offer(SOCIAL)).step is Step.PASSWORD


async def test_a_silent_register_keeps_the_proved_phone(provider: Provider) -> None:
    somebody = register(provider, 21)
    await somebody.start()
    provider.authorities.set_fault(CheckKind.IDENTITY, "unavailable")
    with pytest.raises(AuthorityUnavailable):
        await somebody.prove_phone()
    assert (await somebody.again()).step is Step.CHECK
    provider.authorities.clear_faults()
    assert (await somebody.registration.check_identity(await somebody.again(), somebody.who)).step is Step.ITEMS


async def test_silence_costs_nobody_a_check_and_wrong_answers_do(provider: Provider) -> None:
    somebody = register(provider, 22)
    await somebody.start()
    await somebody.prove_phone()
    provider.authorities.set_fault(BANK, "unavailable")
    for _ in range(6):
        with pytest.raises(AuthorityUnavailable):
            await somebody.offer(FUND, BANK) if BANK not in (
                await somebody.again()
            ).draft.pending else await somebody.registration.continue_items(await somebody.again(), somebody.who)
    provider.authorities.clear_faults()
    assert (await somebody.registration.continue_items(await somebody.again(), somebody.who)).step is Step.PASSWORD


async def test_an_unproven_phone_spends_two_checks_of_a_kind_and_the_victims_own_stay(provider: Provider) -> None:
    attacker = register(provider, 23, phone="13800999023")
    await attacker.start()
    await attacker.prove_phone()
    wrong = register(provider, 98).person.social_security_card
    for _ in range(2):
        with pytest.raises(ItemsInsufficient):
            await attacker.offer(SOCIAL, FUND, social_security_card=wrong, housing_fund_account="99999999")
    asked = provider.authorities.count_calls(SOCIAL)
    with pytest.raises(ChecksLimited):
        await attacker.offer(SOCIAL, FUND, social_security_card=wrong, housing_fund_account="99999999")
    assert provider.authorities.count_calls(SOCIAL) == asked
    victim = register(provider, 23)
    await victim.finish()
    assert await find(provider, victim) is not None


async def test_s38_of_many_simultaneous_registrations_one_becomes_an_account(provider: Provider) -> None:
    somebody = [register(provider, 24, phone=phone) for phone in ("", "13800999024", "13800999124")]
    for one in somebody:
        await one.reach_agreement(FUND, SOCIAL)
    results = await asyncio.gather(
        *(one.registration.accept(one.draft, "zh-CN", one.who) for one in somebody for _ in range(3)), return_exceptions=True
    )
    people = {r.draft.person_id for r in results if not isinstance(r, BaseException)}
    assert len(people) == 1
    refused = [r for r in results if isinstance(r, BaseException)]
    assert all(isinstance(r, AccountExists | DraftMoved) for r in refused)
    assert sum(isinstance(r, AccountExists) for r in refused) >= 2
    document = somebody[0].apply().document
    held = "SELECT count(*) AS n FROM person_identifiers WHERE kind = $1 AND person_id = ANY($2::uuid[])"
    assert await count(provider, held, document.kind.value, list(people)) == 1
    registered = await provider.read_events("person_registered")
    assert [e["person_id"] for e in registered].count(people.pop()) == 1


async def test_the_same_form_sent_twice_opens_one_account_and_both_go_on(provider: Provider) -> None:
    somebody = register(provider, 25)
    held = await somebody.reach_agreement()
    first = await somebody.registration.accept(held, "zh-CN", somebody.who)
    second = await somebody.registration.accept(held, "zh-CN", somebody.who)
    assert first.draft.person_id == second.draft.person_id


async def test_two_submissions_at_once_ask_the_authorities_once(provider: Provider) -> None:
    somebody = register(provider, 26)
    await somebody.start()
    await somebody.prove_phone()
    held = await somebody.again()
    values = {FUND: somebody.person.housing_fund_account, SOCIAL: somebody.person.social_security_card}
    before = len(provider.authorities.calls)
    results = await asyncio.gather(
        *(somebody.registration.submit_items(held, values, somebody.who) for _ in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(r, BaseException) for r in results) == 1
    assert all(isinstance(r, DraftMoved) for r in results if isinstance(r, BaseException))
    assert len(provider.authorities.calls) == before + 2


async def test_s50_a_crash_while_asking_loses_nothing(provider: Provider) -> None:
    somebody = register(provider, 27)
    await somebody.start()
    await somebody.prove_phone()
    provider.authorities.set_fault(FUND, "silent")
    values = {FUND: somebody.person.housing_fund_account, SOCIAL: somebody.person.social_security_card}
    task = asyncio.create_task(somebody.registration.submit_items(await somebody.again(), values, somebody.who))
    while not (held := await somebody.again()).checking:  # noqa: ASYNC110 - what is waited for is a row
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(StillChecking):
        await somebody.registration.continue_items(held, somebody.who)
    provider.authorities.clear_faults()
    provider.clock.advance(30)
    held = await somebody.again()
    assert (held.checking, held.step) == (False, Step.ITEMS)
    assert set(held.draft.pending) == {FUND, SOCIAL}
    assert (await somebody.registration.continue_items(held, somebody.who)).step is Step.PASSWORD
    spent = "SELECT max(spent) AS n FROM check_counts WHERE scope = 'person' AND kind = 'housing_fund_account'"
    assert await count(provider, spent) <= 5


async def test_s07_a_silent_risk_service_lets_people_register(provider: Provider) -> None:
    provider.authorities.set_fault(CheckKind.REGISTRATION_RISK, "error_500")
    somebody = register(provider, 28)
    await somebody.finish()
    assert await find(provider, somebody) is not None
    made = [e["details"] for e in await provider.read_events("check_made") if "registration_risk" in e["details"]]
    assert any('"unavailable"' in details for details in made), "and it is written down"


async def test_s07_a_high_risk_is_refused_also_after_back_and_while_the_service_is_silent(provider: Provider) -> None:
    somebody = register(provider, 9_950)
    with pytest.raises(RegistrationRefused):
        await somebody.start()
    provider.authorities.set_fault(CheckKind.REGISTRATION_RISK, "error_500")
    with pytest.raises(RegistrationRefused):
        await somebody.start()
    other_phone = replace(somebody, phone="13800999050")
    with pytest.raises(RegistrationRefused):
        await other_phone.start()
    provider.authorities.clear_faults()
    elsewhere = register(provider, 52, phone=somebody.person.phone)
    entry = provider.authorities.registers.find("resident_id", somebody.person.id_number)
    assert entry is not None
    provider.authorities.add_person(replace(entry, risky=False))
    await elsewhere.start()
    assert elsewhere.draft.step is Step.CODE, "what was said of somebody's browser does not lock a phone out"
    assert await provider.read_events("registration_refused")


async def test_a_newcomer_whom_the_operator_confirms_takes_the_number(provider: Provider) -> None:
    before = register(provider, 29)
    await before.finish()
    loser = await find(provider, before)
    assert loser is not None
    provider.clock.advance(3600)
    newcomer = register(provider, 30, phone=before.person.phone)
    entry = provider.authorities.registers.find("resident_id", newcomer.person.id_number)
    assert entry is not None
    provider.authorities.add_person(replace(entry, phone=before.person.phone))
    await newcomer.finish()
    phone = Identifier(IdentifierKind.PHONE, before.apply().phone.value)
    holder = await provider.services.people.find_by_identifier(phone)
    winner = await find(provider, newcomer)
    assert holder is not None
    assert winner is not None
    assert holder.standing.person_id == winner.standing.person_id
    kept = "SELECT count(*) AS n FROM person_contacts WHERE person_id = $1 AND state = 'to_be_renewed'"
    assert await count(provider, kept, loser.standing.person_id) == 1
    assert await provider.read_events("phone_taken_over")


async def test_s53_one_number_serves_its_owner_and_three_more(provider: Provider) -> None:
    shared = register(provider, 31).person.phone
    await register(provider, 31).finish()
    for number in (32, 33, 34):
        provider.clock.advance(86_400)
        await register(provider, number, phone=shared).finish(FUND, SOCIAL)
    provider.clock.advance(86_400)
    with pytest.raises(PhoneFull):
        await register(provider, 35, phone=shared).finish(FUND, SOCIAL)


async def test_another_browser_inherits_nothing(provider: Provider) -> None:
    first = register(provider, 36)
    await first.start()
    await first.prove_phone()
    await first.offer(FUND, SOCIAL)
    provider.clock.advance(7200)
    second = register(provider, 36)
    await second.start()
    assert (await second.prove_phone()).step is Step.ITEMS, "no answer of another case counts"


async def test_after_a_pause_the_phone_is_proved_again_and_the_password_chosen_again(provider: Provider) -> None:
    somebody = register(provider, 44)
    await somebody.reach_agreement(FUND, SOCIAL)
    provider.clock.advance(29 * 60)
    assert (await somebody.again()).step is Step.AGREEMENT
    provider.clock.advance(61)
    assert (await somebody.again()).step is Step.CODE
    with pytest.raises(DraftMoved):
        await somebody.registration.accept(somebody.draft, "zh-CN", somebody.who)
    somebody.held = await somebody.registration.send_code(somebody.draft, somebody.who)
    held = await somebody.prove_phone()
    assert held.step is Step.PASSWORD, "what the authorities said is kept"


async def test_another_visit_proves_the_phone_again_and_still_waits_for_the_authority(provider: Provider) -> None:
    somebody = register(provider, 45)
    await somebody.start()
    provider.authorities.set_fault(CheckKind.IDENTITY, "unavailable")
    with pytest.raises(AuthorityUnavailable):
        await somebody.prove_phone()
    held = await somebody.registration.renew_origin(await somebody.again(), "other", "origin", anew=True)
    assert held.step is Step.CODE
    provider.authorities.clear_faults()
    assert await make_waiting(provider).tell_resumed() == 1
    lost = register(provider, 46)
    await lost.start()
    await lost.prove_phone()
    assert (await lost.registration.renew_origin(await lost.again(), "other", "origin", anew=False)).step is Step.ITEMS


async def test_of_two_silent_authorities_the_last_one_back_is_told(provider: Provider) -> None:
    somebody = register(provider, 47)
    await somebody.start()
    await somebody.prove_phone()
    provider.authorities.set_fault(BANK, "unavailable")
    provider.authorities.set_fault(SOCIAL, "unavailable")
    with pytest.raises(AuthorityUnavailable):
        await somebody.offer(BANK, SOCIAL)
    provider.authorities.set_fault(SOCIAL)
    assert await make_waiting(provider).tell_resumed() == 0
    provider.authorities.clear_faults()
    assert await make_waiting(provider).tell_resumed() == 1


async def test_what_was_asked_about_somebody_else_is_no_evidence_of_the_account(provider: Provider) -> None:
    known, own = register(provider, 48), register(provider, 49)
    await known.start()
    await known.prove_phone()
    await known.offer(FUND, SOCIAL)
    known.person = replace(own.person, phone=known.person.phone)
    held = await known.start()
    assert held.step is Step.CHECK, "the phone is proved, nothing else is"
    known.held = await known.registration.check_identity(held, known.who)
    await known.offer(BANK, CheckKind.DRIVER_LICENSE_FILE_NUMBER)
    known.held = await known.registration.set_password(known.draft, PASSWORD, known.who)
    done = await known.registration.accept(known.draft, "zh-CN", known.who)
    rows = await provider.services.platform.database.fetch("SELECT kind FROM proofing_evidence WHERE person_id = $1", done.draft.person_id)
    assert {row["kind"] for row in rows} == {"identity", "bank_card", "driver_license_file_number"}


async def test_a_changed_phone_keeps_what_does_not_depend_on_it(provider: Provider) -> None:
    somebody = register(provider, 51)
    await somebody.start()
    await somebody.prove_phone()
    await somebody.offer(FUND, SOCIAL)
    asked = provider.authorities.count_calls(CheckKind.IDENTITY)
    somebody.phone = "13800999051"
    assert (await somebody.start()).step is Step.CODE
    assert (await somebody.prove_phone()).step is Step.PASSWORD
    assert provider.authorities.count_calls(CheckKind.IDENTITY) == asked


async def test_a_registration_ends_after_72_hours_with_an_audit_row(provider: Provider) -> None:
    somebody = register(provider, 37)
    await somebody.start()
    provider.clock.advance((LIFE + timedelta(seconds=1)).total_seconds())
    assert await somebody.registration.find(somebody.cookie) is None
    assert await make_waiting(provider).drop_expired() >= 1
    assert any(str(somebody.draft.draft.id) in e["details"] for e in await provider.read_events("registration_expired"))


async def test_a_password_of_ones_own_number_is_refused_and_nothing_is_lost(provider: Provider) -> None:
    somebody = register(provider, 38)
    await somebody.start()
    await somebody.prove_phone()
    await somebody.offer(FUND, SOCIAL)
    with pytest.raises(PasswordPersonal):
        await somebody.registration.set_password(somebody.draft, somebody.person.id_number, somebody.who)
    assert (await somebody.again()).step is Step.PASSWORD


async def test_nobody_reads_a_registration_without_its_cookie(provider: Provider) -> None:
    somebody = register(provider, 39)
    await somebody.start()
    assert somebody.cookie is not None
    for cookie in (None, "", "x" * 43, somebody.cookie[:-1], somebody.cookie + "A", "é" * 20, "x" * 5000):
        assert await somebody.registration.find(cookie) is None


async def test_no_table_holds_a_name_or_number_in_clear(provider: Provider) -> None:
    somebody = register(provider, 40)
    await somebody.reach_agreement()
    for table in ("registration_drafts", "proofing_evidence", "check_counts", "audit_events"):
        rows = await provider.services.platform.database.fetch(f"SELECT t::text AS line FROM {table} t")
        text = "\n".join(row["line"] for row in rows)
        for secret in (somebody.person.name, somebody.person.id_number, somebody.person.phone, somebody.person.social_security_card):
            assert secret not in text, table
            assert secret.encode().hex() not in text, table


async def test_every_answer_is_audited_and_keeps_its_evidence(provider: Provider) -> None:
    somebody = Registering(provider, register(provider, 41).person, who=Requester("192.0.2.77", "browser", None, "request-41", "land"))
    await somebody.reach_agreement()
    case = str(somebody.draft.draft.case)
    made = [e for e in await provider.read_events("check_made") if case in e["details"]]
    assert len(made) == 4, "risk, register and two items"
    assert {e["client_id"] for e in made} == {"land"}
    rows = await provider.services.platform.database.fetch(
        "SELECT kind, result, source, source_reference, input_mac FROM proofing_evidence WHERE case_id = $1", somebody.draft.draft.case
    )
    assert {(r["kind"], r["result"]) for r in rows} == {
        (kind, CheckResult.MATCH.value) for kind in ("identity", "phone", "social_security_card", "registration_risk")
    }
    assert all(r["source"] and r["source_reference"] and len(r["input_mac"]) == 32 for r in rows)


def make_waiting(provider: Provider):
    return build_waiting(provider.services.platform)


async def test_somebody_elses_passport_of_the_same_characters_is_no_account_of_ours(provider: Provider) -> None:
    holder, newcomer = register(provider, 42), register(provider, 43)
    for somebody, kind in ((holder, "passport"), (newcomer, "hk_macao_travel_permit")):
        entry = provider.authorities.registers.find("resident_id", somebody.person.id_number)
        assert entry is not None
        somebody.person = replace(somebody.person, document_kind=kind, id_number="H12345678")
        provider.authorities.add_person(replace(entry, document_kind=kind, id_number="H12345678"))
    await holder.finish()
    done = await newcomer.finish()
    assert done.draft.person_id != holder.draft.draft.person_id
