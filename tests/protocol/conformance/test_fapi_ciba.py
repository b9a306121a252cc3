"""What the modules of FAPI-CIBA ask, by clients that do all they want: signed requests, tokens bound to a certificate, both methods.

Where another test of this house already is the module's, docs/conformance.md names that one.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey, OctKey, RSAKey

from idp.app import build_app
from idp.platform.outbox import deliver_due
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys, Profile, RequestDemands, TlsIdentity
from tests.support.certificates import Certified, ThroughProxy, make_certificate
from tests.support.client_keys import decode_with
from tests.support.foreign import encode_part, sign_claims
from tests.support.provider import ISSUER, SESSION, Provider, Somebody, run_provider
from tests.support.web import Web

CIBA = "urn:openid:params:grant-type:ciba"
MTLS = "https://mtls.id.example"
SOCKET = "/run/yizheng/mtls.sock"
names: Iterator[int] = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider as it is set for such a run: certificates are told on a socket, and one person may be asked again and again."""
    settings = {"IDP_MTLS__ORIGIN": MTLS, "IDP_MTLS__SOCKET": SOCKET, "IDP_PROTOCOL__BACKCHANNEL_LIMITS": "false"}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), **settings) as running:
        await running.services.platform.transients.born_at()
        running.clock.advance(60)
        yield running


@pytest_asyncio.fixture(name="proxy", scope="module", loop_scope="module")
async def open_proxy(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    """The way by which clients with certificates come."""
    async with httpx2.AsyncClient(transport=ThroughProxy(build_app(provider.services), SOCKET), base_url=MTLS) as client:
        yield client


@dataclass
class Counter:
    """A counter of the profile, with its key and its certificate; ``method`` is how it authenticates."""

    provider: Provider
    proxy: httpx2.AsyncClient
    client_id: str
    key: ECKey
    certificate: Certified
    method: AuthMethod

    def assert_identity(self, audience: str, **header: Any) -> dict[str, str]:
        """Return what authenticates it, made out to ``audience``."""
        if self.method is not AuthMethod.PRIVATE_KEY_JWT:
            return {"client_id": self.client_id}
        now = int(self.provider.now().timestamp())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": audience, "jti": f"a{next(names)}", "iat": now, "exp": now + 60}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(self.key, claims, **header)}

    def sign(self, key: Any = None, algorithm: str = "ES256", typ: str | None = None, **changes: Any) -> str:
        """Return a signed request; None leaves a claim out."""
        now = int(self.provider.now().timestamp())
        claims = {
            "iss": self.client_id,
            "aud": ISSUER,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": f"r{next(names)}",
            "scope": "openid",
            "binding_message": "1234",
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return sign_claims(key or self.key, kept, algorithm, typ=typ, kid=self.key.kid)

    async def begin(self, audience: str = f"{ISSUER}/bc-authorize", **form: str) -> httpx2.Response:
        """Begin a request, at the address that fits how it authenticates."""
        given = {**self.assert_identity(audience), **form}
        if self.method is AuthMethod.PRIVATE_KEY_JWT:
            answer = await self.provider.browser.post("/bc-authorize", data=given)
        else:
            answer = await self.proxy.post("/bc-authorize", data=given, headers=self.tell())
        await self.provider.services.afterwards.settle()
        return answer

    def tell(self, certificate: Certified | None = None) -> dict[str, str]:
        """Return the headers by which the proxy tells a certificate."""
        return {"client-cert": (certificate or self.certificate).header, "x-client-cert-verify": "SUCCESS"}

    async def poll(self, auth_req_id: str, audience: str = f"{MTLS}/token", certified: bool = True, after: float = 6) -> httpx2.Response:
        """Poll after so many seconds; by default after the interval."""
        self.provider.clock.advance(after)
        form = {"grant_type": CIBA, "auth_req_id": auth_req_id, **self.assert_identity(audience)}
        return await self.proxy.post("/token", data=form, headers=self.tell() if certified else {})

    async def read_userinfo(self, token: str, certificate: Certified | None = None, interaction: str | None = None) -> httpx2.Response:
        """Use an access token over the certificate's address."""
        named = {"x-fapi-interaction-id": interaction} if interaction is not None else {}
        return await self.proxy.get("/userinfo", headers={"authorization": f"Bearer {token}", **self.tell(certificate), **named})


async def add_counter(provider: Provider, proxy: httpx2.AsyncClient, method: AuthMethod, pinged: str | None = None) -> Counter:
    """Register a counter; ``pinged`` is where it is told that there is an answer."""
    key = ECKey.generate_key("P-256", {"kid": f"counter-{next(names)}", "use": "sig"}, private=True)
    certificate = make_certificate(f"counter-{next(names)}")
    jwks = {"keys": [key.as_dict(private=False), certificate.jwk]}
    client_id = await provider.add_client(
        f"counter-{next(names)}",
        auth_method=method,
        keys=ClientKeys(jwks=json.dumps(jwks)),
        requests=RequestDemands(accepts_endpoint_audience=method is AuthMethod.PRIVATE_KEY_JWT),
        tls=TlsIdentity(tls_client_certificate_bound_access_tokens=True),
        ciba=BackchannelAuthentication(
            backchannel_token_delivery_mode="poll" if pinged is None else "ping",
            backchannel_client_notification_endpoint=pinged,
            backchannel_authentication_request_signing_alg="ES256",
        ),
        grant_types=(CIBA,),
        redirect_uris=(),
        profile=Profile.FAPI2,
    )
    return Counter(provider, proxy, client_id, key, certificate, method)


METHODS = [AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SELF_SIGNED_TLS]


@pytest.fixture(name="person")
async def make_person(provider: Provider) -> Somebody:
    """Whom the counters ask."""
    return await provider.add_person()


async def answer(provider: Provider, person: Somebody, said: str) -> None:
    """Answer what waits, on the person's own page."""
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person))[SESSION])
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer=said)


