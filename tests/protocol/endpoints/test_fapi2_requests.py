"""What the profiles demand of requests and responses (FAPI 2.0 Security Profile §5.3.2, Message Signing §5.3, §5.4)."""

from typing import Any

import pytest

from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_metadata import ClientKeys, Profile, RequestDemands, ResponseProtection
from tests.protocol.endpoints.test_pushed_requests import make_request, use
from tests.support.client_keys import decode_with, make_assertion, make_client_key, make_request_object, write_key_set
from tests.support.provider import ISSUER, Provider

KEY = make_client_key("ES256")
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def add_tight_client(provider: Provider, client_id: str, profile: Profile) -> str:
    """Register a client of a profile, once in this module."""
    if client_id not in provider.secrets:
        await provider.add_client(
            client_id,
            profile=profile,
            auth_method=AuthMethod.PRIVATE_KEY_JWT,
            keys=ClientKeys(jwks=write_key_set(KEY)),
            requests=RequestDemands(dpop_bound_access_tokens=True),
            responses=ResponseProtection(authorization_signed_response_alg="ES256"),
        )
    return client_id


async def push(provider: Provider, client_id: str, form: dict[str, str]) -> Any:
    """Push as this client, by an assertion."""
    assertion = KEY.sign(make_assertion(client_id, ISSUER, provider.now()), typ="JWT")
    return await provider.browser.post("/par", data={**form, "client_assertion_type": JWT_BEARER, "client_assertion": assertion})


async def test_only_pushed_requests_are_answered(provider: Provider) -> None:
    # conformance: fapi2-security-profile-final-ensure-unsigned-request-object-without-par-fails
    client = await add_tight_client(provider, "tight", Profile.FAPI2)
    cookies = await provider.open_session(await provider.add_person())
    assert (await provider.authorize(client, cookies)).parameters["error"] == "invalid_request"
    response = await push(provider, client, make_request())
    assert response.status_code == 201
    assert (await use(provider, client, response.json()["request_uri"], cookies)).code


@pytest.mark.parametrize("missing", ["redirect_uri", "code_challenge", "response_type"])
async def test_what_the_profile_needs_is_missed_at_once(provider: Provider, missing: str) -> None:
    # conformance: fapi2-security-profile-final-par-without-redirect-uri, ...-ensure-request-without-pkce-fails
    client = await add_tight_client(provider, "tight", Profile.FAPI2)
    response = await push(provider, client, make_request(**{missing: None}))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_another_response_type_or_method_is_refused(provider: Provider) -> None:
    client = await add_tight_client(provider, "tight", Profile.FAPI2)
    assert (await push(provider, client, make_request(response_type="code id_token"))).json()["error"] == "unsupported_response_type"
    assert (await push(provider, client, make_request(code_challenge_method="plain"))).json()["error"] == "invalid_request"


async def test_signed_requests_and_signed_answers_alone(provider: Provider) -> None:
    client = await add_tight_client(provider, "signing", Profile.FAPI2_MESSAGE_SIGNING)
    cookies = await provider.open_session(await provider.add_person())
    assert (await push(provider, client, make_request(response_mode="jwt"))).json()["error"] == "invalid_request"
    for mode, status in (("jwt", 201), ("form_post.jwt", 201), ("query", 400), (None, 400)):
        claims = make_request_object(client, ISSUER, provider.now(), make_request(response_mode=mode))
        response = await push(provider, client, {"request": KEY.sign(claims)})
        assert response.status_code == status, response.text
    claims = make_request_object(client, ISSUER, provider.now(), make_request(response_mode="jwt"))
    response = await push(provider, client, {"request": KEY.sign(claims)})
    landing = await use(provider, client, response.json()["request_uri"], cookies)
    keys = (await provider.browser.get("/jwks.json")).json()
    assert decode_with(keys, landing.parameters["response"], ["ES256"])["code"]


async def test_even_errors_are_signed(provider: Provider) -> None:
    client = await add_tight_client(provider, "signing", Profile.FAPI2_MESSAGE_SIGNING)
    landing = await provider.authorize(client)
    assert list(landing.parameters) == ["response"]
    keys = (await provider.browser.get("/jwks.json")).json()
    assert decode_with(keys, landing.parameters["response"], ["ES256"])["error"] == "invalid_request"


async def test_an_algorithm_that_the_profile_does_not_know_is_refused(provider: Provider) -> None:
    # conformance: fapi2-message-signing-final-ensure-signed-request-object-with-RS256-fails
    rsa = make_client_key("RS256")
    await provider.add_client(
        "signing-rs256",
        profile=Profile.FAPI2_MESSAGE_SIGNING,
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        keys=ClientKeys(jwks=write_key_set(rsa, KEY)),
        requests=RequestDemands(dpop_bound_access_tokens=True),
    )
    claims = make_request_object("signing-rs256", ISSUER, provider.now(), make_request(response_mode="jwt"))
    response = await push(provider, "signing-rs256", {"request": rsa.sign(claims)})
    assert response.json()["error"] == "invalid_request_object"
