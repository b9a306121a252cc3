"""Freezing one's own account: at once, everywhere, for good until the identity is proved again."""

import asyncio

from idp.people.rules.person import Status, StatusEvent
from sms.templates import find_template
from tests.support.account import find_bare, list_forms, open_account, read_cookies, read_notices, read_own_events
from tests.support.provider import PASSWORD, SESSION, Provider
from tests.support.web import Web, find_code

PATH = "/account/freeze"


async def test_freezing_ends_everything_and_says_how_to_go_on(provider: Provider) -> None:
    client = await provider.add_client("frozen-client", grant_types=("authorization_code", "refresh_token"))
    person, stranger = await provider.add_person(), await provider.add_person()
    other = await open_account(provider, person, "/")
    theirs = await open_account(provider, stranger, "/")
    web = await open_account(provider, person, PATH)
    tokens = [await provider.get_tokens(client, read_cookies(b), scope="openid offline_access") for b in (web, other)]
    assert web.page is not None
    assert "怎样恢复" in web.page.text
    form = list_forms(web.page)[0]
    await read_notices(provider)
    page = await web._follow(await web.client.post(PATH, data=form))
    assert page.url.path == "/account/frozen"
    for shown in ("账号已冻结", "政务服务窗口", "12345"):
        assert shown in page.text
    assert list(find_bare(page.text, person)) == []
    for browser in (web, other):
        assert 'name="password"' in (await browser.get("/account")).text
    for one in tokens:
        assert (await provider.read_userinfo(one["access_token"])).status_code == 401
    assert "我的账号" in (await theirs.get("/")).text
    statement = "SELECT status FROM people WHERE id = $1"
    assert (await provider.services.platform.database.fetch(statement, person.person_id))[0]["status"] == "frozen"
    assert await read_own_events(provider, person, "account_frozen", "session_ended", "grant_ended") == [
        ("account_frozen", {"way": "account", "before": "active"}),
        ("grant_ended", {"reason": "frozen", "grants": 2}),
        ("session_ended", {"reason": "frozen", "sessions": 2}),
    ]
    notices = await read_notices(provider)
    assert [(n["phone"], n["template"]) for n in notices] == [(person.phone, "account_frozen")]
    assert find_template("account_frozen", notices[0]["parameters"]).pick(notices[0]["parameters"]) == notices[0]["parameters"]
    # Nobody gets in, and the one who tries with the right factors is told why.
    await web.get("/")
    page = await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    if 'name="code"' in page.text:
        page = await web.submit("/sign-in", code=await web.read_code())
    assert find_code(page) == "account_frozen"


async def test_the_page_after_it_is_shown_again_and_only_to_this_browser(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    pages = await asyncio.gather(*(web.client.post(PATH, data=form) for _ in range(3)))
    assert {page.headers.get("location") for page in pages if page.status_code == 303} == {"/account/frozen"}
    assert len(await read_own_events(provider, person, "account_frozen")) == 1
    page = await web._follow(await web.client.post(PATH, data=form))
    assert page.url.path == "/account/frozen"
    assert "Your account is frozen" in (await web.get("/account/frozen?lang=en")).text
    assert 'name="password"' in (await Web(provider).get("/account/frozen")).text
    forged = Web(provider)
    forged.client.cookies.set(SESSION, "x" * 43)
    assert 'name="password"' in (await forged.get("/account/frozen")).text
    assert (await (await open_account(provider, await provider.add_person())).get("/account/frozen")).url.path == "/account"


async def test_an_account_that_is_being_closed_cannot_be_frozen(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.ASK_TO_CLOSE)
    page = await web.client.post(PATH, data=form)
    assert (page.status_code, find_code(page)) == (409, "freeze_impossible")
    assert (await web.get("/account")).url.path == "/account"
    assert await read_own_events(provider, person, "account_frozen") == []
