"""Decides how a client's metadata is grouped: one frozen part per concern, in the registrations' own words, every default the safe one.

Sources of the names: OpenID Connect Registration §2, RFC 7591 §2, RFC 8705 §2.1.2 and §3.4, RFC 9101 §10.5, RFC 9126 §6, RFC 9396 §10,
RFC 9449 §5.2, RFC 9701 §6, JARM §3, Back-Channel Logout §2.2, Front-Channel Logout §2, CIBA §4.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar


class Profile(StrEnum):
    """How tight everything is for one client; rules/profile.py says what each demands."""

    STANDARD = "standard"
    FAPI2 = "fapi2"
    FAPI2_MESSAGE_SIGNING = "fapi2_message_signing"


class TokenFormat(StrEnum):
    """What access tokens for a resource server look like: sealed, or a JWT that it verifies by itself (RFC 9068)."""

    OPAQUE = "opaque"
    JWT = "jwt"


class DeliveryMode(StrEnum):
    """How a client learns that a back-channel authentication is over (CIBA §5); push is not offered."""

    POLL = "poll"
    PING = "ping"


@dataclass(frozen=True)
class ClientKeys:
    """The client's public keys: a JWK set as JSON text, or where it publishes one; never both."""

    jwks: str | None = None
    jwks_uri: str | None = None


@dataclass(frozen=True)
class TlsIdentity:
    """The certificate that a client authenticates with (RFC 8705 §2.1.2): exactly one name for ``tls_client_auth``."""

    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    tls_client_certificate_bound_access_tokens: bool = False


@dataclass(frozen=True)
class RequestDemands:
    """What this client's requests must be, and what they mean when they say nothing.

    ``accepts_endpoint_audience``: a legacy client whose assertions name the token endpoint as their audience. ``allowed_resources``: the
    resource servers whose tokens the client may ask for (RFC 8707). ``front_ticket_targets``: the clients that this app's web view may
    enter at without a page.
    """

    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    request_object_signing_alg: str | None = None
    request_uris: tuple[str, ...] = ()
    dpop_bound_access_tokens: bool = False
    token_endpoint_auth_signing_alg: str | None = None
    accepts_endpoint_audience: bool = False
    default_max_age: int | None = None
    default_acr_values: tuple[str, ...] = ()
    authorization_details_types: tuple[str, ...] = ()
    allowed_resources: tuple[str, ...] = ()
    front_ticket_targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResponseProtection:
    """How answers to this client are signed and encrypted; None: not, or as the specification's default has it."""

    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    authorization_signed_response_alg: str | None = None
    authorization_encrypted_response_alg: str | None = None
    authorization_encrypted_response_enc: str | None = None
    introspection_signed_response_alg: str | None = None


@dataclass(frozen=True)
class LogoutAddresses:
    """Where the client is told that a sign-in ended (Back-Channel Logout §2.2, Front-Channel Logout §2)."""

    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    frontchannel_logout_session_required: bool = False


@dataclass(frozen=True)
class BackchannelAuthentication:
    """How the client uses CIBA (CIBA §4)."""

    backchannel_token_delivery_mode: str = DeliveryMode.POLL.value
    backchannel_client_notification_endpoint: str | None = None
    backchannel_authentication_request_signing_alg: str | None = None


@dataclass(frozen=True)
class About:
    """What people and other departments may read of the client."""

    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    initiate_login_uri: str | None = None
    contacts: tuple[str, ...] = ()
    software_id: str | None = None
    software_version: str | None = None


Part = ClientKeys | TlsIdentity | RequestDemands | ResponseProtection | LogoutAddresses | BackchannelAuthentication | About
SomePart = TypeVar("SomePart", bound=Part)

PARTS: dict[str, type[Part]] = {
    "keys": ClientKeys,
    "tls": TlsIdentity,
    "requests": RequestDemands,
    "responses": ResponseProtection,
    "logout": LogoutAddresses,
    "ciba": BackchannelAuthentication,
    "about": About,
}
"""Field of Client → the part it holds."""


def write_part(part: Part) -> dict[str, object]:
    """Return what differs from the defaults, for the stored document."""
    default = type(part)()
    return {f.name: getattr(part, f.name) for f in fields(part) if getattr(part, f.name) != getattr(default, f.name)}


def read_part(kind: type[SomePart], stored: dict[str, Any]) -> SomePart:
    """Return the part of a stored document; what it does not name has its default, and what we do not know any more is left out."""
    known = {f.name for f in fields(kind)}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in known}
    return kind(**values)
