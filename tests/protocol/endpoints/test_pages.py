"""Authorization errors, consent, sign-in on the way, sign-out: what a browser sees."""

import asyncio
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from idp.kernel.levels import Acr, Factor
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, SESSION, Provider
from tests.support.web import Web, find_code


def ask(client: str, **changes: str | None) -> str:
    """Return an authorization address."""
    parameters: dict[str, str | None] = {
        "client_id": client,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "state-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return "/authorize?" + urlencode({name: value for name, value in parameters.items() if value is not None})


def read_answer(web: Web) -> dict[str, str]:
    """Return what the department got."""
    assert web.left_to is not None, web.page and web.page.text
    assert web.left_to.startswith(REDIRECT_URI)
    return {name: values[0] for name, values in parse_qs(urlsplit(web.left_to).query).items()}


@pytest.mark.parametrize(
    ("code", "status", "changes"),
    [
        ("unknown_client", 400, {"client_id": "nobody"}),
        ("unknown_client", 400, {"client_id": None}),
        ("bad_redirect_uri", 400, {"redirect_uri": "https://evil.example/"}),
        ("bad_redirect_uri", 400, {"redirect_uri": REDIRECT_URI + "/x"}),
        ("bad_redirect_uri", 400, {"redirect_uri": None}),
        ("parameter_too_long", 400, {"state": "x" * 2001}),
    ],
)
async def test_what_cannot_be_answered_at_the_client_is_a_page(
    provider: Provider, code: str, status: int, changes: dict[str, str | None]
) -> None:
    if "pages" not in provider.secrets:
        await provider.add_client("pages")
    page = await Web(provider).get(ask("pages", **changes))
    assert (page.status_code, find_code(page)) == (status, code)
    assert '="https://evil' not in page.text


@pytest.mark.parametrize("query", ["client_id=pages&client_id=pages", "state=%FF", "state=%00", "&".join(f"a{i}=1" for i in range(50))])
async def test_unreadable_parameters_are_a_page(provider: Provider, query: str) -> None:
    page = await Web(provider).get("/authorize?" + query)
    assert page.status_code == 400
    assert find_code(page) in ("repeated_parameter", "request_refused", "parameter_too_long")


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("unsupported_response_type", {"response_type": "token"}),
        ("invalid_scope", {"scope": "profile"}),
        ("invalid_request", {"code_challenge_method": "plain"}),
        ("invalid_request_object", {"request": "e30.e30."}),
        ("login_required", {"prompt": "none"}),
        ("invalid_request", {"id_token_hint": "e30.e30.e30"}),
    ],
)
async def test_errors_go_to_the_client_with_its_state(provider: Provider, error: str, changes: dict[str, Any]) -> None:
    if "errors" not in provider.secrets:
        await provider.add_client("errors")
    landing = await provider.authorize("errors", **changes)
    assert landing.parameters["error"] == error
    assert (landing.parameters["state"], landing.parameters["iss"]) == ("state-1", ISSUER)


async def test_a_citizen_signs_in_once_and_enters_the_second_department_without_a_page(provider: Provider) -> None:
    await provider.add_client("first", minimum_acr=Acr.SUBSTANTIAL)
    await provider.add_client("second", minimum_acr=Acr.SUBSTANTIAL)
    person = await provider.add_person()
    web = Web(provider)
    page = await web.sign_in(person, ask("first"))
    assert page.status_code == 200
    assert "code" in read_answer(web)
    assert web.codes
    response = await web.client.get(ask("second"))
    assert response.status_code == 303
    assert response.headers["location"].startswith(REDIRECT_URI + "?code=")


async def test_a_low_application_asks_one_factor_and_a_higher_one_only_the_code(provider: Provider) -> None:
    await provider.add_client("low")
    await provider.add_client("higher", minimum_acr=Acr.SUBSTANTIAL)
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("low"))
    assert "code" in read_answer(web)
    assert not web.codes
    page = await web.get(ask("higher"))
    assert 'name="code"' in page.text
    assert 'name="password"' not in page.text
    await web.submit("/sign-in", code=await web.read_code())
    assert "code" in read_answer(web)


