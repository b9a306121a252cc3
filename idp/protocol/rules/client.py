"""Decides what is known of a department's system and which of its values are acceptable (OpenID Connect Registration §2)."""

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from idp.kernel.levels import Acr
from idp.protocol.rules.client_metadata import (
    PARTS,
    About,
    BackchannelAuthentication,
    ClientKeys,
    LogoutAddresses,
    Profile,
    RequestDemands,
    ResponseProtection,
    TlsIdentity,
    TokenFormat,
    read_part,
    write_part,
)
from idp.protocol.rules.scopes import SCOPES


class AuthMethod(StrEnum):
    """How a client authenticates at the endpoints it asks directly (OpenID Connect Core §9, RFC 8705 §2)."""

    SECRET_BASIC = "client_secret_basic"  # noqa: S105
    SECRET_POST = "client_secret_post"  # noqa: S105
    SECRET_JWT = "client_secret_jwt"  # noqa: S105
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    NONE = "none"


class GrantType(StrEnum):
    """The grants that a client may be registered for."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
    CIBA = "urn:openid:params:grant-type:ciba"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105


class ApplicationType(StrEnum):
    """``native`` clients may use any port of a loopback redirect URI (RFC 8252 §7.3)."""

    WEB = "web"
    NATIVE = "native"


class Basis(StrEnum):
    """The legal basis of a release (PIPL article 13): a statutory duty asks no consent page, consent does."""

    STATUTORY_DUTY = "statutory_duty"
    CONSENT = "consent"


ID_TOKEN_ALGORITHMS = ("ES256", "RS256")


def find_usable_statuses(environment: str) -> frozenset[str]:
    """Return the statuses in which a client may act: where real people are, only what was set live (domain.md §4)."""
    return frozenset({"live"}) if environment == "production" else frozenset({"sandbox", "live"})


@dataclass(frozen=True)
class Entitlement:
    """Which claims a client may receive, for which purpose, on which legal basis; ``version`` grows when any of them changes."""

    purpose: str
    basis: Basis
    claims: tuple[str, ...]
    version: int = 1
    purpose_en: str = ""


@dataclass(frozen=True)
class Client:
    """One application of a department as the protocol sees it.

    ``sealed_secret`` is kept for ``client_secret_jwt`` alone, which needs the secret itself. ``isolated``: no other client's sign-in
    counts here. ``confirms_sign_on``: a person who comes by single sign-on is asked once. ``access_token_format`` is that of tokens
    whose audience is one of ``resources``.
    """

    client_id: str
    version: int
    status: str
    sector_id: UUID
    name: str
    name_en: str
    auth_method: AuthMethod
    application_type: ApplicationType
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scopes: tuple[str, ...]
    entitlements: tuple[Entitlement, ...]
    minimum_acr: Acr
    id_token_algorithm: str
    resources: tuple[str, ...]
    requires_pkce: bool
    secret_mac: bytes | None
    sealed_secret: bytes | None = field(default=None, repr=False)
    profile: Profile = Profile.STANDARD
    isolated: bool = False
    confirms_sign_on: bool = False
    access_token_format: TokenFormat = TokenFormat.OPAQUE
    keys: ClientKeys = field(default_factory=ClientKeys)
    tls: TlsIdentity = field(default_factory=TlsIdentity)
    requests: RequestDemands = field(default_factory=RequestDemands)
    responses: ResponseProtection = field(default_factory=ResponseProtection)
    logout: LogoutAddresses = field(default_factory=LogoutAddresses)
    ciba: BackchannelAuthentication = field(default_factory=BackchannelAuthentication)
    about: About = field(default_factory=About)


class BadRegistration(ValueError):
    """A registered value is not acceptable; ``field`` is its metadata name, ``reason`` one sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def write_document(client: Client) -> str:
    """Return the stored JSON document of everything that is not a column."""
    return json.dumps(
        {
            "name": client.name,
            "name_en": client.name_en,
            "auth_method": client.auth_method,
            "application_type": client.application_type,
            "redirect_uris": client.redirect_uris,
            "post_logout_redirect_uris": client.post_logout_redirect_uris,
            "grant_types": sorted(client.grant_types),
            "scopes": client.scopes,
            "entitlements": [
                {"purpose": e.purpose, "purpose_en": e.purpose_en, "basis": e.basis, "claims": e.claims, "version": e.version}
                for e in client.entitlements
            ],
            "minimum_acr": client.minimum_acr,
            "id_token_algorithm": client.id_token_algorithm,
            "resources": client.resources,
            "requires_pkce": client.requires_pkce,
            "profile": client.profile,
            "isolated": client.isolated,
            "confirms_sign_on": client.confirms_sign_on,
            "access_token_format": client.access_token_format,
            **{name: stored for name in PARTS if (stored := write_part(getattr(client, name)))},
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def read_document(
    client_id: str,
    version: int,
    status: str,
    sector_id: UUID,
    document: dict[str, Any],
    secret_mac: bytes | None,
    sealed_secret: bytes | None = None,
) -> Client:
    """Return the client of a stored document; what an older release did not write has its default."""
    return Client(
        client_id=client_id,
        version=version,
        status=status,
        sector_id=sector_id,
        name=document["name"],
        name_en=document["name_en"],
        auth_method=AuthMethod(document["auth_method"]),
        application_type=ApplicationType(document["application_type"]),
        redirect_uris=tuple(document["redirect_uris"]),
        post_logout_redirect_uris=tuple(document["post_logout_redirect_uris"]),
        grant_types=frozenset(document["grant_types"]),
        scopes=tuple(document["scopes"]),
        entitlements=tuple(
            Entitlement(e["purpose"], Basis(e["basis"]), tuple(e["claims"]), e["version"], e.get("purpose_en", ""))
            for e in document["entitlements"]
        ),
        minimum_acr=Acr(document["minimum_acr"]),
        id_token_algorithm=document["id_token_algorithm"],
        resources=tuple(document["resources"]),
        requires_pkce=document["requires_pkce"],
        secret_mac=secret_mac,
        sealed_secret=sealed_secret,
        profile=Profile(document.get("profile", Profile.STANDARD)),
        isolated=document.get("isolated", False),
        confirms_sign_on=document.get("confirms_sign_on", False),
        access_token_format=TokenFormat(document.get("access_token_format", TokenFormat.OPAQUE)),
        keys=read_part(ClientKeys, document.get("keys", {})),
        tls=read_part(TlsIdentity, document.get("tls", {})),
        requests=read_part(RequestDemands, document.get("requests", {})),
        responses=read_part(ResponseProtection, document.get("responses", {})),
        logout=read_part(LogoutAddresses, document.get("logout", {})),
        ciba=read_part(BackchannelAuthentication, document.get("ciba", {})),
        about=read_part(About, document.get("about", {})),
    )


def check_client(client: Client) -> None:
    """Raise BadRegistration for the first value that may not be registered."""
    if not (
        1 <= len(client.client_id) <= 64 and client.client_id.isascii() and client.client_id.replace("-", "").replace("_", "").isalnum()
    ):
        raise BadRegistration("client_id", "1 to 64 letters, digits, hyphens or underscores")
    if not 1 <= len(client.name) <= 100:
        raise BadRegistration("client_name", "1 to 100 characters")
    if GrantType.AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise BadRegistration("redirect_uris", "the authorization code grant needs at least one")
    for uri in client.redirect_uris:
        _check_uri("redirect_uris", uri, client.application_type)
    for uri in client.post_logout_redirect_uris:
        _check_uri("post_logout_redirect_uris", uri, client.application_type)
    unknown = sorted(client.grant_types - {g.value for g in GrantType})
    if unknown or not client.grant_types:
        raise BadRegistration("grant_types", f"unknown: {', '.join(unknown)}" if unknown else "at least one")
    if GrantType.REFRESH_TOKEN in client.grant_types and GrantType.AUTHORIZATION_CODE not in client.grant_types:
        raise BadRegistration("grant_types", "refresh_token goes with authorization_code")
    if GrantType.CLIENT_CREDENTIALS in client.grant_types and client.auth_method is AuthMethod.NONE:
        raise BadRegistration("grant_types", "a public client has no client_credentials")
    if not client.requires_pkce and (client.auth_method is AuthMethod.NONE or client.application_type is ApplicationType.NATIVE):
        raise BadRegistration("requires_pkce", "only a confidential web client may go without PKCE")
    unknown = sorted(set(client.scopes) - set(SCOPES))
    if unknown:
        raise BadRegistration("scope", f"unknown: {', '.join(unknown)}")
    if client.id_token_algorithm not in ID_TOKEN_ALGORITHMS:
        raise BadRegistration("id_token_signed_response_alg", f"one of {', '.join(ID_TOKEN_ALGORITHMS)}")
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


def renew_versions(known: tuple[Entitlement, ...], wanted: tuple[Entitlement, ...]) -> tuple[Entitlement, ...]:
    """Return the wanted entitlements; whoever changed claims or basis gets a version above the known one, so consent is asked anew."""
    before = {e.purpose: e for e in known}
    renewed = []
    for entitlement in wanted:
        old = before.get(entitlement.purpose)
        changed = old is not None and (set(old.claims), old.basis) != (set(entitlement.claims), entitlement.basis)
        if old is not None and changed and entitlement.version <= old.version:
            entitlement = replace(entitlement, version=old.version + 1)
        renewed.append(entitlement)
    return tuple(renewed)


def _check_uri(field: str, uri: str, application_type: ApplicationType) -> None:
    if len(uri) > MAX_URI or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise BadRegistration(field, f"printable ASCII of at most {MAX_URI} characters")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadRegistration(field, "not an address") from None
    if "#" in uri or "@" in parts.netloc or "*" in parts.netloc:
        raise BadRegistration(field, "no fragment, user name or wildcard")
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and host in LOOPBACK_HOSTS:
        return
    private_use = "." in parts.scheme and application_type is ApplicationType.NATIVE
    if not private_use:
        raise BadRegistration(field, "https, or http on a loopback address, or for a native application a private-use scheme")


MAX_URI = 1_000
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def find_home(client: Client) -> str:
    """Return where a person begins again at this client: the origin of its first registered web address, "" when it has none."""
    for uri in (*client.post_logout_redirect_uris, *client.redirect_uris):
        parts = urlsplit(uri)
        listens_there = client.application_type is ApplicationType.WEB or parts.hostname not in LOOPBACK_HOSTS
        if parts.scheme in ("https", "http") and listens_there:
            return f"{parts.scheme}://{parts.netloc}/"
    return ""


def matches_redirect_uri(client: Client, uri: str) -> bool:
    """Tell whether ``uri`` is registered: compared exactly (RFC 9700 §2.1); only a native loopback address has a free port."""
    if uri in client.redirect_uris:
        return True
    if not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri:
        return False
    if client.application_type is not ApplicationType.NATIVE:
        return False
    wanted = _without_loopback_port(uri)
    return wanted is not None and any(_without_loopback_port(known) == wanted for known in client.redirect_uris)


def _without_loopback_port(uri: str) -> tuple[str, ...] | None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or host not in ("127.0.0.1", "::1") or "@" in parts.netloc:
        return None
    return (host, parts.path, parts.query, parts.fragment)
