"""The consent page names everything that the department gets: what is asked, and what goes with it unasked."""

from urllib.parse import urlencode

import pytest

from idp.protocol.rules.claims import list_unasked
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.account import list_forms, open_account, read_cookies
from tests.support.passkeys import read_answer, write_request
from tests.support.protocol_samples import CHALLENGE, make_client
from tests.support.provider import REDIRECT_URI, Provider
from tests.support.web import Web

NAME = Entitlement("查询", Basis.CONSENT, ("name",), purpose_en="Enquiry")
PHONE = Entitlement("联系", Basis.CONSENT, ("phone_number",))
DUTY = Entitlement("登记", Basis.STATUTORY_DUTY, ("birthdate",))


def test_what_is_ungated_by_duty_or_agreed_to_before_goes_unasked() -> None:
    client = make_client(entitlements=(NAME, PHONE, DUTY))
    assert list_unasked(("openid",), client, (NAME,)) == ("sub",)
    assert list_unasked(("openid", "profile"), client, (NAME,)) == ("sub", "birthdate", "locale", "updated_at")
    assert list_unasked(("openid", "phone"), client, (PHONE,)) == ("sub",)
    assert list_unasked(("openid", "phone"), client, (NAME,)) == ("sub", "phone_number")
    assert list_unasked(("openid", "real_name"), client, ()) == ("sub", "real_name_verified", "ial")


async def test_the_page_lists_what_is_released(provider: Provider) -> None:
    await provider.add_client("listing", entitlements=(NAME, DUTY), name_en="Listing department (sample)")
    person = await provider.add_person()
    query = {"client_id": "listing", "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid profile real_name"}
    query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    web = Web(provider)
    page = await web.sign_in(person, "/authorize?" + urlencode(query))
    asked, _, rest = page.text.partition("同时提供")
    assert "查询" in asked
    assert "姓名" in asked
    for text in ("仅供该部门使用的用户编号", "出生日期", "语言偏好", "信息更新日期", "是否已实名核验", "实名核验等级", "登录的方式"):
        assert text in rest
        assert text not in asked
    for absent in ("性别", "手机号", "证件号码", "其他信息"):
        assert absent not in page.text
    page = await web.get(f"/consent?i={web.fields()['i']}&lang=en")
    assert "Purpose: Enquiry" in page.text
    assert "Listing department (sample)" in page.text
    assert "Preferred language" in page.text


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_the_answer_of_one_person_counts_for_no_other(provider: Provider, decision: str) -> None:
    agreed = (Entitlement("查询（样例）", Basis.CONSENT, ("name",)),)
    client = await provider.add_client(f"consent-switched-{decision}", entitlements=agreed)
    first, second = [await open_account(provider, await provider.add_person()) for _ in range(2)]
    await second.get(write_request(client, scope="openid profile"))
    await second.submit("/consent", decision="allow")
    page = await first.get(write_request(client, scope="openid profile", prompt="consent"))
    answer = await first.client.post("/consent", data={**list_forms(page)[0], "decision": decision})
    first.client.cookies.update(read_cookies(second))
    page = await first.get(answer.headers["location"])
    assert page.url.path == "/consent", "another tab signed somebody else in"
    await first.submit("/consent", decision="allow")
    assert "code" in read_answer(first)
