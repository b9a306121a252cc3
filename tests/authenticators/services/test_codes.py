"""Codes on a real database: what they are bound to, who may ask, what is refunded, what is never stored."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong
from idp.authenticators.rules.sms_limits import Limit, Send, SmsLimits, Wait
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.platform.database import Database
from tests.sign_in.house import KEYS, House
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def ask(house: House, *, address: str = "192.0.2.1") -> CodeRequest:
    made = await house.add_person()
    return CodeRequest("sign_in", "flow-1", made.phone, "*小明", made.person_id, address, after_password=True)


def with_limits(house: House, limits: SmsLimits) -> Codes:
    parts = (house.database, house.transients, house.outbox, house.audit, KEYS.mac("codes"), house.index, house.clock, house.random)
    return Codes(*parts, house.codes._code_limits, limits)


async def check(house: House, request: CodeRequest, code: str) -> object:
    return await house.codes.check(request.purpose, request.binding, request.phone, code)


async def test_a_code_works_once(house: House) -> None:
    request = await ask(house)
    assert await house.codes.send(request) == Send()
    code = await house.read_code()
    assert await check(house, request, f" {code[:3]} {code[3:]} ") == CodeRight()
    assert await check(house, request, code) == CodeGone()


async def test_of_right_codes_sent_at_once_one_is_right(house: House) -> None:
    request = await ask(house)
    await house.codes.send(request)
    code = await house.read_code()
    verdicts = await asyncio.gather(*(check(house, request, code) for _ in range(5)))
    assert verdicts.count(CodeRight()) == 1


async def test_tries_sent_at_once_are_bounded(house: House) -> None:
    request = await ask(house)
    await house.codes.send(request)
    code = await house.read_code()
    wrong = "000000" if code != "000000" else "111111"
    verdicts = await asyncio.gather(*(check(house, request, wrong) for _ in range(12)))
    assert sum(isinstance(v, CodeWrong) for v in verdicts) <= 5
    while not isinstance(verdict := await check(house, request, wrong), CodeDead):
        assert isinstance(verdict, CodeWrong)
    assert await check(house, request, code) == CodeDead()


@pytest.mark.parametrize("other", [{"purpose": "rebind"}, {"binding": "flow-2"}])
async def test_a_code_is_bound_to_purpose_and_flow(house: House, other: dict[str, Any]) -> None:
    request = await ask(house)
    await house.codes.send(request)
    code = await house.read_code()
    assert await check(house, replace(request, **other), code) == CodeGone()
    assert await check(house, request, code) == CodeRight()


async def test_a_code_is_bound_to_the_phone(house: House) -> None:
    request = await ask(house)
    await house.codes.send(request)
    code = await house.read_code()
    assert isinstance(await check(house, replace(request, phone="+8613800000000"), code), CodeWrong)


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "１２", "0" * 300, "\x00"])
async def test_what_is_no_code_is_a_wrong_try(house: House, typed: str) -> None:
    request = await ask(house)
    await house.codes.send(request)
    assert await check(house, request, typed) == CodeWrong(4)


async def test_one_minute_five_an_hour_ten_a_day(house: House) -> None:
    request = await ask(house)
    seen: list[object] = []
    for n in range(30):
        verdict = await house.codes.send(replace(request, binding=f"flow-{n}", address=f"198.51.100.{n}"))
        if isinstance(verdict, Send):
            seen.append("sent")
            house.clock.advance(30)
        else:
            seen.append(verdict.limit)
            house.clock.advance(max(1, (verdict.until - house.clock.now).total_seconds()))
        if verdict == Wait(Limit.PHONE_DAY, getattr(verdict, "until", house.clock.now)):
            break
    hour = ["sent", Limit.PHONE_MINUTE] * 4 + ["sent", Limit.PHONE_MINUTE, Limit.PHONE_HOUR]
    assert seen[:11] == hour
    assert seen.count("sent") == 10
    assert seen[-1] is Limit.PHONE_DAY
    assert await house.codes.send(request) == Send()  # the next day of Shanghai


async def test_half_is_kept_for_requests_after_a_password(house: House) -> None:
    request = replace(await ask(house), after_password=False)
    for _ in range(2):
        assert await house.codes.send(request) == Send()
        house.clock.advance(60)
    verdict = await house.codes.send(request)
    assert isinstance(verdict, Wait)
    assert verdict.limit is Limit.PHONE_HOUR
    assert await house.codes.send(replace(request, after_password=True)) == Send()


async def test_one_address_sends_twenty_an_hour(house: House) -> None:
    requests = [await ask(house, address="203.0.113.40") for _ in range(21)]
    verdicts = [await house.codes.send(request) for request in requests]
    assert verdicts[:20] == [Send()] * 20
    assert isinstance(verdicts[20], Wait)
    assert verdicts[20].limit is Limit.ADDRESS_HOUR
    # What was refused later is given back: the same phone may ask from elsewhere at once.
    assert await house.codes.send(replace(requests[20], address="203.0.113.41")) == Send()


async def test_one_device_sends_ten_a_day_and_the_phone_is_refunded(house: House) -> None:
    requests = [replace(await ask(house, address=f"203.0.113.{n}"), device_hash=b"\x07" * 32) for n in range(11)]
    verdicts = [await house.codes.send(request) for request in requests]
    assert verdicts[:10] == [Send()] * 10
    assert isinstance(verdicts[10], Wait)
    assert verdicts[10].limit is Limit.DEVICE_DAY
    assert await house.codes.send(replace(requests[10], device_hash=None)) == Send()


async def test_the_budget_of_the_installation_is_a_limit_too(house: House) -> None:
    await house.database.write("DELETE FROM transients")
    codes = with_limits(house, SmsLimits(budget_minute=2))
    requests = [await ask(house, address=f"203.0.113.{100 + n}") for n in range(3)]
    verdicts = [await codes.send(request) for request in requests]
    assert verdicts[:2] == [Send(), Send()]
    assert isinstance(verdicts[2], Wait)
    assert verdicts[2].limit is Limit.BUDGET
    house.clock.advance(60)
    assert await codes.send(requests[2]) == Send()


async def test_requests_at_once_send_one_message(house: House) -> None:
    request = await ask(house)
    verdicts = await asyncio.gather(*(house.codes.send(replace(request, binding=f"b{n}")) for n in range(6)))
    assert verdicts.count(Send()) == 1
    assert await house.count_sms() == 1


async def test_a_refused_request_keeps_the_code_that_was_sent(house: House) -> None:
    request = await ask(house)
    await house.codes.send(request)
    code = await house.read_code()
    assert isinstance(await house.codes.send(request), Wait)
    assert await check(house, request, code) == CodeRight()


async def test_no_store_holds_code_or_phone_in_clear(house: House) -> None:
    request = await ask(house)
    await house.codes.send(request)
    transients = await house.database.fetch("SELECT key || value AS v FROM transients")
    outbox = await house.database.fetch("SELECT sealed AS v FROM outbox WHERE sealed IS NOT NULL")
    audit = await house.database.fetch("SELECT convert_to(details || actor, 'UTF8') AS v FROM audit_events")
    stored = b"\n".join(bytes(row["v"]) for row in (*transients, *outbox, *audit))
    code = await house.read_code()
    for clear in (request.phone, request.phone.removeprefix("+86"), f'"{code}"', "小明"):
        assert clear.encode() not in stored


async def test_another_address_of_the_same_ipv6_line_is_the_same_sender(house: House) -> None:
    codes = with_limits(house, SmsLimits(address_hour=2))
    answers = [await codes.send(await ask(house, address=f"2001:db8:5:6::{number}")) for number in range(3)]
    assert answers[:2] == [Send(), Send()]
    assert isinstance(answers[2], Wait)
    assert answers[2].limit is Limit.ADDRESS_HOUR
    assert await codes.send(await ask(house, address="2001:db8:5:7::1")) == Send()


async def test_an_ipv6_network_is_one_sender_too_whatever_its_lines(house: House) -> None:
    codes = with_limits(house, SmsLimits(network_hour=2))
    answers = [await codes.send(await ask(house, address=f"2001:db8:9:{number}::1")) for number in range(3)]
    assert answers[:2] == [Send(), Send()]
    assert isinstance(answers[2], Wait)
    assert answers[2].limit is Limit.NETWORK_HOUR
    assert await codes.send(await ask(house, address="2001:db8:a:1::1")) == Send()


async def test_registrations_of_a_day_leave_messages_for_the_owner(house: House) -> None:
    owner = replace(await ask(house), after_password=False)
    stranger = replace(owner, purpose="registration", person_id=None)
    sent = 0
    for n in range(8):
        house.clock.advance(1_900)
        sent += isinstance(await house.codes.send(replace(stranger, binding=f"draft-{n}", address=f"198.51.100.{n}")), Send)
    assert sent == 3
    for n in range(2):
        house.clock.advance(1_900)
        assert await house.codes.send(replace(owner, purpose="recovery", binding=f"flow-{n}")) == Send()
    for n in range(5):
        house.clock.advance(1_900)
        assert await house.codes.send(replace(owner, binding=f"known-{n}", after_password=True)) == Send(), "half is kept"


async def test_registrations_of_an_hour_leave_messages_for_the_owner(house: House) -> None:
    owner = replace(await ask(house), after_password=False)
    verdicts = []
    for n in range(3):
        house.clock.advance(61)
        verdicts.append(await house.codes.send(replace(owner, purpose="registration", binding=f"draft-{n}")))
    assert verdicts[:2] == [Send(), Send()]
    assert isinstance(verdicts[2], Wait)
    house.clock.advance(61)
    assert await house.codes.send(owner) == Send()


async def test_a_family_may_register_with_one_phone_in_a_day(house: House) -> None:
    request = replace(await ask(house), purpose="registration", after_password=False, person_id=None)
    for n in range(5):
        house.clock.advance(1_900)
        member = replace(request, binding=f"draft-{n}")
        assert await house.codes.send(member) == Send()
        await house.deliver()
        (*_, message) = [message for message in house.sms if message["phone"] == request.phone]
        assert await check(house, member, message["parameters"]["code"]) == CodeRight(), "who types it holds the phone"
    house.clock.advance(1_900)
    assert isinstance(await house.codes.send(replace(request, binding="draft-5")), Wait), "half of the day is kept all the same"
