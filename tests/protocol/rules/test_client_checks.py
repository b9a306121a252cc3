"""Which registered values go together; what does not is refused by its name."""

import json
from dataclasses import replace
from typing import Any

import pytest

from idp.protocol.rules.client import ApplicationType, AuthMethod, BadRegistration
from idp.protocol.rules.client_checks import check_certificates, check_client, list_response_algorithms
from idp.protocol.rules.client_metadata import (
    About,
    BackchannelAuthentication,
    ClientKeys,
    LogoutAddresses,
    Profile,
    RequestDemands,
    ResponseProtection,
    TlsIdentity,
)
from idp.protocol.rules.registration_metadata import METADATA
from tests.support.protocol_samples import make_client

JWKS = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "a", "key_ops": ["verify"], "ext": True}]})
BY_URI = ClientKeys(jwks_uri="https://land.example/keys")
DEVICE = frozenset({"urn:ietf:params:oauth:grant-type:device_code"})
KEYED = {"auth_method": AuthMethod.PRIVATE_KEY_JWT, "keys": BY_URI}


def keys(*found: dict[str, Any]) -> ClientKeys:
    return ClientKeys(jwks=json.dumps({"keys": list(found)}))


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"keys": ClientKeys(jwks=JWKS)},
    {"keys": keys({"kty": "EC", "iat": 1_795_340_000, "owner": {"unit": "land"}, "key_ops": ["verify"]})},
    {"keys": keys({"kty": "RSA"}, {"kty": "EC", "kid": "b"})},
    KEYED,
    {**KEYED, "requests": RequestDemands(token_endpoint_auth_signing_alg="PS256")},
    {"auth_method": AuthMethod.TLS, "tls": TlsIdentity(tls_client_auth_san_dns="land.example")},
    {"auth_method": AuthMethod.SELF_SIGNED_TLS, "keys": ClientKeys(jwks=JWKS)},
    {"auth_method": AuthMethod.SECRET_JWT, "keeps_secret": True},
    {"auth_method": AuthMethod.SECRET_JWT, "keeps_secret": True, "requests": RequestDemands(token_endpoint_auth_signing_alg="HS256")},
    {"keys": BY_URI, "responses": ResponseProtection(id_token_encrypted_response_alg="ECDH-ES")},
    {"keys": BY_URI, "requests": RequestDemands(request_object_signing_alg="ES256", require_signed_request_object=True)},
    {"requests": RequestDemands(request_uris=("https://land.example/request#digest",))},
    {"logout": LogoutAddresses(backchannel_logout_uri="https://other.example/out", frontchannel_logout_uri="https://land.example/out")},
    {"logout": LogoutAddresses(frontchannel_logout_uri="https://land.example:443/out")},
    {"grant_types": frozenset({"authorization_code", "refresh_token"})},
    {"grant_types": frozenset({"urn:openid:params:grant-type:ciba"}), "redirect_uris": ()},
    {
        "ciba": BackchannelAuthentication("ping", "https://land.example/ping"),
        "grant_types": frozenset({"urn:openid:params:grant-type:ciba"}),
    },
    {"resources": ("urn:api", "https://api.example/v1")},
    {"requests": RequestDemands(authorization_details_types=("urn:yizheng:mandate",))},
    {**KEYED, "grant_types": DEVICE, "redirect_uris": ()},
    {
        "grant_types": frozenset({"authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"}),
        "requests": RequestDemands(front_ticket_targets=("land",)),
    },
    {
        "redirect_uris": (
            "https://Land.example:8443/cb",
            "https://10.1.2.3/cb",
            "https://[fd00::1]:8443/cb",
            "https://xn--fiq228c.example/cb",
        )
    },
    {"application_type": ApplicationType.NATIVE, "auth_method": AuthMethod.NONE, "redirect_uris": ("http://[::1]/cb",)},
    {**KEYED, "profile": Profile.FAPI2, "requests": RequestDemands(dpop_bound_access_tokens=True)},
    {"grant_types": frozenset({"client_credentials"}), "redirect_uris": (), "scopes": ("clients:read",)},
]

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("client_name", {"name": "a\x00"}),
    ("client_name#en", {"name_en": "x" * 101}),
    ("sector", {"sector": ""}),
    ("sector", {"sector": "x" * 101}),
    ("jwks", {"keys": ClientKeys(jwks=JWKS, jwks_uri="https://land.example/keys")}),
    ("jwks", {"keys": keys()}),
    ("jwks", {"keys": keys(*({"kty": "RSA"} for _ in range(21)))}),
    ("jwks", {"keys": keys({"kty": 1})}),
    ("jwks", {"keys": ClientKeys(jwks='{"keys": ["x"]}')}),
    ("jwks", {"keys": ClientKeys(jwks='{"keys": {}}')}),
    ("jwks", {"keys": keys({"kty": "oct", "k": "AAAA"})}),
    ("jwks", {"keys": keys({"kty": "EC", "d": "AAAA"})}),
    ("jwks", {"keys": keys({"kty": "EC", "kid": "a"}, {"kty": "EC", "kid": "a"})}),
    ("jwks_uri", {"keys": ClientKeys(jwks_uri="http://land.example/keys")}),
    ("token_endpoint_auth_method", {"auth_method": AuthMethod.PRIVATE_KEY_JWT}),
    ("token_endpoint_auth_method", {"auth_method": AuthMethod.SELF_SIGNED_TLS}),
    ("token_endpoint_auth_method", {"auth_method": AuthMethod.SECRET_JWT}),
    ("keeps_secret", {"keeps_secret": True}),
    ("request_object_signing_alg", {"requests": RequestDemands(request_object_signing_alg="ES256")}),
    ("request_object_signing_alg", {"keys": BY_URI, "requests": RequestDemands(request_object_signing_alg="none")}),
    ("require_signed_request_object", {"requests": RequestDemands(require_signed_request_object=True)}),
    (
        "backchannel_authentication_request_signing_alg",
        {"ciba": BackchannelAuthentication(backchannel_authentication_request_signing_alg="ES256")},
    ),
    ("id_token_encrypted_response_alg", {"responses": ResponseProtection(id_token_encrypted_response_alg="ECDH-ES")}),
    ("userinfo_encrypted_response_alg", {"keys": BY_URI, "responses": ResponseProtection(userinfo_encrypted_response_alg="dir")}),
    ("userinfo_encrypted_response_enc", {"keys": BY_URI, "responses": ResponseProtection(userinfo_encrypted_response_enc="A256GCM")}),
    ("userinfo_signed_response_alg", {"responses": ResponseProtection(userinfo_signed_response_alg="HS256")}),
    ("tls_client_auth_subject_dn", {"auth_method": AuthMethod.TLS}),
    (
        "tls_client_auth_subject_dn",
        {"auth_method": AuthMethod.TLS, "tls": TlsIdentity(tls_client_auth_san_dns="a", tls_client_auth_san_ip="::1")},
    ),
    ("tls_client_auth_san_dns", {"tls": TlsIdentity(tls_client_auth_san_dns="a")}),
    ("token_endpoint_auth_signing_alg", {"requests": RequestDemands(token_endpoint_auth_signing_alg="ES256")}),
    ("token_endpoint_auth_signing_alg", {**KEYED, "requests": RequestDemands(token_endpoint_auth_signing_alg="HS256")}),
    (
        "token_endpoint_auth_signing_alg",
        {"auth_method": AuthMethod.SECRET_JWT, "keeps_secret": True, "requests": RequestDemands(token_endpoint_auth_signing_alg="ES256")},
    ),
    ("request_uris", {"requests": RequestDemands(request_uris=("http://land.example/request",))}),
    ("frontchannel_logout_uri", {"logout": LogoutAddresses(frontchannel_logout_uri="https://land.example:8443/out")}),
    ("frontchannel_logout_uri", {"logout": LogoutAddresses(frontchannel_logout_uri="https://other.example/out")}),
    ("backchannel_logout_uri", {"logout": LogoutAddresses(backchannel_logout_uri="https://land.example/out#x")}),
    ("backchannel_client_notification_endpoint", {"ciba": BackchannelAuthentication("ping")}),
    ("backchannel_client_notification_endpoint", {"ciba": BackchannelAuthentication("poll", "https://land.example/ping")}),
    ("backchannel_token_delivery_mode", {"ciba": BackchannelAuthentication("push")}),
    ("logo_uri", {"about": About(logo_uri="cn.example.app:/logo")}),
    ("logo_uri", {"about": About(logo_uri="https://[bad")}),
    ("redirect_uris", {"redirect_uris": ("https://land.example;sandbox/cb",)}),
    ("redirect_uris", {"redirect_uris": ("https://land.example,other.example/cb",)}),
    ("redirect_uris", {"redirect_uris": ("https://land'example/cb",)}),
    ("redirect_uris", {"redirect_uris": ("https://-land.example/cb",)}),
    ("redirect_uris", {"redirect_uris": ("https://land.example:/cb",)}),
    ("redirect_uris", {"redirect_uris": ("cn.example.app://a;b/cb",), "application_type": ApplicationType.NATIVE}),
    ("resources", {"resources": ("no address",)}),
    ("resources", {"resources": ("https://api.example",), "auth_method": AuthMethod.NONE}),
    ("allowed_resources", {"requests": RequestDemands(allowed_resources=("https://a.example/#x",))}),
    ("default_acr_values", {"requests": RequestDemands(default_acr_values=("gold",))}),
    ("grant_types", {"grant_types": frozenset({"urn:openid:params:grant-type:ciba"}), "auth_method": AuthMethod.NONE}),
    ("grant_types", {"grant_types": frozenset({"refresh_token", "client_credentials"})}),
    *(
        ("grant_types", {"grant_types": DEVICE, "auth_method": method, "keeps_secret": method is AuthMethod.SECRET_JWT})
        for method in (AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST, AuthMethod.SECRET_JWT)
    ),
    ("front_ticket_targets", {"requests": RequestDemands(front_ticket_targets=("land",))}),
    ("authorization_details_types", {"requests": RequestDemands(authorization_details_types=("urn:elsewhere:payment",))}),
    ("token_endpoint_auth_method", {"profile": Profile.FAPI2}),
    ("dpop_bound_access_tokens", {**KEYED, "profile": Profile.FAPI2}),
    (
        "id_token_signed_response_alg",
        {**KEYED, "profile": Profile.FAPI2, "id_token_algorithm": "RS256", "requests": RequestDemands(dpop_bound_access_tokens=True)},
    ),
]


