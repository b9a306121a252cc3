"""Claims that are asked for by name, and how they were verified: never more than an entitlement and a consent allow."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from idp.kernel.checks import CheckKind
from idp.kernel.ids import make_uuid7
from idp.kernel.levels import Acr
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.postal_address import PostalAddress
from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.client_metadata import ClientKeys, RequestDemands, ResponseProtection, TokenFormat
from tests.protocol.endpoints.test_pushed_requests import make_request
from tests.support.client_keys import decode_with, make_client_key, write_key_set
from tests.support.provider import BACK, ISSUER, Provider, Somebody
from tests.support.web import Web

DUTY = Entitlement("登记", Basis.STATUTORY_DUTY, ("name", "id_document", "birthdate"))
CONSENT = Entitlement("通知", Basis.CONSENT, ("phone_number",))
ADD_EVIDENCE = """
    INSERT INTO proofing_evidence (id, request_id, case_id, person_id, kind, input_mac, key_id, result, source, source_reference,
                                   source_signature, purpose, consent_ref, operator, at)
    VALUES ($1, $2, $1, $3, $4, '\\x00', 'k', $5, 'sample', '', '', '', '', NULL, $6)
"""


async def decode(provider: Provider, text: str) -> dict[str, Any]:
    """Verify a JWT of the provider by its published keys."""
    return decode_with((await provider.browser.get("/jwks.json")).json(), text, ["ES256", "RS256"])


async def ask(
    provider: Provider, client: str, person: Somebody, claims: dict[str, Any], **changes: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ID Token and UserInfo of a flow with this claims request."""
    cookies = await provider.open_session(person)
    tokens = await provider.get_tokens(client, cookies, claims=json.dumps(claims), **changes)
    userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
    return await decode(provider, tokens["id_token"]), userinfo


async def add_checks(provider: Provider, person: Somebody, *kinds: CheckKind, result: str = "match", days: float = 30) -> None:
    """Write evidence of checks that authorities answered."""
    for kind in kinds:
        row = make_uuid7(provider.clock, provider.services.platform.random)
        await provider.execute(ADD_EVIDENCE, row, f"{row}", person.person_id, kind.value, result, provider.now() - timedelta(days=days))


async def test_an_essential_name_comes_from_userinfo(provider: Provider) -> None:
    # conformance: oidcc-claims-essential
    await provider.add_client("essential", entitlements=(DUTY,))
    person = await provider.add_person()
    id_token, userinfo = await ask(provider, "essential", person, {"userinfo": {"name": {"essential": True}}})
    assert userinfo == {"sub": id_token["sub"], "name": person.name}
    (event,) = [e for e in await provider.read_events("claims_released") if e["client_id"] == "essential"]
    assert json.loads(event["details"])["claims"] == "name"


async def test_nothing_is_had_by_asking_that_no_entitlement_lists(provider: Provider) -> None:
    await provider.add_client("greedy", entitlements=(DUTY,), scopes=("profile", "identity"))
    claims = {"phone_number": {"essential": True}, "gender": None, "ial": None, "email": None, "id_document": None}
    _, userinfo = await ask(provider, "greedy", await provider.add_person(), {"userinfo": claims})
    assert set(userinfo) == {"sub", "id_document"}, "phone and ial belong to scopes of which this client has none"


OWN = Entitlement("邮寄证照", Basis.CONSENT, ("email", "email_verified", "address"), purpose_en="Posting certificates")
EMAIL = EmailAddress("sample@example.com")
ADDRESS = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")


async def test_email_and_address_are_released_after_consent_and_the_person_finds_it_in_the_history(provider: Provider) -> None:
    await provider.add_client("posting", scopes=("email", "address"), entitlements=(OWN,))
    person = await provider.add_person(email=EMAIL, address=ADDRESS)
    cookies = await provider.open_session(person)
    web = Web(provider)
    web.client.cookies.update(cookies)
    query = urlencode({**make_request(scope="openid email address"), "client_id": "posting"})
    page = await web.get(f"/authorize?{query}")
    for word in ("电子邮箱", "电子邮箱是否已验证", "通讯地址", "邮寄证照"):
        assert word in page.text
    assert "sample@" not in page.text
    await web.submit("/consent", decision="allow")
    tokens = await provider.get_tokens("posting", cookies, scope="openid email address")
    userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
    assert userinfo.keys() == {"sub", "email", "email_verified", "address"}
    assert (userinfo["email"], userinfo["email_verified"]) == (EMAIL.value, False)
    id_token = await decode(provider, tokens["id_token"])
    assert not {"email", "email_verified", "address"} & id_token.keys()
    (event,) = [e for e in await provider.read_events("claims_released") if e["client_id"] == "posting"]
    told = json.loads(event["details"])
    assert (told["claims"], told["purposes"], told["bases"]) == ("email email_verified address", "邮寄证照", "consent")
    history = (await web.get("/account/releases")).text
    assert "通讯地址" in history
    assert EMAIL.value not in history


