"""After a sign-out: the page that tells departments through the browser, and says which of them know."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio

from idp.http.middleware import CSP
from idp.protocol.rules.client_metadata import LogoutAddresses
from tests.protocol.endpoints.test_code_flow import verify_id_token
from tests.support.logout import deliver_logouts, listen_for_logouts
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, Provider, run_provider
from tests.support.web import Web

FRONT = "https://department.example/front?kept=1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider that may ask this machine."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(service_dsn, folder, IDP_FETCHING__LOOPBACK="true") as running:
        yield running


def read_frames(page: Any) -> list[str]:
    return [unescape(found) for found in re.findall(r'<iframe[^>]* src="([^"]+)"', page.text)]


def read_states(page: Any) -> dict[str, str]:
    rows = re.findall(r'<dt>([^<]+)</dt><dd class="state">.*?</svg></span><span>([^<]+)</span></dd>', page.text, re.S)
    return {unescape(name): unescape(state) for name, state in rows}


async def enter(provider: Provider, web: Web, *clients: str) -> dict[str, str]:
    """Sign a new person in at these clients; return the ID Tokens."""
    cookies = await provider.open_session(await provider.add_person())
    web.client.cookies.update(cookies)
    return {client: (await provider.get_tokens(client, cookies))["id_token"] for client in clients}


async def test_departments_without_a_back_channel_are_told_through_the_browser(provider: Provider) -> None:
    await provider.add_client("front", logout=LogoutAddresses(frontchannel_logout_uri=FRONT), name="前台部门（样例）")
    await provider.add_client("leaver", logout=LogoutAddresses(backchannel_logout_uri="https://department.example:22/x"))
    web = Web(provider)
    tokens = await enter(provider, web, "front", "leaver")
    wish = {"id_token_hint": tokens["leaver"], "post_logout_redirect_uri": BACK, "state": "bye"}
    first = await web.client.get("/sign-out?" + urlencode(wish))
    assert first.status_code == 303
    assert urlsplit(first.headers["location"]).path == "/signed-out"
    page = await web.get(first.headers["location"])
    (frame,) = read_frames(page)
    assert frame.startswith(FRONT + "&")
    named = {name: values[0] for name, values in parse_qs(urlsplit(frame).query).items()}
    assert named == {"kept": "1", "iss": ISSUER, "sid": (await verify_id_token(provider, tokens["front"]))["sid"]}
    assert page.headers["content-security-policy"] == CSP + "; frame-src https://department.example"
    onward = BACK + "?state=bye"
    assert f'http-equiv="refresh" content="0;url={onward}"' in page.text
    assert f'id="back" href="{onward}"' in page.text, "without waiting too"
    assert read_states(page)["前台部门（样例）"] == "已通过本浏览器通知"
    (event,) = [e for e in await provider.read_events("logout_told") if e["client_id"] == "front"]
    assert '"front"' in event["details"]
    again = await web.get(first.headers["location"])
    assert read_frames(again) == [frame], "whoever comes back tells it again"
    assert [e["client_id"] for e in await provider.read_events("logout_told")].count("front") == 1


async def test_no_other_page_may_show_frames(provider: Provider) -> None:
    web = Web(provider)
    for path in ("/signed-out", "/sign-in", "/help"):
        assert (await web.client.get(path)).headers["content-security-policy"] == CSP


async def test_the_page_after_a_sign_out_says_who_has_not_answered_yet(provider: Provider) -> None:
    async with listen_for_logouts() as address:
        await provider.add_client("slow", logout=LogoutAddresses(backchannel_logout_uri=address.address), name="慢部门（样例）")
        await provider.add_client("deaf", name="没有地址的部门（样例）", name_en="Deaf department (sample)")
        web = Web(provider)
        await enter(provider, web, "slow", "deaf")
        await web.get("/sign-out")
        page = await web.submit("/sign-out", decision="sign_out")
        assert page.url.path == "/signed-out"
        assert 'id="waiting"' in page.text
        assert read_states(page) == {"慢部门（样例）": "尚未答复", "没有地址的部门（样例）": "未能通知，请在那里自行退出"}
        assert read_frames(page) == []
        assert page.headers["content-security-policy"] == CSP
        await deliver_logouts(provider)
        later = await web.get(str(page.url))
        assert 'id="waiting"' not in later.text
        assert read_states(later)["慢部门（样例）"] == "已退出"
        english = await web.get(f"{page.url}&lang=en")
        assert read_states(english)["Deaf department (sample)"] == "Could not be told. Please sign out there yourself."


async def test_when_everybody_was_told_the_page_says_so(provider: Provider) -> None:
    async with listen_for_logouts() as address:
        await provider.add_client("quick", logout=LogoutAddresses(backchannel_logout_uri=address.address))
        web = Web(provider)
        tokens = await enter(provider, web, "quick")
        first = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["quick"]}))
        await deliver_logouts(provider)
        assert 'id="all-told"' in (await web.get(first.headers["location"])).text


async def test_only_the_browser_that_signed_out_reads_where_it_had_been(provider: Provider) -> None:
    await provider.add_client("private", name="隐私部门（样例）")
    web = Web(provider)
    tokens = await enter(provider, web, "private")
    first = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["private"]}))
    location = first.headers["location"]
    assert "隐私部门（样例）" in (await web.get(location)).text
    for strange in (location, "/signed-out?i=", "/signed-out?i=nothing", "/signed-out"):
        page = await Web(provider).get(strange)
        assert (page.status_code, "隐私部门" in page.text) == (200, False)


async def test_a_question_that_is_open_is_no_page_after_a_sign_out(provider: Provider) -> None:
    await provider.add_client("asked")
    web = Web(provider)
    await enter(provider, web, "asked")
    await web.get("/sign-out")
    page = await web.get(f"/signed-out?i={web.fields()['i']}")
    assert (page.status_code, read_states(page)) == (200, {})


async def test_a_confirmed_sign_out_goes_over_the_same_page(provider: Provider) -> None:
    client = await provider.add_client("confirmed", logout=LogoutAddresses(frontchannel_logout_uri="https://department.example/out"))
    other = await provider.open_session(await provider.add_person())
    foreign = (await provider.get_tokens(client, other))["id_token"]
    web = Web(provider)
    await enter(provider, web, client)
    await web.get("/sign-out?" + urlencode({"id_token_hint": foreign, "post_logout_redirect_uri": BACK}))
    page = await web.submit("/sign-out", decision="sign_out")
    assert page.url.path == "/signed-out"
    assert len(read_frames(page)) == 1
    assert f'content="0;url={BACK}"' in page.text


async def test_a_department_that_is_told_by_itself_does_not_hold_up_the_way_back(provider: Provider) -> None:
    await provider.add_client("direct", logout=LogoutAddresses(backchannel_logout_uri="https://department.example:22/x"))
    web = Web(provider)
    tokens = await enter(provider, web, "direct")
    page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["direct"], "post_logout_redirect_uri": BACK}))
    assert page.headers["location"] == BACK


async def test_a_ban_tells_no_browser_and_the_department_stays_untold(provider: Provider) -> None:
    client = await provider.add_client("browserless", logout=LogoutAddresses(frontchannel_logout_uri=REDIRECT_URI))
    person = await provider.add_person()
    await provider.get_tokens(client, await provider.open_session(person))
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_all(tx, person.person_id, "banned")
    (event,) = [e for e in await provider.read_events("logout_untold") if e["client_id"] == client]
    assert '"no_browser"' in event["details"]
