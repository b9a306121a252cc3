"""The consent page names everything that the department gets: what is asked, and what goes with it unasked."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import IdentifierKind, IdNumber, Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import make_profile
from idp.protocol.rules.claims import list_unasked
from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.client_metadata import About
from idp.protocol.services.shown_claims import mask_claims
from tests.support.account import list_forms, open_account, read_cookies
from tests.support.administration import appoint
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


def test_values_are_shown_masked_and_only_where_there_is_a_mask() -> None:
    born = datetime(2026, 1, 1, tzinfo=UTC)
    full = replace(
        make_profile("张小明", IdNumber(IdentifierKind.RESIDENT_ID, "11010119000101001X"), Phone("+8613800138000"), born),
        email=EmailAddress("zhang@mail.example"),
        address=PostalAddress("示例省", "示例市", "示例区", "示例路1号", "000000"),
    )
    asked = ("name", "id_document", "phone_number", "email", "address", "birthdate", "gender")
    values = mask_claims(full, asked)
    assert set(values) == {"name", "id_document", "phone_number", "email", "address"}
    assert values["name"] == "*小明"
    assert all("*" in value for value in values.values()), values
    assert mask_claims(make_profile("张小明", None, None, born), asked) == {"name": "*小明"}


async def test_the_page_leads_to_what_the_department_says_of_itself(provider: Provider) -> None:
    about = About(policy_uri="https://department.example/privacy?a=1&b=2", tos_uri="https://department.example/terms")
    person = await provider.add_person()
    pages = {}
    for client, told in (("telling", about), ("silent", About())):
        await provider.add_client(client, entitlements=(NAME,), about=told)
        web = Web(provider)
        pages[client] = (await web.sign_in(person, write_request(client, scope="openid profile"))).text
        assert 'name="decision"' in pages[client]
    for link in ('id="policy" href="https://department.example/privacy?a=1&amp;b=2"', 'id="terms" href="https://department.example/terms"'):
        assert f'{link} target="_blank" rel="noopener noreferrer"' in pages["telling"]
    assert 'id="policy"' not in pages["silent"]
    assert 'id="terms"' not in pages["silent"]


async def test_the_page_lists_what_is_released(provider: Provider) -> None:
    await provider.add_client("listing", entitlements=(NAME, DUTY), name_en="Listing department (sample)")
    person = await provider.add_person()
    query = {"client_id": "listing", "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid profile real_name"}
    query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    web = Web(provider)
    page = await web.sign_in(person, "/authorize?" + urlencode(query))
    asked, _, rest = page.text.partition("同时提供")
    assert "查询" in asked
    assert f'<span class="value">{mask_name(person.name)}</span>' in asked
    assert person.name not in page.text, "masked: somebody may stand beside"
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


async def test_a_purpose_that_was_registered_again_for_more_is_asked_anew(provider: Provider) -> None:
    await provider.add_client("registered-again", entitlements=(NAME,))
    writer = await appoint(provider, "again-writer", "clients:read", "clients:write")
    approver = await appoint(provider, "again-approver", "clients:read", "clients:approve")
    web = await open_account(provider, await provider.add_person())
    request = write_request("registered-again", scope="openid profile phone")
    await web.get(request)
    await web.submit("/consent", decision="allow")
    wider = [{"purpose": NAME.purpose, "basis": "consent", "claims": ["name", "phone_number"]}]
    for entitlements in (None, wider):
        asked = await writer.change("registered-again", {"entitlements": entitlements})
        approved = await approver.ask("POST", f"/client-changes/{asked.json()['change']['id']}/approve")
        assert approved.status_code == 200, approved.text
    provider.services.directory.forget("registered-again")
    assert "手机号" in (await web.get(request)).text
    await web.submit("/consent", decision="allow")
    assert "code" in read_answer(web)
    await web.get(request)
    assert "code" in read_answer(web), "once"
