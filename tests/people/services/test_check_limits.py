"""What a check is counted against: once, apart for claims, given back in silence, and which wait is told when it is too many."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import DOCUMENT_KINDS, IdNumber, Phone, parse_document
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.refusals import ChecksBusy, ChecksLimited, StartsLimited
from idp.people.services.check_limits import CheckLimits, refuse_limited
from idp.people.services.proofing import Case, Proofing
from idp.people.services.requester import Requester
from idp.platform.database import Database
from idp.sources.source import Check, Outcome
from tests.sign_in.house import KEYS, House
from tests.support.clocks import ManualClock

FUND = CheckKind.HOUSING_FUND_ACCOUNT
PHONE = Phone("+8613800138000")
SPENT = "SELECT coalesce(sum(spent), 0) AS n FROM check_counts WHERE scope = $1 AND subject_hash = $2"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    made = House(database, clock)
    made.authorities.answers = {FUND: CheckResult.MISMATCH}
    return made


def build(house: House, **limits: int) -> Proofing:
    """Return the service with limits of its own."""
    parts = (house.database, house.transients, house.authorities, house.index, KEYS.mac("evidence"), house.audit, house.clock, house.random)
    return Proofing(*parts, CheckLimits(**limits))


def make_case(house: House, **changes: Any) -> Case:
    """Return a case about somebody nobody asked about before."""
    document = parse_document(DOCUMENT_KINDS[0], house.make_document(), house.clock().date())
    assert isinstance(document, IdNumber)
    return replace(Case(uuid4(), "测试", document, PHONE, "registration"), **changes)


def come_from(house: House, *, device: bytes | None = None) -> Requester:
    """Return a request from the house's own address."""
    return Requester(house.address, "test", device)


async def ask(proofing: Proofing, case: Case, who: Requester, times: int = 1) -> list[CheckResult]:
    """Ask ``times`` times, each in a case of its own about the same person, and return what was answered."""
    results = []
    for _ in range(times):
        (answer,) = await proofing.ask(replace(case, id=uuid4()), {FUND: "1234567"}, who)
        results.append(answer.result)
    return results


async def test_a_claim_without_proof_never_spends_the_persons_own_checks(house: House) -> None:
    proofing, case, who = build(house, person=3), make_case(house, phone_proven=True), come_from(house)
    spent = await ask(proofing, replace(case, scope="claim"), who, 4)
    assert spent == [CheckResult.MISMATCH] * 3 + [CheckResult.LIMITED], "claims have the same limit, counted apart"
    assert await ask(proofing, case, who, 4) == [CheckResult.MISMATCH] * 3 + [CheckResult.LIMITED]


async def test_a_claim_spends_nothing_of_an_unproven_phone_either(house: House) -> None:
    proofing, case, who = build(house), make_case(house), come_from(house)
    await ask(proofing, replace(case, scope="claim"), who, 3)
    assert await ask(proofing, case, who, 3) == [CheckResult.MISMATCH] * 2 + [CheckResult.LIMITED]


@pytest.mark.parametrize("person", [None, 50])
async def test_the_limit_of_an_unproven_phone_holds_whatever_a_person_may(house: House, person: int | None) -> None:
    proofing, case, who = build(house) if person is None else build(house, person=person), make_case(house), come_from(house)
    assert await ask(proofing, case, who, 3) == [CheckResult.MISMATCH] * 2 + [CheckResult.LIMITED]
    bound = make_case(house, phone_proven=True)
    assert await ask(proofing, bound, who, 3) == [CheckResult.MISMATCH] * 3, "the person's own number is no stranger's"


async def test_a_check_counted_before_a_crash_is_counted_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    proofing, case, who = build(house, person=2), make_case(house, phone_proven=True), come_from(house)
    whole = type(house.authorities).check

    async def crash(self: object, check: Check, timeout: float) -> Outcome:
        raise ConnectionAbortedError

    monkeypatch.setattr(type(house.authorities), "check", crash)
    for _ in range(4):
        with pytest.raises(ExceptionGroup):
            await proofing.ask(case, {FUND: "1234567"}, who)
    monkeypatch.setattr(type(house.authorities), "check", whole)
    (answer,) = await proofing.ask(case, {FUND: "1234567"}, who)
    assert answer.result is CheckResult.MISMATCH
    assert await ask(proofing, case, who, 2) == [CheckResult.MISMATCH, CheckResult.LIMITED]


