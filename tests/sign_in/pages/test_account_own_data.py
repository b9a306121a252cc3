"""E-mail and postal address: nothing is kept before the code comes back, and nobody else's code, page or form changes anything."""

import asyncio
import re
from html import unescape
from typing import Any

import httpx2
import pytest

from idp.authenticators.rules.sms_limits import Send
from idp.authenticators.services.codes import CodeRequest
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.person import Status, StatusEvent
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import Profile
from sms.templates import find_template
from tests.support.account import list_forms, open_account, read_cookies, read_messages, read_own_events
from tests.support.provider import Provider, Somebody
from tests.support.web import Web, find_code

EMAIL, ADDRESS, PROFILE = "/account/email", "/account/address", "/account/profile"
KEPT = EmailAddress("sample@example.com")
HOME = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")
TYPED = {"province": "福建省", "city": "福州市", "district": "鼓楼区", "detail": "样例路1号", "postal_code": "350001"}


async def read_profile(provider: Provider, person: Somebody) -> Profile:
    return await provider.services.people.read_profile(person.person_id)


async def read_code(provider: Provider) -> str:
    (message,) = [m for m in await read_messages(provider) if m["template"] == "profile_change_code"]
    code: str = message["parameters"]["code"]
    return code


async def type_in(web: Web, path: str, **typed: str) -> httpx2.Response:
    """Open the form, send it with what was typed, and stay where it leads."""
    form = list_forms(await web.get(f"{path}?edit=1"))[0]
    return await web._follow(await web.client.post(path, data={**form, **typed}))


async def confirm(web: Web, path: str, code: str) -> httpx2.Response:
    form = list_forms(await web.get(path))[0]
    return await web._follow(await web.client.post(path, data={**form, "code": code}))


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


@pytest.mark.parametrize(
    ("path", "typed", "shown", "masked", "kept"),
    [
        (EMAIL, {"email": " Ｓample@例子.中国 "}, "Sample@例子.中国", "S***@例子.中国", EmailAddress("Sample@xn--fsqu00a.xn--fiqs8s")),
        (ADDRESS, TYPED, "福建省福州市鼓楼区样例路1号", "福建省福州市鼓楼区****", HOME),
    ],
    ids=["email", "address"],
)
async def test_what_is_typed_is_kept_when_the_code_comes_back(
    provider: Provider, path: str, typed: dict[str, str], shown: str, masked: str, kept: EmailAddress | PostalAddress
) -> None:
    person = await provider.add_person()
    before = await read_profile(provider, person)
    web = await open_account(provider, person, path)
    await read_messages(provider)
    provider.clock.advance(86_400)
    web = await open_account(provider, person, path)
    page = await type_in(web, path, **typed)
    assert (page.status_code, page.url.path) == (200, path)
    assert shown in page.text
    assert await read_profile(provider, person) == before
    (message,) = await read_messages(provider)
    assert (message["phone"], message["template"]) == (person.phone, "profile_change_code")
    assert find_template("profile_change_code", message["parameters"]).pick(message["parameters"]) == message["parameters"]
    page = await confirm(web, path, message["parameters"]["code"])
    assert page.url.path == PROFILE
    assert "已保存" in page.text
    assert masked in page.text
    assert shown not in page.text
    after = await read_profile(provider, person)
    assert kept in (after.email, after.address)
    assert after.updated_at == provider.now() > before.updated_at
    datum = path.rpartition("/")[2]
    assert await read_own_events(provider, person, "profile_changed") == [("profile_changed", {"datum": datum, "change": "added"})]
    (notice,) = await read_messages(provider)
    assert (notice["phone"], notice["template"]) == (person.phone, "profile_changed")
    assert find_template("profile_changed", notice["parameters"]).pick(notice["parameters"]) == notice["parameters"]
    for secret in ("ample@", "xn--", "样例路"):
        assert secret not in str(notice)
    assert "填写了" in (await web.get("/account/history")).text
    stranger = await open_account(provider, await provider.add_person(), PROFILE)
    assert "已保存" not in (await stranger.get(f"{PROFILE}?{page.url.query.decode()}")).text