async def test_what_a_person_did_not_tell_is_absent_and_nothing_comes_without_an_entitlement(provider: Provider) -> None:
    duty = replace(OWN, basis=Basis.STATUTORY_DUTY)
    await provider.add_client("entitled", scopes=("email", "address"), entitlements=(duty,))
    await provider.add_client("unentitled", scopes=("email", "address"))
    silent, told = await provider.add_person(), await provider.add_person(email=EMAIL, address=ADDRESS)
    for client, person in (("entitled", silent), ("unentitled", told)):
        claims = {"userinfo": {"email": {"essential": True}, "address": None}}
        _, userinfo = await ask(provider, client, person, claims, scope="openid email address")
        assert userinfo.keys() == {"sub"}


async def test_email_and_address_by_name_alone_and_never_verified_nor_in_a_plain_id_token(provider: Provider) -> None:
    duty = replace(OWN, basis=Basis.STATUTORY_DUTY)
    await provider.add_client("by-name", scopes=("email", "address"), entitlements=(duty,))
    person = await provider.add_person(email=EMAIL, address=ADDRESS)
    await add_checks(provider, person, CheckKind.IDENTITY, CheckKind.PHONE)
    verified = {"verification": {"trust_framework": None}, "claims": {"email": None, "address": None}}
    claims = {
        "userinfo": {"email": None, "address": {"essential": True}, "email_verified": {"value": True}, "verified_claims": verified},
        "id_token": {"email": {"essential": True}, "address": None},
    }
    id_token, userinfo = await ask(provider, "by-name", person, claims)
    assert userinfo.keys() == {"sub", "email", "email_verified", "address"}
    assert userinfo["email_verified"] is False, "no verified e-mail address was to be had, and that is said"
    assert not {"email", "address"} & id_token.keys()


async def test_an_access_token_that_others_read_says_neither(provider: Provider) -> None:
    duty, api = replace(OWN, basis=Basis.STATUTORY_DUTY), "https://posting.example/api"
    machine = {"grant_types": frozenset({"client_credentials"}), "redirect_uris": ()}
    await provider.add_client("posting-api", **machine, resources=(api,), access_token_format=TokenFormat.JWT)
    allowed = RequestDemands(allowed_resources=(api,))
    await provider.add_client("carrying", scopes=("email", "address"), entitlements=(duty,), requests=allowed)
    cookies = await provider.open_session(await provider.add_person(email=EMAIL, address=ADDRESS))
    tokens = await provider.get_tokens("carrying", cookies, scope="openid email address", resource=api)
    token = await decode(provider, tokens["access_token"])
    assert token["scope"].split() == ["openid", "email", "address"]
    assert not {"email", "email_verified", "address"} & token.keys()
    assert EMAIL.value not in json.dumps(token)


async def test_a_plain_id_token_names_nobody(provider: Provider) -> None:
    await provider.add_client("plain", entitlements=(DUTY,))
    claims = {"id_token": {"name": {"essential": True}, "id_document": None, "ial": None, "auth_time": {"essential": True}}}
    id_token, _ = await ask(provider, "plain", await provider.add_person(), claims)
    assert id_token["ial"] == 3
    assert id_token["auth_time"]
    assert not {"name", "id_document"} & id_token.keys()