@pytest.mark.parametrize("changes", ACCEPTED)
def test_what_goes_together_is_accepted(changes: dict[str, Any]) -> None:
    check_client(make_client(**changes))


@pytest.mark.parametrize(("field", "changes"), REFUSED)
def test_what_does_not_go_together_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRegistration) as caught:
        check_client(make_client(**changes))
    assert caught.value.field == field


def test_where_nobody_tells_certificates_no_client_needs_them() -> None:
    check_certificates(make_client(**KEYED))
    bound = TlsIdentity(tls_client_certificate_bound_access_tokens=True)
    for field, changes in (
        ("token_endpoint_auth_method", {"auth_method": AuthMethod.TLS}),
        ("token_endpoint_auth_method", {"auth_method": AuthMethod.SELF_SIGNED_TLS}),
        ("tls_client_certificate_bound_access_tokens", {"tls": bound}),
    ):
        with pytest.raises(BadRegistration) as caught:
            check_certificates(make_client(**changes))
        assert caught.value.field == field


def test_every_algorithm_that_we_sign_by_is_listed() -> None:
    signed = {row.name for row in METADATA.values() if row.name.endswith("_signed_response_alg")}
    assert list_response_algorithms(make_client()).keys() == signed


def test_every_way_to_authenticate_has_an_accepted_client() -> None:
    assert {make_client(**changes).auth_method for changes in ACCEPTED} == set(AuthMethod) - {AuthMethod.SECRET_POST}
    check_client(replace(make_client(), auth_method=AuthMethod.SECRET_POST))
