"""Recovery as a person sees it: code, one matched item, a new password, one factor for a day; and S03, S21, S52 on the way."""

import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.levels import Acr, Factor
from idp.people.rules.item_numbers import find_luhn_digit
from idp.people.rules.person import Status
from idp.platform.database import Database
from tests.sign_in.house import DEPARTMENT, HOME, PASSWORD, Browser, House, Made, find_code, find_left, find_way
from tests.sign_in.pages.test_s52_reissued_number import add_long_gone, read_phone
from tests.sign_in.pages.test_sign_in_by_code import blank, count_messages
from tests.support.clocks import ManualClock

NOBODY = "440106198811155674"
CHOSEN = "seven quiet herons"
BANK_CARD = "622848000000000001" + find_luhn_digit("622848000000000001")
FUND = "A12345678901"
REFUSED = "SELECT details FROM audit_events WHERE person_id = $1 AND kind = 'recovery_refused'"
EVIDENCE = "SELECT result FROM proofing_evidence WHERE person_id = $1 AND purpose = 'recovery'"
MATCHES = dict.fromkeys(CheckKind, CheckResult.MATCH)


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    made = House(database, clock)
    made.authorities.answers = dict(MATCHES)
    return made


async def send(browser: Browser, **typed: str) -> httpx2.Response:
    """Send the form of the recovery's page and follow redirects."""
    page = await browser.client.post("/recover", data={**browser.fields(), **typed})
    if page.status_code != 303:
        browser.page = page
    return await browser.follow(page)


async def start(browser: Browser, name: str, document: str, wanted: Acr = Acr.LOW, **more: Any) -> httpx2.Response:
    """Go from the department's sign-in page to the recovery and say who one is."""
    i = await browser.begin(wanted, **more)
    page = await browser.open(i)
    assert f'id="recover" href="/recover?i={i}"' in page.text
    assert f'id="register" href="/register?i={i}"' in page.text
    await browser.get(f"/recover?i={i}")
    return await send(browser, name=name, document_kind="resident_id", id_number=document)


async def reach_items(house: House, browser: Browser, person: Made, wanted: Acr = Acr.LOW) -> httpx2.Response:
    """Go on until the page of the items."""
    await start(browser, person.name, person.document, wanted)
    return await send(browser, code=await read_code(house, person))


async def recover(house: House, browser: Browser, person: Made, wanted: Acr = Acr.LOW) -> httpx2.Response:
    """Recover to the end."""
    await reach_items(house, browser, person, wanted)
    await send(browser, bank_card=BANK_CARD)
    return await send(browser, password=CHOSEN)


async def read_code(house: House, person: Made) -> str:
    """Return the newest recovery code of a person."""
    await house.deliver()
    codes = [m for m in house.sms if m["phone"] == person.phone and m["template"] == "recovery_code"]
    return codes[-1]["parameters"]["code"]


