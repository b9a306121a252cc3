"""What a person is told about codes is true of this page: which code is meant, and whether one was sent at all."""

import pytest

from idp.http.messages import load_messages
from idp.kernel.levels import Acr
from idp.platform.database import Database
from tests.sign_in.house import PASSWORD, Browser, House, Made, find_left
from tests.support.clocks import ManualClock

SENT = "已发送到"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def open_code_page(house: House, person: Made) -> tuple[Browser, str]:
    """Return a browser at the code page of a new flow, and the text of that page."""
    browser = house.browser()
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    return browser, (await browser.submit(identifier=person.document, password=PASSWORD)).text


async def test_a_new_flow_during_a_resend_lock_promises_no_code(house: House) -> None:
    person = await house.add_person()
    first, _ = await open_code_page(house, person)
    for _ in range(5):
        locked = await first.post(resend="1")
    assert "最近一次发送的验证码在有效期内仍可使用" in locked.text
    second, page = await open_code_page(house, person)
    assert "本页没有发送验证码" in page
    assert "仍可使用" not in page
    assert SENT not in page
    for typed in ({"resend": "1"}, {"code": "000000"}, {"code": "1"}):
        page = (await second.post(**typed)).text
        assert SENT not in page, "still nothing was sent"
        assert "仍可使用" not in page
    assert await house.count_sms() == 1
    house.clock.advance(15 * 60)
    page = (await second.post(resend="1")).text
    assert SENT in page
    assert find_left(await second.submit(code=await house.read_code())) == {"acr": Acr.SUBSTANTIAL.value}


async def test_a_second_page_within_the_minute_does_not_send_to_the_message_of_the_first(house: House) -> None:
    person = await house.add_person()
    await open_code_page(house, person)
    second, page = await open_code_page(house, person)
    assert "本页的验证码还没有发送" in page
    assert "请先查看手机" not in page
    page = (await second.post(resend="1")).text
    assert "本页的验证码还没有发送" in page
    assert SENT not in page
    assert await house.count_sms() == 1
    house.clock.advance(60)
    assert SENT in (await second.post(resend="1")).text
    assert await house.count_sms() == 1


async def test_a_wrong_code_asks_for_the_message_of_this_page(house: House) -> None:
    person = await house.add_person()
    one, _ = await open_code_page(house, person)
    code_of_one = await house.read_code()
    house.clock.advance(61)
    other, _ = await open_code_page(house, person)
    page = await one.post(code="000000" if code_of_one != "000000" else "111111")
    assert "本页发送的最新一条短信" in page.text
    assert "重新发送验证码" in page.text
    assert find_left(await one.submit(code=code_of_one)) == {"acr": Acr.SUBSTANTIAL.value}
    assert find_left(await other.submit(code=await house.read_code())) == {"acr": Acr.SUBSTANTIAL.value}


def test_a_ban_promises_no_message_that_nobody_sends() -> None:
    for language, medium, ways in (("zh-CN", "短信", ("12345", "窗口", "申诉")), ("en", "message", ("12345", "window", "appeal"))):
        text = load_messages().refusal(language, "account_banned", {"hotline": "12345"})  # type: ignore[arg-type]
        assert medium not in text.line
        for way in ways:
            assert way in text.line