async def test_a_step_up_keeps_codes_tokens_and_the_sid_of_other_departments(provider: Provider) -> None:
    await provider.add_client("early", grant_types=("authorization_code", "refresh_token"))
    await provider.add_client("later", minimum_acr=Acr.SUBSTANTIAL)
    web = Web(provider)
    await web.sign_in(await provider.add_person(), ask("early"))
    before = {SESSION: web.client.cookies[SESSION]}
    tokens = await provider.get_tokens("early", before)
    landing = await provider.authorize("early", before)
    await web.get(ask("later"))
    await web.submit("/sign-in", code=await web.read_code())
    after = {SESSION: web.client.cookies[SESSION]}
    assert before != after
    assert (await provider.authorize("early", before, prompt="none")).parameters["error"] == "login_required", "the old id is dead"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    assert (await provider.redeem("early", landing)).status_code == 200
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}
    page = await web.client.get("/sign-out?" + urlencode(wish))
    assert page.headers["location"] == BACK, "the sid of the old ID Token still names this session"


async def test_prompt_login_asks_again_and_moves_auth_time(provider: Provider) -> None:
    await provider.add_client("again")
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("again"))
    provider.clock.advance(30)
    page = await web.get(ask("again", prompt="login"))
    assert 'name="password"' in page.text
    await web.sign_in(person, ask("again", prompt="login"))
    assert "code" in read_answer(web)


async def test_s14_after_thirty_idle_minutes_the_page_says_so_and_names_the_department(provider: Provider) -> None:
    await provider.add_client("idle", name="闲置测试部门（样例）")
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("idle"))
    provider.clock.advance(1800)
    page = await web.get(ask("idle"))
    assert 'name="password"' in page.text
    assert "闲置测试部门（样例）" in page.text
    assert "30" in page.text


async def test_consent_is_asked_once_and_recorded(provider: Provider) -> None:
    await provider.add_client("consent", entitlements=(Entitlement("公积金提取", Basis.CONSENT, ("name",)),))
    person = await provider.add_person()
    web = Web(provider)
    page = await web.sign_in(person, ask("consent", scope="openid profile"))
    assert "公积金提取" in page.text
    assert str(page.url).startswith(f"{ISSUER}/consent?i=")
    await web.submit("/consent", decision="allow")
    assert "code" in read_answer(web)
    assert "code" in (await provider.authorize("consent", {SESSION: web.client.cookies[SESSION]}, scope="openid profile")).parameters
    events = [e for e in await provider.read_events("consent_given") if e["person_id"] == person.person_id]
    assert len(events) == 1


async def test_of_answers_that_arrive_together_one_is_recorded(provider: Provider) -> None:
    await provider.add_client("torn", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("torn", scope="openid profile"))
    fields = web.fields()
    answers = await asyncio.gather(
        *(web.client.post("/consent", data={**fields, "decision": decision}) for decision in ("allow", "deny", "allow", "deny"))
    )
    assert {a.status_code for a in answers} <= {303, 409}, "too late is told, or there is nothing left to ask"
    kinds = ("consent_given", "consent_denied")
    events = [e for kind in kinds for e in await provider.read_events(kind) if e["person_id"] == person.person_id]
    assert len(events) == 1
    rows = await provider.services.platform.database.fetch("SELECT count(*) AS n FROM consents WHERE person_id = $1", person.person_id)
    assert rows[0]["n"] == (1 if events[0]["kind"] == "consent_given" else 0)


async def test_what_was_not_shown_is_not_agreed_to(provider: Provider) -> None:
    await provider.add_client("changing", entitlements=(Entitlement("联系", Basis.CONSENT, ("phone_number",)),))
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("changing", scope="openid phone identity"))
    fields = web.fields()
    known = await provider.services.directory.find("changing")
    assert known is not None
    wider = replace(known, entitlements=(Entitlement("联系", Basis.CONSENT, ("phone_number", "id_document")),))
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.clients.replace(tx, wider, actor="test")
    provider.services.directory.forget("changing")
    page = await web.client.post("/consent", data={**fields, "decision": "allow"})
    assert page.headers["location"].startswith("/consent?i="), "the page is shown again, with what is asked now"
    await web.get(page.headers["location"])
    other = await provider.open_session(await provider.add_person())
    fields = web.fields()
    web.client.cookies.set(SESSION, other[SESSION])
    again = await web.client.post("/consent", data={**fields, "decision": "allow"})
    assert again.headers["location"].startswith("/consent?i="), "another person was not asked"
    rows = await provider.services.platform.database.fetch("SELECT count(*) AS n FROM consents WHERE client_id = 'changing'")
    assert rows[0]["n"] == 0