@pytest.mark.parametrize("algorithm", ["RSA-OAEP-256", "ECDH-ES"])
async def test_an_encrypted_id_token_may_name_the_person(provider: Provider, algorithm: str) -> None:
    key, client = make_client_key(algorithm), f"nested-{algorithm.lower()}"
    await provider.add_client(
        client,
        entitlements=(DUTY,),
        keys=ClientKeys(jwks=write_key_set(key)),
        responses=ResponseProtection(
            id_token_encrypted_response_alg=algorithm,
            id_token_encrypted_response_enc="A256GCM",
            userinfo_signed_response_alg="ES256",
            userinfo_encrypted_response_alg=algorithm,
        ),
    )
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    claims = json.dumps({"id_token": {"id_document": None, "name": {"value": "somebody else"}}, "userinfo": {"name": None}})
    tokens = await provider.get_tokens(client, cookies, claims=claims)
    assert tokens["id_token"].count(".") == 4
    id_token = await decode(provider, key.open(tokens["id_token"]))
    assert id_token["id_document"] == {"type": "resident_id", "number": person.document}
    assert "name" not in id_token, "what was asked for with another value is left out"
    response = await provider.read_userinfo(tokens["access_token"])
    assert response.headers["content-type"] == "application/jwt"
    userinfo = await decode(provider, key.open(response.text))
    assert (userinfo["iss"], userinfo["aud"], userinfo["name"]) == (ISSUER, client, person.name)


async def test_signed_userinfo_is_no_hint(provider: Provider) -> None:
    client = await provider.add_client("hinting", responses=ResponseProtection(userinfo_signed_response_alg="ES256"), entitlements=(DUTY,))
    cookies = await provider.open_session(await provider.add_person())
    wanted = {name: {"essential": True} for name in ("auth_time", "acr", "exp", "sid", "name")}
    tokens = await provider.get_tokens(client, cookies, scope="openid profile", claims=json.dumps({"userinfo": wanted}))
    userinfo = (await provider.read_userinfo(tokens["access_token"])).text
    assert (await decode(provider, userinfo))["aud"] == client
    refused = await provider.authorize(client, cookies, id_token_hint=userinfo, prompt="none")
    assert refused.parameters["error"] == "invalid_request"
    web = Web(provider)
    web.client.cookies.update(cookies)
    page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": userinfo, "post_logout_redirect_uri": BACK}))
    assert page.status_code == 200, "the person is asked"
    assert "code" in (await provider.authorize(client, cookies, id_token_hint=tokens["id_token"], prompt="none")).parameters


async def test_a_client_without_a_key_gets_nothing_in_clear(provider: Provider) -> None:
    await provider.add_client(
        "keyless",
        entitlements=(DUTY,),
        keys=ClientKeys(jwks=write_key_set(make_client_key("ES256"))),
        responses=ResponseProtection(userinfo_encrypted_response_alg="RSA-OAEP-256"),
    )
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("keyless", cookies, scope="openid profile")
    response = await provider.read_userinfo(tokens["access_token"])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_consent_is_asked_for_what_is_named(provider: Provider) -> None:
    await provider.add_client("named-consent", entitlements=(CONSENT,))
    cookies = await provider.open_session(await provider.add_person())
    verified = {"verification": {"trust_framework": None}, "claims": {"phone_number": None}}
    claims = json.dumps({"userinfo": {"phone_number": None, "verified_claims": verified}})
    silent = await provider.authorize("named-consent", cookies, claims=claims, prompt="none")
    assert silent.parameters["error"] == "consent_required"
    assert (await provider.authorize("named-consent", cookies, prompt="none")).code, "without it there is nothing to ask"
    web = Web(provider)
    query = {**make_request(), "client_id": "named-consent", "claims": claims}
    page = await web.sign_in(await provider.add_person(), "/authorize?" + urlencode(query))
    assert "手机号" in page.text
    assert "哪一天核验" in page.text
    await web.submit("/consent", decision="allow")
    assert "code=" in (web.left_to or "")


