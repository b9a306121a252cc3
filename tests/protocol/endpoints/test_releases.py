"""People see who received what about them (S57), and a consent that they withdraw releases nothing any more."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlencode

from idp.protocol.rules.client import Basis, Entitlement
from tests.support.account import find_bare, list_forms, open_account, read_cookies, read_own_events
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import REDIRECT_URI, Provider, Somebody
from tests.support.web import Web

PATH = "/account/releases"
ENQUIRY = Entitlement("查询医疗费用", Basis.CONSENT, ("name", "id_document"), purpose_en="Enquiry of medical expenses")
CONTACT = Entitlement("通知办理进度", Basis.CONSENT, ("phone_number",))
DUTY = Entitlement("核对参保身份", Basis.STATUTORY_DUTY, ("name", "birthdate"), purpose_en="Checking insurance")
SCOPE = "openid profile phone identity"


async def consent(provider: Provider, web: Web, client_id: str) -> dict[str, Any]:
    """Agree on the consent page; return tokens of a later authorization, which asks nothing."""
    query = {"client_id": client_id, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": SCOPE}
    await web.get("/authorize?" + urlencode({**query, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}))
    assert web.page is not None
    assert "是否同意" in web.page.text
    await web.submit("/consent", decision="allow")
    return await provider.get_tokens(client_id, read_cookies(web), scope=SCOPE)


async def make_consenting(provider: Provider, client_id: str, *entitlements: Entitlement) -> tuple[Somebody, Web, dict[str, Any]]:
    await provider.add_client(client_id, entitlements=entitlements, name_en=f"Department {client_id} (sample)")
    person = await provider.add_person()
    web = await open_account(provider, person, "/")
    return person, web, await consent(provider, web, client_id)


async def read_claims(provider: Provider, tokens: dict[str, Any]) -> set[str]:
    answer = await provider.read_userinfo(tokens["access_token"])
    assert answer.status_code == 200
    return set(answer.json())


async def test_s57_a_release_by_duty_asks_nothing_and_the_persons_history_names_it(provider: Provider) -> None:
    await provider.add_client("duty", entitlements=(DUTY,), name_en="Insurance department (sample)")
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    assert web.page is not None
    assert "没有提供过" in web.page.text
    tokens = await provider.get_tokens("duty", read_cookies(web), scope="openid profile")
    assert {"name", "birthdate"} <= await read_claims(provider, tokens)
    page = await web.get(PATH)
    for shown in ("部门duty（样例）", "核对参保身份", "部门依法履行职责", "姓名", "出生日期", "2026年3月2日", ">09:00<"):
        assert shown in page.text
    assert list(find_bare(page.text, person)) == []
    page = await web.get(PATH + "?lang=en")
    for shown in ("Insurance department (sample)", "Checking insurance", "duty by law", "Date of birth"):
        assert shown in page.text


async def test_a_withdrawn_consent_stops_the_next_release_of_the_same_token(provider: Provider) -> None:
    person, web, tokens = await make_consenting(provider, "withdrawing", ENQUIRY, CONTACT, DUTY)
    assert {"name", "id_document", "phone_number", "birthdate"} <= await read_claims(provider, tokens)
    page = await web.get(PATH)
    for shown in ("查询医疗费用", "通知办理进度", "撤回同意：部门withdrawing（样例），查询医疗费用", "您的同意"):
        assert shown in page.text
    assert list(find_bare(page.text, person)) == []
    form = next(f for f in list_forms(page) if f["purpose"] == ENQUIRY.purpose)
    page = await web._follow(await web.client.post(PATH, data=form))
    assert "已撤回同意，" in page.text
    assert "2026年3月2日已撤回" in page.text
    assert [f["purpose"] for f in list_forms(page)] == [CONTACT.purpose]
    claims = await read_claims(provider, tokens)
    assert "id_document" not in claims
    assert {"name", "phone_number", "birthdate"} <= claims
    assert (await provider.authorize("withdrawing", read_cookies(web), scope=SCOPE, prompt="none")).parameters[
        "error"
    ] == "consent_required"
    expected = {"purpose": ENQUIRY.purpose, "version": 1, "claims": "name id_document"}
    assert await read_own_events(provider, person, "consent_withdrawn") == [("consent_withdrawn", expected)]
    event = (await provider.read_events("consent_withdrawn"))[-1]
    assert (event["client_id"], event["actor"]) == ("withdrawing", f"person:{person.person_id}")
    # Agreeing again counts anew.
    tokens = await consent(provider, web, "withdrawing")
    assert "id_document" in await read_claims(provider, tokens)


async def test_of_withdrawals_sent_together_one_counts(provider: Provider) -> None:
    person, web, _ = await make_consenting(provider, "twice", ENQUIRY)
    form = list_forms(await web.get(PATH))[0]
    pages = await asyncio.gather(*(web.client.post(PATH, data=form) for _ in range(4)))
    assert {page.status_code for page in pages} == {303}
    assert sum("done=" in page.headers["location"] for page in pages) == 1
    assert len(await read_own_events(provider, person, "consent_withdrawn")) == 1
    assert "已撤回同意，" not in (await web.get(f"{PATH}?done=1")).text


async def test_nobody_withdraws_the_consent_of_another(provider: Provider) -> None:
    person, web, tokens = await make_consenting(provider, "ones-own", ENQUIRY)
    stranger = await open_account(provider, await provider.add_person(), PATH)
    assert stranger.page is not None
    own = list_forms(await stranger.get("/account/password"))[0]["csrf"]
    form = list_forms(await web.get(PATH))[0]
    for sent in ({**form, "csrf": own}, form):
        page = await stranger.client.post(PATH, data=sent)
        assert page.status_code in (303, 403)
    for odd in ({"client": "nobody"}, {"purpose": "nothing"}, {"client": "", "purpose": ""}):
        assert (await web.client.post(PATH, data={**form, **odd})).headers["location"] == PATH
    assert (await web.client.post(PATH, data={**form, "purpose": "x" * 201})).status_code == 400
    assert "id_document" in await read_claims(provider, tokens)
    assert await read_own_events(provider, person, "consent_withdrawn") == []


async def test_a_withdrawal_takes_every_version_and_an_outdated_one_says_so(provider: Provider) -> None:
    person, web, _ = await make_consenting(provider, "versions", ENQUIRY)
    statement = "UPDATE consents SET version = 7 WHERE person_id = $1"
    await provider.execute(statement, person.person_id)
    await consent(provider, web, "versions")
    page = await web.get(PATH)
    assert page.text.count("后来有变化") == 1
    await web.client.post(PATH, data=list_forms(page)[0])
    assert len(await read_own_events(provider, person, "consent_withdrawn")) == 2
    assert list_forms(await web.get(PATH)) == []


async def test_releases_are_turned_over_by_key_and_a_lost_department_has_no_name(provider: Provider) -> None:
    await provider.add_client("often", entitlements=(DUTY,))
    person = await provider.add_person()
    web = await open_account(provider, person, "/")
    tokens = await provider.get_tokens("often", read_cookies(web), scope="openid profile")
    for _ in range(45):
        await read_claims(provider, tokens)
    counts = []
    page = await web.get(PATH)
    while True:
        counts.append(page.text.count("部门often（样例）"))
        older = re.search(r'id="older" href="([^"]+)"', page.text)
        if older is None:
            break
        page = await web.get(older[1])
        assert "您同意提供的" not in page.text
    assert counts == [20, 20, 5]
    await provider.execute("UPDATE clients SET client_id = 'gone' WHERE client_id = 'often'")
    provider.services.directory.forget_all()
    assert (await web.get(PATH)).text.count("已停用的部门系统") == 20


async def test_what_is_shown_is_what_went_out(provider: Provider) -> None:
    person, web, tokens = await make_consenting(provider, "exactly", CONTACT)
    released = await read_claims(provider, tokens) - {"sub"}
    event = next(e for e in await provider.read_events("claims_released") if e["person_id"] == person.person_id)
    assert set(json.loads(event["details"])["claims"].split()) == released
    page = await web.get(PATH)
    records = page.text[page.text.index("提供过的记录") :]
    for word, claim in (("手机号", "phone_number"), ("姓名", "name"), ("出生日期", "birthdate"), ("语言偏好", "locale")):
        assert (word in records) is (claim in released), word
