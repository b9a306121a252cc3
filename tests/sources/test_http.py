"""The contract over real HTTP on loopback: faults are UNAVAILABLE, and only a signed answer to our question passes."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from idp.demo.population import make_person
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Random
from idp.sources.breaker import BreakerLimits, BreakerState
from idp.sources.contract import MAXIMUM_REPLY
from idp.sources.directory import Sources, open_sources
from idp.sources.http import Authority
from idp.sources.signatures import PartnerKey
from idp.sources.simulated_register import AUTHORITIES, FaultKind
from idp.sources.source import Check, Outcome
from tests.support.authorities import APP_KEY, SECRET, Authorities, serve_application, serve_authorities
from tests.support.clocks import ManualClock

KEY = PartnerKey(APP_KEY, SECRET)
PERSON = make_person(7)
CLOCK = ManualClock()


@pytest.fixture(scope="module")
def authorities() -> Iterator[Authorities]:
    with serve_authorities(CLOCK) as served:
        yield served


@pytest.fixture
def asked(authorities: Authorities) -> Iterator[Authorities]:
    """The authorities, all well again and with nothing asked yet."""
    authorities.clear_faults()
    authorities.simulated.calls.clear()
    yield authorities
    authorities.clear_faults()


@asynccontextmanager
async def open_real(
    address: str, random: Random, *, time_limit: float = 0, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Sources]:
    known = [Authority(name, kinds, f"{address}/{name}", KEY, time_limit) for name, kinds in AUTHORITIES.items()]
    sources = open_sources(known, clock=CLOCK, random=random, transport=transport)
    try:
        yield sources
    finally:
        await sources.close()


numbers = iter(range(1_000_000))


def ask(kind: CheckKind = CheckKind.IDENTITY, request_id: str = "") -> Check:
    subject = {"name": PERSON.name, "document_kind": "resident_id", "id_number": PERSON.id_number}
    if kind is not CheckKind.IDENTITY:
        subject[kind.value] = getattr(PERSON, kind.value)
    return Check(request_id or f"question-{next(numbers)}", kind, subject, "registration", "consent-1")


async def test_a_question_over_http(asked: Authorities, random: Random) -> None:
    async with open_real(asked.address, random) as sources:
        outcome = await sources.check(ask(), 3)
        assert (outcome.result, outcome.source, outcome.reason) == (CheckResult.MATCH, "public-security", "")
        assert await sources.probe(CheckKind.IDENTITY)
    (call,) = asked.calls
    assert (call.purpose, call.consent_ref, call.subject["id_number"]) == ("registration", "consent-1", PERSON.id_number)


@pytest.mark.parametrize(
    "fault, reason, asked_times",
    [
        (FaultKind.SLOW, "timeout", 1),
        (FaultKind.SILENT, "timeout", 1),
        (FaultKind.ERROR_500, "status_500", 1),
        (FaultKind.TRUNCATED_JSON, "json", 1),
        (FaultKind.WRONG_SIGNATURE, "forged_signature", 1),
        (FaultKind.DUPLICATE, "forged_nonce", 1),
        (FaultKind.UNAVAILABLE, "busy", 2),
    ],
)
async def test_every_fault_is_unavailable(asked: Authorities, random: Random, fault: FaultKind, reason: str, asked_times: int) -> None:
    async with open_real(asked.address, random) as sources:
        assert (await sources.check(ask(CheckKind.PHONE), 3)).result is CheckResult.MATCH
        asked.simulated.calls.clear()
        asked.set_fault("phone", fault, seconds=5)
        # Only those that never answer need a short deadline.
        outcome = await sources.check(ask(CheckKind.PHONE), 0.3 if fault in (FaultKind.SLOW, FaultKind.SILENT) else 5)
        assert (outcome.result, outcome.reason, outcome.source) == (CheckResult.UNAVAILABLE, reason, "operators")
        assert asked.count_calls("phone") == asked_times
        assert (await sources.check(ask(), 5)).result is CheckResult.MATCH, "the others are not affected"
        asked.clear_faults()
        assert (await sources.check(ask(CheckKind.PHONE), 5)).result is CheckResult.MATCH


async def test_a_limit_is_told_with_its_time(asked: Authorities, random: Random) -> None:
    asked.set_fault("phone", "limit")
    async with open_real(asked.address, random) as sources:
        outcome = await sources.check(ask(CheckKind.PHONE), 5)
    assert (outcome.result, outcome.retry_after, outcome.charged) == (CheckResult.LIMITED, 60, False)


@pytest.mark.parametrize("fault, ready", [("unavailable", False), ("error_500", False), ("slow", True), ("", True)])
async def test_a_probe_asks_about_nobody(asked: Authorities, random: Random, fault: str, ready: bool) -> None:
    asked.set_fault("phone", fault)
    async with open_real(asked.address, random) as sources:
        assert await sources.probe(CheckKind.PHONE) is ready
    assert not asked.calls


async def test_the_authoritys_own_limit_of_time(asked: Authorities, random: Random) -> None:
    asked.set_fault("phone", "slow", seconds=20)
    async with open_real(asked.address, random, time_limit=0.2) as sources:
        outcome = await asyncio.wait_for(sources.check(ask(CheckKind.PHONE), 60), 10)
    assert outcome.reason == "timeout"


async def test_while_one_authority_rests_the_others_answer(asked: Authorities, random: Random) -> None:
    others = (CheckKind.IDENTITY, CheckKind.PHONE, CheckKind.SOCIAL_SECURITY_CARD, CheckKind.HOUSING_FUND_ACCOUNT)
    known = [Authority(name, kinds, f"{asked.address}/{name}", KEY) for name, kinds in AUTHORITIES.items()]
    sources = open_sources(known, clock=CLOCK, random=random, limits=BreakerLimits(calls=4))

    async def ask_at_once(*kinds: CheckKind) -> list[str]:
        outcomes = await asyncio.gather(*(sources.check(ask(kind), 30) for kind in kinds))
        return [outcome.reason or outcome.result.value for outcome in outcomes]

    asked.set_fault(CheckKind.BANK_CARD, FaultKind.ERROR_500)
    assert await ask_at_once(*[CheckKind.BANK_CARD] * 4, *others) == ["status_500"] * 4 + ["match"] * 4
    assert await ask_at_once(CheckKind.BANK_CARD, *others) == ["breaker"] + ["match"] * 4
    assert asked.count_calls(CheckKind.BANK_CARD) == 4, "who rests is not asked"
    CLOCK.advance(15)
    assert await ask_at_once(CheckKind.BANK_CARD, CheckKind.BANK_CARD, *others) == ["status_500", "breaker"] + ["match"] * 4
    asked.clear_faults()
    CLOCK.advance(15)
    assert await ask_at_once(CheckKind.BANK_CARD) == ["match"]
    assert sources.find_state(CheckKind.BANK_CARD) is BreakerState.CLOSED
    await sources.close()


# Repetition: one, and only of what was surely not processed.


async def test_an_unprocessed_question_is_asked_again_under_its_id(asked: Authorities, random: Random) -> None:
    asked.set_fault("phone", "unavailable", times=1)
    async with open_real(asked.address, random) as sources:
        assert (await sources.check(ask(CheckKind.PHONE), 5)).result is CheckResult.MATCH
    first, second = asked.calls
    assert first == second


async def test_bank_cards_are_never_asked_again(asked: Authorities, random: Random) -> None:
    asked.set_fault("bank_card", "unavailable", times=1)
    async with open_real(asked.address, random) as sources:
        outcome = await sources.check(ask(CheckKind.BANK_CARD), 5)
    assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, "busy")
    assert asked.count_calls("bank_card") == 1


@pytest.mark.parametrize("kind, times", [(CheckKind.PHONE, 2), (CheckKind.BANK_CARD, 1)])
@pytest.mark.parametrize("error", [httpx2.ConnectError, httpx2.ConnectTimeout])
async def test_a_failed_connection_is_tried_again(random: Random, kind: CheckKind, times: int, error: type[Exception]) -> None:
    tried = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        tried.append(request.headers["x-nonce"])
        raise error(PERSON.id_number)

    async with open_real("http://127.0.0.1:1", random, transport=httpx2.MockTransport(fail)) as sources:
        outcome = await sources.check(ask(kind), 5)
    assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, "connection")
    assert len(tried) == len(set(tried)) == times, "with a nonce of its own"


@pytest.mark.parametrize("error", [httpx2.ReadTimeout, httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError, httpx2.PoolTimeout])
async def test_what_may_have_arrived_is_not_asked_again(random: Random, error: type[Exception]) -> None:
    tried = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        tried.append(request)
        raise error(PERSON.id_number)

    async with open_real("http://127.0.0.1:1", random, transport=httpx2.MockTransport(fail)) as sources:
        outcome = await sources.check(ask(CheckKind.PHONE), 5)
    assert outcome.result is CheckResult.UNAVAILABLE
    assert PERSON.id_number not in repr(outcome)
    assert len(tried) == 1


async def test_nobody_listens(random: Random) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with open_real(f"http://127.0.0.1:{free.getsockname()[1]}", random) as sources:
            assert (await sources.check(ask(), 3)).reason == "connection"
            assert not await sources.probe(CheckKind.IDENTITY)


# Forged and odd replies. ``Reply`` says what an authority, or somebody in its place, makes of a request.

Reply = Callable[[httpx2.Request, dict[str, Any]], httpx2.Response]


def make_answer(question: dict[str, Any], **changes: Any) -> bytes:
    answer = {"request_id": question["request_id"], "kind": question["kind"], "result": "match", **changes}
    return json.dumps({name: value for name, value in answer.items() if value is not None}).encode()


def sign(request: httpx2.Request, body: bytes, status: int = 200, key: PartnerKey = KEY, nonce: str = "") -> dict[str, str]:
    return key.sign_reply(status, body, CLOCK(), nonce or request.headers["x-nonce"])


async def ask_replying(random: Random, reply: Reply, kind: CheckKind = CheckKind.IDENTITY) -> Outcome:
    def answer(request: httpx2.Request) -> httpx2.Response:
        made = reply(request, json.loads(request.content))
        return httpx2.Response(made.status_code, headers=made.headers, stream=httpx2.ByteStream(made.content))  # not read yet

    transport = httpx2.MockTransport(answer)
    async with open_real("http://127.0.0.1:1", random, transport=transport) as sources:
        return await sources.check(ask(kind), 5)


def answer_with(**changes: Any) -> Reply:
    def reply(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
        body = make_answer(question, **changes)
        return httpx2.Response(200, content=body, headers=sign(request, body))

    return reply


def answer_raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    return lambda request, _: httpx2.Response(status, content=body, headers={**sign(request, body, status), **headers})


def alter_headers(**changes: str | None) -> Reply:
    def reply(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
        body = make_answer(question)
        headers: dict[str, Any] = {**sign(request, body), **{name.replace("_", "-"): value for name, value in changes.items()}}
        return httpx2.Response(200, content=body, headers={name: value for name, value in headers.items() if value is not None})

    return reply


async def test_a_plain_signed_answer_passes(random: Random) -> None:
    outcome = await ask_replying(random, answer_with(result="mismatch", mismatched=["id_number", "surplus"], reference="r-1", further="x"))
    assert (outcome.result, outcome.mismatched, outcome.reference) == (CheckResult.MISMATCH, ("id_number",), "r-1")


def forge_key(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
    body = make_answer(question)
    return httpx2.Response(200, content=body, headers=sign(request, body, key=PartnerKey(APP_KEY, b"x" * 32)))


def forge_nonce(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
    body = make_answer(question)
    return httpx2.Response(200, content=body, headers=sign(request, body, nonce="another-question"))


def forge_body(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
    body = make_answer(question, result="mismatch")
    return httpx2.Response(200, content=body.replace(b"mismatch", b"match"), headers=sign(request, body))


def forge_status(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
    body = make_answer(question)
    return httpx2.Response(200, content=body, headers=sign(request, body, status=201))


def forge_by_echo(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
    """Send the request's own signature back."""
    names = ("x-app-key", "x-timestamp", "x-nonce", "x-signature")
    return httpx2.Response(200, content=make_answer(question), headers={name: request.headers[name] for name in names})


