"""One setting tightens everything: what each profile demands, and which registrations contradict it."""

from dataclasses import replace
from typing import Any

import pytest

from idp.protocol.rules.client import AuthMethod, Client, GrantType
from idp.protocol.rules.client_metadata import BackchannelAuthentication, Profile, RequestDemands, ResponseProtection, TlsIdentity
from idp.protocol.rules.profile import (
    Demands,
    choose_algorithms,
    find_demands,
    find_profile_fault,
    list_signing_algorithms,
    may_name_endpoints,
)

OFFERED = ("ES256", "PS256", "RS256", "EdDSA", "Ed25519")
FAPI2 = Client(
    client_id="hall",
    name="大厅",
    profile=Profile.FAPI2,
    auth_method=AuthMethod.PRIVATE_KEY_JWT,
    id_token_algorithm="ES256",
    requires_pkce=True,
    requests=RequestDemands(dpop_bound_access_tokens=True),
)


def test_every_profile_has_a_row() -> None:
    standard, strict, signing = (find_demands(profile) for profile in Profile)
    assert standard == Demands()
    assert strict.pushed_request
    assert strict.sender_constraint
    assert not strict.rotates_refresh
    assert strict.code_seconds == 60
    assert (strict.signed_request, signing.signed_request, signing.signed_response, signing.signed_introspection) == (
        False,
        True,
        True,
        True,
    )
    assert replace(signing, signed_request=False, signed_response=False, signed_introspection=False) == strict


def test_whose_assertions_may_name_an_endpoint() -> None:
    named = RequestDemands(dpop_bound_access_tokens=True, accepts_endpoint_audience=True)
    counter = frozenset({GrantType.CIBA, GrantType.REFRESH_TOKEN})
    both = counter | {GrantType.AUTHORIZATION_CODE}
    assert find_profile_fault(replace(FAPI2, requests=named, grant_types=counter)) is None
    for grants in (both, frozenset({GrantType.AUTHORIZATION_CODE}), frozenset({GrantType.CLIENT_CREDENTIALS})):
        client = replace(FAPI2, requests=named, grant_types=grants)
        assert not may_name_endpoints(client)
        assert (find_profile_fault(client) or ("",))[0] == "accepts_endpoint_audience"
        assert may_name_endpoints(replace(client, profile=Profile.STANDARD))


def test_what_fapi2_takes() -> None:
    assert find_profile_fault(FAPI2) is None
    tls = TlsIdentity(tls_client_certificate_bound_access_tokens=True)
    for method in (AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS):
        assert find_profile_fault(replace(FAPI2, auth_method=method, requests=RequestDemands(), tls=tls)) is None
    assert find_profile_fault(replace(FAPI2, id_token_algorithm="PS256", profile=Profile.FAPI2_MESSAGE_SIGNING)) is None


@pytest.mark.parametrize(
    "change, name",
    [
        ({"auth_method": AuthMethod.SECRET_BASIC}, "token_endpoint_auth_method"),
        ({"auth_method": AuthMethod.SECRET_JWT}, "token_endpoint_auth_method"),
        ({"auth_method": AuthMethod.NONE}, "token_endpoint_auth_method"),
        ({"requests": RequestDemands()}, "dpop_bound_access_tokens"),
        ({"requires_pkce": False}, "requires_pkce"),
        ({"requests": RequestDemands(dpop_bound_access_tokens=True, accepts_endpoint_audience=True)}, "accepts_endpoint_audience"),
        ({"id_token_algorithm": "RS256"}, "id_token_signed_response_alg"),
        ({"responses": ResponseProtection(userinfo_signed_response_alg="RS256")}, "userinfo_signed_response_alg"),
        ({"responses": ResponseProtection(authorization_signed_response_alg="RS256")}, "authorization_signed_response_alg"),
        ({"responses": ResponseProtection(introspection_signed_response_alg="RS256")}, "introspection_signed_response_alg"),
        (
            {"ciba": BackchannelAuthentication(backchannel_authentication_request_signing_alg="RS256")},
            "backchannel_authentication_request_signing_alg",
        ),
        (
            {"requests": RequestDemands(dpop_bound_access_tokens=True, token_endpoint_auth_signing_alg="RS256")},
            "token_endpoint_auth_signing_alg",
        ),
        ({"requests": RequestDemands(dpop_bound_access_tokens=True, request_object_signing_alg="RS256")}, "request_object_signing_alg"),
    ],
)
def test_what_fapi2_refuses_and_standard_takes(change: dict[str, Any], name: str) -> None:
    client: Client = replace(FAPI2, **change)
    fault = find_profile_fault(client)
    assert fault is not None
    assert fault[0] == name
    assert fault[1]
    assert find_profile_fault(replace(client, profile=Profile.STANDARD)) is None


def test_every_registered_algorithm_is_looked_at() -> None:
    assert set(list_signing_algorithms(FAPI2).values()) == {"ES256", None}


def test_algorithms_of_a_client() -> None:
    standard = replace(FAPI2, profile=Profile.STANDARD)
    assert choose_algorithms(standard, OFFERED, None) == OFFERED
    assert choose_algorithms(FAPI2, OFFERED, None) == ("ES256", "PS256", "EdDSA", "Ed25519")
    assert choose_algorithms(standard, OFFERED, "RS256") == ("RS256",)
    assert choose_algorithms(FAPI2, OFFERED, "RS256") == ()
    assert choose_algorithms(FAPI2, OFFERED, "EdDSA") == ("EdDSA", "Ed25519")
    assert choose_algorithms(FAPI2, ("ES256",), "PS256") == ()