async def test_who_does_not_consent_returns_with_access_denied(provider: Provider) -> None:
    await provider.add_client("refused", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    web = Web(provider)
    await web.sign_in(await provider.add_person(), ask("refused", scope="openid profile"))
    await web.submit("/consent", decision="deny")
    answer = read_answer(web)
    assert (answer["error"], answer["state"]) == ("access_denied", "state-1")


async def test_consent_needs_the_token_of_its_page_the_browser_and_the_step(provider: Provider) -> None:
    await provider.add_client("guarded", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    person = await provider.add_person()
    web = Web(provider)
    await web.sign_in(person, ask("guarded", scope="openid profile"))
    fields = web.fields()
    for wrong in ({"csrf": ""}, {"csrf": "x"}, {"step": "0"}, {"decision": "perhaps"}, {"i": "x"}):
        page = await web.client.post("/consent", data={**fields, "decision": "allow", **wrong})
        assert page.status_code in (400, 403, 409, 410), page.text
    foreign = Web(provider)
    assert (await foreign.client.post("/consent", data={**fields, "decision": "allow"})).status_code == 403
    crossing = await web.client.post("/consent", data={**fields, "decision": "allow"}, headers={"sec-fetch-site": "cross-site"})
    assert crossing.status_code == 403
    assert not [e for e in await provider.read_events("consent_given") if e["person_id"] == person.person_id]
    assert (await web.client.post("/consent", data={**fields, "decision": "allow"})).status_code == 303


async def test_a_level_that_cannot_be_reached_is_told_to_the_person_and_then_to_the_client(provider: Provider) -> None:
    await provider.add_client("strict", minimum_acr=Acr.SUBSTANTIAL)
    await provider.add_client("wishing")
    person = await provider.add_person(ial=2)
    web = Web(provider)
    for _ in range(2):  # the second time the session is there already: again a page, not a bounce
        page = await web.sign_in(person, ask("strict"))
        assert 'action="/raise"' in page.text, "proving more would lead there"
        page = await web.submit("/raise", later="1")
        assert (page.status_code, find_code(page)) == (403, "level_unreachable")
        assert "error=unmet_authentication_requirements" in unescape(page.text)
    silent = await provider.authorize("strict", {SESSION: web.client.cookies[SESSION]}, prompt="none")
    assert silent.parameters["error"] == "login_required"
    lowered = Web(provider)
    await lowered.sign_in(await provider.add_person(ial=2), ask("wishing", acr_values="urn:yizheng:acr:substantial"))
    await lowered.submit("/raise", later="1")
    assert "code" in read_answer(lowered)


async def test_what_a_person_did_after_a_page_is_audited_with_place_and_request(provider: Provider) -> None:
    await provider.add_client("placed")
    person = await provider.add_person()
    await Web(provider).sign_in(person, ask("placed"))
    (event,) = [e for e in await provider.read_events("authorized") if e["person_id"] == person.person_id]
    assert event["request_id"]
    assert event["place_hash"] is not None


async def test_s17_the_language_follows_parameter_cookie_request_and_default(provider: Provider) -> None:
    await provider.add_client("tongues", name_en="Tongues (sample)")
    web = Web(provider, language="en")
    assert 'lang="en"' in (await web.get(ask("tongues"))).text
    assert 'lang="zh-CN"' in (await web.get(ask("tongues", ui_locales="zh-CN"))).text
    assert 'lang="zh-CN"' in (await web.get(ask("tongues"))).text, "the cookie of the last choice goes before the request"
    assert 'lang="en"' in (await web.get(ask("nobody", ui_locales="en"))).text, "error pages too"


async def get_hint(provider: Provider, client_id: str, cookies: dict[str, str]) -> str:
    """Return an ID Token of a sign-on."""
    token: str = (await provider.get_tokens(client_id, cookies))["id_token"]
    return token


async def test_sign_out_with_a_hint_ends_the_session_and_returns(provider: Provider) -> None:
    await provider.add_client("leaving")
    cookies = await provider.open_session(await provider.add_person(), Factor.PASSWORD)
    hint = await get_hint(provider, "leaving", cookies)
    web = Web(provider)
    web.client.cookies.update(cookies)
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "bye"}
    page = await web.client.get("/sign-out?" + urlencode(wish))
    assert (page.status_code, page.headers["location"]) == (303, BACK + "?state=bye")
    assert (await provider.authorize("leaving", cookies, prompt="none")).parameters["error"] == "login_required"
    again = await web.client.get("/sign-out?" + urlencode(wish))
    assert again.headers["location"] == BACK + "?state=bye", "an ended session still returns"


async def test_sign_out_without_a_hint_asks_first(provider: Provider) -> None:
    await provider.add_client("asking")
    cookies = await provider.open_session(await provider.add_person())
    web = Web(provider)
    web.client.cookies.update(cookies)
    page = await web.get("/sign-out?post_logout_redirect_uri=" + quote(BACK))
    assert page.status_code == 200
    fields = web.fields()
    assert (await web.client.post("/sign-out", data={**fields, "csrf": "x", "decision": "sign_out"})).status_code == 403
    assert "code" in (await provider.authorize("asking", cookies)).parameters, "nothing was ended"
    done = await web.submit("/sign-out", decision="sign_out")
    assert done.url.path == "/signed-out"
    assert (await provider.authorize("asking", cookies, prompt="none")).parameters["error"] == "login_required"


@pytest.mark.parametrize("uri", [BACK + "x", BACK + "?a=1", "https://evil.example/", "javascript:alert(1)"])
async def test_sign_out_never_returns_to_an_unregistered_address(provider: Provider, uri: str) -> None:
    client = await provider.add_client(f"unregistered-{len(provider.secrets)}")
    cookies = await provider.open_session(await provider.add_person())
    hint = await get_hint(provider, client, cookies)
    web = Web(provider)
    web.client.cookies.update(cookies)
    page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": uri}))
    assert urlsplit(page.headers["location"])[:3] == ("", "", "/signed-out")


async def test_a_foreign_or_tampered_hint_asks_and_does_not_return(provider: Provider) -> None:
    await provider.add_client("tampered")
    mine = await provider.open_session(await provider.add_person())
    theirs = await provider.open_session(await provider.add_person())
    web = Web(provider)
    web.client.cookies.update(mine)
    other = await get_hint(provider, "tampered", theirs)
    own = await get_hint(provider, "tampered", mine)
    for hint in (other, own[:-4] + "AAAA", "x.y.z"):
        page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK}))
        assert page.status_code == 200
    assert "code" in (await provider.authorize("tampered", mine)).parameters


