"""What the modules of FAPI 2.0 ask where certificates take part: each way to authenticate beside each way to bind tokens.

The variants without certificates are in test_fapi2.py.
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
from joserfc.jwk import ECKey

from idp.app import build_app
from idp.kernel.ids import encode_base64url
from idp.kernel.session_endings import SIGNED_OUT
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import ClientKeys, Profile, RequestDemands, TlsIdentity
from idp.sign_in.rules.account_history import ELSEWHERE
from idp.sign_in.rules.session import hash_session_id
from tests.support.certificates import Certified, ThroughProxy, make_certificate
from tests.support.client_keys import decode_with
from tests.support.foreign import sign_claims
from tests.support.provider import ISSUER, REDIRECT_URI, SESSION, Provider, run_provider

MTLS = "https://mtls.id.example"
SOCKET = "/run/yizheng/mtls.sock"
VERIFIER = "v" * 43
CHALLENGE = encode_base64url(hashlib.sha256(VERIFIER.encode()).digest())
names: Iterator[int] = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider with a socket on which a proxy tells certificates."""
    settings = {"IDP_MTLS__ORIGIN": MTLS, "IDP_MTLS__SOCKET": SOCKET}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), **settings) as running:
        yield running


@pytest_asyncio.fixture(name="proxy", scope="module", loop_scope="module")
async def open_proxy(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    """The way by which clients with certificates come."""
    async with httpx2.AsyncClient(transport=ThroughProxy(build_app(provider.services), SOCKET), base_url=MTLS) as client:
        yield client


@dataclass
class Party:
    """A FAPI client with a key and a certificate; ``bound`` is what its tokens are bound to."""

    provider: Provider
    proxy: httpx2.AsyncClient
    client_id: str
    method: AuthMethod
    bound: str
    key: ECKey
    certificate: Certified
    nonce: str = ""

    def prove(self, method: str, address: str, token: str | None = None) -> str:
        """Return a DPoP proof by its key."""
        claims: dict[str, Any] = {"jti": f"p{next(names)}", "htm": method, "htu": address, "iat": int(self.provider.now().timestamp())}
        if token is not None:
            claims["ath"] = encode_base64url(hashlib.sha256(token.encode()).digest())
        if self.nonce:
            claims["nonce"] = self.nonce
        return sign_claims(self.key, claims, typ="dpop+jwt", kid=None, jwk=self.key.as_dict(private=False))

    def authenticate(self) -> dict[str, str]:
        """Return what names the client, and its assertion where that is its method."""
        if self.method is not AuthMethod.PRIVATE_KEY_JWT:
            return {"client_id": self.client_id}
        now = int(self.provider.now().timestamp())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": ISSUER, "jti": f"a{next(names)}", "iat": now, "exp": now + 60}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(self.key, claims)}

    def tell(self) -> dict[str, str]:
        """Return the headers by which the proxy tells its certificate."""
        return {"client-cert": self.certificate.header, "x-client-cert-verify": "SUCCESS"}

    async def push(self, scope: str = "openid") -> httpx2.Response:
        """Push a request; with its certificate only where that is how it authenticates, as the suite does."""
        request = {"response_type": "code", "redirect_uri": REDIRECT_URI, "scope": scope, "state": "s", "nonce": "n"}
        form = {**request, "code_challenge": CHALLENGE, "code_challenge_method": "S256", **self.authenticate()}
        if self.method is AuthMethod.PRIVATE_KEY_JWT:
            return await self.provider.browser.post("/par", data=form)
        return await self.proxy.post("/par", data=form, headers=self.tell())

    async def ask(self, form: dict[str, str], *, certified: bool = True, proved: bool = True) -> httpx2.Response:
        """Ask the token endpoint over the certificates' address, twice with one assertion where a nonce is wanted."""
        given = {**form, **self.authenticate()}
        for _ in range(2):
            headers = self.tell() if certified else {}
            if self.bound == "dpop" and proved:
                headers["dpop"] = self.prove("POST", f"{MTLS}/token")
            answer = await self.proxy.post("/token", data=given, headers=headers)
            if answer.status_code != 400 or answer.json()["error"] != "use_dpop_nonce":
                break
            self.nonce = answer.headers["dpop-nonce"]
        return answer

    async def find_code(self, cookies: dict[str, str], scope: str = "openid") -> dict[str, str]:
        """Return the form that redeems a new code."""
        pushed = await self.push(scope)
        assert pushed.status_code == 201, pushed.text
        query = urlencode({"client_id": self.client_id, "request_uri": pushed.json()["request_uri"]})
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        location = (await self.provider.browser.get(f"/authorize?{query}", headers={"cookie": cookie})).headers["location"]
        landed = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (landed["state"], landed["iss"]) == ("s", ISSUER)
        return {"grant_type": "authorization_code", "code": landed["code"], "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}

    async def read_userinfo(self, token: str) -> httpx2.Response:
        """Use an access token."""
        if self.bound == "mtls":
            return await self.proxy.get("/userinfo", headers={"authorization": f"Bearer {token}", **self.tell()})
        proof = self.prove("GET", f"{ISSUER}/userinfo", token)
        return await self.provider.browser.get("/userinfo", headers={"authorization": f"DPoP {token}", "dpop": proof})


async def add_party(provider: Provider, proxy: httpx2.AsyncClient, method: AuthMethod, bound: str) -> Party:
    """Register a client of the Security Profile."""
    key = ECKey.generate_key("P-256", {"kid": f"key-{next(names)}", "use": "sig"}, private=True)
    certificate = make_certificate(f"party-{next(names)}")
    named = {"tls_client_auth_subject_dn": f"CN=party-{next(names) - 1},O=示例省,C=CN"} if method is AuthMethod.TLS else {}
    client_id = await provider.add_client(
        f"party-{next(names)}",
        auth_method=method,
        keys=ClientKeys(jwks=json.dumps({"keys": [key.as_dict(private=False), certificate.jwk]})),
        requests=RequestDemands(dpop_bound_access_tokens=bound == "dpop"),
        tls=TlsIdentity(tls_client_certificate_bound_access_tokens=bound == "mtls", **named),
        grant_types=frozenset({"authorization_code", "refresh_token"}),
        profile=Profile.FAPI2,
    )
    return Party(provider, proxy, client_id, method, bound, key, certificate)


@pytest.mark.parametrize("bound", ["dpop", "mtls"])
@pytest.mark.parametrize("method", [AuthMethod.PRIVATE_KEY_JWT, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS])
async def test_every_variant(provider: Provider, proxy: httpx2.AsyncClient, method: AuthMethod, bound: str) -> None:
    party, other = await add_party(provider, proxy, method, bound), await add_party(provider, proxy, method, bound)
    cookies = await provider.open_session(await provider.add_person())
    bare = await party.ask(await party.find_code(cookies), certified=False, proved=False)
    by_certificate = method is not AuthMethod.PRIVATE_KEY_JWT
    assert (bare.status_code, bare.json()["error"]) == ((401, "invalid_client") if by_certificate else (400, "invalid_request"))
    if by_certificate and bound == "dpop":
        unproved = await party.ask(await party.find_code(cookies), proved=False)
        assert (unproved.status_code, unproved.json()["error"]) == (400, "invalid_request"), "the certificate is no proof of the other kind"
    foreign = await other.ask(await party.find_code(cookies))
    assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_grant")
    form = await party.find_code(cookies)
    granted = await party.ask(form)
    assert granted.status_code == 200, granted.text
    tokens = granted.json()
    assert tokens["token_type"] == ("DPoP" if bound == "dpop" else "Bearer")
    keys = (await provider.browser.get("/jwks.json")).json()
    assert decode_with(keys, tokens["id_token"], ["ES256"])["nonce"] == "n"
    assert (await party.read_userinfo(tokens["access_token"])).status_code == 200
    assert (await other.read_userinfo(tokens["access_token"])).status_code == 401, "another key, another certificate"
    if bound == "dpop":
        proof = party.prove("GET", f"{MTLS}/userinfo", tokens["access_token"])
        headers = {"authorization": f"DPoP {tokens['access_token']}", "dpop": proof}
        elsewhere = await provider.browser.get("/userinfo", headers=headers)
        assert (elsewhere.status_code, elsewhere.json()["error"]) == (401, "invalid_dpop_proof"), "the proof is for the other address"
        assert (await proxy.get("/userinfo", headers=headers)).status_code == 200
    unbound = await provider.browser.get("/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (unbound.status_code, unbound.json()["error"]) == (401, "invalid_token")
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    kept = await party.ask(refresh)
    assert (kept.status_code, kept.json().get("refresh_token")) == (200, tokens["refresh_token"]), kept.text
    missing = await party.ask(refresh, certified=False, proved=False)
    assert (missing.status_code, missing.json()["error"]) == ((401, "invalid_client") if by_certificate else (400, "invalid_request"))
    assert (await other.ask(refresh)).json()["error"] == "invalid_grant"
    again = await party.ask(form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await party.read_userinfo(kept.json()["access_token"])).status_code == 401, "its tokens end with it"


@pytest.mark.parametrize(("reason", "status"), [(ELSEWHERE, 400), (SIGNED_OUT, 200)])
async def test_a_code_redeemed_while_its_sign_in_was_being_ended_leaves_no_offline_access(
    provider: Provider, proxy: httpx2.AsyncClient, reason: str, status: int
) -> None:
    """As ``test_remote_sign_out`` has it, with a refresh token that is never replaced."""
    party = await add_party(provider, proxy, AuthMethod.PRIVATE_KEY_JWT, "dpop")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    form = await party.find_code(cookies, "openid offline_access")
    await party.ask(form | {"code": "x"})  # the nonce, so that the code is used by one request
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_lineage(tx, hash_session_id(cookies[SESSION]), reason)
        granted = await party.ask(form)
    assert granted.status_code == 200, granted.text
    refreshed = await party.ask({"grant_type": "refresh_token", "refresh_token": granted.json()["refresh_token"]})
    assert refreshed.status_code == status, refreshed.text


@pytest.mark.parametrize("host", ["mtls.id.example", "MTLS.Id.Example"])
async def test_a_proof_is_for_the_name_that_was_asked_in_whatever_letters(provider: Provider, proxy: httpx2.AsyncClient, host: str) -> None:
    party = await add_party(provider, proxy, AuthMethod.PRIVATE_KEY_JWT, "dpop")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert (await party.ask(form)).json()["error"] == "invalid_grant", "it has a nonce now"
    for origin, error in ((ISSUER, "invalid_dpop_proof"), (MTLS, "invalid_grant")):
        headers = {**party.tell(), "host": host, "dpop": party.prove("POST", f"{origin}/token")}
        answer = await proxy.post("/token", data={**form, **party.authenticate()}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
