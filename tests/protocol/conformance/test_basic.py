"""What the modules of the Basic OP profile ask (design: protocol.md §6); each test carries the name of its module."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from idp.kernel.ids import encode_base64url
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.postal_address import PostalAddress
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.conformance import RelyingParty, check_error, check_token_answer, register
from tests.support.provider import REDIRECT_URI, Landing, Provider
from tests.support.web import Web, find_code

PERSONAL = ("name", "gender", "birthdate", "phone_number", "phone_number_verified", "email", "email_verified", "address")
NAMED = Entitlement("登记", Basis.STATUTORY_DUTY, PERSONAL)
EMAIL = EmailAddress("sample@example.com")
ADDRESS = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")


@pytest.fixture(name="party")
async def make_party(provider: Provider) -> RelyingParty:
    """A client that registered itself and said nothing but its addresses."""
    return await register(provider)


@pytest.fixture(name="cookies")
async def make_cookies(provider: Provider) -> dict[str, str]:
    """The session of somebody who signed in, and who told an e-mail address and a postal one."""
    return await provider.open_session(await provider.add_person(email=EMAIL, address=ADDRESS))


async def entitle(provider: Provider, party: RelyingParty) -> RelyingParty:
    """Give a client what only the operator gives: an entitlement."""
    services = provider.services
    client = await services.directory.find(party.client_id)
    assert client is not None
    async with services.platform.database.transaction() as tx:
        await services.clients.replace(tx, replace(client, entitlements=(NAMED,)), actor="test")
    services.directory.forget(party.client_id)
    return party


async def test_oidcc_server(provider: Provider, party: RelyingParty) -> None:
    person = await provider.add_person()
    web = Web(provider)
    query = f"client_id={party.client_id}&redirect_uri={REDIRECT_URI}&response_type=code&scope=openid&state=s&nonce=n"
    await web.sign_in(person, f"/authorize?{query}")
    assert web.left_to is not None
    landed = dict(pair.split("=", 1) for pair in urlsplit(web.left_to).query.split("&"))
    assert landed["state"] == "s"
    assert landed.keys() == {"code", "state", "iss"}
    tokens = check_token_answer(await party.redeem(landed["code"]))
    claims = await party.read_id_token(tokens["id_token"])
    assert claims["nonce"] == "n"
    userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
    assert userinfo["sub"] == claims["sub"]


async def test_oidcc_response_type_missing(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = (await party.authorize(cookies, response_type=None)).parameters
    check_error(told, "state-1", "invalid_request", "unsupported_response_type")


async def test_oidcc_idtoken_signature(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert party.metadata["id_token_signed_response_alg"] == "RS256", "nothing was registered"
    header, _ = await party.decode_id_token((await party.get_tokens(cookies))["id_token"])
    assert header["alg"] == "RS256"
    keys = (await party.provider.browser.get("/jwks.json")).json()["keys"]
    assert [key["kty"] for key in keys if key["kid"] == header["kid"]] == ["RSA"]
    assert all(not {"d", "p", "q", "k"} & key.keys() for key in keys)


async def reuse(party: RelyingParty, cookies: dict[str, str], seconds: int) -> None:
    code = (await party.authorize(cookies)).code
    first = (await party.redeem(code)).json()
    assert (await party.provider.read_userinfo(first["access_token"])).status_code == 200
    party.provider.clock.advance(seconds)
    second = await party.redeem(code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert (await party.provider.read_userinfo(first["access_token"])).status_code == 401, "what the code gave is void"


async def test_oidcc_codereuse(party: RelyingParty, cookies: dict[str, str]) -> None:
    await reuse(party, cookies, 0)


async def test_oidcc_codereuse_30seconds(party: RelyingParty, cookies: dict[str, str]) -> None:
    await reuse(party, cookies, 30)


async def read_scope(provider: Provider, party: RelyingParty, cookies: dict[str, str], scope: str) -> Mapping[str, Any]:
    tokens = await (await entitle(provider, party)).get_tokens(cookies, scope=scope)
    answer = await provider.read_userinfo(tokens["access_token"])
    assert answer.status_code == 200
    id_token = await party.read_id_token(tokens["id_token"])
    told: dict[str, Any] = answer.json()
    assert told["sub"] == id_token["sub"]
    assert not {*PERSONAL} & id_token.keys(), "data travel by UserInfo"
    return told


async def test_oidcc_scope_profile(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "openid profile")
    assert {"name", "gender", "birthdate", "locale", "updated_at"} <= told.keys()
    assert isinstance(told["updated_at"], int)
    assert "phone_number" not in told


async def test_oidcc_scope_phone(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "openid phone")
    assert told["phone_number"]
    assert told["phone_number_verified"] is True
    assert "name" not in told


async def test_oidcc_scope_email(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "openid email")
    assert told.keys() == {"sub", "email", "email_verified"}
    assert told["email"] == EMAIL.value
    assert told["email_verified"] is False, "nobody verifies it"


async def test_oidcc_scope_address(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "openid address")
    assert told.keys() == {"sub", "address"}
    members = {"formatted", "street_address", "locality", "region", "postal_code", "country"}
    assert told["address"].keys() == members
    assert all(isinstance(text, str) and text for text in told["address"].values())
    assert told["address"]["region"] == ADDRESS.province


async def test_oidcc_scope_all(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "openid profile email address phone")
    assert {"sub", "locale", "updated_at", *PERSONAL} == told.keys()
    turned = await read_scope(provider, party, cookies, "phone address email profile openid")
    assert turned == told, "the order of scopes does not matter"


async def test_oidcc_ensure_other_scope_order_succeeds(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    told = await read_scope(provider, party, cookies, "email openid")
    assert told.keys() == {"sub", "email", "email_verified"}


async def test_oidcc_claims_essential(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    await entitle(provider, party)
    tokens = await party.get_tokens(cookies, claims='{"userinfo":{"name":{"essential":true}}}')
    assert (await provider.read_userinfo(tokens["access_token"])).json()["name"]


async def test_oidcc_claims_locales(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, claims_locales="se")).code


async def test_oidcc_display_page(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, display="page")).code


async def test_oidcc_display_popup(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, display="popup")).code


async def test_oidcc_ui_locales(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, ui_locales="se")).code
    assert (await party.authorize(cookies, ui_locales="fr-CA fr en")).code


async def test_oidcc_login_hint(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, login_hint="bob@example.com")).code


async def test_oidcc_ensure_request_with_acr_values_succeeds(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, acr_values="1 2")).code
    announced = (await provider.browser.get("/.well-known/openid-configuration")).json()["acr_values_supported"]
    tokens = await party.get_tokens(cookies, acr_values=" ".join(announced))
    assert (await party.read_id_token(tokens["id_token"]))["acr"] in announced
    tokens = await party.get_tokens(cookies, acr_values="urn:yizheng:acr:substantial")
    assert (await party.read_id_token(tokens["id_token"]))["acr"] == "urn:yizheng:acr:substantial"


async def test_oidcc_ensure_request_with_unknown_parameter_succeeds(party: RelyingParty, cookies: dict[str, str]) -> None:
    assert (await party.authorize(cookies, extra="foobar")).code


async def test_oidcc_ensure_request_with_valid_pkce_succeeds(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    landing = await provider.authorize(party.client_id, cookies)
    provider.secrets[party.client_id] = party.metadata["client_secret"]
    assert (await provider.redeem(party.client_id, landing)).status_code == 200
    wrong = await provider.authorize(party.client_id, cookies)
    assert (await provider.redeem(party.client_id, wrong, code_verifier="x" * 43)).json()["error"] == "invalid_grant"
    missing = await provider.authorize(party.client_id, cookies)
    assert (await party.redeem(missing.code)).json()["error"] == "invalid_grant"


async def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(party: RelyingParty, cookies: dict[str, str]) -> None:
    claims = await party.read_id_token((await party.get_tokens(cookies, nonce=None))["id_token"])
    assert "nonce" not in claims
    nonce = "x" * 512 + ' "&=<'
    assert (await party.read_id_token((await party.get_tokens(cookies, nonce=nonce))["id_token"]))["nonce"] == nonce


async def test_oidcc_userinfo_get(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    token = (await party.get_tokens(cookies))["access_token"]
    answer = await provider.browser.get("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_oidcc_userinfo_post_header(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    token = (await party.get_tokens(cookies))["access_token"]
    answer = await provider.browser.post("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.json()["sub"]
    for method in ("PUT", "DELETE", "PATCH"):
        other = await provider.browser.request(method, "/userinfo", headers={"authorization": f"Bearer {token}"})
        assert (other.status_code, other.headers["allow"]) == (405, "GET, POST, HEAD")


async def test_oidcc_userinfo_post_body(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    token = (await party.get_tokens(cookies))["access_token"]
    assert (await provider.browser.post("/userinfo", data={"access_token": token})).json()["sub"]
    assert (await provider.browser.post(f"/userinfo?access_token={token}")).status_code == 401, "never in an address"


async def test_oidcc_alternate_happy_flow(provider: Provider, cookies: dict[str, str]) -> None:
    party = await entitle(provider, await register(provider))
    asked = {"response_type": "code", "scope": "email openid", "redirect_uri": REDIRECT_URI, "nonce": "n", "state": "s"}
    query = urlencode(dict(reversed([("client_id", party.client_id), *asked.items()])))
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    landing = Landing(await provider.browser.get(f"/authorize?{query}", headers=header), "")
    tokens = check_token_answer(await party.redeem(landing.code))
    assert not {*PERSONAL} & (await party.read_id_token(tokens["id_token"])).keys()
    told = (await provider.read_userinfo(tokens["access_token"])).json()
    assert told.keys() == {"sub", "email", "email_verified"}, "neither order matters, and nobody asked for a name"


async def test_the_second_client_of_the_modules_has_a_query_in_its_address(provider: Provider, cookies: dict[str, str]) -> None:
    other = REDIRECT_URI + "?dummy1=lorem&dummy2=ipsum"
    party = await register(provider, redirect_uris=[REDIRECT_URI, other])
    landing = await party.authorize(cookies, redirect_uri=other)
    assert landing.location.startswith(other + "&")
    assert (await party.redeem(landing.code, other)).status_code == 200


async def test_oidcc_id_token_hint(party: RelyingParty, cookies: dict[str, str]) -> None:
    hint = (await party.get_tokens(cookies))["id_token"]
    again = await party.get_tokens(cookies, id_token_hint=hint, prompt="none")
    first, second = await party.read_id_token(hint), await party.read_id_token(again["id_token"])
    assert first["sub"] == second["sub"]
    other = await party.provider.open_session(await party.provider.add_person())
    assert (await party.authorize(other, id_token_hint=hint, prompt="none")).parameters["error"] == "login_required"


async def sign_in_again(party: RelyingParty, **changes: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sign a person in, ask again five seconds later, answer what is asked; return the claims of both ID Tokens."""
    provider = party.provider
    person = await provider.add_person()
    web = Web(provider)
    query = f"client_id={party.client_id}&redirect_uri={REDIRECT_URI}&response_type=code&scope=openid&state=s"
    told = []
    for further in ("", "".join(f"&{name}={value}" for name, value in changes.items())):
        page = await web.get(f"/authorize?{query}{further}")
        if page.status_code == 200:
            assert 'name="password"' in page.text, "the person proves it anew"
            await web.sign_in(person, f"/authorize?{query}{further}")
        assert web.left_to is not None
        code = dict(pair.split("=", 1) for pair in urlsplit(web.left_to).query.split("&"))["code"]
        told.append(await party.read_id_token((await party.redeem(code)).json()["id_token"]))
        provider.clock.advance(5)
    first, second = told
    assert first["sub"] == second["sub"]
    return first, second


