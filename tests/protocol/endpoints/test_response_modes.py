"""How answers travel: by a posted form, by a signed JWT, and never in a fragment."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from idp.protocol.rules.client_metadata import ClientKeys, ResponseProtection
from tests.protocol.endpoints.test_pushed_requests import VERIFIER, make_request
from tests.support.client_keys import decode_with, make_client_key, write_key_set
from tests.support.provider import ISSUER, PASSWORD, REDIRECT_URI, Provider
from tests.support.web import Web


def read_form(text: str) -> dict[str, str]:
    """Return the hidden inputs of the page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    return {unescape(name): unescape(value) for name, value in found}


async def decode(provider: Provider, text: str) -> dict[str, Any]:
    """Verify a JWT of the provider by its published keys."""
    return decode_with((await provider.browser.get("/jwks.json")).json(), text, ["ES256", "RS256"])


async def test_a_code_is_posted(provider: Provider) -> None:
    # conformance: oidcc-formpost-basic-certification-test-plan
    await provider.add_client("posted")
    cookies = await provider.open_session(await provider.add_person())
    state = "st&te \"'<b>" + "x" * 1900
    landing = await provider.authorize("posted", cookies, response_mode="form_post", state=state)
    page = landing.response
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "form-action https://department.example;" in policy
    assert "script-src 'self'" in policy
    assert f'action="{REDIRECT_URI}"' in page.text
    assert '<button class="button" id="continue" type="submit">' in page.text
    form = read_form(page.text)
    assert (form["state"], form["iss"]) == (state, ISSUER)
    response = await provider.post(
        "/token",
        {"grant_type": "authorization_code", "code": form["code"], "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier},
        "posted",
    )
    assert response.status_code == 200


async def test_an_error_is_posted(provider: Provider) -> None:
    await provider.add_client("posted-error")
    page = (await provider.authorize("posted-error", response_mode="form_post", prompt="none")).response
    assert page.status_code == 200
    assert read_form(page.text) == {
        "error": "login_required",
        "error_description": "The person has to sign in.",
        "state": "state-1",
        "iss": ISSUER,
    }


async def test_every_other_page_posts_to_us_alone(provider: Provider) -> None:
    page = await provider.browser.get("/help")
    assert "form-action 'self'" in page.headers["content-security-policy"]


async def test_a_fragment_is_refused(provider: Provider) -> None:
    await provider.add_client("fragment")
    cookies = await provider.open_session(await provider.add_person())
    for mode in ("fragment", "fragment.jwt", "web_message"):
        assert (await provider.authorize("fragment", cookies, response_mode=mode)).parameters["error"] == "invalid_request"


@pytest.mark.parametrize(("mode", "posted"), [("jwt", False), ("query.jwt", False), ("form_post.jwt", True)])
async def test_a_response_is_signed(provider: Provider, mode: str, posted: bool) -> None:
    client = f"jarm-{mode.replace('.', '-')}"
    await provider.add_client(client, responses=ResponseProtection(authorization_signed_response_alg="ES256"))
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize(client, cookies, response_mode=mode)
    parameters = read_form(landing.response.text) if posted else landing.parameters
    assert list(parameters) == ["response"]
    claims = await decode(provider, parameters["response"])
    now = int(provider.now().timestamp())
    assert (claims["iss"], claims["aud"], claims["state"]) == (ISSUER, client, "state-1")
    assert now < claims["exp"] <= now + 600
    form = {"grant_type": "authorization_code", "code": claims["code"], "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    assert (await provider.post("/token", form, client)).status_code == 200


async def test_a_signed_error_and_the_algorithm_by_default(provider: Provider) -> None:
    await provider.add_client("jarm-default")
    landing = await provider.authorize("jarm-default", response_mode="jwt", prompt="none")
    claims = await decode(provider, landing.parameters["response"])
    assert claims["error"] == "login_required"
    assert set(claims) == {"iss", "aud", "exp", "error", "error_description", "state"}


@pytest.mark.parametrize("algorithm", ["RSA-OAEP-256", "ECDH-ES"])
async def test_a_response_is_encrypted_to_the_client(provider: Provider, algorithm: str) -> None:
    key = make_client_key(algorithm)
    client = f"jarm-{algorithm.lower()}"
    await provider.add_client(
        client,
        keys=ClientKeys(jwks=write_key_set(key)),
        responses=ResponseProtection(
            authorization_signed_response_alg="ES256",
            authorization_encrypted_response_alg=algorithm,
            authorization_encrypted_response_enc="A256GCM",
        ),
    )
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize(client, cookies, response_mode="jwt")
    claims = await decode(provider, key.open(landing.parameters["response"]))
    assert claims["code"]


async def test_after_pages_of_the_house_the_code_is_posted_too(provider: Provider) -> None:
    await provider.add_client("posted-late")
    person = await provider.add_person()
    web = Web(provider)
    query = {**make_request(response_mode="form_post", state='"><i>'), "client_id": "posted-late"}
    await web.get("/authorize?" + urlencode(query))
    page = await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert page.status_code == 200
    assert "form-action https://department.example;" in page.headers["content-security-policy"]
    form = read_form(page.text)
    assert (form["state"], form["iss"]) == ('"><i>', ISSUER)
    redeem = {"grant_type": "authorization_code", "code": form["code"], "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    assert (await provider.post("/token", redeem, "posted-late")).status_code == 200


async def test_a_pushed_request_survives_the_pages_of_the_house(provider: Provider) -> None:
    await provider.add_client("pushed-late")
    name = (await provider.post("/par", make_request(response_mode="query"), "pushed-late")).json()["request_uri"]
    web = Web(provider)
    address = "/authorize?" + urlencode({"client_id": "pushed-late", "request_uri": name})
    await web.get(address)
    await web.get(address)  # a reload
    assert web.page is not None
    assert 'name="password"' in web.page.text
    person = await provider.add_person()
    provider.clock.advance(120)
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert "code=" in (web.left_to or "")
    page = await web.get(address)
    assert page.status_code == 410, "the flow is over; the department begins another one"


async def test_a_held_response_that_never_was_is_a_page(provider: Provider) -> None:
    for name in ("", "never-held", "x" * 400):
        assert (await provider.browser.get("/respond", params={"r": name})).status_code == 410
