"""What a person can do wrong, and what can go wrong around them: each page says it beside the field and loses nothing."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from idp.http.languages import Language
from idp.http.messages import load_messages
from idp.kernel.checks import CheckKind
from idp.people.rules.documents import DocumentSlip
from idp.people.rules.identifiers import DOCUMENT_KINDS
from idp.people.rules.item_numbers import ItemSlip
from idp.people.rules.names import NameSlip
from idp.people.rules.proofing_items import ITEMS
from tests.support.provider import Provider
from tests.support.registering import Registering, count_accounts
from tests.support.web import find_code

_NUMBERS = iter(range(100, 9_000))
MESSAGES = load_messages()


@pytest.fixture
def numbers() -> Iterator[int]:
    """Numbers of people whom no other test of this module uses."""
    return _NUMBERS


def find_error(text: str, field: str) -> str:
    """Return what the page says beside a field."""
    found = re.search(rf'id="{field}-error">.*?<span>([^<]+)</span>', text, re.DOTALL)
    assert found is not None, text
    return unescape(found[1])


def find_summary(text: str) -> str:
    """Return the error summary as text."""
    found = re.search(r'<div class="summary".*?</ul>', text, re.DOTALL)
    assert found is not None, text
    return " ".join(re.sub("<[^>]+>", " ", found[0]).split())


def test_every_slip_has_its_words() -> None:
    wanted = {f"name_{slip.value}" for slip in NameSlip}
    wanted |= {f"id_number_{slip.value}" for slip in DocumentSlip if slip is not DocumentSlip.WRONG_LENGTH}
    for kind in DOCUMENT_KINDS:
        wanted |= {f"document_kind_{kind}", f"id_number_hint_{kind}", f"id_number_wrong_length_{kind}"}
    for item in ITEMS:
        wanted |= {item.authority, f"matched_{item.kind}", f"{item.label}_hint", item.label}
    slips = {
        "social_security_card": {ItemSlip.WRONG_LENGTH, ItemSlip.WRONG_CHARACTER},
        "bank_card": set(ItemSlip) - {ItemSlip.EMPTY, ItemSlip.UNKNOWN_PROVINCE},
        "housing_fund_account": {ItemSlip.WRONG_LENGTH, ItemSlip.WRONG_CHARACTER},
        "driver_license_file_number": {ItemSlip.WRONG_LENGTH, ItemSlip.WRONG_CHARACTER, ItemSlip.UNKNOWN_PROVINCE},
    }
    wanted |= {f"{field}_{slip.value}" for field, kinds in slips.items() for slip in kinds}
    assert not wanted - MESSAGES.keys("zh-CN")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "请填写姓名"),
        ({"name": "王小明Wang"}, "name", "同时有汉字和字母"),
        ({"name": "王" * 60}, "name", "太长"),
        ({"id_number": ""}, "id_number", "请填写证件号码"),
        ({"id_number": "35010219900307001"}, "id_number", "您填写了17位"),
        ({"id_number": "110101195002280018"}, "id_number", "可能有一位输错"),
        ({"id_number": "350102199002300015"}, "id_number", "出生日期不存在"),
        ({"id_number": "350102209901010018"}, "id_number", "还没有到"),
        ({"id_number": "990102199003070011"}, "id_number", "证件类型不符"),
        ({"id_number": "350102900307001"}, "id_number", "15位的老号码已经停用"),
        ({"id_number": "x" * 900}, "id_number", "位"),
        ({"document_kind": "passport"}, "id_number", "证件类型不符"),
        ({"document_kind": "library_card"}, "document_kind", "请选择证件类型"),
        ({"phone": ""}, "phone", "请填写手机号"),
        ({"phone": "14912345678"}, "phone", "手机号应为11位"),
    ],
)
async def test_the_first_step_says_what_to_correct_and_keeps_the_rest(
    provider: Provider, numbers: Iterator[int], changes: dict[str, str], field: str, words: str
) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    page = await web.identify(**changes)
    assert page.status_code == 422
    assert words in find_error(page.text, field)
    assert words in find_summary(page.text)
    assert "<title>错误：" in page.text
    if field != "phone":
        assert f'value="{web.person.phone}"' in page.text
    await web.identify()
    assert web.at == "/register/code"


@pytest.mark.parametrize("oversized", [{"name": "王" * 2_000}, {"phone": "1" * 1_001}])
async def test_what_no_person_types_is_refused_as_a_whole(provider: Provider, numbers: Iterator[int], oversized: dict[str, str]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    page = await web.identify(**oversized)
    assert (page.status_code, find_code(page)) == (400, "bad_form")


async def test_spaces_and_full_width_digits_are_what_people_type(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    number, phone = web.person.id_number, web.person.phone
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    await web.identify(
        name=f" {web.person.name[0]} {web.person.name[1:]} ",
        id_number=f"{number[:6]} {number[6:14]} {number[14:]}".lower(),
        phone=f"+86 {phone[:3]} {phone[3:]}".translate(wide),
    )
    assert web.at == "/register/code"
    code = await web.read_code()
    await web.send(code=f" {code[:3]} {code[3:]} ".translate(wide))
    assert web.at == "/register/items"
    card = web.person.bank_card
    await web.prove(phone_check="on", bank_card=" ".join((card[:4], card[4:8], card[8:])))
    assert web.at == "/register/password"


async def test_a_form_without_the_kind_means_the_resident_id(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.identify(document_kind="")
    assert web.at == "/register/code"


async def test_wrong_codes_are_counted_and_another_one_is_sent(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.identify()
    first = await web.read_code()
    for typed, words in (
        ("", "请输入短信中的验证码"),
        ("12", "验证码是6位数字"),
        ("000000" if first != "000000" else "111111", "还可以试4次"),
        ("1" * 30, "6位数字"),
    ):
        page = await web.send(code=typed)
        assert page.status_code == 422
        assert words in find_error(page.text, "code")
    page = await web.send(resend="1")
    assert page.status_code == 429
    assert "刚刚已经发送过" in find_error(page.text, "resend")
    provider.clock.advance(61)
    page = await web.send(resend="1")
    assert "新的验证码已发送" in page.text
    assert await web.read_code() != first
    await web.confirm()
    assert web.at == "/register/items"


async def test_the_register_does_not_agree_and_the_form_comes_back_filled_in(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.identify(name="不是本人")
    await web.confirm()
    assert web.at == "/register/identity"
    assert "与登记信息不一致" in find_summary(web.text)
    assert 'value="不是本人"' in web.text
    await web.identify()
    assert web.at == "/register/items", "the phone was proved, the register agrees"


async def test_whom_the_register_does_not_know_is_told_so(provider: Provider) -> None:
    web = Registering(provider, 9_910)
    await web.begin()
    await web.identify()
    await web.confirm()
    assert web.at == "/register/identity"
    assert "没有查到" in find_summary(web.text)


async def test_s07_a_high_risk_is_refused_with_the_window_as_the_way(provider: Provider) -> None:
    web = Registering(provider, 9_950, "198.51.100.50")
    await web.begin()
    page = await web.identify()
    assert (page.status_code, find_code(page)) == (403, "registration_refused")
    assert "政务服务窗口" in page.text
    await web.begin()
    assert find_code(await web.identify()) == "registration_refused", "also after Back"


async def test_s11_an_account_that_exists_is_told_after_code_and_register_only(provider: Provider, numbers: Iterator[int]) -> None:
    first = Registering(provider, next(numbers))
    await first.begin()
    await first.walk()
    again = Registering(provider, next(numbers), "198.51.100.60")
    other_phone = again.person.phone
    again.become(**{name: getattr(first.person, name) for name in ("name", "id_number")})
    await again.begin()
    page = await again.identify(phone=other_phone)
    assert "已经有账号" not in page.text.replace("已经有账号？", "")
    page = await again.confirm()
    assert page.status_code == 409
    assert find_code(page) == "account_exists"
    for link in ('id="sign-in" href="/sign-in?i=', 'id="recover" href="/recover?i='):
        assert link in page.text
    assert await count_accounts(provider, first.person) == 1


async def test_s37_a_silent_register_is_named_and_asked_again_without_retyping(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.identify()
    provider.authorities.set_fault(CheckKind.IDENTITY, "unavailable")
    try:
        await web.confirm()
        assert web.at == "/register/check"
        assert "暂时联系不上：公安机关" in web.text
        assert "72小时" in web.text
        await web.submit("/register/check", retry="1")
        assert web.at == "/register/check"
    finally:
        provider.authorities.clear_faults()
    await web.submit("/register/check", retry="1")
    assert web.at == "/register/items"


async def test_s37_a_silent_authority_is_named_the_match_kept_and_the_number_not_asked_again(
    provider: Provider, numbers: Iterator[int]
) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    provider.authorities.set_fault(CheckKind.BANK_CARD, "unavailable")
    try:
        page = await web.prove()
        assert web.at == "/register/items"
        assert page.status_code == 200
        assert "暂时联系不上：银行卡联网机构" in page.text
        assert "已有1项核对一致，还差1项" in page.text
        assert "<li>手机号</li>" in page.text
        assert 'name="bank_card"' not in page.text
        assert web.person.bank_card not in page.text
        await web.get(str(page.request.url))
        assert "银行卡联网机构" in web.text, "also on the next visit"
    finally:
        provider.authorities.clear_faults()
    phones = provider.authorities.count_calls(CheckKind.PHONE)
    await web.send(retry="1")
    assert web.at == "/register/password"
    assert provider.authorities.count_calls(CheckKind.PHONE) == phones, "what matched is not asked again"


async def test_s37_another_item_helps_while_one_authority_is_silent(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    provider.authorities.set_fault(CheckKind.BANK_CARD, "unavailable")
    try:
        await web.prove()
        await web.prove(social_security_card=web.person.social_security_card)
        assert web.at == "/register/password"
    finally:
        provider.authorities.clear_faults()


async def test_what_did_not_match_is_never_named(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    strange = Registering(provider, next(numbers)).person
    await web.begin()
    await web.walk("items")
    page = await web.prove(phone_check="1", bank_card=strange.bank_card)
    one = (page.status_code, find_summary(page.text), "matched" in page.text)
    web = Registering(provider, next(numbers))
    strange = Registering(provider, next(numbers)).person
    await web.begin()
    await web.walk("items")
    page = await web.prove(social_security_card=strange.social_security_card, bank_card=web.person.bank_card)
    assert (page.status_code, find_summary(page.text), "matched" in page.text) == one
    assert page.status_code == 422
    assert "还差1项" in page.text
    for item in ITEMS:
        assert f'name="{item.field}"' in page.text, "no field is missing that would tell"
    assert "<li>银行卡</li>" not in page.text


async def test_s34_one_item_is_not_enough_and_costs_nothing(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    before = len(provider.authorities.calls)
    page = await web.prove(phone_check="1")
    assert page.status_code == 422
    assert "至少选两项" in find_summary(page.text)
    assert len(provider.authorities.calls) == before


async def test_s54_the_document_number_is_no_item(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    before = len(provider.authorities.calls)
    page = await web.prove(phone_check="1", bank_card=f"{web.person.id_number[:6]} {web.person.id_number[6:]}")
    assert page.status_code == 422
    assert "填了证件号码" in find_error(page.text, "bank_card")
    assert len(provider.authorities.calls) == before


async def test_items_say_what_is_wrong_with_them(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    typed = {
        "phone_check": "1",
        "bank_card": "6214830000000000016",
        "social_security_card": "12",
        "driver_license_file_number": "990100123456",
        "housing_fund_account": "12-34-56",
    }
    page = await web.prove(**typed)
    assert page.status_code == 422
    assert "可能有一位输错" in find_error(page.text, "bank_card")
    assert "位数不对" in find_error(page.text, "social_security_card")
    assert "开头不对" in find_error(page.text, "driver_license_file_number")
    assert "只有字母和数字" in find_error(page.text, "housing_fund_account")
    for value in typed.values():
        assert value in page.text


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "请输入密码"),
        ("short", "8到128个字符"),
        ("x" * 301, "太长"),
        ("qwertyuiop", "很多人都在用"),
        ("{id_number}", "证件号码"),
    ],
)
async def test_a_password_that_will_not_do_is_explained(provider: Provider, numbers: Iterator[int], password: str, words: str) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("password")
    page = await web.send(password=password.format(id_number=web.person.id_number))
    assert page.status_code == 422
    assert words in find_error(page.text, "password")
    assert password not in page.text or not password, "secrets never come back"
    await web.take("password")
    assert web.at == "/register/agreement"


async def test_without_the_tick_no_account_is_opened(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("agreement")
    assert not re.search(r'name="agreement"[^>]*checked', web.text), "never ticked for anybody"
    page = await web.send()
    assert page.status_code == 422
    assert "请阅读协议" in find_error(page.text, "agreement")
    assert await count_accounts(provider, web.person) == 0


async def test_the_checks_of_a_day_are_limited(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    strange = Registering(provider, next(numbers)).person
    await web.begin()
    await web.walk("items")
    statuses = []
    for _ in range(3):
        page = await web.prove(bank_card=strange.bank_card, social_security_card=strange.social_security_card)
        statuses.append(page.status_code)
    assert statuses == [422, 422, 429], "an unproven phone may spend two a day"
    assert "今天的已经用完" in page.text
    assert "换一项核对" in find_summary(page.text)
    assert page.headers["retry-after"]
    assert web.at == "/register/items"


@pytest.mark.parametrize("language, other", [("zh-CN", "换一项"), ("en", "something else")])
def test_where_no_other_item_may_be_tried_none_is_offered(language: Language, other: str) -> None:
    assert other not in MESSAGES.refusal(language, "checks_limited", {}).next
    assert other in MESSAGES.refusal(language, "items_limited", {}).next


async def test_no_step_is_jumped(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    i = web.fields()["i"]
    for step in ("code", "check", "items", "password", "agreement"):
        await web.get(f"/register/{step}?i={i}")
        assert web.at == "/register/identity"
    await web.identify()
    for step in ("items", "password", "agreement"):
        await web.get(f"/register/{step}?i={i}")
        assert web.at == "/register/code"
        await web.submit(f"/register/{step}", password="lantern harbour lantern", agreement="1", phone_check="1")
        assert web.at == "/register/code"
