"""Decides which registered values go together: whatever a client could not use, or could be harmed by, is refused when it is registered."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.algorithms import SECRET_SIGNING
from idp.protocol.rules.client import LOOPBACK_HOSTS, ApplicationType, AuthMethod, BadRegistration, Client, GrantType, may_be_client_id
from idp.protocol.rules.client_metadata import DeliveryMode
from idp.protocol.rules.device_secret import SCOPE as DEVICE_SSO
from idp.protocol.rules.origins import find_origin
from idp.protocol.rules.profile import find_demands, find_profile_fault
from idp.protocol.rules.registration_metadata import MAX_ADDRESS, METADATA, Kind
from idp.protocol.rules.resources import is_resource
from idp.protocol.rules.scopes import SCOPES

SECRET_METHODS: Final = frozenset({AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST, AuthMethod.SECRET_JWT})
"""How a client authenticates with a secret of ours."""

CERTIFICATE_METHODS: Final = frozenset({AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS})
"""How a client authenticates with the certificate of its connection."""

HOST_SECTOR: Final = "host:"
CLIENT_SECTOR: Final = "client:"
"""What the sectors of clients that registered themselves begin with; the operator may put others into them."""

MAX_JWKS_KEYS: Final = 20
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members that a public key does not have (RFC 7517 §9.3, RFC 7518 §6)."""

_HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)
"""A host name, an IPv4 or an IPv6 address, and a port: what stands in a Content-Security-Policy cannot hold another delimiter."""

_TLS_NAMES: Final = tuple(row.name for row in METADATA.values() if row.name.startswith("tls_client_auth_"))
_ENCRYPTIONS: Final = ("id_token", "userinfo", "authorization")


def check_client(client: Client) -> None:
    """Raise BadRegistration for the first value that may not be registered."""
    for check in _CHECKS:
        check(client)


def check_certificates(client: Client) -> None:
    """Raise BadRegistration for a client that needs certificates: for a provider that no proxy tells any (``mtls.origin`` is empty)."""
    if client.auth_method in CERTIFICATE_METHODS:
        raise BadRegistration("token_endpoint_auth_method", "this provider takes no certificates")
    if client.tls.tls_client_certificate_bound_access_tokens:
        raise BadRegistration("tls_client_certificate_bound_access_tokens", "this provider takes no certificates")


def list_response_algorithms(client: Client) -> dict[str, str | None]:
    """Return metadata name → the algorithm that we sign by for this client, None where it chose none."""
    return {
        "id_token_signed_response_alg": client.id_token_algorithm,
        "userinfo_signed_response_alg": client.responses.userinfo_signed_response_alg,
        "authorization_signed_response_alg": client.responses.authorization_signed_response_alg,
        "introspection_signed_response_alg": client.responses.introspection_signed_response_alg,
    }


def _check_names(client: Client) -> None:
    if not may_be_client_id(client.client_id):
        raise BadRegistration("client_id", "1 to 64 letters, digits, hyphens or underscores")
    for field, text in (("client_name", client.name), ("client_name#en", client.name_en or client.name)):
        if not 1 <= len(text) <= 100 or not text.isprintable():
            raise BadRegistration(field, "1 to 100 printable characters")
    if not 1 <= len(client.sector) <= 100 or not client.sector.isprintable():
        raise BadRegistration("sector", "1 to 100 printable characters")


def _check_choices(client: Client) -> None:
    """Refuse what no client may have, however it was made: the table's own bounds."""
    for row in METADATA.values():
        if not row.choices:
            continue
        held = getattr(client if row.part is None else getattr(client, row.part), row.field)
        listed = held if isinstance(held, (tuple, frozenset)) else () if held is None else (held,)
        strange = sorted(set(listed) - set(row.choices))
        if strange:
            raise BadRegistration(row.name, f"unknown: {', '.join(strange)}; there are {', '.join(row.choices)}")