@pytest.mark.parametrize(("path", "more"), [(EMAIL, {"email": KEPT}), (ADDRESS, {"address": HOME})], ids=["email", "address"])
async def test_what_is_kept_can_be_removed(provider: Provider, path: str, more: dict[str, Any]) -> None:
    person = await provider.add_person(**more)
    web = await open_account(provider, person, path)
    await read_messages(provider)
    form = list_forms(web.page)[1]  # type: ignore[arg-type]
    page = await web._follow(await web.client.post(path, data=form))
    assert "删除，不再保留" in page.text
    page = await confirm(web, path, await read_code(provider))
    assert "已删除" in page.text
    profile = await read_profile(provider, person)
    assert (profile.email, profile.address) == (None, None)
    assert [details["change"] for _, details in await read_own_events(provider, person, "profile_changed")] == ["removed"]


async def test_the_pages_show_no_more_of_what_is_kept_than_the_profile_does(provider: Provider) -> None:
    person = await provider.add_person(email=KEPT, address=HOME)
    web = await open_account(provider, person, EMAIL)
    for path in (EMAIL, ADDRESS, PROFILE):
        text = (await web.get(path)).text
        for secret in ("sample@", "样例路", "350001"):
            assert secret not in text
    assert 'value="鼓楼区"' in (await web.get(ADDRESS)).text, "what the profile shows needs no second typing"
    assert ("s***@example.com" in text, "鼓楼区****" in text) == (True, True)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "请输入电子邮箱"),
        ("sample.example.com", "应有一个"),
        ("sample@example", "少了或错了"),
        ("样例@example.com", "只能用英文字母"),
        ("sample@example.com\r\nBcc: other@example.com", "应有一个"),
        ("sample@example.com\nSubject: x", "少了或错了"),
        ("<script>@example.com", "只能用英文字母"),
        ("x" * 900 + "@example.com", "太长"),
    ],
    ids=range(8),
)
async def test_what_is_no_email_is_told_beside_its_field_and_not_lost(provider: Provider, typed: str, words: str) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    page = await web.client.post(EMAIL, data={**form, "email": typed})
    assert page.status_code == 422
    assert 'id="email-error"' in page.text
    assert words in page.text
    value = re.search(r'id="email" name="email" type="text" value="([^"]*)"', page.text)
    assert (unescape(value[1]) if value else "") == typed
    assert "<script>@" not in page.text
    assert await read_messages(provider) == []


async def test_what_is_no_address_is_told_field_by_field_and_nothing_is_lost(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, ADDRESS)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    typed = {"province": "福", "city": "", "district": "", "detail": '"><img src=x onerror=alert(1)>', "postal_code": "35000"}
    page = await web.client.post(ADDRESS, data={**form, **typed})
    assert page.status_code == 422
    for field in ("province", "city", "detail", "postal_code"):
        assert f'id="{field}-error"' in page.text
        assert f'href="#{field}"' in page.text
    assert "<img src=x" not in page.text
    assert 'value="&#34;&gt;&lt;img src=x onerror=alert(1)&gt;"' in page.text
    assert 'value="35000"' in page.text
    redrawn = await web.client.post(f"{ADDRESS}?lang=en", data={**form, **typed, "redraw": "1"})
    assert (redrawn.status_code, 'value="35000"' in redrawn.text, "-error" in redrawn.text) == (200, True, False)
    oversize = await web.client.post(ADDRESS, data={**form, **typed, "detail": "路" * 2_000})
    assert (oversize.status_code, find_code(oversize)) == (400, "bad_form")


async def test_what_is_kept_already_needs_no_code(provider: Provider) -> None:
    person = await provider.add_person(email=KEPT)
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    page = await type_in(web, EMAIL, email="sample@EXAMPLE.com")
    assert (page.status_code, "没有变化" in page.text or "和现在的一样" in page.text) == (422, True)
    assert await read_messages(provider) == []


