"""No browser is led to a client that was suspended or retired: the reason may be what waits there."""

from urllib.parse import urlencode

import pytest

from idp.protocol.rules.client_metadata import About, LogoutAddresses, RequestDemands
from tests.protocol.endpoints.test_app_entry import add_app, ask_for_ticket, enter, sign_in_app
from tests.support.provider import BACK, SESSION, Provider
from tests.support.web import Web, find_code

CLOSED = ("suspended", "retired")
FRONT = LogoutAddresses(frontchannel_logout_uri="https://department.example/front")
CACHE = 6


async def close(provider: Provider, client_id: str, status: str) -> None:
    """Suspend or retire a client, and let every process have heard of it."""
    await provider.execute("UPDATE clients SET status = $2, version = version + 1 WHERE client_id = $1", client_id, status)
    provider.clock.advance(CACHE)


@pytest.mark.parametrize("status", CLOSED)
async def test_an_app_gets_no_ticket_for_a_closed_client_and_an_earlier_one_lets_nobody_in(provider: Provider, status: str) -> None:
    app, target = f"app-to-{status}", f"land-{status}"
    await provider.add_client(target, about=About(initiate_login_uri="https://department.example/login"))
    await add_app(provider, app, requests=RequestDemands(front_ticket_targets=(target,)))
    tokens = await sign_in_app(provider, app, await provider.add_person())
    ticket = (await ask_for_ticket(provider, app, tokens["access_token"], audience=target)).json()["access_token"]
    await close(provider, target, status)
    view = Web(provider)
    assert find_code(await view.client.get(enter(ticket))) == "ticket_refused"
    assert SESSION not in view.client.cookies
    refused = await ask_for_ticket(provider, app, tokens["access_token"], audience=target)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("status", CLOSED)
async def test_a_sign_out_returns_nobody_to_a_closed_client(provider: Provider, status: str) -> None:
    client = await provider.add_client(f"left-{status}")
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens(client, cookies)
    await close(provider, client, status)
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "bye"}
    for signed_in in (cookies, {}):
        web = Web(provider)
        web.client.cookies.update(signed_in)
        left = await web.client.get("/sign-out?" + urlencode(wish))
        assert left.headers["location"].startswith("/signed-out")
        page = await web.get(left.headers["location"])
        assert BACK not in page.text
        assert "return-refused" not in page.text, "its address is registered"


@pytest.mark.parametrize("status", CLOSED)
@pytest.mark.parametrize("meanwhile", [False, True])
async def test_the_page_after_a_sign_out_frames_no_closed_client(provider: Provider, status: str, meanwhile: bool) -> None:
    framed, asking = f"framed-{status}-{meanwhile}", f"asking-{status}-{meanwhile}"
    await provider.add_client(framed, logout=FRONT)
    await provider.add_client(asking)
    cookies = await provider.open_session(await provider.add_person())
    await provider.get_tokens(framed, cookies)
    tokens = await provider.get_tokens(asking, cookies)
    web = Web(provider)
    web.client.cookies.update(cookies)
    if not meanwhile:
        await close(provider, framed, status)
    left = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["id_token"]}))
    if meanwhile:
        await close(provider, framed, status)
    page = await web.get(left.headers["location"])
    assert f"部门{framed}" in page.text, "the person reads that it does not know"
    assert "<iframe" not in page.text
    assert "frame-src" not in page.headers["content-security-policy"]
    assert framed not in [event["client_id"] for event in await provider.read_events("logout_told")]
