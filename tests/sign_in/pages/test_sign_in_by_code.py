"""Signing in by SMS code: one way of the person's choice, and nothing on any page says who exists."""

import re

import pytest

from idp.kernel.levels import Acr, Factor
from idp.people.rules.person import Status
from idp.platform.database import Database
from tests.sign_in.house import PASSWORD, Browser, House, Made, find_code, find_left
from tests.support.clocks import ManualClock

DIGITS = str.maketrans("abcdef", "012345")


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def blank(text: str) -> str:
    """Return a page without what differs between two flows anyway."""
    return re.sub(r'value="[^"]*"|i=[A-Za-z0-9_-]+|id="[^"]*"|\d\d:\d\d', "", text)


async def ask_code(browser: Browser, identifier: str, wanted: Acr = Acr.LOW) -> str:
    """Choose the way by code from the sign-in page, say who one is, and return the page of the code."""
    i = await browser.begin(wanted, fresh_after=browser.house.clock.advance(1))
    page = await browser.open(i)
    assert f'href="/sign-in?i={i}&amp;way=code"' in page.text
    page = await browser.follow(await browser.get(f"/sign-in?i={i}&way=code"))
    assert 'name="password"' not in page.text
    page = await browser.submit(ask="code", identifier=identifier)
    return page.text


async def count_messages(house: House, person: Made) -> int:
    """Deliver what waits and return how many messages went to this person's phone."""
    await house.deliver()
    return sum(message["phone"] == person.phone for message in house.sms)


async def sign_in_by_code(house: House, browser: Browser, person: Made, identifier: str = "", wanted: Acr = Acr.LOW) -> str:
    """Sign in by code, with the end of the document where it is asked; return the last page."""
    page = await ask_code(browser, identifier or person.document, wanted)
    typed = {"document_end": person.document[-6:]} if 'name="document_end"' in page else {}
    return (await browser.submit(code=await house.read_code(person), **typed)).text


@pytest.mark.parametrize("by", ["document", "phone"])
async def test_a_code_is_one_way_for_low(house: House, by: str) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await ask_code(browser, person.document if by == "document" else person.phone)
    assert 'name="document_end"' in page, "the device is new"
    assert f"****{person.phone[-4:]}" not in page, "nothing of the account is shown before anything is proved"
    await browser.submit(code=await house.read_code(person), document_end=f" {person.document[-6:].lower()} ")
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert session.person_id == person.person_id
    assert {p.factor for p in session.proved} == {Factor.SMS}
    assert "sign_in_succeeded" in await house.audit_kinds(person.person_id)
    rows = await house.database.fetch("SELECT used_at FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'", person.person_id)
    assert rows[0]["used_at"] == house.clock.now