@pytest.mark.parametrize(("decision", "told"), [("allow", {"phone_number", "verified_claims"}), ("deny", {"phone_number"})])
async def test_whoever_agreed_to_a_claim_is_asked_before_it_is_told_how_it_was_verified(
    provider: Provider, decision: str, told: set[str]
) -> None:
    client = await provider.add_client(f"verified-later-{decision}", entitlements=(CONSENT,))
    person = await provider.add_person()
    await add_checks(provider, person, CheckKind.IDENTITY, CheckKind.PHONE)
    cookies = await provider.open_session(person)
    web = Web(provider)
    web.client.cookies.update(cookies)
    plain = json.dumps({"userinfo": {"phone_number": None}})
    verified = {"verification": {"trust_framework": None, "evidence": None}, "claims": {"phone_number": None}}
    both = json.dumps({"userinfo": {"phone_number": None, "verified_claims": verified}})
    page = await web.get("/authorize?" + urlencode({**make_request(), "client_id": client, "claims": plain}))
    assert "核验" not in page.text
    await web.submit("/consent", decision="allow")
    assert (await provider.authorize(client, cookies, claims=both, prompt="none")).parameters["error"] == "consent_required"
    page = await web.get("/authorize?" + urlencode({**make_request(), "client_id": client, "claims": both}))
    assert "哪一天核验" in page.text
    await web.submit("/consent", decision=decision)
    (row,) = await provider.services.platform.database.fetch("SELECT claims FROM consents WHERE client_id = $1", client)
    assert set(row["claims"].split()) == told
    tokens = await provider.get_tokens(client, cookies, claims=plain if decision == "deny" else both)
    assert set((await provider.read_userinfo(tokens["access_token"])).json()) == {"sub", *told}
    history = (await web.get("/account/releases")).text
    assert ("由谁、在哪一天核验" in history) is (decision == "allow")
    await provider.execute("UPDATE consents SET claims = 'phone_number' WHERE client_id = $1", client)
    assert "verified_claims" not in (await provider.read_userinfo(tokens["access_token"])).json(), "computed anew at each release"


async def test_verified_claims_tell_who_checked_and_when(provider: Provider) -> None:
    await provider.add_client("verified", entitlements=(DUTY,))
    person = await provider.add_person()
    await add_checks(provider, person, CheckKind.IDENTITY, CheckKind.PHONE, CheckKind.BANK_CARD)
    await add_checks(provider, person, CheckKind.HOUSING_FUND_ACCOUNT, result="mismatch")
    verification = {
        "trust_framework": None,
        "assurance_level": None,
        "time": {"max_age": 86_400 * 60},
        "evidence": [{"type": None, "record": {"type": None}}],
    }
    wanted = {"verification": verification, "claims": {"name": None, "birthdate": None, "phone_number": None}}
    _, userinfo = await ask(provider, "verified", person, {"userinfo": {"verified_claims": wanted}})
    verified = userinfo["verified_claims"]
    assert verified["claims"] == {"name": person.name, "birthdate": "1990-03-07"}, "the phone is of no entitlement"
    assert verified["verification"]["assurance_level"] == "urn:yizheng:ial:3"
    assert [e["record"]["type"] for e in verified["verification"]["evidence"]] == [
        "bank_account",
        "population_register",
        "phone_account",
    ]
    assert person.document not in json.dumps(userinfo)
    (event,) = [e for e in await provider.read_events("claims_released") if e["client_id"] == "verified"]
    assert json.loads(event["details"])["claims"] == "verified_claims name birthdate"


@pytest.mark.parametrize(
    "verification",
    [{"trust_framework": {"value": "eidas"}}, {"trust_framework": None, "time": {"max_age": 3_600}}],
)
async def test_a_demand_that_does_not_hold_is_answered_by_nothing(provider: Provider, verification: dict[str, Any]) -> None:
    if "unverified" not in provider.secrets:
        await provider.add_client("unverified", entitlements=(DUTY,))
    person = await provider.add_person()
    await add_checks(provider, person, CheckKind.IDENTITY)
    _, userinfo = await ask(
        provider, "unverified", person, {"userinfo": {"verified_claims": {"verification": verification, "claims": {"name": None}}}}
    )
    assert set(userinfo) == {"sub"}


async def test_whoever_was_never_checked_is_not_said_to_be_verified(provider: Provider) -> None:
    await provider.add_client("unchecked", entitlements=(DUTY,))
    wanted = {"verification": {"trust_framework": None}, "claims": {"name": None}}
    _, userinfo = await ask(provider, "unchecked", await provider.add_person(), {"userinfo": {"verified_claims": wanted}})
    assert set(userinfo) == {"sub"}


