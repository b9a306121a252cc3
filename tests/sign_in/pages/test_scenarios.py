"""Numbered acceptance scenarios of the sign-in: S01, S02, S04, S14, S16 and the sign-in's part of S49."""

import asyncio
import re

import pytest

from idp.kernel.levels import Acr, Factor
from idp.people.rules.person import Status, StatusEvent
from idp.platform.database import Database
from tests.sign_in.house import DEPARTMENT, PASSWORD, Browser, House, Made, find_code, find_left
from tests.support.clocks import ManualClock

NOBODY = "440106198811155674"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def blank(text: str) -> str:
    """Return a page without what differs between two flows anyway."""
    return re.sub(r'value="[^"]*"|i=[A-Za-z0-9_-]+|id="[^"]*"', "", text)


async def guess(house: House, browser: Browser, identifier: str, times: int) -> list[tuple[int, str]]:
    """Try wrong passwords, waiting as long as the page says, and return what was seen."""
    house.clock.advance(1)
    await browser.open(await browser.begin(fresh_after=house.clock.now))
    seen = []
    for _ in range(times):
        page = await browser.post(identifier=identifier, password="a wrong one")
        seen.append((page.status_code, blank(page.text)))
        if page.status_code == 429 and "已暂停" not in page.text:
            house.clock.advance(int(page.headers["retry-after"]))
    return seen


async def try_right(browser: Browser, person: Made) -> int:
    """Try the right password in a fresh flow, whatever session there is, and return the status."""
    browser.house.clock.advance(1)
    await browser.open(await browser.begin(fresh_after=browser.house.clock.now))
    return (await browser.post(identifier=person.document, password=PASSWORD)).status_code


