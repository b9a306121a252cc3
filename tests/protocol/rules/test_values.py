"""PKCE, scopes, claims, grants, token requests, sign-out, addresses and metadata."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import Factor, Proved
from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.algorithms import CONTENT_ENCRYPTION
from idp.protocol.rules.authorization_request import PROMPTS, RESPONSE_MODES
from idp.protocol.rules.claims import ClaimValue, find_allowed, list_amr, list_releases, list_unasked, select_claims
from idp.protocol.rules.claims_request import ClaimAsk
from idp.protocol.rules.client import Basis, Entitlement, GrantType
from idp.protocol.rules.grant import Grant, Ineffective, Repeat, Reused, Rotate, decide_refresh, is_effective
from idp.protocol.rules.metadata import PATHS, REGISTRATION_PATH, describe_provider
from idp.protocol.rules.pkce import is_challenge, proves
from idp.protocol.rules.response_url import build_response_url
from idp.protocol.rules.scopes import SCOPES, choose_client_scope, choose_scope, list_claims
from idp.protocol.rules.session_state import PATH as CHECK_SESSION_PATH
from idp.protocol.rules.sign_out_request import AskFirst, EndAtOnce, decide_sign_out, may_use_hint
from idp.protocol.rules.token_request import (
    RedeemCode,
    Refresh,
    UseOwnCredentials,
    find_grant_type,
    narrow_scope,
    read_own_credentials,
    read_redemption,
    read_refresh,
)
from tests.support.protocol_samples import CHALLENGE, CLIENT, NOW, VERIFIER, make_client


def test_pkce_of_rfc_7636_appendix_b() -> None:
    assert proves(VERIFIER, CHALLENGE)
    assert not proves(VERIFIER[:-1] + "Y", CHALLENGE)
    assert not proves(None, CHALLENGE)
    assert not proves(VERIFIER, None)
    assert proves(None, None)
    assert not proves("short", CHALLENGE)
    assert not proves("a" * 129, CHALLENGE)


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n"])
def test_a_challenge_is_43_base64url_characters(text: str) -> None:
    assert is_challenge(CHALLENGE)
    assert not is_challenge(text)


def test_scope_order_is_the_tables() -> None:
    assert choose_scope(["profile", "openid", "x"], ["openid", "profile", "phone"]) == ("openid", "profile")
    assert list_claims(["openid", "identity", "profile"]).count("name") == 1


def test_a_client_gets_its_own_scopes_and_is_offline_only_where_it_may_refresh() -> None:
    asked, scopes = frozenset({"openid", "offline_access", "phone", "unheard_of"}), ("profile", "offline_access")
    keeps = make_client(scopes=scopes, grant_types=frozenset({GrantType.REFRESH_TOKEN}))
    assert choose_client_scope(asked, keeps) == ("openid", "offline_access")
    assert choose_client_scope(asked, make_client(scopes=scopes, grant_types=frozenset())) == ("openid",)


def test_guarded_claims_need_an_entitlement() -> None:
    known: dict[str, ClaimValue] = {"sub": "s", "name": "测试甲", "gender": "male", "locale": "zh-CN", "ial": 3, "real_name_verified": True}
    scope = ("openid", "profile", "real_name")
    assert select_claims(scope, (), known) == {"sub": "s", "locale": "zh-CN", "real_name_verified": True, "ial": 3}
    named = select_claims(scope, (Entitlement("p", Basis.STATUTORY_DUTY, ("name",)),), known)
    assert named["name"] == "测试甲"
    assert "gender" not in named
    assert select_claims(("openid",), (Entitlement("p", Basis.STATUTORY_DUTY, ("name",)),), known) == {"sub": "s"}


def test_consent_counts_only_in_its_present_version() -> None:
    duty = Entitlement("d", Basis.STATUTORY_DUTY, ("name",))
    asked = Entitlement("c", Basis.CONSENT, ("gender",), 2)
    client = make_client(entitlements=(duty, asked))
    agreed = frozenset({"gender"})
    assert find_allowed(client, {}) == (duty,)
    assert find_allowed(client, {("c", 1): agreed}) == (duty,)
    assert find_allowed(client, {("c", 2): agreed}) == (duty, asked)


def test_consent_covers_only_the_claims_that_were_agreed_to() -> None:
    narrow, wide = Entitlement("c", Basis.CONSENT, ("gender",)), Entitlement("c", Basis.CONSENT, ("gender", "name"))
    consents = {("c", 1): frozenset({"gender"})}
    assert find_allowed(make_client(entitlements=(narrow,)), consents) == (narrow,)
    assert find_allowed(make_client(entitlements=(wide,)), consents) == ()
    assert find_allowed(make_client(entitlements=(narrow,)), {("c", 1): frozenset(wide.claims)}) == (narrow,)


def test_how_claims_were_verified_is_told_only_to_whom_the_person_agreed_to_tell_it() -> None:
    duty, asked = Entitlement("d", Basis.STATUTORY_DUTY, ("name",)), Entitlement("c", Basis.CONSENT, ("gender",))
    client = make_client(entitlements=(duty, asked))
    assert find_allowed(client, {("c", 1): frozenset({"gender"})}, verified=True) == (duty,)
    assert find_allowed(client, {("c", 1): frozenset({"gender", "verified_claims"})}, verified=True) == (duty, asked)


def test_each_released_claim_is_counted_for_one_purpose() -> None:
    first = Entitlement("a", Basis.STATUTORY_DUTY, ("name", "gender"))
    second = Entitlement("b", Basis.CONSENT, ("name", "birthdate"))
    releases = list_releases(["name", "birthdate", "locale"], [first, second])
    assert [(r.purpose, r.claims) for r in releases] == [("a", ("name",)), ("b", ("birthdate",))]
    assert [r.purpose for r in list_releases(["birthdate"], [first, second])] == ["b"], "an entitlement that releases nothing is not named"


def test_what_is_released_beside_the_question_is_named_too() -> None:
    duty = Entitlement("d", Basis.STATUTORY_DUTY, ("name", "gender"))
    asked = Entitlement("c", Basis.CONSENT, ("gender", "birthdate"))
    client = make_client(entitlements=(duty, asked))
    unasked = list_unasked(("openid", "profile", "unknown"), client, [asked])
    assert "name" in unasked, "by duty"
    assert "locale" in unasked, "needs no entitlement"
    assert not {"gender", "birthdate"} & set(unasked), "stand in the question itself"
    assert "birthdate" not in list_unasked(("openid", "profile"), make_client(entitlements=(duty,)), []), "nobody may release it"
    assert list_unasked(("openid",), client, [asked]) == tuple(list_claims(["openid"]))


def test_an_address_never_leaves_without_its_mark() -> None:
    known: dict[str, ClaimValue] = {"email": "a@example.com", "email_verified": False}
    bare = (Entitlement("p", Basis.STATUTORY_DUTY, ("email",)),)
    assert select_claims(("email",), bare, known) == known, "though the entitlement does not list the mark"
    assert select_claims((), bare, known, {"email": ClaimAsk()}) == known
    assert select_claims(("email",), (), known) == {}


def test_amr_names_factors_and_mfa() -> None:
    assert list_amr([Proved(Factor.PASSWORD, NOW)]) == ["pwd"]
    assert list_amr([Proved(Factor.SMS, NOW), Proved(Factor.PASSWORD, NOW)]) == ["pwd", "sms", "mfa"]
    assert list_amr([Proved(Factor.PASSKEY, NOW)])[1:] == ["user", "mfa"], "a passkey alone is two"


def make_grant(**changes: object) -> Grant:
    values: dict[str, object] = {
        "id": UUID(int=1),
        "client_id": "land",
        "person_id": UUID(int=7),
        "scope": ("openid",),
        "subject": "s",
        "lineage": b"h",
        "audience": None,
        "proved": (Proved(Factor.PASSWORD, NOW),),
        "acr": None,
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "generation": 3,
        "rotated_at": NOW,
        "graced": False,
        "ended_at": None,
        "client_usable": True,
        "person_status": "active",
        "session_alive": True,
    }
    return Grant(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"ended_at": NOW},
        {"expires_at": NOW},
        {"client_usable": False},
        {"person_status": "banned"},
        {"person_status": None},
        {"session_alive": False},
        {"parents_stand": False},
    ],
)
def test_ban_logout_suspension_and_end_hold_at_once(changes: dict[str, object]) -> None:
    assert is_effective(make_grant(), NOW)
    assert not is_effective(make_grant(**changes), NOW)
    assert isinstance(decide_refresh(make_grant(**changes), 3, True, NOW), Ineffective)


def test_a_clients_own_grant_needs_no_person_and_no_session() -> None:
    own = {"person_id": None, "person_status": None, "session_alive": False, "subject": None, "lineage": None}
    assert is_effective(make_grant(**own), NOW)
    assert not is_effective(make_grant(**own, client_usable=False), NOW)


def test_an_offline_grant_outlives_its_session_but_not_a_ban() -> None:
    offline = ("openid", "offline_access")
    assert is_effective(make_grant(scope=offline, session_alive=False), NOW)
    assert not is_effective(make_grant(scope=offline, person_status="frozen"), NOW)


def test_refresh_rotates_by_generation() -> None:
    assert decide_refresh(make_grant(), 3, True, NOW) == Rotate()
    assert decide_refresh(make_grant(), 2, True, NOW + timedelta(seconds=10)) == Repeat()
    assert decide_refresh(make_grant(), 2, True, NOW + timedelta(seconds=11)) == Reused()
    assert decide_refresh(make_grant(), 2, False, NOW) == Reused()
    assert decide_refresh(make_grant(graced=True), 2, True, NOW) == Reused()
    assert decide_refresh(make_grant(), 1, True, NOW) == Reused()
    assert decide_refresh(make_grant(), 4, True, NOW) == Reused()


def test_an_app_session_that_rests_too_long_is_over() -> None:
    app = {"idle_limit": 60, "lineage": None}
    assert is_effective(make_grant(**app), NOW + timedelta(seconds=59))
    assert not is_effective(make_grant(**app), NOW + timedelta(seconds=60)), "never used: counted from its beginning"
    used = NOW + timedelta(seconds=30)
    assert is_effective(make_grant(**app, used_at=used), NOW + timedelta(seconds=89))
    assert not is_effective(make_grant(**app, used_at=used), NOW + timedelta(seconds=90))


ADMIN = "https://id.example/admin/v1"
ALL = make_client(grant_types=frozenset({"authorization_code", "refresh_token", "client_credentials"}), resources=("urn:api",))


def test_token_requests_are_read() -> None:
    assert read_redemption({"code": "c", "redirect_uri": "u", "code_verifier": "v"}) == RedeemCode("c", "u", "v")
    assert read_refresh({"refresh_token": "r", "scope": "openid"}) == Refresh("r", frozenset({"openid"}))
    assert read_refresh({"refresh_token": "r"}) == Refresh("r", None)
    assert read_own_credentials({}, ALL, ADMIN) == UseOwnCredentials(None)
    assert read_own_credentials({"resource": "urn:api"}, ALL, ADMIN) == UseOwnCredentials("urn:api")
    assert read_own_credentials({"scope": "openid profile"}, ALL, ADMIN) == UseOwnCredentials(None, drops_scope=True)
    assert find_grant_type({"grant_type": "refresh_token"}, ALL) is GrantType.REFRESH_TOKEN


def test_the_admin_api_has_scopes_of_its_own() -> None:
    keeper = make_client(grant_types=frozenset({"client_credentials"}), scopes=ADMIN_SCOPES[:2])
    assert read_own_credentials({"resource": ADMIN}, keeper, ADMIN) == UseOwnCredentials(ADMIN, ADMIN_SCOPES[:2])
    one = {"resource": ADMIN, "scope": ADMIN_SCOPES[1]}
    assert read_own_credentials(one, keeper, ADMIN) == UseOwnCredentials(ADMIN, ADMIN_SCOPES[1:2])
    with pytest.raises(ProtocolError) as caught:
        read_own_credentials({"resource": ADMIN, "scope": f"{ADMIN_SCOPES[0]} profile"}, keeper, ADMIN)
    assert caught.value.error == "invalid_scope"
    with pytest.raises(ProtocolError) as caught:
        read_own_credentials({"resource": ADMIN}, ALL, ADMIN)
    assert caught.value.error == "invalid_target", "without one of its scopes it is no resource of the client's"


READERS: dict[GrantType, Callable[[dict[str, str]], object]] = {
    GrantType.AUTHORIZATION_CODE: read_redemption,
    GrantType.REFRESH_TOKEN: read_refresh,
    GrantType.CLIENT_CREDENTIALS: partial(read_own_credentials, client=ALL, admin_resource=ADMIN),
}


@pytest.mark.parametrize(
    ("error", "parameters"),
    [
        ("invalid_request", {}),
        ("unsupported_grant_type", {"grant_type": "password"}),
        ("invalid_request", {"grant_type": "authorization_code", "redirect_uri": "u"}),
        ("invalid_request", {"grant_type": "authorization_code", "code": "c"}),
        ("invalid_request", {"grant_type": "refresh_token"}),
        ("invalid_target", {"grant_type": "client_credentials", "resource": "urn:other"}),
        ("invalid_target", {"grant_type": "client_credentials", "resource": "urn:other", "scope": "profile"}),
    ],
)
def test_wrong_token_requests_have_their_own_error(error: str, parameters: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        READERS[find_grant_type(parameters, ALL)](parameters)
    assert caught.value.error == error


def test_a_grant_type_must_be_registered() -> None:
    with pytest.raises(ProtocolError) as caught:
        find_grant_type({"grant_type": "client_credentials"}, CLIENT)
    assert caught.value.error == "unauthorized_client"


def test_a_refreshed_scope_only_shrinks() -> None:
    client = make_client(scopes=("profile", "phone"), grant_types=frozenset({GrantType.REFRESH_TOKEN}))
    assert narrow_scope(client, ("openid", "profile"), None) == ("openid", "profile")
    assert narrow_scope(client, ("openid", "profile"), frozenset({"openid"})) == ("openid",)
    with pytest.raises(ProtocolError) as caught:
        narrow_scope(client, ("openid",), frozenset({"openid", "phone"}))
    assert caught.value.error == "invalid_scope"


def test_what_a_client_may_not_have_is_left_out_of_a_refresh_as_it_was_of_the_request() -> None:
    client = make_client(scopes=("profile", "phone", "offline_access"), grant_types=frozenset({GrantType.AUTHORIZATION_CODE}))
    asked = frozenset({"openid", "profile", "email", "unheard_of", "offline_access"})
    assert narrow_scope(client, ("openid", "profile"), asked) == ("openid", "profile")
    assert narrow_scope(client, ("openid", "profile", "email"), asked) == ("openid", "profile", "email"), "it could once"
    for beyond in (frozenset({"openid", "phone"}), frozenset({"email"}), frozenset()):
        with pytest.raises(ProtocolError):
            narrow_scope(client, ("openid", "profile"), beyond)


BACK = "https://land.example/"


def test_sign_out_returns_only_with_a_valid_hint_and_a_registered_address() -> None:
    wish = {"post_logout_redirect_uri": BACK, "state": "a b"}
    assert decide_sign_out(wish, CLIENT, "sid", "sid") == EndAtOnce(BACK + "?state=a%20b")
    assert decide_sign_out({"post_logout_redirect_uri": BACK}, CLIENT, "sid", None) == EndAtOnce(BACK)
    assert decide_sign_out(wish, CLIENT, "other", "sid") == AskFirst(BACK + "?state=a%20b")
    assert decide_sign_out(wish, None, None, "sid") == AskFirst(None)
    assert decide_sign_out(wish, None, None, None) == EndAtOnce(None)
    for uri in ("https://land.example/x", "https://land.example/?a=1", "https://evil.example/", ""):
        assert decide_sign_out({"post_logout_redirect_uri": uri}, CLIENT, "sid", "sid") == EndAtOnce(None, refused=True)
        assert decide_sign_out({"post_logout_redirect_uri": uri}, CLIENT, "other", "sid") == AskFirst(None, refused=True)
        assert decide_sign_out({"post_logout_redirect_uri": uri}, CLIENT, None, None) == EndAtOnce(None, refused=True)
        assert decide_sign_out({"post_logout_redirect_uri": uri}, None, None, None) == EndAtOnce(None), "nobody proved whose address it is"
    assert decide_sign_out({}, CLIENT, "sid", "sid") == EndAtOnce(None)


def test_a_hint_counts_only_for_the_client_that_is_named_beside_it() -> None:
    assert may_use_hint({}, "land")
    assert may_use_hint({"client_id": "land"}, "land")
    assert not may_use_hint({"client_id": "fund"}, "land")


@pytest.mark.parametrize("status", ["suspended", "retired"])
def test_nobody_is_returned_to_a_closed_client(status: str) -> None:
    closed, wish = make_client(status=status), {"post_logout_redirect_uri": BACK}
    assert decide_sign_out(wish, closed, "sid", "sid") == EndAtOnce(None), "the address is registered: that is not why"
    assert decide_sign_out(wish, closed, "other", "sid") == AskFirst(None)


def test_response_parameters_are_encoded_and_join_an_existing_query() -> None:
    assert (
        build_response_url("https://a.example/cb", {"code": "x", "state": "省&=", "iss": None})
        == "https://a.example/cb?code=x&state=%E7%9C%81%26%3D"
    )
    assert build_response_url("https://a.example/cb?t=1", {"code": "x"}) == "https://a.example/cb?t=1&code=x"


def test_metadata_is_the_tables() -> None:
    document = describe_provider("https://id.example", ("ES256", "RS256"))
    assert document["issuer"] == "https://id.example"
    assert {document[name] for name in PATHS} == {f"https://id.example{path}" for path in PATHS.values()}
    assert document["scopes_supported"] == list(SCOPES)
    assert document["prompt_values_supported"] == list(PROMPTS)
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["require_request_uri_registration"] is True
    assert document["response_modes_supported"] == list(RESPONSE_MODES)
    assert document["authorization_encryption_enc_values_supported"] == list(CONTENT_ENCRYPTION)
    assert not {"registration_endpoint", "check_session_iframe"} & document.keys(), "switched off"
    more = describe_provider("https://id.example", ("ES256",), registration=True, session_management=True)
    assert more["registration_endpoint"] == f"https://id.example{REGISTRATION_PATH}"
    assert more["check_session_iframe"] == f"https://id.example{CHECK_SESSION_PATH}"