async def test_code_item_and_password_lead_back_to_the_department(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await start(browser, f" {person.name} ", f"{person.document[:6]} {person.document[6:].lower()}")
    assert 'name="code"' in page.text
    assert person.phone[-4:] not in page.text
    page = await send(browser, code=await read_code(house, person))
    assert 'name="bank_card"' in page.text
    assert 'name="phone_check"' not in page.text, "the phone is no item here"
    page = await send(browser, bank_card=BANK_CARD)
    assert 'name="password"' in page.text
    assert browser.session() is None
    page = await send(browser, password=CHOSEN)
    assert find_left(page) == {"acr": Acr.LOW.value}
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert {p.factor for p in session.proved} == {Factor.SMS, Factor.PASSWORD}
    asked = {c.kind: c for c in house.authorities.asked}
    assert {CheckKind.IDENTITY, CheckKind.PHONE, CheckKind.BANK_CARD} == set(asked)
    assert asked[CheckKind.BANK_CARD].purpose == "recovery"
    assert asked[CheckKind.BANK_CARD].subject["bank_card"] == BANK_CARD
    await house.deliver()
    assert "password_changed" in [m["template"] for m in house.sms if m["phone"] == person.phone]
    kinds = await house.audit_kinds(person.person_id)
    assert {"recovery_started", "password_recovered", "check_made", "sign_in_succeeded"} <= set(kinds)
    rows = await house.database.fetch(
        "SELECT result FROM proofing_evidence WHERE person_id = $1 AND purpose = 'recovery'", person.person_id
    )
    assert len(rows) == 3, "evidence of every check: register, operator and bank, all after the code"
    other = house.browser("198.51.100.4")
    await other.open(await other.begin())
    assert (await other.post(identifier=person.document, password=PASSWORD)).status_code == 422
    assert find_left(await other.submit(identifier=person.document, password=CHOSEN)) == {"acr": Acr.LOW.value}


async def test_nothing_counts_as_more_than_one_factor_for_a_day(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await recover(house, browser, person, Acr.SUBSTANTIAL)
    assert find_left(page) == {"acr": Acr.LOW.value}
    for hours, acr in ((23, Acr.LOW), (2, Acr.SUBSTANTIAL)):
        house.clock.advance(hours * 3_600)
        again = house.browser(f"198.51.100.{hours}")
        await again.open(await again.begin(Acr.SUBSTANTIAL))
        page = await again.submit(identifier=person.document, password=CHOSEN)
        if 'name="code"' in page.text:
            page = await again.submit(code=await house.read_code())
        assert find_left(page) == {"acr": acr.value}, hours


async def test_every_other_session_and_every_grant_ends(house: House) -> None:
    person, elsewhere, browser = await house.add_person(), house.browser("198.51.100.9"), house.browser()
    await elsewhere.sign_in(person)
    await recover(house, browser, person)
    assert await house.sessions.read(elsewhere.session()) is None
    rows = await house.database.fetch("SELECT ended_reason FROM sessions WHERE person_id = $1 AND ended_at IS NOT NULL", person.person_id)
    assert [row["ended_reason"] for row in rows] == ["password recovered"]


@pytest.mark.parametrize(
    "status, code",
    [
        (Status.BANNED, "account_banned"),
        (Status.UNBAN_REQUESTED, "account_banned"),
        (Status.FROZEN, "account_frozen"),
        (Status.CLOSING, "account_closing"),
        (Status.DECEASED, "account_deceased"),
    ],
)
async def test_s03_an_account_that_may_not_sign_in_is_refused_after_the_code(house: House, status: Status, code: str) -> None:
    person, browser = await house.add_person(status=status), house.browser()
    page = await start(browser, person.name, person.document)
    assert 'name="code"' in page.text, "nothing is said before"
    page = await send(browser, code="000000")
    assert page.status_code == 422
    page = await send(browser, code=await read_code(house, person))
    assert (page.status_code, find_code(page)) == (403, code)
    assert find_way(page) == (HOME, f"返回{DEPARTMENT}"), "the way back to the department stays"
    rows = await house.database.fetch(
        "SELECT details FROM audit_events WHERE person_id = $1 AND kind = 'recovery_refused'", person.person_id
    )
    assert [code in row["details"] for row in rows] == [True]
    status_now = await house.database.fetch("SELECT status, recovered_at FROM people WHERE id = $1", person.person_id)
    assert (status_now[0]["status"], status_now[0]["recovered_at"]) == (status.value, None), "a recovery lifts nothing"
    page = await browser.get(browser_page(browser))
    assert 'name="name"' in page.text, "and it begins anew"


def browser_page(browser: Browser) -> str:
    """Return the address of the recovery of the browser's flow."""
    i = browser.house.department.seen[-1][0].id if browser.house.department.seen else ""
    return f"/recover?i={i}"


async def test_s03_a_ban_between_the_item_and_the_password_holds(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    await house.database.write("UPDATE people SET status = 'banned' WHERE id = $1", person.person_id)
    page = await send(browser, password=CHOSEN)
    assert find_code(page) == "account_banned"
    assert browser.session() is None
    assert not await house.passwords.verify(person.person_id, CHOSEN)


@pytest.mark.parametrize("answer, state", [(CheckResult.MISMATCH, "frozen"), (CheckResult.NOT_FOUND, "active")])
async def test_s52_a_stranger_with_a_reissued_number_gets_no_code_by_recovery(house: House, answer: CheckResult, state: str) -> None:
    person = await add_long_gone(house)
    house.authorities.answers[CheckKind.PHONE] = answer
    page = await start(house.browser(), person.name, person.document)
    expected = blank(page.text)
    assert await count_messages(house, person) == 0
    assert (await read_phone(house, person.person_id))[0] == state
    assert ("phone_frozen" in await house.audit_kinds(person.person_id)) is (state == "frozen")
    other = house.browser("203.0.113.5")
    assert blank((await start(other, person.name, house.make_document())).text) == expected


async def test_s52_a_silent_operator_sends_nothing_to_a_number_long_unused_and_freezes_nothing(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser()
    del house.authorities.answers[CheckKind.PHONE]
    page = await start(browser, person.name, person.document)
    assert 'name="code"' in page.text
    assert await count_messages(house, person) == 0
    assert await read_phone(house, person.person_id) == ("active", True)
    house.authorities.answers[CheckKind.PHONE] = CheckResult.MATCH
    house.clock.advance(61)
    await send(browser, resend="1")
    page = await send(browser, code=await read_code(house, person))
    assert 'name="bank_card"' in page.text, "later it goes on"


async def test_s52_a_number_long_unused_is_asked_about_once_in_a_recovery(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser()
    await start(browser, person.name, person.document)
    await house.deliver()
    house.clock.advance(61)
    await send(browser, resend="1")
    await send(browser, code=await read_code(house, person))
    page = await send(browser, bank_card=BANK_CARD)
    assert 'name="password"' in page.text
    assert [c.kind for c in house.authorities.asked].count(CheckKind.PHONE) == 1


@pytest.mark.parametrize("answer, state", [(CheckResult.MISMATCH, "frozen"), (CheckResult.NOT_FOUND, "active")])
async def test_s52_at_recovery_the_match_is_repeated_however_fresh_it_was(house: House, answer: CheckResult, state: str) -> None:
    person, browser = await house.add_person(matched_days_ago=1), house.browser()
    await start(browser, person.name, person.document)
    assert not house.authorities.asked, "a claim alone asks nobody about a number in use"
    await send(browser, code=await read_code(house, person))
    house.authorities.answers[CheckKind.PHONE] = answer
    page = await send(browser, bank_card=BANK_CARD)
    assert page.status_code == 422
    assert "没有核对成功" in page.text, "which of them did not match is not told"
    assert (await read_phone(house, person.person_id))[0] == state
    page = await send(browser, password=CHOSEN)
    assert find_code(page) == "step_repeated"


async def test_s37_after_the_code_a_silent_operator_is_named_and_asked_again_alone(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    del house.authorities.answers[CheckKind.PHONE]
    page = await send(browser, bank_card=BANK_CARD)
    assert page.status_code == 503
    assert "手机号所属的运营商" in page.text
    asked = len(house.authorities.asked)
    house.authorities.answers[CheckKind.PHONE] = CheckResult.MATCH
    page = await send(browser, bank_card=BANK_CARD)
    assert 'name="password"' in page.text
    assert [c.kind for c in house.authorities.asked[asked:]] == [CheckKind.PHONE]
    (row,) = await house.database.fetch(
        "SELECT matched_at FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'", person.person_id
    )
    assert row["matched_at"] == house.clock.now


async def test_claims_of_strangers_neither_spend_the_owners_checks_nor_silence_the_recovery(house: House) -> None:
    person = await add_long_gone(house)
    for stranger in range(3):
        await start(house.browser(f"198.51.100.{60 + stranger}"), person.name, person.document)
        await house.deliver()
        house.clock.advance(3_700)
    browser = house.browser()
    await reach_items(house, browser, person)
    house.authorities.answers[CheckKind.BANK_CARD] = CheckResult.MISMATCH
    assert "没有核对成功" in (await send(browser, bank_card=BANK_CARD)).text
    assert "没有核对成功" in (await send(browser, bank_card=BANK_CARD)).text
    house.authorities.answers[CheckKind.BANK_CARD] = CheckResult.MATCH
    assert 'name="password"' in (await send(browser, bank_card=BANK_CARD)).text


async def test_one_code_more_is_the_newest_and_works(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await start(browser, person.name, person.document)
    first = await read_code(house, person)
    house.clock.advance(61)
    await send(browser, resend="1")
    assert await count_messages(house, person) == 2
    second = await read_code(house, person)
    if first != second:
        assert (await send(browser, code=first)).status_code == 422
    assert 'name="bank_card"' in (await send(browser, code=second)).text


async def test_a_form_of_a_step_sent_twice_changes_nothing_the_second_time(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await start(browser, person.name, person.document)
    coded = {**browser.fields(), "code": await read_code(house, person)}
    await send(browser, code=coded["code"])
    page = await browser.client.post("/recover", data=coded)
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    given = {**browser.fields(), "bank_card": BANK_CARD}
    await send(browser, bank_card=BANK_CARD)
    asked = len(house.authorities.asked)
    for form in (given, {**given, "step": ""}, {name: value for name, value in given.items() if name != "step"}):
        assert find_code(await browser.client.post("/recover", data=form)) == "step_repeated"
    assert len(house.authorities.asked) == asked, "nobody was asked a second time"
    chosen = {**browser.fields(), "password": CHOSEN}
    for step in ("", "0", given["step"]):
        assert find_code(await browser.client.post("/recover", data={**chosen, "step": step})) == "step_repeated"
    assert await house.passwords.verify(person.person_id, PASSWORD), "nothing was changed"
    assert find_left(await browser.follow(await browser.client.post("/recover", data=chosen)))


TAKE_OVER = "DELETE FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'"


@pytest.mark.parametrize(
    "loss", [TAKE_OVER, "UPDATE person_identifiers SET state = 'frozen' WHERE person_id = $1 AND kind = 'phone'"], ids=["taken", "frozen"]
)
async def test_a_number_lost_between_code_and_password_brings_nobody_back(house: House, loss: str) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    await house.database.write(loss, person.person_id)
    page = await send(browser, password=CHOSEN)
    assert (page.status_code, find_code(page)) == (410, "recovery_gone")
    assert browser.session() is None
    assert await house.passwords.verify(person.person_id, PASSWORD)


async def test_a_number_lost_in_the_middle_of_the_last_step_brings_nobody_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    choose = house.passwords.choose

    async def lose(*given: Any) -> str:
        await house.database.write(TAKE_OVER, person.person_id)
        return await choose(*given)

    monkeypatch.setattr(house.passwords, "choose", lose)
    page = await send(browser, password=CHOSEN)
    assert find_code(page) == "recovery_gone"
    assert browser.session() is None
    assert await house.passwords.verify(person.person_id, PASSWORD)


@pytest.mark.parametrize("column", ["passwords SET changed_at", "people SET recovered_at"])
async def test_a_password_changed_after_the_code_is_not_changed_back(house: House, column: str) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    key = "person_id" if column.startswith("passwords") else "id"
    await house.database.write(f"UPDATE {column} = $2 WHERE {key} = $1", person.person_id, house.clock.advance(1))
    page = await send(browser, password=CHOSEN)
    assert find_code(page) == "recovery_gone"
    assert browser.session() is None
    assert await house.passwords.verify(person.person_id, PASSWORD)


async def walk(house: House, browser: Browser, name: str, document: str) -> list[tuple[int, str]]:
    """Claim somebody, ask again, type wrong codes until all is locked; return everything that was seen."""
    page = await start(browser, name, document, fresh_after=house.clock.advance(1))
    seen = [(page.status_code, blank(page.text))]
    for step in range(16):
        page = await send(browser, **({"resend": "1"} if step in (1, 2, 3, 9) else {"code": "000000"}))
        seen.append((page.status_code, re.sub(r"\d\d:\d\d", "", blank(page.text))))
        await house.afterwards.settle()
        house.clock.advance(61 if step % 2 else 7)
    return seen


async def test_unknown_people_behave_exactly_alike(house: House) -> None:
    person, phoneless = await house.add_person(), await house.add_person(phone=False)
    claims = [(person.name, person.document), (person.name, house.make_document()), (phoneless.name, phoneless.document)]
    walks = [await walk(house, house.browser(f"203.0.113.{n}"), *claim) for n, claim in enumerate(claims)]
    assert len({status for status, _ in walks[0]}) >= 3
    assert walks[1:] == [walks[0]] * 2
    fresh = house.browser("203.0.113.99")
    other = await house.add_person()
    assert await walk(house, fresh, "李大海", other.document) == walks[0]
    assert await count_messages(house, other) == 0


async def test_an_item_that_does_not_match_is_not_named_and_another_may_be_tried(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    house.authorities.answers[CheckKind.BANK_CARD] = CheckResult.MISMATCH
    page = await send(browser, bank_card=BANK_CARD)
    assert page.status_code == 422
    assert "没有核对成功" in page.text
    page = await send(browser, housing_fund_account=FUND)
    assert 'name="password"' in page.text


async def test_the_phone_alone_and_nothing_at_all_are_not_enough(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    asked = len(house.authorities.asked)
    for typed in ({}, {"phone_check": "1"}, {"bank_card": " "}):
        page = await send(browser, **typed)
        assert page.status_code == 422
        assert "至少填写一项" in page.text
    page = await send(browser, social_security_card=person.document)
    assert page.status_code == 422
    page = await send(browser, bank_card="6228480000000000012")
    assert "银行卡号" in page.text
    assert len(house.authorities.asked) == asked, "nobody was asked"
    page = await send(browser, password=CHOSEN)
    assert find_code(page) == "step_repeated", "no step is skipped"


async def test_s37_a_silent_authority_is_named_and_costs_nothing(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    del house.authorities.answers[CheckKind.BANK_CARD]
    for _ in range(4):
        page = await send(browser, bank_card=BANK_CARD)
        assert page.status_code == 503
        assert "银行卡联网机构" in page.text
    house.authorities.answers[CheckKind.BANK_CARD] = CheckResult.MATCH
    assert 'name="password"' in (await send(browser, bank_card=BANK_CARD)).text


async def test_checks_are_limited_a_day(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    house.authorities.answers[CheckKind.BANK_CARD] = CheckResult.MISMATCH
    pages = [(await send(browser, bank_card=BANK_CARD)).text for _ in range(4)]
    assert "今天的已经用完" in pages[-1]
    assert "换一项核对" in pages[-1]
    assert sum(c.kind is CheckKind.BANK_CARD for c in house.authorities.asked) <= 3


async def test_s21_who_the_register_does_not_know_is_refused_with_its_own_code(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    house.authorities.answers[CheckKind.IDENTITY] = CheckResult.NOT_FOUND
    page = await send(browser, bank_card=BANK_CARD)
    assert (page.status_code, find_code(page)) == (403, "register_unknown")
    rows = await house.database.fetch(
        "SELECT details FROM audit_events WHERE person_id = $1 AND kind = 'recovery_refused'", person.person_id
    )
    assert ["register_unknown" in row["details"] for row in rows] == [True]
    assert await house.passwords.verify(person.person_id, PASSWORD), "nothing was changed"


@pytest.mark.parametrize(
    "password, words", [("short", "8到128"), ("woaini1314", "很多人都在用"), ("OWN", "姓名、证件号码或手机号"), ("", "请输入密码")]
)
async def test_a_weak_password_is_refused_and_the_page_stays(house: House, password: str, words: str) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    page = await send(browser, password=person.document if password == "OWN" else password)
    assert page.status_code == 422
    assert words in page.text
    assert find_left(await send(browser, password=CHOSEN)) == {"acr": Acr.LOW.value}


async def test_it_is_used_once_and_belongs_to_one_browser(house: House) -> None:
    person, browser, thief = await house.add_person(), house.browser(), house.browser("203.0.113.8")
    await reach_items(house, browser, person)
    await send(browser, bank_card=BANK_CARD)
    fields = browser.fields()
    stolen = await thief.client.post("/recover", data={**fields, "password": CHOSEN})
    assert stolen.status_code == 403
    forged = await browser.client.post("/recover", data={**fields, "csrf": "forged", "password": CHOSEN})
    assert forged.status_code == 403
    await send(browser, password=CHOSEN)
    again = await browser.client.post("/recover", data={**fields, "password": "another long one"})
    assert again.status_code == 410
    assert await house.passwords.verify(person.person_id, CHOSEN)


async def test_it_is_forgotten_after_half_an_hour(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await reach_items(house, browser, person)
    house.clock.advance(int(timedelta(minutes=30).total_seconds()))
    page = await send(browser, bank_card=BANK_CARD)
    assert (page.status_code, find_code(page)) == (410, "recovery_gone")


async def test_it_can_be_begun_without_a_department_and_begun_anew(house: House) -> None:
    browser = house.browser()
    page = await browser.follow(await browser.get("/recover"))
    assert 'name="id_number"' in page.text
    person = await house.add_person()
    await send(browser, name=person.name, document_kind="resident_id", id_number=person.document)
    i = browser.fields()["i"]
    page = await browser.follow(await browser.get(f"/recover?i={i}&again=1"))
    assert 'name="name"' in page.text


@pytest.mark.parametrize(
    "typed, words",
    [
        ({"name": "", "document_kind": "resident_id", "id_number": NOBODY}, "请填写姓名"),
        ({"name": "王小明", "document_kind": "resident_id", "id_number": "44010619881115567"}, "17位"),
        ({"name": "王小明", "document_kind": "library_card", "id_number": NOBODY}, "请选择证件类型"),
    ],
)
async def test_slips_of_the_pen_are_told(house: House, typed: dict[str, str], words: str) -> None:
    browser = house.browser()
    i = await browser.begin()
    await browser.open(i)
    await browser.get(f"/recover?i={i}")
    page = await send(browser, **typed)
    assert page.status_code == 422
    assert words in page.text
    assert not house.authorities.asked