def _check_grants(client: Client) -> None:
    grants, public = client.grant_types, client.auth_method is AuthMethod.NONE
    if not grants:
        raise BadRegistration("grant_types", "at least one")
    # What another device answered is never refreshed; what an app's device secret is exchanged for is.
    if GrantType.REFRESH_TOKEN in grants and not grants & {GrantType.AUTHORIZATION_CODE, GrantType.TOKEN_EXCHANGE}:
        raise BadRegistration("grant_types", "refresh_token goes with authorization_code")
    # A public app exchanges its device secret (Native SSO): what it may ask for is in its other metadata.
    for grant in (GrantType.CLIENT_CREDENTIALS, GrantType.CIBA, GrantType.DEVICE_CODE):
        if public and grant in grants:
            raise BadRegistration("grant_types", f"a public client has no {grant.value}")
    if GrantType.DEVICE_CODE in grants and client.auth_method in SECRET_METHODS:
        raise BadRegistration("grant_types", "a terminal authenticates with a key or a certificate of its own, not with a secret")
    if client.requests.front_ticket_targets and GrantType.TOKEN_EXCHANGE not in grants:
        raise BadRegistration("front_ticket_targets", "goes with the grant type token-exchange: that is how an app gets a ticket")
    if public and client.resources:
        raise BadRegistration("resources", "not of a public client: its id alone would exchange the tokens that are meant for it")
    if not client.requires_pkce and (public or client.application_type is ApplicationType.NATIVE):
        raise BadRegistration("requires_pkce", "only a confidential web client may go without PKCE")
    if DEVICE_SSO in client.scopes and client.sector.startswith((HOST_SECTOR, CLIENT_SECTOR)):
        raise BadRegistration("scope", f"{DEVICE_SSO} is for a sector that the operator set, not for one that clients choose by themselves")
    if set(client.scopes) & set(ADMIN_SCOPES) and grants != {GrantType.CLIENT_CREDENTIALS}:
        raise BadRegistration("scope", "the scopes of the admin API are for a client of client_credentials alone")


def _check_addresses(client: Client) -> None:
    if GrantType.AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise BadRegistration("redirect_uris", "the authorization code grant needs at least one")
    for row in METADATA.values():
        if row.kind not in (Kind.ADDRESS, Kind.ADDRESSES):
            continue
        held = getattr(client if row.part is None else getattr(client, row.part), row.field)
        for uri in (held,) if isinstance(held, str) else held or ():
            _check_address(row.name, uri, client.application_type)
    for name, resources in (("resources", client.resources), ("allowed_resources", client.requests.allowed_resources)):
        if not all(is_resource(resource) for resource in resources):
            raise BadRegistration(name, "absolute URIs without a fragment")
    origins = {find_origin(uri) for uri in client.redirect_uris}
    there = client.logout.frontchannel_logout_uri
    if there is not None and find_origin(there) not in origins:
        raise BadRegistration("frontchannel_logout_uri", "scheme, host and port of a redirect URI")  # Front-Channel Logout §2


def _check_address(name: str, uri: str, application_type: ApplicationType) -> None:
    if len(uri) > MAX_ADDRESS or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise BadRegistration(name, f"printable ASCII of at most {MAX_ADDRESS} characters")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadRegistration(name, "not an address") from None
    # The fragment of a request_uri may be the hash of what is there (OpenID Connect Core §6.2).
    if ("#" in uri and name != "request_uris") or "@" in parts.netloc or "*" in parts.netloc:
        raise BadRegistration(name, "no fragment, user name or wildcard")
    if parts.netloc and not _HOST.fullmatch(parts.netloc):
        raise BadRegistration(name, "a host is letters, digits, hyphens and dots, or an IP address")
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and host in LOOPBACK_HOSTS:
        return
    returns = name in ("redirect_uris", "post_logout_redirect_uris")
    if returns and "." in parts.scheme and application_type is ApplicationType.NATIVE:
        return  # RFC 8252 §7.1
    private = ", or for a native application a private-use scheme" if returns else ""
    raise BadRegistration(name, f"https, or http on a loopback address{private}")


def _check_keys(client: Client) -> None:
    keys, method = client.keys, client.auth_method
    if keys.jwks is not None and keys.jwks_uri is not None:
        raise BadRegistration("jwks", "either jwks or jwks_uri, not both")
    if keys.jwks is not None:
        _check_jwks(keys.jwks)
    has_keys = keys.jwks is not None or keys.jwks_uri is not None
    needing = {
        "token_endpoint_auth_method": method in (AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SELF_SIGNED_TLS),
        "request_object_signing_alg": client.requests.request_object_signing_alg is not None,
        # What the profile demands anyway is told as if it were registered, and may be said again.
        "require_signed_request_object": client.requests.require_signed_request_object and not find_demands(client.profile).signed_request,
        "backchannel_authentication_request_signing_alg": client.ciba.backchannel_authentication_request_signing_alg is not None,
        **{
            f"{answer}_encrypted_response_alg": getattr(client.responses, f"{answer}_encrypted_response_alg") is not None
            for answer in _ENCRYPTIONS
        },
    }
    for name, needs in needing.items():
        if needs and not has_keys:
            raise BadRegistration(name, "needs the client's keys: jwks or jwks_uri")


