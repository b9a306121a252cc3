"""Whoever does not want to sign out stays signed in and reads so on a page that can be shown again."""

import re
from html import unescape
from urllib.parse import urlencode

from tests.support.provider import BACK, SESSION, Provider
from tests.support.web import Web, find_code


async def test_staying_leads_to_a_page_of_its_own_that_speaks_both_languages(provider: Provider) -> None:
    await provider.add_client("kept", name="留下部门（样例）", name_en="Kept department (sample)")
    mine = await provider.open_session(await provider.add_person())
    theirs = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens("kept", theirs))["id_token"]
    web = Web(provider)
    web.client.cookies.update(mine)
    page = await web.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK}))
    assert "来自：留下部门（样例）" in page.text
    answer = await web.client.post("/sign-out", data={**web.fields(), "decision": "stay"})
    assert answer.status_code == 303
    page = await web.get(answer.headers["location"])
    assert "您仍保持登录" in page.text
    assert f'href="{BACK}">返回留下部门（样例）' in page.text
    switch = re.search(r'<a href="([^"]*lang=en[^"]*)"', page.text)
    assert switch is not None
    page = await web.get(str(page.url.join(unescape(switch[1]))))
    assert "You are still signed in" in page.text
    assert f'href="{BACK}">Back to Kept department (sample)' in page.text
    assert "code" in (await provider.authorize("kept", mine)).parameters, "nothing was ended"
    stranger = Web(provider)
    assert find_code(await stranger.get(answer.headers["location"])) == "foreign_browser"
    await web.client.post("/sign-out", data={**web.fields(), "decision": "stay"})
    web.client.cookies.delete(SESSION)
    assert (await web.get(answer.headers["location"])).url.path == "/signed-out", "the page does not say what is not so"


async def test_a_flow_of_another_kind_is_no_question_about_signing_out(provider: Provider) -> None:
    web = Web(provider)
    await web.get("/")
    fields = web.fields()
    for page in (
        await web.client.post("/sign-out", data={**fields, "decision": "sign_out"}),
        await web.client.get(f"/stayed?i={fields['i']}"),
    ):
        assert (page.status_code, find_code(page)) == (410, "interaction_expired")


async def test_without_a_department_there_is_a_way_on_too(provider: Provider) -> None:
    web = Web(provider)
    web.client.cookies.update(await provider.open_session(await provider.add_person()))
    page = await web.get("/sign-out")
    assert "来自：" not in page.text
    page = await web.submit("/sign-out", decision="stay")
    assert 'id="account" href="/account"' in page.text
    page = await web.get("/signed-out")
    assert page.url.path == "/", "the address alone says nothing that is not so"
    await web.get("/sign-out")
    page = await web.submit("/sign-out", decision="sign_out")
    assert page.url.path == "/signed-out"
    assert 'id="sign-in" href="/"' in page.text


async def test_a_hint_of_another_client_than_the_one_named_beside_it_ends_nothing(provider: Provider) -> None:
    await provider.add_client("hinted", name="有提示部门（样例）")
    await provider.add_client("named-beside", name="另一部门（样例）")
    mine = await provider.open_session(await provider.add_person())
    wish = {"id_token_hint": (await provider.get_tokens("hinted", mine))["id_token"], "post_logout_redirect_uri": BACK}
    web = Web(provider)
    web.client.cookies.update(mine)
    for named in ("named-beside", "nobody"):
        page = await web.get("/sign-out?" + urlencode({**wish, "client_id": named}))
        assert (page.url.path, "来自：" in page.text) == ("/sign-out", False), "the person is asked, on nobody's behalf"
    assert "code" in (await provider.authorize("hinted", mine)).parameters, "nothing was ended"
    page = await web.client.get("/sign-out?" + urlencode({**wish, "client_id": "hinted"}))
    assert page.headers["location"] == BACK
