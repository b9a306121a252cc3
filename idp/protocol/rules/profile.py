"""Decides what a profile demands: one row each, read by requests, tokens and registration (FAPI 2.0 Security Profile §5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from idp.protocol.rules.client import AuthMethod, Client, GrantType
from idp.protocol.rules.client_metadata import Profile


@dataclass(frozen=True)
class Demands:
    """What must hold for every client of a profile, whatever it is registered with; the defaults demand nothing.

    ``auth_methods`` and ``signing_algorithms`` None: any that we offer. The algorithms are those of assertions, proofs, request objects, ID
    Tokens and every other token that either side signs. ``code_seconds`` None: the setting. Instants of JWTs may lie ``ahead`` seconds in
    the future; a signed request lives at most ``request_seconds`` (its ``exp`` after its ``nbf``, and its ``nbf`` before now).
    """

    pushed_request: bool = False
    signed_request: bool = False
    signed_response: bool = False
    signed_introspection: bool = False
    sender_constraint: bool = False
    auth_methods: frozenset[AuthMethod] | None = None
    signing_algorithms: frozenset[str] | None = None
    code_seconds: int | None = None
    rotates_refresh: bool = True
    pkce: bool = False
    issuer_audience_only: bool = False
    ahead: int = 10
    request_seconds: int = 3_600


FAPI2_ALGORITHMS = frozenset({"PS256", "ES256", "EdDSA", "Ed25519"})

_FAPI2 = Demands(
    pushed_request=True,
    sender_constraint=True,
    auth_methods=frozenset({AuthMethod.PRIVATE_KEY_JWT, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS}),
    signing_algorithms=FAPI2_ALGORITHMS,
    code_seconds=60,
    rotates_refresh=False,
    pkce=True,
    issuer_audience_only=True,
)

DEMANDS: Mapping[Profile, Demands] = {
    Profile.STANDARD: Demands(),
    Profile.FAPI2: _FAPI2,
    Profile.FAPI2_MESSAGE_SIGNING: replace(_FAPI2, signed_request=True, signed_response=True, signed_introspection=True),
}


def find_demands(profile: Profile) -> Demands:
    """Return the row of a profile."""
    return DEMANDS[profile]


def may_name_endpoints(client: Client) -> bool:
    """Tell whether assertions of this client may be made out to an endpoint instead of the issuer, where that is registered.

    A profile whose only audience is the issuer allows it to nobody but those who do nothing but back-channel authentication: CIBA §7.1
    has the issuer, the token endpoint and the endpoint that is asked accepted.
    """
    decoupled = GrantType.CIBA in client.grant_types and GrantType.AUTHORIZATION_CODE not in client.grant_types
    return decoupled or not find_demands(client.profile).issuer_audience_only


def find_profile_fault(client: Client) -> tuple[str, str] | None:
    """Return (metadata name, reason) of the first registered value that the client's profile does not allow, None when all do.

    What a demand makes compulsory anyway (pushed requests, signed ones) need not be registered; what contradicts one is refused, so that
    nobody reads a registration that says less than what holds.
    """
    demands = find_demands(client.profile)
    if demands.auth_methods is not None and client.auth_method not in demands.auth_methods:
        return "token_endpoint_auth_method", f"the profile {client.profile.value} takes private_key_jwt or a certificate"
    if demands.sender_constraint and not (
        client.requests.dpop_bound_access_tokens or client.tls.tls_client_certificate_bound_access_tokens
    ):
        return "dpop_bound_access_tokens", f"the profile {client.profile.value} wants tokens bound to DPoP or to a certificate"
    if demands.pkce and not client.requires_pkce:
        return "requires_pkce", f"the profile {client.profile.value} wants PKCE"
    if client.requests.accepts_endpoint_audience and not may_name_endpoints(client):
        return "accepts_endpoint_audience", f"the profile {client.profile.value} takes the issuer as the only audience"
    if demands.signing_algorithms is not None:
        for name, algorithm in list_signing_algorithms(client).items():
            if algorithm is not None and algorithm not in demands.signing_algorithms:
                return name, f"the profile {client.profile.value} signs by {', '.join(sorted(demands.signing_algorithms))}"
    return None


def list_signing_algorithms(client: Client) -> dict[str, str | None]:
    """Return metadata name → registered signing algorithm, None where the client leaves it to us."""
    return {
        "id_token_signed_response_alg": client.id_token_algorithm,
        "token_endpoint_auth_signing_alg": client.requests.token_endpoint_auth_signing_alg,
        "request_object_signing_alg": client.requests.request_object_signing_alg,
        "userinfo_signed_response_alg": client.responses.userinfo_signed_response_alg,
        "authorization_signed_response_alg": client.responses.authorization_signed_response_alg,
        "introspection_signed_response_alg": client.responses.introspection_signed_response_alg,
        "backchannel_authentication_request_signing_alg": client.ciba.backchannel_authentication_request_signing_alg,
    }


def choose_algorithms(client: Client, offered: tuple[str, ...], registered: str | None) -> tuple[str, ...]:
    """Return the algorithms in which this client may sign something to us: the registered one, else those of its profile that we offer."""
    allowed = find_demands(client.profile).signing_algorithms
    return tuple(a for a in offered if (allowed is None or a in allowed) and (registered is None or a in _list_names(registered)))


def _list_names(algorithm: str) -> tuple[str, ...]:
    """Return the names of an algorithm: RFC 9864 §2.2 gave a second one to EdDSA over Ed25519."""
    return ("EdDSA", "Ed25519") if algorithm in ("EdDSA", "Ed25519") else (algorithm,)
