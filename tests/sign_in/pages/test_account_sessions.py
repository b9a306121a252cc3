"""Ending sign-ins from another device: one, all others, with everything granted from them; and nobody else's."""

import asyncio

import pytest

from idp.sign_in.services.account import Account
from tests.support.account import COMPUTER, PHONE, find_bare, list_forms, open_account, read_cookies, read_own_events
from tests.support.provider import SESSION, Provider, Somebody
from tests.support.web import Web, find_code

PATH = "/account/sessions"
CLIENTS = {"grant_types": ("authorization_code", "refresh_token")}


async def open_two(provider: Provider, person: Somebody) -> tuple[Web, Web]:
    """Return the browser that looks after the account, on its page, and another one of the same person."""
    other = await open_account(provider, person, "/", **{"user-agent": COMPUTER})
    return await open_account(provider, person, PATH, **{"user-agent": PHONE}), other


def is_signed_in(page: object) -> bool:
    return "我的账号" in page.text  # type: ignore[attr-defined]


async def test_every_sign_in_is_shown_in_words(provider: Provider) -> None:
    person, stranger = await provider.add_person(), await provider.add_person()
    await open_account(provider, stranger)
    web, other = await open_two(provider, person)
    assert web.page is not None
    text = web.page.text
    for shown in ("苹果手机，微信", "Windows电脑，Edge浏览器", "本机", "正在使用", "192.0.2.*", "2026年3月2日"):
        assert shown in text
    assert text.count('class="entry"') == 2
    assert text.index("苹果手机") < text.index("Windows电脑")
    assert list(find_bare(text, person)) == []
    for cookie in (web.client.cookies[SESSION], other.client.cookies[SESSION]):
        assert cookie not in text


async def test_one_sign_in_ends_with_its_grants_and_nothing_else_does(provider: Provider) -> None:
    client = await provider.add_client("ending-one", **CLIENTS)
    person, stranger = await provider.add_person(), await provider.add_person()
    web, other = await open_two(provider, person)
    third = await open_account(provider, person, "/")
    theirs = await open_account(provider, stranger, "/")
    online = await provider.get_tokens(client, read_cookies(other))
    offline = await provider.get_tokens(client, read_cookies(other), scope="openid offline_access")
    kept = [await provider.get_tokens(client, read_cookies(b), scope="openid offline_access") for b in (web, third, theirs)]
    page = await web.get(PATH)
    form = next(f for f, entry in zip(list_forms(page), page.text.split("<li ")[2:], strict=False) if "Edge" in entry)
    page = await web._follow(await web.client.post(PATH, data=form))
    assert "那台设备已经退出" in page.text
    assert not is_signed_in(await other.get("/"))
    assert is_signed_in(await third.get("/"))
    assert is_signed_in(await theirs.get("/"))
    for tokens in (online, offline):
        assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
        refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
        assert refreshed.status_code == 400
    for tokens in kept:
        assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    assert await read_own_events(provider, person, "session_ended", "grant_ended") == [
        ("grant_ended", {"reason": "signed out elsewhere", "grants": 2}),
        ("session_ended", {"reason": "signed out elsewhere", "sessions": 1}),
    ]
    # Sent again, nothing more happens and nothing is claimed.
    page = await web._follow(await web.client.post(PATH, data=form))
    assert "那台设备已经退出" not in page.text
    assert len(await read_own_events(provider, person, "session_ended")) == 1


async def test_all_others_end_at_once(provider: Provider) -> None:
    client = await provider.add_client("ending-all", **CLIENTS)
    person, stranger = await provider.add_person(), await provider.add_person()
    web, other = await open_two(provider, person)
    idle = await open_account(provider, person, "/")
    theirs = await open_account(provider, stranger, "/")
    offline = await provider.get_tokens(client, read_cookies(other), scope="openid offline_access")
    mine = await provider.get_tokens(client, read_cookies(web))
    page = await web.get(PATH)
    form = next(f for f in list_forms(page) if "others" in f)
    page = await web._follow(await web.client.post(PATH, data=form))
    assert "其他设备已全部退出" in page.text
    assert "没有其他设备登录着" in page.text
    for browser in (other, idle):
        assert not is_signed_in(await browser.get("/"))
    assert is_signed_in(await theirs.get("/"))
    assert (await provider.read_userinfo(offline["access_token"])).status_code == 401
    assert (await provider.read_userinfo(mine["access_token"])).status_code == 200
    events = await read_own_events(provider, person, "session_ended", "grant_ended")
    assert ("session_ended", {"reason": "signed out elsewhere", "sessions": 2}) in events