@pytest.mark.parametrize(
    "reply, reason",
    [
        (forge_key, "forged_signature"),
        (forge_nonce, "forged_nonce"),
        (forge_body, "forged_signature"),
        (forge_status, "forged_signature"),
        (forge_by_echo, "forged_signature"),
        (alter_headers(x_signature=None), "forged_header"),
        (alter_headers(x_nonce=None), "forged_header"),
        (alter_headers(x_timestamp=None), "forged_header"),
        (alter_headers(x_app_key=None), "forged_header"),
        (alter_headers(x_app_key="another"), "forged_app_key"),
        (alter_headers(x_timestamp=str(int(CLOCK().timestamp() * 1000) - 301_000)), "forged_clock"),
        (alter_headers(x_timestamp=str(int(CLOCK().timestamp() * 1000) + 1)), "forged_signature"),
    ],
)
async def test_a_forged_reply_is_no_answer(random: Random, reply: Reply, reason: str) -> None:
    outcome = await ask_replying(random, reply)
    assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, reason)


@pytest.mark.parametrize(
    "reply, reason",
    [
        (answer_raw(b""), "json"),
        (answer_raw(b"[]"), "json"),
        (answer_raw(b"{}"), "json"),
        (answer_raw(b"\xff"), "json"),
        (answer_raw(b"[" * 10_000), "json"),
        (answer_with(result="yes"), "json"),
        (answer_with(result=1), "json"),
        (answer_with(result=None), "json"),
        (answer_with(charged="no"), "json"),
        (answer_with(retry_after=-1), "json"),
        (answer_with(as_of="2026-01-01T00:00:00"), "json"),
        (answer_with(mismatched=["x"] * 17), "json"),
        (answer_with(reference="r" * 129), "json"),
        (answer_with(request_id="another-question"), "question"),
        (answer_with(kind="phone"), "question"),
        (answer_with(result="unavailable"), "authority"),
        (answer_raw(b"x" * (MAXIMUM_REPLY + 1)), "size"),
        (answer_raw(b"{}", 302, location="http://127.0.0.1:2/"), "status"),
        (answer_raw(b"{}", 429), "status_429"),
        (answer_raw(b"{}", 418), "status"),
        (answer_raw(b"{}", 503), "busy"),
        (answer_raw(b'{"processed":true}', 503), "busy"),
    ],
)
async def test_an_odd_reply_is_no_answer(random: Random, reply: Reply, reason: str) -> None:
    asked_times = 0

    def count(request: httpx2.Request, question: dict[str, Any]) -> httpx2.Response:
        nonlocal asked_times
        asked_times += 1
        return reply(request, question)

    outcome = await ask_replying(random, count)
    assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, reason)
    assert asked_times == 1