async def test_token_endpoints_refuse_what_is_no_form(provider: Provider) -> None:
    for path in ("/token", "/introspect"):
        answers = [
            await provider.browser.get(path),
            await provider.browser.post(path, json={"grant_type": "client_credentials"}),
            await provider.browser.post(path, content=b"a=%ff", headers={"content-type": "application/x-www-form-urlencoded"}),
            await provider.browser.post(path, content=b"a=1&a=2", headers={"content-type": "application/x-www-form-urlencoded"}),
        ]
        assert [r.status_code for r in answers] == [405, 400, 400, 400]
        assert {r.json()["error"] for r in answers} == {"invalid_request"}
    large = await provider.browser.post(
        "/token", content=b"a=" + b"x" * 70_000, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert large.status_code == 413


async def test_userinfo_challenges_as_rfc_6750_says(provider: Provider) -> None:
    bare = await provider.browser.get("/userinfo")
    assert (bare.status_code, bare.headers.get_list("www-authenticate")[0]) == (401, 'Bearer realm="userinfo"')
    wrong = await provider.read_userinfo("x" * 40)
    assert wrong.status_code == 401
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    query = await provider.browser.get("/userinfo?access_token=x")
    assert query.status_code == 401
    posted = await provider.browser.post("/userinfo", data={"access_token": "x"})
    assert posted.json()["error"] == "invalid_token"


async def test_unknown_hosts_methods_and_paths_are_refused(provider: Provider) -> None:
    assert (await provider.browser.get("/token", headers={"host": "evil.example"})).status_code == 421
    other = await provider.browser.put("/authorize")
    assert (other.status_code, other.headers["allow"]) == (405, "GET, POST")
    assert (await provider.browser.get("/nowhere")).status_code == 404
    assert (await provider.browser.delete("/jwks.json")).status_code == 405


@pytest.mark.parametrize("how", ["idle", "cookie lost"])
async def test_sign_out_ends_a_sign_in_that_the_browser_no_longer_shows(provider: Provider, how: str) -> None:
    client = await provider.add_client(f"lost-{how[:4]}", grant_types=("authorization_code", "refresh_token"))
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    tokens = await provider.get_tokens(client, cookies)
    web = Web(provider)
    if how == "idle":
        web.client.cookies.update(cookies)
        provider.clock.advance(1860)
    page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}))
    assert page.headers["location"] == BACK
    refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
    assert refreshed.json()["error"] == "invalid_grant"
    ended = [e for e in await provider.read_events("session_ended") if e["person_id"] == person.person_id]
    assert [e["client_id"] for e in ended] == [client]