async def test_s01_ten_wrong_passwords_lock_that_way_there(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    seen = await guess(house, browser, person.document, 30)
    statuses = [status for status, _ in seen]
    assert statuses[:5] == [422] * 5
    assert statuses[5] == 429  # a delay after the fifth
    wrong = [n for n, (status, _) in enumerate(seen) if status == 422]
    locked = [n for n, (_, text) in enumerate(seen) if "密码登录已暂停" in text]
    assert len(wrong) == 9  # the tenth is answered by the lock itself
    assert locked[0] > wrong[-1]
    assert set(locked) == set(range(locked[0], 30))
    assert "15分钟" in seen[locked[0]][1]
    assert await try_right(house.browser(), person) == 429  # the same network, another browser
    house.clock.advance(15 * 60)
    assert await try_right(browser, person) == 303
    assert "sign_in_locked" in await house.audit_kinds(person.person_id)


async def test_s01_unknown_identifiers_behave_exactly_alike(house: House) -> None:
    person = await house.add_person()
    known = await guess(house, house.browser("203.0.113.5"), person.document, 20)
    house.clock.advance(3_600)
    unknown = await guess(house, house.browser("203.0.113.5"), NOBODY, 20)
    times = re.compile(r"\d\d:\d\d")
    assert [(s, times.sub("", t)) for s, t in known] == [(s, times.sub("", t)) for s, t in unknown]


async def test_s01_a_known_device_and_another_network_still_work(house: House) -> None:
    person, own = await house.add_person(), house.browser()
    await own.sign_in(person)
    await guess(house, house.browser(), person.document, 30)
    assert await try_right(house.browser(), person) == 429
    assert await try_right(own, person) == 303
    assert await try_right(house.browser("198.51.100.9"), person) == 303


async def test_s01_a_known_device_of_somebody_else_helps_nobody(house: House) -> None:
    person, stranger, browser = await house.add_person(), await house.add_person(), house.browser("203.0.113.77")
    await browser.sign_in(stranger)
    await guess(house, browser, person.document, 30)
    assert await try_right(browser, person) == 429
    assert await try_right(browser, stranger) == 303


async def test_s01_made_up_device_cookies_open_no_further_counts(house: House) -> None:
    person, browser = await house.add_person(), house.browser("203.0.113.78")
    await browser.open(await browser.begin())
    statuses = []
    for n in range(12):
        browser.client.cookies.set(house.names.device, f"{n:043d}")
        page = await browser.post(identifier=person.document, password="a wrong one")
        statuses.append(page.status_code)
        house.clock.advance(int(page.headers.get("retry-after", 0)) if "已暂停" not in page.text else 0)
    assert statuses[5] == 429
    await guess(house, browser, person.document, 12)
    browser.client.cookies.set(house.names.device, "z" * 43)
    assert await try_right(browser, person) == 429


async def test_s01_a_burst_is_bounded_like_a_queue(house: House) -> None:
    person = await house.add_person()
    browsers = [house.browser("203.0.113.200") for _ in range(16)]
    for browser in browsers:
        await browser.open(await browser.begin())
    pages = await asyncio.gather(*(b.post(identifier=person.document, password="a wrong one") for b in browsers))
    rows = await house.database.fetch(
        """SELECT count(*) FILTER (WHERE details LIKE '%"wrong"%') AS wrong, count(*) FILTER (WHERE details LIKE '%"locked"%') AS locked
           FROM audit_events WHERE person_id = $1 AND kind = 'sign_in_failed'""",
        person.person_id,
    )
    assert 0 < rows[0]["wrong"] <= 10
    assert rows[0]["locked"] == 1, "one row tells of all that were not looked at"
    assert sum(p.status_code == 429 for p in pages) >= 6


async def test_a_right_password_forgets_the_wrong_ones(house: House) -> None:
    person, browser = await house.add_person(), house.browser("203.0.113.31")
    for _ in range(4):
        await guess(house, browser, person.document, 4)
        assert await try_right(browser, person) == 303


async def test_s02_five_resends_lock_resending_with_its_own_reason_and_time(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    assert await house.count_sms() == 1
    for _ in range(4):
        house.clock.advance(61)
        page = await browser.post(resend="1")
        assert page.status_code == 200
        assert "新的验证码已发送" in page.text
        code = await house.read_code()
    assert len(house.sms) == 5
    house.clock.advance(61)
    page = await browser.post(resend="1")
    assert page.status_code == 429
    assert "重新发送的次数太多" in page.text
    assert "15分钟" in page.text
    assert await house.count_sms() == 0
    house.clock.advance(60)
    assert "14分钟" in (await browser.post(resend="1")).text
    page = await browser.submit(code=code)  # what was sent stays valid
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    assert "resend_locked" in await house.audit_kinds(person.person_id)


async def test_s02_impatient_resends_count_as_asked(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    pages = [await browser.post(resend="1") for _ in range(5)]
    assert [p.status_code for p in pages] == [429] * 5
    assert all("60秒" in p.text for p in pages[:4])
    assert "重新发送的次数太多" in pages[4].text
    assert await house.count_sms() == 1


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
async def test_s04_a_banned_person_sees_the_banned_page_only_after_password_and_code(house: House, wanted: Acr) -> None:
    person, browser = await house.add_person(status=Status.BANNED), house.browser()
    await browser.open(await browser.begin(wanted))
    page = await browser.post(identifier=person.document, password="a wrong one")
    assert "停用" not in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert 'name="code"' in page.text
    assert "停用" not in page.text
    page = await browser.submit(code=await house.read_code())
    assert (page.status_code, find_code(page)) == (403, "account_banned")
    assert "申诉" in page.text
    assert browser.session() is None
    assert "sign_in_succeeded" not in await house.audit_kinds(person.person_id)


async def test_a_ban_ends_a_live_session(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    async with house.database.transaction() as tx:
        await house.people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.BAN)
    assert await house.sessions.read(browser.session()) is None
    page = await browser.open(await browser.begin())
    assert 'name="identifier"' in page.text, "as for anybody; only who proves everything learns of the ban"
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.submit(code=await house.read_code())
    assert find_code(page) == "account_banned"


@pytest.mark.parametrize("step, wait, words", [(1_800, 1_800, "较长时间没有操作"), (1_200, 43_200, "登录的时间较长")])
async def test_s14_idle_or_total_time_signs_out_with_a_message_and_keeps_the_department(
    house: House, step: int, wait: int, words: str
) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    for _ in range(wait // step - 1):
        house.clock.advance(step)
        page = await browser.open(await browser.begin())
        assert find_left(page) == {"acr": Acr.LOW.value}, "a session in use stays"
        await house.ledger.drain()
    house.clock.advance(step)
    i = await browser.begin()
    page = await browser.open(i)
    assert 'name="identifier"' in page.text
    assert words in page.text
    assert DEPARTMENT in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_s16_a_step_up_asks_only_the_code_and_keeps_the_password(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    first = browser.session()
    house.clock.advance(600)
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    assert page.status_code == 200
    assert 'name="code"' in page.text
    assert 'name="password"' not in page.text
    before = await house.sessions.read(first)
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert before is not None
    assert session.id_hash != before.id_hash
    assert session.expires_at == before.expires_at
    assert {p.factor: (house.clock.now - p.at).total_seconds() for p in session.proved} == {Factor.PASSWORD: 600, Factor.SMS: 0}
    assert await house.sessions.read(first) is None
    assert "step_up_succeeded" in await house.audit_kinds(person.person_id)
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}


async def test_s16_grants_of_other_departments_go_on_after_a_step_up(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    first = await house.sessions.read(browser.session())
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(code=await house.read_code())
    second = await house.sessions.read(browser.session())
    assert first is not None
    assert second is not None
    assert first.id_hash != second.id_hash
    assert first.lineage == second.lineage, "codes and grants follow the lineage"


async def test_s49_an_emptied_store_signs_nobody_out_and_lifts_no_lock(house: House) -> None:
    person, victim, browser = await house.add_person(), await house.add_person(), house.browser("203.0.113.90")
    await browser.sign_in(person)
    await guess(house, house.browser("203.0.113.91"), victim.document, 30)
    resender = house.browser("203.0.113.92")
    await resender.open(await resender.begin(Acr.SUBSTANTIAL))
    await resender.submit(identifier=victim.document, password=PASSWORD)  # locked at its network: not signed in
    assert await house.count_sms() == 0

    await house.database.write("DELETE FROM transients")

    page = await browser.open(await browser.begin())
    assert find_left(page) == {"acr": Acr.LOW.value}
    assert await try_right(house.browser("203.0.113.91"), victim) == 429


async def test_s49_a_lost_flow_says_start_again_and_nothing_works_twice(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    code, fields = await house.read_code(), browser.fields()
    page = await browser.follow(await browser.post(fields, code=code))
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    await house.database.write("DELETE FROM transients")
    page = await browser.post(fields, code=code)
    assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    assert (await browser.get(f"/continue?i={i}")).status_code == 410


async def test_s49_the_resend_lock_and_the_daily_count_survive(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    sent = 0
    for _ in range(12):
        house.clock.advance(3_000)  # within a day of Shanghai: 09:00 to 19:00
        await house.database.write("DELETE FROM transients")
        await browser.open(await browser.begin(Acr.SUBSTANTIAL))
        await browser.submit(identifier=person.document, password=PASSWORD)
        sent += await house.count_sms()
    assert sent == 10


async def test_s49_a_resend_lock_survives(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    for _ in range(5):
        page = await browser.post(resend="1")
    assert "重新发送的次数太多" in page.text
    await house.database.write("DELETE FROM transients")
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert page.status_code == 429
    assert "重新发送的次数太多" in page.text


async def test_s16_a_code_is_not_carried_beyond_the_life_of_the_session_it_was_typed_in(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person, Acr.SUBSTANTIAL)
    born = await house.sessions.read(browser.session())
    assert born is not None
    for _ in range(30):  # the password alone, again and again, for 15 hours
        house.clock.advance(1_700)
        before = await house.sessions.read(browser.session())
        await browser.open(await browser.begin(fresh_after=house.clock.now))
        await browser.submit(identifier=person.document, password=PASSWORD)
        session = await house.sessions.read(browser.session())
        assert session is not None
        if before is None:
            assert {p.factor for p in session.proved} == {Factor.PASSWORD}, "a session that is over gives nothing to the next"
            break
        assert (session.created_at, session.expires_at) == (born.created_at, born.expires_at)
        house.sessions.touch(session)
        await house.ledger.drain()
    else:
        raise AssertionError("the code of the first hour never grew old")
    assert house.clock.now >= born.expires_at
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    assert 'name="code"' in page.text


async def test_s16_who_proves_everything_anew_has_a_new_session(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person, Acr.SUBSTANTIAL)
    house.clock.advance(600)
    await browser.open(await browser.begin(Acr.SUBSTANTIAL, fresh_after=house.clock.now))
    await browser.submit(identifier=person.document, password=PASSWORD)
    await browser.submit(code=await house.read_code())
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert session.created_at == house.clock.now
    assert {p.at for p in session.proved} == {house.clock.now}


async def test_two_tabs_that_sign_in_anew_at_once_leave_one_session(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    house.clock.advance(60)
    tabs = []
    for _ in range(3):
        await browser.open(await browser.begin(fresh_after=house.clock.now))
        tabs.append(browser.fields())
    pages = await asyncio.gather(*(browser.post(f, identifier=person.document, password=PASSWORD) for f in tabs))
    assert sorted(page.status_code for page in pages) == [303, 409, 409], "the others come too late, whenever they look"
    rows = await house.database.fetch("SELECT count(*) AS alive FROM sessions WHERE person_id = $1 AND ended_at IS NULL", person.person_id)
    assert rows[0]["alive"] == 1
    page = await browser.open(tabs[0]["i"])
    assert find_left(page) == {"acr": Acr.LOW.value}, "the others go on with the session that there is"


async def test_a_browser_that_lost_the_answer_with_its_new_session_replaces_it(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    first = browser.session()
    await browser.open(await browser.begin(fresh_after=house.clock.advance(60)))
    await browser.submit(identifier=person.document, password=PASSWORD)
    lost = browser.session()
    assert first is not None
    browser.client.cookies.clear()
    browser.client.cookies.set(house.names.session, first, domain="127.0.0.1")
    house.clock.advance(180)
    await browser.sign_in(person)
    assert await house.sessions.read(browser.session()) is not None
    assert await house.sessions.read(lost) is None


async def test_a_device_cookie_is_taken_over_only_from_the_person_it_knows(house: House) -> None:
    attacker, person = await house.add_person(), await house.add_person()
    planted = "A" * 43
    browser = house.browser()
    browser.client.cookies.set(house.names.device, planted, domain="127.0.0.1")
    await browser.sign_in(person)
    own = browser.client.cookies.get(house.names.device)
    assert own not in (None, planted)
    await browser.open(await browser.begin(fresh_after=house.clock.advance(60)))
    await browser.submit(identifier=person.document, password=PASSWORD)
    assert browser.client.cookies.get(house.names.device) == own, "a device that is known stays the same"
    await browser.open(await browser.begin(fresh_after=house.clock.advance(60)))
    await browser.submit(identifier=attacker.document, password=PASSWORD)
    assert browser.client.cookies.get(house.names.device) not in (own, planted)


async def test_attempts_do_not_tie_a_phone_to_a_document(house: House) -> None:
    seen = []
    for person in (await house.add_person(), None):
        document = person.document if person else house.make_document()
        phone = person.phone if person else "+8613700000000"
        browser = house.browser(f"203.0.{113 if person else 114}.77")
        assert [status for status, _ in await guess(house, browser, document, 6)][-1] == 429, "five wrong ones are followed by a wait"
        seen.append([status for status, _ in await guess(house, browser, phone, 1)])
    assert seen[0] == seen[1] == [422]