async def test_an_idle_sign_in_is_shown_because_departments_may_still_know_it(provider: Provider) -> None:
    client = await provider.add_client("idling", **CLIENTS)
    person = await provider.add_person()
    lost = await open_account(provider, person, "/")
    tokens = await provider.get_tokens(client, read_cookies(lost))
    provider.clock.advance(1_900)
    web = await open_account(provider, person, PATH)
    assert web.page is not None
    assert "这里已自动退出" in web.page.text
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    tokens = (await provider.post("/token", refresh, client)).json()
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    await web._follow(await web.client.post(PATH, data=list_forms(web.page)[0]))
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def make_own_handle(provider: Provider, web: Web) -> str:
    """Return the handle of a browser's own sign-in, which its page never shows."""
    services = provider.services
    session = await services.sessions.read(web.client.cookies[SESSION])
    assert session is not None
    account = Account(services.sessions, services.people, services.platform.data_keys.mac("codes"))
    return account.make_mark(session, "session " + session.lineage.hex())


@pytest.mark.parametrize("whose", ["another person", "another sign-in of the same person", "nonsense", "this sign-in"])
async def test_a_handle_names_only_what_its_own_page_shows(provider: Provider, whose: str) -> None:
    person, stranger = await provider.add_person(), await provider.add_person()
    web, other = await open_two(provider, person)
    first, second = await open_two(provider, stranger)
    assert first.page is not None
    assert web.page is not None
    mine = list_forms(web.page)[0]
    handle = {
        "another person": list_forms(first.page)[0]["session"],
        "another sign-in of the same person": list_forms(await other.get(PATH))[0]["session"],
        "nonsense": "x" * 32,
        "this sign-in": await make_own_handle(provider, web),
    }[whose]
    page = await web._follow(await web.client.post(PATH, data={**mine, "session": handle}))
    assert page.status_code == 200
    assert "已经退出，" not in page.text
    for browser in (web, other, first, second):
        assert is_signed_in(await browser.get("/"))


@pytest.mark.parametrize("path", [PATH, "/account/password", "/account/freeze", "/account/releases"])
@pytest.mark.parametrize("forgery", ["missing", "wrong", "of another person", "of another sign-in", "from elsewhere"])
async def test_a_form_without_the_token_of_this_sign_in_does_nothing(provider: Provider, path: str, forgery: str) -> None:
    person, stranger = await provider.add_person(), await provider.add_person()
    web, other = await open_two(provider, person)
    theirs = await open_account(provider, stranger, PATH)
    page = await web.get(PATH)
    form = list_forms(page)[0] | {"current_password": "correct horse battery", "password": "a new and long one", "others": "1"}
    headers = {}
    match forgery:
        case "missing":
            del form["csrf"]
        case "wrong":
            form["csrf"] = form["csrf"][:-1] + ("A" if form["csrf"][-1] != "A" else "B")
        case "of another person":
            await open_account(provider, stranger, "/")
            form["csrf"] = list_forms(await theirs.get(PATH))[0]["csrf"]
        case "of another sign-in":
            form["csrf"] = list_forms(await other.get(PATH))[0]["csrf"]
        case _:
            headers = {"sec-fetch-site": "cross-site"}
    page = await web.client.post(path, data=form, headers=headers)
    assert (page.status_code, find_code(page)) == (403, "form_forged")
    assert f'href="{path}"' in page.text
    for browser in (web, other):
        assert is_signed_in(await browser.get("/"))
    assert await read_own_events(provider, person, "session_ended", "account_frozen", "password_changed") == []


@pytest.mark.parametrize("path", [PATH, "/account/password", "/account/freeze", "/account/releases"])
async def test_a_form_after_the_end_of_the_sign_in_leads_to_signing_in(provider: Provider, path: str) -> None:
    person = await provider.add_person()
    web, other = await open_two(provider, person)
    assert web.page is not None
    form = list_forms(web.page)[0] | {"others": "1"}
    async with provider.services.platform.database.transaction() as tx:
        lineages = await provider.services.sessions.list_lineages(person.person_id)
        assert len(lineages) == 2
        await provider.services.sessions.end_all(tx, person.person_id, "signed out")
    page = await web._follow(await web.client.post(path, data=form))
    assert 'name="password"' in page.text
    assert await read_own_events(provider, person, "account_frozen", "password_changed") == []
    page = await web.submit("/sign-in", identifier=person.document, password="correct horse battery")
    assert page.url.path == path
    assert not is_signed_in(await other.get("/"))


async def test_of_forms_sent_together_one_ends_the_sign_in(provider: Provider) -> None:
    person = await provider.add_person()
    web, _ = await open_two(provider, person)
    assert web.page is not None
    form = list_forms(web.page)[0]
    await asyncio.gather(*(web.client.post(PATH, data=form) for _ in range(5)))
    assert await read_own_events(provider, person, "session_ended") == [
        ("session_ended", {"reason": "signed out elsewhere", "sessions": 1})
    ]


async def test_a_page_claims_nothing_that_was_not_done(provider: Provider) -> None:
    person = await provider.add_person()
    web, other = await open_two(provider, person)
    done = (await other.client.post(PATH, data=next(f for f in list_forms(await other.get(PATH)) if "others" in f))).headers["location"]
    web = await open_account(provider, person, PATH)
    for address in (done, f"{PATH}?done=others", f"{PATH}?done=1"):
        assert "已全部退出" not in (await web.get(address)).text
    assert "已全部退出" in (await other.get(done)).text
