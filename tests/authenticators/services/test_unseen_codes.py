"""Codes whose answer tells nobody whether anybody is behind a claim: alike outside, and inside the phone's own limits hold in silence."""

from dataclasses import replace

import pytest

from idp.authenticators.rules.sms_code import CodeGone, CodeRight, CodeWrong
from idp.authenticators.rules.sms_limits import Limit, Send, SmsLimits, Wait
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.platform.database import Database
from tests.sign_in.house import KEYS, House
from tests.support.clocks import ManualClock

WITHHELD = "SELECT kind, state FROM outbox WHERE kind = 'withheld'"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def ask(house: House, *, known: bool = True) -> tuple[CodeRequest, str]:
    """Return a request of a person, or of nobody, with the claim it is made under."""
    if not known:
        claimed = house.make_document()
        return CodeRequest("sign_in", claimed, f"nobody\0{claimed}", "*", None, house.address), claimed
    person = await house.add_person()
    return CodeRequest("sign_in", person.document, person.phone, "*小明", person.person_id, house.address), person.document


async def count_sent(house: House, request: CodeRequest) -> int:
    """Deliver what waits and return how many messages went to the request's phone."""
    await house.deliver()
    return sum(message["phone"] == request.phone for message in house.sms)


async def test_a_message_leaves_only_when_somebody_is_reached(house: House) -> None:
    for known in (True, False):
        request, claimed = await ask(house, known=known)
        assert await house.codes.send_unseen(request, claimed, reaches=known) == Send()
        assert await count_sent(house, request) == int(known)
        assert isinstance(await house.codes.check("sign_in", request.binding, request.phone, "000000"), CodeWrong), (
            "a code waits either way"
        )
    rows = await house.database.fetch(WITHHELD)
    assert rows
    assert {row["state"] for row in rows} == {"expired"}, "it is over before anybody could deliver it"


async def test_what_is_told_are_the_limits_of_the_claim(house: House) -> None:
    for known in (True, False):
        request, claimed = await ask(house, known=known)
        verdicts = []
        for _ in range(5):
            verdicts.append(await house.codes.send_unseen(request, claimed, reaches=known))
            await house.deliver()
            house.clock.advance(61)
        assert [v.limit if isinstance(v, Wait) else None for v in verdicts] == [None, None, *[Limit.PHONE_HOUR] * 3]
        assert await count_sent(house, request) == 2 * known


async def test_the_limits_of_the_phone_behind_are_kept_in_silence(house: House) -> None:
    request, claimed = await ask(house)
    assert await house.codes.send_unseen(request, claimed, reaches=True) == Send()
    other = replace(request, binding="another claim")
    assert await house.codes.send_unseen(other, "another claim", reaches=True) == Send(), "nothing says that both are one person's"
    assert await count_sent(house, request) == 1
    house.clock.advance(61)
    assert await house.codes.send_unseen(other, "another claim", reaches=True) == Send()
    assert await count_sent(house, request) == 2
    for n in range(4):
        house.clock.advance(61)
        claim = f"claim {n}"
        assert await house.codes.send_unseen(replace(request, binding=claim), claim, reaches=True) == Send()
    assert await count_sent(house, request) == 2, "half of the hour is kept for those who proved something"


async def test_the_day_of_the_phone_is_kept_in_silence_too(house: House) -> None:
    request, claimed = await ask(house)
    limits = SmsLimits(phone_day=2)
    parts = (house.database, house.transients, house.outbox, house.audit, KEYS.mac("codes"), house.index, house.clock, house.random)
    codes = Codes(*parts, house.codes._code_limits, limits)
    assert await codes.send_unseen(request, claimed, reaches=True) == Send()
    house.clock.advance(61)
    verdict = await codes.send_unseen(request, claimed, reaches=True)
    assert isinstance(verdict, Wait)
    assert verdict.limit is Limit.PHONE_DAY, "the claim's own day is told"
    house.clock.advance(61)
    assert await codes.send_unseen(replace(request, binding="other"), "other", reaches=True) == Send()
    assert await count_sent(house, request) == 1


async def test_a_held_back_code_is_sent_late_and_replaces_the_one_that_never_left(house: House) -> None:
    request, claimed = await ask(house)
    decoy = replace(request, phone=f"nobody\0{claimed}")
    assert await house.codes.send_unseen(decoy, claimed, reaches=False) == Send()
    assert await count_sent(house, request) == 0
    assert await house.codes.send_late(request)
    assert await count_sent(house, request) == 1
    code = house.sms[-1]["parameters"]["code"]
    assert await house.codes.check("sign_in", request.binding, request.phone, code) == CodeRight()
    assert not await house.codes.send_late(request), "the phone's own minute holds"
    assert await house.codes.check("sign_in", request.binding, request.phone, code) == CodeGone()


