"""Whatever is good once is good once for twenty who come at the same moment: one success, the exact error for all others."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import sha256
from itertools import count
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys
from tests.support.foreign import sign_claims
from tests.support.provider import ISSUER, REDIRECT_URI, SESSION, Provider, run_provider
from tests.support.web import Web

CIBA = "urn:openid:params:grant-type:ciba"
KEY: Any = ECKey.generate_key("P-256", {"kid": "replayed"}, auto_kid=False)
JWKS = ClientKeys(jwks=json.dumps({"keys": [KEY.as_dict(private=False)]}))
TOGETHER = 20
names: Iterator[int] = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider")) as running:
        await running.services.platform.transients.born_at()
        running.clock.advance(60)
        for client_id in ("replayed", "replayed-counter"):
            await running.add_client(
                client_id,
                auth_method=AuthMethod.PRIVATE_KEY_JWT,
                keys=JWKS,
                grant_types=frozenset({"authorization_code", "refresh_token"} if client_id == "replayed" else {CIBA}),
                ciba=BackchannelAuthentication(backchannel_authentication_request_signing_alg="ES256")
                if client_id == "replayed-counter"
                else BackchannelAuthentication(),
            )
        yield running


def make_times(provider: Provider, life: int = 60) -> dict[str, Any]:
    now = int(provider.now().timestamp())
    return {"jti": f"j{next(names)}", "iat": now, "nbf": now, "exp": now + life}


def assert_identity(provider: Provider, client_id: str = "replayed") -> dict[str, str]:
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, **make_times(provider)}
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(KEY, claims)}


def prove(provider: Provider, method: str, path: str, token: str = "") -> str:
    claims = {"htm": method, "htu": ISSUER + path, **make_times(provider)}
    if token:
        claims["ath"] = encode_base64url(sha256(token.encode()).digest())
    return sign_claims(KEY, claims, typ="dpop+jwt", kid=None, jwk=KEY.as_dict(private=False))


async def come_together(ask: Callable[[int], Awaitable[httpx2.Response]]) -> Counter[tuple[int, str]]:
    """Return (status, error) of twenty requests at once, with how many got it."""
    answers = await asyncio.gather(*(ask(number) for number in range(TOGETHER)))
    return Counter((answer.status_code, answer.json().get("error", "")) for answer in answers)


REQUEST = {
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "scope": "openid",
    "code_challenge": "A" * 43,
    "code_challenge_method": "S256",
}


async def test_a_client_assertion(provider: Provider) -> None:
    form = {**REQUEST, **assert_identity(provider)}
    told = await come_together(lambda _: provider.browser.post("/par", data=form))
    assert told == {(201, ""): 1, (401, "invalid_client"): TOGETHER - 1}


async def test_a_proof_at_an_endpoint_for_clients(provider: Provider) -> None:
    proof = prove(provider, "POST", "/par")
    forms = [{**REQUEST, **assert_identity(provider)} for _ in range(TOGETHER)]
    told = await come_together(lambda number: provider.browser.post("/par", data=forms[number], headers={"dpop": proof}))
    assert told == {(201, ""): 1, (400, "invalid_dpop_proof"): TOGETHER - 1}


async def find_token(provider: Provider) -> str:
    """Return an access token bound to the key."""
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("replayed", cookies)
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    proof = prove(provider, "POST", "/token")
    answer = await provider.browser.post("/token", data={**form, **assert_identity(provider)}, headers={"dpop": proof})
    token: str = answer.json()["access_token"]
    return token


async def test_a_proof_at_a_resource(provider: Provider) -> None:
    token = await find_token(provider)
    headers = {"authorization": f"DPoP {token}", "dpop": prove(provider, "GET", "/userinfo", token)}
    told = await come_together(lambda _: provider.browser.get("/userinfo", headers=headers))
    assert told == {(200, ""): 1, (401, "invalid_dpop_proof"): TOGETHER - 1}


async def test_a_signed_request_and_what_it_collects(provider: Provider) -> None:
    person = await provider.add_person()
    counter = "replayed-counter"
    claims = {"iss": counter, "aud": ISSUER, "scope": "openid", "login_hint": person.document, **make_times(provider, 300)}
    request = sign_claims(KEY, claims)
    begun: list[str] = []

    async def begin(_: int) -> httpx2.Response:
        answer = await provider.browser.post("/bc-authorize", data={"request": request, **assert_identity(provider, counter)})
        begun.extend([answer.json()["auth_req_id"]] if answer.status_code == 200 else [])
        return answer

    assert await come_together(begin) == {(200, ""): 1, (400, "invalid_request"): TOGETHER - 1}
    await provider.services.afterwards.settle()
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person))[SESSION])
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")
    provider.clock.advance(6)

    async def collect(_: int) -> httpx2.Response:
        form = {"grant_type": CIBA, "auth_req_id": begun[0], **assert_identity(provider, counter)}
        return await provider.browser.post("/token", data=form)

    assert await come_together(collect) == {(200, ""): 1, (400, "invalid_grant"): TOGETHER - 1}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded2", ""])
@pytest.mark.parametrize("path", ["/token", "/par", "/introspect", "/revoke", "/device_authorization", "/bc-authorize"])
async def test_a_body_of_another_kind_is_not_read(provider: Provider, path: str, kind: str) -> None:
    """And so uses up nothing: the assertion in it is still good."""
    form = {**REQUEST, **assert_identity(provider)}
    body = str(httpx2.QueryParams(form)).encode()
    answer = await provider.browser.post(path, content=body, headers={"content-type": kind} if kind else {})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    spaced = {"content-type": "Application/X-WWW-Form-URLEncoded ; charset=utf-8"}
    assert (await provider.browser.post("/par", content=body, headers=spaced)).status_code == 201
