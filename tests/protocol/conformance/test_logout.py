"""What the modules of the logout OP profiles ask (design: protocol.md §6); each test carries the name of its module."""

import base64
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.logout import EVENT
from tests.support.conformance import RelyingParty, register
from tests.support.logout import deliver_logouts, listen_for_logouts, read_logout_token
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, Provider
from tests.support.web import Web


class Leaving:
    """A relying party with somebody signed in, and the browser that is sent to the end-session endpoint."""

    def __init__(self, party: RelyingParty, web: Web, id_token: str) -> None:
        self.party = party
        self.web = web
        self.id_token = id_token

    async def send(self, **parameters: str) -> Any:
        """Send the browser; return the first answer."""
        metadata = (await self.party.provider.browser.get("/.well-known/openid-configuration")).json()
        endpoint = metadata["end_session_endpoint"].removeprefix(ISSUER)
        return await self.web.client.get(f"{endpoint}?{urlencode(parameters)}" if parameters else endpoint)

    async def is_signed_in(self) -> bool:
        """Tell whether ``prompt=none`` still gives a code."""
        cookies = {cookie.name: cookie.value or "" for cookie in self.web.client.cookies.jar}
        return "code" in (await self.party.authorize(cookies, prompt="none")).parameters


async def enter(provider: Provider, **metadata: Any) -> Leaving:
    """Register a client and sign somebody in there."""
    party = await register(provider, **metadata)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await party.get_tokens(cookies)
    web = Web(provider)
    web.client.cookies.update(cookies)
    return Leaving(party, web, tokens["id_token"])


def stays_here(page: Any) -> bool:
    """Tell whether the person is on a page of ours and on no way to the client."""
    location = page.headers.get("location", "")
    return page.status_code in (200, 303) and not urlsplit(location).netloc and BACK not in page.text


async def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(provider: Provider) -> None:
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["end_session_endpoint"].startswith(ISSUER)


async def test_oidcc_rp_initiated_logout(provider: Provider) -> None:
    leaving = await enter(provider)
    assert await leaving.is_signed_in()
    state = "vJ0Q!#$%&'()*+,-./:;<=>?@[]^_`{|}~"
    page = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri=BACK, state=state)
    assert page.status_code == 303
    address, _, query = page.headers["location"].partition("?")
    assert address == BACK
    assert parse_qs(query)["state"] == [state]
    assert not await leaving.is_signed_in()


async def test_oidcc_rp_initiated_logout_no_state(provider: Provider) -> None:
    leaving = await enter(provider)
    page = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri=BACK)
    assert page.headers["location"] == BACK
    assert not await leaving.is_signed_in()


async def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(provider: Provider) -> None:
    leaving = await enter(provider)
    page = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri="https://department.example/never", state="s")
    assert stays_here(page)
    assert 'id="return-refused"' in (await leaving.web.get(page.headers["location"])).text, "the person reads why they stay"
    again = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri="https://department.example/never")
    assert 'id="return-refused"' in (await leaving.web.get(again.headers["location"])).text, "also when there was nothing to end"


async def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(provider: Provider) -> None:
    leaving = await enter(provider)
    page = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri=BACK + "?foo=bar", state="s")
    assert stays_here(page)
    assert 'id="return-refused"' in (await leaving.web.get(page.headers["location"])).text


async def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(provider: Provider) -> None:
    leaving = await enter(provider)
    page = await leaving.send(id_token_hint=leaving.id_token, state="s")
    assert stays_here(page)
    done = await leaving.web.get(page.headers["location"])
    assert (done.url.path, 'id="return-refused"' in done.text) == ("/signed-out", False), "nobody asked to be sent anywhere"
    assert not await leaving.is_signed_in()


async def test_oidcc_rp_initiated_logout_only_state(provider: Provider) -> None:
    leaving = await enter(provider)
    page = await leaving.send(state="s")
    assert stays_here(page)
    assert 'name="decision"' in page.text, "nobody proved to mean it, so the person is asked"
    assert await leaving.is_signed_in()


async def test_oidcc_rp_initiated_logout_no_params(provider: Provider) -> None:
    leaving = await enter(provider)
    assert 'name="decision"' in (await leaving.send()).text
    stranger = Web(provider)
    assert (await stranger.get("/sign-out")).url.path == "/signed-out", "whoever is not signed in is told so"


async def test_oidcc_rp_initiated_logout_no_id_token_hint(provider: Provider) -> None:
    leaving = await enter(provider)
    for further in ({}, {"client_id": leaving.party.client_id}):
        page = await leaving.send(post_logout_redirect_uri=BACK, state="s", **further)
        assert stays_here(page)
        assert 'name="decision"' in page.text
    await leaving.web.get(f"/sign-out?{urlencode({'post_logout_redirect_uri': BACK, 'client_id': leaving.party.client_id})}")
    done = await leaving.web.submit("/sign-out", decision="sign_out")
    assert stays_here(done)
    assert not await leaving.is_signed_in()


def read_part(text: str) -> dict[str, Any]:
    part: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return part


