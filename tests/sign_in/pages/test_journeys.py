"""Signing in as a person sees it: pages, forms and cookies on a real database."""

import asyncio
import re
from datetime import timedelta

import pytest

from idp.kernel.levels import Acr
from idp.people.rules.person import Status
from idp.platform.database import Database
from idp.platform.password_hashing import Overloaded
from idp.sign_in.rules.interaction import SignInNeeded
from tests.sign_in.house import DEPARTMENT, DEPARTMENT_EN, HASHING, HOME, PASSWORD, House, find_code, find_left, find_way
from tests.support.clocks import ManualClock

SUBSTANTIAL = Acr.SUBSTANTIAL.value


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def test_a_password_opens_a_session_and_leads_back_to_the_department(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await browser.sign_in(person)
    assert page.status_code == 200
    assert find_left(page) == {"acr": Acr.LOW.value}
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert session.person_id == person.person_id
    assert await house.audit_kinds(person.person_id) == ["person_seeded", "sign_in_succeeded"]


async def test_the_phone_is_an_identifier_too(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=f" {person.phone.removeprefix('+86')} ", password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_substantial_asks_the_code_of_the_phone(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    assert DEPARTMENT in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert f"{person.phone[3:6]}****{person.phone[-4:]}" in page.text
    assert person.phone.removeprefix("+86") not in page.text
    assert browser.session() is None
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}
    assert await house.audit_kinds(person.person_id) == ["code_sent", "person_seeded", "sign_in_succeeded"]
    assert house.sms[-1]["template"] == "sign_in_code"
    assert house.sms[-1]["parameters"]["name"] == "*小明"


async def test_reloading_the_code_page_sends_nothing_more(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    assert await house.count_sms() == 1
    for _ in range(3):
        page = await browser.open(i)
        assert 'name="code"' in page.text
    assert await house.count_sms() == 0


@pytest.mark.parametrize("known", [True, False])
async def test_the_bad_password_page_never_says_who_exists(house: House, known: bool) -> None:
    person, other, browser = await house.add_person(), await house.add_person(phone=False), house.browser()
    nobody = "440106198811155674"
    await browser.open(await browser.begin())
    page = await browser.post(identifier=person.document if known else nobody, password="wrong")
    assert page.status_code == 422
    reference = house.browser("198.51.100.1")
    await reference.open(await reference.begin())
    expected = await reference.post(identifier=other.document, password="wrong")

    def blank(text: str) -> str:
        text = re.sub(r'value="[^"]*"', "", text)
        return re.sub(r"i=[A-Za-z0-9_-]+", "", text)

    assert blank(page.text) == blank(expected.text)
    assert "wrong" not in browser.fields().values()
    assert 'value="wrong"' not in page.text


async def test_what_was_typed_stays_but_never_the_password(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    page = await browser.post(identifier=person.document, password="my secret words")
    assert person.document in page.text
    assert "my secret words" not in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


@pytest.mark.parametrize(
    "typed, words",
    [
        ({"identifier": "", "password": ""}, "请输入密码"),
        ({"identifier": "11010119500228001", "password": "x"}, "18位"),
        ({"identifier": "110101195002280018", "password": "x"}, "可能有一位输错了"),
        ({"identifier": "１１０１０１ １９５００２２８ ００１８", "password": "x"}, "可能有一位输错了"),
        ({"identifier": "1380013800", "password": "x"}, "11位"),
        ({"identifier": "1" * 101, "password": "x"}, "太长"),
        ({"identifier": "110101195002280019", "password": "x" * 301}, "太长"),
    ],
)
async def test_slips_of_the_pen_are_told_and_cost_nothing(house: House, typed: dict[str, str], words: str) -> None:
    browser = house.browser()
    await browser.open(await browser.begin())
    page = await browser.post(**typed)
    assert page.status_code == 422
    assert words in page.text


async def test_a_new_session_id_at_every_sign_in(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    first = browser.session()
    house.clock.advance(1)
    i = await browser.begin(fresh_after=house.clock.now)
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    second = browser.session()
    assert first is not None
    assert second not in (None, first)
    assert await house.sessions.read(first) is None
    assert await house.sessions.read(second) is not None


async def test_a_planted_session_cookie_is_never_adopted(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    browser.client.cookies.set(house.names.session, "A" * 43)
    await browser.sign_in(person)
    cookies = [c.value for c in browser.client.cookies.jar if c.name == house.names.session]
    assert any(value is not None and value != "A" * 43 and len(value) == 43 for value in cookies)
    assert await house.sessions.read("A" * 43) is None


async def test_another_person_replaces_the_session(house: House) -> None:
    one, other, browser = await house.add_person(), await house.add_person(), house.browser()
    await browser.sign_in(one)
    first = browser.session()
    house.clock.advance(1)
    await browser.open(await browser.begin(fresh_after=house.clock.now))
    await browser.submit(identifier=other.document, password=PASSWORD)
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert session.person_id == other.person_id
    assert await house.sessions.read(first) is None


async def test_a_foreign_browser_cannot_go_on(house: House) -> None:
    browser, foreign = house.browser(), house.browser()
    i = await browser.begin()
    page = await foreign.get(f"/sign-in?i={i}")
    assert (page.status_code, find_code(page)) == (403, "foreign_browser")
    await foreign.begin()
    page = await foreign.get(f"/continue?i={i}")
    assert (page.status_code, find_code(page)) == (403, "foreign_browser")
    assert (await browser.open(i)).status_code == 200


@pytest.mark.parametrize("i", ["", "nonsense", "x" * 500, "../../etc"])
async def test_an_unknown_flow_says_start_again(house: House, i: str) -> None:
    browser = house.browser()
    await browser.begin()
    for path in ("/sign-in", "/continue"):
        page = await browser.get(f"{path}?i={i}")
        assert (page.status_code, find_code(page)) == (410, "interaction_expired")


async def test_a_form_without_its_token_is_refused(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    fields = browser.fields()
    for forged in ({**fields, "csrf": ""}, {**fields, "csrf": "x"}, {k: v for k, v in fields.items() if k != "csrf"}):
        page = await browser.post(forged, identifier=person.document, password=PASSWORD)
        assert (page.status_code, find_code(page)) == (403, "form_forged")
    page = await browser.follow(await browser.post(fields, identifier=person.document, password=PASSWORD))
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_a_form_of_an_older_step_is_told_and_the_flow_goes_on(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    old = browser.fields()
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.post(old, identifier=person.document, password=PASSWORD)  # Back, and sent again
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    link = re.search(r'id="back" href="(/continue\?i=[^"]+)"', page.text)
    assert link is not None
    page = await browser.follow(await browser.get(link[1]))
    assert 'name="code"' in page.text
    assert await house.count_sms() == 1
    page = await browser.submit(code=house.sms[-1]["parameters"]["code"])
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_double_submit_opens_one_session(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    fields = browser.fields()
    pages = await asyncio.gather(*(browser.post(fields, identifier=person.document, password=PASSWORD) for _ in range(4)))
    assert sorted(p.status_code for p in pages) == [303, 409, 409, 409]
    rows = await house.database.fetch("SELECT count(*) AS n FROM sessions WHERE person_id = $1", person.person_id)
    assert rows[0]["n"] == 1


async def test_a_double_submit_of_the_code_uses_it_once(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    code, fields = await house.read_code(), browser.fields()
    pages = await asyncio.gather(*(browser.post(fields, code=code) for _ in range(4)))
    assert sorted(p.status_code for p in pages)[0] == 303
    assert all(p.status_code in (409, 422) for p in pages if p.status_code != 303)
    assert sum(p.status_code == 303 for p in pages) == 1


async def test_two_tabs_do_not_disturb_each_other(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    one, other = await browser.begin(), await browser.begin(Acr.SUBSTANTIAL)
    await browser.open(one)
    fields_of_one = browser.fields()
    await browser.open(other)
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.follow(await browser.post(fields_of_one, identifier=person.document, password=PASSWORD))
    assert find_left(page) == {"acr": Acr.LOW.value}
    await browser.open(other)
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_finished_flow_cannot_be_used_again(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin()
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    for path in ("/sign-in", "/continue"):
        page = await browser.get(f"{path}?i={i}")
        assert (page.status_code, find_code(page)) == (410, "interaction_finished")
        assert find_way(page) == (HOME, f"到{DEPARTMENT}继续")
        page = await browser.get(f"{path}?i={i}&lang=en")
        assert find_way(page) == (HOME, f"Continue at {DEPARTMENT_EN}")
        await browser.get("/?lang=zh-CN")


async def test_a_finished_front_page_flow_leads_on_to_the_front_page(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.follow(await browser.get("/"))
    i = browser.fields()["i"]
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.get(f"/sign-in?i={i}")
    assert find_code(page) == "interaction_finished"
    assert find_way(page) == ("/", "继续")


async def test_a_flow_that_cannot_go_on_offers_to_start_again(house: House) -> None:
    browser, foreign = house.browser(), house.browser()
    i = await browser.begin()
    await browser.open(i)
    at_department = (HOME, f"到{DEPARTMENT}重新登录")
    assert find_way(await foreign.get(f"/sign-in?i={i}")) == at_department
    assert find_way(await browser.post({**browser.fields(), "csrf": "x"})) == at_department
    assert find_way(await browser.get("/continue?i=unknown")) == ("/", "重新开始")
    assert find_way(await browser.get("/continue?i=unknown&lang=en")) == ("/", "Start again")
    house.clock.advance(3_600)
    page = await browser.get(f"/sign-in?i={i}")
    assert find_code(page) == "interaction_expired"
    assert find_way(page) == (HOME, f"Start again at {DEPARTMENT_EN}")


async def test_the_department_is_named_in_the_language_of_the_page_also_after_a_switch(house: House) -> None:
    person, browser = await house.add_person(ial=3), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    assert DEPARTMENT in (await browser.open(i)).text
    page = await browser.get(f"/sign-in?i={i}&lang=en")
    assert DEPARTMENT_EN in page.text
    assert DEPARTMENT not in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert DEPARTMENT_EN in page.text
    page = await browser.submit(code=await house.read_code())
    assert f"Returning to {DEPARTMENT_EN}" in page.text
    banned = await house.add_person(status=Status.FROZEN)
    page = await browser.open(await browser.begin(fresh_after=house.clock.now + timedelta(seconds=1)))
    house.clock.advance(2)
    await browser.submit(identifier=banned.document, password=PASSWORD)
    page = await browser.submit(code=await house.read_code())
    assert find_code(page) == "account_frozen"
    assert DEPARTMENT_EN in page.text
    assert find_way(page) == (HOME, f"Back to {DEPARTMENT_EN}")


async def test_a_second_department_needs_no_page(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    page = await browser.open(await browser.begin())
    assert find_left(page) == {"acr": Acr.LOW.value}


@pytest.mark.parametrize("body", [b"i=%FF", b"i=a&i=b", b"i=%00", b"%zz=1", b"=&" * 100])
async def test_unreadable_forms_are_a_clear_page(house: House, body: bytes) -> None:
    browser = house.browser()
    await browser.begin()
    page = await browser.client.post("/sign-in", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert (page.status_code, find_code(page)) == (400, "bad_form")


async def test_a_wrong_code_says_how_many_tries_are_left(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    code = await house.read_code()
    wrong = "000000" if code != "000000" else "111111"
    for left in ("4", "3", "2", "1"):
        page = await browser.post(code=wrong)
        assert page.status_code == 422
        assert f"还可以试{left}次" in page.text
    page = await browser.post(code=wrong)
    assert "作废" in page.text
    page = await browser.post(code=code)
    assert page.status_code == 422
    assert "作废" in page.text
    house.clock.advance(61)
    page = await browser.post(resend="1")
    assert page.status_code == 200
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_new_code_kills_the_old_one(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    old = await house.read_code()
    house.clock.advance(61)
    await browser.post(resend="1")
    new = await house.read_code()
    if old != new:
        assert (await browser.post(code=old)).status_code == 422
    assert find_left(await browser.submit(code=new)) == {"acr": SUBSTANTIAL}


async def test_an_old_code_is_gone(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    code = await house.read_code()
    house.clock.advance(300)
    page = await browser.post(code=code)
    assert page.status_code == 422
    assert "失效" in page.text


async def test_a_level_that_cannot_be_reached_ends_without_a_circle(house: House) -> None:
    person, browser = await house.add_person(ial=2), house.browser()
    page = await browser.sign_in(person, Acr.SUBSTANTIAL)
    assert find_left(page) == {"acr": Acr.LOW.value}
    page = await browser.open(await browser.begin(Acr.HIGH))  # and with a live session too
    assert find_left(page) == {"acr": Acr.LOW.value}
    assert await house.count_sms() == 0


async def test_a_flow_in_the_middle_of_its_questions_goes_on_asking(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    house.clock.advance(1)
    i = await browser.begin(Acr.SUBSTANTIAL, fresh_after=house.clock.now)
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    asked = len(house.department.seen)
    page = await browser.open(i)
    assert 'name="code"' in page.text
    assert len(house.department.seen) == asked
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_kind_that_is_never_content_ends_instead_of_going_round(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)

    async def never(*_: object) -> SignInNeeded:
        return SignInNeeded()

    monkeypatch.setattr(house.department, "decide", never)
    page = await browser.open(await browser.begin())
    assert find_code(page) == "interaction_expired"


async def test_too_many_passwords_at_once_are_told_and_not_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(), house.browser("203.0.113.60")

    async def refuse(verifier: str | None, password: str, **visit: object) -> None:
        raise Overloaded

    await browser.open(await browser.begin())
    with monkeypatch.context() as patched:
        patched.setattr(HASHING, "verify", refuse)
        for _ in range(12):
            page = await browser.post(identifier=person.document, password=PASSWORD)
            assert page.status_code == 503
            assert page.headers["retry-after"]
            assert person.document in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_a_closing_account_reaches_its_own_page_only(house: House) -> None:
    person, browser = await house.add_person(status=Status.CLOSING), house.browser()
    page = await browser.sign_in(person)
    assert find_code(page) == "account_closing"
    await browser.follow(await browser.get("/"))
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert "*小明" in page.text
    page = await browser.open(await browser.begin())
    assert find_code(page) == "account_closing"


@pytest.mark.parametrize("status", [Status.PENDING, Status.FROZEN, Status.UNBAN_REQUESTED, Status.CLOSED, Status.DECEASED])
async def test_no_other_status_signs_in(house: House, status: Status) -> None:
    person, browser = await house.add_person(status=status), house.browser()
    page = await browser.sign_in(person)
    assert page.status_code == 403
    assert find_code(page).startswith("account_")
    assert browser.session() is None


@pytest.mark.parametrize(
    "typed, words",
    [
        ("", "请输入短信中的验证码"),
        (" ", "请输入短信中的验证码"),
        ("1" * 21, "验证码是6位数字"),
        ("12345", "验证码是6位数字"),
        ("1234567", "验证码是6位数字"),
        ("12345a", "验证码是6位数字"),
    ],
)
async def test_a_code_that_is_none_costs_no_try(house: House, typed: str, words: str) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    for _ in range(6):
        page = await browser.post(code=typed)
        assert page.status_code == 422
        assert words in page.text
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_code_may_be_typed_in_full_width_and_with_spaces(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    await browser.submit(identifier=person.document, password=PASSWORD)
    code = await house.read_code()
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    page = await browser.submit(code=f" {wide[:3]}　{wide[3:]} ")
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_a_code_that_was_not_sent_is_not_said_to_be_sent_and_comes_when_the_wait_is_over(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person, Acr.SUBSTANTIAL)
    house.clock.advance(30)
    i = await browser.begin(Acr.SUBSTANTIAL, fresh_after=house.clock.now)
    await browser.open(i)
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert page.status_code == 429
    assert "30秒" in page.text
    assert "已发送到" not in page.text
    assert await house.count_sms() == 0
    house.clock.advance(30)
    page = await browser.open(i)
    assert page.status_code == 200
    assert "已发送到" in page.text
    assert find_left(await browser.submit(code=await house.read_code())) == {"acr": SUBSTANTIAL}


async def test_a_kind_of_a_later_release_says_start_again(house: House) -> None:
    browser = house.browser()
    cookie = house.interactions.make_browser_cookie()
    browser.client.cookies.set(house.names.browser, cookie)
    interaction = await house.interactions.begin("later", cookie)
    page = await browser.get(f"/continue?i={interaction.id}")
    assert find_code(page) == "interaction_expired"


async def test_of_two_requests_that_leave_one_gets_the_address(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    i = await browser.begin()
    pages = await asyncio.gather(*(browser.client.get(f"/continue?i={i}") for _ in range(3)))
    assert sorted(p.status_code for p in pages) == [200, 410, 410]


async def test_a_kind_that_wants_more_than_can_be_reached_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(ial=2), house.browser()

    async def insist(*_: object) -> SignInNeeded:
        return SignInNeeded()

    monkeypatch.setattr(house.department, "decide", insist)
    page = await browser.sign_in(person, Acr.SUBSTANTIAL)
    assert (page.status_code, find_code(page)) == (403, "level_unreachable")


async def test_every_page_speaks_english_too(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    page = await browser.get(f"/sign-in?i={i}&lang=en")
    assert '<html lang="en"' in page.text
    page = await browser.submit(identifier=person.document, password="wrong")
    assert '<html lang="en"' in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert 'name="code"' in page.text
    assert '<html lang="en"' in page.text


async def test_factors_of_a_flow_left_lying_are_asked_again(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    await browser.open(i)
    await browser.submit(identifier=person.document, password=PASSWORD)
    house.clock.advance(1_800)
    page = await browser.open(i)
    assert 'name="password"' in page.text
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": SUBSTANTIAL}


async def test_the_front_page_greets_by_the_masked_name(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await browser.follow(await browser.get("/"))
    assert 'name="identifier"' in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert page.request.url.path == "/"
    assert "*小明" in page.text
    assert "王小明" not in page.text
    page = await browser.get("/?lang=en")
    assert "You are signed in" in page.text
