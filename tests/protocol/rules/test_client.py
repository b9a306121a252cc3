"""Registered clients: which values are accepted, and which redirect URI matches."""

import json
from typing import Any

import pytest

from idp.protocol.rules.client import (
    ApplicationType,
    AuthMethod,
    BadRegistration,
    Basis,
    Client,
    Entitlement,
    matches_redirect_uri,
    read_document,
    renew_versions,
    write_document,
)
from idp.protocol.rules.client_checks import check_client
from tests.support.protocol_samples import CLIENT, make_client


def test_a_stored_document_is_read_back() -> None:
    client = make_client(entitlements=(Entitlement("登记", Basis.CONSENT, ("name",), 3, "Registration"),))
    known = read_document(json.loads(write_document(client)))
    assert Client(client.client_id, **known, status="live", sector="land", sector_id=client.sector_id, secret_mac=b"k:mac") == client


def test_the_sample_client_is_acceptable() -> None:
    check_client(CLIENT)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("client_id", {"client_id": ""}),
        ("client_id", {"client_id": "a b"}),
        ("client_id", {"client_id": "x" * 65}),
        ("client_id", {"client_id": "部门"}),
        ("client_name", {"name": ""}),
        ("client_name", {"name": "名" * 101}),
        ("redirect_uris", {"redirect_uris": ()}),
        ("redirect_uris", {"redirect_uris": ("http://land.example/cb",)}),
        ("redirect_uris", {"redirect_uris": ("https://land.example/cb#x",)}),
        ("redirect_uris", {"redirect_uris": ("https://user@land.example/cb",)}),
        ("redirect_uris", {"redirect_uris": ("https://*.example/cb",)}),
        ("redirect_uris", {"redirect_uris": ("https:///cb",)}),
        ("redirect_uris", {"redirect_uris": ("javascript:alert(1)",)}),
        ("redirect_uris", {"redirect_uris": ("cn.example.app:/cb",)}),
        ("redirect_uris", {"redirect_uris": ("https://land.example:99999/cb",)}),
        ("redirect_uris", {"redirect_uris": ("https://land.example/" + "a" * 1000,)}),
        ("redirect_uris", {"redirect_uris": ("https://land.example/c b",)}),
        ("post_logout_redirect_uris", {"post_logout_redirect_uris": ("ftp://land.example/",)}),
        ("grant_types", {"grant_types": frozenset()}),
        ("grant_types", {"grant_types": frozenset({"password"})}),
        ("grant_types", {"grant_types": frozenset({"refresh_token"}), "redirect_uris": ()}),
        ("grant_types", {"grant_types": frozenset({"client_credentials"}), "auth_method": AuthMethod.NONE}),
        ("requires_pkce", {"requires_pkce": False, "auth_method": AuthMethod.NONE}),
        ("requires_pkce", {"requires_pkce": False, "application_type": ApplicationType.NATIVE}),
        ("scope", {"scopes": ("everything",)}),
        ("id_token_signed_response_alg", {"id_token_algorithm": "HS256"}),
        ("id_token_signed_response_alg", {"id_token_algorithm": "none"}),
        ("entitlements", {"entitlements": (Entitlement("p", Basis.CONSENT, ("password",)),)}),
        ("entitlements", {"entitlements": (Entitlement("p", Basis.CONSENT, ()),)}),
        ("entitlements", {"entitlements": (Entitlement("", Basis.CONSENT, ("name",)),)}),
        ("entitlements", {"entitlements": (Entitlement("p", Basis.CONSENT, ("name",)), Entitlement("p", Basis.CONSENT, ("gender",)))}),
    ],
)
def test_an_unacceptable_value_names_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRegistration) as caught:
        check_client(make_client(**changes))
    assert caught.value.field == field


def test_a_native_client_may_use_a_private_scheme() -> None:
    check_client(make_client(application_type=ApplicationType.NATIVE, redirect_uris=("cn.example.app:/cb",)))


@pytest.mark.parametrize(
    "uri",
    [
        "https://land.example/callback/",
        "https://land.example/callback?x=1",
        "https://LAND.example/callback",
        "https://land.example:443/callback",
        "https://land.example.evil.example/callback",
        "https://land.example/callback#",
        "http://land.example/callback",
        "//land.example/callback",
        "",
    ],
)
def test_a_redirect_uri_matches_exactly_or_not_at_all(uri: str) -> None:
    assert matches_redirect_uri(CLIENT, "https://land.example/callback")
    assert not matches_redirect_uri(CLIENT, uri)


def test_only_a_native_loopback_address_has_a_free_port() -> None:
    native = make_client(application_type=ApplicationType.NATIVE, redirect_uris=("http://127.0.0.1/cb",))
    web = make_client(redirect_uris=("http://127.0.0.1/cb",))
    assert matches_redirect_uri(native, "http://127.0.0.1:53211/cb")
    assert not matches_redirect_uri(web, "http://127.0.0.1:53211/cb")
    for uri in (
        "http://127.0.0.1:1/other",
        "http://127.0.0.2:1/cb",
        "http://x@127.0.0.1:1/cb",
        "https://127.0.0.1:1/cb",
        "http://127.0.0.1:x/cb",
    ):
        assert not matches_redirect_uri(native, uri)


def test_a_changed_entitlement_is_a_new_version() -> None:
    known = (Entitlement("a", Basis.CONSENT, ("name",), 3), Entitlement("b", Basis.CONSENT, ("name",), 1))
    wanted = (
        Entitlement("a", Basis.CONSENT, ("name", "gender"), 3),
        Entitlement("b", Basis.CONSENT, ("name",), 1),
        Entitlement("c", Basis.CONSENT, ("name",)),
    )
    assert [e.version for e in renew_versions(known, wanted)] == [4, 1, 1]


@pytest.mark.parametrize("uri", [" http://127.0.0.1:5/cb", "http://127.0.0.1:5/cb#", "http://127.0.0.1:5/cb#x", "http://127.0.0.1:5/cb\n"])
def test_a_loopback_address_is_plain(uri: str) -> None:
    native = make_client(application_type=ApplicationType.NATIVE, redirect_uris=("http://127.0.0.1/cb",))
    assert not matches_redirect_uri(native, uri)


@pytest.mark.parametrize("purpose", ["", "x" * 201, "登记\n1 身份核验", "a\tb"])
def test_a_purpose_is_one_printable_line(purpose: str) -> None:
    with pytest.raises(BadRegistration):
        check_client(make_client(entitlements=(Entitlement(purpose, Basis.CONSENT, ("name",)),)))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8001/cb", "http://localhost/cb", "http://[::1]:8001/cb"])
def test_a_loopback_address_may_go_without_tls(uri: str) -> None:
    check_client(make_client(redirect_uris=(uri,)))


@pytest.mark.parametrize(("language", "english", "called"), [("zh-CN", "Tax", "税务"), ("en", "Tax", "Tax"), ("en", "", "税务")])
def test_an_application_and_a_purpose_are_called_in_the_page_s_language(language: str, english: str, called: str) -> None:
    assert make_client(name="税务", name_en=english).name_application(language) == called
    assert Entitlement("税务", Basis.CONSENT, ("name",), purpose_en=english).name_purpose(language) == called
