"""The account's pages that show: who may see them, what they say, and what they never say."""

import re
from datetime import timedelta

import pytest

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.people.rules.masking import mask_name
from idp.people.rules.person import Status, StatusEvent
from idp.sign_in.services.portal import find_own_page
from keys import row_aad
from tests.support.account import COMPUTER, PAGES, PHONE, find_bare, list_forms, open_account, sign_in_to
from tests.support.provider import PASSWORD, Provider, Somebody
from tests.support.web import Web, find_code


async def change_status(provider: Provider, person: Somebody, before: Status, event: StatusEvent) -> None:
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.people.change_status(tx, person.person_id, before, event)


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_session_one_signs_in_and_comes_back_to_the_page(provider: Provider, path: str) -> None:
    person = await provider.add_person()
    web = Web(provider)
    page = await web.get(path)
    assert 'name="password"' in page.text
    page = await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert (page.status_code, page.url.path) == (200, path)
    assert list(find_bare(page.text, person)) == []
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["", "//evil.example", "/account/../token", "/account?x=1", "https://evil.example/account", "/accounts", "/account/", "/account\n/x"],
)
def test_a_flow_of_ones_own_leads_nowhere_else(path: str) -> None:
    assert find_own_page(path) == "/"
    assert find_own_page("/account/history") == "/account/history"


async def test_the_front_page_leads_to_the_account(provider: Provider) -> None:
    web = await open_account(provider, await provider.add_person(), "/")
    assert web.page is not None
    assert 'href="/account"' in web.page.text
    page = await web.get("/account")
    for path in PAGES[1:]:
        assert f'href="{path}"' in page.text


async def test_where_there_are_no_passkeys_nobody_confirms_for_nothing(provider: Provider) -> None:
    web = await open_account(provider, await provider.add_person(), "/account/passkeys")
    assert web.page is not None
    assert "不能使用通行密钥" in web.page.text
    assert list_forms(web.page) == []


@pytest.mark.parametrize(("ial", "words"), [(1, "身份还没有核验"), (2, "姓名和证件号码已核验"), (3, "手机号已确认"), (4, "最高的核验程度")])
async def test_the_level_is_told_in_words(provider: Provider, ial: int, words: str) -> None:
    person = await provider.add_person(ial=ial)
    cookies = await provider.open_session(person)
    web = Web(provider)
    web.client.cookies.update(cookies)
    page = await web.get("/account")
    assert words in page.text
    assert not re.search(r"\b(ial|acr|urn)\b", page.text)
    assert mask_name(person.name) in page.text
    assert ('href="/raise"' in page.text) is (ial < 3)


async def test_an_account_that_is_being_closed_reaches_its_pages(provider: Provider) -> None:
    person = await provider.add_person()
    await change_status(provider, person, Status.ACTIVE, StatusEvent.ASK_TO_CLOSE)
    web = await open_account(provider, person)
    assert web.page is not None
    assert "您已申请注销账号" in web.page.text
    for path in PAGES[1:-1]:
        assert (await web.get(path)).status_code == 200
    page = await web.get("/account/freeze")
    assert (page.status_code, find_code(page)) == (409, "freeze_impossible")


@pytest.mark.parametrize("path", PAGES)
async def test_a_session_that_ended_opens_nothing(provider: Provider, path: str) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, path)
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_all(tx, person.person_id, "signed out")
    page = await web.get(path)
    assert 'name="password"' in page.text


async def test_an_idle_session_opens_nothing(provider: Provider) -> None:
    web = await open_account(provider, await provider.add_person())
    provider.clock.advance(1_801)
    page = await web.get("/account/profile")
    assert 'name="password"' in page.text
    assert "自动退出" in page.text


async def test_the_profile_says_what_is_recorded_and_masks_it(provider: Provider) -> None:
    person = await provider.add_person(matched_days_ago=12)
    platform, now = provider.services.platform, provider.now()
    sealer = platform.data_keys.sealer("people")
    for index, (number, state) in enumerate((("+8613900008001", "contact"), ("+8613700008002", "to_be_renewed"))):
        sealed = sealer.seal(
            number.encode(), row_aad("person_contacts", "sealed", person.person_id.bytes + bytes([index])), platform.random
        )
        statement = "INSERT INTO person_contacts (person_id, phone_index, sealed, state, created_at) VALUES ($1, $2, $3, $4, $5)"
        await provider.execute(statement, person.person_id, bytes([index]), sealed, state, now)
    for days, (kind, result) in enumerate((("identity", "match"), ("bank_card", "mismatch"), ("phone", "match"))):
        statement = """
            INSERT INTO proofing_evidence (id, request_id, case_id, person_id, kind, input_mac, key_id, result, source, source_reference,
                                           source_signature, purpose, consent_ref, at)
            VALUES (gen_random_uuid(), gen_random_uuid()::text, gen_random_uuid(), $1, $2, '', '', $3, 'a source', 'reference-77',
                    '', '', '', $4)
        """
        await provider.execute(statement, person.person_id, kind, result, now - timedelta(days=10 * days))
    agreement = """
        INSERT INTO agreements (person_id, id, name, version, language, text_hash, serial, accepted_at)
        VALUES ($1, gen_random_uuid(), 'service', '2026-01', 'zh-CN', '', 'serial-0815', $2)
    """
    await provider.execute(agreement, person.person_id, now)
    web = await open_account(provider, person, "/account/profile")
    assert web.page is not None
    text = web.page.text
    for shown in (
        mask_name(person.name),
        person.document[:3] + "*" * 11 + person.document[-4:],
        "居民身份证",
        "138****" + person.phone[-4:],
    ):
        assert shown in text
    for shown in ("139****8001", "联系号码", "137****8002", "需要更新", "2026年2月18日经运营商核对", "版本 2026-01", "编号 serial-0815"):
        assert shown in text
    assert "姓名和证件号码" in text
    assert "2026年2月10日" in text
    assert "银行卡" not in text
    assert "reference-77" not in text
    assert "a source" not in text
    await provider.execute("UPDATE person_identifiers SET state = 'frozen' WHERE person_id = $1 AND kind = 'phone'", person.person_id)
    assert "已暂停使用" in (await web.get("/account/profile")).text
    for language in ("zh-CN", "en"):
        page = await web.get(f"/account/profile?lang={language}")
        assert list(find_bare(page.text, person)) == []
        for bare in ("13900008001", "13700008002", "00008001"):
            assert bare not in page.text