@pytest.mark.parametrize("method", METHODS)
async def test_two_clients(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody, method: AuthMethod) -> None:
    first, second = await add_counter(provider, proxy, method), await add_counter(provider, proxy, method)
    tokens: dict[str, str] = {}
    collected = ""
    for counter, typ, expiry in ((first, None, None), (second, "oauth-authz-req+jwt", "300")):
        begun = await counter.begin(request=counter.sign(typ=typ, login_hint=person.document, requested_expiry=expiry))
        assert (begun.status_code, begun.json()["expires_in"], begun.json()["interval"]) == (200, 300, 5), begun.text
        collected = begun.json()["auth_req_id"]
        assert len(collected) >= 43
        waiting = await counter.poll(collected)
        assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
        await answer(provider, person, "approve")
        granted = await counter.poll(collected)
        assert granted.status_code == 200, granted.text
        tokens[counter.client_id] = granted.json()["access_token"]
        assert (granted.headers["cache-control"], granted.json()["token_type"]) == ("no-store", "Bearer")
        keys = (await provider.browser.get("/jwks.json")).json()
        claims = decode_with(keys, granted.json()["id_token"], ["ES256"])
        assert (claims["iss"], claims["aud"]) == (ISSUER, counter.client_id)
        assert {"c_hash", "s_hash"}.isdisjoint(claims)
        told = "c770aef3-6784-41f7-8e0e-ff5f97bddb3a"
        used = await counter.read_userinfo(tokens[counter.client_id], interaction=told)
        assert (used.status_code, used.headers["x-fapi-interaction-id"]) == (200, told)
    token = tokens[second.client_id]
    named = (await second.read_userinfo(token)).headers["x-fapi-interaction-id"]
    assert UUID(named).version == 4
    assert (await second.read_userinfo(token, interaction="no name")).headers["x-fapi-interaction-id"] not in (
        named,
        "no name",
    )
    stolen = await second.read_userinfo(token, first.certificate)
    assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_token")
    plain = await provider.browser.get("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert plain.status_code == 401, "without the certificate it is worth nothing"
    assert "x-fapi-interaction-id" not in plain.headers
    again = await second.poll(collected)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_who_was_pinged_collects_at_once(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody) -> None:
    """Though it asked a moment ago, as clients of this mode may; who only polls waits its time."""
    pinged = await add_counter(provider, proxy, AuthMethod.PRIVATE_KEY_JWT, pinged="https://counter.example/ping")
    refused = await pinged.begin(request=pinged.sign(login_hint=person.document))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request"), "where is it to be told?"
    polling = await add_counter(provider, proxy, AuthMethod.PRIVATE_KEY_JWT)
    pings: list[dict[str, Any]] = []

    async def keep(payload: dict[str, Any], _: object) -> str:
        pings.append(payload)
        return "kept"

    for counter, status in ((pinged, 200), (polling, 400)):
        begun = await counter.begin(request=counter.sign(login_hint=person.document, client_notification_token="token-1"))
        collected: str = begun.json()["auth_req_id"]
        assert (await counter.poll(collected)).json()["error"] == "authorization_pending"
        await answer(provider, person, "approve")
        platform = provider.services.platform
        await deliver_due(platform.outbox, platform.database, {"ciba_ping": keep})
        at_once = await counter.poll(collected, after=0)
        assert at_once.status_code == status, at_once.text
    assert [(ping["client_id"], ping["token"]) for ping in pings] == [(pinged.client_id, "token-1")]


@pytest.mark.parametrize("method", METHODS)
async def test_the_person_refuses(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody, method: AuthMethod) -> None:
    counter = await add_counter(provider, proxy, method)
    for _ in range(3):  # nobody is muted while the limits are off
        begun = (await counter.begin(request=counter.sign(login_hint=person.document))).json()
        await answer(provider, person, "deny")
        assert (await counter.poll(begun["auth_req_id"])).json()["error"] == "access_denied"


async def test_without_limits_the_newest_request_is_the_one_that_waits(
    provider: Provider, proxy: httpx2.AsyncClient, person: Somebody
) -> None:
    counter = await add_counter(provider, proxy, AuthMethod.SELF_SIGNED_TLS)
    begun = [(await counter.begin(request=counter.sign(login_hint=person.document))).json()["auth_req_id"] for _ in range(5)]
    await answer(provider, person, "approve")
    assert [(await counter.poll(one)).status_code for one in begun] == [400, 400, 400, 400, 200]


async def test_an_assertion_may_name_the_issuer_or_one_of_the_two_endpoints(
    provider: Provider, proxy: httpx2.AsyncClient, person: Somebody
) -> None:
    counter = await add_counter(provider, proxy, AuthMethod.PRIVATE_KEY_JWT)
    for audience in (ISSUER, f"{ISSUER}/token", f"{MTLS}/token", f"{ISSUER}/bc-authorize", f"{MTLS}/bc-authorize"):
        begun = await counter.begin(audience, request=counter.sign(login_hint=person.document))
        assert begun.status_code == 200, begun.text
        assert (await counter.poll(begun.json()["auth_req_id"], audience)).json()["error"] == "authorization_pending"
    for audience in (f"{ISSUER}/par", f"{ISSUER}/", "https://elsewhere.example/token"):
        assert (await counter.begin(audience, request=counter.sign(login_hint=person.document))).status_code == 401
    several: Any = [ISSUER, f"{ISSUER}/bc-authorize"]
    assert (await counter.begin(several, request=counter.sign(login_hint=person.document))).status_code == 401


def list_bad_requests(counter: Counter, person: Somebody) -> dict[str, str]:
    """Return what is wrong → a signed request that is refused for it."""
    now = int(counter.provider.now().timestamp())
    kid = str(counter.key.kid)
    rsa: Any = RSAKey.generate_key(2048, {"kid": kid})
    public = OctKey.import_key({"kty": "oct", "k": encode_part(json.dumps(counter.key.as_dict(private=False)).encode()), "kid": kid})
    hint = {"login_hint": person.document}
    good = counter.sign(**hint)
    return {
        "missing-aud": counter.sign(aud=None, **hint),
        "bad-aud": counter.sign(aud="https://elsewhere.example", **hint),
        "missing-iss": counter.sign(iss=None, **hint),
        "bad-iss": counter.sign(iss="another", **hint),
        "missing-exp": counter.sign(exp=None, **hint),
        "expired-exp": counter.sign(exp=now - 300, nbf=now - 600, **hint),
        "exp-is-70-minutes-in-future": counter.sign(exp=now + 4_200, **hint),
        "missing-iat": counter.sign(iat=None, **hint),
        "missing-nbf": counter.sign(nbf=None, **hint),
        "nbf-is-10-minutes-in-future": counter.sign(nbf=now + 600, exp=now + 900, **hint),
        "nbf-is-70-minutes-in-past": counter.sign(nbf=now - 4_200, **hint),
        "missing-jti": counter.sign(jti=None, **hint),
        "signature-algorithm-is-none": sign_claims(counter.key, {"iss": counter.client_id}, alg="none").rpartition(".")[0] + ".",
        "signature-algorithm-is-bad": good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8),
        "signature-algorithm-is-RS256": counter.sign(rsa, "RS256", **hint),
        "signed-by-other-client": counter.sign(ECKey.generate_key("P-256", {"kid": kid}), **hint),
        "signed by the public key": counter.sign(public, "HS256", **hint),
        "multiple-hints": counter.sign(id_token_hint="e30.e30.e30", **hint),
        "no hint": counter.sign(),
    }


