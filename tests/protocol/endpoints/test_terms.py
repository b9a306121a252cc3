"""Resource indicators (RFC 8707), authorization details (RFC 9396) and the key of a code (RFC 9449 §10), from request to token."""

import json
from typing import Any

import pytest

from idp.protocol.rules.client_metadata import RequestDemands
from tests.protocol.endpoints.test_pushed_requests import make_request
from tests.support.provider import Provider

CALENDAR, CONTACTS = "https://cal.example.com/", "https://contacts.example.com/"
ALLOWED = RequestDemands(allowed_resources=(CALENDAR, CONTACTS), authorization_details_types=("urn:yizheng:mandate",))
GRANTS = frozenset({"authorization_code", "refresh_token"})


async def introspect(provider: Provider, client: str, token: str) -> dict[str, Any]:
    """Return what the client's own introspection says."""
    answer: dict[str, Any] = (await provider.post("/introspect", {"token": token}, client)).json()
    return answer


async def test_a_token_is_for_exactly_one_resource_and_not_for_userinfo(provider: Provider) -> None:
    await provider.add_client("resources", requests=ALLOWED, grant_types=GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("resources", cookies, resource=CALENDAR)
    tokens = (await provider.redeem("resources", landing)).json()
    assert (await introspect(provider, "resources", tokens["access_token"]))["aud"] == CALENDAR
    refused = await provider.read_userinfo(tokens["access_token"])
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


async def test_of_several_the_token_request_names_one_and_a_refresh_another(provider: Provider) -> None:
    await provider.add_client("several", requests=ALLOWED, grant_types=GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    query = {**make_request(), "client_id": "several"}
    response = await provider.browser.get(
        "/authorize",
        params=[*query.items(), ("resource", CALENDAR), ("resource", CONTACTS)],
        headers={"cookie": "; ".join(f"{n}={v}" for n, v in cookies.items())},
    )
    code = response.headers["location"].split("code=")[1].split("&")[0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": query["redirect_uri"], "code_verifier": "v" * 43}
    tokens = (await provider.post("/token", {**form, "resource": CALENDAR}, "several")).json()
    assert (await introspect(provider, "several", tokens["access_token"]))["aud"] == CALENDAR
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    another = await provider.post("/token", {**refresh, "resource": "https://other.example/"}, "several")
    assert another.json()["error"] == "invalid_target"
    refreshed = (await provider.post("/token", {**refresh, "resource": CONTACTS}, "several")).json()
    assert (await introspect(provider, "several", refreshed["access_token"]))["aud"] == CONTACTS


async def test_of_several_none_named_is_refused_and_the_code_is_kept(provider: Provider) -> None:
    await provider.add_client("several-none", requests=ALLOWED)
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("several-none", cookies, resource=f"{CALENDAR} {CONTACTS}")
    assert (await provider.redeem("several-none", landing)).json()["error"] == "invalid_target"
    assert (await provider.redeem("several-none", landing, resource=CONTACTS)).status_code == 200


@pytest.mark.parametrize("resource", ["https://other.example/", "calendar", "https://cal.example.com/#x"])
async def test_a_resource_that_is_not_known_is_told(provider: Provider, resource: str) -> None:
    if "resources-wrong" not in provider.secrets:
        await provider.add_client("resources-wrong", requests=ALLOWED)
    assert (await provider.authorize("resources-wrong", resource=resource)).parameters["error"] == "invalid_target"


async def test_a_mandate_is_granted_as_what_it_is(provider: Provider) -> None:
    await provider.add_client("details", requests=ALLOWED)
    cookies = await provider.open_session(await provider.add_person())
    asked = json.dumps([{"type": "urn:yizheng:mandate", "representation": "optional", "services": ["330000-0123"]}])
    tokens = await provider.get_tokens("details", cookies, authorization_details=asked)
    granted = [{"type": "urn:yizheng:mandate", "capacity": "none"}]
    assert tokens["authorization_details"] == granted
    assert (await introspect(provider, "details", tokens["access_token"]))["authorization_details"] == granted
    assert "authorization_details" not in tokens["id_token"]


async def test_a_token_request_names_the_details_that_were_granted_and_no_others(provider: Provider) -> None:
    await provider.add_client("details-again", requests=ALLOWED, grant_types=GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    asked, granted = '[{"type":"urn:yizheng:mandate"}]', [{"type": "urn:yizheng:mandate", "capacity": "none"}]
    required = json.dumps([{"type": "urn:yizheng:mandate", "representation": "required"}])
    without = await provider.authorize("details-again", cookies)
    refused = await provider.redeem("details-again", without, authorization_details=asked)
    assert refused.json()["error"] == "invalid_authorization_details", "nothing was asked for"
    landing = await provider.authorize("details-again", cookies, authorization_details=asked)
    for text in ('[{"type":"zzz"}]', f'[{asked[1:-1]},{{"type":"zzz"}}]', required, "["):
        refused = await provider.redeem("details-again", landing, authorization_details=text)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details"), text
    tokens = (await provider.redeem("details-again", landing, authorization_details=asked)).json()
    assert tokens["authorization_details"] == granted, "the code was kept"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for text in ('[{"type":"zzz"}]', required):
        refused = await provider.post("/token", {**form, "authorization_details": text}, "details-again")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details"), text
    again = await provider.post("/token", {**form, "authorization_details": json.dumps(granted)}, "details-again")
    assert again.json()["authorization_details"] == granted, "the refresh token was kept"


async def test_who_wants_a_representative_gets_nobody_and_the_person_is_told(provider: Provider) -> None:
    await provider.add_client("representative", requests=ALLOWED)
    cookies = await provider.open_session(await provider.add_person())
    asked = json.dumps([{"type": "urn:yizheng:mandate", "representation": "required"}])
    page = (await provider.authorize("representative", cookies, authorization_details=asked)).response
    assert page.status_code == 403
    assert "只能由单位办理" in page.text
    assert "error=access_denied" in page.text
    silent = await provider.authorize("representative", cookies, authorization_details=asked, prompt="none")
    assert silent.parameters["error"] == "access_denied"


async def test_after_the_page_the_error_is_posted_where_it_has_to_be(provider: Provider) -> None:
    await provider.add_client("representative-posted", requests=ALLOWED)
    asked = json.dumps([{"type": "urn:yizheng:mandate", "representation": "required"}])
    page = (await provider.authorize("representative-posted", authorization_details=asked, response_mode="form_post")).response
    address = page.text.split('id="back" href="')[1].split('"')[0]
    assert address.startswith("/respond?r=")
    posted = await provider.browser.get(address)
    assert 'name="error" value="access_denied"' in posted.text
    assert "form-action https://department.example;" in posted.headers["content-security-policy"]
    assert (await provider.browser.get("/respond?r=" + "x" * 22)).status_code == 410


@pytest.mark.parametrize("details", ['[{"type":"payment"}]', "{}", "[", '[{"type":"urn:yizheng:mandate","type":"x"}]'])
async def test_details_that_nobody_knows_are_told(provider: Provider, details: str) -> None:
    if "details-wrong" not in provider.secrets:
        await provider.add_client("details-wrong", requests=ALLOWED)
    landing = await provider.authorize("details-wrong", authorization_details=details)
    assert landing.parameters["error"] == "invalid_authorization_details"


async def test_a_code_is_bound_to_the_key_that_was_named(provider: Provider) -> None:
    # conformance: fapi2-security-profile-final-dpop-jkt
    await provider.add_client("bound-code")
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("bound-code", cookies, dpop_jkt="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    assert (await provider.redeem("bound-code", landing)).json()["error"] == "invalid_grant"
