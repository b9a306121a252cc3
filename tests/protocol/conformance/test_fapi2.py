"""What the modules of FAPI 2.0 ask (Security Profile, Message Signing), by a client that does all they want: PAR, private_key_jwt, DPoP.

Where another test of this house already is the module's, docs/conformance.md names that one.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client import AuthMethod, Basis, Entitlement
from idp.protocol.rules.client_metadata import ClientKeys, Profile, RequestDemands
from tests.support.foreign import sign_claims
from tests.support.provider import ISSUER, REDIRECT_URI, Provider, run_provider
from tests.support.web import Web

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
VERIFIER = "v" * 43
CHALLENGE = encode_base64url(hashlib.sha256(VERIFIER.encode()).digest())
NAMED = (Entitlement("登记", Basis.STATUTORY_DUTY, ("name",)),)
names: Iterator[int] = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider."""
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider")) as running:
        yield running


@dataclass
class Party:
    """A FAPI client with its keys: one that it authenticates and signs with, one that its tokens are bound to."""

    provider: Provider
    client_id: str
    key: ECKey
    bound: ECKey
    nonce: str = ""

    def assert_identity(self, **changes: Any) -> dict[str, str]:
        """Return a client assertion."""
        now = int(self.provider.now().timestamp())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": ISSUER, "jti": f"a{next(names)}", "iat": now, "exp": now + 60}
        assertion = sign_claims(self.key, {**claims, **changes})
        return {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def prove(self, method: str, path: str, token: str | None = None, key: ECKey | None = None, **changes: Any) -> str:
        """Return a DPoP proof."""
        chosen = key or self.bound
        claims: dict[str, Any] = {
            "jti": f"p{next(names)}",
            "htm": method,
            "htu": ISSUER + path,
            "iat": int(self.provider.now().timestamp()),
        }
        if token is not None:
            claims["ath"] = encode_base64url(hashlib.sha256(token.encode()).digest())
        if self.nonce:
            claims["nonce"] = self.nonce
        return sign_claims(chosen, {**claims, **changes}, typ="dpop+jwt", kid=None, jwk=chosen.as_dict(private=False))

    async def post(self, path: str, form: dict[str, str], **proof: Any) -> httpx2.Response:
        """Post with assertion and proof; once more with the nonce that the provider wants, as every FAPI client does."""
        if proof.pop("without_proof", False):
            return await self.provider.browser.post(path, data={**form, **self.assert_identity()})
        answer = await self.provider.browser.post(
            path, data={**form, **self.assert_identity()}, headers={"dpop": self.prove("POST", path, **proof)}
        )
        if answer.headers.get("dpop-nonce") and answer.status_code == 400 and answer.json()["error"] == "use_dpop_nonce":
            self.nonce = answer.headers["dpop-nonce"]
            return await self.post(path, form, **proof)
        return answer

    def make_request(self, **changes: str | None) -> dict[str, str]:
        """Return a good authorization request; None removes a parameter."""
        request: dict[str, str | None] = {
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid profile",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in request.items() if value is not None}

    def sign_request(self, **changes: Any) -> dict[str, str]:
        """Return a signed request object."""
        now = int(self.provider.now().timestamp())
        claims = {"iss": self.client_id, "aud": ISSUER, "nbf": now, "exp": now + 300, "client_id": self.client_id, **self.make_request()}
        signed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return {"request": sign_claims(self.key, signed, typ="oauth-authz-req+jwt")}

    async def push(self, request: dict[str, str], **proof: Any) -> str:
        """Push a request; return its name."""
        answer = await self.post("/par", request, **proof)
        assert answer.status_code == 201, answer.text
        name: str = answer.json()["request_uri"]
        return name

    async def go(self, request_uri: str, cookies: dict[str, str]) -> dict[str, str]:
        """Send the browser with a pushed request; return what came back to the client."""
        query = urlencode({"client_id": self.client_id, "request_uri": request_uri})
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = await self.provider.browser.get(f"/authorize?{query}", headers={"cookie": cookie})
        location = answer.headers["location"]
        assert location.startswith(REDIRECT_URI), location
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    async def redeem(self, code: str, verifier: str | None = VERIFIER, **proof: Any) -> httpx2.Response:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        return await self.post("/token", form if verifier is None else {**form, "code_verifier": verifier}, **proof)

    async def sign_in(self, cookies: dict[str, str], **changes: str | None) -> dict[str, Any]:
        """Do all of it; return the token response."""
        landed = await self.go(await self.push(self.make_request(**changes)), cookies)
        assert landed["iss"] == ISSUER
        answer = await self.redeem(landed["code"])
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def read_userinfo(self, token: str, scheme: str = "DPoP") -> httpx2.Response:
        """Use an access token."""
        for _ in range(2):
            headers = {"authorization": f"{scheme} {token}", "dpop": self.prove("GET", "/userinfo", token)}
            answer = await self.provider.browser.get("/userinfo", headers=headers)
            if answer.status_code == 200 or "dpop-nonce" not in answer.headers:
                break
            self.nonce = answer.headers["dpop-nonce"]
        return answer


async def add_party(provider: Provider, profile: Profile = Profile.FAPI2, **changes: Any) -> Party:
    """Register a client of the profile."""
    key = ECKey.generate_key("P-256", {"kid": f"client-{next(names)}", "use": "sig"}, private=True)
    client_id = await provider.add_client(
        f"fapi-{next(names)}",
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        keys=ClientKeys(jwks=json.dumps({"keys": [key.as_dict(private=False)]})),
        requests=RequestDemands(dpop_bound_access_tokens=True),
        grant_types=frozenset({"authorization_code", "refresh_token"}),
        profile=profile,
        **{"entitlements": NAMED, **changes},
    )
    return Party(provider, client_id, key, ECKey.generate_key("P-256", private=True))


@pytest.fixture(name="party")
async def make_party(provider: Provider) -> Party:
    """A client of the Security Profile."""
    return await add_party(provider)


@pytest.fixture(name="cookies")
async def make_cookies(provider: Provider) -> dict[str, str]:
    """The session of somebody who signed in."""
    return await provider.open_session(await provider.add_person())


async def test_happy_flow(provider: Provider, party: Party, cookies: dict[str, str]) -> None:
    pushed = await party.post("/par", party.make_request())
    assert (pushed.status_code, pushed.headers["cache-control"]) == (201, "no-store")
    assert 5 <= pushed.json()["expires_in"] <= 600
    landed = await party.go(pushed.json()["request_uri"], cookies)
    assert (landed["state"], landed["iss"]) == ("state-1", ISSUER)
    answer = await party.redeem(landed["code"])
    tokens = answer.json()
    assert tokens["token_type"] == "DPoP"
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    id_token = jwt.decode(tokens["id_token"], keys, algorithms=["PS256", "ES256", "EdDSA", "Ed25519"])
    assert id_token.claims["nonce"] == "nonce-1"
    userinfo = await party.read_userinfo(tokens["access_token"])
    assert userinfo.json()["sub"] == id_token.claims["sub"]
    assert userinfo.json()["name"]


async def test_user_rejects_authentication(provider: Provider) -> None:
    party = await add_party(provider, entitlements=(Entitlement("登记", Basis.CONSENT, ("name",)),))
    web = Web(provider)
    web.client.cookies.update(await provider.open_session(await provider.add_person()))
    name = await party.push(party.make_request())
    await web.get("/authorize?" + urlencode({"client_id": party.client_id, "request_uri": name}))
    await web.submit("/consent", decision="deny")
    assert web.left_to is not None
    told = {name: values[0] for name, values in parse_qs(urlsplit(web.left_to).query).items()}
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "state-1", ISSUER)


async def test_without_state_or_nonce_and_with_scopes_turned(party: Party, cookies: dict[str, str]) -> None:
    landed = await party.go(await party.push(party.make_request(state=None)), cookies)
    assert "state" not in landed
    assert (await party.redeem(landed["code"])).status_code == 200
    assert (await party.sign_in(cookies, nonce=None))["access_token"]
    assert (await party.sign_in(cookies, scope="profile openid"))["scope"] == "openid profile"


async def test_long_state_and_nonce_stay_intact(provider: Provider, party: Party, cookies: dict[str, str]) -> None:
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    for nonce, state in (("n" * 64, "s" * 64), ("n" * 384, "s" * 384)):
        landed = await party.go(await party.push(party.make_request(nonce=nonce, state=state)), cookies)
        assert landed["state"] == state
        tokens = (await party.redeem(landed["code"])).json()
        assert jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims["nonce"] == nonce


async def test_the_scheme_of_the_access_token_in_any_case(party: Party, cookies: dict[str, str]) -> None:
    token = (await party.sign_in(cookies))["access_token"]
    for scheme in ("DPoP", "dpop", "DPOP"):
        assert (await party.read_userinfo(token, scheme)).status_code == 200


async def test_times_in_a_proof_that_nobody_asked_for(party: Party, cookies: dict[str, str]) -> None:
    landed = await party.go(await party.push(party.make_request()), cookies)
    now = int(party.provider.now().timestamp())
    assert (await party.redeem(landed["code"], nbf=now, exp=now + 60)).status_code == 200


async def test_another_key_at_par_than_was_named(party: Party) -> None:
    other = ECKey.generate_key("P-256", private=True)
    answer = await party.post("/par", party.make_request(dpop_jkt=other.thumbprint()))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


async def test_a_key_at_par_binds_the_code(party: Party, cookies: dict[str, str]) -> None:
    stolen = await party.go(await party.push(party.make_request()), cookies)
    answer = await party.redeem(stolen["code"], key=ECKey.generate_key("P-256", private=True))
    assert (answer.status_code, answer.json()["error"]) in ((400, "invalid_grant"), (400, "invalid_dpop_proof"))
    landed = await party.go(await party.push(party.make_request(dpop_jkt=party.bound.thumbprint())), cookies)
    assert (await party.redeem(landed["code"])).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://department.example/never"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
    ids=str,
)
async def test_what_par_refuses(party: Party, changes: dict[str, str | None], error: str) -> None:
    answer = await party.post("/par", party.make_request(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_par_wants_an_assertion_for_the_issuer_and_nobody_else(provider: Provider, party: Party) -> None:
    for audience in ([ISSUER], [ISSUER, "https://elsewhere.example"], f"{ISSUER}/par", f"{ISSUER}/token"):
        answer = await provider.browser.post("/par", data={**party.make_request(), **party.assert_identity(aud=audience)})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), audience
    answer = await provider.browser.post("/par", data={**party.make_request(), **party.assert_identity()})
    assert answer.status_code == 201, answer.text


async def test_par_forgives_a_clock_that_is_seconds_ahead(provider: Provider, party: Party) -> None:
    now = int(provider.now().timestamp())
    for ahead, status in ((8, 201), (61, 401), (120, 401)):
        given = {**party.make_request(), **party.assert_identity(nbf=now + ahead, exp=now + ahead + 50)}
        answer = await provider.browser.post("/par", data=given)
        assert answer.status_code == status, answer.text


async def test_an_authorization_request_without_par(provider: Provider, party: Party, cookies: dict[str, str]) -> None:
    landing = await provider.authorize(party.client_id, cookies)
    assert landing.parameters["error"] == "invalid_request"
    assert "code" not in landing.parameters


async def test_a_token_request_without_a_proof(party: Party, cookies: dict[str, str]) -> None:
    landed = await party.go(await party.push(party.make_request()), cookies)
    answer = await party.redeem(landed["code"], without_proof=True)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_code_of_another_client(provider: Provider, party: Party, cookies: dict[str, str]) -> None:
    other = await add_party(provider)
    landed = await party.go(await party.push(party.make_request()), cookies)
    assert (await other.redeem(landed["code"])).json()["error"] == "invalid_grant"


async def test_a_code_after_one_second_and_after_a_minute(provider: Provider, party: Party, cookies: dict[str, str]) -> None:
    landed = await party.go(await party.push(party.make_request()), cookies)
    tokens = (await party.redeem(landed["code"])).json()
    provider.clock.advance(1)
    assert (await party.redeem(landed["code"])).json()["error"] == "invalid_grant"
    assert (await party.read_userinfo(tokens["access_token"])).status_code == 401
    late = await party.go(await party.push(party.make_request()), cookies)
    provider.clock.advance(61)
    assert (await party.redeem(late["code"])).json()["error"] == "invalid_grant"


async def test_a_verifier_that_is_missing_or_wrong(party: Party, cookies: dict[str, str]) -> None:
    for verifier in (None, "w" * 43):
        landed = await party.go(await party.push(party.make_request()), cookies)
        answer = await party.redeem(landed["code"], verifier)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_par_is_posted(provider: Provider, party: Party) -> None:
    for method in ("GET", "PUT"):
        given = {**party.make_request(), **party.assert_identity()}
        answer = await provider.browser.request(method, "/par?" + urlencode(given) if method == "GET" else "/par", data=given)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["error"] == "invalid_request"


async def test_message_signing_happy_flow(provider: Provider, cookies: dict[str, str]) -> None:
    party = await add_party(provider, Profile.FAPI2_MESSAGE_SIGNING)
    landed = await party.go(await party.push(party.sign_request(response_mode="jwt")), cookies)
    assert landed.keys() == {"response"}, "nothing stands beside the signed answer"
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    response = jwt.decode(landed["response"], keys, algorithms=["PS256", "ES256"]).claims
    assert (response["iss"], response["aud"], response["state"]) == (ISSUER, party.client_id, "state-1")
    assert (await party.redeem(response["code"])).json()["token_type"] == "DPoP"


async def test_a_request_object_for_several_audiences(provider: Provider, cookies: dict[str, str]) -> None:
    party = await add_party(provider, Profile.FAPI2_MESSAGE_SIGNING)
    assert await party.push(party.sign_request(response_mode="jwt", aud=["https://elsewhere.example", ISSUER]))


async def test_a_request_object_without_redirect_uri(provider: Provider) -> None:
    party = await add_party(provider, Profile.FAPI2_MESSAGE_SIGNING)
    answer = await party.post("/par", party.sign_request(response_mode="jwt", redirect_uri=None))
    assert (answer.status_code, answer.json()["error"]) in ((400, "invalid_request"), (400, "invalid_request_object"))