@pytest.mark.parametrize("method", METHODS)
async def test_request_objects_that_are_refused(
    provider: Provider, proxy: httpx2.AsyncClient, person: Somebody, method: AuthMethod
) -> None:
    counter = await add_counter(provider, proxy, method)
    for wrong, request in list_bad_requests(counter, person).items():
        refused = await counter.begin(request=request)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request"), (wrong, refused.text)
    unsigned = {"scope": "openid", "login_hint": person.document, "binding_message": "1234"}
    refused = await counter.begin(**unsigned)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    unnamed = await counter.begin(request=counter.sign(login_hint=person.document, binding_message=None))
    assert (unnamed.status_code, unnamed.json()["error"]) == (400, "invalid_binding_message")
    long = await counter.begin(request=counter.sign(login_hint=person.document, binding_message="1234 \u2764\ufe0f " * 40))
    assert (long.status_code, long.json()["error"]) == (400, "invalid_binding_message")
    assert (await counter.begin(request=counter.sign(login_hint=person.document, requested_expiry="30"))).json()["expires_in"] == 30
    assert (await counter.begin(request=counter.sign(login_hint=person.document, requested_expiry=30))).json()["expires_in"] == 30


@pytest.mark.parametrize("method", METHODS)
async def test_scopes_turned_and_an_expiry_as_text(
    provider: Provider, proxy: httpx2.AsyncClient, person: Somebody, method: AuthMethod
) -> None:
    counter = await add_counter(provider, proxy, method)
    request = counter.sign(login_hint=person.document, scope="profile openid", requested_expiry="30")
    begun = await counter.begin(request=request)
    assert (begun.status_code, begun.json()["expires_in"]) == (200, 30), begun.text
    await answer(provider, person, "approve")
    granted = await counter.poll(begun.json()["auth_req_id"])
    assert (granted.status_code, granted.json()["scope"]) == (200, "openid profile"), granted.text


