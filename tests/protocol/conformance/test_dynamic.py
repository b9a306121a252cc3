"""What the modules of the Config, Dynamic and Form Post OP profiles ask, beside those they share with Basic; named after the modules."""

import html
import json
import re
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from idp.platform.key_rotation import KeyRotation
from tests.support.conformance import (
    RelyingParty,
    check_error,
    check_token_answer,
    register,
    register_with_key,
    serve_document,
)
from tests.support.provider import ISSUER, REDIRECT_URI, Provider
from tests.support.web import find_code

CALLBACK = "https://new.example/callback"


@pytest.fixture(name="cookies")
async def make_cookies(provider: Provider) -> dict[str, str]:
    """The session of somebody who signed in."""
    return await provider.open_session(await provider.add_person())


async def refuse(provider: Provider, **metadata: Any) -> str:
    """Register what must be refused; return the error."""
    answer = await provider.browser.post("/connect/register", json={"redirect_uris": [CALLBACK], **metadata})
    assert answer.status_code == 400
    error: str = answer.json()["error"]
    return error


async def test_oidcc_discovery_endpoint_verification(provider: Provider) -> None:
    answer = await provider.browser.get("/.well-known/openid-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    metadata = answer.json()
    assert metadata["issuer"] == ISSUER
    for endpoint in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "registration_endpoint"):
        assert metadata[endpoint].startswith(ISSUER + "/")
    assert "code" in metadata["response_types_supported"]
    assert metadata["subject_types_supported"] == ["pairwise"]
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "openid" in metadata["scopes_supported"]
    assert {"sub", "iss", "auth_time", "acr"} <= set(metadata["claims_supported"])
    assert metadata["claims_parameter_supported"] is True
    keys = (await provider.browser.get(metadata["jwks_uri"].removeprefix(ISSUER))).json()["keys"]
    assert {key["use"] for key in keys} == {"sig"}
    assert len({key["kid"] for key in keys}) == len(keys)
    assert all(key["kty"] in ("RSA", "EC", "OKP") and not {"d", "p", "q", "k"} & key.keys() for key in keys)
    assert all(len(key["n"]) >= 342 for key in keys if key["kty"] == "RSA"), "at least 2048 bits"


async def test_oidcc_discovery_endpoint_verification_of_a_dynamic_provider(provider: Provider) -> None:
    # The module asks a dynamic provider for response types and the grant of the implicit flow. There is none here, and none is announced.
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["response_types_supported"] == ["code"]
    assert "implicit" not in metadata["grant_types_supported"]
    assert await refuse(provider, response_types=["id_token"], grant_types=["implicit"]) == "invalid_client_metadata"
    party = await register(provider)
    told = (await party.authorize(response_type="id_token")).parameters
    assert (told["error"], told["state"]) == ("unsupported_response_type", "state-1")


def make_key(kid: str | None = None) -> Any:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", **({"kid": kid} if kid else {})})


def publish(key: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False)]}).encode()


async def remove(party: RelyingParty) -> int:
    """Unregister as every module does at its end; return the status."""
    address = party.metadata["registration_client_uri"].removeprefix(ISSUER)
    bearer = {"authorization": f"Bearer {party.metadata['registration_access_token']}", "accept": "application/json;charset=UTF-8"}
    return (await party.provider.browser.delete(address, headers=bearer)).status_code


async def test_oidcc_server(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register_with_key(provider, contacts=["certification@department.example"])
    assert "client_secret" not in party.metadata
    tokens = await party.get_tokens(cookies)
    assert (await provider.read_userinfo(tokens["access_token"])).json()["sub"] == (await party.read_id_token(tokens["id_token"]))["sub"]
    assert await remove(party) == 204


async def test_a_key_may_say_more_than_we_know(provider: Provider, cookies: dict[str, str]) -> None:
    key = make_key("named")
    said = {**key.as_dict(private=False), "iat": 1_795_340_000, "key_ops": ["verify"], "owner": {"unit": "land"}}  # RFC 7517 §4: ignored
    metadata = (await register(provider, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [said]})).metadata
    assert metadata["jwks"]["keys"] == [said]
    assert (await RelyingParty(provider, metadata, key).get_tokens(cookies))["id_token"]


async def test_oidcc_ensure_client_assertion_with_iss_aud_succeeds(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register_with_key(provider)
    landing = await party.authorize(cookies)
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI}
    assert (await provider.browser.post("/token", data={**form, **party.assert_key("https://other.example/token")})).status_code == 401
    assert (await provider.browser.post("/token", data={**form, **party.assert_key(ISSUER)})).status_code == 200


