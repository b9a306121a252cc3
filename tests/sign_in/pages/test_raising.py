"""Who is too little known for a department proves more on the way there, later, or not at all; and is never left standing."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.demo.population import make_person
from idp.kernel.checks import CheckKind
from idp.kernel.levels import Acr
from idp.people.rules.identifiers import IdentifierKind, IdNumber, parse_document, parse_phone
from idp.people.services.directory import NewPerson
from tests.support.provider import Provider, Somebody
from tests.support.registering import Registering
from tests.support.web import Web, find_code

_NUMBERS = iter(range(100, 9_000))
STRICT = "strict"


@pytest.fixture
def numbers() -> Iterator[int]:
    """Numbers of people whom no other test of this module uses."""
    return _NUMBERS


async def add_clients(provider: Provider) -> None:
    """Add a department that insists on the substantial level, and one that takes what it gets."""
    for name, least in ((STRICT, Acr.SUBSTANTIAL), ("lenient", Acr.LOW)):
        if name not in provider.secrets:
            await provider.add_client(name, minimum_acr=least)


async def register_without_phone(provider: Provider, number: int, client: str = STRICT) -> Registering:
    """Return the browser of somebody whose phone nobody confirmed, on the way to a department."""
    await add_clients(provider)
    web = Registering(provider, number)
    await web.begin(client, acr_values=Acr.SUBSTANTIAL.value)
    await web.walk("items")
    await web.prove(social_security_card=web.person.social_security_card, bank_card=web.person.bank_card)
    await web.take("password")
    await web.take("agreement")
    return web


def read_answer(web: Web) -> dict[str, str]:
    """Return what the department got."""
    assert web.left_to is not None, web.page and web.page.text
    return {name: values[0] for name, values in parse_qs(urlsplit(web.left_to).query).items()}


async def test_only_the_phone_is_missing_and_the_department_gets_its_answer(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    assert web.at == "/raise"
    assert "部门strict（样例）" in web.text
    assert "<li>社会保障卡</li>" in web.text
    assert 'name="phone_check"' in web.text
    assert 'name="bank_card"' not in web.text
    assert web.person.phone not in web.text
    assert "您的账号已经开通" in web.text
    await web.send(phone_check="1")
    assert "code" in read_answer(web)


async def test_later_leads_to_the_department_at_the_lower_level_or_with_its_error(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers), "lenient")
    assert web.at == "/raise"
    await web.send(later="1")
    assert "code" in read_answer(web)
    web = await register_without_phone(provider, next(numbers))
    page = await web.send(later="1")
    assert find_code(page) == "level_unreachable"


async def test_s37_a_silent_operator_is_named_and_asked_again(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    provider.authorities.set_fault(CheckKind.PHONE, "unavailable")
    try:
        await web.send(phone_check="1")
        assert web.at == "/raise"
        assert "暂时联系不上：手机号所属的运营商" in web.text
    finally:
        provider.authorities.clear_faults()
    await web.send(retry="1")
    assert "code" in read_answer(web)


async def test_nothing_chosen_and_a_phone_in_another_name(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    page = await web.send()
    assert page.status_code == 422
    assert "请至少选一项" in page.text
    await add_clients(provider)
    web, strange = Registering(provider, next(numbers)), Registering(provider, next(numbers)).person
    await web.begin(STRICT)
    web.become(phone=strange.phone)
    await web.walk("items")
    await web.prove(social_security_card=web.person.social_security_card, bank_card=web.person.bank_card)
    await web.take("password")
    await web.take("agreement")
    page = await web.send(phone_check="1")
    assert page.status_code == 422
    assert "还不能确认这个手机号是用您本人的身份办理的" in page.text
    assert "请检查号码" not in page.text, "there is no number to check"
    assert 'id="later"' in page.text


async def test_an_imported_person_proves_phone_and_one_more(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    await provider.execute("UPDATE proofing_evidence SET person_id = NULL")
    await web.get(str(web.page and web.page.request.url))
    assert 'name="bank_card"' in web.text
    page = await web.send(phone_check="1")
    assert page.status_code == 422
    await web.send(housing_fund_account=web.person.housing_fund_account)
    assert "code" in read_answer(web)


async def test_nobody_is_asked_without_session_token_or_in_another_browser(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    form = {**web.fields(), "phone_check": "1"}
    page = await web.client.post("/raise", data={**form, "csrf": "x"})
    assert find_code(page) == "form_forged"
    assert f'href="?i={form["i"]}&amp;lang=en"' in page.text, "another language leads on in this flow"
    thief = Web(provider, "198.51.100.9")
    assert find_code(await thief.client.post("/raise", data=form)) == "foreign_browser"
    page = await web.client.post("/raise", data={**form, "step": "0"})
    assert page.headers["location"].startswith("/raise?i="), "an old form says how things stand now"
    web.client.cookies.delete("idp_session")
    await web.get(f"/raise?i={form['i']}")
    assert web.at == "/sign-in"


async def test_without_a_department_it_begins_at_ones_own_page(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    await web.get("/raise")
    assert web.at == "/raise"
    await web.send(phone_check="1")
    assert web.at == "/account"


async def test_who_comes_back_with_a_password_proves_the_phone_and_then_its_code(provider: Provider, numbers: Iterator[int]) -> None:
    before = await register_without_phone(provider, next(numbers))
    provider.clock.advance(61)
    web = Registering(provider, 0)
    web.person = before.person
    await web.begin_authorization(STRICT)
    await web.submit("/sign-in", identifier=web.person.id_number, password=web.person.password)
    assert web.at == "/raise"
    await web.send(phone_check="1")
    assert 'name="code"' in web.text, "the level is there, the second factor not yet"
    await web.submit("/sign-in", code=await web.read_code())
    assert "code" in read_answer(web)


async def add_stranger(provider: Provider, number: int, ial: int = 2) -> Registering:
    """Return the browser of a signed-in person of the registers whom this house never asked an authority about."""
    web = Registering(provider, number)
    q = web.person
    document = parse_document(IdentifierKind.RESIDENT_ID, q.id_number, provider.clock().date())
    phone = parse_phone(q.phone)
    assert isinstance(document, IdNumber)
    assert phone is not None
    person_id = await provider.services.people.add_person(NewPerson(q.name, document, phone, ial, None, None))
    web.client.cookies.update(await provider.open_session(Somebody(person_id, "", "", "")))
    await web.get("/raise")
    return web


async def find_ial(provider: Provider, web: Registering) -> int:
    known = await provider.services.people.find_by_identifier(web.person.id_number)
    assert known is not None
    return known.standing.ial


async def test_level_three_includes_the_register(provider: Provider, numbers: Iterator[int]) -> None:
    web = await add_stranger(provider, next(numbers), ial=1)
    before = provider.authorities.count_calls("identity")
    await web.send(phone_check="1", bank_card=web.person.bank_card)
    assert provider.authorities.count_calls("identity") == before + 1
    assert await find_ial(provider, web) == 3


async def test_who_is_not_in_the_register_goes_to_the_window(provider: Provider, numbers: Iterator[int]) -> None:
    web = await add_stranger(provider, next(numbers))
    known = provider.authorities.registers.find("resident_id", web.person.id_number)
    assert known is not None
    provider.authorities.add_person(replace(known, name="别人"))
    await web.send(phone_check="1", bank_card=web.person.bank_card)
    provider.authorities.add_person(known)
    assert await find_ial(provider, web) == 2
    assert "没有与公安机关的登记信息核对一致" in web.text
    assert "您的账号就可以办理" not in web.text, "nothing is promised that the window decides"
    assert 'name="bank_card"' not in web.text
    assert 'id="later"' in web.text


async def test_s37_a_silent_register_is_named_and_asked_again(provider: Provider, numbers: Iterator[int]) -> None:
    web = await add_stranger(provider, next(numbers))
    provider.authorities.set_fault(CheckKind.IDENTITY, "unavailable")
    try:
        await web.send(phone_check="1", bank_card=web.person.bank_card)
        assert "暂时联系不上：公安机关（姓名和证件号码）" in web.text
        assert await find_ial(provider, web) == 2
    finally:
        provider.authorities.clear_faults()
    calls = provider.authorities.count_calls("bank_card")
    await web.send(retry="1")
    assert await find_ial(provider, web) == 3
    assert provider.authorities.count_calls("bank_card") == calls, "what matched is not asked again"


async def test_the_page_never_says_which_item_agreed(provider: Provider, numbers: Iterator[int]) -> None:
    web = await add_stranger(provider, next(numbers))
    other = make_person(next(numbers))
    await web.send(social_security_card=web.person.social_security_card, housing_fund_account=other.housing_fund_account)
    await web.get(str(web.page and web.page.request.url))
    assert "<li>社会保障卡</li>" not in web.text
    assert "<li>已有1项核对一致</li>" in web.text
    assert 'name="social_security_card"' in web.text, "nor by what is not asked any more"
    await web.get("/account/profile")
    assert "社会保障卡" not in web.text
    await web.get("/raise")
    await web.send(phone_check="1")
    assert await find_ial(provider, web) == 3
    await web.get("/account/profile")
    assert "社会保障卡" in web.text


async def test_sent_four_times_at_once_it_begins_once(provider: Provider, numbers: Iterator[int]) -> None:
    web = await register_without_phone(provider, next(numbers))
    form = {**web.fields(), "phone_check": "1"}
    answers = await asyncio.gather(*(web.client.post("/raise", data=form) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert await find_ial(provider, web) == 3