async def test_expired_requests_say_so(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody) -> None:
    counter = await add_counter(provider, proxy, AuthMethod.SELF_SIGNED_TLS)
    begun = (await counter.begin(request=counter.sign(login_hint=person.document, requested_expiry="30"))).json()
    provider.clock.advance(30)
    late = await counter.poll(begun["auth_req_id"])
    assert (late.status_code, late.json()["error"]) == (400, "expired_token")


@pytest.mark.parametrize("method", METHODS)
async def test_the_token_endpoint_wants_the_certificate(
    provider: Provider, proxy: httpx2.AsyncClient, person: Somebody, method: AuthMethod
) -> None:
    counter, other = await add_counter(provider, proxy, method), await add_counter(provider, proxy, method)
    begun = (await counter.begin(request=counter.sign(login_hint=person.document))).json()
    bare = await counter.poll(begun["auth_req_id"], certified=False)
    expected = {AuthMethod.PRIVATE_KEY_JWT: (400, "invalid_request"), AuthMethod.SELF_SIGNED_TLS: (401, "invalid_client")}
    assert (bare.status_code, bare.json()["error"]) == expected[method]
    foreign = await other.poll(begun["auth_req_id"])
    assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_grant")
    if method is AuthMethod.SELF_SIGNED_TLS:
        posing = await proxy.post(
            "/token",
            data={"grant_type": CIBA, "auth_req_id": begun["auth_req_id"], "client_id": other.client_id},
            headers=counter.tell(),
        )
        assert (posing.status_code, posing.json()["error"]) == (401, "invalid_client")