async def test_nothing_changes_without_the_code(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    page = await web.client.post(EMAIL, data={**form, "do": "confirm", "code": "123456", "step": "x"})
    assert (page.status_code, find_code(page)) == (409, "step_repeated"), "nothing waits"
    await type_in(web, EMAIL, email="sample@example.com")
    code = await read_code(provider)
    for typed, words in (("", "请输入短信中的验证码"), ("12", "验证码是6位数字"), (wrong(code), "验证码不正确")):
        page = await confirm(web, EMAIL, typed)
        assert (page.status_code, words in page.text, "sample@example.com" in page.text) == (422, True, True)
    assert (await read_profile(provider, person)).email is None
    events = await read_own_events(provider, person, "sign_in_failed", "profile_changed")
    assert events == [("sign_in_failed", {"way": "code", "reason": "wrong", "purpose": "profile_change", "datum": "email"})]
    (failed,) = [e for e in await provider.read_events("sign_in_failed") if e["person_id"] == person.person_id]
    assert failed["actor"] == "visitor", "nobody proved to be the person"
    assert "修改个人信息时，验证码不正确" in (await web.get("/account/history")).text
    for _ in range(4):
        page = await confirm(web, EMAIL, wrong(code))
    assert "已作废" in page.text
    page = await confirm(web, EMAIL, code)
    assert page.status_code == 422, "five wrong tries kill the code"
    assert (await read_profile(provider, person)).email is None
    await assert_another_code_is_asked_for(web)
    provider.clock.advance(61)
    await read_messages(provider)
    await type_in(web, EMAIL, email="sample@example.com")
    assert "已保存" in (await confirm(web, EMAIL, await read_code(provider))).text, "the same change, typed again, gets a code again"
    provider.clock.advance(3_600)  # what one address may ask for in an hour is left to the tests that follow


async def assert_another_code_is_asked_for(web: Web) -> None:
    """The page, opened anew, says that the code cannot be used any more."""
    page = (await web.get(EMAIL)).text
    assert 'id="ended"' in page
    assert "验证码已发送" not in page


async def test_a_code_is_good_once_and_for_five_minutes(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    await type_in(web, EMAIL, email="sample@example.com")
    code = await read_code(provider)
    form = list_forms(await web.get(EMAIL))[0]
    provider.clock.advance(301)
    page = await web.client.post(EMAIL, data={**form, "code": code})
    assert (page.status_code, "已失效" in page.text) == (422, True)
    await assert_another_code_is_asked_for(web)
    resend = list_forms(page)[1]
    page = await web._follow(await web.client.post(EMAIL, data={**resend, "resend": "1"}))
    assert "新的验证码已发送" in page.text
    code = await read_code(provider)
    assert "已保存" in (await confirm(web, EMAIL, code)).text
    again = await web.client.post(EMAIL, data={**form, "code": code})
    assert (again.status_code, find_code(again)) == (409, "step_repeated")
    assert len(await read_own_events(provider, person, "profile_changed")) == 1


async def test_codes_of_other_purposes_values_and_sign_ins_open_nothing(provider: Provider) -> None:
    person = await provider.add_person()
    web, other = await open_account(provider, person, EMAIL), await open_account(provider, person, EMAIL)
    await read_messages(provider)
    await type_in(web, EMAIL, email="first@example.com")
    first = await read_code(provider)
    provider.clock.advance(61)
    await type_in(other, EMAIL, email="first@example.com")
    theirs = await read_code(provider)
    assert (await confirm(other, EMAIL, first)).status_code == 422, "a code of another sign-in of the same person"
    page = await confirm(web, EMAIL, theirs)
    assert page.status_code == 422
    provider.clock.advance(61)
    old = list_forms(await web.get(EMAIL))[0]
    await type_in(web, EMAIL, email="second@example.com")
    second = await read_code(provider)
    if second != first:
        assert (await confirm(web, EMAIL, first)).status_code == 422, "a code of the value before"
    page = await web.client.post(EMAIL, data={**old, "code": second})
    assert (page.status_code, find_code(page)) == (409, "step_repeated"), "the form of the value before"
    provider.clock.advance(61)
    step = list_forms(await web.get(EMAIL))[0]["step"]
    request = CodeRequest("sign_in", step, person.phone, "*甲", person.person_id, "192.0.2.7", after_password=True)
    assert isinstance(await provider.services.codes.send(request), Send)
    sent = [m["parameters"]["code"] for m in await read_messages(provider) if m["template"] == "sign_in_code"]
    assert sent
    for code in {*sent} - {second}:
        assert (await confirm(web, EMAIL, code)).status_code == 422, "a code for signing in"
    assert (await read_profile(provider, person)).email is None
    assert "已保存" in (await confirm(web, EMAIL, second)).text
    assert (await read_profile(provider, person)).email == EmailAddress("second@example.com")


async def test_a_change_waits_in_its_own_sign_in_alone(provider: Provider) -> None:
    person = await provider.add_person()
    web, other = await open_account(provider, person, EMAIL), await open_account(provider, person, EMAIL)
    await read_messages(provider)
    await type_in(web, EMAIL, email="sample@example.com")
    code = await read_code(provider)
    step = list_forms(await web.get(EMAIL))[0]["step"]
    assert "sample@" not in (await other.get(EMAIL)).text
    form = list_forms(await other.get(EMAIL))[0]
    stranger = await open_account(provider, await provider.add_person(), EMAIL)
    theirs = list_forms(await stranger.get(EMAIL))[0]
    for browser, fields in ((other, form), (stranger, theirs)):
        page = await browser.client.post(EMAIL, data={**fields, "do": "confirm", "step": step, "code": code})
        assert (page.status_code, find_code(page)) == (409, "step_repeated")
    page = await stranger.client.post(EMAIL, data={**list_forms(await web.get(EMAIL))[0], "code": code})
    assert (page.status_code, find_code(page)) == (403, "form_forged")
    page = await web.client.post(EMAIL, data={"do": "confirm", "step": step, "code": code})
    assert (page.status_code, find_code(page)) == (403, "form_forged")
    nobody = Web(provider)
    page = await nobody.client.post(EMAIL, data={"do": "confirm", "step": step, "code": code, "csrf": form["csrf"]})
    assert page.status_code == 303
    assert "/account" not in page.headers["location"]
    assert await read_own_events(provider, person, "profile_changed") == []
    assert "sample@example.com" in (await web.get(f"{EMAIL}?edit=1")).text, "going back loses nothing"


async def test_forms_sent_together_send_one_message_and_change_once(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    form = list_forms(web.page)[0] | {"email": "sample@example.com"}  # type: ignore[arg-type]
    pages = await asyncio.gather(*(web.client.post(EMAIL, data=form) for _ in range(3)))
    assert {page.status_code for page in pages} <= {303, 429}
    page = await web.client.post(EMAIL, data=form)
    assert page.status_code == 303, "the same change waits already"
    code = await read_code(provider)
    step = list_forms(await web.get(EMAIL))[0] | {"code": code}
    pages = await asyncio.gather(*(web.client.post(EMAIL, data=step) for _ in range(3)))
    assert sum("done=" in page.headers.get("location", "") for page in pages) == 1
    assert len(await read_own_events(provider, person, "profile_changed")) == 1
    assert len(await read_messages(provider)) == 1


async def test_changes_of_both_data_at_once_lose_nothing(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    await type_in(web, EMAIL, email="sample@example.com")
    email = list_forms(await web.get(EMAIL))[0] | {"code": await read_code(provider)}
    provider.clock.advance(61)
    await type_in(web, ADDRESS, **TYPED)
    address = list_forms(await web.get(ADDRESS))[0] | {"code": await read_code(provider)}
    crossed = await web.client.post(EMAIL, data={**email, "step": address["step"]})
    assert (crossed.status_code, find_code(crossed)) == (409, "step_repeated")
    await asyncio.gather(web.client.post(EMAIL, data=email), web.client.post(ADDRESS, data=address))
    profile = await read_profile(provider, person)
    assert (profile.email, profile.address) == (KEPT, HOME)


async def test_messages_are_limited_and_what_was_typed_stays(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await type_in(web, EMAIL, email="first@example.com")
    page = await type_in(web, EMAIL, email="second@example.com")
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) <= 60
    assert 'value="second@example.com"' in page.text
    assert "first@example.com" in (await web.get(EMAIL)).text, "the change that waits is still there"
    form = list_forms(await web.get(EMAIL))[1]
    page = await web.client.post(EMAIL, data={**form, "resend": "1"})
    assert (page.status_code, 'id="resend-error"' in page.text) == (429, True)
    statuses = []
    for _ in range(8):
        provider.clock.advance(61)
        form = list_forms(await web.get(EMAIL))[1]
        statuses.append((await web.client.post(EMAIL, data={**form, "resend": "1"})).status_code)
    assert statuses[0] == 303
    assert statuses[-1] == 429, "asking again and again is locked"
    assert len(await read_own_events(provider, person, "resend_locked")) == 1
    provider.clock.advance(900)
    form = list_forms(await web.get(EMAIL))[1]
    await web.client.post(EMAIL, data={**form, "resend": "1"})
    assert len(await read_own_events(provider, person, "resend_locked")) == 1, "after the lock it is counted anew"
    stale = await web.client.post(EMAIL, data={**form, "step": "x", "resend": "1"})
    assert (stale.status_code, find_code(stale)) == (409, "step_repeated")


async def test_without_a_phone_that_is_surely_the_persons_nothing_can_be_confirmed(provider: Provider) -> None:
    unused, without = await provider.add_person(), await provider.add_person()
    await provider.execute(
        "UPDATE person_identifiers SET matched_at = $2, created_at = $2, used_at = NULL WHERE person_id = $1 AND kind = 'phone'",
        unused.person_id,
        provider.now().replace(year=provider.now().year - 1),
    )
    await provider.execute("DELETE FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'", without.person_id)
    await read_messages(provider)
    for person, words in ((unused, "很久没有使用"), (without, "没有绑定手机号")):
        web = await open_account(provider, person, EMAIL)
        assert web.page is not None
        assert words in web.page.text
        assert 'name="email"' not in web.page.text
        csrf = list_forms(await web.get("/account/freeze"))[0]["csrf"]
        for fields in ({"email": "sample@example.com"}, {"do": "confirm", "code": "123456"}, {"resend": "1"}):
            page = await web.client.post(EMAIL, data={"csrf": csrf, **fields})
            assert (page.status_code, find_code(page)) == (409, "step_repeated")
    assert await read_messages(provider) == []


async def test_an_account_that_changed_meanwhile_keeps_what_it_had(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, EMAIL)
    await read_messages(provider)
    await type_in(web, EMAIL, email="sample@example.com")
    form = list_forms(await web.get(EMAIL))[0] | {"code": await read_code(provider)}
    people = provider.services.people
    read_name = provider.services.people.read_profile

    async def close_meanwhile(person_id: Any) -> Profile:
        async with provider.services.platform.database.transaction() as tx:
            await people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.ASK_TO_CLOSE)
        people.read_profile = read_name  # type: ignore[method-assign]
        return await read_name(person_id)

    people.read_profile = close_meanwhile  # type: ignore[method-assign]
    page = await web.client.post(EMAIL, data=form)
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    assert (await read_profile(provider, person)).email is None
    assert await read_own_events(provider, person, "profile_changed") == []


async def test_the_pages_in_english(provider: Provider) -> None:
    web = await open_account(provider, await provider.add_person(), f"{EMAIL}?lang=en")
    assert read_cookies(web)
    assert "Add: Email address" in (await web.get(f"{EMAIL}?lang=en")).text
    assert "Province, autonomous region" in (await web.get(f"{ADDRESS}?lang=en")).text
    assert "What you told us yourself" in (await web.get(f"{PROFILE}?lang=en")).text
