"""Decides what the provider says of itself, derived from the tables the code runs on (OpenID Connect Discovery §3, RFC 8414 §2)."""

from idp.kernel.levels import Acr
from idp.protocol.rules.algorithms import CLIENT_SIGNING, CONTENT_ENCRYPTION, ENCRYPTION, SECRET_SIGNING
from idp.protocol.rules.authorization_details import TYPES
from idp.protocol.rules.authorization_request import DISPLAYS, PROMPTS, RESPONSE_MODES, RESPONSE_TYPES
from idp.protocol.rules.client import AuthMethod, GrantType
from idp.protocol.rules.client_metadata import DeliveryMode
from idp.protocol.rules.dpop import DPOP_ALGORITHMS
from idp.protocol.rules.pkce import METHODS
from idp.protocol.rules.scopes import SCOPES, list_claims
from idp.protocol.rules.session_state import PATH as CHECK_SESSION_PATH
from idp.protocol.rules.verified_claims import EVIDENCE_TYPE, RECORDS, TRUST_FRAMEWORK, VERIFIABLE

TOKEN_CLAIMS = ("iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid")

PATHS = {
    "authorization_endpoint": "/authorize",
    "pushed_authorization_request_endpoint": "/par",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "introspection_endpoint": "/introspect",
    "revocation_endpoint": "/revoke",
    "jwks_uri": "/jwks.json",
    "end_session_endpoint": "/sign-out",
    "device_authorization_endpoint": "/device_authorization",
    "backchannel_authentication_endpoint": "/bc-authorize",
}


REGISTRATION_PATH = "/connect/register"
"""Announced where clients may register themselves; ``/register`` is where people open an account."""


ALIASED_ENDPOINTS = frozenset(
    {
        "token_endpoint",
        "userinfo_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "backchannel_authentication_endpoint",
    }
)
"""What is also asked at the address for clients with certificates (RFC 8705 §5)."""

ALIASED = frozenset(path for name, path in PATHS.items() if name in ALIASED_ENDPOINTS)


def list_auth_methods(*, mtls: bool) -> list[str]:
    """Return the methods of client authentication that this installation offers: certificates only where somebody tells them."""
    return [m.value for m in AuthMethod if mtls or m not in (AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS)]


def describe_provider(
    issuer: str, algorithms: tuple[str, ...], *, registration: bool = False, mtls_origin: str = "", session_management: bool = False
) -> dict[str, object]:
    """Return the metadata document of an issuer; every list is the table itself."""
    document: dict[str, object] = {"issuer": issuer}
    document.update({name: issuer + path for name, path in PATHS.items()})
    if registration:
        document["registration_endpoint"] = issuer + REGISTRATION_PATH
    if session_management:
        document["check_session_iframe"] = issuer + CHECK_SESSION_PATH
    if mtls_origin:
        document["mtls_endpoint_aliases"] = {name: mtls_origin + path for name, path in PATHS.items() if name in ALIASED_ENDPOINTS}
    methods = list_auth_methods(mtls=bool(mtls_origin))
    confidential = [method for method in methods if method != AuthMethod.NONE]
    document.update(
        scopes_supported=list(SCOPES),
        response_types_supported=list(RESPONSE_TYPES),
        response_modes_supported=list(RESPONSE_MODES),
        grant_types_supported=[g.value for g in GrantType],
        subject_types_supported=["pairwise"],
        id_token_signing_alg_values_supported=list(algorithms),
        token_endpoint_auth_methods_supported=methods,
        token_endpoint_auth_signing_alg_values_supported=[*CLIENT_SIGNING, *SECRET_SIGNING],
        introspection_endpoint_auth_methods_supported=confidential,
        introspection_endpoint_auth_signing_alg_values_supported=[*CLIENT_SIGNING, *SECRET_SIGNING],
        revocation_endpoint_auth_methods_supported=methods,
        revocation_endpoint_auth_signing_alg_values_supported=[*CLIENT_SIGNING, *SECRET_SIGNING],
        introspection_signing_alg_values_supported=list(algorithms),
        dpop_signing_alg_values_supported=list(DPOP_ALGORITHMS),
        tls_client_certificate_bound_access_tokens=bool(mtls_origin),
        code_challenge_methods_supported=list(METHODS),
        acr_values_supported=[acr.value for acr in Acr if acr is not Acr.PHRH],  # nothing here proves that a key is in hardware
        claim_types_supported=["normal"],
        claims_supported=list(dict.fromkeys([*TOKEN_CLAIMS, *list_claims(SCOPES)])),
        backchannel_token_delivery_modes_supported=[mode.value for mode in DeliveryMode],
        backchannel_user_code_parameter_supported=False,
        backchannel_authentication_request_signing_alg_values_supported=list(CLIENT_SIGNING),
        native_sso_supported=True,
        claims_parameter_supported=True,
        request_parameter_supported=True,
        request_uri_parameter_supported=True,
        require_request_uri_registration=True,
        require_pushed_authorization_requests=False,
        request_object_signing_alg_values_supported=list(CLIENT_SIGNING),
        authorization_details_types_supported=list(TYPES),
        authorization_signing_alg_values_supported=list(algorithms),
        userinfo_signing_alg_values_supported=list(algorithms),
        **{
            f"{answer}_encryption_{part}_values_supported": list(values)
            for answer in ("id_token", "userinfo", "authorization")
            for part, values in (("alg", ENCRYPTION), ("enc", CONTENT_ENCRYPTION))
        },
        verified_claims_supported=True,
        trust_frameworks_supported=[TRUST_FRAMEWORK],
        evidence_supported=[EVIDENCE_TYPE],
        electronic_records_supported=[record.type for record in RECORDS.values()],
        claims_in_verified_claims_supported=list(VERIFIABLE),
        prompt_values_supported=list(PROMPTS),
        display_values_supported=list(DISPLAYS),
        ui_locales_supported=["zh-CN", "en"],
        backchannel_logout_supported=True,
        backchannel_logout_session_supported=True,
        frontchannel_logout_supported=True,
        frontchannel_logout_session_supported=True,
        authorization_response_iss_parameter_supported=True,
    )
    return document
