"""What a script on another site's page may ask: a public client that lives in a browser does the whole flow, and nothing else is open."""

import pytest

from idp.protocol.rules.client import AuthMethod
from tests.support.provider import Provider

ORIGIN = {"origin": "https://app.example"}
ASK = {**ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,dpop"}
DOCUMENTS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks.json"]
ENDPOINTS = ["/token", "/userinfo", "/revoke", "/par"]


@pytest.mark.parametrize("path", [*DOCUMENTS, *ENDPOINTS])
async def test_a_browser_asks_beforehand(provider: Provider, path: str) -> None:
    answer = await provider.browser.request("OPTIONS", path, headers=ASK)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "dpop"} <= set(allowed)
    assert set(answer.headers["access-control-allow-methods"].split(", ")) == {"GET", "POST"}
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_public_client_in_a_browser_does_the_whole_flow(provider: Provider) -> None:
    client_id = await provider.add_client("browser-app", auth_method=AuthMethod.NONE)
    landing = await provider.authorize(client_id, await provider.open_session(await provider.add_person()))
    form = {"grant_type": "authorization_code", "client_id": client_id, "code": landing.code, "code_verifier": landing.verifier}
    refused = await provider.browser.post("/token", data=form, headers=ORIGIN)
    assert refused.status_code == 400
    form["redirect_uri"] = "https://department.example/callback"
    answer = await provider.browser.post("/token", data=form, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}", **ORIGIN}
    userinfo = await provider.browser.get("/userinfo", headers=bearer)
    assert userinfo.json()["sub"]
    revoked = await provider.browser.post("/revoke", data={"client_id": client_id, "token": answer.json()["access_token"]}, headers=ORIGIN)
    assert revoked.status_code == 200
    void = await provider.browser.get("/userinfo", headers=bearer)
    assert void.status_code == 401
    for told in (refused, answer, userinfo, revoked, void):
        assert told.headers.get_list("access-control-allow-origin") == ["*"], "a script reads refusals too"
        assert "dpop-nonce" in told.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in told.headers, "nothing that a browser adds by itself counts there"


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_document_says_always_whom_it_is_for(provider: Provider, path: str) -> None:
    for headers in ({}, ORIGIN):
        answer = await provider.browser.get(path, headers=headers)
        assert answer.headers.get_list("access-control-allow-origin") == ["*"], "caches keep it for whoever asks next"
    other = await provider.browser.post(path)
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")


async def test_whoever_is_no_script_is_told_nothing_of_it(provider: Provider) -> None:
    answer = await provider.browser.post("/token", data={})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/introspect", "/authorize", "/sign-in", "/sign-out", "/account", "/device_authorization", "/connect/register"]
)
async def test_nothing_else_is_open(provider: Provider, path: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        answer = await provider.browser.request(method, path, headers=ASK)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