def _check_jwks(text: str) -> None:
    keys = json.loads(text).get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_JWKS_KEYS:
        raise BadRegistration("jwks", f"1 to {MAX_JWKS_KEYS} keys")
    kids = []
    for key in keys:
        if not isinstance(key, dict) or not isinstance(key.get("kty"), str):
            raise BadRegistration("jwks", "each key is an object with kty")
        if key["kty"] == "oct" or PRIVATE_MEMBERS & key.keys():
            raise BadRegistration("jwks", "public keys only; whoever has seen a private key may act as the client")
        if "kid" in key:
            kids.append(key["kid"])
    if len(set(map(str, kids))) != len(kids):
        raise BadRegistration("jwks", "each kid once")


def _check_authentication(client: Client) -> None:
    method, algorithm = client.auth_method, client.requests.token_endpoint_auth_signing_alg
    names = [name for name in _TLS_NAMES if getattr(client.tls, name) is not None]
    if method is AuthMethod.TLS and len(names) != 1:
        raise BadRegistration("tls_client_auth_subject_dn", "tls_client_auth needs exactly one name of the certificate")
    if method is not AuthMethod.TLS and names:
        raise BadRegistration(names[0], "goes with tls_client_auth only")
    if method is AuthMethod.SECRET_JWT and not client.keeps_secret:
        raise BadRegistration("token_endpoint_auth_method", "client_secret_jwt asks the operator for keeps_secret")
    if client.keeps_secret and method is not AuthMethod.SECRET_JWT:
        raise BadRegistration("keeps_secret", "goes with client_secret_jwt only")
    if algorithm is not None:
        if method not in (AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SECRET_JWT):
            raise BadRegistration("token_endpoint_auth_signing_alg", "goes with private_key_jwt or client_secret_jwt")
        if (algorithm in SECRET_SIGNING) is not (method is AuthMethod.SECRET_JWT):
            raise BadRegistration("token_endpoint_auth_signing_alg", f"not with {method.value}")


def _check_answers(client: Client) -> None:
    for answer in _ENCRYPTIONS:
        algorithm = getattr(client.responses, f"{answer}_encrypted_response_alg")
        if getattr(client.responses, f"{answer}_encrypted_response_enc") is not None and algorithm is None:
            raise BadRegistration(f"{answer}_encrypted_response_enc", f"goes with {answer}_encrypted_response_alg")
    there = client.ciba.backchannel_client_notification_endpoint
    pings = client.ciba.backchannel_token_delivery_mode == DeliveryMode.PING
    if pings is not (there is not None):
        fault = "is missing: the delivery mode ping needs it" if pings else "goes with the delivery mode ping only"
        raise BadRegistration("backchannel_client_notification_endpoint", fault)


def _check_profile(client: Client) -> None:
    fault = find_profile_fault(client)
    if fault is not None:
        raise BadRegistration(*fault)


def _check_entitlements(client: Client) -> None:
    known = {claim for scope in SCOPES.values() for claim in scope.needs_entitlement}
    for entitlement in client.entitlements:
        strange = sorted(set(entitlement.claims) - known)
        if strange or not entitlement.claims:
            raise BadRegistration("entitlements", f"unknown claims: {', '.join(strange)}" if strange else "at least one claim")
        texts = (entitlement.purpose, entitlement.purpose_en or "-")
        if not all(1 <= len(text) <= 200 and text.isprintable() for text in texts):
            raise BadRegistration("entitlements", "a purpose of 1 to 200 printable characters")
    purposes = [e.purpose for e in client.entitlements]
    if len(set(purposes)) != len(purposes):
        raise BadRegistration("entitlements", "each purpose once")


_CHECKS: Final[Iterable[Callable[[Client], None]]] = (
    _check_names,
    _check_choices,
    _check_grants,
    _check_addresses,
    _check_keys,
    _check_authentication,
    _check_answers,
    _check_profile,
    _check_entitlements,
)
