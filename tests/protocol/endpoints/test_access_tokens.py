"""Access tokens: bound to a certificate, read by resource servers themselves, introspected, revoked (RFC 8705, 9068, 7662, 9701, 7009)."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import KeySet

from idp.app import build_app
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_metadata import Profile, RequestDemands, ResponseProtection, TlsIdentity, TokenFormat
from tests.support.certificates import Certified, ThroughProxy, make_certificate
from tests.support.provider import ISSUER, REDIRECT_URI, Provider, run_provider

MTLS = "https://mtls.id.example"
SOCKET = "/run/yizheng/mtls.sock"
LAND, TAX, PLAIN = "https://api.example/land", "https://api.example/tax", "https://api.example/plain"
WITH_REFRESH = frozenset({"authorization_code", "refresh_token"})
MACHINE: dict[str, Any] = {"grant_types": frozenset({"client_credentials"}), "redirect_uris": ()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    settings = {"IDP_MTLS__ORIGIN": MTLS, "IDP_MTLS__SOCKET": SOCKET}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), **settings) as running:
        await running.add_client("land-api", **MACHINE, resources=(LAND,), access_token_format=TokenFormat.JWT)
        await running.add_client("tax-api", **MACHINE, resources=(TAX,), access_token_format=TokenFormat.JWT, id_token_algorithm="RS256")
        await running.add_client("plain-api", **MACHINE, resources=(PLAIN,))
        allowed = RequestDemands(allowed_resources=(LAND, TAX, PLAIN))
        await running.add_client("web", grant_types=WITH_REFRESH, requests=allowed)
        bound = TlsIdentity(tls_client_certificate_bound_access_tokens=True)
        await running.add_client("bound", grant_types=WITH_REFRESH, tls=bound)
        await running.add_client("bound-app", grant_types=WITH_REFRESH, tls=bound, auth_method=AuthMethod.NONE)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=ThroughProxy(build_app(provider.services), SOCKET), base_url=MTLS) as client:
        yield client


def tell(certificate: Certified | None) -> dict[str, str]:
    return {} if certificate is None else {"client-cert": certificate.header}


# ----------------------------------------------------------------------------------------------- bound to a certificate


async def redeem(proxy: httpx2.AsyncClient, provider: Provider, client_id: str, certificate: Certified | None) -> httpx2.Response:
    person = await provider.add_person()
    landing = await provider.authorize(client_id, await provider.open_session(person), scope="openid profile")
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    return await ask(proxy, provider, client_id, certificate, **form)


async def ask(proxy: httpx2.AsyncClient, provider: Provider, client_id: str, certificate: Certified | None, **form: str) -> httpx2.Response:
    secret = provider.secrets[client_id]
    if not secret:
        return await proxy.post("/token", data={**form, "client_id": client_id}, headers=tell(certificate))
    return await proxy.post("/token", data=form, auth=(client_id, secret), headers=tell(certificate))


async def test_a_certificate_bound_token(provider: Provider, proxy: httpx2.AsyncClient) -> None:
    mine, other = make_certificate(), make_certificate()
    answer = await redeem(proxy, provider, "bound", mine)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer"), answer.text
    token = answer.json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await proxy.get("/userinfo", headers={**bearer, **tell(mine)})).status_code == 200
    refused = [
        await proxy.get("/userinfo", headers={**bearer, **tell(other)}),
        await proxy.get("/userinfo", headers=bearer),
        await proxy.get("/userinfo", headers={**bearer, "client-cert": ":AAAA:"}),
        await proxy.get("/userinfo", headers={**bearer, "client-cert": "nothing"}),
        await proxy.get("/userinfo", headers={"authorization": f"DPoP {token}", **tell(mine)}),
        # The front door believes no header of this kind.
        await provider.browser.get("/userinfo", headers={**bearer, **tell(mine)}),
        await provider.browser.get("/userinfo", headers=bearer),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [(401, "invalid_token")] * len(refused)
    told = (await provider.post("/introspect", {"token": token}, "bound")).json()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(mine.der).digest()).rstrip(b"=").decode()
    assert (told["cnf"], told["token_type"]) == ({"x5t#S256": thumbprint}, "Bearer")


async def test_a_token_that_must_be_bound_is_never_given_unbound(provider: Provider, proxy: httpx2.AsyncClient) -> None:
    answer = await redeem(proxy, provider, "bound", None)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_refreshing_what_is_bound_to_a_certificate(provider: Provider, proxy: httpx2.AsyncClient) -> None:
    mine, renewed = make_certificate(), make_certificate()
    for client_id, other_may in (("bound", True), ("bound-app", False)):
        refresh_token = (await redeem(proxy, provider, client_id, mine)).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = await ask(proxy, provider, client_id, renewed, **form)
        assert (answer.status_code == 200) is other_may, answer.text
        if other_may:
            bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
            assert (await proxy.get("/userinfo", headers={**bearer, **tell(renewed)})).status_code == 200
            assert (await proxy.get("/userinfo", headers={**bearer, **tell(mine)})).status_code == 401
        else:
            assert answer.json()["error"] == "invalid_grant"
            assert (await ask(proxy, provider, client_id, mine, **form)).status_code == 200


# ------------------------------------------------------------------------------------------------------- JWTs (RFC 9068)


def read_part(text: str, index: int) -> dict[str, Any]:
    part: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text.split(".")[index] + "=="))
    return part


async def get_tokens(provider: Provider, **changes: str) -> dict[str, Any]:
    person = await provider.add_person()
    return await provider.get_tokens("web", await provider.open_session(person), scope="openid profile", **changes)


@pytest.mark.parametrize("resource, algorithm", [(LAND, "ES256"), (TAX, "RS256")])
async def test_a_jwt_for_a_resource_that_reads_it_itself(provider: Provider, resource: str, algorithm: str) -> None:
    token = (await get_tokens(provider, resource=resource))["access_token"]
    assert read_part(token, 0)["typ"] == "at+jwt"
    assert read_part(token, 0)["alg"] == algorithm
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    claims = json.loads(jws.deserialize_compact(token, keys, algorithms=[algorithm]).payload)
    assert {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "acr", "auth_time"} == set(claims)
    now = int(provider.clock().timestamp())
    assert (claims["iss"], claims["aud"], claims["client_id"], claims["scope"]) == (ISSUER, resource, "web", "openid profile")
    assert (claims["iat"], claims["exp"]) == (now, now + 300)


async def test_a_jwt_is_worth_nothing_where_it_is_not_meant_for(provider: Provider) -> None:
    token = (await get_tokens(provider, resource=LAND))["access_token"]
    answer = await provider.read_userinfo(token)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    # Its name inside is no token by itself, and neither is an ID Token one.
    assert (await provider.read_userinfo(read_part(token, 1)["jti"])).json()["error"] == "invalid_token"
    tokens = await get_tokens(provider)
    assert (await provider.read_userinfo(tokens["id_token"])).json()["error"] == "invalid_token"
    header, claims, signature = token.split(".")
    altered = base64.urlsafe_b64encode(json.dumps({**read_part(token, 1), "aud": ISSUER}).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    for wrong in (f"{header}.{altered}.{signature}", f"{none}.{claims}.", f"{header}.{claims}.", f"{token}x"):
        assert (await provider.post("/introspect", {"token": wrong}, "land-api")).json() == {"active": False}


async def test_an_opaque_token_for_every_other_resource(provider: Provider) -> None:
    tokens = await get_tokens(provider, resource=PLAIN)
    assert "." not in tokens["access_token"]
    assert (await provider.read_userinfo(tokens["access_token"])).json()["error"] == "insufficient_scope"
    told = (await provider.post("/introspect", {"token": tokens["access_token"]}, "plain-api")).json()
    assert (told["active"], told["aud"]) == (True, PLAIN)


async def test_each_answer_has_one_audience(provider: Provider) -> None:
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    tokens = await provider.get_tokens("web", cookies, scope="openid", resource=LAND)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "resource": PLAIN}
    refused = await provider.post("/token", form, "web")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    renewed = await provider.post("/token", {**form, "resource": LAND}, "web")
    assert read_part(renewed.json()["access_token"], 1)["aud"] == LAND


async def test_the_grant_names_the_keys_of_its_jwts(provider: Provider) -> None:
    token = (await get_tokens(provider, resource=TAX))["access_token"]
    rows = await provider.services.platform.database.fetch("SELECT signed_by FROM grants WHERE audience = $1", TAX)
    assert any(read_part(token, 0)["kid"] in (row["signed_by"] or "").split() for row in rows)


# ------------------------------------------------------------------------------------------------------- introspection


async def test_only_the_resource_and_the_tokens_own_client_are_told(provider: Provider) -> None:
    token = (await get_tokens(provider, resource=LAND))["access_token"]
    for caller in ("land-api", "web"):
        told = (await provider.post("/introspect", {"token": token}, caller)).json()
        assert (told["active"], told["aud"], told["client_id"], told["iss"]) == (True, LAND, "web", ISSUER)
    assert (await provider.post("/introspect", {"token": token}, "tax-api")).json() == {"active": False}
    userinfo = (await get_tokens(provider))["access_token"]
    assert (await provider.post("/introspect", {"token": userinfo}, "land-api")).json() == {"active": False}
    provider.clock.advance(301)
    assert (await provider.post("/introspect", {"token": token}, "land-api")).json() == {"active": False}


async def test_a_signed_answer(provider: Provider) -> None:
    """RFC 9701: the type, the audience, and the answer inside; also for a token that is nothing."""
    token = (await get_tokens(provider, resource=LAND))["access_token"]
    accept = {"accept": "application/token-introspection+jwt"}
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    for text, active in ((token, True), ("garbage", False)):
        answer = await provider.browser.post(
            "/introspect", data={"token": text}, auth=("land-api", provider.secrets["land-api"]), headers=accept
        )
        assert answer.headers["content-type"] == "application/token-introspection+jwt"
        assert answer.headers["cache-control"] == "no-store"
        assert read_part(answer.text, 0)["typ"] == "token-introspection+jwt"
        claims = json.loads(jws.deserialize_compact(answer.text, keys, algorithms=["ES256"]).payload)
        assert (claims["iss"], claims["aud"], claims["token_introspection"]["active"]) == (ISSUER, "land-api", active)
        assert not {"sub", "exp"} & set(claims), "an answer is no token"
        assert (await provider.read_userinfo(answer.text)).json()["error"] == "invalid_token"


async def test_the_registered_algorithm_signs(provider: Provider) -> None:
    await provider.add_client("rs-api", **MACHINE, responses=ResponseProtection(introspection_signed_response_alg="RS256"))
    answer = await provider.browser.post(
        "/introspect",
        data={"token": "x"},
        auth=("rs-api", provider.secrets["rs-api"]),
        headers={"accept": "application/token-introspection+jwt"},
    )
    assert read_part(answer.text, 0)["alg"] == "RS256"
    plain = await provider.post("/introspect", {"token": "x"}, "rs-api")
    assert plain.json() == {"active": False}
    await provider.execute(
        "UPDATE clients SET document = (document::jsonb || $2::text::jsonb)::text WHERE client_id = $1",
        "rs-api",
        json.dumps({"profile": Profile.FAPI2_MESSAGE_SIGNING.value}),
    )
    provider.services.directory.forget("rs-api")
    refused = await provider.post("/introspect", {"token": "x"}, "rs-api")
    assert refused.json()["error"] == "invalid_client", "the profile takes no secret"


# -------------------------------------------------------------------------------------------------------- revocation


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
async def test_revoking_either_token_ends_the_grant(provider: Provider, kind: str, hint: str | None) -> None:
    tokens = await get_tokens(provider)
    form = {"token": tokens[kind], **({"token_type_hint": hint} if hint else {})}
    for _ in range(2):
        answer = await provider.post("/revoke", form, "web")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    refresh = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, "web")
    assert refresh.json()["error"] == "invalid_grant"
    assert (await provider.post("/introspect", {"token": tokens["access_token"]}, "web")).json() == {"active": False}
    ended = [event for event in await provider.read_events("grant_ended") if "revoked by the client" in event["details"]]
    assert {event["result"] for event in ended} == {"done"}


async def test_a_jwt_can_be_revoked(provider: Provider) -> None:
    token = (await get_tokens(provider, resource=LAND))["access_token"]
    provider.clock.advance(400)
    assert (await provider.post("/revoke", {"token": token}, "web")).status_code == 200
    rows = await provider.services.platform.database.fetch("SELECT ended_reason FROM grants WHERE ended_reason IS NOT NULL")
    assert "revoked by the client" in {row["ended_reason"] for row in rows}


async def test_nobody_revokes_what_is_anothers(provider: Provider) -> None:
    await provider.add_client("stranger", grant_types=WITH_REFRESH)
    tokens = await get_tokens(provider)
    for kind in ("refresh_token", "access_token"):
        assert (await provider.post("/revoke", {"token": tokens[kind]}, "stranger")).status_code == 200
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    for unknown in ("garbage", "a.b.c", "x" * 15_000):
        assert (await provider.post("/revoke", {"token": unknown}, "web")).status_code == 200
    assert (await provider.post("/revoke", {}, "web")).json()["error"] == "invalid_request"
    assert (await provider.post("/revoke", {"token": tokens["access_token"]}, "web", "wrong")).json()["error"] == "invalid_client"
    assert (await provider.browser.get("/revoke")).json()["error"] == "invalid_request"
    json_body = await provider.browser.post("/revoke", json={"token": tokens["access_token"]}, auth=("web", provider.secrets["web"]))
    assert json_body.json()["error"] == "invalid_request"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200


async def test_a_public_client_revokes_its_own(provider: Provider) -> None:
    await provider.add_client("app", auth_method=AuthMethod.NONE, grant_types=WITH_REFRESH)
    person = await provider.add_person()
    landing = await provider.authorize("app", await provider.open_session(person))
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    tokens = (await provider.browser.post("/token", data={**form, "client_id": "app"})).json()
    assert (await provider.browser.post("/revoke", data={"token": tokens["refresh_token"], "client_id": "app"})).status_code == 200
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_jwts_of_two_sectors_share_nothing_that_correlates(provider: Provider) -> None:
    """What S56 says of other tokens: two sectors' JWTs for one person at two resources share the issuer and the levels alone."""
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    seen = []
    for client, resource in (("sector-one", LAND), ("sector-two", TAX)):
        await provider.add_client(client, requests=RequestDemands(allowed_resources=(resource,)))
        seen.append(read_part((await provider.get_tokens(client, cookies, scope="openid", resource=resource))["access_token"], 1))
        provider.clock.advance(7)
    assert {name for name in seen[0] if seen[0][name] == seen[1].get(name)} <= {"iss", "acr", "auth_time", "scope"}