async def test_oidcc_registration_jwks_uri(provider: Provider, cookies: dict[str, str]) -> None:
    key = make_key("first")
    async with serve_document("application/json") as document:
        document.body = publish(key)
        party = await register_with_key(provider, key, jwks_uri=document.address)
        assert (await party.get_tokens(cookies))["id_token"]


async def test_oidcc_refresh_token_rp_key_rotation(provider: Provider, cookies: dict[str, str]) -> None:
    before, after = make_key("before"), make_key("after")
    async with serve_document("application/json") as document:
        document.body = publish(before)
        grants = ["authorization_code", "refresh_token"]
        party = await register_with_key(provider, before, jwks_uri=document.address, grant_types=grants)
        tokens = await party.get_tokens(cookies, scope="openid offline_access", prompt="consent")
        document.body, party.key = publish(after), after
        provider.clock.advance(60)
        answer = await party.refresh(tokens["refresh_token"], scope="openid offline_access")
    assert answer.status_code == 200, answer.text
    assert (await provider.read_userinfo(answer.json()["access_token"])).status_code == 200


async def test_oidcc_idtoken_rs256(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider, id_token_signed_response_alg="RS256")
    header, _ = await party.decode_id_token((await party.get_tokens(cookies))["id_token"])
    assert header["alg"] == "RS256"


