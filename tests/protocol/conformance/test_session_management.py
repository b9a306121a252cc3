"""What the modules of the Session Management OP profile ask, where an operator turned it on; off, nothing of it is there."""

import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from idp.http.cookies import CookieNames
from tests.support.conformance import register
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, SESSION, Provider, run_provider
from tests.support.web import Web

STATE = CookieNames(ISSUER).state


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider with session management."""
    async with run_provider(
        service_dsn,
        tmp_path_factory.mktemp("provider"),
        IDP_CLIENT_REGISTRATION__MODE="open",
        IDP_CLIENT_REGISTRATION__REQUIRES_PKCE="false",
        IDP_PROTOCOL__SESSION_MANAGEMENT="true",
    ) as running:
        yield running


def compute(client_id: str, browser_state: str, session_state: str) -> str:
    """Compute what the frame computes for a page of the client (Session Management §4.2)."""
    parts = urlsplit(REDIRECT_URI)
    salt = session_state.partition(".")[2]
    return hashlib.sha256(f"{client_id} {parts.scheme}://{parts.netloc} {browser_state} {salt}".encode()).hexdigest() + "." + salt


async def test_oidcc_session_management_discovery_endpoint_verification(provider: Provider) -> None:
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["check_session_iframe"] == ISSUER + "/check-session"
    frame = await provider.browser.get("/check-session")
    assert frame.status_code == 200
    assert "frame-ancestors *" in frame.headers["content-security-policy"]
    assert "script-src 'self'" in frame.headers["content-security-policy"]
    assert "x-frame-options" not in frame.headers
    assert frame.headers["cross-origin-resource-policy"] == "cross-origin", "a department's page may isolate itself"
    assert f'data-cookie="{STATE}"' in frame.text
    other = await provider.browser.get("/sign-in")
    assert "frame-ancestors 'none'" in other.headers["content-security-policy"]
    assert other.headers["cross-origin-resource-policy"] == "same-origin"


async def test_oidcc_session_management_rp_initiated_logout(provider: Provider) -> None:
    party = await register(provider)
    web = Web(provider)
    query = urlencode({"client_id": party.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid"})
    await web.sign_in(await provider.add_person(), f"/authorize?{query}")
    assert web.left_to is not None
    landed = dict(pair.split("=", 1) for pair in urlsplit(web.left_to).query.split("&"))
    state = web.client.cookies[STATE]
    assert landed["session_state"] == compute(party.client_id, state, landed["session_state"]), "unchanged"
    hint = (await party.redeem(landed["code"])).json()["id_token"]
    page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK}))
    assert page.headers["location"] == BACK
    assert STATE not in web.client.cookies
    assert landed["session_state"] != compute(party.client_id, "", landed["session_state"]), "changed"


async def test_the_state_is_readable_by_scripts_and_is_no_session(provider: Provider) -> None:
    party = await register(provider)
    cookies = await provider.open_session(await provider.add_person())
    landing = await party.authorize(cookies)
    (written,) = [value for value in landing.response.headers.get_list("set-cookie") if value.startswith(STATE)]
    assert "httponly" not in written.lower()
    state = written.partition("=")[2].partition(";")[0]
    assert state != cookies[SESSION]
    assert landing.parameters["session_state"] == compute(party.client_id, state, landing.parameters["session_state"])
    again = await party.authorize({**cookies, STATE: state})
    assert not again.response.headers.get_list("set-cookie"), "it has it already"
    assert again.parameters["session_state"] != landing.parameters["session_state"], "a salt of its own"
    assert "code" not in (await party.authorize({SESSION: state}, prompt="none")).parameters


async def test_on_https_the_state_comes_along_into_frames_of_departments() -> None:
    names = CookieNames("https://id.example", shows_state=True)
    written = names.find_state(names.set(names.session, "value"))
    assert written is not None
    assert written.startswith(b"__Host-idp_state=")
    assert written.endswith(b"; Path=/; SameSite=None; Secure")
    assert names.find_state(names.clear(names.session)) == b"__Host-idp_state=; Max-Age=0; Path=/; SameSite=None; Secure"
    assert names.find_state(names.set(names.browser, "value")) is None