async def test_withdrawal_holds_for_what_is_named_too(provider: Provider) -> None:
    await provider.add_client("withdrawn", entitlements=(CONSENT,))
    person = await provider.add_person()
    await provider.execute(
        "INSERT INTO consents (person_id, client_id, purpose, version, claims, given_at) "
        "VALUES ($1, 'withdrawn', '通知', 1, 'phone_number', $2)",
        person.person_id,
        provider.now(),
    )
    cookies = await provider.open_session(person)
    tokens = await provider.get_tokens("withdrawn", cookies, claims='{"userinfo":{"phone_number":null}}')
    assert "phone_number" in (await provider.read_userinfo(tokens["access_token"])).json()
    await provider.execute("UPDATE consents SET withdrawn_at = $2 WHERE person_id = $1", person.person_id, provider.now())
    assert set((await provider.read_userinfo(tokens["access_token"])).json()) == {"sub"}


@pytest.mark.parametrize("claims", ["{", "[]", '{"userinfo":{"name":null,"name":null}}', '{"userinfo":' * 20 + "1" + "}" * 20])
async def test_what_cannot_be_read_is_told_and_changes_nothing(provider: Provider, claims: str) -> None:
    if "unreadable" not in provider.secrets:
        await provider.add_client("unreadable")
    cookies = await provider.open_session(await provider.add_person())
    assert (await provider.authorize("unreadable", cookies, claims=claims)).parameters["error"] == "invalid_request"
    assert (await provider.authorize("unreadable", cookies, claims='{"x":"' + "y" * 9_000 + '"}')).response.status_code == 400


async def test_the_subject_that_is_demanded_is_the_only_one(provider: Provider) -> None:
    await provider.add_client("demanded")
    person, other = await provider.add_person(), await provider.add_person()
    tokens = await provider.get_tokens("demanded", await provider.open_session(person))
    sub = (await decode(provider, tokens["id_token"]))["sub"]
    claims = json.dumps({"id_token": {"sub": {"value": sub}}})
    again = await provider.authorize("demanded", await provider.open_session(person), claims=claims, prompt="none")
    assert again.code
    somebody = await provider.authorize("demanded", await provider.open_session(other), claims=claims, prompt="none")
    assert somebody.parameters["error"] == "login_required"


async def test_a_level_that_is_essential_and_unknown_is_told(provider: Provider) -> None:
    await provider.add_client("essential-acr")
    cookies = await provider.open_session(await provider.add_person())
    for values, outcome in ((["silver"], "error"), (["silver", Acr.LOW.value], "code")):
        claims = json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})
        landing = await provider.authorize("essential-acr", cookies, claims=claims)
        assert outcome in landing.parameters


async def test_display_and_locales_are_no_error(provider: Provider) -> None:
    # conformance: oidcc-display-page, oidcc-display-popup, oidcc-ui-locales, oidcc-claims-locales
    await provider.add_client("harmless")
    cookies = await provider.open_session(await provider.add_person())
    for changes in (
        {"display": "page"},
        {"display": "popup"},
        {"display": "wap"},
        {"ui_locales": "se fr"},
        {"claims_locales": "se"},
        {"login_hint": "somebody@example.com"},
        {"acr_values": "1 2"},
        {"extra": "foobar"},
    ):
        assert (await provider.authorize("harmless", cookies, **changes)).code, changes


async def test_a_refresh_for_less_gets_by_name_nothing_of_the_scopes_that_it_gave_up(provider: Provider) -> None:
    client = await provider.add_client("narrowing", grant_types=("authorization_code", "refresh_token"), entitlements=(DUTY,))
    cookies = await provider.open_session(await provider.add_person())
    asked = {"name": None, "id_document": None, "ial": None}
    claims = json.dumps({"userinfo": asked, "id_token": {"locale": None, "ial": None}})
    tokens = await provider.get_tokens(client, cookies, scope="openid profile identity", claims=claims)
    assert asked.keys() <= (await provider.read_userinfo(tokens["access_token"])).json().keys()
    assert {"locale", "ial"} <= (await decode(provider, tokens["id_token"])).keys()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": "openid"}
    less = (await provider.post("/token", form, client)).json()
    assert (await provider.read_userinfo(less["access_token"])).json().keys() == {"sub", "ial"}
    id_token = await decode(provider, less["id_token"])
    assert "ial" in id_token
    assert "locale" not in id_token
    again = (await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": less["refresh_token"]}, client)).json()
    assert asked.keys() <= (await provider.read_userinfo(again["access_token"])).json().keys(), "the grant stays what it was"