async def record(
    provider: Provider, person: Somebody, kind: Kind, number: int = 1, client_id: str | None = None, **details: object
) -> None:
    platform = provider.services.platform
    async with platform.database.transaction() as tx:
        for _ in range(number):
            place = Place("203.0.113.77", PHONE)
            event = AuditEvent(kind, person_id=person.person_id, client_id=client_id, details=dict(details), place=place)  # type: ignore[arg-type]
            await platform.audit_log.record(tx, event)


async def test_the_history_tells_what_happened_where_and_for_whom(provider: Provider) -> None:
    person = await provider.add_person()
    await provider.add_client("historical", name_en="Historical department (sample)")
    await record(provider, person, Kind.SIGN_IN_FAILED, way="password", reason="wrong")
    await record(provider, person, Kind.SIGN_IN_SUCCEEDED, client_id="historical", amr="pwd sms", new_device=True)
    await record(provider, person, Kind.SIGN_IN_SUCCEEDED, client_id="unregistered", amr="pwd")
    await record(provider, person, Kind.TOKEN_ISSUED, client_id="historical")
    web = await sign_in_to(provider, person, "/account/history", **{"user-agent": COMPUTER})
    assert web.page is not None
    text = web.page.text
    for shown in (
        "密码不正确",
        "使用密码、短信验证码",
        "第一次使用的设备",
        "苹果手机，微信",
        "203.0.113.*",
        "进入：部门historical（样例）",
    ):
        assert shown in text
    for shown in ("已停用的部门系统", "Windows电脑，Edge浏览器", "192.0.2.*", "2026年3月2日"):
        assert shown in text
    assert text.count('class="when"') == 4
    assert "203.0.113.77" not in text
    assert list(find_bare(text, person)) == []
    assert "To: Historical department (sample)" in (await web.get("/account/history?lang=en")).text


async def test_the_history_is_turned_over_by_key(provider: Provider) -> None:
    person, other = await provider.add_person(), await provider.add_person()
    await record(provider, person, Kind.SESSION_ENDED, 30, reason="signed out")
    provider.clock.advance(60)
    await record(provider, person, Kind.SIGN_IN_FAILED, 25, way="password", reason="wrong")
    await record(provider, other, Kind.SIGN_IN_LOCKED)
    web = await sign_in_to(provider, person, "/account/history")
    page, seen = web.page, []
    while page is not None:
        seen.append((page.text.count(">退出登录</span>"), page.text.count("密码不正确"), page.text.count(">登录成功</span>")))
        assert "密码登录暂停" not in page.text
        older = page.text.partition('id="older" href="')[2].partition('"')[0]
        if len(seen) == 2:  # what happens meanwhile moves no row to another page
            await record(provider, person, Kind.SIGN_IN_FAILED, 3, way="password", reason="wrong")
        page = await web.get(older) if older else None
    assert [sum(one) for one in seen] == [20, 20, 16]
    assert [sum(column) for column in zip(*seen, strict=True)] == [30, 25, 1]
    assert "没有更早的记录了" in web.page.text  # type: ignore[union-attr]


async def test_a_key_of_somebody_else_shows_only_ones_own(provider: Provider) -> None:
    person, other = await provider.add_person(), await provider.add_person()
    await record(provider, other, Kind.SIGN_IN_LOCKED, 25)
    theirs = await sign_in_to(provider, other, "/account/history")
    assert theirs.page is not None
    older = theirs.page.text.partition('id="older" href="')[2].partition('"')[0]
    assert older
    web = await sign_in_to(provider, person, "/account/history")
    assert "密码登录暂停" not in (await web.get(older)).text
    for odd in ("x", "A" * 32, "A" * 5_000, "%00", "../"):
        page = await web.get(f"/account/history?before={odd}")
        assert page.status_code == 200
        assert page.text.count(">登录成功</span>") == (0 if odd == "A" * 32 else 1)


async def test_the_history_ends_after_a_year(provider: Provider) -> None:
    person = await provider.add_person()
    await record(provider, person, Kind.PASSWORD_CHANGED)
    provider.clock.advance(190 * 86_400)
    web = await sign_in_to(provider, person, "/account/history")
    assert web.page is not None
    assert "修改了密码" in web.page.text
    provider.clock.advance(190 * 86_400)
    web = await sign_in_to(provider, person, "/account/history")
    assert web.page is not None
    assert "修改了密码" not in web.page.text