async def test_a_known_device_is_asked_for_the_code_alone(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    page = await ask_code(browser, person.document)
    assert 'name="document_end"' not in page
    page = (await browser.submit(code=await house.read_code(person))).text
    assert "department.example/callback" in page


async def test_substantial_asks_the_password_after_the_code(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await sign_in_by_code(house, browser, person, wanted=Acr.SUBSTANTIAL)
    assert 'name="password"' in page
    assert 'name="identifier"' not in page
    assert browser.session() is None
    last = await browser.post(ask="secret", password="a wrong one")
    assert last.status_code == 422
    assert "a wrong one" not in last.text
    last = await browser.submit(ask="secret", password=PASSWORD)
    assert find_left(last) == {"acr": Acr.SUBSTANTIAL.value}
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert {p.factor for p in session.proved} == {Factor.SMS, Factor.PASSWORD}


async def test_s16_a_session_by_code_is_asked_only_for_the_password(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await sign_in_by_code(house, browser, person)
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    assert 'name="password"' in page.text
    assert 'name="identifier"' not in page.text
    page = await browser.submit(ask="secret", password=PASSWORD)
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    assert await house.count_sms() == 0


async def walk(house: House, browser: Browser, identifier: str) -> list[tuple[int, str]]:
    """Ask for codes, resend, type wrong ones until all is locked; return everything that was seen."""
    await ask_code(browser, identifier)
    assert browser.page is not None
    seen = [(browser.page.status_code, blank(browser.page.text))]
    for step in range(16):
        if step in (1, 2, 3, 9):
            page = await browser.post(resend="1")
        else:
            page = await browser.post(code="000000", document_end="155674")
        seen.append((page.status_code, blank(page.text)))
        house.clock.advance(61 if step % 2 else 7)
    return seen


async def test_unknown_identifiers_behave_exactly_alike(house: House) -> None:
    known, phoneless = await house.add_person(), await house.add_person(phone=False)
    phone = f"139{house.random(4).hex().translate(DIGITS)}"
    claims = (known.document, house.make_document(), phoneless.document, phone)
    walks = [await walk(house, house.browser(f"203.0.113.{n}"), claim) for n, claim in enumerate(claims)]
    assert len({status for status, _ in walks[0]}) >= 3, "sent, wrong and too often were all met"
    assert walks[1:] == [walks[0]] * 3


async def test_both_work_alike_in_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await house.add_person()
    statements: list[str] = []
    fetch = Database.fetch

    async def note(self: Database, statement: str, *arguments: object) -> object:
        statements.append(statement)
        return await fetch(self, statement, *arguments)

    monkeypatch.setattr(Database, "fetch", note)
    lists = []
    for address, identifier in (("198.51.100.1", person.document), ("198.51.100.2", house.make_document())):
        browser = house.browser(address)
        await ask_code(browser, identifier)
        await browser.post(code="000000", document_end="155674")
        lists.append([*statements])
        statements.clear()
    assert lists[0] == lists[1]


async def test_the_message_leaves_only_for_who_has_a_phone(house: House) -> None:
    person, phoneless = await house.add_person(), await house.add_person(phone=False)
    for number, identifier in enumerate((person.document, phoneless.document, house.make_document())):
        await ask_code(house.browser(f"198.51.100.{number + 7}"), identifier)
        assert await count_messages(house, person) == 1
        assert await count_messages(house, phoneless) == 0
        assert not [m for m in house.sms if "nobody" in m["phone"]]
    rows = await house.database.fetch(
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'code_sent' AND result = 'refused' AND person_id IS NULL"
    )
    assert rows[0]["n"] >= 1


async def test_a_wrong_end_of_the_document_costs_a_try_and_is_not_told_apart(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await ask_code(browser, person.document)
    code = await house.read_code(person)
    page = await browser.post(code=code, document_end="000000")
    assert page.status_code == 422
    assert "验证码或证件号码后6位不正确" in page.text
    assert "4次" in page.text
    page = await browser.post(code=code, document_end="12345")
    assert "后6位" in page.text
    page = await browser.submit(code=code, document_end=person.document[-6:])
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_ten_wrong_codes_lock_the_way_by_code_alone(house: House) -> None:
    person, browser = await house.add_person(), house.browser("203.0.113.61")
    await ask_code(browser, person.document)
    locked = False
    for n in range(14):
        page = await browser.post(code="000000", document_end=person.document[-6:])
        locked = "短信登录已暂停" in page.text
        if locked:
            break
        house.clock.advance(int(page.headers.get("retry-after", 0)))
        if "已作废" in page.text or n == 5:
            house.clock.advance(61)
            await browser.post(resend="1")
    assert locked
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}, "the password still opens"


async def test_s04_a_banned_person_hears_nothing_before_both(house: House) -> None:
    person, browser = await house.add_person(status=Status.BANNED), house.browser()
    page = await sign_in_by_code(house, browser, person)
    assert 'name="password"' in page
    assert "停用" not in page
    page = (await browser.submit(ask="secret", password=PASSWORD)).text
    assert "account_banned" in page


async def test_ways_lead_back_and_forth_and_nothing_is_lost(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await ask_code(browser, person.document)
    i = browser.fields()["i"]
    page = await browser.follow(await browser.get(f"/sign-in?i={i}&way=password"))
    assert 'name="password"' in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_a_code_of_this_way_opens_nothing_in_another_browser(house: House) -> None:
    person, one, other = await house.add_person(), house.browser(), house.browser("198.51.100.77")
    await ask_code(one, person.document)
    code = await house.read_code(person)
    house.clock.advance(61)
    await ask_code(other, person.document)
    await house.deliver()
    page = await other.post(code=code, document_end=person.document[-6:])
    assert page.status_code == 422
    page = await one.submit(code=code, document_end=person.document[-6:])
    assert find_left(page) == {"acr": Acr.LOW.value}, "codes are bound to their own flow"


async def test_a_phones_own_limits_are_kept_in_silence(house: House) -> None:
    person = await house.add_person()
    for number, identifier in enumerate((person.document, person.phone, person.document, person.phone)):
        page = await ask_code(house.browser(f"198.51.100.{80 + number}"), identifier)
        assert "如果您填写的信息与账号相符" in page or number > 1
        house.clock.advance(20)
    assert await count_messages(house, person) == 1


async def test_a_form_of_another_step_is_refused(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    fields = browser.fields()
    for typed in ({"ask": "secret", "password": PASSWORD}, {"ask": "new", "password": "another long one"}, {"code": "123456"}):
        assert find_code(await browser.post(fields, **typed)) == "step_repeated"
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_slips_of_the_pen_cost_nothing(house: House) -> None:
    browser = house.browser()
    i = await browser.begin()
    await browser.open(i)
    await browser.get(f"/sign-in?i={i}&way=code")
    for identifier, words in (("", "请输入证件号码"), ("1380013800", "11位"), ("1" * 101, "太长")):
        page = await browser.post(ask="code", identifier=identifier)
        assert page.status_code == 422
        assert words in page.text
        assert not browser.house.authorities.asked
