"""Pushed authorization requests (RFC 9126): checked at once, kept for a minute, used once, by their client."""

import asyncio
import hashlib
from typing import Any

import pytest

from idp.authenticators.rules.throttling import name_origin
from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_metadata import RequestDemands
from tests.support.provider import REDIRECT_URI, Landing, Provider

VERIFIER = "v" * 43


def make_request(**changes: str | None) -> dict[str, str]:
    """Return a request that can be pushed."""
    parameters: dict[str, str | None] = {
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": encode_base64url(hashlib.sha256(VERIFIER.encode()).digest()),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


async def push(provider: Provider, client_id: str, **changes: str | None) -> str:
    """Push a request, return its name."""
    response = await provider.post("/par", make_request(**changes), client_id)
    assert response.status_code == 201, response.text
    name: str = response.json()["request_uri"]
    return name


async def use(provider: Provider, client_id: str, name: str, cookies: dict[str, str] | None = None, **changes: str) -> Landing:
    """Send the browser with a pushed request."""
    headers = {"cookie": "; ".join(f"{n}={v}" for n, v in (cookies or {}).items())}
    query = {"client_id": client_id, "request_uri": name, **changes}
    return Landing(await provider.browser.get("/authorize", params=query, headers=headers), VERIFIER)


async def test_a_pushed_request_is_answered_once(provider: Provider) -> None:
    # conformance: fapi2-security-profile-final-par-attempt-reuse-request_uri
    await provider.add_client("pushing")
    cookies = await provider.open_session(await provider.add_person())
    response = await provider.post("/par", make_request(), "pushing")
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    answer = response.json()
    assert answer["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert len(answer["request_uri"].rpartition(":")[2]) >= 43
    assert 60 <= answer["expires_in"] <= 90
    landing = await use(provider, "pushing", answer["request_uri"], cookies, state="another", scope="openid profile")
    assert landing.parameters["state"] == "state-1", "what stands outside counts for nothing"
    tokens = (await provider.redeem("pushing", landing)).json()
    assert tokens["scope"] == "openid"
    again = await use(provider, "pushing", answer["request_uri"], cookies)
    assert again.response.status_code == 400
    assert "location" not in again.response.headers


async def test_of_many_browsers_one_gets_the_code(provider: Provider) -> None:
    await provider.add_client("pushed-race")
    cookies = await provider.open_session(await provider.add_person())
    name = await push(provider, "pushed-race")
    landings = await asyncio.gather(*(use(provider, "pushed-race", name, cookies) for _ in range(10)))
    assert sorted(landing.response.status_code for landing in landings) == [303] + [400] * 9


async def test_it_is_bound_to_its_client_and_stays_whose_it_is(provider: Provider) -> None:
    # conformance: fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client
    await provider.add_client("pushed-own")
    await provider.add_client("pushed-thief")
    cookies = await provider.open_session(await provider.add_person())
    name = await push(provider, "pushed-own")
    stolen = await use(provider, "pushed-thief", name, cookies)
    assert stolen.response.status_code == 400
    assert (await use(provider, "pushed-own", name, cookies)).code


async def test_it_expires(provider: Provider) -> None:
    await provider.add_client("pushed-late")
    name = await push(provider, "pushed-late")
    provider.clock.advance(90)
    assert (await use(provider, "pushed-late", name)).response.status_code == 400


@pytest.mark.parametrize("name", ["urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:" + "x" * 400])
async def test_a_name_that_never_was_is_a_page(provider: Provider, name: str) -> None:
    if "pushed-never" not in provider.secrets:
        await provider.add_client("pushed-never")
    response = (await use(provider, "pushed-never", name)).response
    assert response.status_code == 400
    assert "只能使用一次" in response.text


async def test_a_reload_leads_into_the_same_flow(provider: Provider) -> None:
    await provider.add_client("pushed-reload")
    name = await push(provider, "pushed-reload")
    first = (await use(provider, "pushed-reload", name)).location
    assert first.startswith("/continue?i=")
    assert (await use(provider, "pushed-reload", name)).location == first


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("invalid_request", {"redirect_uri": "https://elsewhere.example/"}),
        ("invalid_request", {"redirect_uri": None}),
        ("invalid_request", {"request_uri": "urn:ietf:params:oauth:request_uri:x"}),
        ("invalid_request", {"response_mode": "fragment"}),
        ("invalid_scope", {"scope": "profile"}),
        ("unsupported_response_type", {"response_type": "token"}),
        ("invalid_request", {"code_challenge": None}),
        ("invalid_target", {"resource": "https://other.example/api"}),
        ("invalid_request", {"client_id": "another"}),
        ("invalid_authorization_details", {"authorization_details": '[{"type":"other"}]'}),
    ],
)
async def test_what_could_not_be_answered_is_refused_at_once(provider: Provider, error: str, changes: dict[str, Any]) -> None:
    if "pushed-wrong" not in provider.secrets:
        await provider.add_client("pushed-wrong")
    response = await provider.post("/par", make_request(**changes), "pushed-wrong")
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_a_client_that_must_push_is_not_answered_otherwise(provider: Provider) -> None:
    # conformance: fapi2-security-profile-final-ensure-unsigned-request-without-par-fails
    await provider.add_client("must-push", requests=RequestDemands(require_pushed_authorization_requests=True))
    cookies = await provider.open_session(await provider.add_person())
    assert (await provider.authorize("must-push", cookies)).parameters["error"] == "invalid_request"
    assert (await use(provider, "must-push", await push(provider, "must-push"), cookies)).code


async def test_nobody_pushes_without_authenticating(provider: Provider) -> None:
    await provider.add_client("pushed-nobody")
    response = await provider.post("/par", make_request(), "pushed-nobody", "wrong" * 10)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert (await provider.browser.get("/par")).json()["error"] == "invalid_request"


async def test_request_and_request_uri_exclude_each_other(provider: Provider) -> None:
    await provider.add_client("pushed-both")
    name = await push(provider, "pushed-both")
    response = (await use(provider, "pushed-both", name, request="e30.e30.")).response
    assert response.status_code == 400


async def test_a_network_pushes_no_more_for_a_client_that_anybody_can_be(provider: Provider) -> None:
    await provider.add_client("pushed-public", auth_method=AuthMethod.NONE)
    allowed = provider.services.platform.settings.sign_in.flows_per_network_and_minute
    await provider.services.platform.transients.count("pushes_of_network", name_origin("127.0.0.1"), 60.0, allowed - 1)
    form = {**make_request(), "client_id": "pushed-public"}
    statuses = [(await provider.browser.post("/par", data=form)).status_code for _ in range(2)]
    assert statuses == [201, 503]
    provider.clock.advance(61)
    assert (await provider.browser.post("/par", data=form)).status_code == 201