async def test_oidcc_userinfo_rs256(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider, userinfo_signed_response_alg="RS256")
    tokens = await party.get_tokens(cookies)
    answer = await provider.read_userinfo(tokens["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    decoded = jwt.decode(answer.text, keys, algorithms=["RS256"])
    assert (decoded.claims["iss"], decoded.claims["aud"]) == (ISSUER, party.client_id)
    assert decoded.claims["sub"] == (await party.read_id_token(tokens["id_token"]))["sub"]


async def test_oidcc_redirect_uri_query_ok(provider: Provider, cookies: dict[str, str]) -> None:
    uri = REDIRECT_URI + "?foo=bar"
    party = await register(provider, redirect_uris=[uri])
    landing = await party.authorize(cookies, redirect_uri=uri)
    assert landing.location.startswith(uri + "&code=")
    assert (await party.redeem(landing.code, uri)).status_code == 200


async def test_oidcc_redirect_uri_query_added(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    page = (await party.authorize(cookies, redirect_uri=REDIRECT_URI + "?foo=bar")).response
    assert (page.status_code, find_code(page)) == (400, "bad_redirect_uri")


async def test_oidcc_redirect_uri_query_mismatch(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider, redirect_uris=[REDIRECT_URI + "?foo=bar"])
    page = (await party.authorize(cookies, redirect_uri=REDIRECT_URI + "?bar=foo")).response
    assert (page.status_code, find_code(page)) == (400, "bad_redirect_uri")


async def test_oidcc_redirect_uri_regfrag(provider: Provider) -> None:
    assert await refuse(provider, redirect_uris=[CALLBACK + "#foobar"]) == "invalid_redirect_uri"


async def test_oidcc_ensure_redirect_uri_in_authorization_request(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    page = (await party.authorize(cookies, redirect_uri=None)).response
    assert page.status_code == 400
    assert "location" not in page.headers


@pytest.mark.parametrize("member", ["logo_uri", "policy_uri", "tos_uri", "client_uri"])
async def test_oidcc_registration_logo_policy_tos_uri(provider: Provider, member: str) -> None:
    party = await register(provider, redirect_uris=[CALLBACK], **{member: "https://new.example/about"})
    assert party.metadata[member] == "https://new.example/about"
    assert await refuse(provider, **{member: "javascript:alert(1)"}) == "invalid_client_metadata"


async def test_oidcc_registration_jwks(provider: Provider) -> None:
    public = RSAKey.generate_key(2048, {"use": "sig", "kid": "k"}, private=True).as_dict(private=False)
    party = await register(provider, jwks={"keys": [public]}, token_endpoint_auth_method="private_key_jwt")
    assert party.metadata["jwks"]["keys"][0]["kid"] == "k"
    assert "client_secret" not in party.metadata
    both = {"jwks": {"keys": [public]}, "jwks_uri": "https://new.example/keys"}
    assert await refuse(provider, **both) == "invalid_client_metadata"


async def test_oidcc_server_rotate_keys(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    before = (await party.get_tokens(cookies))["id_token"]
    platform = provider.services.platform
    rotation: KeyRotation = platform.key_rotation
    await rotation.rotate("RS256", "test")
    await platform.ring.reload()
    announced = {key["kid"] for key in (await provider.browser.get("/jwks.json")).json()["keys"]}
    provider.clock.advance(platform.settings.keys.pending_seconds + 1)
    await rotation.advance()
    await platform.ring.reload()
    fresh = await provider.open_session(await provider.add_person())
    header, _ = await party.decode_id_token((await party.get_tokens(fresh))["id_token"])
    old = jwt.decode(before, KeySet.import_key_set((await provider.browser.get("/jwks.json")).json()), algorithms=["RS256"]).header["kid"]
    assert header["kid"] != old, "another key signs now, and the old one still verifies"
    assert header["kid"] in announced, "it was published before it signed"


async def test_oidcc_request_uri_signed_rs256(provider: Provider, cookies: dict[str, str]) -> None:
    key = RSAKey.generate_key(2048, {"use": "sig", "kid": "requests"}, private=True)
    async with serve_document() as document:
        public = {"keys": [key.as_dict(private=False)]}
        address = f"{document.address}#hash-of-what-is-there"
        party = await register(provider, request_uris=[address], jwks=public, request_object_signing_alg="RS256")
        claims = {"iss": party.client_id, "aud": ISSUER, "client_id": party.client_id, "response_type": "code", "nonce": "inside"}
        document.body = jwt.encode({"alg": "RS256", "kid": "requests"}, claims, key, algorithms=["RS256"]).encode()
        tokens = await party.get_tokens(cookies, request_uri=address)
        assert (await party.read_id_token(tokens["id_token"]))["nonce"] == "inside", "the object comes first"
        assert document.asked == 1
        other = (await party.authorize(cookies, request_uri=document.address + "/other")).parameters
    assert other["error"] == "invalid_request_uri"


async def test_oidcc_formpost(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    page = (await party.authorize(cookies, response_mode="form_post")).response
    assert page.status_code == 200
    assert f'method="post" action="{REDIRECT_URI}"' in page.text
    posted = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)}
    assert (posted["state"], posted["iss"]) == ("state-1", ISSUER)
    assert (await party.redeem(posted["code"])).status_code == 200


def read_posted(page: Any) -> dict[str, str]:
    """Return what the page posts to the client, and nowhere else."""
    assert page.status_code == 200
    assert f'method="post" action="{REDIRECT_URI}"' in page.text
    assert "code=" not in page.headers.get("location", "")
    return {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)}


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": None},
        {"scope": "email openid"},
        {"display": "page"},
        {"display": "popup"},
        {"prompt": "none"},
        {"max_age": "10000"},
        {"extra": "foobar"},
        {"login_hint": "buffy@department.example"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"claims": '{"userinfo":{"name":{"essential":true}}}'},
        {"state": 'a b+c%&="<>中文'},
    ],
    ids=lambda changes: next(iter(changes)) + str(len(str(changes))),
)
async def test_oidcc_formpost_basic(provider: Provider, cookies: dict[str, str], changes: dict[str, str | None]) -> None:
    # The plan is that of Basic OP once more, each answer posted.
    party = await register(provider)
    posted = read_posted((await party.authorize(cookies, response_mode="form_post", **changes)).response)
    assert posted.keys() == {"code", "state", "iss"}
    assert (posted["state"], posted["iss"]) == (changes.get("state", "state-1"), ISSUER)
    tokens = check_token_answer(await party.redeem(posted["code"]))
    assert (await provider.read_userinfo(tokens["access_token"])).json()["sub"] == (await party.read_id_token(tokens["id_token"]))["sub"]


async def test_oidcc_formpost_response_type_missing(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    posted = read_posted((await party.authorize(cookies, response_mode="form_post", response_type=None)).response)
    check_error(posted, "state-1", "invalid_request", "unsupported_response_type")


async def test_oidcc_formpost_ensure_registered_redirect_uri(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider)
    page = (await party.authorize(cookies, response_mode="form_post", redirect_uri=REDIRECT_URI + "/other")).response
    assert (page.status_code, find_code(page)) == (400, "bad_redirect_uri")


async def test_oidcc_formpost_prompt_none_not_logged_in(provider: Provider) -> None:
    party = await register(provider)
    state = "s" * 128
    posted = read_posted((await party.authorize(response_mode="form_post", prompt="none", state=state)).response)
    check_error(posted, state, "login_required")


async def test_oidcc_3rd_party_init_login(provider: Provider) -> None:
    uri = "https://department.example/initiate_login"
    party = await register(provider, initiate_login_uri=uri)
    assert party.metadata["initiate_login_uri"] == uri
    bearer = {"authorization": f"Bearer {party.metadata['registration_access_token']}"}
    told = await provider.browser.get(party.metadata["registration_client_uri"].removeprefix(ISSUER), headers=bearer)
    assert (told.status_code, told.headers["content-type"], told.json()["initiate_login_uri"]) == (200, "application/json", uri)


async def test_oidcc_3rd_party_init_login_nohttps(provider: Provider) -> None:
    for host in ("department.example", "localhost:8443", "127.0.0.1"):
        assert await refuse(provider, initiate_login_uri=f"http://{host}/initiate_login") == "invalid_client_metadata"