async def test_an_unsigned_503_does_not_make_us_ask_again(random: Random) -> None:
    times = []

    def reply(request: httpx2.Request, _: dict[str, Any]) -> httpx2.Response:
        times.append(request)
        return httpx2.Response(503, content=b'{"processed":false}')

    assert (await ask_replying(random, reply)).reason == "status_503"
    assert len(times) == 1


# What only a real connection shows: endless and packed bodies, dripping, redirects.


async def drip(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(400):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(0.05)


async def flood(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000):
        await send({"type": "http.response.body", "body": b" " * 65_536, "more_body": True})


async def pack(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-encoding", b"gzip")]})
    await send({"type": "http.response.body", "body": b"\x1f\x8b"})


@pytest.mark.parametrize("application, reason, timeout", [(drip, "timeout", 0.4), (flood, "size", 5), (pack, "encoding", 5)])
async def test_a_body_is_bounded_in_time_size_and_form(random: Random, application: Any, reason: str, timeout: float) -> None:
    with serve_application(application) as address:
        async with open_real(address, random) as sources:
            outcome = await asyncio.wait_for(sources.check(ask(), timeout), 10)
    assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, reason)


async def test_the_environment_leads_nothing_astray(asked: Authorities, random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_real(asked.address, random) as sources:
        assert (await sources.check(ask(), 5)).result is CheckResult.MATCH


async def test_a_question_that_cannot_be_written_is_unavailable(random: Random) -> None:
    odd = Check("question-odd", CheckKind.IDENTITY, {"name": "\ud800"}, "registration")
    long = Check("question-long", CheckKind.IDENTITY, {"name": "n" * 300}, "registration")
    short = Check("q", CheckKind.IDENTITY, {"name": "n"}, "registration")
    async with open_real("http://127.0.0.1:1", random) as sources:
        for check in (odd, long, short):
            assert (await sources.check(check, 3)).result is CheckResult.UNAVAILABLE


async def test_nothing_secret_or_personal_is_logged(asked: Authorities, random: Random, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_real(asked.address, random) as sources:
        for fault in ("", "wrong_signature", "truncated_json", "error_500"):
            asked.set_fault("phone", fault)
            await sources.check(ask(CheckKind.PHONE), 5)
    text = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for word in (SECRET.decode(), PERSON.id_number, PERSON.phone, PERSON.name):
        assert word not in text
    assert PERSON.id_number not in repr(ask())