async def test_assertions_that_are_refused(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody) -> None:
    counter = await add_counter(provider, proxy, AuthMethod.PRIVATE_KEY_JWT)
    request = counter.sign(login_hint=person.document)
    none = await provider.browser.post("/bc-authorize", data={"request": request, "client_id": counter.client_id})
    assert (none.status_code, none.json()["error"]) == (401, "invalid_client")
    rsa: Any = RSAKey.generate_key(2048, {"kid": str(counter.key.kid)})
    now = int(provider.now().timestamp())
    claims = {"iss": counter.client_id, "sub": counter.client_id, "aud": ISSUER, "jti": "rs", "iat": now, "exp": now + 60}
    form = {"request": request, "client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(rsa, claims, "RS256")}
    weak = await provider.browser.post("/bc-authorize", data=form)
    assert (weak.status_code, weak.json()["error"]) == (401, "invalid_client")
    assert (await counter.begin(request=request)).status_code == 200, "what was refused used up nothing"
    provider.clock.advance(1)
    replayed = await counter.begin(request=request)
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_request")


async def test_assertions_that_are_wrong_in_one_way(provider: Provider, proxy: httpx2.AsyncClient, person: Somebody) -> None:
    counter = await add_counter(provider, proxy, AuthMethod.PRIVATE_KEY_JWT)
    now = int(provider.now().timestamp())
    good: dict[str, Any] = {"iss": counter.client_id, "sub": counter.client_id, "aud": ISSUER, "iat": now, "exp": now + 60}

    def make_form(jti: str, **changes: Any) -> dict[str, str]:
        claims = {name: value for name, value in {**good, "jti": jti, **changes}.items() if value is not None}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(counter.key, claims)}

    whole = make_form("whole")
    wrong: dict[str, dict[str, str]] = {
        "none at all": {"client_id": counter.client_id},
        "no type": {"client_assertion": whole["client_assertion"]},
        "another type": {**whole, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        "no sub": make_form("w1", sub=None),
        "another sub": make_form("w2", sub="another"),
        "no iss": make_form("w3", iss=None),
        "another iss": make_form("w4", iss="another"),
        "no aud": make_form("w5", aud=None),
        "another aud": make_form("w6", aud="https://elsewhere.example"),
        "past exp": make_form("w7", iat=now - 360, exp=now - 300),
        "alg none": {**whole, "client_assertion": sign_claims(counter.key, {**good, "jti": "w8"}, alg="none").rpartition(".")[0] + "."},
        "another's signature": {**whole, "client_assertion": make_form("w9")["client_assertion"].rpartition(".")[0] + ".AAAA"},
    }
    request = counter.sign(login_hint=person.document)
    for what, form in wrong.items():
        refused = await provider.browser.post("/bc-authorize", data={"request": request, **form})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), (what, refused.text)
    begun = await provider.browser.post("/bc-authorize", data={"request": request, **whole})
    assert begun.status_code == 200, "what was refused used up nothing"


async def test_the_metadata(provider: Provider) -> None:
    document = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert CIBA in document["grant_types_supported"]
    assert {"poll", "ping"} == set(document["backchannel_token_delivery_modes_supported"])
    assert document["backchannel_user_code_parameter_supported"] is False
    assert {"ES256", "PS256"} <= set(document["backchannel_authentication_request_signing_alg_values_supported"])
    assert "none" not in document["backchannel_authentication_request_signing_alg_values_supported"]
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert document["mtls_endpoint_aliases"]["backchannel_authentication_endpoint"] == f"{MTLS}/bc-authorize"