async def test_silence_gives_back_what_was_counted_and_only_once(house: House) -> None:
    limits = {"person": 1, "device_day": 1, "address_hour": 1, "network_hour": 1}
    proofing, case, who = build(house, **limits), make_case(house, phone_proven=True), come_from(house, device=house.random(32))
    house.authorities.answers = {}
    assert await ask(proofing, case, who, 3) == [CheckResult.UNAVAILABLE] * 3, "silence cost none of the four limits"
    (answer,) = await proofing.ask(case, {FUND: "1234567"}, who)
    assert answer.result is CheckResult.UNAVAILABLE
    house.authorities.answers = {FUND: CheckResult.MISMATCH}
    assert await ask(proofing, case, who) == [CheckResult.MISMATCH]
    house.authorities.answers = {}
    generous = build(house, person=2)
    assert await ask(generous, case, who, 2) == [CheckResult.UNAVAILABLE] * 2
    person = house.index.index("checks_of_person", f"{case.document.kind.value}\0{case.document.value}")
    (row,) = await house.database.fetch(SPENT, "person", person)
    assert row["n"] == 1, "what others spent is not given back"


async def test_the_budget_of_a_minute_is_given_back_in_silence(house: House) -> None:
    await house.database.write("DELETE FROM transients")
    proofing, who = build(house, budget_minute=1), come_from(house)
    house.authorities.answers = {}
    assert await ask(proofing, make_case(house), who, 2) == [CheckResult.UNAVAILABLE] * 2
    house.authorities.answers = {FUND: CheckResult.MATCH}
    assert await ask(proofing, make_case(house), who, 2) == [CheckResult.MATCH, CheckResult.LIMITED]


async def test_a_full_address_or_network_is_a_wait_of_minutes_and_a_full_day_is_not(house: House) -> None:
    case, who = make_case(house), come_from(house)
    proofing = build(house, address_hour=1)
    await ask(proofing, case, who)
    house.clock.advance(600)
    answers = await proofing.ask(make_case(house), {FUND: "1234567"}, who)
    refused = refuse_limited(answers, house.clock())
    assert isinstance(refused, ChecksBusy)
    assert refused.facts["minutes"] == 50
    neighbour = replace(who, address=who.address.rsplit(".", 1)[0] + ".99")
    (near,) = await build(house, network_hour=1).ask(make_case(house), {FUND: "1234567"}, neighbour)
    assert near.until == answers[0].until
    await ask(build(house), case, come_from(house))
    answers = await build(house, unproven_phone=1).ask(replace(case, id=uuid4()), {FUND: "1234567"}, who)
    assert isinstance(refuse_limited(answers, house.clock()), ChecksLimited)


NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def limited(minutes: int | None) -> CheckAnswer:
    return CheckAnswer(FUND, CheckResult.LIMITED, NOW, None if minutes is None else NOW + timedelta(minutes=minutes))


def test_the_longest_wait_is_told() -> None:
    matched = CheckAnswer(CheckKind.PHONE, CheckResult.MATCH, NOW)
    busy = refuse_limited([matched, limited(3), limited(9)], NOW)
    assert isinstance(busy, ChecksBusy)
    assert busy.facts == {"seconds": 540, "minutes": 9, "time": "09:09"}
    assert isinstance(refuse_limited([limited(3), limited(None)], NOW), ChecksLimited)


async def test_starting_registrations_is_limited_by_address_and_device(house: House) -> None:
    proofing = build(house, starts_address_hour=3, starts_device_day=2)
    who = come_from(house, device=house.random(32))
    await proofing.admit_start(who)
    await proofing.admit_start(who)
    with pytest.raises(StartsLimited):
        await proofing.admit_start(who)
    other = come_from(house, device=house.random(32))
    await proofing.admit_start(other)  # what the device refused was not counted against the address
    house.clock.advance(1_800)
    with pytest.raises(StartsLimited) as refused:
        await proofing.admit_start(other)
    assert refused.value.facts["minutes"] == 30
    house.clock.advance(1_800)
    await proofing.admit_start(other)
    with pytest.raises(StartsLimited):
        await proofing.admit_start(who)


async def test_the_risk_service_is_asked_within_the_budget_and_nobody_passes_unasked(house: House) -> None:
    await house.database.write("DELETE FROM transients")
    proofing, case, who = build(house, budget_minute=1), make_case(house), come_from(house)
    assert await proofing.assess_risk(UUID(int=1), case.document, PHONE, who) is CheckResult.UNAVAILABLE
    house.authorities.answers = {CheckKind.REGISTRATION_RISK: CheckResult.MATCH}
    assert await proofing.assess_risk(UUID(int=2), case.document, PHONE, who) is CheckResult.MATCH
    asked = len(house.authorities.asked)
    with pytest.raises(ChecksBusy):
        await proofing.assess_risk(UUID(int=3), case.document, PHONE, who)
    assert len(house.authorities.asked) == asked
