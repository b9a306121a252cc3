"""What a client that registers itself may say, and what it gets where it says nothing (RFC 7591, OpenID Connect Registration §2)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.json_text import Json
from idp.protocol.rules.client import BadRegistration, Client
from idp.protocol.rules.client_checks import check_client
from idp.protocol.rules.dynamic_registration import (
    check_sector_document,
    check_update,
    describe_registration,
    find_sector,
    read_registration,
)
from tests.protocol.rules.test_registration_metadata import DOCUMENTS, attempt

BASE = Client("c-1", "")
URI = "https://new.example/cb"


def read(requires_pkce: bool = True, **said: Any) -> Client:
    return read_registration({"redirect_uris": [URI], **said}, BASE, requires_pkce)


def test_the_defaults_are_the_specifications() -> None:
    client = read()
    check_client(client)
    told = describe_registration(client)
    assert (told["id_token_signed_response_alg"], told["token_endpoint_auth_method"]) == ("RS256", "client_secret_basic")
    assert (told["grant_types"], told["response_types"], told["client_name"]) == (["authorization_code"], ["code"], "c-1")
    assert "offline_access" not in told["scope"].split()
    assert "offline_access" in read(grant_types=["authorization_code", "refresh_token"]).scopes


def test_fapi_gets_an_algorithm_that_it_knows() -> None:
    assert read(profile="fapi2").id_token_algorithm == "ES256"
    assert read(profile="standard").id_token_algorithm == "RS256"


@pytest.mark.parametrize(
    ("profile", "pushed", "signed"), [("standard", False, False), ("fapi2", True, False), ("fapi2_message_signing", True, True)]
)
def test_what_the_profile_demands_is_told_as_it_holds(profile: str, pushed: bool, signed: bool) -> None:
    client = read(
        profile=profile,
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_san_dns="new.example",
        tls_client_certificate_bound_access_tokens=True,
    )
    check_client(client)
    told = describe_registration(client)
    assert (told["require_pushed_authorization_requests"], told["require_signed_request_object"]) == (pushed, signed)
    check_client(read_registration(told, client, True))
    asked = read(profile=profile, require_pushed_authorization_requests=True)
    assert describe_registration(asked)["require_pushed_authorization_requests"] is True


@pytest.mark.parametrize(
    ("setting", "said", "required"),
    [
        (True, {}, True),
        (False, {}, False),
        (False, {"token_endpoint_auth_method": "none"}, True),
        (False, {"application_type": "native"}, True),
    ],
)
def test_pkce_is_the_settings_where_a_client_could_do_without(setting: bool, said: dict[str, Any], required: bool) -> None:
    assert read(setting, **said).requires_pkce is required


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize(("profile", "may"), [(None, True), ("standard", True), ("fapi2", False), ("fapi2_message_signing", False)])
def test_the_token_endpoint_is_an_audience_where_the_setting_and_the_profile_say_so(setting: bool, profile: str | None, may: bool) -> None:
    client = read_registration({"redirect_uris": [URI], "profile": profile}, BASE, True, setting)
    assert client.requests.accepts_endpoint_audience is (setting and may)


def test_what_the_operator_flagged_stays_when_the_client_updates_itself() -> None:
    flagged = replace(BASE, requests=replace(BASE.requests, accepts_endpoint_audience=True))
    assert read_registration({"redirect_uris": [URI]}, flagged, True, False).requests.accepts_endpoint_audience


def test_a_client_without_codes_has_no_response_type() -> None:
    client = read(grant_types=["client_credentials"], redirect_uris=[], response_types=[])
    assert describe_registration(client)["response_types"] == []
    assert describe_registration(client)["scope"].split()[0] != "openid"
    assert client.sector == "client:c-1"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("subject_type", {"subject_type": "public"}),
        ("response_types", {"response_types": ["token"]}),
        ("response_types", {"response_types": 1}),
        ("response_types", {"response_types": []}),
        ("response_types", {"grant_types": "x", "response_types": ["code"]}),
        ("grant_types", {"grant_types": "x"}),
        ("scope", {"scope": 1}),
        ("sector_identifier_uri", {"redirect_uris": [URI, "https://other.example/cb"]}),
        ("sector_identifier_uri", {"redirect_uris": [URI, "https://["]}),
        ("initiate_login_uri", {"initiate_login_uri": "http://127.0.0.1/login"}),
        ("initiate_login_uri", {"initiate_login_uri": "http://localhost:8001/login"}),
        ("initiate_login_uri", {"initiate_login_uri": ""}),
    ],
)
def test_what_cannot_be_is_named(field: str, said: dict[str, Any]) -> None:
    with pytest.raises(BadRegistration) as caught:
        read(**said)
    assert caught.value.field == field


def test_where_a_sign_in_begins_is_https_for_a_client_that_registers_itself() -> None:
    for address in ("https://new.example/login", "HTTPS://new.example/login"):
        client = read(initiate_login_uri=address)
        check_client(client)
        assert client.about.initiate_login_uri == address
    operators = replace(read(), about=replace(BASE.about, initiate_login_uri="http://127.0.0.1/login"))
    check_client(operators)


def test_null_and_unknown_values_are_as_if_unsaid() -> None:
    assert read(subject_type=None, scope=None, logo_uri=None, unheard_of=[1]) == read()
    assert read(subject_type="pairwise") == read()
    assert read(scope="nonsense clients:write").scopes == ()


def test_an_update_forgets_what_it_does_not_say() -> None:
    before = read(contacts=["x"], scope="profile")
    after = read_registration({"redirect_uris": [URI], "client_name": "after"}, before, True)
    assert (after.about.contacts, after.name, after.sector) == ((), "after", before.sector)


def test_a_sector_is_a_host_or_the_client_itself() -> None:
    assert read().sector == "host:new.example"
    assert read(redirect_uris=["http://127.0.0.1/cb"], application_type="native").sector == "client:c-1"
    assert read(redirect_uris=["cn.example.app:/cb"], application_type="native").sector == "client:c-1"
    several = read(redirect_uris=[URI, "https://other.example/cb"], sector_identifier_uri="https://sector.example/uris")
    assert several.sector == "host:sector.example"
    assert find_sector(several) == several.sector


def test_a_sector_document_lists_every_redirect_uri() -> None:
    client = read()
    check_sector_document(client, [URI, 7, "https://else.example/"])
    wrong: list[Json] = [[], {}, "x", None, ["https://new.example"]]
    for document in wrong:
        with pytest.raises(BadRegistration):
            check_sector_document(client, document)


CIBA, DEVICE, EXCHANGE = (
    "urn:openid:params:grant-type:ciba",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)


@pytest.mark.parametrize("grant", [CIBA, DEVICE, EXCHANGE])
def test_somebody_elses_redirect_uri_joins_nobody_whom_answers_reach_otherwise(grant: str) -> None:
    assert read(grant_types=["authorization_code", grant]).sector == "client:c-1"
    named = read(grant_types=["authorization_code", grant], sector_identifier_uri="https://sector.example/uris")
    with pytest.raises(BadRegistration):
        check_sector_document(named, [URI])


@pytest.mark.parametrize(
    "said",
    [
        {"grant_types": [CIBA], "redirect_uris": [], "response_types": []},
        {"redirect_uris": ["cn.example.app:/cb"], "application_type": "native"},
        {"redirect_uris": [URI, "http://127.0.0.1/cb"], "application_type": "native"},
    ],
)
def test_without_an_address_of_its_own_the_document_names_the_keys(said: dict[str, Any]) -> None:
    keys, ping = "https://new.example/keys", "https://new.example/ping"
    chosen = {**said, "sector_identifier_uri": "https://sector.example/uris", "jwks_uri": keys}
    listed: list[Json] = [*said["redirect_uris"], keys]
    check_sector_document(read(**chosen, token_endpoint_auth_method="private_key_jwt"), listed)
    told: dict[str, Any] = {"backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": ping}
    notified = read(**chosen, **told, token_endpoint_auth_method="private_key_jwt")
    check_sector_document(notified, [*listed, ping])
    wrong: list[tuple[Client, list[Json]]] = [
        (read(**chosen), listed),
        (read(**chosen, token_endpoint_auth_method="private_key_jwt"), said["redirect_uris"]),
        (notified, listed),
    ]
    for client, document in wrong:
        with pytest.raises(BadRegistration):
            check_sector_document(client, document)


def test_native_sso_is_the_operators_to_give() -> None:
    assert "device_sso" not in read().scopes
    assert read(scope="openid device_sso profile").scopes == ("profile",)
    operators = replace(read(), scopes=("device_sso",), sector="taxes")
    check_client(operators)
    for sector in ("host:new.example", "client:c-1"):
        with pytest.raises(BadRegistration):
            check_client(replace(operators, sector=sector))


def test_a_sector_that_is_no_host_is_the_client_itself() -> None:
    uris = [URI, "https://other.example/cb"]
    assert read(redirect_uris=uris, sector_identifier_uri="http://127.0.0.1/uris").sector == "client:c-1"
    assert read(redirect_uris=uris, sector_identifier_uri=f"https://{'a' * 60}.{'b' * 60}.example/").sector == "client:c-1"


def test_an_update_is_for_one_client_and_holds_nothing_of_ours() -> None:
    check_update({"client_id": "c-1"}, "c-1")
    wrong: list[dict[str, Json]] = [{}, {"client_id": "c-2"}, {"client_id": "c-1", "registration_access_token": "x"}]
    for document in wrong:
        with pytest.raises(BadRegistration):
            check_update(document, "c-1")


@given(DOCUMENTS, st.booleans())
def test_every_document_is_a_client_or_one_sentence(document: dict[str, Any], setting: bool) -> None:
    client, fault = attempt(lambda: read_registration({"redirect_uris": [URI], **document}, BASE, setting))
    if client is None:
        assert fault is not None
        assert fault.field
        return
    told = describe_registration(client)
    again = read_registration(told, BASE, setting)
    assert describe_registration(again) == told