async def test_oidcc_prompt_login(party: RelyingParty) -> None:
    first, second = await sign_in_again(party, prompt="login")
    assert second["auth_time"] > first["auth_time"]


async def test_oidcc_max_age_1(party: RelyingParty) -> None:
    first, second = await sign_in_again(party, max_age="1")
    assert second["auth_time"] > first["auth_time"]


async def test_oidcc_max_age_10000(party: RelyingParty, cookies: dict[str, str]) -> None:
    first = await party.read_id_token((await party.get_tokens(cookies, max_age="15000"))["id_token"])
    party.provider.clock.advance(5)
    second = await party.read_id_token((await party.get_tokens(cookies, max_age="10000"))["id_token"])
    assert (first["sub"], first["auth_time"]) == (second["sub"], second["auth_time"])


async def test_oidcc_prompt_none_logged_in(party: RelyingParty, cookies: dict[str, str]) -> None:
    first = await party.read_id_token((await party.get_tokens(cookies))["id_token"])
    party.provider.clock.advance(2)
    second = await party.read_id_token((await party.get_tokens(cookies, prompt="none"))["id_token"])
    assert (first["sub"], first["auth_time"]) == (second["sub"], second["auth_time"])


async def test_oidcc_prompt_none_not_logged_in(party: RelyingParty) -> None:
    state = "s" * 128
    check_error((await party.authorize(prompt="none", state=state)).parameters, state, "login_required")


