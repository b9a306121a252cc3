"""A person registers on the way to a department: every step, and nothing lost on any way through them."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.people.services.requester import Requester
from tests.support.provider import REDIRECT_URI, SESSION, Provider
from tests.support.registering import Registering, count_accounts
from tests.support.web import Web, find_code

_NUMBERS = iter(range(100, 9_000))


@pytest.fixture
def numbers() -> Iterator[int]:
    """Numbers of people whom no other test of this module uses."""
    return _NUMBERS


async def test_a_person_registers_and_arrives_signed_in_at_the_department(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    assert "部门registering（样例）" in web.text, "the page says where one is going"
    page = await web.walk()
    assert web.left_to is not None, page.text
    assert web.left_to.startswith(REDIRECT_URI)
    assert "code" in parse_qs(urlsplit(web.left_to).query)
    assert "账号已经开通" in page.text
    assert web.client.cookies.get(SESSION)
    second = await provider.add_client(f"second-{web.person.id_number[-6:]}")
    await web.begin_authorization(second)
    assert web.left_to is not None, "the second department needs no page"
    assert await count_accounts(provider, web.person) == 1


async def test_every_step_says_where_one_is_and_leads_back(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    for number, step in enumerate(("identity", "code", "items", "password", "agreement"), 1):
        assert web.at == f"/register/{step}"
        assert f"第 {number} 步，共 5 步" in web.text
        assert ('id="back"' in web.text) is (number > 1)
        await web.take(step)


async def test_without_a_department_one_arrives_at_ones_own_page(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.get("/register")
    await web.walk()
    assert web.at == "/"
    assert "您已登录" in web.text


async def test_english_is_equal(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers), language="en")
    await web.begin()
    assert "Step 1 of 5" in web.text
    await web.walk("agreement")
    assert "Service agreement" in web.text
    await web.take("agreement")
    assert web.left_to is not None


async def test_what_stays_on_the_page_is_masked_but_in_the_form_it_was_typed_into(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    own = {web.person.id_number, web.person.phone, web.person.bank_card, web.person.name}
    for step in ("identity", "code", "items", "password", "agreement"):
        if step != "identity":
            assert not [value for value in own if value in web.text], step
        await web.take(step)
    birth = web.person.id_number[6:14]
    assert birth not in web.text


async def test_back_keeps_what_was_typed_and_another_phone_is_proved_anew(provider: Provider, numbers: Iterator[int]) -> None:
    web, other = Registering(provider, next(numbers)), next(numbers)
    await web.begin()
    await web.walk("items")
    await web.follow("back")
    assert web.at == "/register/identity"
    for value in (web.person.name, web.person.id_number, web.person.phone):
        assert f'value="{value}"' in web.text
    await web.identify()
    assert web.at == "/register/items", "nothing was changed, nothing is asked again"
    await web.follow("back")
    web.become(phone=Registering(provider, other).person.phone)
    await web.identify()
    assert web.at == "/register/code"
    await web.confirm()
    assert web.at == "/register/items"


async def test_back_from_password_and_agreement_loses_nothing(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("agreement")
    calls = len(provider.authorities.calls)
    await web.follow("back")
    assert web.at == "/register/password"
    await web.follow("keep")
    assert web.at == "/register/agreement"
    await web.follow("back")
    await web.follow("back")
    assert web.at == "/register/items"
    assert "核对通过，可以继续" in web.text
    await web.follow("go-on")
    assert web.at == "/register/password"
    await web.send(password="another lantern, another harbour")
    assert web.at == "/register/agreement"
    await web.take("agreement")
    assert web.left_to is not None
    assert len(provider.authorities.calls) == calls, "nobody was asked again"


async def test_the_first_step_is_not_filled_in_for_whoever_comes_later(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    provider.clock.advance(31 * 60)
    await web.follow("back")
    assert web.at == "/register/identity"
    assert web.person.id_number not in web.text
    assert web.person.name not in web.text


async def test_an_earlier_visit_is_offered_and_goes_on_to_the_new_department(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    provider.clock.advance(20 * 3_600)
    other = await provider.add_client(f"other-{web.person.id_number[-6:]}")
    await web.begin(other)
    assert web.at == "/register"
    assert web.person.name not in web.text
    await web.submit("/register", go_on="1")
    assert web.at == "/register/code", "whoever sits there now proves the phone"
    assert f"部门{other}（样例）" in web.text
    for step in ("code", "items", "password", "agreement"):
        await web.take(step)
    assert web.left_to is not None


async def test_an_earlier_visit_is_forgotten_on_request(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("password")
    await web.begin()
    await web.submit("/register", restart="1")
    assert web.at == "/register/identity"
    assert web.person.id_number not in web.text
    provider.clock.advance(61)
    await web.walk()
    assert web.left_to is not None


async def test_a_lost_flow_is_begun_anew_and_still_leads_to_the_department(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    await provider.execute("DELETE FROM transients WHERE kind = 'interaction'")
    await web.prove()
    assert web.at == "/register/items"
    assert "页面打开的时间太久" in web.text
    await provider.execute("DELETE FROM transients WHERE kind = 'interaction'")
    await web.get(str(web.page.request.url))  # type: ignore[union-attr]
    assert web.at == "/register/items"
    for step in ("items", "password", "agreement"):
        await web.take(step)
    assert web.left_to is not None
    assert web.left_to.startswith(REDIRECT_URI)


async def test_three_days_later_it_is_over_and_begins_anew(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("password")
    provider.clock.advance(73 * 3_600)
    await web.begin()
    assert web.at == "/register/identity"
    page = await web.get(f"/register/items?i={web.fields()['i']}")
    assert find_code(page) == "draft_expired"
    await web.follow("back")
    assert web.at == "/register/identity"


async def test_of_forms_sent_twice_at_once_each_is_taken_once(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    before = len(provider.authorities.calls)
    items = {**web.fields(), "phone_check": "1", "bank_card": web.person.bank_card}
    pages = await asyncio.gather(*(web.client.post("/register/items", data=items) for _ in range(3)))
    assert {page.status_code for page in pages} <= {303, 422}
    assert len(provider.authorities.calls) == before + 2, "two items, each asked once"
    await web.get(f"/register/items?i={web.fields()['i']}")
    await web.follow("go-on")
    await web.take("password")
    form = {**web.fields(), "agreement": "1"}
    pages = await asyncio.gather(*(web.client.post("/register/agreement", data=form) for _ in range(3)))
    assert {page.status_code for page in pages} == {303}
    assert await count_accounts(provider, web.person) == 1
    await web.get(f"/continue?i={form['i']}")
    assert web.left_to is not None


async def test_an_account_whose_answer_was_lost_is_entered_by_the_next_page(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("agreement")
    kept = {cookie.name: cookie.value for cookie in web.client.cookies.jar}
    await web.client.post("/register/agreement", data={**web.fields(), "agreement": "1"})
    web.client.cookies.clear()
    for name, value in kept.items():
        web.client.cookies.set(name, value or "", domain="127.0.0.1")
    await web.get(f"/register/password?i={web.fields()['i']}")
    assert "账号已经开通" in web.text
    await web.submit("/register/agreement")
    assert web.left_to is not None
    assert web.client.cookies.get(SESSION)


async def test_an_account_whose_answer_and_flow_were_lost_still_leads_to_the_department(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("agreement")
    registration = provider.services.enrolment.registration
    held = await registration.find(web.client.cookies.get("idp_draft"))
    assert held is not None
    # The process died after the account was opened, and the flow with it.
    await registration.accept(held, "zh-CN", Requester())
    await provider.execute("DELETE FROM transients")
    await web.get("/register")
    assert "账号已经开通" in web.text
    await web.submit("/register/agreement")
    assert web.left_to is not None
    assert web.left_to.startswith(REDIRECT_URI)


async def test_who_signs_out_after_registering_stays_signed_out(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk()
    web.client.cookies.delete(SESSION)
    await web.begin()
    assert web.at == "/register/identity", "the finished registration leads nobody in again"


async def test_two_tabs_meet_at_the_step_where_the_registration_stands(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    old = {**web.fields(), "bank_card": web.person.bank_card, "phone_check": "1"}
    await web.prove()
    page = await web.client.post("/register/items", data=old)
    assert page.status_code == 303
    assert page.headers["location"].startswith("/register/password")
    await web.take("password")
    page = await web.client.post("/register/agreement", data={**web.fields(), "step": "1", "agreement": "1"})
    assert page.headers["location"].startswith("/register/agreement"), "another tab moved it: read again, then agree"
    assert await count_accounts(provider, web.person) == 0


async def test_a_stale_form_of_items_comes_back_with_what_was_typed(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    page = await web.send(step="0", phone_check="1", bank_card=web.person.bank_card)
    assert page.status_code == 422
    assert web.person.bank_card in page.text
    await web.prove()
    assert web.at == "/register/password"


async def test_while_authorities_are_asked_the_page_says_so_and_nothing_is_asked_twice(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    address, form = str(web.page and web.page.request.url), {**web.fields(), "phone_check": "1", "bank_card": web.person.bank_card}
    await provider.execute(
        "UPDATE registration_drafts SET checking_until = $1 WHERE expires_at > $1", provider.clock() + timedelta(seconds=10)
    )
    before = len(provider.authorities.calls)
    for page in (await web.get(address), await web._follow(await web.client.post("/register/items", data=form))):
        assert "正在核验" in page.text
        assert "data-look" in page.text
    assert len(provider.authorities.calls) == before
    provider.clock.advance(11)
    await web.follow("look")
    assert web.at == "/register/items", "whoever was asking has died: the step may be taken"
    await web.prove()
    assert web.at == "/register/password"


async def test_a_phone_that_reaches_too_many_people_is_changed_at_the_first_step(provider: Provider, numbers: Iterator[int]) -> None:
    shared = Registering(provider, next(numbers)).person.phone
    for at in range(4):
        provider.clock.advance(3_600)
        web = Registering(provider, next(numbers))
        own = web.person.phone
        web.become(phone=shared)
        await web.begin()
        await web.walk("items")
        await web.prove(social_security_card=web.person.social_security_card, bank_card=web.person.bank_card)
        await web.take("password")
        await web.take("agreement")
        assert (web.left_to is None) is (at == 3)
    assert web.at == "/register/identity"
    assert "使用这个手机号的人已经太多" in web.text
    await web.identify(phone=own)
    assert web.at == "/register/code"


@pytest.mark.parametrize("number", [9_800, 9_820, 9_840, 9_860, 9_870, 9_880])
async def test_every_kind_of_document_opens_an_account(provider: Provider, number: int) -> None:
    web = Registering(provider, number)
    await web.begin()
    assert f'<option value="{web.person.document_kind}">' in web.text
    await web.walk("agreement")
    assert web.person.id_number not in web.text
    await web.take("agreement")
    assert web.left_to is not None, web.text


async def test_another_browser_cannot_go_on(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    form = {**web.fields(), "phone_check": "1", "bank_card": web.person.bank_card}
    thief = Web(provider, "198.51.100.9")
    page = await thief.get(f"/register/items?i={form['i']}")
    assert find_code(page) == "foreign_browser"
    page = await thief.client.post("/register/items", data=form)
    assert find_code(page) == "foreign_browser"
    thief.client.cookies.update(web.client.cookies)
    thief.client.cookies.delete("idp_draft")
    page = await thief.client.post("/register/items", data=form)
    assert page.headers["location"].startswith("/register/identity"), "without the draft's cookie there is no registration"


@pytest.mark.parametrize("step", ["identity", "code", "items", "password", "agreement"])
async def test_no_step_is_taken_without_the_token_of_its_page(provider: Provider, numbers: Iterator[int], step: str) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk(step)
    form = {**asdict(web.person), "phone_check": "1", "code": "000000", "agreement": "1", **web.fields()}
    for forged in ({"csrf": "x"}, {"csrf": ""}):
        page = await web.client.post(f"/register/{step}", data={**form, **forged})
        assert (page.status_code, find_code(page)) == (403, "form_forged")
    page = await web.client.post(f"/register/{step}", data=form, headers={"sec-fetch-site": "cross-site"})
    assert find_code(page) == "form_forged"