@pytest.mark.parametrize("reaches", [True, False])
async def test_a_message_that_does_not_leave_replaces_no_code_that_did(house: House, reaches: bool) -> None:
    request, claimed = await ask(house)
    assert await house.codes.send_unseen(request, claimed, reaches=True) == Send()
    await house.deliver()
    code = house.sms[-1]["parameters"]["code"]
    house.clock.advance(61)
    if reaches:  # the phone had another message just now, from elsewhere
        assert await house.codes.send_unseen(replace(request, binding="elsewhere"), "elsewhere", reaches=True) == Send()
    silent = request if reaches else replace(request, phone=f"nobody\0{claimed}")
    assert await house.codes.send_unseen(silent, claimed, reaches=reaches) == Send()
    assert await house.codes.check("sign_in", request.binding, request.phone, "000000") == CodeWrong(4), "as after any other code"
    assert await house.codes.check("sign_in", request.binding, request.phone, code) == CodeRight()
    assert await house.codes.check("sign_in", request.binding, request.phone, code) == CodeGone(), "once"


async def test_a_code_that_stays_is_good_for_its_own_life_only(house: House) -> None:
    request, claimed = await ask(house)
    assert await house.codes.send_unseen(request, claimed, reaches=True) == Send()
    await house.deliver()
    code = house.sms[-1]["parameters"]["code"]
    house.clock.advance(200)
    assert await house.codes.send_unseen(request, claimed, reaches=False) == Send()
    house.clock.advance(100)
    assert await house.codes.check("sign_in", request.binding, request.phone, code) == CodeWrong(4), "five minutes after it left"


async def test_a_code_used_up_or_guessed_at_too_often_does_not_come_back(house: House) -> None:
    request, claimed = await ask(house)
    for tries in (1, 6):
        await house.codes.send_late(request)
        await house.deliver()
        code = house.sms[-1]["parameters"]["code"]
        for _ in range(tries - 1):
            await house.codes.check("sign_in", request.binding, request.phone, "000000" if code != "000000" else "111111")
        await house.codes.check("sign_in", request.binding, request.phone, code)
        house.clock.advance(61)
        assert await house.codes.send_unseen(request, claimed, reaches=False) == Send()
        assert isinstance(await house.codes.check("sign_in", request.binding, request.phone, code), CodeWrong)
        house.clock.advance(61)


async def test_resending_is_locked_by_claim(house: House) -> None:
    for known in (True, False):
        request, claimed = await ask(house, known=known)
        verdict = await house.codes.resend_unseen(request, claimed, 5, reaches=known)
        assert isinstance(verdict, Wait)
        assert verdict.limit is Limit.RESENDS
        again = await house.codes.send_unseen(request, claimed, reaches=known)
        assert isinstance(again, Wait)
        assert again.limit is Limit.RESENDS
        other = replace(request, address="198.51.100.200")
        assert await house.codes.resend_unseen(other, claimed, 1, reaches=known) == Send(), "elsewhere it is open"


async def test_a_blind_code_tells_nothing_of_the_messages_a_phone_had_from_elsewhere(house: House) -> None:
    owner, claimed = await ask(house)
    stranger = replace(owner, purpose="registration", binding="draft", masked_name="", person_id=None)
    assert await house.codes.send_unseen(owner, claimed, reaches=True) == Send()
    assert await house.codes.send_blind(stranger, "draft\0one") == Send(), "within the phone's minute nothing is told"
    assert await count_sent(house, owner) == 1
    told = await house.codes.send_blind(stranger, "draft\0one")
    assert isinstance(told, Wait)
    assert told.limit is Limit.PHONE_MINUTE, "what is told is the draft's own"
    house.clock.advance(61)
    assert await house.codes.send_blind(stranger, "draft\0one") == Send()
    assert await count_sent(house, owner) == 2
    code = house.sms[-1]["parameters"]["code"]
    assert await house.codes.check("registration", "draft", owner.phone, code) == CodeRight()


async def test_resending_a_blind_code_is_locked_by_its_front(house: House) -> None:
    owner, _ = await ask(house)
    request = replace(owner, purpose="registration")
    locked = await house.codes.resend_blind(request, "draft\0one", 5)
    assert isinstance(locked, Wait)
    assert locked.limit is Limit.RESENDS
    assert await house.codes.resend_blind(replace(request, binding="two"), "draft\0two", 1) == Send()
    assert await house.codes.send(replace(owner, binding="own")) != Wait(Limit.RESENDS, locked.until), "the phone itself is not locked"


async def test_what_nobody_receives_uses_up_no_budget(house: House) -> None:
    await house.database.write("DELETE FROM transients")
    parts = (house.database, house.transients, house.outbox, house.audit, KEYS.mac("codes"), house.index, house.clock, house.random)
    codes = Codes(*parts, house.codes._code_limits, SmsLimits(budget_minute=1))
    for _ in range(3):
        request, claimed = await ask(house, known=False)
        assert await codes.send_unseen(request, claimed, reaches=False) == Send()
    request, claimed = await ask(house)
    assert await codes.send_unseen(request, claimed, reaches=True) == Send()
    request, claimed = await ask(house)
    refused = await codes.send_unseen(request, claimed, reaches=True)
    assert isinstance(refused, Wait)
    assert refused.limit is Limit.BUDGET
    assert not await codes.send_late(request), "a late message is one of the budget as well"