async def test_oidcc_ensure_post_request_succeeds(provider: Provider, party: RelyingParty, cookies: dict[str, str]) -> None:
    form = {"client_id": party.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid", "state": "s"}
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    answer = await provider.browser.post("/authorize", data=form, headers=header)
    assert answer.status_code == 303
    assert "code=" in answer.headers["location"]
    crossed = await provider.browser.post("/authorize", data=form, headers={"sec-fetch-site": "cross-site"})
    assert crossed.headers["location"].startswith("/authorize?"), "a page of another site posts without our cookies: they come with a GET"
    answer = await provider.browser.get(crossed.headers["location"], headers=header)
    assert "code=" in answer.headers["location"]


async def test_oidcc_ensure_registered_redirect_uri(party: RelyingParty, cookies: dict[str, str]) -> None:
    page = (await party.authorize(cookies, redirect_uri=REDIRECT_URI + "/other")).response
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "location" not in page.headers
    assert find_code(page) == "bad_redirect_uri"


async def test_oidcc_refresh_token(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider, grant_types=["authorization_code", "refresh_token"])
    other = await register(provider, grant_types=["authorization_code", "refresh_token"])
    # The modules ask for offline_access where it is announced, with prompt=consent, and refresh with the scope that they asked for.
    tokens = await party.get_tokens(cookies, scope="openid offline_access", prompt="consent")
    stolen = await other.refresh(tokens["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant"), "bound to its client"
    provider.clock.advance(1)
    fresh = check_token_answer(await party.refresh(tokens["refresh_token"], scope="openid offline_access"))
    assert fresh["access_token"] != tokens["access_token"]
    assert (await provider.read_userinfo(fresh["access_token"])).status_code == 200
    before, after = await party.read_id_token(tokens["id_token"]), await party.read_id_token(fresh["id_token"])
    assert [before[claim] for claim in ("iss", "sub", "aud", "auth_time")] == [after[claim] for claim in ("iss", "sub", "aud", "auth_time")]
    assert after["iat"] > before["iat"]


async def test_oidcc_server_client_secret_post(provider: Provider, cookies: dict[str, str]) -> None:
    party = await register(provider, token_endpoint_auth_method="client_secret_post")
    assert (await party.get_tokens(cookies))["id_token"]


async def test_oidcc_idtoken_unsigned(provider: Provider) -> None:
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    document = {"redirect_uris": [REDIRECT_URI], "id_token_signed_response_alg": "none"}
    answer = await provider.browser.post("/connect/register", json=document)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def write_unsigned(claims: str) -> str:
    return ".".join([*(encode_base64url(part.encode()) for part in ('{"alg":"none"}', claims)), ""])


async def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    party: RelyingParty, cookies: dict[str, str]
) -> None:
    told = (await party.authorize(cookies, request=write_unsigned('{"state":"inside"}'))).parameters
    assert told["error"] == "request_not_supported"
    assert "code" not in told


async def test_oidcc_ensure_request_object_with_redirect_uri(party: RelyingParty, cookies: dict[str, str]) -> None:
    evil = write_unsigned('{"redirect_uri":"https://evil.example/"}')
    told = (await party.authorize(cookies, request=evil)).parameters
    assert told["error"] == "request_not_supported"


async def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    party: RelyingParty, cookies: dict[str, str]
) -> None:
    told = (await party.authorize(cookies, request_uri="https://department.example/request.jwt")).parameters
    assert told["error"] in ("request_uri_not_supported", "invalid_request_uri")
    assert "code" not in told


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("claims", '{"a":"\\x"}', "invalid_request"),
        ("claims", '{"a":"\\ud800"}', "invalid_request"),
        ("claims", '{"id_token":{"a\\"b":5}}', "invalid_request"),
        ("claims", '{"userinfo":{"姓名":{"values":"x"}}}', "invalid_request"),
        ("authorization_details", '[{"type":"\\x"}]', "invalid_authorization_details"),
        ("authorization_details", '[{"type":"a\\"b"}]', "invalid_authorization_details"),
        ("response_mode", 'a"b', "invalid_request"),
        ("prompt", '"', "invalid_request"),
        ("resource", '"', "invalid_target"),
        ("request", 'a."\\.b', "invalid_request_object"),
    ],
    ids=lambda value: str(len(value)) if not value.isidentifier() else value,
)
async def test_whatever_is_wrong_is_said_in_characters_that_an_answer_may_have(
    party: RelyingParty, cookies: dict[str, str], name: str, value: str, error: str
) -> None:
    check_error((await party.authorize(cookies, **{name: value})).parameters, "state-1", error)