async def test_oidcc_rp_initiated_logout_modified_id_token_hint(provider: Provider) -> None:
    leaving = await enter(provider)
    header, claims, signature = leaving.id_token.split(".")
    changed = encode_base64url(json.dumps({**read_part(claims), "sub": "another"}).encode())
    unsigned = encode_base64url(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    for hint in (f"{header}.{changed}.{signature}", f"{unsigned}.{claims}.", f"{header}.{claims}.{signature[:-8]}AAAAAAAA"):
        page = await leaving.send(id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
        assert stays_here(page)
        assert await leaving.is_signed_in()


async def test_oidcc_rp_initiated_logout_bad_id_token_hint(provider: Provider) -> None:
    leaving = await enter(provider)
    for hint in ("", "x", "x.y.z", "x" * 5_000):
        page = await leaving.send(id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
        assert stays_here(page)
        assert await leaving.is_signed_in()


async def test_a_hint_of_another_client_or_person_does_not_return(provider: Provider) -> None:
    leaving, other = await enter(provider), await enter(provider)
    page = await leaving.send(id_token_hint=other.id_token, post_logout_redirect_uri=BACK, client_id=leaving.party.client_id)
    assert stays_here(page)
    assert await leaving.is_signed_in()
    assert await other.is_signed_in()


async def test_an_expired_hint_and_an_expired_session_still_return(provider: Provider) -> None:
    leaving = await enter(provider)
    provider.clock.advance(400)
    provider_now = provider.now().timestamp()
    assert read_part(leaving.id_token.split(".")[1])["exp"] < provider_now, "the ID Token is over"
    assert await leaving.is_signed_in()
    wish = {"id_token_hint": leaving.id_token, "post_logout_redirect_uri": BACK, "state": "s"}
    assert (await leaving.send(**wish)).headers["location"] == BACK + "?state=s"
    late = await enter(provider)
    provider.clock.advance(43_300)
    assert (await late.send(id_token_hint=late.id_token, post_logout_redirect_uri=BACK)).headers["location"] == BACK
    assert (await late.send(id_token_hint=late.id_token, post_logout_redirect_uri=BACK)).headers["location"] == BACK, "and again"


async def test_the_parameters_may_be_posted_and_the_language_is_the_asked_one(provider: Provider) -> None:
    leaving = await enter(provider)
    asked = await leaving.web.client.get("/sign-out?ui_locales=en")
    assert 'lang="en"' in asked.text
    wish = {"id_token_hint": leaving.id_token, "post_logout_redirect_uri": BACK, "state": "s"}
    posted = await leaving.web.client.post("/sign-out", data=wish)
    assert posted.status_code == 303
    assert (await leaving.web.client.get(posted.headers["location"])).headers["location"] == BACK + "?state=s"
    assert not await leaving.is_signed_in()


async def test_oidcc_backchannel_logout_discovery_endpoint_verification(provider: Provider) -> None:
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["backchannel_logout_supported"] is True
    assert metadata["backchannel_logout_session_supported"] is True
    assert "sid" in metadata["claims_supported"]


async def test_oidcc_backchannel_rp_initiated_logout(provider: Provider) -> None:
    async with listen_for_logouts() as address:
        leaving = await enter(provider, backchannel_logout_uri=address.address, backchannel_logout_session_required=True)
        issued = await leaving.party.read_id_token(leaving.id_token)
        page = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri=BACK, state="s")
        assert page.headers["location"] == BACK + "?state=s"
        await deliver_logouts(provider)
        (told,) = address.requests
    assert told[0] == "POST /backchannel-logout HTTP/1.1"
    assert told[1]["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(told[2].decode()).keys() == {"logout_token"}
    header, claims = await read_logout_token(provider, address.tokens[0])
    assert header["alg"] == leaving.party.metadata["id_token_signed_response_alg"]
    assert header["typ"] == "logout+jwt"
    assert (claims["iss"], claims["aud"]) == (ISSUER, leaving.party.client_id)
    assert (claims["sub"], claims["sid"]) == (issued["sub"], issued["sid"])
    assert claims["events"] == {EVENT: {}}
    assert claims["jti"]
    assert claims["iat"] <= claims["exp"] <= claims["iat"] + 120
    assert "nonce" not in claims
    assert not await leaving.is_signed_in()


async def test_oidcc_frontchannel_logout_discovery_endpoint_verification(provider: Provider) -> None:
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["frontchannel_logout_supported"] is True
    assert metadata["frontchannel_logout_session_supported"] is True


async def test_oidcc_frontchannel_rp_initiated_logout(provider: Provider) -> None:
    uri = REDIRECT_URI + "/front"
    leaving = await enter(provider, frontchannel_logout_uri=uri, frontchannel_logout_session_required=True)
    issued = await leaving.party.read_id_token(leaving.id_token)
    first = await leaving.send(id_token_hint=leaving.id_token, post_logout_redirect_uri=BACK, state="s")
    page = await leaving.web.get(first.headers["location"])
    (frame,) = re.findall(r'<iframe[^>]* src="([^"]+)"', page.text)
    address, _, query = unescape(frame).partition("?")
    assert address == uri
    assert parse_qs(query) == {"iss": [ISSUER], "sid": [issued["sid"]]}
    assert f'content="0;url={BACK}?state=s"' in page.text, "and then the browser goes back to the client"
    assert not await leaving.is_signed_in()


@pytest.mark.parametrize("uri", ["http://department.example/out", "https://department.example/out#fragment", "javascript:alert(1)"])
async def test_a_logout_address_that_may_not_be_is_refused_at_registration(provider: Provider, uri: str) -> None:
    document = {"redirect_uris": [REDIRECT_URI], "backchannel_logout_uri": uri}
    answer = await provider.browser.post("/connect/register", json=document)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_frontchannel_address_is_of_the_clients_own_origin(provider: Provider) -> None:
    document = {"redirect_uris": [REDIRECT_URI], "frontchannel_logout_uri": "https://another.example/out"}
    answer = await provider.browser.post("/connect/register", json=document)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_session_management_is_off_unless_it_is_turned_on(provider: Provider) -> None:
    assert "check_session_iframe" not in (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert (await provider.browser.get("/check-session")).status_code == 404
    landing = await (await register(provider)).authorize(await provider.open_session(await provider.add_person()))
    assert "session_state" not in landing.parameters
    assert not landing.response.headers.get_list("set-cookie")
