"""The simulated authorities answer by the registers, once for each question, and only who signed in time."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from idp.demo.authorities import FIRST_PECULIAR, PECULIAR, make_entry
from idp.demo.population import SIZE, make_person
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Random
from idp.sources.directory import Sources, open_sources
from idp.sources.http import Authority
from idp.sources.signatures import PartnerKey
from idp.sources.simulated_register import AUTHORITIES
from idp.sources.source import Check
from tests.support.authorities import ADDRESS, APP_KEY, SECRET, Authorities, simulate_authorities
from tests.support.clocks import ManualClock

KEY = PartnerKey(APP_KEY, SECRET)
ITEMS = tuple(kind for kind in CheckKind if kind not in (CheckKind.IDENTITY, CheckKind.REAL_PERSON, CheckKind.REGISTRATION_RISK))


@pytest.fixture
def authorities(clock: ManualClock) -> Authorities:
    return simulate_authorities(clock)


@pytest.fixture
async def sources(authorities: Authorities, clock: ManualClock, random: Random) -> AsyncIterator[Sources]:
    known = [Authority(name, kinds, f"{ADDRESS}/{name}", KEY) for name, kinds in AUTHORITIES.items()]
    opened = open_sources(known, clock=clock, random=random, transport=authorities.transport)
    yield opened
    await opened.close()


def ask(kind: CheckKind, number: int = 7, request_id: str = "", **changes: str) -> Check:
    person = make_person(number)
    subject = {"name": person.name, "document_kind": person.document_kind, "id_number": person.id_number}
    if kind in ITEMS:
        subject[kind.value] = getattr(person, kind.value)
    if kind is CheckKind.REGISTRATION_RISK:
        subject = {"phone": f"+86{person.phone}", "document_kind": "resident_id", "address": "198.51.100.1", "device": ""}
    return Check(
        request_id or hashlib.sha256(f"{kind} {number} {sorted(changes.items())}".encode()).hexdigest(),
        kind,
        {**subject, **changes},
        "registration",
    )


def ask_about(kind: CheckKind, value: str) -> Check:
    changes: dict[str, Any] = {kind.value: value}
    return ask(kind, **changes)


async def find_result(sources: Sources, check: Check) -> CheckResult:
    return (await sources.check(check, 3)).result


@pytest.mark.parametrize("kind", [CheckKind.IDENTITY, *ITEMS, CheckKind.REGISTRATION_RISK])
async def test_what_is_right_matches(sources: Sources, kind: CheckKind) -> None:
    outcome = await sources.check(ask(kind), 3)
    assert outcome.result is CheckResult.MATCH
    assert outcome.source == next(name for name, kinds in AUTHORITIES.items() if kind in kinds)
    assert outcome.reference.startswith("SIM-")
    assert len(outcome.signature) == 64
    assert outcome.charged is True
    assert outcome.as_of is not None
    assert await sources.probe(kind)


@pytest.mark.parametrize("kind", ITEMS)
async def test_what_is_wrong_does_not(sources: Sources, kind: CheckKind) -> None:
    other = make_person(8)
    assert await find_result(sources, ask_about(kind, getattr(other, kind.value))) is CheckResult.MISMATCH
    assert await find_result(sources, ask(kind, name=other.name + "某")) is CheckResult.MISMATCH
    assert await find_result(sources, ask(kind, id_number="350102199003074519")) is CheckResult.NOT_FOUND
    assert await find_result(sources, ask(kind, document_kind="passport")) is CheckResult.NOT_FOUND
    assert await find_result(sources, ask_about(kind, "")) is CheckResult.INVALID_INPUT
    assert await find_result(sources, ask(kind, surplus="x")) is CheckResult.INVALID_INPUT


async def test_a_bank_phone_makes_it_four_factors(sources: Sources) -> None:
    kind, person = CheckKind.BANK_CARD, make_person(7)
    assert await find_result(sources, ask(kind, bank_phone=f"+86{person.bank_phone}")) is CheckResult.MATCH
    assert await find_result(sources, ask(kind, bank_phone="+8613800138000")) is CheckResult.MISMATCH


async def test_a_ticket_of_the_camera_serves_once(sources: Sources, authorities: Authorities, clock: ManualClock) -> None:
    kind, ticket = CheckKind.REAL_PERSON, authorities.make_ticket()
    assert await find_result(sources, ask(kind, 7, "first-use-of-it", ticket=ticket)) is CheckResult.MATCH
    assert await find_result(sources, ask(kind, 7, "first-use-of-it", ticket=ticket)) is CheckResult.MATCH, "the same question"
    assert await find_result(sources, ask(kind, 7, "second-use-of-it", ticket=ticket)) is CheckResult.INVALID_INPUT
    assert await find_result(sources, ask(kind, ticket=authorities.make_ticket("other"))) is CheckResult.MISMATCH
    assert await find_result(sources, ask(kind, ticket="0" * 32)) is CheckResult.INVALID_INPUT
    late = authorities.make_ticket()
    clock.advance(300)
    assert await find_result(sources, ask(kind, ticket=late)) is CheckResult.INVALID_INPUT


PECULIAR_ANSWERS = {
    9_900: dict.fromkeys((CheckKind.IDENTITY, *ITEMS), CheckResult.NOT_FOUND),
    9_910: dict.fromkeys((CheckKind.IDENTITY, *ITEMS), CheckResult.NOT_FOUND),
    9_930: {CheckKind.PHONE: CheckResult.NOT_FOUND},
    9_950: {CheckKind.REGISTRATION_RISK: CheckResult.MISMATCH},
    9_970: {CheckKind.HOUSING_FUND_ACCOUNT: CheckResult.UNAVAILABLE},
    9_980: {CheckKind.DRIVER_LICENSE_FILE_NUMBER: CheckResult.NOT_FOUND},
    9_990: {CheckKind.BANK_CARD: CheckResult.LIMITED},
}


@pytest.mark.parametrize("number", PECULIAR_ANSWERS)
async def test_peculiar_people_are_what_the_table_says(sources: Sources, number: int) -> None:
    for kind in (CheckKind.IDENTITY, *ITEMS, CheckKind.REGISTRATION_RISK):
        wanted = PECULIAR_ANSWERS[number].get(kind, CheckResult.MATCH)
        assert await find_result(sources, ask(kind, number)) is wanted, kind


async def test_peculiar_faces_and_silent_banks(sources: Sources, authorities: Authorities) -> None:
    ticket = authorities.make_ticket()
    assert await find_result(sources, ask(CheckKind.REAL_PERSON, 9_960, ticket=ticket)) is CheckResult.MISMATCH
    silent = await sources.check(ask(CheckKind.BANK_CARD, 9_920), 0.05)
    assert (silent.result, silent.reason) == (CheckResult.UNAVAILABLE, "timeout")
    slow = await sources.check(ask(CheckKind.SOCIAL_SECURITY_CARD, 9_940), 0.05)
    assert (slow.result, slow.reason) == (CheckResult.UNAVAILABLE, "timeout")


def test_the_peculiar_stand_at_the_end_and_do_not_overlap() -> None:
    numbers = [number for each in PECULIAR for number in each]
    assert sorted(numbers) == list(range(FIRST_PECULIAR, SIZE))


@pytest.mark.parametrize("number", [9_800, 9_820, 9_840, 9_860, 9_870, 9_880])
async def test_every_kind_of_document_is_known(sources: Sources, number: int) -> None:
    person = make_person(number)
    known = {"name": person.name.title(), "document_kind": person.document_kind}
    assert await find_result(sources, ask(CheckKind.IDENTITY, number, **known)) is CheckResult.MATCH
    assert await find_result(sources, ask(CheckKind.IDENTITY, number, document_kind="resident_id")) is CheckResult.NOT_FOUND


async def test_added_people_are_known(sources: Sources, authorities: Authorities) -> None:
    authorities.add_person(replace(make_entry(make_person(7)), document_kind="passport", id_number="E12345678", risky=True))
    assert await find_result(sources, ask(CheckKind.IDENTITY, document_kind="passport", id_number="E12345678")) is CheckResult.MATCH
    assert await find_result(sources, ask(CheckKind.REGISTRATION_RISK)) is CheckResult.MISMATCH


async def test_the_same_question_has_the_recorded_answer(sources: Sources, authorities: Authorities, clock: ManualClock) -> None:
    first = await sources.check(ask(CheckKind.IDENTITY, 7, "question-1"), 3)
    clock.advance(60)
    again = await sources.check(ask(CheckKind.IDENTITY, 7, "question-1"), 3)
    assert (again.result, again.reference, again.as_of) == (first.result, first.reference, first.as_of)
    assert again.signature != first.signature, "signed for this exchange"
    other = await sources.check(ask(CheckKind.IDENTITY, 8, "question-1"), 3)
    assert (other.result, other.reason) == (CheckResult.UNAVAILABLE, "status_409")
    assert authorities.count_calls("identity") == 3


async def test_faults_end_after_their_times(sources: Sources, authorities: Authorities) -> None:
    authorities.set_fault("identity", "limit", times=2)
    results = [await find_result(sources, ask(CheckKind.IDENTITY, 7, f"question-{n}")) for n in range(3)]
    assert results == [CheckResult.LIMITED, CheckResult.LIMITED, CheckResult.MATCH]
    authorities.set_fault("*", "limit")
    assert await find_result(sources, ask(CheckKind.PHONE)) is CheckResult.LIMITED
    authorities.clear_faults()
    assert await find_result(sources, ask(CheckKind.PHONE, 7, "question-9")) is CheckResult.MATCH


def sign(clock: ManualClock, nonce: str, key: PartnerKey = KEY, body: bytes = b"{}", path: str = "/operators/checks") -> dict[str, str]:
    return {**key.sign_request("POST", path, body, clock(), nonce), "content-type": "application/json"}


async def test_unsigned_late_and_repeated_requests_are_refused(authorities: Authorities, clock: ManualClock) -> None:
    async with httpx2.AsyncClient(transport=authorities.transport, base_url=ADDRESS) as client:
        good, path = sign(clock, "n" * 16), "/operators/checks"
        assert (await client.post(path, content=b"{}", headers=good)).status_code == 400, "signed, and no question"
        for headers, error in (
            (good, "nonce"),
            ({}, "app_key"),
            (sign(clock, "o" * 16, PartnerKey("stranger", b"s" * 32)), "app_key"),
            (sign(clock, "o" * 16, PartnerKey(APP_KEY, b"s" * 32)), "signature"),
            (sign(ManualClock(clock.now.replace(hour=2)), "o" * 16), "clock"),
            (sign(clock, "o" * 16, path="/risk/checks"), "signature"),
            (sign(clock, "o" * 16, body=b"{} "), "signature"),
        ):
            refused = await client.post(path, content=b"{}", headers=headers)
            assert (refused.status_code, refused.json()) == (401, {"error": error})
        assert (await client.post(path, content=b"x" * 9_000, headers=good)).status_code == 413
    assert not authorities.calls


async def test_another_authoritys_question_is_refused(clock: ManualClock, random: Random, authorities: Authorities) -> None:
    wrong = [Authority("risk", frozenset({CheckKind.IDENTITY}), f"{ADDRESS}/risk", KEY)]
    opened = open_sources(wrong, clock=clock, random=random, transport=authorities.transport)
    assert (await opened.check(ask(CheckKind.IDENTITY), 3)).reason == "status_404"
    assert not await opened.probe(CheckKind.IDENTITY)
    await opened.close()


async def test_it_answers_on_loopback_only(authorities: Authorities) -> None:
    transport = authorities.transport
    async with httpx2.AsyncClient(transport=transport, base_url="http://192.0.2.1:8010") as elsewhere:
        for path in ("/faults", "/face?return_to=http://127.0.0.1/", "/risk/status/registration_risk"):
            assert (await elsewhere.get(path)).status_code == 403
    async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as rebound:
        assert (await rebound.get("/faults", headers={"host": "attacker.example"})).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"kind":"identity"}',
        b'{"kind":"x","fault":"slow"}',
        b'{"kind":"*","fault":"fire"}',
        b'{"kind":"*","fault":"slow","times":0}',
    ],
)
async def test_odd_switches_are_refused(authorities: Authorities, body: bytes) -> None:
    async with httpx2.AsyncClient(transport=authorities.transport, base_url=ADDRESS) as client:
        assert (await client.post("/faults", content=body, headers={"content-type": "application/json"})).status_code == 400


async def test_switches_are_shown_and_take_json_only(authorities: Authorities) -> None:
    async with httpx2.AsyncClient(transport=authorities.transport, base_url=ADDRESS) as client:
        body = b'{"kind":"bank_card","fault":"silent","times":3}'
        assert (await client.post("/faults", content=body, headers={"content-type": "text/plain"})).status_code == 415
        assert (await client.post("/faults", content=body, headers={"content-type": "application/json"})).status_code == 200
        shown = {row["kind"]: row for row in (await client.get("/faults")).json()}
        assert set(shown) == set(CheckKind)
        assert (shown["bank_card"]["fault"], shown["bank_card"]["times"]) == ("silent", 3)
        assert shown["phone"]["fault"] == ""


RETURN = "http://127.0.0.1:8000/recover/face?i=1"


async def test_the_face_page_gives_a_ticket_and_leads_back(authorities: Authorities, sources: Sources) -> None:
    async with httpx2.AsyncClient(transport=authorities.transport, base_url=ADDRESS) as client:
        page = await client.get("/face", params={"return_to": RETURN, "state": '"><b>s'})
        assert page.status_code == 200
        assert "<b>" not in page.text
        form = {"return_to": RETURN, "state": "s-1", "face": "own"}
        back = await client.post("/face", data=form)
        assert back.status_code == 303
        location = httpx2.URL(back.headers["location"])
        assert str(location).startswith(RETURN + "&ticket=")
        assert location.params["state"] == "s-1"
        assert await find_result(sources, ask(CheckKind.REAL_PERSON, ticket=location.params["ticket"])) is CheckResult.MATCH
        given_up = await client.post("/face", data={**form, "face": "cancel"})
        assert given_up.headers["location"] == f"{RETURN}&error=cancelled&state=s-1"
        assert (await client.post("/face", data={**form, "face": "mask"})).status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://example.org/",
        "//127.0.0.1/x",
        "javascript:alert(1)",
        "http://127.0.0.1@example.org/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1/#x",
        "http://127.0.0.1:x/",
        "http://127.0.0.1\\.example.org/",
        'http://127.0.0.1/"',
        "http://[::1",
        "http://127.0.0.1/" + "a" * 1_000,
    ],
)
async def test_nobody_is_sent_beyond_this_machine(authorities: Authorities, address: str) -> None:
    async with httpx2.AsyncClient(transport=authorities.transport, base_url=ADDRESS) as client:
        assert (await client.get("/face", params={"return_to": address})).status_code == 400
        assert (await client.post("/face", data={"return_to": address, "face": "own"})).status_code == 400
